"""The router's desk: each query goes to machine judges, to people or to nobody, and every step is in the log.

The router's own state is a function of the log: it is made anew from the queries that were routed before. People who
are not there are not waited for: their queries wait in the log until one of them asks (`Study.ask`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from elicit import registry
from elicit.events import Consulted, LiveVote
from elicit.judging import Judge, ModelJudge
from elicit.randomness import stream
from elicit.routing import Budget, Case, Decision, Labelled, Seat
from elicit.types import ChoiceOutcome, JudgeFailure, Outcome, Query, Verdict, Vote

if TYPE_CHECKING:
    from studies.study import Study

PEOPLE = "people"
"""The seat of whoever votes in person."""
JOINED = " + "
"""Between the names of the judges that made a label together."""
SURE = 2.0
"""Log-odds ascribed to a judge that gives none."""
LOOSE = 0.1
"""Log-odds of the judges' mean below which they name no side."""


class Desk:
    """Routes the queries of one study. judges: those configured, begun, by name."""

    def __init__(self, study: Study, judges: Mapping[str, Judge], budget: float | None = None) -> None:
        self.study, self.judges, self.spec = study, judges, study.spec.routing
        self.people = {judge.name for judge in study.spec.judges if judge.person}
        self._prices = {judge.name: judge.price for judge in study.spec.judges if judge.price is not None}
        self.limit = self.spec.budget if budget is None else budget
        self._router = registry.router(self.spec.router, dict(self.spec.options))
        self._cases: dict[int, Case] = {}
        self._told: set[int] = set()
        self.lasting: dict[str, str] = {}
        self._recall()

    # -- one query --------------------------------------------------------------------------------------------

    async def settle(self, query: Query) -> None:
        """Route a fresh query until it is with people or nobody is asked any more; record its label then."""
        self._catch_up()
        case, step = self._case(query), 0
        while True:
            rng = stream(self.study.spec.seed, f"route {query.id}", step)
            decision = self._router.route(case, self.seats(), self.budget(), rng)
            decision = _with_moments(decision, case)
            if decision.judge is None:
                break
            if decision.judge == PEOPLE:
                self.study.route(query, "people", decision)
                self._cases[query.id] = case
                return
            answer = await self.judges[decision.judge].judge(query)
            if decision.judge in self.people and isinstance(answer, Vote):
                self.study.route(query, "people", decision)
                self._cases[query.id] = case
                self.study.tell(query, answer.outcome, decision.judge, seconds=answer.seconds)
                return
            case = self._consulted(query, case, decision, answer)
            step += 1
        await self._labelled(query, case, decision)

    def _consulted(self, query: Query, case: Case, decision: Decision, answer: Vote | JudgeFailure) -> Case:
        assert decision.judge is not None
        if isinstance(answer, JudgeFailure):
            if answer.lasting:
                self.lasting[decision.judge] = answer.why
            self.study.consulted(query, decision.judge, None, answer.why, decision.reason, decision.numbers)
            return case.without(decision.judge)
        verdict = answer.verdict or plain(answer.outcome)
        self.study.consulted(query, decision.judge, verdict, "", decision.reason, decision.numbers)
        return case.heard(decision.judge, verdict)

    async def _labelled(self, query: Query, case: Case, decision: Decision) -> None:
        """Nobody is asked any more: the machines' vote and the fused label are recorded, and the lot for an audit is
        drawn."""
        self.study.route(query, "nobody", decision)
        self._cases[query.id] = case
        if not case.verdicts:
            self._router.tell(case)
            self.study.tell(query, "skip", PEOPLE, raw={"failure": decision.reason})
            return
        names = JOINED.join(sorted(case.verdicts))
        self.study.tell(query, joint(case), names, raw={"label": told(self._router.label(case))})
        price = min((seat.price for seat in self.seats() if seat.kind == "human"), default=np.inf)
        drawn = stream(self.study.spec.seed, "audit", query.id).random() < self.spec.audits
        if not (drawn and price <= self.budget().money):
            self._router.tell(case)  # an audited case is told with the person's answer
        else:
            self.study.route(query, "audit", Decision(PEOPLE, self.spec.audits, {}, "drawn by lot"))
            for name in sorted(self.people):  # who stands for a person answers at once
                answer = await self.judges[name].judge(query)
                if isinstance(answer, Vote):
                    self.study.tell(query, answer.outcome, name, seconds=answer.seconds)
                    break

    # -- what the router sees ---------------------------------------------------------------------------------

    def seats(self) -> list[Seat]:
        """Who can be asked now. Judges that will answer nothing more are gone."""
        found = []
        for judge in self.study.spec.judges:
            if judge.name not in self.lasting:
                price = self._prices.setdefault(judge.name, _price(self.judges.get(judge.name)))
                found.append(Seat(judge.name, "human" if judge.person else "llm", price))
        if self.spec.person_price > 0 and not self.people:
            found.append(Seat(PEOPLE, "human", self.spec.person_price))
        return found

    def budget(self) -> Budget:
        """The money that is left, and the queries."""
        state = self.study.state
        if state.pairs:
            labelled = {live.vote.pair for live in state.votes}
            left = sum((min(a, b), max(a, b)) not in labelled for _, a, b in state.pairs)
        else:
            left = self.study.spec.votes - len(state.votes)
        left = max(left - len(state.waiting), 1)
        if self.limit is None:
            return Budget(1e12, left)
        return Budget(self.limit - spent(self.study), left)

    def closed(self) -> str:
        """Why nothing more can be routed, or an empty string."""
        if not self.seats():
            return "no judge answers any more"
        cheapest = min(seat.price for seat in self.seats())
        if self.limit is not None and self.limit - spent(self.study) < cheapest:
            return f"the budget of {self.limit:g} is spent"
        return ""

    def _case(self, query: Query) -> Case:
        first, second = (self.study.state.items[row] for row in (query.a, query.b))
        belief = self.study.engine.posterior.difference(torch.tensor([[query.a, query.b]]))
        case = Case(
            mean=float(belief.mean[0]),
            variance=max(float(belief.variance[0]), 1e-6),
            gaps={"length": float(np.log1p(len(first.shown_text)) - np.log1p(len(second.shown_text)))},
            topic=str(first.meta.get("topic", second.meta.get("topic", ""))),
        )
        for asked in self.study.state.consulted.get(query.id, []):
            case = case.heard(asked.judge, asked.verdict) if asked.verdict else case.without(asked.judge)
        return case

    # -- what the router knows --------------------------------------------------------------------------------

    def _recall(self) -> None:
        """Bring the router to where the log is: all routed cases in order, with what people said of them."""
        for number, routes in self.study.state.routed.items():
            numbers = routes[0].numbers
            case = self._case(self.study.query(number)).foretold(numbers["mean"], numbers["variance"])
            if routes[-1].to == "nobody":
                self._router.tell(case)
            self._cases[number] = case
        self._catch_up()

    def _catch_up(self) -> None:
        """Let the router learn what people have answered since."""
        for live in self.study.state.votes:
            if live.seq not in self._told:
                self._told.add(live.seq)
                case = self._cases.get(live.query)
                if case is not None and live.raw is None and live.vote.outcome.choice != "skip":
                    self._router.tell(case.answered(live.vote.outcome, live.vote.judge))

    def labels(self) -> dict[int, Labelled]:
        """The labels of the routed queries by all that is known now, people's answers among it."""
        cases = dict(self._cases)
        for live in by_people(self.study):
            if live.query in cases:
                cases[live.query] = cases[live.query].answered(live.vote.outcome, live.vote.judge)
        return {number: self._router.label(case) for number, case in cases.items()}


def cost(study: Study, asked: Consulted) -> float:
    """What one verdict has cost: as the judge tells, or its price in the specification."""
    if asked.verdict is None:
        return 0.0
    prices = {judge.name: judge.price or 0.0 for judge in study.spec.judges}
    return asked.verdict.cost or prices.get(asked.judge, 0.0)


def spent(study: Study) -> float:
    """The money that people and judges have cost so far."""
    prices = {judge.name: judge.price or 0.0 for judge in study.spec.judges}
    machines = sum(cost(study, asked) for several in study.state.consulted.values() for asked in several)
    return machines + sum(prices.get(live.vote.judge, study.spec.routing.person_price) for live in by_people(study))


def by_people(study: Study) -> list[LiveVote]:
    """The live votes that are not a machine's: those of people, and of judges that stand for one."""
    machines = {judge.name for judge in study.spec.judges if not judge.person}
    return [live for live in study.state.votes if live.raw is None and live.vote.judge not in machines]


def joint(case: Case) -> ChoiceOutcome:
    """What the judges heard say together, taken at their word."""
    if np.mean([verdict.tie or 0.0 for verdict in case.verdicts.values()]) > 0.5 or abs(case.logit) < LOOSE:
        return ChoiceOutcome("tie")
    return ChoiceOutcome("a" if case.logit > 0 else "b")


def plain(outcome: Outcome) -> Verdict:
    """The verdict of a judge that says no more than its choice."""
    logit = {"a": SURE, "b": -SURE}.get(outcome.choice, 0.0)
    return Verdict({"ab": logit, "ba": logit}, tie=float(outcome.choice == "tie"))


def told(label: Labelled) -> dict[str, Any]:
    """A label as the log keeps it."""
    a, tie, b = label.probabilities
    terms: Mapping[str, float] = getattr(label, "terms", {})
    return {"a": a, "tie": tie, "b": b, "logit": label.logit, "terms": dict(terms)}


def _with_moments(decision: Decision, case: Case) -> Decision:
    """With what the utility model said when it was made, so that the router can be brought back from the log."""
    return replace(decision, numbers={**decision.numbers, "mean": case.mean, "variance": case.variance})


def _price(judge: Judge | None) -> float:
    return (judge.estimate(1).cost or 0.0) if isinstance(judge, ModelJudge) else 0.0
