"""Simulated studies: an engine against utilities that are known, to measure how many votes it needs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from elicit.engine import Engine
from elicit.randomness import stream

Luck = Callable[[int], float]
"""Vote number -> the uniform that decides it, so that every method sees the same luck."""


@dataclass
class Run:
    """One simulated study.

    recommended: row recommended after each vote, (T,); cpu, wall: seconds of tell + ask for each vote, (T,).
    """

    recommended: list[int] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)


def simulate(
    engine: Engine,
    utilities: NDArray[np.float64],
    votes: int,
    luck: Luck,
    report: Callable[[int], None] = lambda _: None,
) -> Run:
    """Let a person with utilities (N,) in logits answer `votes` queries: a wins iff luck < sigmoid(u_a - u_b)."""
    run = Run()
    query = engine.ask()
    for t in range(votes):
        p = 1 / (1 + np.exp(utilities[query.b] - utilities[query.a]))
        cpu, wall = time.process_time(), time.perf_counter()
        engine.tell(query.a, query.b, "a" if luck(t) < p else "b")
        query = engine.ask()
        run.cpu.append(time.process_time() - cpu)
        run.wall.append(time.perf_counter() - wall)
        run.recommended.append(engine.best())
        report(t + 1)
    return run


def luck_of(seed: int) -> Luck:
    """The luck of one simulated person."""
    return lambda t: float(stream(seed, "luck", t).random())


def simple_regret(utilities: NDArray[np.float64], row: int) -> float:
    """(best - u[row]) / (best - mean): 0 is the best item, 1 an average one."""
    best = utilities.max()
    return float((best - utilities[row]) / max(best - utilities.mean(), 1e-12))


def votes_to_95(utilities: NDArray[np.float64], recommended: list[int], regret: float = 0.05) -> int:
    """Votes until the recommendation's regret stays within `regret`; one more than were cast if it never does."""
    settled = len(recommended) + 1
    for t in range(len(recommended), 0, -1):
        if simple_regret(utilities, recommended[t - 1]) > regret:
            break
        settled = t
    return settled
