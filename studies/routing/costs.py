"""What a study's votes and verdicts have cost, as a function of its log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elicit.log.events import Consulted
from studies.decisions import by_people

if TYPE_CHECKING:
    from studies.study import Study


def cost(study: Study, asked: Consulted) -> float:
    """What one verdict has cost: as the judge tells, or its price in the specification; or what a failure has."""
    if asked.verdict is None:
        return asked.cost
    return asked.verdict.cost or _configured(study).get(asked.judge, 0.0)


def spent_on_machines(study: Study) -> float:
    """The money that machine judges have cost so far."""
    return sum(cost(study, asked) for several in study.state.consulted.values() for asked in several)


def money_spent(study: Study) -> float:
    """The money that people and judges have cost so far."""
    prices, person = _configured(study), study.spec.routing.person_price
    people = sum(prices.get(live.vote.judge, person) for live in by_people(study.spec, study.state))
    return spent_on_machines(study) + people


def _configured(study: Study) -> dict[str, float]:
    """The prices of an answer that the specification gives, by judge; 0 where it gives none."""
    return {judge.name: judge.price or 0.0 for judge in study.spec.judges}
