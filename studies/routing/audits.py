"""What the machines' labels of a study are worth, as a function of its log: certificate, alarm, ceiling, estimates.

Audits are people's blind votes on labels drawn by lot. They are read in epochs: the cuts of an epoch are fixed from the
confidences of the labels made before its first audit came in, and the certificate is due when its last one has. From
then on every further audit of an accepted label feeds the alarm; when it goes off nothing is accepted until the next
certificate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from elicit.routing.certificate import Certificate, audits_needed, certify, plan
from elicit.routing.drift import Drift, watch
from elicit.safe_text import full_stop, percent
from elicit.types import BadInputError, Choice
from studies.decisions import labelled_pairs, trusted_votes

if TYPE_CHECKING:
    from elicit.log.state import State
    from elicit.routing.case import Labelled
    from studies.spec import Spec
    from studies.study import Study

SIDES: tuple[Choice, ...] = ("a", "tie", "b")
FEWEST = 30
"""Votes of two people on the same query, before their agreement is taken for known."""


class MachineLabel(NamedTuple):
    """A label made without people. confidence: the probability it was given; seq: its vote's place in the log."""

    query: int
    seq: int
    choice: Choice
    confidence: float


@dataclass(frozen=True)
class Acceptance:
    """What audits allow. certificate: the newest, None before the first; why: in a sentence; alarm: the watch over
    accepted labels since then; audits: all so far; wrong: of these."""

    certificate: Certificate | None
    why: str
    alarm: Drift | None
    audits: int
    wrong: int

    def accepts(self, confidence: float) -> bool:
        """Whether a label of this confidence is accepted unseen."""
        if self.certificate is None or (self.alarm is not None and self.alarm.alarmed is not None):
            return False
        return bool(self.certificate.accepts(np.array([confidence]))[0])


def label_record(label: Labelled) -> dict[str, Any]:
    """A label as the log keeps it."""
    a, tie, b = label.probabilities
    terms: Mapping[str, float] = getattr(label, "terms", {})
    return {"a": a, "tie": tie, "b": b, "logit": label.logit, "terms": dict(terms)}


def machine_labels(study: Study) -> dict[int, MachineLabel]:
    """The labels made without people, by query, in the log's order."""
    labels = {}
    for live in study.state.votes:
        if live.raw and "label" in live.raw:
            p: dict[str, float] = {side: float(live.raw["label"][side]) for side in SIDES}
            choice = max(SIDES, key=p.__getitem__)
            labels[live.query] = MachineLabel(live.query, live.seq, choice, p[choice])
    return labels


def audits(study: Study) -> list[tuple[MachineLabel, bool, int]]:
    """Audited labels in the order in which people answered: the label, whether it was wrong, the vote's seq.

    A second person's answer is no second draw, and what counts for nothing is no answer.
    """
    labels = machine_labels(study)
    audit_queries = {number for number, routes in study.state.routed.items() if any(r.to == "audit" for r in routes)}
    answers = []
    for live in trusted_votes(study.spec, study.state):
        label = labels.get(live.query)
        if label and live.query in audit_queries and live.vote.outcome.choice in SIDES:
            audit_queries.remove(live.query)
            answers.append((label, live.vote.outcome.choice != label.choice, live.seq))
    return answers


def acceptance(study: Study) -> Acceptance:
    """The certificate and the alarm as the audits so far have them."""
    rules, answers, labels = study.spec.routing, audits(study), list(machine_labels(study).values())
    wrong = sum(missed for _, missed, _ in answers)
    certificate, alarm, why = None, None, ""
    agreement = agreement_of_people(study)
    for start in range(0, len(answers) + 1, rules.epoch):
        part = answers[start : start + rules.epoch]
        if certificate and certificate.threshold is not None:
            alarm = alarm or watch(rules.alpha, delta=rules.delta)
            accepted = [missed for label, missed, _ in part if label.confidence >= certificate.threshold]
            alarm = alarm.after(np.array(accepted, dtype=float)) if accepted else alarm
        if len(part) < rules.epoch:
            missing = f"{len(part)} of {rules.epoch} audits of epoch {start // rules.epoch + 1} are in"
            why = f"{certificate} {missing}." if certificate else f"No label is accepted yet: {missing}."
            why += _out_of_reach(study.spec, study.state, len(answers), rules.epoch - len(part))
            break
        before = [label.confidence for label in labels if label.seq < part[0][2]]
        try:
            frozen = plan(
                np.array(before),
                rules.epoch,
                alpha=rules.alpha,
                delta=rules.delta,
                epoch=start // rules.epoch + 1,
                agreement=None if agreement is None else max(agreement, 0.5),
            )
        except BadInputError as error:
            return Acceptance(None, full_stop(f"No label can be accepted: {error}"), None, len(answers), wrong)
        confidences = np.array([label.confidence for label, _, _ in part])
        certificate = certify(frozen, confidences, np.array([missed for _, missed, _ in part]))
        alarm = None
        why = str(certificate)
    if alarm is not None and alarm.alarmed is not None:
        seem = f"more than {percent(rules.alpha)} of them seem wrong, so none is accepted until the next certificate"
        why = f"ALARM after {alarm.alarmed} audits of accepted labels: {seem}."
    return Acceptance(certificate, why, alarm, len(answers), wrong)


def _out_of_reach(spec: Spec, state: State, answers: int, missing: int) -> str:
    """That the audits missing of an epoch cannot come any more, and what would have to be set; empty where they can."""
    rules = spec.routing
    pending = sum(len(routes) > 1 for routes in state.routed.values()) - answers
    if state.pairs:
        routed_pairs = {state.asked[number].query.pair for number in state.routed}
        remaining = len(state.listed_pairs() - labelled_pairs(state) - routed_pairs)
    else:
        remaining = max(0, spec.votes - len(state.votes))
    to_come = pending + rules.audits * remaining
    if to_come >= missing or (not state.routed and rules.router == "none"):
        return ""
    fewest = audits_needed(rules.alpha, rules.delta)
    why = f" That cannot be reached: {missing} more are needed, and about {to_come:.0f} can come of the queries left"
    why += f" (routing.audits = {rules.audits:g})."
    if answers or fewest > remaining:
        return f"{why} A risk of {percent(rules.alpha)} takes at least {fewest} audits, so a study of more queries."
    share = math.ceil(100 * fewest / remaining) / 100
    return (
        f"{why} A risk of {percent(rules.alpha)} takes at least {fewest} audits: set routing.epoch to {fewest} or more "
        f"and routing.audits to at least {share:g} before the first audit is read."
    )


def agreement_of_people(study: Study) -> float | None:
    """How often two people who both named a side on the same pair named the same; None while too few did."""
    by_pair: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for live in trusted_votes(study.spec, study.state):
        outcome = live.vote.outcome_of_pair
        if outcome.choice in ("a", "b"):
            by_pair.setdefault(live.vote.pair, []).append((live.vote.judge, outcome.choice))
    same = total = 0
    for votes in by_pair.values():
        for i, (judge, choice) in enumerate(votes):
            for other, its in votes[:i]:
                if other != judge:
                    total, same = total + 1, same + (its == choice)
    return same / total if total >= FEWEST else None
