"""A human where the machine judges are least confident; all are taken at their word."""

from __future__ import annotations

import numpy as np

from elicit.routers._drawing import HearsAll
from elicit.routers._labelling import AsAnswered
from elicit.routing.case import Case


class Confidence(HearsAll):
    """The score is the probability of the side that the judges' mean log-odds do not name."""

    def __init__(self) -> None:
        super().__init__(AsAnswered())

    def score(self, case: Case) -> float:
        return 0.5 - abs(0.5 * float(np.tanh(case.logit / 2)))
