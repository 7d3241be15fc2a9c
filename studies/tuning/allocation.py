"""Which proposer may make how many of the next prompts: the more the likelier its children win.

Thompson sampling with forgetting (Raj and Kalyani 2017, "Taming non-stationary bandits", discounted Beta posteriors):
proposers run dry, and what has run dry may come back once the pool has changed.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

FORGETTING = 0.9
"""What a child counts beside one of the generation after it."""
PRIOR = (0.5, 1.0)
"""Wins and losses a proposer starts with: one child in three beats the best. A flat (1, 1) hopes for longer than the
win rates of prompt searches bear out, which are nearer to one in ten."""
SPREAD = 0.15
"""Share of all children that is dealt out blindly: nothing is known of a proposer that is never asked."""


class Record(msgspec.Struct, frozen=True):
    """What has become of a proposer's children. chances: for each generation, the newest last, the probability for each
    child that it beats the best prompt there was at its birth; 0 for one that was not fit to join. cost: money."""

    chances: tuple[tuple[float, ...], ...] = ()
    cost: float = 0.0

    @property
    def cost_per_child(self) -> float:
        """Money for a child, 0 where there is none yet."""
        return self.cost / max(1, sum(map(len, self.chances)))


def allot(
    k: int, records: Mapping[str, Record], rng: np.random.Generator, *, wins_for_money: float = 0.0
) -> dict[str, int]:
    """How many of k children each proposer is to make; sums to k.

    wins_for_money: how much of a win a unit of money could buy elsewhere; it is charged for what a child costs.
    A proposer that had no child for so many generations that a blind deal would have given it two is served first.
    """
    names = list(records)
    allotted = dict.fromkeys(names, 0)
    for name in sorted(names, key=lambda name: -_idle(records[name])):
        if sum(allotted.values()) < k and _idle(records[name]) * k * SPREAD >= 2 * len(names):
            allotted[name] += 1
    for _ in range(k - sum(allotted.values())):
        if rng.random() < SPREAD:
            allotted[names[int(rng.integers(len(names)))]] += 1
            continue
        worth = [_draw(records[name], rng) - wins_for_money * records[name].cost_per_child for name in names]
        allotted[names[int(np.argmax(worth))]] += 1
    return allotted


def _idle(record: Record) -> int:
    """How many generations have passed since its last child."""
    return next((age for age, generation in enumerate(reversed(record.chances)) if generation), len(record.chances))


def _draw(record: Record, rng: np.random.Generator) -> float:
    won, lost = PRIOR
    for age, generation in enumerate(reversed(record.chances)):
        won += FORGETTING**age * sum(generation)
        lost += FORGETTING**age * (len(generation) - sum(generation))
    return float(rng.beta(won, lost))
