"""Humans answer by lot, the machine judges the rest, and all are taken at their word."""

from __future__ import annotations

from elicit.routers._drawing import HearsAll
from elicit.routers._labelling import AsAnswered


class Random(HearsAll):
    """Every query has the same chance: the share that can be afforded."""

    def __init__(self) -> None:
        super().__init__(AsAnswered())
