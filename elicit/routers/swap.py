"""A human where a machine judge changes its mind with the order of the two; all are taken at their word.

The check for position bias of Zheng et al. (2023), as a router.
"""

from __future__ import annotations

import numpy as np

from elicit.routers._drawing import HearsAll
from elicit.routers._labelling import AsAnswered
from elicit.routing import Case, Pace


class Swap(HearsAll, AsAnswered):
    """Asks by the share of the judges whose orders disagree; no query on which none does."""

    def __init__(self) -> None:
        self.pace = Pace()

    def chance(self, case: Case, share: float) -> tuple[float, dict[str, float]]:
        flips = float(np.mean([v.flips for v in case.verdicts.values()])) if case.verdicts else 0.0
        chance = self.pace.chance(flips, share)
        return chance if flips else 0.0, {"flips": flips}
