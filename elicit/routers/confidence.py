"""A human where the machine judges are least confident; all are taken at their word."""

from __future__ import annotations

import numpy as np

from elicit.routers._drawing import HearsAll
from elicit.routers._labelling import AsAnswered
from elicit.routing import Case, Pace


class Confidence(HearsAll, AsAnswered):
    """The confidence is |p - 1/2| of the mean log-odds."""

    def __init__(self) -> None:
        self.pace = Pace()

    def chance(self, case: Case, share: float) -> tuple[float, dict[str, float]]:
        doubt = 0.5 - abs(0.5 * float(np.tanh(case.logit / 2)))
        return self.pace.chance(doubt, share), {"doubt": doubt}
