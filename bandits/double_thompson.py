"""Double Thompson sampling (D-TS, D-TS+): Wu and Liu (2016), NeurIPS.

Of the items that optimistically beat the most others, the first is the one that beats the most in a draw of all pairs
from Beta(w_ij + 1, w_ji + 1); the second, in another draw, the one most likely to beat the first, of those for which
that is open: mean wins - sqrt(alpha ln t / games) <= 1/2. Made for Copeland winners as well as Condorcet ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bandits._counts import (
    Mask,
    Numbers,
    Partners,
    Tally,
    counts,
    draw_row,
    highest_rows,
    one_after_another,
    sampled_wins,
    sum_by_row,
)
from elicit.inference.posterior import Posterior
from elicit.selection import Candidates, Pick
from elicit.types import Vote


class DoubleThompsonSampling:
    """Both items by draws from the pairs' own posteriors, which share nothing.

    alpha: above 1/2; larger explores more. plus: D-TS+, which of the items that beat as many in a draw takes the one
    of least regret, not a random one. Unlike in the paper no item meets itself:
    the next best of the second draw takes its place. The propensity is the chance given the draws.
    """

    def __init__(self, alpha: float = 0.51, plus: bool = False) -> None:
        self.alpha, self.plus = alpha, plus
        self._tally = counts()

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        with self._tally.of(candidates, votes) as tally:
            hopeful = self._upper_copeland(tally)

            def choose(partners: Partners) -> Pick:
                among = highest_rows(hopeful, partners.some)
                first, chance = self._first(tally, among, rng)
                second, theta, share = self._second(tally, first, partners.of(first), rng)
                return Pick(first, second, theta, chance * share)

            return one_after_another(choose, candidates, k)

    def _radius(self, tally: Tally[None], games: Numbers) -> Numbers:
        radius: Numbers = np.sqrt(self.alpha * np.log(tally.total + 1) / games)
        return radius

    def _upper_copeland(self, tally: Tally[None]) -> Numbers:
        """(N,) how many others each item may beat, all bounds in its favour; a pair that never met counts."""
        rows, _, wins, games = tally.duels()
        lost = wins / games + self._radius(tally, games) <= 0.5
        return tally.n - 1.0 - sum_by_row(rows, lost.astype(np.float64), tally.n)

    def _first(self, tally: Tally[None], among: Mask, rng: np.random.Generator) -> tuple[int, float]:
        if not self.plus:
            return draw_row(rng, highest_rows(sampled_wins(tally, rng), among))
        theta = _draw_chances(tally, rng)
        score = (theta > 0.5).sum(1) / (tally.n - 1)
        among = highest_rows(score, among)
        rows = np.flatnonzero(among)
        p = theta[rows].clip(1e-12, 1 - 1e-12)
        bits = p * np.log(2 * p) + (1 - p) * np.log(2 * (1 - p))  # divergence of p from 1/2
        loss = score.max() - (score[rows][:, None] + score) / 2
        sums = np.divide(loss, bits, out=np.zeros_like(loss), where=bits > 0).sum(1)
        regret = np.full(tally.n, np.inf)
        regret[rows] = sums
        return draw_row(rng, highest_rows(-regret, among))

    def _second(
        self, tally: Tally[None], first: int, partners: Mask, rng: np.random.Generator
    ) -> tuple[int, float, float]:
        """The challenger, its drawn chance of beating the first, and its share among ties."""
        duels = tally.duels()
        rows, wins, games = (column[duels.others == first] for column in (duels.rows, duels.wins, duels.games))
        won, lost = np.ones(tally.n), np.ones(tally.n)
        won[rows] += wins
        lost[rows] += games - wins
        theta = rng.beta(won, lost)
        closed = np.zeros(tally.n, dtype=bool)
        closed[rows] = wins / games - self._radius(tally, games) > 0.5
        among = partners & ~closed
        second, share = draw_row(rng, highest_rows(theta, among if among.any() else partners))
        return second, float(theta[second]), share


def _draw_chances(tally: Tally[None], rng: np.random.Generator) -> NDArray[np.float64]:
    """(N, N) a draw of all pairs from Beta(w_ij + 1, w_ji + 1); 1/2 on the diagonal."""
    theta = np.triu(rng.random((tally.n, tally.n)), 1)
    low, high = tally.met.T
    theta[low, high] = rng.beta(*(tally.wins + 1).T)
    theta += np.tril(1 - theta.T, -1)
    np.fill_diagonal(theta, 0.5)
    return theta
