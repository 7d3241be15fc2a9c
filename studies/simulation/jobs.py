"""Many runs: side by side in processes of one thread each, kept in a file so that they go on where they stopped."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elicit.arithmetic import requested_code_path
from elicit.log.events import ENGINE
from elicit.types import BadInputError, hash_of

Row = dict[str, Any]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """One run: `work(*arguments)` gives its rows; `name` is a JSON object that no other run of the bench has."""

    name: dict[str, Any]
    work: Callable[..., list[Row]]
    arguments: tuple[Any, ...]

    @property
    def key(self) -> str:
        """What the file of finished runs knows it by."""
        return hash_of(self.name)


@dataclass
class RunPlan:
    """How the runs are carried out.

    workers: processes, 0 for one per core; 1 runs in this process. out: file of finished runs. report: called with
    the number of finished runs.
    """

    workers: int = 0
    out: Path | None = None
    report: Callable[[int], None] = field(default=lambda _: None)


def measure(bench: str, setting: dict[str, Any], jobs: Sequence[Job], plan: RunPlan, fresh: bool = False) -> list[Row]:
    """The rows of all jobs in the jobs' order, each run once, whatever the order in which they finish.

    setting: what the rows depend on beside the jobs' names. fresh: every run gets a new process, one at a time, so
    that its memory and its time are its own.
    Raises BadInputError where `plan.out` holds runs of another bench or setting.
    """
    journal = Journal(plan.out, bench, setting)
    unfinished = [job for job in jobs if job.key not in journal.done]
    finished = len(jobs) - len(unfinished)
    plan.report(finished)
    workers = 1 if fresh else min(plan.workers or _cores(), len(unfinished))
    running = _run_side_by_side(unfinished, workers, fresh) if fresh or workers > 1 else _run_here(unfinished)
    with closing(running):
        for job, rows in running:
            journal.add(job, rows)
            finished += 1
            plan.report(finished)
    return [row for job in jobs for row in journal.done[job.key]]


class Journal:
    """The finished runs, in memory and, where there is a path, as JSON lines: the setting, then one line a run.

    A line is written whole or, after a crash, cut off; a cut-off line is dropped and its run made again.
    Raises BadInputError for a file that is something else, or that holds another bench or setting.
    """

    def __init__(self, path: Path | None, bench: str, setting: dict[str, Any]) -> None:
        self.path, self.done = path, dict[str, list[Row]]()
        if path is None:
            return
        head = {"bench": bench, "setting": setting}
        try:
            whole = path.read_bytes() if path.exists() else b""
            complete = whole[: whole.rfind(b"\n") + 1]
            if complete:
                self._read(path, complete.decode(), head)
            elif not whole or b'{"bench"'.startswith(whole[:8]):
                complete = json.dumps(head).encode() + b"\n"
            else:
                raise BadInputError(f"{path} is not a file of bench runs; give --out another name")
            if complete != whole:
                path.write_bytes(complete)
        except (OSError, UnicodeDecodeError) as error:
            raise BadInputError(f"{path} cannot be used for finished runs ({error}); give --out another name") from None

    def _read(self, path: Path, text: str, head: dict[str, Any]) -> None:
        for number, line in enumerate(text.splitlines(), start=1):
            try:
                entry = json.loads(line)
                if number > 1:
                    self.done[hash_of(entry["run"])] = list[Row](entry["rows"])
                    continue
                was = {"bench": entry["bench"], **entry["setting"]}
            except (ValueError, KeyError, TypeError):
                raise BadInputError(f"{path} line {number} is not a bench run; give --out another name") from None
            now = {"bench": head["bench"], **head["setting"]}
            if differs := [name for name in {**was, **now} if was.get(name) != now.get(name)]:
                name = differs[0]
                raise BadInputError(
                    f"{path} holds runs with {name} = {was.get(name)}, and now it is {now.get(name)}; "
                    "give the same setting, or --out another name"
                )

    def add(self, job: Job, rows: list[Row]) -> None:
        """Keep the rows of a finished run."""
        self.done[job.key] = rows
        if self.path is not None:
            with self.path.open("ab") as file:
                file.write(json.dumps({"run": job.name, "rows": rows}).encode() + b"\n")


Results = Generator[tuple[Job, list[Row]]]


def fingerprint(*arrays: NDArray[Any]) -> str:
    """Hash of the arrays' contents, so that a run is not taken for one on other data of the same name."""
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def versions() -> dict[str, Any]:
    """What else a decision depends on: the version of the engine's algorithm, torch's, and MKL's code path."""
    return {"engine": ENGINE, "torch": version("torch"), "code_path": requested_code_path()}


def _run_here(jobs: Sequence[Job]) -> Results:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for job in jobs:
            yield job, job.work(*job.arguments)
    finally:
        torch.set_num_threads(threads)


def _run_side_by_side(jobs: Sequence[Job], workers: int, fresh: bool) -> Results:
    context = multiprocessing.get_context("spawn")  # forking a process that has threads can hang
    others = set(multiprocessing.active_children())
    with (
        _one_thread(),
        ProcessPoolExecutor(
            max(1, workers), context, _begin_process, max_tasks_per_child=1 if fresh else None
        ) as executor,
    ):
        futures = {executor.submit(job.work, *job.arguments): job for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException as error:
            executor.shutdown(wait=False, cancel_futures=True)
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()
            if isinstance(error, BrokenProcessPool):
                raise BadInputError(
                    "a process of the bench was ended from outside, for want of memory perhaps; "
                    "run it again with fewer --workers"
                ) from None
            raise


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes started inside compute with one thread."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _begin_process() -> None:
    """In a fresh process: one thread; an interrupt is for the parent; end when the parent ends."""
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
