"""Relative minimum empirical divergence (RMED1): Komiyama, Honda, Kashima and Nakagawa (2015), COLT.

The likelihood that i is the Condorcet winner is exp(-I_i), where I_i sums n_ij d(w_ij / n_ij, 1/2) over the others that
i has not won more often against than lost, d being the divergence of Bernoullis. Everybody for whom I_i - min I <=
ln t + f(N), f(N) = 0.3 N^1.01, has a turn before anybody has the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bandits._counts import Mask, Numbers, Partners, Tally, draw_row, highest_rows, one_after_another, sum_by_row
from elicit.inference.posterior import Posterior
from elicit.selection import Candidates, Pick
from elicit.types import Vote


class Round(NamedTuple):
    """The items that have a turn, the place of the one whose turn it is (-1 before the first), and who has one in the
    next round (N,)."""

    order: tuple[int, ...]
    place: int
    following: Mask


class RelativeMinimumEmpiricalDivergence:
    """Asymptotically optimal where there is a Condorcet winner.

    First all pairs meet once, the least used items first. Then the item whose turn it is meets the likeliest winner,
    if it has not the better of it, or else whoever it does worst against; unlike in the paper the likeliest winner
    itself, too, when it has the better of everybody. Every vote ends a turn, whoever met. The propensity is the
    chance among ties.
    """

    def __init__(self) -> None:
        self._tally: Tally[Round] = Tally(_first_round, _next_turn)

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        with self._tally.of(candidates, votes) as tally:

            def choose(partners: Partners) -> Pick:
                return _first_meeting(tally, partners, rng) or _turn(tally, partners, rng)

            return one_after_another(choose, candidates, k)


def _first_round(n: int) -> Round:
    return Round(tuple(range(n)), -1, np.zeros(n, dtype=bool))


def _next_turn(tally: Tally[Round], turn: Round) -> Round:
    """The round after a vote; turns begin when all pairs have met."""
    if len(tally.met) < tally.askable:
        return turn
    place = turn.place + 1
    waiting = np.zeros(tally.n, dtype=bool)
    waiting[list(turn.order[place:])] = True
    divergence = _divergence(tally)
    likely = divergence - divergence.min() <= np.log(tally.total) + 0.3 * tally.n**1.01
    following = turn.following | (likely & ~waiting)
    if place < len(turn.order):
        return Round(turn.order, place, following)
    return Round(tuple(np.flatnonzero(following).tolist()), 0, np.zeros(tally.n, dtype=bool))


def _divergence(tally: Tally[Round]) -> Numbers:
    """(N,) I_i of every item."""
    rows, _, wins, games = tally.duels()
    p = wins / games
    with np.errstate(divide="ignore", invalid="ignore"):
        d = np.where(p > 0, p * np.log(2 * p), 0.0) + (1 - p) * np.log(2 * (1 - p))
    behind = p <= 0.5
    return sum_by_row(rows[behind], (games * d)[behind], tally.n)


def _first_meeting(tally: Tally[Round], partners: Partners, rng: np.random.Generator) -> Pick | None:
    """The first meeting of the items that had the fewest duels, or None where all pairs have met."""
    if len(tally.met) == tally.askable:
        return None
    rows, others, _, games = tally.duels()
    duel_counts = sum_by_row(rows, games, tally.n)
    for a in np.argsort(duel_counts, kind="stable"):
        fresh = partners.of(int(a))
        fresh[others[rows == a]] = False
        if fresh.any():
            b, share = draw_row(rng, highest_rows(-duel_counts, fresh))
            return Pick(int(a), b, 0.0, share)
    return None


def _turn(tally: Tally[Round], partners: Partners, rng: np.random.Generator) -> Pick:
    """The meeting of the item whose turn it is; the score is the log likelihood that it is the winner."""
    divergence = _divergence(tally)
    order, place, _ = tally.state
    place = max(place, 0)  # some pairs have not met, but may not
    able = [i for i in (*order[place:], *order[:place]) if partners.some[i]]
    item = able[0] if able else int(np.flatnonzero(highest_rows(-divergence, partners.some))[0])
    among = partners.of(item)
    duels = tally.duels()
    others, wins, games = (column[duels.rows == item] for column in (duels.others, duels.wins, duels.games))
    p = np.ones(tally.n)
    p[others] = wins / games
    winner = int(divergence.argmin())
    if among[winner] and (p[winner] <= 0.5 or not (np.delete(p, item) <= 0.5).any()):
        return Pick(item, winner, -float(divergence[item]), 1.0)
    other, share = draw_row(rng, highest_rows(-p, among))
    return Pick(item, other, -float(divergence[item]), share)
