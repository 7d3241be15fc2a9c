"""Laws of reliability: names do not matter, what is not known stays open, and what is said is true as often as said."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from elicit.quality.reliability import ACCURACY, Reliability, dawid_skene
from elicit.randomness import stream
from elicit.types import BadInputError

Array = NDArray[Any]
J, K = 4, 6

Votes = tuple[Array, Array, Array, Array, Array]


@st.composite
def votes(draw: st.DrawFn) -> Votes:
    """annotator, case, outcome, first, gold."""
    size = draw(st.integers(0, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    outcomes = draw(st.sampled_from([2, 3]))
    return (
        rng.integers(0, J, size),
        rng.integers(0, K, size),
        rng.integers(0, outcomes, size),
        rng.integers(0, 2, size),
        np.where(rng.random(K) < 0.3, rng.integers(0, outcomes, K), -1),
    )


def crowd(rng: np.random.Generator, accuracy: Array, cases: int, each: int) -> tuple[Array, Array, Array, Array]:
    """annotator, case, outcome of `each` annotators on every case, and the true answers."""
    truth = rng.integers(0, 2, cases)
    who = np.concatenate([rng.permutation(len(accuracy))[:each] for _ in range(cases)])
    what = np.repeat(np.arange(cases), each)
    return who, what, np.where(rng.random(len(who)) < accuracy[who], truth[what], 1 - truth[what]), truth


def prior_interval() -> Array:
    nothing = np.zeros(0, np.int64)
    return dawid_skene(nothing, nothing, nothing, 1, 0).accuracy.intervals()[0]


# -- what cannot matter ------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(votes(), st.booleans())
def test_exchanging_a_and_b_on_every_case_changes_no_reliability(given_votes: Votes, sided: bool) -> None:
    who, what, said, first, gold = given_votes
    turn = np.array([1, 0, 2, -1])
    here = dawid_skene(who, what, said, J, K, first=first if sided else None, gold=gold)
    there = dawid_skene(who, what, turn[said], J, K, first=1 - first if sided else None, gold=turn[gold])
    assert np.allclose(here.accuracy.weights, there.accuracy.weights, atol=1e-6)
    assert np.allclose(here.answers, there.answers[:, [1, 0, 2]], atol=1e-6)
    assert np.allclose(here.ties, there.ties, atol=1e-6)
    if here.leaning is not None and there.leaning is not None:
        assert np.allclose(here.leaning.weights, there.leaning.weights, atol=1e-6)


@settings(deadline=None)
@given(votes(), st.integers(0, 2**32), st.booleans())
def test_the_order_of_votes_annotators_and_cases_does_not_matter(given_votes: Votes, seed: int, sided: bool) -> None:
    who, what, said, first, gold = given_votes
    rng = np.random.default_rng(seed)
    order, names, places = rng.permutation(len(who)), rng.permutation(J), rng.permutation(K)
    moved = np.empty(K, np.int64)
    moved[places] = gold
    here = dawid_skene(who, what, said, J, K, first=first if sided else None, gold=gold)
    there = dawid_skene(
        names[who[order]],
        places[what[order]],
        said[order],
        J,
        K,
        first=first[order] if sided else None,
        gold=moved,
    )
    assert np.allclose(here.accuracy.weights, there.accuracy.weights[names], atol=1e-6)
    assert np.allclose(here.answers, there.answers[places], atol=1e-6)
    for name in ("votes", "repeats", "repeated"):
        assert np.array_equal(getattr(here, name), getattr(there, name)[names])


@settings(deadline=None)
@given(votes(), st.integers(2, 4))
def test_saying_the_same_again_is_a_repeat_and_no_further_evidence(given_votes: Votes, times: int) -> None:
    who, what, said, _, gold = given_votes
    _, once = np.unique(who * K + what, return_index=True)
    column = [who[once], what[once], said[once]]
    here = dawid_skene(*column, J, K, gold=gold)
    there = dawid_skene(*(np.repeat(values, times) for values in column), J, K, gold=gold)
    assert np.allclose(here.accuracy.weights, there.accuracy.weights, atol=1e-6)
    assert np.array_equal(there.repeats, here.votes * times * (times - 1) // 2)
    assert np.array_equal(there.repeats, there.repeated)
    assert not here.repeats.any()


# -- limits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("annotators", [0, 1, 2])
def test_without_votes_there_is_the_prior(annotators: int) -> None:
    nothing = np.zeros(0, np.int64)
    empty = dawid_skene(nothing, nothing, nothing, annotators, 3)
    assert empty.accuracy.intervals().shape == (annotators, 2)
    assert np.allclose(empty.accuracy.mean, ACCURACY[0] / sum(ACCURACY), atol=1e-3)
    assert np.allclose(empty.answers, [0.5, 0.5, 0])


def test_an_annotator_who_shares_no_case_keeps_the_prior_however_many_the_votes() -> None:
    rng = stream(0, "alone")
    alone = dawid_skene(np.zeros(300, np.int64), np.arange(300), rng.integers(0, 2, 300), 1, 300)
    assert np.allclose(alone.accuracy.intervals()[0], prior_interval(), atol=1e-6)


def test_two_who_never_agree_are_told_apart_by_nothing_but_gold() -> None:
    who, what = np.tile([0, 1], 100), np.repeat(np.arange(100), 2)
    said = np.tile([0, 1], 100)
    both = dawid_skene(who, what, said, 2, 100)
    assert np.allclose(both.accuracy.weights[0], both.accuracy.weights[1])
    assert both.accuracy.intervals()[0, 1] - both.accuracy.intervals()[0, 0] > 0.4
    told = dawid_skene(who, what, said, 2, 100, gold=np.where(np.arange(100) < 30, 0, -1))
    assert told.accuracy.mean[0] > 0.9
    assert told.accuracy.mean[1] < 0.1
    assert (told.answers[30:, 0] > 0.95).all()


def test_one_always_wrong_is_found_and_turned_round() -> None:
    accuracy = np.array([0.9, 0.9, 0.9, 0.0])
    who, what, said, truth = crowd(stream(0, "wrong"), accuracy, 150, 4)
    found = dawid_skene(who, what, said, 4, 150)
    assert found.accuracy.intervals()[3, 1] < 0.1
    assert (found.answers.argmax(1) == truth).mean() > 0.97


def test_one_who_always_says_a_is_as_good_as_a_coin_and_leans_if_a_is_first() -> None:
    accuracy = np.array([0.9, 0.9, 0.9, 0.5])
    who, what, said, _ = crowd(stream(0, "always a"), accuracy, 200, 4)
    said = np.where(who == 3, 0, said)
    found = dawid_skene(who, what, said, 4, 200)
    low, high = found.accuracy.intervals()[3]
    assert low < 0.5 < high
    assert high - low < 0.25
    sided = dawid_skene(who, what, said, 4, 200, first=np.zeros(len(who), np.int64))
    assert sided.leaning is not None
    assert sided.leaning.mean[3] > 0.4
    assert abs(sided.accuracy.mean[3] - 0.5) < 0.1
    assert (np.abs(sided.leaning.mean[:3]) < 0.1).all()


def test_ties_on_tied_cases_cost_no_accuracy() -> None:
    rng = stream(0, "ties")
    who, what, said, truth = crowd(rng, np.full(4, 0.9), 200, 4)
    tied = rng.random(200) < 0.3
    said = np.where(tied[what], np.where(rng.random(len(who)) < 0.7, 2, rng.integers(0, 2, len(who))), said)
    found = dawid_skene(who, what, said, 4, 200)
    assert (found.answers.argmax(1) == np.where(tied, 2, truth)).mean() > 0.93
    assert (np.abs(found.accuracy.mean - 0.9) < 0.07).all()
    assert (found.ties[:, 1] > found.ties[:, 0] + 0.4).all()


# -- truth -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotators", "cases", "each", "gold"), [(2, 100, 2, 0.0), (2, 100, 2, 0.2), (8, 150, 3, 0.0), (8, 100, 1, 0.2)]
)
def test_intervals_hold_the_true_accuracy_as_often_as_they_say(
    annotators: int, cases: int, each: int, gold: float
) -> None:
    rng, hit = stream(0, f"accuracy {annotators} {each}", int(10 * gold)), []
    for _ in range(40):
        accuracy = rng.beta(*ACCURACY, annotators)
        who, what, said, truth = crowd(rng, accuracy, cases, each)
        known = np.where(rng.random(cases) < gold, truth, -1)
        low, high = dawid_skene(who, what, said, annotators, cases, gold=known).accuracy.intervals().T
        hit.append(((low <= accuracy) & (accuracy <= high)).mean())
    assert np.mean(hit) >= 0.92 - 2 * np.std(hit) / math.sqrt(len(hit))


# -- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"annotator": [0, 2]}, r"annotator\[1\] is 2"),
        ({"case": [0]}, "case has 1 entries; give 2"),
        ({"outcome": ["a", "b"]}, "outcome has shape"),
        ({"gold": [3, 0]}, r"gold\[0\] is 3"),
        ({"first": [0, -1]}, r"first\[1\] is -1"),
    ],
)
def test_votes_that_make_no_sense_are_told_in_one_sentence(change: dict[str, Any], words: str) -> None:
    given_in: dict[str, Any] = {"annotator": [0, 1], "case": [0, 1], "outcome": [0, 1]} | change
    with pytest.raises(BadInputError, match=words):
        dawid_skene(**given_in, n_annotators=2, n_cases=2)


def test_a_level_that_is_none_is_told() -> None:
    found: Reliability = dawid_skene([0], [0], [0], 1, 1)
    with pytest.raises(BadInputError, match="the level is 0"):
        found.accuracy.intervals(0)
