"""What the router's screen shows of a study, without a word on pairs that people are still to judge blind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from elicit.service.results import JudgeRow, Lean, RoutingDecision, RoutingView
from studies.decisions import by_people
from studies.reporting.routing import bits_asked_for, judged_by, totals
from studies.routing.audits import audits, machine_labels

if TYPE_CHECKING:
    from studies.study import Study

SHOWN = 10
"""Decisions that are shown."""


def routing_view(study: Study) -> RoutingView | None:
    """The router's screen as plain values; None where the study has no router and nothing was ever routed."""
    state, rules = study.state, study.spec.routing
    if rules.router == "none" and not state.routed:
        return None
    pending, labels, unseen, total = (
        state.unjudged_queries(),
        machine_labels(study),
        undecided_queries(study),
        totals(study),
    )
    sent = {number: routes[0].to for number, routes in state.routed.items()}
    people = {live.query for live in by_people(study.spec, study.state)} - labels.keys()
    waiting = {number for number in pending if sent.get(number) == "people"}
    return RoutingView(
        **total._asdict(),
        people=len(people - waiting),
        waiting=len(waiting),
        audits_waiting=len(pending & labels.keys()),
        per_bit=total.spent / bits if (bits := bits_asked_for(study, unseen)) else None,
        judges=tuple(
            JudgeRow(
                judge=row["judge"],
                verdicts=row["asked"] - row["failed"],
                failed=row["failed"],
                cost=row["cost"],
                flips=row["flips"],
                swapped=row["swapped"],
                same=row["same"],
                both=row["both"],
                leans=tuple(Lean(*bias) for bias in row["biases"]),
            )
            for row in judged_by(study, unseen)
        ),
        epoch=rules.epoch,
        target=rules.alpha,
        decisions=tuple(decision for decision, _ in zip(_decisions(study), range(SHOWN), strict=False)),
    )


def undecided_queries(study: Study) -> set[int]:
    """The queries about a pair that somebody is still to judge: it is open, or it waits for a person.

    By pair: one that the machines labelled may be asked again, as another query.
    """
    questions = study.state.asked
    pairs = {questions[number].query.pair for number in study.state.unjudged_queries()}
    return {number for number, question in questions.items() if question.query.pair in pairs}


def _decisions(study: Study) -> Iterator[RoutingDecision]:
    """Where the queries went, newest first, without the hidden ones."""
    unseen, labels = undecided_queries(study), machine_labels(study)
    outcomes: dict[int, Literal["right", "wrong"]] = {
        label.query: "wrong" if missed else "right" for label, missed, _ in audits(study)
    }
    for number, routes in reversed(study.state.routed.items()):
        if number not in unseen:
            to: Literal["people", "machines", "nobody"] = "machines" if number in labels else "nobody"
            to = "people" if routes[0].to == "people" else to
            yield RoutingDecision(to, routes[0].propensity, routes[0].reason, outcomes.get(number, ""))
