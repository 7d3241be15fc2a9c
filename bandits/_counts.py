"""What the selectors share that look at who beat whom and at no model: the wins of each pair, and who may meet whom."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from elicit.selection import Candidates, Pick
from elicit.types import Vote

TallyState = TypeVar("TallyState")
Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64]

REMEMBERED = 64
SHARES = {"a": (1.0, 0.0), "b": (0.0, 1.0), "tie": (0.5, 0.5), "both_bad": (0.5, 0.5)}
"""What a vote counts for its a and its b."""


class Duels(NamedTuple):
    """Every pair that met, in both directions: rows (D,) against others (D,), wins of the rows and games, (D,) each."""

    rows: NDArray[np.int64]
    others: NDArray[np.int64]
    wins: Numbers
    games: Numbers


class Tally(Generic[TallyState]):
    """Wins of the pairs of n items that met, and a state carried from vote to vote; ties are half a win for each.

    start: the state before any vote; step: the state after one more, from the counts with it and the state before it.
    What is kept between calls is a cache: what `of` gives depends on its arguments alone. A vote more costs one step.
    n: items; askable: pairs that may be asked; total: votes but skips.
    """

    def __init__(
        self, start: Callable[[int], TallyState], step: Callable[[Tally[TallyState], TallyState], TallyState]
    ) -> None:
        self._start, self._step = start, step
        self._lock = threading.Lock()  # looking ahead selects beside the votes, in a thread of its own
        self.n = self.askable = 0
        self._votes: tuple[Vote, ...] = ()
        self._begin()

    @contextmanager
    def of(self, candidates: Candidates, votes: Sequence[Vote]) -> Iterator[Tally[TallyState]]:
        """The tally of `votes` on n items while the context lasts."""
        n, votes = candidates.n, tuple(votes)
        askable = n * (n - 1) // 2 if candidates.pairs is None else len(candidates.pairs)
        with self._lock:
            if (self.n, self.askable) != (n, askable):
                self.n, self.askable = n, askable
                self._begin()
            kept = len(self._votes)
            if votes[:kept] != self._votes:
                lengths = range(min(kept, len(votes)))
                kept = bisect_left(lengths, True, key=lambda k: votes[: k + 1] != self._votes[: k + 1])
                kept = self._take_back(kept)
            for vote in votes[kept:]:
                self._add(vote)
            self._votes = votes
            yield self

    @property
    def state(self) -> TallyState:
        """The state after all votes."""
        return self._states[-1]

    @property
    def met(self) -> NDArray[np.int64]:
        """(P, 2) the pairs that met, smaller row first."""
        return self._pairs[: len(self._slots)]

    @property
    def wins(self) -> Numbers:
        """(P, 2) wins of the smaller and of the larger row of each pair that met."""
        return self._wins[: len(self._slots)]

    def duels(self) -> Duels:
        """The pairs that met, in both directions."""
        (low, high), (won, lost) = self.met.T, self.wins.T
        games = won + lost
        both = np.concatenate
        return Duels(both([low, high]), both([high, low]), both([won, lost]), both([games, games]))

    def _begin(self) -> None:
        self.total = 0
        self._votes = ()
        self._slots: dict[tuple[int, int], int] = {}
        self._pairs = np.empty((REMEMBERED, 2), dtype=np.int64)
        self._wins = np.empty((REMEMBERED, 2))
        self._states = deque([self._start(self.n)], maxlen=REMEMBERED)

    def _add(self, vote: Vote) -> None:
        if vote.outcome.choice == "skip":
            return
        slot = self._slots.get(vote.pair)
        if slot is None:
            slot = self._slots[vote.pair] = len(self._slots)
            if slot == len(self._pairs):
                self._pairs = np.concatenate([self._pairs, self._pairs])
                self._wins = np.concatenate([self._wins, self._wins])
            self._pairs[slot], self._wins[slot] = vote.pair, 0.0
        self._wins[slot] += _shares(vote)
        self.total += 1
        self._states.append(self._step(self, self._states[-1]))

    def _take_back(self, count: int) -> int:
        """Uncounts the votes after the first `kept`; gives how many are counted then."""
        removed = [vote for vote in self._votes[count:] if vote.outcome.choice != "skip"]
        if len(removed) >= len(self._states):
            self._begin()
            return 0
        for vote in reversed(removed):
            slot = self._slots[vote.pair]
            self._wins[slot] -= _shares(vote)
            self.total -= 1
            self._states.pop()
            if not self._wins[slot].any():  # the pair's first vote: no pair that is left came after it
                del self._slots[vote.pair]
        return count


def sum_by_row(rows: NDArray[np.int64], values: Numbers, n: int) -> Numbers:
    """(N,) the sum of the values (D,) of each of n rows."""
    return np.bincount(rows, values, n).astype(np.float64)


def _shares(vote: Vote) -> Numbers:
    shares = np.array(SHARES[vote.outcome.choice])
    return shares if vote.a < vote.b else shares[::-1]


def counts() -> Tally[None]:
    """A tally that carries no state."""
    return Tally(lambda n: None, lambda tally, state: None)


class Partners:
    """Who may meet whom: the admissible pairs, seen from each item."""

    def __init__(self, candidates: Candidates) -> None:
        n = candidates.n
        self._listed = candidates.pairs is not None
        if self._listed:
            pairs = candidates.within(torch.arange(n)).numpy()
        else:
            pairs = np.array(sorted(candidates.avoid), dtype=np.int64).reshape(-1, 2)
        self._pairs = pairs
        pair_counts = np.bincount(pairs.ravel(), minlength=n)
        self.count = pair_counts if self._listed else n - 1 - pair_counts
        """(N,) how many partners each item has."""

    @property
    def some(self) -> Mask:
        """(N,) the items that have a partner."""
        return self.count > 0

    def of(self, row: int) -> Mask:
        """(N,) the partners of one item."""
        low, high = self._pairs.T
        mask = np.zeros(len(self.count), dtype=bool)
        mask[high[low == row]] = True
        mask[low[high == row]] = True
        if self._listed:
            return mask
        mask[row] = True
        return ~mask


def draw_row(rng: np.random.Generator, among: Mask, weight: Numbers | None = None) -> tuple[int, float]:
    """One of the rows of a mask (N,), and its chance: in proportion to `weight` (N,), evenly without.

    Where no row of the mask has weight they are even too.
    """
    rows = np.flatnonzero(among)
    share = np.ones(len(rows)) if weight is None or not weight[rows].any() else weight[rows]
    share = share / share.sum()
    place = int(rng.choice(len(rows), p=share))
    return int(rows[place]), float(share[place])


def highest_rows(value: Numbers, among: Mask) -> Mask:
    """(N,) those rows of a mask (N,), not empty, whose value (N,) is the highest of them."""
    values = np.where(among, value, -np.inf)
    top: Mask = among & (values == values.max())
    return top


def upper_bounds(tally: Tally[Any], alpha: float, c: int) -> Numbers:
    """(N,) how likely each item is to beat c, at best: mean wins + sqrt(alpha ln t / games), x / 0 = 1 (Zoghi et al.

    2014); 1/2 for c itself.
    """
    rows, others, wins, games = tally.duels()
    against = others == c
    bound = np.full(tally.n, 2.0)
    n = games[against]
    bound[rows[against]] = wins[against] / n + np.sqrt(alpha * np.log(tally.total + 1) / n)
    bound[c] = 0.5
    return bound


def challenger(
    tally: Tally[Any], alpha: float, c: int, partners: Partners, rng: np.random.Generator
) -> tuple[int, float, float]:
    """The partner of c with the highest upper bound against it, that bound, and its chance among ties."""
    bound = upper_bounds(tally, alpha, c)
    d, share = draw_row(rng, highest_rows(bound, partners.of(c)))
    return d, float(bound[d]), share


def sampled_wins(tally: Tally[Any], rng: np.random.Generator) -> Numbers:
    """(N,) how many others each item beats in a draw of all pairs from Beta(w_ij + 1, w_ji + 1).

    A pair that never met falls either way with chance 1/2.
    """
    n = tally.n
    bits = np.frombuffer(rng.bytes(-(-n * n // 8)), dtype=np.uint8)
    rows = np.arange(n)
    coins = np.unpackbits(bits, count=n * n).reshape(n, n) * np.less.outer(rows, rows)
    score: NDArray[np.int64] = coins.sum(1, dtype=np.int64) + rows - coins.sum(0, dtype=np.int64)
    low, high = tally.met.T
    shift = np.subtract(rng.beta(*(tally.wins + 1).T) > 0.5, coins[low, high], dtype=np.int64)
    np.add.at(score, low, shift)
    np.add.at(score, high, -shift)
    return score.astype(np.float64)


def one_after_another(choose: Callable[[Partners], Pick], candidates: Candidates, k: int) -> list[Pick]:
    """Up to k picks, none repeated: each is chosen from the pairs that those before it left."""
    picks: list[Pick] = []
    while len(picks) < k:
        partners = Partners(candidates.without(picks))
        if not partners.some.any():
            break
        picks.append(choose(partners))
    return picks
