"""Peers that duel, run in the same process: a linear bandit, PDO's double Thompson sampling, successive halving."""

from __future__ import annotations

from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

from bandits.double_thompson import DoubleThompsonSampling
from elicit.inference.posterior import Knowledge
from elicit.models.bradley_terry import BradleyTerry
from elicit.randomness import stream
from elicit.selection import Candidates
from elicit.types import ChoiceOutcome, Vote
from studies.bench.apohf import LAMBDA, NU, RANDOM_PAIRS
from studies.bench.peers import PeerPair

NEWTON = 50


class LinearDueling:
    """The linear dueling bandit that APOHF is compared with (Lin et al. 2024), after Bengs et al. (2022), ICML.

    u = w'x with w at the maximum of the Bradley-Terry likelihood less LAMBDA |w|^2 / 2. The first arm maximises u; the
    second one u + NU |x - x1|_(V^-1), V = LAMBDA I + the sum over past pairs of their differences' squares.
    Recommended is the best u among the shown. Features (N, d) as they are; the first five pairs are random.
    """

    def __init__(self, features: NDArray[np.float64], seed: int = 0) -> None:
        self._X, self._seed = features, seed
        self._votes: list[tuple[int, int]] = []  # rows, winner first
        self._w = np.zeros(features.shape[1])

    def ask(self) -> PeerPair:
        """The pair that the upper confidence bound names."""
        if len(self._votes) < RANDOM_PAIRS:
            a, b = stream(self._seed, "peer/pair", len(self._votes)).choice(len(self._X), 2, replace=False)
            return PeerPair(int(a), int(b))
        u = self._X @ self._w
        first = int(u.argmax())
        D, gaps = self._differences(), self._X - self._X[first]
        # V^-1 by the matrix inversion lemma: T x T, whatever the number of features.
        projections = gaps @ D.T
        inner = LAMBDA * np.eye(len(D)) + D @ D.T
        squared = ((gaps**2).sum(1) - (projections * np.linalg.solve(inner, projections.T).T).sum(1)) / LAMBDA
        bound = u + NU * np.sqrt(squared.clip(0))
        bound[first] = -np.inf
        return PeerPair(first, int(bound.argmax()))

    def tell(self, a: int, b: int, outcome: str) -> None:
        """Learn one vote: Newton's method from the weights before."""
        self._votes.append((a, b) if outcome == "a" else (b, a))
        D = self._differences()
        for _ in range(NEWTON):
            lost = 0.5 * (1 - np.tanh(0.5 * (D @ self._w)))  # chance of the other outcome
            gradient = D.T @ lost - LAMBDA * self._w
            hessian = (D.T * (lost * (1 - lost))) @ D + LAMBDA * np.eye(len(self._w))
            step = np.linalg.solve(hessian, gradient)
            self._w = self._w + step / max(1.0, float(np.abs(D @ step).max()))
            if np.abs(gradient).max() < 1e-9:
                break

    def best(self) -> int:
        """The row of the highest estimate among those shown."""
        shown = np.unique(np.array(self._votes)) if self._votes else np.arange(len(self._X))
        return int(shown[(self._X[shown] @ self._w).argmax()])

    def _differences(self) -> NDArray[np.float64]:
        """(T, d) winner minus loser."""
        winners, losers = np.array(self._votes).T
        differences: NDArray[np.float64] = self._X[winners] - self._X[losers]
        return differences


class Pdo:
    """The Prompt Duel Optimizer (Wu et al. 2025) on a pool that stays as it is: double Thompson sampling over ids.

    Recommended is the Copeland winner by win rates: the prompt that won most of its duels against the most others; of
    several, the one with the highest share of duels won, counting one win and one loss more.
    """

    def __init__(self, n_items: int, seed: int = 0) -> None:
        self._seed = seed
        self._selector = DoubleThompsonSampling()
        self._votes: list[Vote] = []
        self._wins = np.zeros((n_items, n_items))
        self._belief = BradleyTerry().init(n_items, Knowledge(), "cpu")  # selectors are given one; this one reads none

    def ask(self) -> PeerPair:
        """The pair of the two draws."""
        rng = stream(self._seed, "peer/pair", len(self._votes))
        pick = self._selector.select(self._belief, self._votes, Candidates(len(self._wins)), 1, rng)[0]
        return PeerPair(pick.a, pick.b)

    def tell(self, a: int, b: int, outcome: str) -> None:
        """Count one vote."""
        self._votes.append(Vote(a, b, ChoiceOutcome("a" if outcome == "a" else "b")))
        winner, loser = (a, b) if outcome == "a" else (b, a)
        self._wins[winner, loser] += 1

    def best(self) -> int:
        """The row of the Copeland winner."""
        beaten = (self._wins > self._wins.T).sum(1)
        won, lost = self._wins.sum(1), self._wins.sum(0)
        return int(np.lexsort([-(won + 1) / (won + lost + 2), -beaten])[0])


class SuccessiveHalving:
    """Successive halving (Karnin et al. 2013, ICML; Jamieson and Talwalkar 2016) with duels in place of pulls.

    Every round shares the same number of votes evenly over the survivors, paired at random, and keeps the half that won
    the most of them, ties by all duels so far. votes: the budget. Where it does not let all items duel once in the
    first round, it begins with as many random ones as it does: 24 of them for 60 votes, 74 for 260.
    """

    def __init__(self, n_items: int, votes: int, seed: int = 0) -> None:
        self._seed = seed
        start = n_items
        while start > 2 and (start + 1) // 2 * ceil(log2(start)) > votes:
            start -= 1
        self._survivors = np.sort(stream(seed, "peer/start").permutation(n_items)[:start])
        self._each = max(1, votes // ceil(log2(start)))
        self._wins, self._duels = np.zeros(n_items), np.zeros(n_items)
        self._lead, self._met = np.zeros(n_items), np.zeros(n_items)  # of this round: wins less losses, duels
        self._cast = 0

    def ask(self) -> PeerPair:
        """Two of those that have duelled least in this round, at random."""
        luck = stream(self._seed, "peer/pair", self._cast).random(len(self._survivors))
        a, b = self._survivors[np.lexsort([luck, self._met[self._survivors]])[:2]]
        return PeerPair(int(a), int(b))

    def tell(self, a: int, b: int, outcome: str) -> None:
        """Count one duel; after the last one of a round, the weaker half is out."""
        winner, loser = (a, b) if outcome == "a" else (b, a)
        self._lead[winner] += 1
        self._lead[loser] -= 1
        self._wins[winner] += 1
        self._met[[a, b]] += 1
        self._duels[[a, b]] += 1
        self._cast += 1
        if self._cast % self._each == 0 and len(self._survivors) > 2:
            self._survivors = np.sort(self._rank_survivors()[: (len(self._survivors) + 1) // 2])
            self._lead[:] = self._met[:] = 0

    def best(self) -> int:
        """The row of the survivor that stands first."""
        return int(self._rank_survivors()[0])

    def _rank_survivors(self) -> NDArray[np.int64]:
        """The survivors, the one with the most wins of this round first; of several, by the share of all duels won."""
        survivors = self._survivors
        rate = (self._wins[survivors] + 1) / (self._duels[survivors] + 2)
        ranked: NDArray[np.int64] = survivors[np.lexsort([survivors, -rate, -self._lead[survivors]])]
        return ranked
