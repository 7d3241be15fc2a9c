"""Laws of estimates from routed labels: they tell of all cases and of people, whoever was asked about which."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from elicit.randomness import stream
from elicit.ranking.leaderboard import leaderboard
from elicit.ranking.prediction_powered import routed_leaderboard, win_rate
from elicit.types import BadInputError

Array = NDArray[Any]
N = 4


@st.composite
def routed(draw: st.DrawFn, most: int = 40) -> tuple[Array, Array, Array, Array, Array]:
    """a, b, human, propensity, machine of some cases, at least two of which a person labelled."""
    size = draw(st.integers(4, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    a = rng.integers(0, N, size)
    b = (a + rng.integers(1, N, size)) % N
    human = rng.choice([0.0, 0.5, 1.0, np.nan], size)
    human[:2] = rng.choice([0.0, 1.0], 2)
    return a, b, human, rng.uniform(0.05, 1, size), rng.choice([0.0, 1.0, rng.random()], size)


def logistic(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def judges(rng: np.random.Generator, human: Array) -> dict[str, Array]:
    """Machine labels of several qualities."""
    size = len(human)
    return {
        "perfect": human,
        "useless": rng.integers(0, 2, size).astype(float),
        "one way": np.where(rng.random(size) < 0.25, 1.0, human),
    }


# -- win rates ---------------------------------------------------------------------------------------------------


@given(routed())
def test_exchanging_a_and_b_mirrors_the_win_rate(cases: tuple[Array, ...]) -> None:
    _, _, human, propensity, machine = cases
    here, there = win_rate(human, propensity, machine), win_rate(1 - human, propensity, 1 - machine)
    assert math.isclose(here.value, 1 - there.value, abs_tol=1e-9)
    assert math.isclose(here.standard_error, there.standard_error, rel_tol=1e-6)
    assert math.isclose(here.share, there.share, abs_tol=1e-9)


@given(routed(), st.integers(0, 2**32))
def test_the_order_of_the_cases_does_not_matter(cases: tuple[Array, ...], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(cases[0]))
    here, there = win_rate(*cases[2:]), win_rate(*(column[order] for column in cases[2:]))
    assert math.isclose(here.value, there.value, abs_tol=1e-9)
    assert math.isclose(here.standard_error, there.standard_error, rel_tol=1e-6)


@given(routed(), st.floats(0, 1))
def test_a_machine_that_always_says_the_same_changes_the_win_rate_little(cases: tuple[Array, ...], said: float) -> None:
    _, _, human, propensity, _ = cases
    constant = win_rate(human, propensity, np.full(len(human), said))
    assert constant.standard_error > 0
    assert abs(constant.value - win_rate(human, propensity).value) <= 2 * constant.standard_error


@given(routed())
def test_only_ratios_of_propensities_matter_to_people_alone(cases: tuple[Array, ...]) -> None:
    _, _, human, propensity, _ = cases
    here, there = win_rate(human, propensity), win_rate(human, propensity / 3)
    assert math.isclose(here.value, there.value, rel_tol=1e-9)
    assert math.isclose(here.standard_error, there.standard_error, rel_tol=1e-9)


@given(routed(), st.floats(0.5, 0.98))
def test_intervals_hold_the_value_stay_within_bounds_and_grow_with_the_level(
    cases: tuple[Array, ...], level: float
) -> None:
    estimate = win_rate(*cases[2:])
    low, high = estimate.interval(level)
    wider_low, wider_high = estimate.interval(level + 0.01)
    assert 0 <= wider_low <= low <= high <= wider_high <= 1
    assert 0 <= estimate.share <= 1


@pytest.mark.parametrize("judge", ["perfect", "useless", "one way"])
@pytest.mark.parametrize("asked", [30, 100])
@pytest.mark.parametrize("rate", [0.5, 0.9])
def test_win_rates_cover_however_few_are_asked_and_whatever_the_machine(judge: str, asked: int, rate: float) -> None:
    rng, runs, hit, size = stream(0, f"cover {judge} {asked}", int(10 * rate)), 300, 0, 600
    for _ in range(runs):
        truth = (rng.random(size) < rate).astype(float)
        odd = rng.random(size)
        propensity = np.clip((0.2 + odd) / (0.2 + odd).sum() * asked, 0, 1)
        human = np.where(rng.random(size) < propensity, truth, np.nan)
        low, high = win_rate(human, propensity, judges(rng, truth)[judge]).interval()
        hit += low <= rate <= high
    assert hit / runs >= 0.93 - 2 * math.sqrt(0.93 * 0.07 / runs)


def test_routing_the_doubtful_cases_to_people_does_not_bend_the_win_rate() -> None:
    rng, size, off, naive = stream(0, "routing"), 4000, [], []
    for _ in range(30):
        doubtful = rng.random(size) < 0.5
        truth = np.where(doubtful, rng.random(size) < 0.3, rng.random(size) < 0.9).astype(float)
        propensity = np.where(doubtful, 0.25, 0.02)
        human = np.where(rng.random(size) < propensity, truth, np.nan)
        off.append(win_rate(human, propensity).value - 0.6)
        naive.append(np.nanmean(human) - 0.6)
    assert abs(np.mean(off)) < 0.02
    assert abs(np.mean(naive)) > 0.2


def test_a_good_machine_shortens_the_interval_and_a_useless_one_hardly_lengthens_it() -> None:
    rng, size = stream(0, "gain"), 3000
    truth = (rng.random(size) < 0.6).astype(float)
    propensity = np.full(size, 0.1)
    human = np.where(rng.random(size) < propensity, truth, np.nan)
    alone = win_rate(human, propensity).standard_error
    machines = judges(rng, truth)
    assert win_rate(human, propensity, machines["perfect"]).standard_error < 0.4 * alone
    assert win_rate(human, propensity, machines["useless"]).standard_error < 1.05 * alone


# -- leaderboards ------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(routed(), st.integers(0, 2**32), st.permutations(range(N)))
def test_sides_order_and_names_do_not_matter_to_the_leaderboard(
    cases: tuple[Array, ...], seed: int, names: list[int]
) -> None:
    a, b, human, propensity, machine = cases
    rng, to = np.random.default_rng(seed), np.array(names)
    turn, order = rng.random(len(a)) < 0.5, rng.permutation(len(a))
    turned = [
        np.where(turn, to[b], to[a]),
        np.where(turn, to[a], to[b]),
        np.where(turn, 1 - human, human),
        propensity,
        np.where(turn, 1 - machine, machine),
    ]
    x, y, labels, chances, guesses = (column[order] for column in turned)
    here = routed_leaderboard(a, b, human, propensity, N, machine)
    there = routed_leaderboard(x, y, labels, chances, N, guesses)
    if (here.reference == there.reference[to]).all():
        assert np.allclose(here.utilities, there.utilities[to], atol=1e-5)
        assert np.allclose(here.covariance, there.covariance[np.ix_(to, to)], rtol=1e-4, atol=1e-5)


def test_where_a_person_labels_every_case_the_leaderboard_is_that_of_the_votes() -> None:
    rng = stream(0, "all asked")
    a = rng.integers(0, N, 400)
    b = (a + rng.integers(1, N, 400)) % N
    won = (rng.random(400) < 1 / (1 + np.exp(b - a))).astype(float)
    ours = routed_leaderboard(a, b, won, np.ones(400), N, rng.random(400))
    plain = leaderboard(a, b, np.where(won == 1, 0, 1), N)
    assert np.allclose(ours.utilities, plain.utilities, atol=0.02)
    widths = [np.sqrt(np.diagonal(board.covariance)) for board in (ours, plain)]
    assert (widths[0] >= widths[1] * 0.98).all()
    assert np.allclose(*widths, rtol=0.1)


@pytest.mark.parametrize("judge", ["perfect", "useless", "biased by item"])
def test_leaderboards_cover_and_machine_labels_alone_do_not(judge: str) -> None:
    rng, runs, size, hit, alone = stream(0, f"board {judge}"), 40, 500, [], []
    for _ in range(runs):
        utilities, bias = rng.normal(0, 1, (2, N))
        a = rng.integers(0, N, size)
        b = (a + rng.integers(1, N, size)) % N
        truth = (rng.random(size) < logistic(utilities[a] - utilities[b])).astype(float)
        bent = utilities + bias
        machine = {
            "perfect": truth,
            "useless": rng.integers(0, 2, size).astype(float),
            "biased by item": (rng.random(size) < logistic(bent[a] - bent[b])).astype(float),
        }[judge]
        propensity = rng.uniform(0.08, 0.3, size)
        human = np.where(rng.random(size) < propensity, truth, np.nan)
        for found, board in (
            (hit, routed_leaderboard(a, b, human, propensity, N, machine)),
            (alone, routed_leaderboard(a, b, machine, np.ones(size), N)),
        ):
            low, high = board.intervals().T
            true = utilities - utilities[board.reference].mean()
            found.append(((low <= true) & (true <= high)).mean())
    assert np.mean(hit) >= 0.93 - 2 * np.std(hit) / math.sqrt(runs)
    assert (np.mean(alone) > 0.9) == (judge == "perfect")


# -- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"human": [1, 2, 0]}, r"human\[1\] is 2"),
        ({"propensity": [0.5, 0.0, 1]}, r"propensity\[1\] is 0.0; .* no person sees"),
        ({"propensity": [0.5]}, "propensity has shape"),
        ({"machine": [0.5, math.nan, 1]}, r"machine\[1\] is nan"),
        ({"human": [math.nan, math.nan, 1]}, "fewer than two"),
    ],
)
def test_labels_that_tell_nothing_of_all_cases_are_refused(change: dict[str, Any], words: str) -> None:
    given_in: dict[str, Any] = {"human": [1, 0, math.nan], "propensity": [0.5, 0.5, 1], "machine": [1, 0, 1]} | change
    with pytest.raises(BadInputError, match=words):
        win_rate(**given_in)
    with pytest.raises(BadInputError, match=words):
        routed_leaderboard([0, 1, 0], [1, 0, 1], n_items=2, **given_in)


@pytest.mark.parametrize(
    ("a", "words"), [([0, 1, 7], r"a\[2\] is 7"), ([0.0, 1, 1], "a has shape"), ([0, 0, 0], "case 1 is on an item")]
)
def test_rows_that_are_no_items_are_refused(a: list[Any], words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        routed_leaderboard(a, [1, 0, 1], [1, 0, 1], [0.5, 0.5, 1], 2)


def test_a_level_that_is_no_probability_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"the level is 1\.5"):
        win_rate([1, 0], [0.5, 0.5]).interval(1.5)
