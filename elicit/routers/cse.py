"""Cascaded selective evaluation: from the cheapest judge to the dearest, each stands where its confidence passes a
threshold at which humans are shown to agree (Jung, Brahman and Choi 2024, "Trust or Escalate").

The threshold comes from fixed-sequence testing: from the strictest on, each is tested against "more than `risk` of the
accepted verdicts are wrong" by the exact binomial tail, until the first is not rejected. The paper abstains where all
judges are unsure; here a human answers as long as the budget has one. Its simulated annotators need a judge that can be
prompted again; a recorded verdict's own probability stands in for them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elicit.routers._selective import NONE, Selective
from elicit.stats import binomial_at_most


class Cse(Selective):
    """level: the error of each test."""

    def __init__(self, risk: float = 0.2, calibration: float = 0.3, level: float = 0.1) -> None:
        super().__init__(risk, calibration)
        self.level = level

    def threshold(self, checked: Sequence[tuple[float, bool]]) -> float:
        accepted = NONE
        for least in sorted({sure for sure, _ in checked}, reverse=True):
            wrong = [error for sure, error in checked if sure >= least]
            # No number of correct verdicts below this could reject; the sequence starts where one can.
            if (1 - self.risk) ** len(wrong) > self.level:
                continue
            if binomial_at_most(int(np.sum(wrong)), len(wrong), self.risk) > self.level:
                break
            accepted = least
        return accepted
