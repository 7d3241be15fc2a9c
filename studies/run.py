"""Headless work: configured judges answer what the study asks, until it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from adapters.target import DownError, SpentError
from elicit import registry
from elicit.judging import Estimate, Judge, ModelJudge, QuestionedJudge, TaughtJudge
from elicit.types import BadInputError, JudgeFailure, Query, Vote
from studies.decisions import LANE
from studies.desk import Desk, by_people, cost, spent_on_machines
from studies.spec import QUESTION
from studies.study import Study
from studies.tuning.tuner import Tuner

LANES = 8
"""Queries on their way at the same time, so that slow judges are not waited for one after the other."""

Report = Callable[[int, float], None]
"""Called with the queries settled and the money spent so far."""


def begun(study: Study) -> dict[str, Judge]:
    """The configured judges, ready to answer.

    Raises BadInputError where none is configured, or one cannot work on this study.
    """
    judges: dict[str, Judge] = {}
    for spec in study.spec.judges:
        made: Judge = registry.plugin("judge", spec.kind, dict(spec.options))
        if isinstance(made, QuestionedJudge) and study.spec.question != QUESTION:
            made.put(study.spec.question)
        made.begin(spec.name, study.shown, study.state.pairs, study.folder)
        judges[spec.name] = made
    if not judges:
        raise BadInputError(
            f"{study.folder / 'study.toml'} configures no judge; add a [[judges]] table (README, 'Judges'), "
            "or vote yourself with 'elicit vote'"
        )
    return judges


def estimates(study: Study, queries: int) -> dict[str, Estimate]:
    """What answering so many queries would cost each judge that asks a model; nobody is asked."""
    judges = begun(study)
    return {name: judge.estimate(queries) for name, judge in judges.items() if isinstance(judge, ModelJudge)}


def run(
    study: Study, votes: int | None, report: Report, *, until_stop: bool = True, budget: float | None = None
) -> str:
    """Settle up to `votes` queries more (None: until the stop rule or the budget); returns why it ended.

    report: called after each. budget: money to spend at most, all runs together, instead of the study's. Interrupting
    loses nothing: every vote is in the log. A query that no judge can answer is passed over. Raises BadInputError where
    no judge is configured, or one is down.
    """
    limit = study.spec.routing.budget if budget is None else budget
    judges = begun(study)
    for spec in study.spec.judges if limit is not None else ():
        judge = judges[spec.name]
        if spec.price is None and isinstance(judge, ModelJudge) and judge.estimate(1).cost is None:
            raise BadInputError(
                f"judge {spec.name!r}: a budget needs prices; add the options price_in and price_out, money for a "
                "million tokens (0 for a model of your own)"
            )
    return asyncio.run(_run(study, judges, votes, report, until_stop, limit))


async def work(study: Study, room: Callable[[], Awaitable[None]], tuner: Tuner | None = None) -> str:
    """Let the configured judges answer, beside people, what the router gives them, until the stop rule, the budget or
    the last pair; returns why it ended. room: waits until people can be given more. tuner: of a study that tunes
    prompts, begun. Raises as `run` does."""
    return await _run(study, begun(study), None, lambda *_: None, True, study.spec.routing.budget, room, tuner)


async def _at_once() -> None:
    """There is always room where nobody is waited for."""


async def _run(
    study: Study,
    judges: dict[str, Judge],
    votes: int | None,
    report: Report,
    until_stop: bool,
    limit: float | None,
    room: Callable[[], Awaitable[None]] = _at_once,
    tuner: Tuner | None = None,
) -> str:
    models = [judge for judge in judges.values() if isinstance(judge, ModelJudge)]
    own = Tuner(study) if study.spec.tuning is not None and tuner is None else None
    try:
        for model in models:
            await model.check()
        if own is not None:
            await own.begin()
        people = [live.vote for live in by_people(study.spec, study.state)]
        for judge in judges.values():
            if isinstance(judge, TaughtJudge):
                judge.learn_from(people)
        ask = _asking(study, tuner or own)
        if study.spec.routing.router == "none":
            return await _one_by_one(study, ask, judges, votes, report, until_stop, limit)
        return await _routed(study, ask, Desk(study, judges, limit), votes, report, until_stop, room)
    except (DownError, SpentError) as error:
        return str(error)
    finally:
        for model in models:
            await model.end()
        if own is not None:
            await own.end()


Ask = Callable[[str], Awaitable[Query | None]]
"""The next query for a machine judge of that name."""


def _asking(study: Study, tuner: Tuner | None) -> Ask:
    async def ask(judge: str) -> Query | None:
        return await tuner.ask(judge, waiting=False) if tuner else study.ask(judge, waiting=False)

    return ask


async def _routed(
    study: Study,
    ask: Ask,
    desk: Desk,
    votes: int | None,
    report: Report,
    until_stop: bool,
    room: Callable[[], Awaitable[None]],
) -> str:
    """Several lanes at once, each with a query of its own, until one of them finds the end for all."""
    done, busy, ended = 0, 0, ""

    async def lane(name: str) -> None:
        nonlocal done, busy, ended
        while not ended:
            await room()
            if votes is not None and done + busy >= votes:
                ended = f"{votes} queries were asked for"
                return
            if until_stop and votes is None and (stop := study.stop()).stop:
                ended = stop.why
                return
            closed = desk.closed()
            query = None if closed else await ask(name)
            if query is None:
                if not busy:  # else what the others have under way may leave money, or something to ask
                    ended = closed or study.exhausted(name, waiting=False) or "no pair is left to ask"
                return
            busy += 1
            await desk.settle(query)
            busy, done = busy - 1, done + 1
            report(done, desk.spent)
            await asyncio.sleep(0)  # a judge that answers at once must not keep the other lanes from their turn

    await desk.attend(list(study.state.waiting))
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(LANES):
                group.create_task(lane(f"{LANE}{number}"))
    except* (BadInputError, DownError, SpentError) as errors:
        raise errors.exceptions[0] from None
    waiting = len(study.state.waiting)
    wait = f"; {waiting} {'query waits' if waiting == 1 else 'queries wait'} for people" if waiting else ""
    wait += f" ('elicit vote {study.folder}')" if waiting else ""
    down = "".join(f"; {name} answers no more: {why}" for name, why in desk.lasting.items())
    return f"{ended}{wait}{down}"


async def _one_by_one(
    study: Study,
    ask: Ask,
    judges: dict[str, Judge],
    votes: int | None,
    report: Report,
    until_stop: bool,
    limit: float | None,
) -> str:
    done, money = 0, spent_on_machines(study)
    name = next(iter(judges))
    while votes is None or done < votes:
        if until_stop and votes is None and (stop := study.stop()).stop:
            return stop.why
        if limit is not None and money >= limit:
            return f"the budget of {limit:g} is spent"
        query = await ask(name)
        if query is None:
            return study.exhausted(name, waiting=False) or "no pair is left to ask"
        answer = await _first_answer(judges.values(), study.shown.put(query))
        if isinstance(answer, JudgeFailure) and answer.lasting:
            return answer.why
        if isinstance(answer, Vote):
            study.tell(query, answer.outcome, answer.judge, seconds=answer.seconds, verdict=answer.verdict)
            money += cost(study, study.state.consulted[query.id][-1]) if answer.verdict else 0.0
        else:
            study.tell(query, "skip", name, raw={"failure": answer.why})
        done += 1
        report(done, money)
    return f"{done} votes were asked for"


async def _first_answer(judges: Iterable[Judge], query: Query) -> Vote | JudgeFailure:
    """The vote of the first judge that can give one, or why none can."""
    failures: list[JudgeFailure] = []
    for judge in judges:
        answer = await judge.judge(query)
        if isinstance(answer, Vote):
            return answer
        failures.append(answer)
    why = "; ".join(f"{failure.judge}: {failure.why}" for failure in failures)
    return JudgeFailure("", why, all(failure.lasting for failure in failures))
