"""The engine process of a study that tunes prompts: the same for voters, and a board for whoever tunes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from adapters.llm.target import DownError, SpentError
from elicit.log.events import Mark, Marked
from elicit.service.voting import Board, Progress, Turn
from elicit.types import BadInputError, Query
from studies.local.voting_host import VotingHost
from studies.outlook import progress, without_more
from studies.routing.judges_lock import JudgesLock
from studies.run import RESUME, answer_in_background
from studies.study import Study
from studies.tuning.board import board_of
from studies.tuning.tuner import Tuner

PATIENCE = 0.4
"""Seconds a voter's screen is kept waiting for responses before it is told what is being made."""
AGAIN = 10.0
"""Seconds after which a model that was down is tried again."""
MOST_WAITING = 4
"""Queries that may wait for people before machine judges are given more."""


class TuningHost(VotingHost):
    """`TuningService` over an open study that tunes prompts, for one judge."""

    def __init__(self, study: Study, judge: str) -> None:
        super().__init__(study, judge)
        self._tuner = Tuner(study, self._report)
        self._doing = "asking whether the model is there"
        self._begun: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[Query | None] | None = None
        self._beside: dict[str, asyncio.Task[Any]] = {}
        self._shown: tuple[tuple[int, str], Board] | None = None
        self._judges_from = self._resume_from = 0.0
        self._lock = JudgesLock(study.folder)
        self._failing = ""

    def _report(self, what: str, done: int, total: int) -> None:
        self._doing = f"making {what}, {done} of {total}" if done < total else ""

    async def turn(self) -> Turn:
        """The open ballot, or a fresh one; while its responses are made, none, and what is being made."""
        # What is under way is held by name: of two calls at once, the first to go on puts it away.
        try:
            begun = self._begun = self._begun or asyncio.create_task(self._begin())
            await asyncio.wait([begun], timeout=PATIENCE)
            if not begun.done():
                return Turn(None, self._progress(), again=PATIENCE, doing=self._doing or "making the first prompts")
            begun.result()
            asking = self._asking = self._asking or asyncio.create_task(self._tuner.ask(self.judge, grow=False))
            await asyncio.wait([asking], timeout=PATIENCE)
            if not asking.done():
                return Turn(None, self._progress(), again=PATIENCE, doing=self._doing or "making responses")
            if self._asking is asking:
                self._asking = None
            query = asking.result()
        except (DownError, SpentError) as error:
            self._forget_failed()
            if isinstance(error, DownError):
                return Turn(None, self._progress(), str(error), AGAIN)
            return Turn(None, without_more(self._progress(), str(error)), str(error))
        except BaseException:
            self._forget_failed()
            raise
        now = self._progress()
        if query is not None:
            self.study.look_ahead(self.judge)
        self._beside_voting()
        return Turn(self._ballot(query, now.mine + 1) if query else None, now)

    async def board(self) -> Board:
        doing = self._doing or self._failing
        now = (self.study.state.seq, doing)
        if (
            self._shown is None or self._shown[0] != now
        ):  # a screen asks every second, and reckoning takes a tenth of one
            self._shown = now, board_of(self.study, self._tuner, self._progress(), doing)
        return self._shown[1]

    async def add(self, text: str, parent: int | None = None) -> Board:
        row = self._tuner.add(text, self.judge, parent)
        self._start(f"trying row {row}", self._tuner.screen([row]))
        return await self.board()

    async def mark(self, row: int, mark: Mark) -> Board:
        state = self.study.state
        if not 0 <= row < len(state.items):
            raise BadInputError(f"there is no prompt in row {row}")
        if mark == "retired" and len(set(state.live()) - {row}) < 2:
            raise BadInputError("two prompts are needed to compare; let new ones join before you retire this one")
        self.study.record(Marked((row,), mark, self.judge, "by hand" if mark else ""))
        return await self.board()

    async def grow(self) -> Board:
        self._start("growing", self._tuner.grow(max(1, self._tuner.tuning.grow)))
        return await self.board()

    async def close(self) -> None:
        tasks = [*self._beside.values(), *(task for task in (self._asking, self._begun) if task is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._tuner.end()
        self._lock.release()
        await super().close()

    async def _begin(self) -> None:
        await self._tuner.begin()
        self._doing = ""  # fewer prompts than were asked for may have come of it

    def _progress(self) -> Progress:
        state, target = self.study.state, self.study.spec.votes
        if len(state.live()) >= 2:
            return progress(self.study, self.judge)
        return Progress(len(state.votes), 0, target, None, False, "the first prompts are being made")

    def _forget_failed(self) -> None:
        """What has failed is tried anew the next time."""
        if self._begun is not None and self._begun.done() and self._begun.exception() is not None:
            self._begun = None
        if self._asking is not None and self._asking.done():
            self._asking = None

    def _beside_voting(self) -> None:
        """What goes on while a person reads: responses for what may come next, new prompts, machine judges."""
        if self._tuner.due():
            self._start("growing", self._tuner.grow(self._tuner.tuning.grow))
        elif self._tuner.stale() and "growing" not in self._beside:
            self._start("measuring", self._tuner.remeasure())
        elif "growing" not in self._beside:
            self._start("ahead", self._tuner.prefetch(self.judge))
        routed = self.study.spec.judges and self.study.spec.routing.router != "none"
        due = routed and "judges" not in self._beside and time.monotonic() >= self._judges_from
        if due and self._lock.acquire():
            self._start("judges", self._work())

    async def _work(self) -> None:
        """Let machine judges answer what the router gives them; those that fail rest for a while."""
        now = time.monotonic()
        result = await answer_in_background(
            self.study, self._until_few_wait, self._tuner, again=now >= self._resume_from
        )
        if now >= self._resume_from:
            self._resume_from = now + RESUME
        self._failing = ""
        if result.reason == "judges_paused":
            self._judges_from = self._resume_from = time.monotonic() + RESUME
            self._failing = result.why

    def _start(self, name: str, answer_in_background: Coroutine[Any, Any, Any]) -> None:
        """Begin something beside, unless it is under way."""
        if name in self._beside:
            answer_in_background.close()
            return
        task = asyncio.create_task(answer_in_background)
        self._beside[name] = task

        def ended(task: asyncio.Task[Any]) -> None:
            del self._beside[name]
            error = None if task.cancelled() else task.exception()
            if error is not None:
                self._doing = f"{name} failed: {error}"
            elif not self._beside.keys() - {"judges"}:
                self._doing = ""

        task.add_done_callback(ended)

    async def _until_few_wait(self) -> None:
        """Wait while enough queries wait for people: those chosen later know more."""
        while len(self.study.state.waiting) >= MOST_WAITING:
            await asyncio.sleep(PATIENCE)
