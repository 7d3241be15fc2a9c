"""What is estimated of the voters beside the utilities: how readily they tie, slip, or call both bad."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from elicit.types import Outcome

SLIPS = np.array([0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7])
SLIP_PRIOR = np.array([0.25, 0.45, 0.18, 0.07, 0.03, 0.015, 0.005])
ANYBODY = None
"""The key of the estimate over all judges."""


@dataclass(frozen=True)
class Noise:
    """Counts of outcomes so far, and for each judge the log evidence (S,) of every share of SLIPS."""

    decided: int = 0
    ties: int = 0
    bad: int = 0
    slips: Mapping[str | None, np.ndarray] = field(default_factory=dict)

    @property
    def nu(self) -> float:
        """Davidson's tie parameter from the running share of ties, shrunk towards few.

        At x = 0 the tie share is nu / (2 + nu); most pairs are less even than that, hence the factor 1.5.
        """
        share = min(0.9, 1.5 * (self.ties + 0.5) / (self.ties + self.decided + 10.0))
        return 2 * share / (1 - share)

    @property
    def bar(self) -> float:
        """The utility, in logits over the pool's mean, below which an item is bad as often as not: two average items
        are both called bad as often as it happened so far, shrunk towards seldom."""
        share = ((self.bad + 0.5) / (self.bad + self.ties + self.decided + 10.0)) ** 0.5
        return float(np.log(share / (1 - share)))

    def lapse_rate(self, judge: str | None = ANYBODY, weight: float = 1.0) -> float:
        """The share of a judge's votes that say nothing: posterior mean over SLIPS; a vote of weight w is meant with
        probability w of what it would be."""
        weights = SLIP_PRIOR * np.exp(log - log.max()) if (log := self.slips.get(judge)) is not None else SLIP_PRIOR
        return 1 - weight * (1 - float(weights @ SLIPS / weights.sum()))

    def after(self, outcome: Outcome, judge: str, clean: float, chance: float) -> Noise:
        """With one more vote: clean is its probability without a slip, chance with one."""
        log = np.log((1 - SLIPS) * clean + SLIPS * chance)
        slips = {**self.slips, **{who: log + self.slips.get(who, 0.0) for who in (judge, ANYBODY)}}
        counts = {"tie": "ties", "both_bad": "bad"}
        counted = counts.get(outcome.choice, "decided")
        return replace(self, slips=slips, **{counted: getattr(self, counted) + 1})


@dataclass(frozen=True)
class FixedNoise(Noise):
    """What very many votes have shown, which those that follow do not change: the tie parameter and the share of slips,
    but for judges whose own slips are known."""

    tied: float = 0.0
    slipped: float = 0.0

    @property
    def nu(self) -> float:
        return self.tied

    def lapse_rate(self, judge: str | None = ANYBODY, weight: float = 1.0) -> float:
        has_slips = judge is not ANYBODY and judge in self.slips
        return super().lapse_rate(judge, weight) if has_slips else 1 - weight * (1 - self.slipped)
