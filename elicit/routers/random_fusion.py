"""Humans answer by lot, and the labels are fused: what routing must beat."""

from __future__ import annotations

from elicit.routers._drawing import HearsAll
from elicit.routers._labelling import Fused
from elicit.routing import Case


class RandomFusion(HearsAll, Fused):
    """Every query has the same chance: the share that can be afforded."""

    def chance(self, case: Case, share: float) -> tuple[float, dict[str, float]]:
        return share, {}
