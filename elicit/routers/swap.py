"""A human where a machine judge changes its mind with the order of the two; all are taken at their word.

The check for position bias of Zheng et al. (2023), as a router.
"""

from __future__ import annotations

import numpy as np

from elicit.routers._drawing import HearsAll
from elicit.routers._labelling import AsAnswered
from elicit.routing.case import Case


class Swap(HearsAll):
    """The score is the share of the judges whose orders disagree; where none does, no human is asked."""

    def __init__(self) -> None:
        super().__init__(AsAnswered())

    def score(self, case: Case) -> float:
        return float(np.mean([verdict.flips for verdict in case.verdicts.values()])) if case.verdicts else 0.0

    def chance(self, score: float, share: float) -> float:
        return super().chance(score, share) if score else 0.0
