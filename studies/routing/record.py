"""What the router of a study knows: the cases of the queries it is done with, people's answers to them, and the money
that is spent.

It is a function of the log, where all stands that the router was asked and told, with what it was decided on: a router
made anew goes on as if it had never stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from typing import TYPE_CHECKING

from elicit.log.events import Consulted, Event, Resumed, Routed, Undone, Voted, Weighed
from elicit.plugins import registry
from elicit.routing.case import Case, Labelled, Router
from elicit.types import ChoiceOutcome, Outcome, Query
from studies.decisions import labelling_votes
from studies.items.features import gaps
from studies.items.presentation import presented_pair
from studies.routing.costs import cost

if TYPE_CHECKING:
    from studies.study import Study


class RoutingRecord:
    """Where a study is now; and where it is later, if it follows the study (`Study.follow`). prices: of an answer, by
    judge.

    What follows from news is worked out when it is asked for: who votes neither waits for the router nor meets its
    faults.
    """

    def __init__(self, study: Study, prices: Mapping[str, float]) -> None:
        self._study, self._prices = study, prices
        self._machines = {judge.name for judge in study.spec.judges if not judge.person}
        self._news: list[Event] = []
        self._begin()

    def add(self, event: Event) -> None:
        """Put down what the study has just come to know."""
        self._news.append(event)

    @property
    def router(self) -> Router:
        """The router, told of all that is known."""
        self._catch_up()
        return self._router

    @property
    def spent(self) -> float:
        """The money that people and judges have cost."""
        self._catch_up()
        return self._spent

    @property
    def finished_pairs(self) -> Set[tuple[int, int]]:
        """The pairs that have a vote, or that the router is done with."""
        self._catch_up()
        return self._finished_pairs

    def labels(self) -> dict[int, Labelled]:
        """The labels of the routed queries by all that is known now, people's answers among it."""
        self._catch_up()
        cases = dict(self._cases)
        for live in labelling_votes(self._study.spec, self._study.state):
            if live.query in cases:
                outcome = ChoiceOutcome("tie") if live.vote.outcome.choice == "both_bad" else live.vote.outcome
                cases[live.query] = cases[live.query].answered(outcome, live.vote.judge)
        return {number: self._router.label(case) for number, case in cases.items()}

    def case(self, query: Query, mean: float, variance: float) -> Case:
        """A query with what machine judges have said of it, those that could not answer among `asked`."""
        state = self._study.state
        shown, first, second = presented_pair(state, query), state.items[query.a], state.items[query.b]
        topic = str(first.meta.get("topic", second.meta.get("topic", "")))
        case = Case(mean, variance, gaps(shown.a, shown.b), topic)
        for consultation in state.consulted.get(query.id, []):
            case = after_consultation(case, consultation)
        return case

    def _begin(self) -> None:
        """A fresh router, brought to where the study is."""
        state, rules = self._study.state, self._study.spec.routing
        name = "default" if rules.router == "none" else rules.router  # switched off since
        self._router: Router = registry.router(name, dict(rules.options) if name == rules.router else {})
        self._cases: dict[int, Case] = {}
        self._answers: dict[int, dict[str, Outcome]] = {}
        self._finished_pairs: set[tuple[int, int]] = set()
        self._spent, self._last_seq = 0.0, 0
        self._undone_seqs = {live.seq for live in state.undone}
        # What another process has just written is not in the state yet, and comes with the news.
        self._take(event for event in self._study.events() if event.seq <= state.seq)

    def _catch_up(self) -> None:
        news, self._news = self._news, []
        if any(isinstance(event.body, Undone | Weighed) for event in news):
            self._begin()  # what was taken back is as if it had never been
        else:
            self._take(event for event in news if event.seq > self._last_seq)

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            self._last_seq = event.seq
            match event.body:
                case Consulted() as consultation:
                    self._spent += cost(self._study, consultation)
                case Resumed(query=number):
                    self._cases.pop(number, None)
                    self._finished_pairs.discard(self._study.query(number).pair)
                case Routed(to="people" | "nobody") as routed:
                    self._take_route(routed)
                case Voted() as voted if event.seq not in self._undone_seqs:
                    self._take_vote(voted)

    def _take_route(self, routed: Routed) -> None:
        query, basis = self._study.query(routed.query), routed.basis
        case = self.case(query, basis.mean, basis.variance)
        audited = any(later.to == "audit" for later in self._study.state.routed.get(query.id, ()))
        if routed.to == "nobody" and not audited:
            self._router.tell(case)  # an audited case is told with the person's answer
        self._cases[query.id] = case
        self._finished_pairs.add(query.pair)

    def _take_vote(self, voted: Voted) -> None:
        state = self._study.state
        self._finished_pairs.add(state.asked[voted.query].query.pair)
        if voted.raw is not None:
            return
        if voted.judge not in self._machines:
            self._spent += self._prices.get(voted.judge, self._study.spec.routing.person_price)
        teaches = voted.outcome.choice != "skip" and state.weight(voted.judge) > 0
        if voted.query in self._cases and teaches:
            before = self._answers.setdefault(voted.query, {})
            case = self._cases[voted.query].answered(voted.outcome, voted.judge)
            self._router.tell(replace(case, earlier=dict(before)))
            before[voted.judge] = voted.outcome


def after_consultation(case: Case, consultation: Consulted) -> Case:
    """The case after one more machine judge was asked."""
    if consultation.verdict is None:
        return case.without(consultation.judge)
    return case.heard(consultation.judge, consultation.verdict)
