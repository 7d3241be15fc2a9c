"""`StudyService` over the engine process on this machine. Loads no torch."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from elicit.service import Answer, Ballot, Overview, PastVote, Routing, StudyCard, Turn
from elicit.types import BadInputError

T = TypeVar("T")
GONE = "the engine has stopped; every vote it confirmed is saved"


class _Reply(msgspec.Struct):
    id: int
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None


class LocalService:
    """A study served by an engine process of its own; made with `start`.

    Every method raises BadInputError with the engine's sentence, and ConnectionError when the engine is gone.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._number = 0
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, folder: Path, judge: str = "") -> Self:
        """Start the engine on a study.

        Raises BadInputError where the study cannot be opened.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "studies.host",
            str(folder),
            judge,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=1 << 28,
            start_new_session=True,  # an interrupt at the keyboard is for the screen, not for the engine
        )
        service = cls(process)
        ready = asyncio.get_running_loop().create_future()
        service._waiting[0] = ready
        service._reader = asyncio.create_task(service._read())
        try:
            await ready
        except BaseException:
            await service.close()
            raise
        return service

    async def card(self) -> StudyCard:
        return await self._call(StudyCard, "card")

    async def turn(self) -> Turn:
        return await self._call(Turn, "turn")

    async def vote(self, answer: Answer) -> Turn:
        return await self._call(Turn, "vote", answer)

    async def undo(self) -> Turn | None:
        return await self._call(Turn | None, "undo")  # type: ignore[arg-type]

    async def upcoming(self) -> tuple[Ballot, ...]:
        return await self._call(tuple[Ballot, ...], "upcoming")

    async def note(self, query: int, text: str) -> None:
        await self._call(type(None), "note", query, text)

    async def history(self, limit: int = 200) -> tuple[PastVote, ...]:
        return await self._call(tuple[PastVote, ...], "history", limit)

    async def overview(self) -> Overview:
        return await self._call(Overview, "overview")

    async def routing(self) -> Routing | None:
        return await self._call(Routing | None, "routing")  # type: ignore[arg-type]

    async def close(self) -> None:
        """End the engine process; everything is on disk already."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._reader:
            await self._reader

    async def _call(self, kind: type[T], method: str, *arguments: Any) -> T:
        if self._process.stdin is None or self._process.stdin.is_closing() or (self._reader and self._reader.done()):
            raise ConnectionError(GONE)
        self._number += 1
        future: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = future
        request = {"id": self._number, "method": method, "arguments": arguments}
        self._process.stdin.write(msgspec.json.encode(request) + b"\n")
        return msgspec.json.decode(await future, type=kind)

    async def _read(self) -> None:
        assert self._process.stdout
        try:
            while line := await self._process.stdout.readline():
                reply = msgspec.json.decode(line, type=_Reply)
                future = self._waiting.pop(reply.id, None)
                if future is None or future.done():
                    continue
                if reply.error is not None:
                    future.set_exception(BadInputError(reply.error))
                else:
                    future.set_result(reply.result)
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ConnectionError(GONE))
