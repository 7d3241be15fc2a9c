"""Headless work: configured judges answer what the study asks, until it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from adapters.llm.target import DownError, SpentError
from elicit.log.events import Consulted
from elicit.log.ledger import InUseError
from elicit.plugins import registry
from elicit.routing.judging import CostEstimate, Judge, ModelJudge, QuestionedJudge, TaughtJudge
from elicit.safe_text import quantity
from elicit.types import BadInputError, Query, Vote
from studies import spec as specs
from studies.decisions import WORKER, labelled_pairs, resumable, trusted_votes
from studies.routing.costs import cost, spent_on_machines
from studies.routing.dispatcher import Dispatcher
from studies.routing.failures import Failures
from studies.routing.judges_lock import JudgesLock
from studies.spec import QUESTION
from studies.study import Study
from studies.tuning.tuner import Tuner

RESUME = 60.0
"""Seconds after which work beside people asks judges again what they failed on, and those that were paused."""
CONCURRENCY = 8
"""Queries on their way at the same time, so that slow judges are not waited for one after the other."""

ReportAnswers = Callable[[int, float], None]
"""Called with the queries settled and the money spent so far."""
Reason = Literal[
    "asked_for",
    "stop_rule",
    "nothing_left",
    "elsewhere",
    "votes_spent",
    "money_spent",
    "judges_paused",
    "model_down",
]
"""Why a run ended: as many queries as were asked for are answered; the stop rule is met; there is nothing left to ask;
the judges answer in another process; the study's votes, or the money or the model calls, are spent; no judge answers
any more; the model that is tuned does not answer."""
DONE: tuple[Reason, ...] = ("asked_for", "stop_rule", "nothing_left", "elsewhere")
SPENT: tuple[Reason, ...] = ("votes_spent", "money_spent")


@dataclass(frozen=True)
class RunResult:
    """How a run ended. why: the same as a sentence, which names what judges that failed have said. answered: queries
    that were settled; failed: how often a judge could not answer; left: queries that are to be asked again for that
    reason; stopped: whether the stop rule was met in the end; query_only: whether all that failed can never be
    answered by the judges there are, which another run does not change."""

    reason: Reason
    why: str
    answered: int
    failed: int
    left: int
    stopped: bool
    query_only: bool = False

    def summary(self, votes: int) -> str:
        """The sentence, after how many votes there are and how often judges have failed."""
        return f"{quantity(votes, 'vote')}{f', {self.failed} failed: ' if self.failed else '; '}{self.why}"

    @property
    def exit_code(self) -> int:
        """0: done; 3: it stopped before the end, with everything saved."""
        if self.reason == "nothing_left":
            return 3 if self.left and not self.query_only else 0
        return 0 if self.reason in DONE or (self.reason in SPENT and self.stopped) else 3


def _describe_request(number: int, noun: str) -> str:
    return f"{quantity(number, noun)} {'was' if number == 1 else 'were'} asked for"


def start_judges(study: Study) -> dict[str, Judge]:
    """The configured judges, ready to answer.

    Raises BadInputError where none is configured, or one cannot work on this study.
    """
    judges: dict[str, Judge] = {}
    for spec in study.spec.judges:
        judge: Judge = registry.plugin("judge", spec.kind, dict(spec.options))
        if isinstance(judge, QuestionedJudge) and study.spec.question != QUESTION:
            judge.put(study.spec.question)
        judge.begin(spec.name, study.shown, study.state.pairs, study.folder)
        judges[spec.name] = judge
    if not judges:
        raise BadInputError(
            f"{study.folder / 'study.toml'} configures no judge; add a [[judges]] table (README, 'Judges'), "
            "or vote yourself with 'elicit vote'"
        )
    return judges


@contextmanager
def open_for_judges(folder: Path) -> Iterator[tuple[Study, bool]]:
    """The study, open for its judges to answer, also beside a process that has it; and whether they may: where they
    answer in another process already, they may not.

    Raises BadInputError where the study cannot be opened, or `study.toml` was edited since the process that has it
    opened it; and where that one tunes prompts, whose responses nobody else makes.
    """
    lock = JudgesLock(folder)
    mine = (folder / specs.FILE).is_file() and lock.acquire()
    try:
        try:
            study = Study.open(folder)
        except InUseError as error:
            study = Study.open(folder, beside=True)
            if mine and (study.spec.tuning is not None or _specification_changed(study)):
                edited = "; study.toml was edited since, which takes effect when that one is closed"
                study.close()
                raise BadInputError(f"{error}{'' if study.spec.tuning else edited}") from None
        with study:
            yield study, mine
    finally:
        lock.release()


def _specification_changed(study: Study) -> bool:
    file = specs.read(study.folder / specs.FILE)
    return bool(specs.changes(study.spec, file, len(study.state.votes)))


def estimates(study: Study, queries: int) -> dict[str, CostEstimate]:
    """What answering so many queries would cost each judge that asks a model; nobody is asked."""
    judges = start_judges(study)
    return {name: judge.estimate(queries) for name, judge in judges.items() if isinstance(judge, ModelJudge)}


def run(
    study: Study, votes: int | None, report: ReportAnswers, *, until_stop: bool = True, budget: float | None = None
) -> RunResult:
    """Settle up to `votes` queries more (None: until the stop rule or the budget).

    report: called after each. budget: money to spend at most, all runs together, instead of the study's. Interrupting
    loses nothing: every vote is in the log. A failure is no vote: a query that no judge can answer is asked again by
    the next run, and a judge that fails on several one after the other is paused until then. Raises BadInputError where
    no judge is configured, or one is down.
    """
    limit = study.spec.routing.budget if budget is None else budget
    judges = start_judges(study)
    for spec in study.spec.judges if limit is not None else ():
        judge = judges[spec.name]
        if spec.price is None and isinstance(judge, ModelJudge) and judge.estimate(1).cost is None:
            raise BadInputError(
                f"judge {spec.name!r}: a budget needs prices; add the options price_in and price_out, money for a "
                "million tokens (0 for a model of your own)"
            )
    return asyncio.run(_Run(study, judges, votes, report, until_stop, limit).begin())


def result_elsewhere(study: Study) -> RunResult:
    """How a run ends whose judges answer in another process already, as the log has it."""
    failures, machines = Failures(), {judge.name for judge in study.spec.judges if not judge.person}
    for event in study.events():
        if isinstance(event.body, Consulted) and event.body.judge in machines:
            failures.read(event.body)
    where = "the judges answer in another process, and go on there"
    if machines and failures.paused.keys() >= machines:
        why = "; ".join(["the judges are asked in another process, and none answers any more", *failures.describe()])
        return RunResult("judges_paused", why, 0, 0, len(resumable(study.spec, study.state)), False)
    return RunResult("elsewhere", where, 0, 0, 0, False)


async def answer_in_background(
    study: Study,
    until_few_wait: Callable[[], Awaitable[None]],
    tuner: Tuner | None = None,
    *,
    again: bool = True,
    report: ReportAnswers = lambda *_: None,
) -> RunResult:
    """Let the configured judges answer, beside people, what the router gives them, until the stop rule, the budget or
    the last pair. until_few_wait: waits until people can be given more. tuner: of a study that tunes prompts, begun.
    again: ask again what judges have failed on before. report: called after each query.

    Raises as `run` does, but a judge that is down is paused.
    """
    limit = study.spec.routing.budget
    working = _Run(study, start_judges(study), None, report, True, limit, until_few_wait, tuner, beside=True)
    return await working.begin(again)


async def _at_once() -> None:
    """There is always room where nobody is waited for."""


@dataclass
class _Run:
    study: Study
    judges: dict[str, Judge]
    votes: int | None
    report: ReportAnswers
    until_stop: bool
    limit: float | None
    until_few_wait: Callable[[], Awaitable[None]] = _at_once
    tuner: Tuner | None = None
    beside: bool = False
    """Whether it is part of what a process does that people vote in."""
    failures: Failures = field(default_factory=Failures)
    answered: int = 0
    again: list[int] = field(default_factory=list)
    """Queries to resume before new ones are asked."""

    async def begin(self, again: bool = True) -> RunResult:
        """Run to the end."""
        study, models = self.study, [judge for judge in self.judges.values() if isinstance(judge, ModelJudge)]
        own = Tuner(study) if study.spec.tuning is not None and self.tuner is None else None
        self.tuner = self.tuner or own
        try:
            await self._check()
            if own is not None:
                await own.begin()
            people = [live.vote for live in trusted_votes(study.spec, study.state)]
            for judge in self.judges.values():
                if isinstance(judge, TaughtJudge):
                    judge.learn_from(people)
            self.again = resumable(study.spec, study.state) if again else []
            if study.spec.routing.router == "none":
                return self._result(*await self._run_one_by_one())
            return self._result(*await self._run_routed())
        except DownError as error:
            return self._result("model_down", str(error))
        except SpentError as error:
            return self._result("money_spent", str(error))
        finally:
            for model in models:
                await model.end()
            if own is not None:
                await own.end()

    async def _check(self) -> None:
        for name, judge in self.judges.items():
            if isinstance(judge, ModelJudge):
                try:
                    await judge.check()
                except BadInputError as error:
                    if not self.beside:
                        raise
                    self.failures.paused[name] = str(error)

    async def _next_query(self, judge: str) -> Query | None:
        """The next query for a machine judge of that name: the open one, one that failed before, or a new one."""
        while self.again and judge not in self.study.state.open:
            if (query := self.study.resume(self.again.pop(0), judge)) is not None:
                return query
        if self.tuner is not None:
            return await self.tuner.ask(judge, waiting=False)
        return self.study.ask(judge, waiting=False)

    def _nothing_left(self, judge: str) -> tuple[Reason, str]:
        """Why there is no next query."""
        state = self.study.state
        why = self.study.exhausted(judge, waiting=False) or "no pair is left to ask"
        done = bool(state.pairs) and state.listed_pairs() <= labelled_pairs(state)
        return "votes_spent" if self.study.votes_spent(judge) and not done else "nothing_left", why

    def _result(self, reason: Reason, why: str) -> RunResult:
        study = self.study
        open_ = [] if reason == "stop_rule" else resumable(study.spec, study.state)
        unanswered = sum(number in study.state.waiting for number in open_) if reason == "votes_spent" else len(open_)
        parts = [why]
        if waiting := len(study.state.waiting):
            wait = "query waits" if waiting == 1 else "queries wait"
            parts.append(f"{waiting} {wait} for people ('elicit vote {study.folder}')")
        parts += self.failures.describe()
        if unanswered:
            parts.append(f"{unanswered} {'query is' if unanswered == 1 else 'queries are'} asked again by the next run")
        stopped = reason == "stop_rule" or (reason in SPENT and len(study.state.items) > 1 and study.stop().stop)
        return RunResult(
            reason, "; ".join(parts), self.answered, self.failures.count, unanswered, stopped, self.failures.query_only
        )

    async def _run_routed(self) -> tuple[Reason, str]:
        """Several lanes at once, each with a query of its own, until one of them finds the end for all."""
        study, dispatcher = self.study, Dispatcher(self.study, self.judges, self.limit, self.failures)
        busy = 0
        ended: tuple[Reason, str] | None = None

        async def lane(name: str) -> None:
            nonlocal busy, ended
            while ended is None:
                await self.until_few_wait()
                study.refresh()  # another process may write to the log too
                if self.votes is not None and self.answered + busy >= self.votes:
                    if not busy:  # else one of those under way may fail, and its lane goes on
                        ended = "asked_for", _describe_request(self.votes, "query")
                    return
                if self.until_stop and self.votes is None and (stop := study.stop()).stop:
                    ended = "stop_rule", stop.why
                    return
                query, closed = None, dispatcher.why_closed()
                if not dispatcher.down and dispatcher.seats() and not closed:
                    query = await self._next_query(name)
                if query is None:
                    if not busy:  # else what the others have under way may leave money, or something to ask
                        paused = dispatcher.down or not dispatcher.seats()
                        nothing = ("money_spent", closed) if closed else self._nothing_left(name)
                        ended = ("judges_paused", "no judge answers any more") if paused else nothing
                    return
                busy += 1
                settled = await dispatcher.dispatch(query)
                busy, self.answered = busy - 1, self.answered + settled
                self.report(self.answered, dispatcher.record.spent)
                await asyncio.sleep(0)  # a judge that answers at once must not keep the other lanes from their turn

        await dispatcher.attend(list(study.state.waiting))
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(CONCURRENCY):
                    group.create_task(lane(f"{WORKER}{number}"))
        except* (BadInputError, DownError, SpentError) as errors:
            raise errors.exceptions[0] from None
        assert ended is not None
        return ended

    async def _run_one_by_one(self) -> tuple[Reason, str]:
        study, money = self.study, spent_on_machines(self.study)
        name = next(iter(self.judges))
        while self.votes is None or self.answered < self.votes:
            study.refresh()
            if self.until_stop and self.votes is None and (stop := study.stop()).stop:
                return "stop_rule", stop.why
            if self.limit is not None and money >= self.limit:
                return "money_spent", f"the budget of {self.limit:g} is spent"
            if self.failures.paused.keys() >= self.judges.keys():
                return "judges_paused", "no judge answers any more"
            query = await self._next_query(name)
            if query is None:
                return self._nothing_left(name)
            before = len(study.state.consulted.get(query.id, ()))
            self.answered += await self._answer(query)
            money += sum(cost(study, reply) for reply in study.state.consulted.get(query.id, [])[before:])
            self.report(self.answered, money)
        return "asked_for", _describe_request(self.votes, "vote")

    async def _answer(self, query: Query) -> bool:
        """Record the vote of the first judge that can give one; where none can, the query is deferred."""
        for name, judge in self.judges.items():
            if name in self.failures.paused:
                continue
            answer = await judge.judge(self.study.shown.put(query))
            self.failures.note(query, name, answer)
            if isinstance(answer, Vote):
                self.study.tell(query, answer.outcome, answer.judge, seconds=answer.seconds, verdict=answer.verdict)
                return True
            self.study.record(Consulted(query.id, name, failure=answer.why, cost=answer.cost, calls=answer.calls))
        self.study.defer(query)
        return False
