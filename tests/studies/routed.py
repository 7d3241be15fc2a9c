"""Routed studies of pairs for tests: judges of every temper, and people who know which response is better."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from adapters.files.formats import PairRow
from studies.run import RunResult, run
from studies.study import Study

JUDGES = '''
import asyncio
from pathlib import Path

from elicit.types import ChoiceOutcome, JudgeFailure, Verdict, Vote


class Reader:
    """Reads the number in a response. temper: right, wrong, first (always a), broken (fails) or gone (for good).

    after: answers given before it takes to that temper. book: a file with a line for every call.
    """

    def __init__(self, temper="right", after=0, book="", wait=0.0, logit=3.0, cost=0.0):
        self.temper, self.after, self.book, self.wait = temper, after, book, wait
        self.logit, self.cost, self.calls = logit, cost, 0

    def begin(self, name, items, pairs, folder):
        self.name, self.items = name, items

    async def judge(self, query):
        self.calls += 1
        temper = self.temper if self.calls > self.after else "right"
        if self.book:
            with open(self.book, "a") as book:
                book.write(f"{query.id} {query.a} {query.b}\\n")
        await asyncio.sleep(self.wait)
        if temper in ("broken", "gone"):
            return JudgeFailure(self.name, "the line is dead", temper == "gone")
        worth = [int(self.items[row].text.split()[-1]) for row in (query.a, query.b)]
        side = 1 if worth[0] > worth[1] else -1
        logit = {"right": side, "wrong": -side, "first": 1}[temper] * self.logit
        outcome = ChoiceOutcome("a" if logit > 0 else "b")
        verdict = Verdict({"ab": logit, "ba": logit}, cost=self.cost)
        return Vote(query.a, query.b, outcome, self.name, verdict=verdict)
'''


def pairs(n: int) -> list[PairRow]:
    """n pairs; the response with the larger number is better, the first as often as the second."""
    ends_ = [(2 * k + 1, 2 * k) if (k * k + k // 3) % 2 else (2 * k, 2 * k + 1) for k in range(n)]
    return [PairRow(f"p{k}", f"Task {k}", f"answer {a}", f"answer {b}") for k, (a, b) in enumerate(ends_)]


def judge(folder: Path, name: str = "gpt", *, price: float | None = 0.01, person: bool = False, **options: Any) -> Any:
    """A judge's table in the specification."""
    file = folder / "judges.py"
    file.write_text(JUDGES)
    return {"name": name, "kind": f"{file}:Reader", "options": options, "price": price, "person": person}


def make(folder: Path, judges: list[Any], n: int = 20, routing: dict[str, Any] | None = None, **spec: Any) -> Study:
    """A study of n pairs; without a word of routing the default router with a budget of 10 and no audits."""
    told = {"router": "default", "budget": 10.0, "audits": 0.0} | (routing or {})
    plain = {"selector": "random", "model": "bradley_terry", "embedder": "none", "votes": 1000}
    return Study.create(folder / "study", pairs=pairs(n), judges=judges, routing=told, **(plain | spec))


def ran(study: Study, votes: int | None = None, **more: Any) -> RunResult:
    """Run it to the end, whatever the stop rule says."""
    return run(study, votes, lambda done, money: None, until_stop=False, **more)


def go(study: Study, votes: int | None = None, **more: Any) -> str:
    """The same; why it ended."""
    return ran(study, votes, **more).why


def better(study: Study, a: int, b: int) -> str:
    """What everybody who looks prefers."""
    worth = [int(study.state.items[row].text.split()[-1]) for row in (a, b)]
    return "a" if worth[0] > worth[1] else "b"


def vote(study: Study, who: str = "maya", times: int = 1) -> int:
    """Let a person answer rightly what waits; returns how many queries there were."""
    for done in range(times):
        query = study.ask(who) if study.state.waiting or who in study.state.open else None
        if query is None:
            return done
        study.tell(query, better(study, query.a, query.b), who, seconds=2.0)
    return times


def ends(study: Study) -> Counter[str]:
    """Where the queries have ended: with people, at a machine's label, passed over, or open."""
    found: Counter[str] = Counter()
    labelled = {live.query for live in study.state.votes if live.raw and "label" in live.raw}
    for number in study.state.asked:
        routes = study.state.routed.get(number)
        if routes is None:
            found["open" if number in study.state.open.values() else "direct"] += 1
        elif routes[0].to == "people":
            found["people"] += 1
        else:
            found["machine" if number in labelled else "passed over"] += 1
    return found
