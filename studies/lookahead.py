"""Looking ahead: while a person reads, what follows each possible answer is computed in a thread of its own.

A decision is a pure function of the log, so a branch computed ahead is exactly what would have been computed after
the vote; taking it is only a matter of not waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elicit.types import ChoiceOutcome, Outcome, Query

if TYPE_CHECKING:
    from elicit.engine import Engine
    from elicit.stopping import Stop

# The likeliest answers first.
ANSWERS: tuple[Outcome, ...] = (
    ChoiceOutcome("a"),
    ChoiceOutcome("b"),
    ChoiceOutcome("tie"),
    *(ChoiceOutcome(side, strength) for strength in (2, 3, 1) for side in ("a", "b")),
    ChoiceOutcome("skip"),
    ChoiceOutcome("both_bad"),
)


@dataclass(frozen=True)
class Branch:
    """The study after one answer: its engine, the query that comes next (None: nothing), and the stop decision."""

    engine: Engine
    query: Query | None
    stop: Stop


class Lookahead:
    """Computes branches for one open query at a time.

    Everything is keyed by what the study looked like; a result under another key is never used.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="lookahead")
        self._guard = threading.Lock()
        self._key: Hashable = None
        self._number = 0
        self._running: dict[Outcome, Future[Branch]] = {}
        self._current: tuple[Hashable, Branch] | None = None

    def start(self, key: Hashable, number: int, branch: Callable[[Outcome], Branch]) -> None:
        """Begin with the answers to query `number`; branch: makes that of an answer, of nothing that may change."""
        with self._guard:
            if self._key == key and self._number == number:
                return
            self._cancel()
            self._key, self._number = key, number
            self._running = {answer: self._pool.submit(branch, answer) for answer in ANSWERS}

    def take(self, key: Hashable, number: int, outcome: Outcome) -> Branch | None:
        """The branch of this answer, waiting for it where it is being computed; None where it was never begun.

        Answers not yet begun are dropped.
        """
        with self._guard:
            if self._key != key or self._number != number:
                return None
            future = self._running.pop(outcome)
            self._cancel()
            if future.cancel():
                return None
        try:
            return future.result()
        except Exception:  # whoever computes it again, without hurry, meets the same fault and can say so
            return None

    def set_current(self, key: Hashable, branch: Branch) -> None:
        """The study has become this branch; `key` is what it looks like now."""
        self._current = (key, branch)

    def current_branch(self, key: Hashable) -> Branch | None:
        """The branch the study has become, while nothing else has happened."""
        return self._current[1] if self._current and self._current[0] == key else None

    def finished_branches(self, key: Hashable, timeout: float) -> list[Branch]:
        """The branches that are there within `timeout` seconds."""
        with self._guard:
            if self._key != key:
                return []
            running = list(self._running.values())
        done = wait(running, timeout).done
        return [f.result() for f in running if f in done and not f.cancelled() and f.exception() is None]

    def close(self) -> None:
        """Drop what is not begun and wait for what is."""
        with self._guard:
            self._cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _cancel(self) -> None:
        for future in self._running.values():
            future.cancel()
        self._running, self._key, self._number = {}, None, 0
