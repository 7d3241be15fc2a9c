"""The dispatcher: by what the router says, each query goes to machine judges, to people or to nobody, and every step is
in the log.

It follows the study, and keeps what the router knows in a record of its own (`studies.routing.record`). People who are
not there are not waited for: their queries wait in the log until one of them asks (`Study.ask`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from elicit.log.events import JOINED, Basis, Consulted, Routed, Voted
from elicit.randomness import stream
from elicit.routing.case import ROUNDING, Budget, Case, Decision, Seat, joint, offer, verdict_of
from elicit.routing.judging import Judge, ModelJudge
from elicit.types import ChoiceOutcome, JudgeFailure, Query, Vote
from studies.routing.audits import label_record
from studies.routing.failures import NOBODY, Failures
from studies.routing.record import RoutingRecord, after_consultation

if TYPE_CHECKING:
    from studies.study import Study

PEOPLE = "people"
"""The seat of whoever votes in person."""
PRICED = 100
"""Queries over which the price of a judge's answer is averaged."""
NO_LIMIT = 1e12


class Dispatcher:
    """Routes the queries of one study. judges: those configured, begun, by name. budget: instead of the study's.
    failures: of the run so far; who is paused there is asked nothing.

    A query that goes to people is to get `serving.overlap` votes, each from another person; a machine's label needs
    none, and an audit of it one, though more are welcome.
    """

    def __init__(
        self,
        study: Study,
        judges: Mapping[str, Judge],
        budget: float | None = None,
        failures: Failures | None = None,
    ) -> None:
        self.study, self.judges, self.spec = study, judges, study.spec.routing
        self.failures = failures or Failures()
        self.people = {judge.name for judge in study.spec.judges if judge.person}
        self._overlap = study.spec.serving.overlap
        self._prices = {
            judge.name: _price(judges.get(judge.name)) if judge.price is None else judge.price
            for judge in study.spec.judges
        }
        self.limit = self.spec.budget if budget is None else budget
        self._listed_pairs = study.state.listed_pairs()
        self.stuck = ""
        self._under_way: list[float] = []
        self._back = asyncio.Event()
        self.record = RoutingRecord(study, self._prices)
        study.follow(self.record)

    # -- one query --------------------------------------------------------------------------------------------

    async def dispatch(self, query: Query) -> bool:
        """Route a query until it is with people or nobody is asked any more; record its label then.

        One that no machine judge could answer is deferred, unless the router gives it to people while other machines
        answer. Where there is no money to ask anybody about it, it stays open, and `stuck` says why. Returns whether it
        is settled.
        """
        case = self._case(query)
        passed: list[str] = []
        while True:
            if self.down and not case.verdicts:
                self.study.defer(query)
                return False
            seats, budget = self.seats(), self.budget()
            decision, basis = self._decide(query, case, seats, budget)
            if decision.judge is None:
                judges, human, _ = offer(case, seats, budget)
                if judges or human or case.asked:
                    break
                if not self._under_way:
                    self.stuck = f"the {budget.money:.4g} left of the budget pay for nobody's answer"
                    return False
                await self._back.wait()  # a call may turn out to cost less than was put aside for it
                continue
            if decision.judge == PEOPLE:
                self.study.record(self._sent(query, "people", decision, basis))
                return True
            answer = await self._ask(decision.judge, query)
            if decision.judge in self.people and isinstance(answer, Vote):
                vote = Voted(query.id, answer.outcome, decision.judge, answer.seconds)
                self.study.record(self._sent(query, "people", decision, basis), vote)
                await self.attend([query.id])
                return True
            self.failures.note(query, decision.judge, answer)
            consultation = _consultation(query, decision, basis, answer)
            self.study.record(consultation)
            case = after_consultation(case, consultation)
            if isinstance(answer, Vote) and consultation.verdict is None:
                passed.append(decision.judge)
        if set(case.asked) - case.verdicts.keys() - set(passed) and not case.verdicts:
            self.study.defer(query)
            return False
        await self._record_label(query, case, decision, basis, passed)
        return True

    def _decide(self, query: Query, case: Case, seats: Sequence[Seat], budget: Budget) -> tuple[Decision, Basis]:
        """What the router says of the case, and all it says so on: who could be asked, the money, and the label as it
        would be without anybody more."""
        step = len(self.study.state.consulted.get(query.id, []))
        router = self.record.router
        decision = router.route(case, seats, budget, stream(self.study.spec.seed, f"route {query.id}", step))
        money = budget.money if budget.money < NO_LIMIT else None
        prices = {seat.name: seat.price for seat in seats}
        p = router.label(case).probabilities
        return decision, Basis(case.mean, case.variance, float(budget.queries), money, prices, p.a, p.tie)

    def _sent(self, query: Query, to: Literal["people", "nobody"], decision: Decision, basis: Basis) -> Routed:
        """That the router sent a query there; with people, it waits for as many of them as are to answer it."""
        wanted = self._overlap if to == "people" else 1
        numbers = basis.among(decision.numbers)
        return Routed(query.id, to, decision.propensity, numbers, decision.reason, wanted)

    async def _ask(self, name: str, query: Query) -> Vote | JudgeFailure:
        """A judge's answer; what it may cost is put aside until it is there."""
        self._under_way.append(self._prices[name])
        try:
            return await self.judges[name].judge(self.study.shown.put(query))
        finally:
            self._under_way.remove(self._prices[name])
            self._back.set()
            self._back.clear()

    async def _record_label(
        self, query: Query, case: Case, decision: Decision, basis: Basis, passed: Sequence[str]
    ) -> None:
        """Nobody is asked any more: the machines' vote and the fused label are recorded, and the lot for an audit is
        drawn. passed: the machines that passed over the query; where no other was asked, it is passed over."""
        if not case.verdicts:
            skip = Voted(query.id, ChoiceOutcome("skip"), JOINED.join(passed) or NOBODY, raw={"why": decision.reason})
            self.study.record(self._sent(query, "nobody", decision, basis), skip)
            return
        chance = self.spec.audits if self._price_of_person() <= self.money() + ROUNDING else 0.0
        sent = self._sent(query, "nobody", decision, basis._replace(audit=chance))
        label = {"label": label_record(self.record.router.label(case))}
        vote = Voted(query.id, joint(case), JOINED.join(sorted(case.verdicts)), raw=label)
        if stream(self.study.spec.seed, "audit", query.id).random() >= chance:
            self.study.record(sent, vote)
            return
        self.study.record(sent, vote, Routed(query.id, "audit", chance, reason="drawn by lot"))
        await self.attend([query.id])

    async def attend(self, queries: Iterable[int]) -> None:
        """Let whoever stands for a person answer those of the queries that wait for one."""
        state = self.study.state
        for number in queries:
            for name in sorted(self.people):
                if number not in state.waiting or name in state.taken.get(number, ()):
                    continue
                query = self.study.query(number)
                answer = await self.judges[name].judge(self.study.shown.put(query))
                if isinstance(answer, Vote) and number in state.waiting:
                    self.study.tell(query, answer.outcome, name, seconds=answer.seconds)

    # -- what the router sees ---------------------------------------------------------------------------------

    def seats(self) -> list[Seat]:
        """Who can be asked now, people at the price of all the votes that they would give. Judges that are paused are
        gone."""
        seats = [
            Seat(name, "human", price * self._overlap) if name in self.people else Seat(name, "llm", price)
            for name, price in self._prices.items()
            if name not in self.failures.paused
        ]
        if self.spec.person_price > 0 and not self.people:
            seats.append(Seat(PEOPLE, "human", self.spec.person_price * self._overlap))
        return seats

    @property
    def down(self) -> bool:
        """Whether every machine judge is paused."""
        machines = self.judges.keys() - self.people
        return bool(machines) and machines <= self.failures.paused.keys()

    def _price_of_person(self) -> float:
        """What one vote of a person costs; infinite where no person can be asked."""
        return min((seat.price for seat in self.seats() if seat.kind == "human"), default=np.inf) / self._overlap

    def budget(self) -> Budget:
        """The money that is left for this query and those after it, and how many they are.

        Of what the judges of all of them leave over, the audits to be expected are put aside.
        """
        state, left_over = self.study.state, self.money()
        if state.pairs:
            queries = len(self._listed_pairs) - len(self._listed_pairs & self.record.finished_pairs)
        else:
            queries = self.study.spec.votes - len(state.votes) - sum(map(state.missing_judges, state.waiting))
        queries = max(queries, 1)
        if self.limit is None:
            return Budget(NO_LIMIT, queries)
        seats, money = self.seats(), max(left_over, 0.0)
        person = self._price_of_person() if any(seat.kind == "human" for seat in seats) else 0.0
        machines = queries * sum(seat.price for seat in seats if seat.kind == "llm")
        return Budget(money - min(self.spec.audits * queries * person, max(money - machines, 0.0)), queries)

    def money(self) -> float:
        """What is neither spent nor put aside for answers that are still to come; infinite without a limit."""
        if self.limit is None:
            return float("inf")
        people = self.study.state.to_come(audits=True) * self.spec.person_price
        return self.limit - self.record.spent - people - sum(self._under_way)

    def why_closed(self) -> str:
        """Why nothing more can be routed for want of money, or an empty string."""
        if self.money() < min((seat.price for seat in self.seats()), default=0.0) - ROUNDING:
            return f"the budget of {self.limit:g} is spent"
        return self.stuck

    def _case(self, query: Query) -> Case:
        """The case as far as the log has it; a judge that failed in an earlier run may try again."""
        engine = self.study.engine
        with engine.limited_threads():
            belief = engine.posterior.difference(torch.tensor([[query.a, query.b]]))
        case = self.record.case(query, float(belief.mean[0]), max(float(belief.variance[0]), 1e-6))
        return replace(case, asked=tuple(case.verdicts))


def _consultation(query: Query, decision: Decision, basis: Basis, answer: Vote | JudgeFailure) -> Consulted:
    """That the judge decided on was asked; a vote to skip is passing over the query."""
    assert decision.judge is not None
    verdict, failure, cost, calls = None, "", 0.0, 0
    if isinstance(answer, JudgeFailure):
        failure, cost, calls = answer.why, answer.cost, answer.calls
    elif answer.verdict is not None or answer.outcome.choice != "skip":
        verdict = answer.verdict or verdict_of(answer.outcome, query.shown)
    numbers = basis.among(decision.numbers)
    return Consulted(query.id, decision.judge, verdict, failure, decision.reason, numbers, cost, calls)


def _price(judge: Judge | None) -> float:
    return (judge.estimate(PRICED).cost or 0.0) / PRICED if isinstance(judge, ModelJudge) else 0.0
