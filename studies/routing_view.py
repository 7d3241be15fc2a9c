"""What the router's screen shows of a study, without a word on pairs that people are still to judge blind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from elicit.service import JudgeRow, Lean, Routed, Routing
from studies.certifying import acceptance, audits, bits_asked_for, judged_by, machine_labels
from studies.desk import by_people, spent

if TYPE_CHECKING:
    from studies.study import Study

SHOWN = 10
"""Decisions that are shown."""


def routing_view(study: Study) -> Routing | None:
    """The router's screen as plain values; None where the study has no router and nothing was ever routed."""
    state, rules = study.state, study.spec.routing
    if rules.router == "none" and not state.routed:
        return None
    pending, labels, accepted = study.state.unheard(), machine_labels(study), acceptance(study)
    unseen = hidden(study)
    sent = {number: routes[0].to for number, routes in state.routed.items()}
    people = {live.query for live in by_people(study.spec, study.state)} - labels.keys()
    waiting = {number for number in pending if sent.get(number) == "people"}
    money = spent(study)
    return Routing(
        router=rules.router,
        people=len(people - waiting),
        machines=len(labels),
        waiting=len(waiting),
        nobody=sum(to == "nobody" and number not in labels for number, to in sent.items()),
        audits_waiting=len(pending & labels.keys()),
        spent=money,
        budget=rules.budget,
        per_vote=money / len(state.votes) if state.votes else None,
        per_bit=money / bits if (bits := bits_asked_for(study, unseen)) else None,
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
        audits=accepted.audits,
        wrong=accepted.wrong,
        epoch=rules.epoch,
        target=rules.alpha,
        threshold=accepted.certificate.threshold if accepted.certificate else None,
        accepted=sum(accepted.accepts(label.confidence) for label in labels.values()),
        certificate=accepted.why,
        alarm=accepted.alarm.alarmed if accepted.alarm else None,
        warning=accepted.alarm.warned if accepted.alarm else None,
        decisions=tuple(decision for decision, _ in zip(_decisions(study), range(SHOWN), strict=False)),
    )


def hidden(study: Study) -> set[int]:
    """The queries about a pair that somebody is still to judge: it is open, or it waits for a person.

    By pair: one that the machines labelled may be asked again, as another query.
    """
    asked = study.state.asked
    pairs = {asked[number].query.pair for number in study.state.unheard()}
    return {number for number, made in asked.items() if made.query.pair in pairs}


def _decisions(study: Study) -> Iterator[Routed]:
    """Where the queries went, newest first, without the hidden ones."""
    unseen, labels = hidden(study), machine_labels(study)
    found: dict[int, Literal["right", "wrong"]] = {
        label.query: "wrong" if missed else "right" for label, missed, _ in audits(study)
    }
    for number, routes in reversed(study.state.routed.items()):
        if number not in unseen:
            to: Literal["people", "machines", "nobody"] = "machines" if number in labels else "nobody"
            to = "people" if routes[0].to == "people" else to
            yield Routed(to, routes[0].propensity, routes[0].reason, found.get(number, ""))
