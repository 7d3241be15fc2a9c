"""The protocol of judges: whoever or whatever answers a query without a screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from elicit.types import Item, JudgeFailure, Query, Vote


class Judge(Protocol):
    """Answers queries of one study. One file in `adapters/judges/`; its name is the file's name."""

    def begin(self, name: str, items: Sequence[Item], pairs: Sequence[tuple[str, int, int]], folder: Path) -> None:
        """Get to know the study: this judge's name in the log, its items, its listed pairs (id, row, row), its folder.

        Raises BadInputError where the judge cannot work on this study.
        """
        ...

    async def judge(self, query: Query) -> Vote | JudgeFailure:
        """The judge's vote on the query, or why there is none."""
        ...


class CostEstimate(msgspec.Struct, frozen=True):
    """What answering queries would cost at most; `cost` in the money of the judge's prices, None where it has none."""

    queries: int
    calls: int
    tokens_in: int
    tokens_out: int
    cost: float | None


@runtime_checkable
class ModelJudge(Judge, Protocol):
    """A judge that asks a model over a network: it may be down, and costs money."""

    async def check(self) -> None:
        """Make sure, at no cost, that it can answer. Raises BadInputError, which says how to test it, where not."""
        ...

    def estimate(self, queries: int) -> CostEstimate:
        """What answering so many queries of the study would cost, without asking anybody."""
        ...

    async def end(self) -> None:
        """Keep what calls under way bring, and close everything; the judge may be asked again."""
        ...


@runtime_checkable
class QuestionedJudge(Judge, Protocol):
    """A judge that can be put the question that people are asked."""

    def put(self, question: str) -> None:
        """Judge by this question, unless its own options have one; before it begins."""
        ...


@runtime_checkable
class TaughtJudge(Judge, Protocol):
    """A judge that can be shown how people voted."""

    def learn_from(self, votes: Sequence[Vote]) -> None:
        """Take people's votes as examples, oldest first; replaces those taken before."""
        ...
