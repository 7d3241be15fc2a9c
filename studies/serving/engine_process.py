"""The engine of a served study, in a process of its own beside the one that takes the votes.

`python -m studies.serving.engine_process STUDY` answers what comes through its pipe (`adapters.rpc`): it reads the
votes from the log, learns them, keeps a stock of queries for whoever comes, lets machine judges answer what the router
gives them, and tells an admin what is believed. Nothing that an annotator waits for waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np

from adapters import rpc
from elicit.quality.findings import Finding
from elicit.safe_text import quantity
from elicit.service.http_schema import Advanced, AgreementView, AnnotatorRow, LeaderPage, MachineRow, PosteriorPage
from elicit.service.voting import Overview, RoutingView
from elicit.types import BadInputError
from studies.decisions import choose_batch, stop_of, votes_to_come, why_over
from studies.outlook import Outlook, outlook_by, progress
from studies.reporting import annotator_views, status
from studies.reporting.exports import export
from studies.reporting.routing_view import routing_view
from studies.routing.judges_lock import JudgesLock
from studies.run import RESUME, answer_in_background
from studies.serving.pages import following
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
    """What the server asks of the engine."""

    def __init__(self, study: Study) -> None:
        self._study = study
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
        study = self._study
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
        study = self._study
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
        state, budget = self._study.state, self._study.spec.votes
        votes_promised = sum(state.stock.values()) + sum(map(state.missing_judges, state.waiting))
        if len(state.votes) + votes_promised > budget - self._study.spec.serving.overlap:
            spent = f"the budget of {quantity(budget, 'vote')} is spent or under way"
            return f"{spent}; raise `votes` in study.toml to go on"
        return "every pair is answered or with somebody" if state.pairs else ""

    def _update_outlook(self) -> None:
        study, engine = self._study, self._study.catch_up(0)
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
                    self._study, self._until_few_wait, again=began >= self._retry_time, report=self._note_progress
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
            last_seq = self._study.state.seq
            while time.monotonic() < self._retry_time if self._paused else self._study.state.seq == last_seq:
                await asyncio.sleep(min(SLOWLY, RESUME))

    def _note_progress(self, queries: int, _: float) -> None:
        self._paused = self._paused and not queries  # people go on until a judge is seen to answer again

    async def _until_few_wait(self) -> None:
        """Wait while enough queries wait for people: those chosen later know more."""
        while len(self._study.state.waiting) >= self._most_waiting:
            await asyncio.sleep(SLOWLY / 10)

    # -- what an admin sees ---------------------------------------------------------------------------------

    async def overview(self) -> Overview:
        self._study.refresh()
        self._study.catch_up()
        self._update_outlook()
        study = self._study
        regret, p_best = (self._by_vote([look[k] for look in self._curve]) for k in (1, 2))
        return status.summarize(study).overview(progress(study), regret, p_best)

    def _by_vote(self, values: list[float]) -> tuple[float, ...]:
        """One value per vote, from 0 on: straight lines between the looks."""
        looks = [votes for votes, *_ in self._curve]
        every = np.interp(range(looks[-1] + 1), looks, values)
        return tuple(float(value) for value in every.round(4))

    async def leaderboard(self, after: int, limit: int) -> LeaderPage:
        rows = status.summarize(self._study).leaders
        return LeaderPage(rows[after : after + limit], following(after, limit, len(rows)), self._study.state.folded)

    async def posterior(self, after: int, limit: int) -> PosteriorPage:
        study = self._study
        mean, sd = study.engine.utilities()
        p = study.engine.p_best()
        here = slice(after, after + limit)
        return PosteriorPage(
            items=tuple(item.id for item in study.state.items[here]),
            mean=tuple(mean[here].tolist()),
            sd=tuple(sd[here].tolist()),
            p_best=tuple(p[here].tolist()),
            next=following(after, limit, len(mean)),
            model_version=study.state.folded,
        )

    async def routing(self) -> RoutingView | None:
        return routing_view(self._study)

    async def agreement(self) -> AgreementView:
        return annotator_views.agreement_view(self._study)

    async def annotators(self) -> tuple[AnnotatorRow, ...]:
        self._study.refresh()
        fresh = self._findings is not None and len(self._study.state.votes) < self._votes_checked + CHECKED
        return annotator_views.annotator_rows(self._study, (fresh and self._findings) or await self._examine())

    async def _examine(self) -> tuple[Finding, ...]:
        """What the checks of conduct find now."""
        self._votes_checked = len(self._study.state.votes)
        self._findings = await asyncio.to_thread(annotator_views.examination(self._study))
        return self._findings

    async def judges(self) -> tuple[MachineRow, ...]:
        return annotator_views.machine_rows(self._study)

    async def export(self, path: str, format: Literal["csv", "jsonl", "parquet"], table: str) -> int:  # noqa: A002
        self._study.refresh()
        return export(self._study, path, table, format)

    async def close(self) -> None:
        if self._machines:
            self._machines.cancel()
            with suppress(asyncio.CancelledError):
                await self._machines
        self._lock.release()
        self._study.close()


def main() -> None:
    """Model the study named on the command line, beside the process that serves it."""
    import sys

    folder = Path(sys.argv[1])
    rpc.answer(folder, lambda: EngineProcess(Study.open(folder, beside=True)))


if __name__ == "__main__":
    main()
