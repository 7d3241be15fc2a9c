"""Headless work: configured judges answer what the study asks, until it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from elicit import registry
from elicit.judging import Judge, ModelJudge, TaughtJudge
from elicit.types import BadInputError, JudgeFailure, Query, Vote
from studies.study import Study


def run(study: Study, votes: int | None, report: Callable[[int], None], *, until_stop: bool = True) -> str:
    """Collect up to `votes` votes more (None: until the stop rule or the budget); returns why it ended.

    report: called after each vote with how many there are. Interrupting loses nothing: every vote is in the log.
    A query that no judge can answer is passed over. Raises BadInputError where no judge is configured, or one is down.
    """
    judges: dict[str, Judge] = {}
    for spec in study.spec.judges:
        made: Judge = registry.plugin("judge", spec.kind, dict(spec.options))
        made.begin(spec.name, study.state.items, study.state.pairs, study.folder)
        judges[spec.name] = made
    if not judges:
        raise BadInputError(
            f"{study.folder / 'study.toml'} configures no judge; add a [[judges]] table (README, 'Judges'), "
            "or vote yourself with 'elicit vote'"
        )
    return asyncio.run(_run(study, judges, votes, report, until_stop))


async def _run(
    study: Study, judges: dict[str, Judge], votes: int | None, report: Callable[[int], None], until_stop: bool
) -> str:
    models = [judge for judge in judges.values() if isinstance(judge, ModelJudge)]
    try:
        for model in models:
            await model.check()
        people = [live.vote for live in study.state.votes if live.vote.judge not in judges]
        for judge in judges.values():
            if isinstance(judge, TaughtJudge):
                judge.learn_from(people)
        return await _until_done(study, judges, votes, report, until_stop)
    finally:
        for model in models:
            await model.end()


async def _until_done(
    study: Study, judges: dict[str, Judge], votes: int | None, report: Callable[[int], None], until_stop: bool
) -> str:
    done = 0
    name = next(iter(judges))
    while votes is None or done < votes:
        if until_stop and votes is None and (stop := study.stop()).stop:
            return stop.why
        query = study.ask(name)
        if query is None:
            return study.exhausted(name) or "no pair is left to ask"
        answer = await _first_answer(judges.values(), query)
        if isinstance(answer, JudgeFailure) and answer.lasting:
            return answer.why
        if isinstance(answer, Vote):
            study.tell(query, answer.outcome, answer.judge, seconds=answer.seconds)
        else:
            study.tell(query, "skip", name, raw={"failure": answer.why})
        done += 1
        report(done)
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
