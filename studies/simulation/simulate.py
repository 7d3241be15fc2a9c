"""Simulated studies: a method against a truth that is known, to measure how many votes it needs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from elicit.randomness import stream
from elicit.stats import sigmoid

Luck = Callable[[int], float]
"""Vote number -> the uniform that decides it, so that every method sees the same luck."""

Chance = Callable[[int, int], float]
"""Rows a < b -> the probability that a wins."""

Answer = Callable[[int, int, int], str]
"""Vote number and rows a < b -> how the vote ends: "a", "b" or "tie"."""


class PairQuery(Protocol):
    """A pair of rows that a method wants compared."""

    @property
    def a(self) -> int: ...

    @property
    def b(self) -> int: ...


class Method(Protocol):
    """What can be measured: it asks for a pair, is told who won, and recommends a row. The engine is one."""

    def ask(self) -> PairQuery:
        """The pair worth asking now."""
        ...

    def tell(self, a: int, b: int, outcome: str) -> None:
        """Learn one vote on rows a and b: "a" or "b" won."""
        ...

    def best(self) -> int:
        """The recommended row."""
        ...


@dataclass
class SimulatedRun:
    """One simulated study of T votes.

    pairs: rows shown, smaller first, (T, 2); recommended: row recommended after each vote, (T,); cpu, wall: seconds
    of tell + ask for each vote, (T,).
    """

    pairs: list[tuple[int, int]] = field(default_factory=list)
    recommended: list[int] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)


def simulate(
    method: Method,
    utilities: NDArray[np.float64],
    votes: int,
    luck: Luck,
    report: Callable[[int], None] = lambda _: None,
) -> SimulatedRun:
    """Let a person with utilities (N,) in logits answer `votes` queries on rows a < b.

    a wins iff luck < sigmoid(u_a - u_b).
    """
    return duel(method, lambda a, b: float(sigmoid(utilities[a] - utilities[b])), votes, luck, report)


def duel(
    method: Method, chance: Chance, votes: int, luck: Luck, report: Callable[[int], None] = lambda _: None
) -> SimulatedRun:
    """Answer `votes` queries: the smaller row of vote t wins iff luck(t) < chance(smaller, larger)."""
    return play(method, lambda t, low, high: "a" if luck(t) < chance(low, high) else "b", votes, report)


def play(method: Method, answer: Answer, votes: int, report: Callable[[int], None] = lambda _: None) -> SimulatedRun:
    """Answer `votes` queries as `answer` says."""
    run = SimulatedRun()
    process_time = clock(method)
    query = method.ask()
    for t in range(votes):
        low, high = min(query.a, query.b), max(query.a, query.b)
        said = answer(t, low, high)
        outcome = said if query.a == low or said == "tie" else "b" if said == "a" else "a"
        cpu, wall = process_time(), time.perf_counter()
        method.tell(query.a, query.b, outcome)
        query = method.ask()
        run.cpu.append(process_time() - cpu)
        run.wall.append(time.perf_counter() - wall)
        run.pairs.append((low, high))
        run.recommended.append(method.best())
        report(t + 1)
    return run


def clock(method: Method) -> Callable[[], float]:
    """Seconds of CPU: of this process, or by the method's own `process_time` where it computes in another."""
    seconds: Callable[[], float] = getattr(method, "process_time", time.process_time)
    return seconds


def luck_of(seed: int) -> Luck:
    """The luck of one simulated person."""
    return lambda t: float(stream(seed, "luck", t).random())


def regrets(utilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """(best - u) / (best - mean) of every item, (N,): 0 is the best item, 1 an average one."""
    best = utilities.max()
    scaled: NDArray[np.float64] = (best - utilities) / max(best - utilities.mean(), 1e-12)
    return scaled


def simple_regret(utilities: NDArray[np.float64], row: int) -> float:
    """(best - u[row]) / (best - mean): 0 is the best item, 1 an average one."""
    return float(regrets(utilities)[row])


def votes_to_95(utilities: NDArray[np.float64], recommended: list[int], regret: float = 0.05) -> int:
    """Votes until the recommendation's regret stays within `regret`; one more than were cast if it never does."""
    of = regrets(utilities)
    needed = len(recommended) + 1
    for t in range(len(recommended), 0, -1):
        if of[recommended[t - 1]] > regret:
            break
        needed = t
    return needed
