"""What the router did with a study's queries, and what the machines' labels of it are worth, in numbers and words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from elicit.ranking.prediction_powered import RateEstimate, routed_leaderboard, win_rate
from elicit.routing.bias import Bias, Judged, biases
from elicit.safe_text import percent
from elicit.types import BadInputError, Choice, Vote, mirror
from studies.decisions import by_people, trusted_votes
from studies.items.features import gaps
from studies.items.presentation import presented_pair
from studies.routing.audits import SIDES, acceptance, agreement_of_people, machine_labels
from studies.routing.costs import cost, money_spent

if TYPE_CHECKING:
    from elicit.log.state import State
    from elicit.ranking.leaderboard import Leaderboard
    from studies.spec import Spec
    from studies.study import Study


class Totals(NamedTuple):
    """What routing has come to; the fields are those of `elicit.service.results.RoutingView`."""

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


class RoutedCases(NamedTuple):
    """Routed pairs as prediction-powered estimates take them: pairs (T, 2) of rows, the first as listed; human,
    propensity and machine (T,) as `elicit.ranking.prediction_powered.win_rate` has them."""

    pairs: NDArray[np.int64]
    human: NDArray[np.float64]
    propensity: NDArray[np.float64]
    machine: NDArray[np.float64]


def totals(study: Study) -> Totals:
    """What routing has come to, for whoever may see only the screen and for whoever may see all."""
    rules, labels, accepted, money = study.spec.routing, machine_labels(study), acceptance(study), money_spent(study)
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
        "agreement_of_people": agreement_of_people(study),
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
        lines.append(
            f"first response preferred: {percent(wins['value'], 1)}, 95 % in {percent(wins['low'], 1)} to "
            f"{percent(wins['high'], 1)}"
        )
    return lines


def first_wins(spec: Spec, state: State) -> RateEstimate | None:
    """How often people would prefer the first response of the routed pairs, a tie counting half; None before people
    have answered two of them."""
    cases = routed_cases(spec, state)
    if np.isfinite(cases.human).sum() < 2:
        return None
    try:
        return win_rate(cases.human, cases.propensity, cases.machine)
    except BadInputError:
        return None


def system_leaderboard(study: Study) -> tuple[list[str], Leaderboard, RoutedCases]:
    """The systems that wrote the responses of a routed study, by name, what people would make of them, and the pairs of
    two systems that this rests on.

    A pair names its systems in `model_a` and `model_b`; a response that two systems gave to one prompt is that of the
    first. Raises BadInputError where there are no such names, or too few answers of people.
    """
    if study.spec.goal != "label" or not study.state.routed:
        raise BadInputError(
            f"{study.folder} has no routed labels; give a table of votes, or a study of pairs with a router"
        )
    systems = [str(item.meta.get(f"model_{item.id[-1]}", "")) for item in study.state.items]
    if not all(systems):
        raise BadInputError(
            f"{study.folder}: it is not known which systems wrote the responses; give the pairs model_a and model_b"
        )
    names, system = np.unique(systems, return_inverse=True)
    cases = routed_cases(study.spec, study.state)
    apart = system[cases.pairs[:, 0]] != system[cases.pairs[:, 1]]
    cases = RoutedCases(*(column[apart] for column in cases))
    a, b = system[cases.pairs].T
    board = routed_leaderboard(a, b, cases.human, cases.propensity, len(names), cases.machine)
    return names.tolist(), board, cases


def routed_cases(spec: Spec, state: State) -> RoutedCases:
    """Every pair by what was believed of it before people saw it, and by what people said of those that went to them,
    with the probability with which a pair did, by the router or by the lot for an audit.

    Where several people answered one, it counts by their mean. Of the pairs in the order of the log, up to the first
    that waits and has no answer; those that no person could have been asked about are left out.
    """
    listed = {(min(a, b), max(a, b)): a for _, a, b in state.pairs}
    votes_by_query, open_ = dict[int, list[Vote]](), state.unjudged_queries()
    for live in trusted_votes(spec, state):
        if live.vote.outcome.choice in SIDES:
            votes_by_query.setdefault(live.query, []).append(live.vote)
    pairs, human, propensity, machine = list[tuple[int, int]](), list[float](), list[float](), list[float]()
    for number, routes in state.routed.items():
        if number in open_ and number not in votes_by_query:
            break
        query, basis = state.asked[number].query, routes[0].basis
        turned = listed.get(query.pair, query.a) != query.a
        straight = routes[0].propensity if routes[0].to == "people" else 1 - routes[0].propensity
        # A query that went to people would else have had the chance of an audit.
        lots = spec.routing.audits if basis.audit is None else basis.audit
        chance = straight + (1 - straight) * lots
        went_to_people, votes = routes[0].to == "people" or len(routes) > 1, votes_by_query.get(number, [])
        if chance <= 0 or (went_to_people and not votes):
            continue
        value, guess = np.nan, basis.p_a + basis.p_tie / 2
        if went_to_people:
            outcomes = [mirror(vote.outcome) if turned else vote.outcome for vote in votes]
            value = float(np.mean([{"a": 1.0, "tie": 0.5, "b": 0.0}[outcome.choice] for outcome in outcomes]))
        pairs.append((query.b, query.a) if turned else (query.a, query.b))
        human.append(value)
        propensity.append(chance)
        machine.append(1 - guess if turned else guess)
    rows = np.array(pairs, np.int64).reshape(-1, 2)
    return RoutedCases(rows, np.array(human, float), np.array(propensity, float), np.array(machine, float))


def bits_asked_for(study: Study, hidden: Set[int] = frozenset()) -> float:
    """The bits that answers were expected to tell of people's opinion, as the router put it; not of hidden queries."""
    consulted = [several for number, several in study.state.consulted.items() if number not in hidden]
    bases = [reply.basis for several in consulted for reply in several if reply.verdict]
    routed = [routes[0] for number, routes in study.state.routed.items() if number not in hidden]
    bases += [first.basis for first in routed if first.to == "people"]
    return sum(basis.bits or 0.0 for basis in bases)


def judged_by(study: Study, hidden: Set[int] = frozenset()) -> list[dict[str, Any]]:
    """One row a machine judge: what it was asked, what it cost, how often people said the same, what it leans to.

    hidden: queries of whose verdicts nothing but their number and cost may be told.
    """
    state = study.state
    choices = {live.query: live.vote.outcome.choice for live in trusted_votes(study.spec, study.state)}
    rows: dict[str, dict[str, Any]] = {}
    for number, several in state.consulted.items():
        for reply in several:
            fresh = dict.fromkeys(("asked", "failed", "flips", "swapped", "both", "same"), 0)
            row = rows.setdefault(reply.judge, {"judge": reply.judge, "cost": 0.0, **fresh})
            row["asked"] += 1
            if reply.verdict is None:
                row["failed"] += 1
                continue
            row["cost"] += cost(study, reply)
            if number in hidden:
                continue
            row["flips"] += reply.verdict.flips
            row["swapped"] += len(reply.verdict.logits) == 2
            if choices.get(number) in ("a", "b") and reply.verdict.logit:
                row["both"] += 1
                row["same"] += (reply.verdict.logit > 0) == (choices[number] == "a")
    return [row | {"biases": _biases(study, name, choices, hidden)} for name, row in sorted(rows.items())]


def _biases(study: Study, judge: str, choices: dict[int, Choice], hidden: Set[int]) -> list[Bias]:
    """What the judge leans to for all that is known, the place shown first, length or format."""
    judged = []
    for number, several in study.state.consulted.items():
        if number in hidden:
            continue
        query = study.state.asked[number].query
        shown = presented_pair(study.state, query)
        votes = [choices[number]] if number in choices else []
        leans = gaps(shown.a, shown.b)
        judged += [Judged(reply.verdict, leans, votes) for reply in several if reply.judge == judge and reply.verdict]
    return [bias for bias in biases(judged) if bias.low > 0 or bias.high < 0]
