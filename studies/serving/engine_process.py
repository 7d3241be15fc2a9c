"""The engine of a served study, in a process of its own beside the one that takes the votes.

`python -m studies.serving.engine_process STUDY` answers what comes through its pipe (`adapters.rpc`): it reads the
votes from the log, learns them, keeps a stock of queries for whoever comes, lets machine judges answer what the router
gives them, and tells an admin what is believed. Nothing that an annotator waits for waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Set
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np

from adapters import rpc
from elicit.quality.findings import Finding
from elicit.safe_text import quantity
from elicit.service.http_schema import Advanced
from elicit.service.views import Page
from elicit.types import BadInputError
from studies.decisions import choose_batch, stop_of, votes_to_come, why_over
from studies.outlook import Outlook, outlook_by
from studies.reporting import annotator_views
from studies.reporting.exports import export
from studies.reporting.views import ADMIN_VIEWS, Curve
from studies.routing.judges_lock import JudgesLock
from studies.run import RESUME, answer_in_background
from studies.study import Study

logger = logging.getLogger(__name__)
CHUNK = 48
"""Votes learnt, and queries chosen, before the next request is looked at."""
SLOWLY = 1.0
"""Seconds between two looks at the stop rule while votes are still to be learnt, and between machine judges' turns."""
CHECKED = 50
"""Votes between two looks of the rules of conduct."""
POINTS = 400
"""Of the curves that an admin sees."""


class EngineProcess:
    """What the server asks of the engine; `studies.reporting.views.AdminViewer` of the study."""

    judge = None

    def __init__(self, study: Study) -> None:
        self.study = study
        self._look_time, self._votes_checked = 0.0, len(study.state.votes)
        self._findings: tuple[Finding, ...] | None = None
        self._outlook = Outlook(False, "", "", None)
        self._look_version = (-1, -1)
        self._curve: list[tuple[int, float, float]] = []
        self._most_waiting = 0
        self._machines: asyncio.Task[None] | None = None
        self._why_machines = ""
        self._paused, self._retry_time = False, 0.0
        self._lock = JudgesLock(study.folder)

    async def advance(self, wanted: dict[str, int]) -> Advanced:
        """Learn the next votes and let the stock have so many queries free, by pool ("" is any)."""
        study = self.study
        study.refresh()
        if study.spec.judges and study.spec.routing.router != "none":
            # People get what the router gives them, and what it has not seen would be bought twice; but nobody is kept
            # waiting for machines that do not answer.
            self._most_waiting, wanted = max(wanted.values(), default=0), wanted if self._paused else {}
            self._machines = self._machines or asyncio.create_task(self._run_judges())
        engine = study.catch_up(CHUNK)
        behind = len(study.state.votes) - len(engine.votes)
        short = sum(self._top_up(n, pool) for pool, n in wanted.items())
        if time.monotonic() > self._look_time + SLOWLY:
            self._update_outlook()
        if study.spec.serving.rules == "weigh" and len(study.state.votes) >= self._votes_checked + CHECKED:
            study.weigh(annotator_views.weighings(study, await self._examine()))
        now = self._outlook
        version = study.state.folded if not behind else study.state.votes[len(engine.votes) - 1].seq
        why = self._why_short() if short else ""
        return Advanced(
            version, behind, short, now.stop, now.why, now.votes_left, why, self._why_machines, ended=now.ended
        )

    def _top_up(self, wanted: int, pool: str) -> int:
        """Add queries of a pool until so many are free, a batch at a time; how many are still short."""
        study = self.study
        state, overlap = study.state, study.spec.serving.overlap
        fits = [q for q in state.stock if not pool or state.pool_of(state.asked[q].query.a) == pool]
        free = sum(max(0, state.free_places(query)) for query in fits)
        room = (
            study.spec.votes
            - len(state.votes)
            - sum(state.stock.values())
            - sum(map(state.missing_judges, state.waiting))
        )
        needed = min(-(-(wanted - free) // overlap), room // overlap)
        if needed <= 0:
            return max(0, wanted - free)
        engine = study.catch_up(0)
        queries = choose_batch(engine, state, min(needed, CHUNK), pool)
        if queries:
            study.stock(queries, pool)
        return max(0, wanted - free - overlap * len(queries))

    def _why_short(self) -> str:
        """Why the stock gets no more queries, or an empty string."""
        state, budget = self.study.state, self.study.spec.votes
        votes_promised = sum(state.stock.values()) + sum(map(state.missing_judges, state.waiting))
        if len(state.votes) + votes_promised > budget - self.study.spec.serving.overlap:
            spent = f"the budget of {quantity(budget, 'vote')} is spent or under way"
            return f"{spent}; raise `votes` in study.toml to go on"
        return "every pair is answered or with somebody" if state.pairs else ""

    def _update_outlook(self) -> None:
        study, engine = self.study, self.study.catch_up(0)
        at = (len(engine.votes), study.state.revised)
        if self._look_version == at:
            return
        stop = stop_of(engine, study.spec)
        self._outlook = outlook_by(stop, why_over(study.spec, study.state), votes_to_come(study.spec, study.state))
        earlier = [look for look in self._curve if look[0] < len(engine.votes)]
        self._curve = [*earlier, (len(engine.votes), stop.expected, float(engine.p_best()[engine.best()]))]
        if len(self._curve) > POINTS:
            del self._curve[1::2]
        self._look_time, self._look_version = time.monotonic(), at

    async def _run_judges(self) -> None:
        """Let machine judges answer what the router gives them, as long as there is something."""
        while True:
            while not self._lock.acquire():  # somebody's 'elicit run'
                self._why_machines = "the judges answer in another process"
                await asyncio.sleep(SLOWLY)
            began = time.monotonic()
            try:
                result = await answer_in_background(
                    self.study, self._until_few_wait, again=began >= self._retry_time, report=self._note_progress
                )
                self._why_machines = result.why
                self._paused = result.reason == "judges_paused"
            except BadInputError as error:
                logger.warning("machine judges stopped: %s", error)
                self._why_machines, self._paused = str(error), True
            except Exception as error:  # a plug-in's fault is told, and stops neither people nor the engine
                logger.exception("machine judges stopped")
                self._paused = True
                while isinstance(error, ExceptionGroup):
                    error = error.exceptions[0]
                self._why_machines = f"{type(error).__name__}: {error}"
            if began >= self._retry_time or self._paused:
                self._retry_time = time.monotonic() + RESUME
            last_seq = self.study.state.seq
            while time.monotonic() < self._retry_time if self._paused else self.study.state.seq == last_seq:
                await asyncio.sleep(min(SLOWLY, RESUME))

    def _note_progress(self, queries: int, _: float) -> None:
        self._paused = self._paused and not queries  # people go on until a judge is seen to answer again

    async def _until_few_wait(self) -> None:
        """Wait while enough queries wait for people: those chosen later know more."""
        while len(self.study.state.waiting) >= self._most_waiting:
            await asyncio.sleep(SLOWLY / 10)

    # -- what an admin sees ---------------------------------------------------------------------------------

    async def show(self, name: str, page: Page) -> Any:
        """What a view tells now."""
        return await ADMIN_VIEWS[name].compute(self, page)

    async def curves(self) -> tuple[Curve, Curve]:
        """See `studies.reporting.views.Viewer`; at the looks so far, the last of them now."""
        self.study.refresh()
        self.study.catch_up()
        self._update_outlook()
        looks = [votes for votes, *_ in self._curve]
        every = range(looks[-1] + 1)
        regret, p_best = (np.interp(every, looks, [look[k] for look in self._curve]).round(4) for k in (1, 2))
        return tuple(regret.tolist()), tuple(p_best.tolist())

    def hidden(self) -> Set[str]:
        """Nothing: whoever runs a study does not vote in it."""
        return frozenset()

    async def findings(self) -> tuple[Finding, ...]:
        """What the checks of conduct find, looked at again after some votes."""
        self.study.refresh()
        fresh = self._findings is not None and len(self.study.state.votes) < self._votes_checked + CHECKED
        return (fresh and self._findings) or await self._examine()

    async def _examine(self) -> tuple[Finding, ...]:
        """What the checks of conduct find now."""
        self._votes_checked = len(self.study.state.votes)
        self._findings = await asyncio.to_thread(annotator_views.examination(self.study))
        return self._findings

    async def export(self, path: str, format: Literal["csv", "jsonl", "parquet"], table: str) -> int:  # noqa: A002
        self.study.refresh()
        return export(self.study, path, table, format)

    async def close(self) -> None:
        if self._machines:
            self._machines.cancel()
            with suppress(asyncio.CancelledError):
                await self._machines
        self._lock.release()
        self.study.close()


def main() -> None:
    """Model the study named on the command line, beside the process that serves it."""
    import sys

    folder = Path(sys.argv[1])
    rpc.answer(folder, lambda: EngineProcess(Study.open(folder, beside=True)))


if __name__ == "__main__":
    main()
