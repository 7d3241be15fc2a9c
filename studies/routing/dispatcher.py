"""The dispatcher: by what the router says, each query goes to machine judges, to people or to nobody, and every step is
in the log.

The router's own state is a function of the log: what it was asked and told is there with all it was decided on, so that
a router made anew goes on as if it had never stopped. People who are not there are not waited for: their queries wait
in the log until one of them asks (`Study.ask`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from elicit.log.events import JOINED, Consulted, Event, Resumed, Routed, Undone, Voted, Weighed
from elicit.plugins import registry
from elicit.randomness import stream
from elicit.routing.case import ROUNDING, Budget, Case, Decision, Labelled, Seat, joint, offer, verdict_of
from elicit.routing.judging import Judge, ModelJudge
from elicit.types import ChoiceOutcome, JudgeFailure, Outcome, Query, Verdict, Vote
from studies.decisions import labelling_votes
from studies.items.features import gaps
from studies.items.presentation import presented_pair
from studies.routing.costs import cost
from studies.routing.failures import NOBODY, Failures

if TYPE_CHECKING:
    from studies.study import Study

PEOPLE = "people"
"""The seat of whoever votes in person."""
SEAT = "price of "
"""How the numbers of a decision name who could be asked."""
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
        self._begin()

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
            step = len(self.study.state.consulted.get(query.id, []))
            decision = self._router.route(case, seats, budget, self._luck(query.id, step))
            decision = _with_context(decision, case, seats, budget, self._router.label(case))
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
                self.study.route(query, "people", decision)
                return True
            answer = await self._ask(decision.judge, query)
            if decision.judge in self.people and isinstance(answer, Vote):
                vote = Voted(query.id, answer.outcome, decision.judge, answer.seconds)
                self.study.route(query, "people", decision, vote)
                await self.attend([query.id])
                return True
            if isinstance(answer, Vote) and answer.verdict is None and answer.outcome.choice == "skip":
                passed.append(decision.judge)
            case = self._record_answer(query, case, decision, answer)
        if set(case.asked) - case.verdicts.keys() - set(passed) and not case.verdicts:
            self.study.defer(query)
            return False
        await self._record_label(query, case, decision, passed)
        return True

    async def _ask(self, name: str, query: Query) -> Vote | JudgeFailure:
        """A judge's answer; what it may cost is put aside until it is there."""
        self._under_way.append(self._prices[name])
        try:
            return await self.judges[name].judge(self.study.shown.put(query))
        finally:
            self._under_way.remove(self._prices[name])
            self._back.set()
            self._back.clear()

    def _record_answer(self, query: Query, case: Case, decision: Decision, answer: Vote | JudgeFailure) -> Case:
        name = decision.judge
        assert name is not None
        self.failures.note(name, answer)
        reply: Verdict | JudgeFailure | None
        if isinstance(answer, JudgeFailure):
            reply = answer
        elif answer.verdict is None and answer.outcome.choice == "skip":
            reply = None
        else:
            reply = answer.verdict or verdict_of(answer.outcome, query.shown)
        self.study.consulted(query, name, reply, decision.reason, decision.numbers)
        return case.heard(name, reply) if isinstance(reply, Verdict) else case.without(name)

    async def _record_label(self, query: Query, case: Case, decision: Decision, passed: list[str]) -> None:
        """Nobody is asked any more: the machines' vote and the fused label are recorded, and the lot for an audit is
        drawn. passed: the machines that passed over the query; where no other was asked, it is passed over."""
        if not case.verdicts:
            skip = Voted(query.id, ChoiceOutcome("skip"), JOINED.join(passed) or NOBODY, raw={"why": decision.reason})
            self.study.route(query, "nobody", decision, skip)
            return
        chance = self.spec.audits if self._price_of_person() <= self.money() + ROUNDING else 0.0
        to_audit = stream(self.study.spec.seed, "audit", query.id).random() < chance
        names, label = JOINED.join(sorted(case.verdicts)), label_record(self._router.label(case))
        more: list[Voted | Routed] = [Voted(query.id, joint(case), names, raw={"label": label})]
        if to_audit:
            more.append(Routed(query.id, "audit", chance, {}, "drawn by lot"))
        decision = replace(decision, numbers={**decision.numbers, "audit": chance})
        self.study.route(query, "nobody", decision, *more)
        if to_audit:
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
            queries = len(self._listed_pairs) - len(self._listed_pairs & self._finished_pairs)
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
        self._catch_up()
        if self.limit is None:
            return float("inf")
        state = self.study.state
        people = state.to_come(audits=True) * self.spec.person_price
        return self.limit - self.spent - people - sum(self._under_way)

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
        case = self._blank(query).foretold(float(belief.mean[0]), max(float(belief.variance[0]), 1e-6))
        for consultation in self.study.state.consulted.get(query.id, []):
            case = case.heard(consultation.judge, consultation.verdict) if consultation.verdict else case
        return case

    def _blank(self, query: Query) -> Case:
        state = self.study.state
        shown, first, second = presented_pair(state, query), state.items[query.a], state.items[query.b]
        return Case(gaps=gaps(shown.a, shown.b), topic=str(first.meta.get("topic", second.meta.get("topic", ""))))

    def _luck(self, number: int, step: int) -> np.random.Generator:
        return stream(self.study.spec.seed, f"route {number}", step)

    # -- what the router knows --------------------------------------------------------------------------------

    def _begin(self) -> None:
        """A fresh router, brought to where the log is."""
        name = "default" if self.spec.router == "none" else self.spec.router  # switched off since
        self._router = registry.router(name, dict(self.spec.options) if name == self.spec.router else {})
        self._cases: dict[int, Case] = {}
        self._answers: dict[int, dict[str, Outcome]] = {}
        self._finished_pairs: set[tuple[int, int]] = set()
        self._undone_seqs = {live.seq for live in self.study.state.undone}
        self._machines = {judge.name for judge in self.study.spec.judges if not judge.person}
        self.spent, self._last_seq = 0.0, 0
        self._catch_up()

    def _catch_up(self) -> None:
        """Let the router take in what has happened since; what was taken back is as if it had never been."""
        if self._last_seq == self.study.state.seq:
            return
        # What another process has just written is not in the state yet.
        events = [event for event in self.study.events(self._last_seq) if event.seq <= self.study.state.seq]
        if self._last_seq and any(isinstance(event.body, Undone | Weighed) for event in events):
            self._begin()
            return
        for event in events:
            self._take(event)
        self._last_seq = events[-1].seq

    def _take(self, event: Event) -> None:
        match event.body:
            case Consulted() as consultation:
                self.spent += cost(self.study, consultation)
            case Resumed(query=number):
                self._cases.pop(number, None)
                self._finished_pairs.discard(self.study.query(number).pair)
            case Routed(query=number, to="people" | "nobody" as to) as routed:
                query, consultations = self.study.query(number), self.study.state.consulted.get(number, [])
                case = self._blank(query).foretold(routed.numbers["mean"], routed.numbers["variance"])
                for consultation in consultations:
                    case = (
                        case.heard(consultation.judge, consultation.verdict)
                        if consultation.verdict
                        else case.without(consultation.judge)
                    )
                if to == "nobody" and not any(later.to == "audit" for later in self.study.state.routed[number]):
                    self._router.tell(case)  # an audited case is told with the person's answer
                self._cases[number] = case
                self._finished_pairs.add(query.pair)
            case Voted() as voted if event.seq not in self._undone_seqs:
                self._finished_pairs.add(self.study.query(voted.query).pair)
                if voted.raw is None and voted.judge not in self._machines:
                    self.spent += self._prices.get(voted.judge, self.spec.person_price)
                teaches = voted.outcome.choice != "skip" and self.study.state.weight(voted.judge) > 0
                if voted.raw is None and voted.query in self._cases and teaches:
                    before = self._answers.setdefault(voted.query, {})
                    case = self._cases[voted.query].answered(voted.outcome, voted.judge)
                    self._router.tell(replace(case, earlier=dict(before)))
                    before[voted.judge] = voted.outcome

    def labels(self) -> dict[int, Labelled]:
        """The labels of the routed queries by all that is known now, people's answers among it."""
        cases = dict(self._cases)
        for live in labelling_votes(self.study.spec, self.study.state):
            if live.query in cases:
                outcome = ChoiceOutcome("tie") if live.vote.outcome.choice == "both_bad" else live.vote.outcome
                cases[live.query] = cases[live.query].answered(outcome, live.vote.judge)
        return {number: self._router.label(case) for number, case in cases.items()}


def label_record(label: Labelled) -> dict[str, Any]:
    """A label as the log keeps it."""
    a, tie, b = label.probabilities
    terms: Mapping[str, float] = getattr(label, "terms", {})
    return {"a": a, "tie": tie, "b": b, "logit": label.logit, "terms": dict(terms)}


def _with_context(decision: Decision, case: Case, seats: Iterable[Seat], budget: Budget, label: Labelled) -> Decision:
    """The decision with all it was made on: what the utility model said, by which the case is brought back from the
    log, who could be asked, and the money; and with the label as it would be without anybody more."""
    numbers = {"mean": case.mean, "variance": case.variance, "queries": float(budget.queries)}
    if budget.money < NO_LIMIT:
        numbers["money"] = budget.money
    numbers |= {SEAT + seat.name: seat.price for seat in seats}
    numbers |= {"p_a": label.probabilities.a, "p_tie": label.probabilities.tie}
    finite = {name: value for name, value in decision.numbers.items() if np.isfinite(value)}
    return replace(decision, numbers={**finite, **numbers})


def _price(judge: Judge | None) -> float:
    return (judge.estimate(PRICED).cost or 0.0) / PRICED if isinstance(judge, ModelJudge) else 0.0
