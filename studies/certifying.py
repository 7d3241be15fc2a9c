"""What the machines' labels of a study are worth, as a function of its log: certificate, alarm, ceiling, estimates.

Audits are people's blind votes on labels drawn by lot. They are read in epochs: the cuts of an epoch are fixed from the
confidences of the labels made before its first audit came in, and the certificate is due when its last one has. From
then on every further audit of an accepted label feeds the alarm; when it goes off nothing is accepted until the next
certificate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from elicit.ranking.prediction_powered import Estimate, win_rate
from elicit.routing.bias import Bias, Judged, biases
from elicit.routing.certificate import Certificate, audits_needed, certify, plan
from elicit.routing.drift import Drift, watch
from elicit.types import BadInputError, Choice, Vote, mirror
from studies.decisions import labelled
from studies.desk import by_people, cost, spent
from studies.features import gaps
from studies.sides import sides

if TYPE_CHECKING:
    from elicit.log.state import State
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
    p: dict[str, float]


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


def machine_labels(study: Study) -> dict[int, MachineLabel]:
    """The labels made without people, by query, in the log's order."""
    found = {}
    for live in study.state.votes:
        if live.raw and "label" in live.raw:
            p: dict[str, float] = {side: float(live.raw["label"][side]) for side in SIDES}
            choice = max(SIDES, key=p.__getitem__)
            found[live.query] = MachineLabel(live.query, live.seq, choice, p[choice], p)
    return found


def audits(study: Study) -> list[tuple[MachineLabel, bool, int]]:
    """Audited labels in the order in which people answered: the label, whether it was wrong, the vote's seq.

    A second person's answer is no second draw.
    """
    labels = machine_labels(study)
    drawn = {number for number, routes in study.state.routed.items() if any(r.to == "audit" for r in routes)}
    found = []
    for live in study.state.votes:
        label = labels.get(live.query)
        if live.raw is None and label and live.query in drawn and live.vote.outcome.choice in SIDES:
            drawn.remove(live.query)
            found.append((label, live.vote.outcome.choice != label.choice, live.seq))
    return found


def acceptance(study: Study) -> Acceptance:
    """The certificate and the alarm as the audits so far have them."""
    rules, read, labels = study.spec.routing, audits(study), list(machine_labels(study).values())
    wrong = sum(missed for _, missed, _ in read)
    certificate, alarm, why = None, None, ""
    agreement = _agreement(study)
    for start in range(0, len(read) + 1, rules.epoch):
        part = read[start : start + rules.epoch]
        if certificate and certificate.threshold is not None:
            alarm = alarm or watch(rules.alpha, delta=rules.delta)
            accepted = [missed for label, missed, _ in part if label.confidence >= certificate.threshold]
            alarm = alarm.after(np.array(accepted, dtype=float)) if accepted else alarm
        if len(part) < rules.epoch:
            missing = f"{len(part)} of {rules.epoch} audits of epoch {start // rules.epoch + 1} are in"
            why = f"{certificate} {missing}." if certificate else f"No label is accepted yet: {missing}."
            why += _out_of_reach(study.spec, study.state, len(read), rules.epoch - len(part))
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
            return Acceptance(None, f"No label can be accepted: {error}.", None, len(read), wrong)
        confidences = np.array([label.confidence for label, _, _ in part])
        certificate = certify(frozen, confidences, np.array([missed for _, missed, _ in part]))
        alarm = None
        why = str(certificate)
    if alarm is not None and alarm.alarmed is not None:
        seem = f"more than {rules.alpha:.0%} of them seem wrong, so none is accepted until the next certificate"
        why = f"ALARM after {alarm.alarmed} audits of accepted labels: {seem}."
    return Acceptance(certificate, why, alarm, len(read), wrong)


def _out_of_reach(spec: Spec, state: State, read: int, missing: int) -> str:
    """That the audits missing of an epoch cannot come any more, and what would have to be set; empty where they can."""
    rules = spec.routing
    drawn = sum(len(routes) > 1 for routes in state.routed.values()) - read
    if state.pairs:
        routed = {state.asked[number].query.pair for number in state.routed}
        left = len(state.listed() - labelled(state) - routed)
    else:
        left = max(0, spec.votes - len(state.votes))
    to_come = drawn + rules.audits * left
    if to_come >= missing or (not state.routed and rules.router == "none"):
        return ""
    fewest = audits_needed(rules.alpha, rules.delta)
    why = f" That cannot be reached: {missing} more are needed, and about {to_come:.0f} can come of the queries left"
    why += f" (routing.audits = {rules.audits:g})."
    if read or fewest > left:
        return f"{why} A risk of {rules.alpha:.0%} takes at least {fewest} audits, so a study of more queries."
    share = math.ceil(100 * fewest / left) / 100
    return (
        f"{why} A risk of {rules.alpha:.0%} takes at least {fewest} audits: set routing.epoch to {fewest} or more "
        f"and routing.audits to at least {share:g} before the first audit is read."
    )


class Totals(NamedTuple):
    """What routing has come to; the fields are those of `elicit.service.voting.Routing`."""

    router: str
    machines: int
    nobody: int
    spent: float
    budget: float | None
    per_vote: float | None
    audits: int
    wrong: int
    threshold: float | None
    accepted: int
    certificate: str
    alarm: int | None
    warning: int | None


def totals(study: Study) -> Totals:
    """What routing has come to, for whoever may see only the screen and for whoever may see all."""
    rules, labels, accepted, money = study.spec.routing, machine_labels(study), acceptance(study), spent(study)
    return Totals(
        router=rules.router,
        machines=len(labels),
        nobody=sum(r[0].to == "nobody" and number not in labels for number, r in study.state.routed.items()),
        spent=money,
        budget=rules.budget,
        per_vote=money / len(study.state.votes) if study.state.votes else None,
        audits=accepted.audits,
        wrong=accepted.wrong,
        threshold=accepted.certificate.threshold if accepted.certificate else None,
        accepted=sum(accepted.accepts(label.confidence) for label in labels.values()),
        certificate=accepted.why,
        alarm=accepted.alarm.alarmed if accepted.alarm else None,
        warning=accepted.alarm.warned if accepted.alarm else None,
    )


def routing_of(study: Study) -> dict[str, Any]:
    """What `elicit status` tells of routing, as plain values."""
    state, total = study.state, totals(study)
    result: dict[str, Any] = {
        "router": total.router,
        "to_people": sum(routes[0].to == "people" for routes in state.routed.values()),
        "to_machines": total.machines,
        "passed_over": total.nobody,
        "waiting": len(state.waiting),
        "spent": total.spent,
        "budget": total.budget,
        "cost_per_vote": total.per_vote,
        "cost_per_bit": total.spent / bits if (bits := bits_asked_for(study)) else None,
        "judges": [row | {"biases": [str(bias) for bias in row["biases"]]} for row in judged_by(study)],
        "agreement_of_people": _agreement(study),
        "audits": total.audits,
        "audits_drawn": sum(len(routes) > 1 for routes in state.routed.values()),
        "audits_wrong": total.wrong,
        "threshold": total.threshold,
        "accepted": total.accepted,
        "certificate": total.certificate,
        "alarm": total.alarm,
        "warning": total.warning,
        "people": dict(Counter(live.vote.judge for live in by_people(study.spec, state))),
    }
    if study.spec.goal == "label" and (estimate := first_wins(study.spec, study.state)) is not None:
        low, high = estimate.interval()
        result["a_wins"] = {"value": estimate.value, "low": low, "high": high}
    return result


def lines_of(routing: dict[str, Any]) -> list[str]:
    """What `routing_of` gives, for a reader."""
    budget = "" if routing["budget"] is None else f" of {routing['budget']:g}"
    each = "" if routing["cost_per_vote"] is None else f", {routing['cost_per_vote']:.3g} a vote"
    if routing["cost_per_bit"] is not None:
        each += f", {routing['cost_per_bit']:.3g} a bit expected"
    lines = [
        f"routing ({routing['router']}): {routing['to_machines']} labels by machines, {routing['to_people']} queries "
        f"to people, {routing['waiting']} waiting; spent {routing['spent']:.4g}{budget}{each}"
    ]
    for judge in routing["judges"]:
        agreed = f", agrees with people on {judge['same']} of {judge['both']}" if judge["both"] else ""
        failed = f", failed {judge['failed']} times" if judge["failed"] else ""
        swaps = f", orders disagree on {judge['flips']}" if judge["flips"] else ""
        lines.append(f"  {judge['judge']}: {judge['asked']} verdicts, cost {judge['cost']:.4g}{agreed}{swaps}{failed}")
        lines += [f"    leans: {bias}" for bias in judge["biases"]]
    answered = f"{routing['audits']} of {routing['audits_drawn']} answered, {routing['audits_wrong']} wrong"
    lines.append(f"audits: {answered}. {routing['certificate']}")
    if wins := routing.get("a_wins"):
        lines.append(f"first response preferred: {wins['value']:.1%}, 95 % in {wins['low']:.1%} to {wins['high']:.1%}")
    return lines


def first_wins(spec: Spec, state: State) -> Estimate | None:
    """How often people would prefer the first response of the routed pairs, a tie counting half; None before people
    have answered two of them.

    Prediction-powered: every pair counts by what was believed of it before people saw it, put right by those that went
    to people, each weighed by one over the probability with which it did, by the router or by the lot for an audit. Of
    the pairs in the order of the log, up to the first that waits and has no answer; those that no person could have
    been asked about are left out. `a` is the first as listed.
    """
    listed = {(min(a, b), max(a, b)): a for _, a, b in state.pairs}
    said, open_ = dict[int, Vote](), state.unheard()
    for live in by_people(spec, state):
        if live.vote.outcome.choice in SIDES:
            said.setdefault(live.query, live.vote)
    human, propensity, machine = [], [], []
    for number, routes in state.routed.items():
        if number in open_ and number not in said:
            break
        query, numbers = state.asked[number].query, routes[0].numbers
        turned = listed.get(query.pair, query.a) != query.a
        straight = routes[0].propensity if routes[0].to == "people" else 1 - routes[0].propensity
        # A query that went to people would else have had the chance of an audit.
        chance = straight + (1 - straight) * numbers.get("audit", spec.routing.audits)
        asked, vote = routes[0].to == "people" or len(routes) > 1, said.get(number)
        if chance <= 0 or (asked and vote is None):
            continue
        value, guess = np.nan, numbers["p_a"] + numbers["p_tie"] / 2
        if asked and vote is not None:
            outcome = mirror(vote.outcome) if turned else vote.outcome
            value = {"a": 1.0, "tie": 0.5, "b": 0.0}[outcome.choice]
        human.append(value)
        propensity.append(chance)
        machine.append(1 - guess if turned else guess)
    if sum(np.isfinite(human)) < 2:
        return None
    try:
        return win_rate(np.array(human), np.array(propensity), np.array(machine))
    except BadInputError:
        return None


def bits_asked_for(study: Study, hidden: Set[int] = frozenset()) -> float:
    """The bits that answers were expected to tell of people's opinion, as the router put it; not of hidden queries."""
    consulted = [several for number, several in study.state.consulted.items() if number not in hidden]
    told = [asked.numbers for several in consulted for asked in several if asked.verdict]
    routed = [routes[0] for number, routes in study.state.routed.items() if number not in hidden]
    told += [first.numbers for first in routed if first.to == "people"]
    return sum(numbers.get("bits", 0.0) for numbers in told)


def _agreement(study: Study) -> float | None:
    """How often two people who both named a side on the same pair named the same; None while too few did."""
    by_pair: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for live in by_people(study.spec, study.state):
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


def judged_by(study: Study, hidden: Set[int] = frozenset()) -> list[dict[str, Any]]:
    """One row a machine judge: what it was asked, what it cost, how often people said the same, what it leans to.

    hidden: queries of whose verdicts nothing but their number and cost may be told.
    """
    state = study.state
    said = {live.query: live.vote.outcome.choice for live in by_people(study.spec, study.state)}
    rows: dict[str, dict[str, Any]] = {}
    for number, several in state.consulted.items():
        for asked in several:
            fresh = dict.fromkeys(("asked", "failed", "flips", "swapped", "both", "same"), 0)
            row = rows.setdefault(asked.judge, {"judge": asked.judge, "cost": 0.0, **fresh})
            row["asked"] += 1
            if asked.verdict is None:
                row["failed"] += 1
                continue
            row["cost"] += cost(study, asked)
            if number in hidden:
                continue
            row["flips"] += asked.verdict.flips
            row["swapped"] += len(asked.verdict.logits) == 2
            if said.get(number) in ("a", "b") and asked.verdict.logit:
                row["both"] += 1
                row["same"] += (asked.verdict.logit > 0) == (said[number] == "a")
    return [row | {"biases": _biases(study, name, said, hidden)} for name, row in sorted(rows.items())]


def _biases(study: Study, judge: str, said: dict[int, Choice], hidden: Set[int]) -> list[Bias]:
    """What the judge leans to for all that is known, the place shown first, length or format."""
    judged = []
    for number, several in study.state.consulted.items():
        if number in hidden:
            continue
        query = study.state.asked[number].query
        shown = sides(study.state, query)
        votes = [said[number]] if number in said else []
        leans = gaps(shown.a, shown.b)
        judged += [Judged(asked.verdict, leans, votes) for asked in several if asked.judge == judge and asked.verdict]
    return [bias for bias in biases(judged) if bias.low > 0 or bias.high < 0]
