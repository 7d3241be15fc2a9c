"""Models that fail, judges and what is tuned: a failure is no vote and is in the log with its money. Five
in a row pause a judge."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from elicit.safe_text import one_line
from elicit.types import JudgeFailure, Query, Vote

if TYPE_CHECKING:
    from elicit.log.events import Consulted
    from elicit.log.state import State

logger = logging.getLogger(__name__)
PATIENCE = 5
"""Failures of a judge one after the other, after which it is paused until the next run."""
NOBODY = "nobody"
"""Who passes over a query that the router gave to nobody before any machine judge said anything."""


TARGET = "the target model"
"""Who fails to respond to a prompt."""


class Failed(msgspec.Struct):
    """The failures of one model: how many, why the last one, and the money that they have taken."""

    count: int = 0
    last: str = ""
    money: float = 0.0


class Failures:
    """The failures of one run. paused: why a judge is asked nothing more in it, by its name."""

    def __init__(self) -> None:
        self.paused: dict[str, str] = {}
        self._by_judge: dict[str, Failed] = {}
        self._in_a_row: Counter[str] = Counter()
        self.query_only = True
        """Whether no judge has failed but on queries that it never can answer, which another run does not change."""

    @property
    def count(self) -> int:
        """How often judges have failed."""
        return sum(failed.count for failed in self._by_judge.values())

    def note(self, query: Query, judge: str, answer: Vote | JudgeFailure) -> None:
        """Take in what a judge has said to a query."""
        if isinstance(answer, Vote):
            self._in_a_row[judge] = 0
            return
        logger.warning("judge %s failed on query %d: %s", judge, query.id, answer.why)
        self._count(judge, answer)

    def _count(self, judge: str, answer: JudgeFailure) -> None:
        failed = self._by_judge.setdefault(judge, Failed())
        failed.count, failed.last = failed.count + 1, answer.why
        self.query_only = self.query_only and answer.query_only
        self._in_a_row[judge] += not answer.query_only
        if answer.lasting:
            self.paused[judge] = answer.why
        elif self._in_a_row[judge] >= PATIENCE:
            why = f"{PATIENCE} queries one after the other failed, the last: {answer.why}"
            self.paused.setdefault(judge, why)

    def read(self, consultation: Consulted) -> None:
        """Take in what the log has of a judge; one that answers again is paused no more."""
        if consultation.failure:
            self._count(consultation.judge, JudgeFailure(consultation.judge, consultation.failure))
        else:
            self._in_a_row[consultation.judge] = 0
            self.paused.pop(consultation.judge, None)
            self._by_judge.pop(consultation.judge, None)

    def describe(self) -> list[str]:
        """What each judge that fails has to say, or that is paused, as parts of a sentence."""
        passing = [
            f"{judge} failed {times(failed.count)}, the last: {one_line(failed.last)}"
            for judge, failed in self._by_judge.items()
            if judge not in self.paused
        ]
        return [*(f"{judge} answers no more: {one_line(why)}" for judge, why in self.paused.items()), *passing]


def times(count: int) -> str:
    """How often, in words."""
    return "once" if count == 1 else f"{count} times"


def failures_of(state: State) -> dict[str, Failed]:
    """The failures of all runs, by who failed: judges, those too whose failures earlier releases kept as votes that
    skip, and the model whose prompts are tuned."""
    records = [
        (consultation.judge, consultation.failure, consultation.cost)
        for several in state.consulted.values()
        for consultation in several
    ]
    records += [(live.vote.judge, str(live.raw.get("failure", "")), 0.0) for live in state.votes if live.raw]
    return tally([*records, *((TARGET, response.failure, response.cost) for response in state.unanswered)])


def tally(records: Iterable[tuple[str, str, float]]) -> dict[str, Failed]:
    """Failures by who failed, from records of who, why (empty: it did not fail) and the money."""
    failures: dict[str, Failed] = {}
    for who, why, money in records:
        if why and who != NOBODY:
            failed = failures.setdefault(who, Failed())
            failed.count, failed.last, failed.money = failed.count + 1, why, failed.money + money
    return failures


def lines_of(failures: dict[str, Failed]) -> list[str]:
    """What `failures_of` gives, for a reader."""
    return [
        f"{one_line(judge)} failed {times(failed.count)}"
        f"{f', which cost {failed.money:.4g}' if failed.money else ''}, the last: {one_line(failed.last)}"
        for judge, failed in failures.items()
    ]
