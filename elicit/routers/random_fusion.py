"""Humans answer by lot, and the labels are fused: what routing must beat."""

from __future__ import annotations

from elicit.routers._drawing import HearsAll
from elicit.routers._labelling import Fused


class RandomFusion(HearsAll):
    """Every query has the same chance: the share that can be afforded."""

    def __init__(self) -> None:
        super().__init__(Fused())
