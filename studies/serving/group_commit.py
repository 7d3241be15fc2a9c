"""Many writers of one log in one process: what they append at the same time goes to disk in one transaction."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from elicit.log.events import AnyBody, Event
from elicit.log.ledger import Ledger
from elicit.log.state import State
from elicit.service.http_schema import ServiceError
from elicit.types import BadInputError

FULL = 507


class GroupCommitter:
    """Appends to a ledger and folds what is on disk into `state`, in the log's order, what other processes wrote too.

    on_event: called with every event after it is folded. All methods belong to one event loop.
    """

    def __init__(self, ledger: Ledger, state: State, on_event: Callable[[Event], None]) -> None:
        self._ledger, self._state, self._on_event = ledger, state, on_event
        self._queue: list[tuple[tuple[AnyBody, ...], asyncio.Future[list[Event]]]] = []
        self._has_work = asyncio.Event()
        self._closing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._task = asyncio.create_task(self._run())

    async def commit(self, *bodies: AnyBody) -> list[Event]:
        """Append events, on disk and folded when this returns; without any, fold what others wrote.

        Raises ServiceError (507) where the disk is full or gone, (503) where this is closed, BadInputError for what
        cannot be recorded; nothing is half-written then.
        """
        if self._closing:
            raise ServiceError(503, "the server is stopping and nothing was saved; send this again soon", 2.0)
        future: asyncio.Future[list[Event]] = asyncio.get_running_loop().create_future()
        self._queue.append((bodies, future))
        self._has_work.set()
        # A client that hangs up must not leave a vote half-way between disk and state.
        return await asyncio.shield(future)

    async def read(self, since: int, most: int) -> list[Event]:
        """The log after event `since`, up to so many events of it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: list(islice(self._ledger.read(since), most)))

    async def close(self) -> None:
        """Finish what is queued or on its way to disk, tell whoever waits for it, and stop; the ledger stays open."""
        self._closing = True
        self._has_work.set()
        await self._task
        self._thread.shutdown(wait=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue or not self._closing:
            await self._has_work.wait()
            self._has_work.clear()
            batch, self._queue = self._queue, []
            try:
                results = await loop.run_in_executor(self._thread, self._write, [bodies for bodies, _ in batch])
            except Exception as error:
                results = [_refusal(error)] * len(batch)
            for (bodies, future), result in zip(batch, results, strict=True):
                if isinstance(result, BaseException):
                    _settle(future, result)
                    continue
                try:
                    for event in result:
                        if event.seq > self._state.seq:
                            self._state.fold(event)
                            self._on_event(event)
                except Exception as error:  # one event that cannot be folded must not end the taking of votes
                    _settle(future, error)
                    continue
                _settle(future, result[len(result) - len(bodies) :])

    def _write(self, batch: list[tuple[AnyBody, ...]]) -> list[list[Event] | Exception]:
        """The events of each writer, preceded by what others wrote since; in the ledger's thread."""
        try:
            events = self._ledger.append([body for bodies in batch for body in bodies]) if any(batch) else []
        except BadInputError as error:
            if len(batch) == 1:
                return [_refusal(error)]
            return [self._write([bodies])[0] for bodies in batch]  # one of them is at fault, or all
        try:
            missed_events = (
                [] if events and events[0].seq == self._state.seq + 1 else list(self._ledger.read(self._state.seq))
            )
        except BadInputError:  # what was appended is on disk: a refusal for good would be wrong
            raise ServiceError(503, "the study's log cannot be read now; send this again", 1.0) from None
        missed_events = [event for event in missed_events if not events or event.seq < events[0].seq]
        parts: list[list[Event] | Exception] = []
        start = 0
        for bodies in batch:
            parts.append([*missed_events, *events[start : start + len(bodies)]])
            start, missed_events = start + len(bodies), []
        return parts


def _refusal(error: Exception) -> Exception:
    """What whoever wanted to write is told; not where on the server's disk the log is."""
    if isinstance(error, BadInputError) and isinstance(error.__cause__, sqlite3.Error):
        why = f"the study's log could not be written ({error.__cause__})"
        return ServiceError(FULL, f"{why}; nothing was saved, send this again when there is room")
    return error


def _settle(future: asyncio.Future[list[Event]], result: list[Event] | BaseException) -> None:
    if future.cancelled():
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
