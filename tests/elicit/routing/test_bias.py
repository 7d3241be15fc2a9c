"""Biases of judges: found where they are, none where there are none, and taken off."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elicit.randomness import stream
from elicit.routing.bias import Judged, PositionBias, biases, position
from elicit.routing.case import mirror_verdict
from elicit.types import Choice, ChoiceOutcome, Verdict, mirror


def judged(n: int, place: float = 0.0, length: float = 0.0, seed: int = 0, orders: str = "both") -> list[Judged]:
    """Queries of a judge that gives `place` logits to the first shown and `length` a unit of length over the humans,
    who give a unit of length .5."""
    rng, made = stream(seed, "bias"), []
    for k in range(n):
        gap, theta = rng.normal(), rng.normal()
        said: Choice = "a" if rng.random() < 1 / (1 + np.exp(-theta - 0.5 * gap)) else "b"
        own = theta + (0.5 + length) * gap + rng.logistic()
        logits: Any = {"ab": own + place + 0.3 * rng.normal(), "ba": own - place + 0.3 * rng.normal()}
        if orders == "one":
            logits = {("ab" if k % 2 else "ba"): logits["ab" if k % 2 else "ba"]}
        made.append(Judged(Verdict(logits=logits), {"length": gap}, [said]))
    return made


@pytest.mark.parametrize("orders", ["both", "one"])
@pytest.mark.parametrize("place", [0.0, 0.8, -0.5])
def test_a_leaning_to_the_first_place_is_found(place: float, orders: str) -> None:
    found = position(judged(400, place=place, orders=orders))
    assert found is not None
    assert found.low < place < found.high
    assert found.high - found.low < 0.5
    assert found.queries == 400


def test_length_counts_only_for_what_it_is_worth_more_to_the_judge_than_to_humans() -> None:
    covered = 0
    for seed in range(20):
        (length,) = [bias for bias in biases(judged(400, length=0.0, seed=seed)) if bias.name == "length"]
        covered += length.low < 0 < length.high
    assert covered >= 16
    (length,) = [bias for bias in biases(judged(400, length=1.0)) if bias.name == "length"]
    assert length.low > 0.4
    assert length.humans == 400


def test_without_humans_a_judges_own_slope_is_told_as_such() -> None:
    alone = [query._replace(votes=()) for query in judged(300, length=0.0)]
    (length,) = [bias for bias in biases(alone) if bias.name == "length"]
    assert length.humans == 0
    assert length.low > 0
    assert "no human votes" in str(length)


def test_the_names_of_the_two_do_not_matter() -> None:
    queries = judged(60, place=0.4, length=0.5)
    turned = [
        Judged(
            mirror_verdict(query.verdict),
            {name: -gap for name, gap in query.gaps.items()},
            [mirror(ChoiceOutcome(vote)).choice for vote in query.votes],
        )
        for query in queries
    ]
    for bias, other in zip(biases(queries), biases(turned), strict=True):
        assert (other.value, other.low, other.high) == pytest.approx((bias.value, bias.low, bias.high))


def test_nothing_to_tell_of_tells_nothing() -> None:
    assert biases([]) == []
    assert biases([Judged(Verdict()), Judged(Verdict(logits={"ab": 1.0}))]) == []


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_the_place_cancels_where_both_orders_were_asked(ab: float, ba: float) -> None:
    verdict = Verdict(logits={"ab": ab, "ba": ba})
    place = PositionBias()
    for query in judged(50, place=1.0):
        place = place.after(query.verdict)
    assert place.correct(verdict) == verdict.logit


@pytest.mark.parametrize("orders", ["both", "one"])
def test_the_running_estimate_comes_to_the_same(orders: str) -> None:
    queries, place = judged(400, place=0.7, orders=orders), PositionBias()
    for query in queries:
        place = place.after(query.verdict)
    whole = position(queries)
    assert whole is not None
    assert place.value == pytest.approx(whole.value, abs=0.05)
