"""`TuningService`, and with it `StudyService`, over the engine process on this machine. Loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from adapters.rpc import Caller
from elicit.log.events import Mark
from elicit.service.voting import Answer, Ballot, Board, Overview, PastVote, RoutingView, StudyCard, Turn


class LocalService:
    """A study served by an engine process of its own; made with `start`.

    Every method raises BadInputError with the engine's sentence, and ConnectionError when the engine is gone.
    """

    def __init__(self, engine: Caller) -> None:
        self._engine = engine

    @classmethod
    async def start(cls, folder: Path, judge: str = "") -> Self:
        """Start the engine on a study.

        Raises BadInputError where the study cannot be opened.
        """
        return cls(await Caller.start("studies.local.main", folder, judge))

    async def card(self) -> StudyCard:
        return await self._engine.call(StudyCard, "card")

    async def turn(self) -> Turn:
        return await self._engine.call(Turn, "turn")

    async def vote(self, answer: Answer) -> Turn:
        return await self._engine.call(Turn, "vote", answer)

    async def undo(self) -> Turn | None:
        return await self._engine.call(Turn | None, "undo")  # type: ignore[arg-type]

    async def upcoming(self) -> tuple[Ballot, ...]:
        return await self._engine.call(tuple[Ballot, ...], "upcoming")

    async def note(self, query: int, text: str) -> None:
        await self._engine.call(type(None), "note", query, text)

    async def history(self, limit: int = 200) -> tuple[PastVote, ...]:
        return await self._engine.call(tuple[PastVote, ...], "history", limit)

    async def overview(self) -> Overview:
        return await self._engine.call(Overview, "overview")

    async def routing(self) -> RoutingView | None:
        return await self._engine.call(RoutingView | None, "routing")  # type: ignore[arg-type]

    async def board(self) -> Board:
        return await self._engine.call(Board, "board")

    async def add(self, text: str, parent: int | None = None) -> Board:
        return await self._engine.call(Board, "add", text, parent)

    async def mark(self, row: int, mark: Mark) -> Board:
        return await self._engine.call(Board, "mark", row, mark)

    async def grow(self) -> Board:
        return await self._engine.call(Board, "grow")

    async def close(self) -> None:
        """End the engine process; everything is on disk already."""
        await self._engine.close()
