"""The protocol of judges: whoever or whatever answers a query without a screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

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
