"""A process beside this one that answers requests: one JSON object a line on its stdin, its answers on its stdout."""

from __future__ import annotations

import asyncio
import faulthandler
import inspect
import logging
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from elicit.diagnostics import FILE, configure_logging, log_to_folder, open_stderr
from elicit.plugins import user_files
from elicit.safe_text import describe_error, harmless
from elicit.types import BadInputError

logger = logging.getLogger(__name__)

T = TypeVar("T")
GONE, SAVED = "the engine has stopped", "every vote it confirmed is saved"
PLUGIN = -1
"""The number under which the process tells that a user's plug-in is called there, or is not any more."""
LONGEST = 1 << 28
"""Bytes of a line."""
PATIENCE = 1800.0
"""Seconds after which an answer, or the beginning, will not come any more: the process is ended."""
CLOSING = 10.0
"""Seconds that the process has to end by itself when it is closed."""
ALONE = 120.0
"""Seconds that it has when whoever started it is gone, to keep what calls under way bring."""


class _Reply(msgspec.Struct):
    id: int
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None


class Caller:
    """This end: calls methods of what a module of ours `answer`s in a process of its own; made with `start`."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        self._log = folder / FILE
        self._plugins = Counter[str]()
        self._waiting: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._number = 0
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, module: str, folder: Path, *arguments: str) -> Self:
        """Start `python -m module folder arguments...`; its stderr goes to the log of the study in that folder.

        Raises BadInputError with its sentence where it cannot begin, ConnectionError where it ends or does not answer.
        """
        log = open_stderr(folder)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                module,
                str(folder),
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log or asyncio.subprocess.DEVNULL,
                limit=LONGEST,
                start_new_session=True,  # an interrupt at the keyboard is for whoever started it
            )
        finally:
            if log:
                log.close()
        caller = cls(process, folder)
        ready = caller._expect(0)
        caller._reader = asyncio.create_task(caller._read())
        try:
            await caller._reply(ready)
        except BaseException:
            await caller.close()
            raise
        return caller

    @property
    def _gone(self) -> str:
        """That the process has ended, and whose code it was in as far as is known."""
        inside = " and ".join(plugin for plugin, calls in self._plugins.items() if calls > 0)
        return f"{GONE}{f' in a call of {inside}' if inside else ''}; {SAVED}; {self._log} may tell why"

    @property
    def gone(self) -> bool:
        """Whether the process has ended, or is about to."""
        stdin = self._process.stdin
        return stdin is None or stdin.is_closing() or (self._reader is not None and self._reader.done())

    async def call(self, kind: type[T], method: str, *arguments: Any) -> T:
        """The method's result.

        Raises BadInputError with its sentence, ConnectionError when the process is gone or does not answer.
        """
        if self.gone:
            raise ConnectionError(self._gone)
        assert self._process.stdin
        self._number += 1
        future = self._expect(self._number)
        request = {"id": self._number, "method": method, "arguments": arguments}
        self._process.stdin.write(msgspec.json.encode(request) + b"\n")
        return msgspec.json.decode(await self._reply(future), type=kind)

    async def close(self) -> None:
        """End the process; everything is on disk already."""
        if self._process.stdin:
            self._process.stdin.close()
        if not await self._wait_for_end():
            self._kill()
            if not await self._wait_for_end() and self._reader:  # another process that it left behind holds the pipe
                self._reader.cancel()
        if self._reader:
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _wait_for_end(self) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING):
                await self._process.wait()
        return self._process.returncode is not None

    def _expect(self, number: int) -> asyncio.Future[msgspec.Raw]:
        future: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        return future

    async def _reply(self, future: asyncio.Future[msgspec.Raw]) -> msgspec.Raw:
        try:
            async with asyncio.timeout(PATIENCE):
                return await future
        except TimeoutError:
            self._kill()
            raise ConnectionError(f"the engine did not answer for {PATIENCE:.0f} s; {self._gone}") from None

    def _kill(self) -> None:
        with suppress(ProcessLookupError):  # it may have ended in between
            self._process.kill()

    async def _read(self) -> None:
        assert self._process.stdout
        try:
            while (line := await self._process.stdout.readline()).endswith(b"\n"):  # else it died while it wrote
                reply = msgspec.json.decode(line, type=_Reply)
                if reply.id == PLUGIN:
                    plugin, begins = msgspec.json.decode(reply.result, type=tuple[str, bool])
                    self._plugins[plugin] += 1 if begins else -1
                    continue
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
                    future.set_exception(ConnectionError(self._gone))


def answer(folder: Path, make: Callable[[], Any]) -> None:
    """The other end: make what is to be called, of the study in this folder, and answer until stdin ends. It has
    `async def close`.

    Requests are answered beside each other, so that a slow one does not hold up the rest. The process outlives stdin by
    `ALONE` seconds at most, whatever it does then; where it was stuck is in the log.
    """
    # Stdout is the wire; what a user's plug-in prints goes to stderr instead.
    wire = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    faulthandler.enable()
    configure_logging()
    log_to_folder(folder)

    lock = threading.Lock()

    def send(reply: dict[str, Any]) -> None:
        with lock:
            wire.write(msgspec.json.encode(reply) + b"\n")
            wire.flush()

    def tell_of(plugin: str, begins: bool) -> None:
        with suppress(OSError):  # whoever started this is gone, and what is under way is still to be kept
            send({"id": PLUGIN, "result": (harmless(plugin), begins)})

    user_files.watchers.append(tell_of)

    async def reply_to(target: Any, request: dict[str, Any]) -> None:
        reply: dict[str, Any] = {"id": request["id"]}
        try:
            method = getattr(target, request["method"])
            kinds = [parameter.annotation for parameter in inspect.signature(method, eval_str=True).parameters.values()]
            values = [msgspec.convert(value, kind) for value, kind in zip(request["arguments"], kinds, strict=False)]
            send(reply | {"result": await method(*values)})
        except (BadInputError, msgspec.ValidationError) as error:
            send(reply | {"error": harmless(str(error))})
        except (KeyboardInterrupt, asyncio.CancelledError):
            raise
        except BaseException as error:  # whatever it is: who asked waits for a reply
            logger.exception("%s failed", request["method"])
            send(reply | {"error": f"the engine could not do this ({describe_error(error)}); your votes are saved"})

    requests: asyncio.Queue[bytes] = asyncio.Queue()

    def listen(loop: asyncio.AbstractEventLoop) -> None:
        # In a thread: that whoever started this is gone must be seen also while a plug-in blocks the loop.
        with open(0, "rb", closefd=False) as stdin, suppress(RuntimeError):
            for line in stdin:
                loop.call_soon_threadsafe(requests.put_nowait, line)
            faulthandler.dump_traceback_later(ALONE, exit=True)
            loop.call_soon_threadsafe(requests.put_nowait, b"")

    async def serve(target: Any) -> None:
        send({"id": 0, "result": None})
        tasks: set[asyncio.Task[None]] = set()
        while line := await requests.get():
            task = asyncio.create_task(reply_to(target, msgspec.json.decode(line)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        for task in tasks:
            task.cancel()
        await target.close()

    with asyncio.Runner() as runner:
        threading.Thread(target=listen, args=(runner.get_loop(),), daemon=True).start()
        try:
            target = make()
        except BadInputError as error:
            send({"id": 0, "error": harmless(str(error))})
            return
        except Exception as error:
            logger.exception("the engine could not begin")
            why = f"the engine could not begin ({describe_error(error)}); see {folder / FILE}"
            send({"id": 0, "error": why})
            return
        runner.run(serve(target))
