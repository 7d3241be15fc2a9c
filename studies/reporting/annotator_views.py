"""What an admin sees of the people who vote: how far each is to be trusted, what checks find, how far they agree."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from elicit.log.events import GOLD, REPEAT, Weighed
from elicit.log.state import LiveVote
from elicit.quality.agreement import AgreementInterval, agreement
from elicit.quality.conduct import conduct
from elicit.quality.findings import Finding
from elicit.quality.records import SKIP, UNKNOWN, Records
from elicit.randomness import stream
from elicit.service.http_schema import AgreementView, AnnotatorRow, MachineRow
from studies.decisions import by_people
from studies.reporting.annotators import annotators

if TYPE_CHECKING:
    from studies.study import Study

SAID = {"a": -1, "tie": 0, "b": 1, "both_bad": 2, "skip": 3}
FEWEST = 10
"""Pairs with votes of two people, from which on their agreement is told."""
RULES = "(rules)"
"""Who weighs where no person has."""


def examination(study: Study) -> Callable[[], tuple[Finding, ...]]:
    """What the checks find of everybody who votes in person, as the log is now: to be called, which takes a second for
    ten thousand votes, also in another thread."""
    votes = sorted(by_people(study.spec, study.state), key=lambda live: live.seq)
    names = list(dict.fromkeys(live.vote.judge for live in votes))
    items = [item.id for item in study.state.items]
    records, rng = _records(study, votes, names) if votes else None, stream(study.spec.seed, "conduct")
    return lambda: conduct(records, names, rng, items) if records else ()


def weighings(study: Study, findings: Sequence[Finding]) -> list[Weighed]:
    """What the rules of conduct change: an annotator's votes weigh the least that a check says. What a person has
    decided stands."""
    least: dict[str, Finding] = {}
    for finding in findings:
        if finding.flag and finding.weight < getattr(least.get(finding.judge), "weight", 1.0):
            least[finding.judge] = finding
    changed = []
    for judge in study.state.enrolled:
        now, lowest = study.state.weighed.get(judge), least.get(judge)
        weight = lowest.weight if lowest else 1.0
        if (now is None or now.by == RULES) and weight != study.state.weight(judge):
            why = f"{lowest.check}: {lowest.why}" if lowest else "the checks find nothing any more"
            changed.append(Weighed(judge, weight, RULES, why))
    return changed


def _records(study: Study, votes: Sequence[LiveVote], names: Sequence[str]) -> Records:
    state = study.state
    number, pairs = {name: i for i, name in enumerate(names)}, dict[tuple[int, int], int]()
    lengths, read = [], set[tuple[str, int]]()
    for live in votes:
        fresh = [row for row in live.vote.pair if (live.vote.judge, row) not in read]
        read |= {(live.vote.judge, row) for row in fresh}
        lengths.append(float(sum(len(state.items[row].shown_text) for row in fresh)))
    queries = [state.asked[live.query].query for live in votes]
    # A smaller row is a, whatever way round a query has the two.
    turned = [-1 if live.vote.a > live.vote.b else 1 for live in votes]
    golds = [
        -round(q.why["answer"]) * turn if q.selector == GOLD else UNKNOWN
        for q, turn in zip(queries, turned, strict=True)
    ]
    beliefs = [q.why.get("p_a", math.nan) for q in queries]
    times = [datetime.fromisoformat(live.time).timestamp() for live in votes]
    return Records(
        who=np.array([number[live.vote.judge] for live in votes]),
        pair=np.array([pairs.setdefault(live.vote.pair, len(pairs)) for live in votes]),
        a=np.array([live.vote.pair[0] for live in votes]),
        b=np.array([live.vote.pair[1] for live in votes]),
        said=np.array([SAID[live.vote.outcome_of_pair.choice] for live in votes]),
        left=np.array([turn * (1 if live.shown == "ab" else -1) for live, turn in zip(votes, turned, strict=True)]),
        seconds=np.array([math.nan if live.vote.seconds is None else live.vote.seconds for live in votes]),
        length=np.array(lengths),
        time=np.maximum.accumulate(times),  # the wall clock may have been set back
        gold=np.array(golds),
        repeat=np.array([live.check == REPEAT for live in votes]),
        p_a=np.array([p if turn > 0 else 1 - p for p, turn in zip(beliefs, turned, strict=True)]),
    )


def annotator_rows(study: Study, findings: Sequence[Finding]) -> tuple[AnnotatorRow, ...]:
    """One row for everybody who is enrolled, with what checks found."""
    state = study.state
    trust = {row["judge"]: row for row in annotators(study)}
    by_judge: dict[str, list[Finding]] = {}
    for finding in findings:
        by_judge.setdefault(finding.judge, []).append(finding)
    votes: dict[str, list[LiveVote]] = {}
    for live in state.votes:
        votes.setdefault(live.vote.judge, []).append(live)
    rows = []
    for name, enrolled in state.enrolled.items():
        mine, estimates = votes.get(name, []), trust.get(name, {})
        seconds = [live.vote.seconds for live in mine if live.vote.seconds is not None]
        rows.append(
            AnnotatorRow(
                judge=name,
                scope=enrolled.scope,
                pools=enrolled.pools,
                quota=enrolled.quota,
                votes=len(mine),
                leases=len(state.held.get(name, ())),
                weight=state.weight(name),
                last=mine[-1].time if mine else "",
                seconds=statistics.median(seconds) if seconds else None,
                accuracy=estimates.get("accuracy"),
                low=estimates.get("low"),
                high=estimates.get("high"),
                findings=tuple(by_judge.get(name, ())),
            )
        )
    return tuple(rows)


def agreement_view(study: Study) -> AgreementView:
    """How far people agree on the pairs that several of them voted on; "both bad" agrees as a tie does."""
    votes = [live for live in by_people(study.spec, study.state) if not live.check]
    records = _records(study, votes, names := sorted({live.vote.judge for live in votes}))
    decided_rows = np.flatnonzero(records.said != SKIP)
    rng = stream(study.spec.seed, "agreement")
    measures = agreement(records.who[decided_rows], records.pair[decided_rows], records.answer[decided_rows], rng)
    if measures.cases < FEWEST:
        return AgreementView(len(names), measures.cases, FEWEST, None, None, None, None, None, None)
    return AgreementView(
        people=len(names),
        pairs=measures.cases,
        fewest=FEWEST,
        alpha_nominal=_value_and_interval(measures.alpha_nominal),
        alpha_ordinal=_value_and_interval(measures.alpha_ordinal),
        fleiss=measures.fleiss.value if measures.fleiss else None,
        cohen=measures.cohen,
        ceiling=_value_and_interval(measures.one),
        ceiling_decided=_value_and_interval(measures.one_decided),
    )


def _value_and_interval(estimate: AgreementInterval | None) -> tuple[float, float, float] | None:
    return (estimate.value, estimate.low, estimate.high) if estimate else None


def machine_rows(study: Study) -> tuple[MachineRow, ...]:
    """The judges of the specification, by their verdicts, and scripts that vote with a judge's token."""
    state = study.state
    counted = Counter(reply.judge for several in state.consulted.values() for reply in several if reply.verdict)
    configured = [
        MachineRow(
            judge.name, judge.kind, judge.person, judge.price, counted[judge.name] or state.given.get(judge.name, 0)
        )
        for judge in study.spec.judges
    ]
    scripts = [
        MachineRow(name, "script", False, None, state.given.get(name, 0))
        for name, enrolled in state.enrolled.items()
        if enrolled.scope == "judge"
    ]
    return (*configured, *scripts)
