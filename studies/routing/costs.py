"""What a study's votes and verdicts have cost, as a function of its log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elicit.log.events import Consulted
from studies.decisions import by_people

if TYPE_CHECKING:
    from studies.study import Study


def cost(study: Study, consultation: Consulted) -> float:
    """What one verdict has cost: as the judge tells, or its price in the specification; or what a failure has."""
    if consultation.verdict is None:
        return consultation.cost
    return consultation.verdict.cost or _prices_of(study).get(consultation.judge, 0.0)


def spent_on_machines(study: Study) -> float:
    """The money that machine judges have cost so far."""
    return sum(cost(study, consultation) for several in study.state.consulted.values() for consultation in several)


def money_spent(study: Study) -> float:
    """The money that people and judges have cost so far."""
    prices, person = _prices_of(study), study.spec.routing.person_price
    people = sum(prices.get(live.vote.judge, person) for live in by_people(study.spec, study.state))
    return spent_on_machines(study) + people


def _prices_of(study: Study) -> dict[str, float]:
    """The prices of an answer that the specification gives, by judge; 0 where it gives none."""
    return {judge.name: judge.price or 0.0 for judge in study.spec.judges}
