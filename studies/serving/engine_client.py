"""The engine process of a served study, kept alive, and what an admin can ask of it. Loads no torch."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from adapters.rpc import Caller
from elicit.service.http_schema import Advanced, Replaying, ReplayJob, ServiceError
from elicit.service.views import FIRST_PAGE, Page, View

logger = logging.getLogger(__name__)
T = TypeVar("T")
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""Seconds before an engine that died is started again: doubled each time it dies at once."""
IDLE = 1.0
"""Seconds between two steps when nothing has happened."""
JOBS = 20
"""Replays whose results are remembered."""


class EngineClient:
    """A study's engine process. It may die: it is started again, and what it knew is in the log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.latest: Advanced | None = None
        self.down = "the engine is starting"
        self.wake = asyncio.Event()
        self._caller: Caller | None = None
        self._task: asyncio.Task[None] | None = None
        self._jobs: dict[str, ReplayJob] = {}
        self._replaying: dict[str, asyncio.Task[None]] = {}
        self._scratch = tempfile.TemporaryDirectory(prefix="elicit-")

    def begin(self, wanted: Callable[[], dict[str, int]], after_step: Callable[[], Awaitable[None]]) -> None:
        """Start it and keep it going. wanted: free queries to have, by pool; after_step: called after each step."""
        self._task = asyncio.create_task(self._keep_running(wanted, after_step))

    async def close(self) -> None:
        """End the process."""
        tasks = [task for task in (self._task, *self._replaying.values()) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._caller:
            await self._caller.close()
        self._scratch.cleanup()

    async def _keep_running(
        self, wanted: Callable[[], dict[str, int]], after_step: Callable[[], Awaitable[None]]
    ) -> None:
        pause = FIRST_WAIT
        while True:
            try:
                self._caller = await Caller.start("studies.serving.engine_process", self.folder)
                self.down = ""
                while True:
                    self.wake.clear()
                    self.latest = await self._caller.call(Advanced, "advance", wanted())
                    pause = FIRST_WAIT
                    await after_step()
                    if not self.latest.behind and (not self.latest.short or self.latest.why):
                        # Not wait_for, which before Python 3.12 loses a cancellation that comes with what it waits for.
                        with suppress(TimeoutError):
                            async with asyncio.timeout(IDLE):
                                await self.wake.wait()
            except Exception as error:  # whatever it is, an engine that stays away would stop the study in the end
                logger.exception("the engine has ended and is started again in %g s", pause)
                self.down = f"the engine is starting again ({error})"
                if self._caller:
                    await self._caller.close()
                self._caller = None
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_WAIT)

    async def _ask(self, kind: type[T], method: str, *arguments: Any) -> T:
        if self._caller is None:
            raise ServiceError(503, f"{self.down}; votes are taken all the same, ask for this again soon", 2.0)
        try:
            return await self._caller.call(kind, method, *arguments)
        except ConnectionError:
            raise ServiceError(503, "the engine has stopped and is started again; ask again soon", 2.0) from None

    # -- what an admin sees ---------------------------------------------------------------------------------

    async def show(self, view: View[Any, T], page: Page = FIRST_PAGE) -> T:
        """What a view of `studies.reporting.views` tells now."""
        return await self._ask(view.kind, "show", view.name, page)

    async def export(self, table: str, format: str) -> Path:  # noqa: A002
        """A table as a file, which whoever asked for it deletes."""
        path = Path(self._scratch.name) / f"{secrets.token_hex(8)}.{format}"
        await self._ask(int, "export", str(path), format, table)
        return path

    async def replay(self, replaying: Replaying) -> ReplayJob:
        """Begin a replay, in a process of its own; only one runs at a time. Raises ServiceError (429)."""
        if self._replaying:
            raise ServiceError(429, "a replay is running; wait for its result, then ask for another", 5.0)
        job = secrets.token_hex(8)
        self._jobs[job] = ReplayJob(job, False)
        for old in list(self._jobs)[:-JOBS]:
            del self._jobs[old]
        self._replaying[job] = asyncio.create_task(self._replay(job, replaying))
        return self._jobs[job]

    async def replayed(self, job: str) -> ReplayJob:
        """A replay, done or not. Raises ServiceError (404)."""
        if job not in self._jobs:
            raise ServiceError(404, f"there is no replay {job!r}; start one")
        return self._jobs[job]

    async def _replay(self, job: str, replaying: Replaying) -> None:
        options = ["--verify"] if not (replaying.selector or replaying.router) else []
        options += [f"--selector={replaying.selector}"] if replaying.selector else []
        options += [f"--router={replaying.router}"] if replaying.router else []
        process = None
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "elicit.cli", "replay", "--json", *options, "--", str(self.folder)),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await process.communicate()
        except asyncio.CancelledError:
            if process:
                process.kill()
                await process.wait()
            raise
        except OSError as error:
            self._jobs[job] = ReplayJob(job, True, None, f"the replay could not be started ({error.strerror})")
            return
        finally:
            del self._replaying[job]
        try:
            self._jobs[job] = ReplayJob(job, True, msgspec.json.decode(out, type=dict[str, Any]))
        except msgspec.DecodeError:
            lines = err.decode(errors="replace").strip().splitlines()
            self._jobs[job] = ReplayJob(job, True, None, lines[-1] if lines else "the replay ended without a result")
