"""Humans answer by lot, the machine judges the rest, and all are taken at their word."""

from __future__ import annotations

from elicit.routers._drawing import HearsAll
from elicit.routers._labelling import AsAnswered
from elicit.routing import Case


class Random(HearsAll, AsAnswered):
    """Every query has the same chance: the share that can be afforded."""

    def chance(self, case: Case, share: float) -> tuple[float, dict[str, float]]:
        return share, {}
