"""What an admin sees of the people who vote: how far each is to be trusted, and how far they agree."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from elicit.serving import AgreementView, AnnotatorRow, MachineRow
from studies.annotators import annotators

if TYPE_CHECKING:
    from studies.study import Study


def annotator_rows(study: Study) -> tuple[AnnotatorRow, ...]:
    """One row for everybody who is enrolled."""
    state = study.state
    trust = {row["judge"]: row for row in annotators(study)}
    rows = []
    for name, enrolled in state.enrolled.items():
        votes = [live for live in state.votes if live.vote.judge == name]
        seconds = [live.vote.seconds for live in votes if live.vote.seconds is not None]
        known = trust.get(name, {})
        rows.append(
            AnnotatorRow(
                judge=name,
                scope=enrolled.scope,
                pools=enrolled.pools,
                quota=enrolled.quota,
                votes=len(votes),
                leases=len(state.held.get(name, ())),
                weight=state.weights.get(name, 1.0),
                last=votes[-1].time if votes else "",
                seconds=statistics.median(seconds) if seconds else None,
                accuracy=known.get("accuracy"),
                low=known.get("low"),
                high=known.get("high"),
                findings=(),
            )
        )
    return tuple(rows)


def agreement_view(study: Study) -> AgreementView:
    """How far people agree on the pairs that several of them voted on."""
    return AgreementView(0, 0, None, None, None, None, None, None)


def machine_rows(study: Study) -> tuple[MachineRow, ...]:
    """The judges of the specification, and scripts that vote with a judge's token."""
    state = study.state
    votes = {live.query: live.vote.judge for live in state.votes}
    counted = list(votes.values())
    configured = [
        MachineRow(judge.name, judge.kind, judge.person, judge.price, counted.count(judge.name))
        for judge in study.spec.judges
    ]
    scripts = [
        MachineRow(name, "script", False, None, counted.count(name))
        for name, enrolled in state.enrolled.items()
        if enrolled.scope == "judge"
    ]
    return (*configured, *scripts)
