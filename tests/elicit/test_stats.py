"""Laws of exact tails: they are what enumerating everything gives, and no coincidence is called found."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from elicit.stats import (
    binomial_at_least,
    binomial_at_most,
    clopper_pearson,
    coins_at_least,
    gauss_hermite,
    holm,
    jeffreys,
    longest_run,
    poisson_binomial_at_least,
    run_at_least,
    run_lengths,
    sigmoid,
    student_quantile,
    two_sided,
)

p_values = st.lists(st.floats(0, 1), max_size=12)


MANY = 2_000_000


@pytest.mark.parametrize(
    ("p", "freedom", "value"),
    [
        (0.975, 1, 12.7062047),
        (0.995, 1, 63.6567412),
        (0.95, 2, 2.9199856),
        (0.975, 3, 3.1824463),
        (0.975, 10, 2.2281389),
        (0.995, 30, 2.7499957),
        (0.975, MANY, 1.9599652),
        (0.975, math.inf, 1.9599640),
        (0.5, 7, 0.0),
        (0.025, 1, -12.7062047),
    ],
)
def test_quantiles_are_those_of_the_tables(p: float, freedom: float, value: float) -> None:
    assert student_quantile(p, freedom) == pytest.approx(value, rel=1e-7, abs=1e-12)


@settings(deadline=None)
@given(st.integers(0, MANY), st.integers(1, MANY), st.sampled_from([0.5, 0.9, 0.99]))
def test_the_interval_of_jeffreys_leaves_equal_tails(hits: int, trials: int, level: float) -> None:
    hits = min(hits, trials)
    low, high = jeffreys(hits, trials, level)
    assert 0 <= low <= hits / trials <= high <= 1
    beta = stats.beta(hits + 0.5, trials - hits + 0.5)
    assert low == 0 if hits == 0 else beta.cdf(low) == pytest.approx(0.5 - level / 2, rel=1e-6)
    assert high == 1 if hits == trials else beta.sf(high) == pytest.approx(0.5 - level / 2, rel=1e-6)


@pytest.mark.parametrize(("hits", "trials", "low", "high"), [(0, 1, 0, 0.8533), (1, 10, 0.0110, 0.3813)])
def test_the_interval_of_jeffreys_is_the_tables(hits: int, trials: int, low: float, high: float) -> None:
    assert jeffreys(hits, trials) == pytest.approx((low, high), abs=1e-4)


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(1, 30), st.floats(0, 1))
def test_binomial_tails_are_the_sums_of_their_terms(hits: int, trials: int, p: float) -> None:
    terms = [math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(trials + 1)]
    assert binomial_at_most(hits, trials, p) == pytest.approx(min(1, sum(terms[: hits + 1])), rel=1e-9, abs=1e-300)
    assert binomial_at_least(hits, trials, p) == pytest.approx(min(1, sum(terms[hits:])), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("trials", [1, 2, 2_000, MANY])
@pytest.mark.parametrize("p", [0.0, 1e-9, 0.2, 0.5, 1.0])
def test_binomial_tails_at_the_ends(trials: int, p: float) -> None:
    assert binomial_at_most(-1, trials, p) == 0
    assert binomial_at_most(trials, trials, p) == binomial_at_least(0, trials, p) == 1
    assert binomial_at_least(trials + 1, trials, p) == 0
    assert binomial_at_most(0, trials, p) == pytest.approx((1 - p) ** trials, rel=1e-6)
    for hits in {1, trials // 2, trials}:
        both = binomial_at_most(hits - 1, trials, p) + binomial_at_least(hits, trials, p)
        assert both == pytest.approx(1, abs=1e-12)


def test_a_tail_of_two_thousand_verdicts_and_of_two_million() -> None:
    assert binomial_at_most(300, 2_000, 0.2) == pytest.approx(stats.binom.cdf(300, 2_000, 0.2), rel=1e-9)
    assert 0 < binomial_at_most(300, 2_000, 0.2) < 1e-8
    assert binomial_at_least(1_005_000, MANY, 0.5) == pytest.approx(7.7e-13, rel=0.01)


@pytest.mark.parametrize(
    ("hits", "trials", "delta", "value"),
    [(0, 1, 0.05, 0.95), (0, 10, 0.05, 0.25887), (1, 10, 0.05, 0.39416), (0, MANY, 0.05, 1.49787e-6), (5, 5, 0.1, 1.0)],
)
def test_the_upper_bound_of_clopper_and_pearson(hits: int, trials: int, delta: float, value: float) -> None:
    assert clopper_pearson(hits, trials, delta) == pytest.approx(value, rel=1e-4)


@settings(deadline=None)
@given(st.floats(-800, 800))
def test_the_sigmoid_is_symmetric_and_keeps_its_digits(x: float) -> None:
    assert sigmoid(x) + sigmoid(-x) == pytest.approx(1)
    assert float(sigmoid(x)) == pytest.approx(math.exp(min(x, 0)) / (1 + math.exp(-abs(x))), rel=1e-12)


@pytest.mark.parametrize("points", [7, 21, 41])
def test_quadrature_gives_the_moments_of_the_normal(points: int) -> None:
    nodes, weights = gauss_hermite(points)
    assert [weights @ nodes**k for k in range(7)] == pytest.approx([1, 0, 1, 0, 3, 0, 15], abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=8), st.integers(0, 9))
def test_the_tail_of_unequal_events_is_the_sum_over_all_outcomes(p: list[float], hits: int) -> None:
    total = sum(
        math.prod(one if event else 1 - one for one, event in zip(p, events, strict=True))
        for events in itertools.product([0, 1], repeat=len(p))
        if sum(events) >= hits
    )
    assert poisson_binomial_at_least(hits, p) == pytest.approx(total, abs=1e-12)


@settings(deadline=None)
@given(st.integers(1, 600), st.integers(0, 600))
def test_far_tails_keep_their_digits(trials: int, hits: int) -> None:
    tail = stats.binom.sf(hits - 1, trials, 0.01)
    assert poisson_binomial_at_least(hits, np.full(trials, 0.01)) == pytest.approx(tail, rel=1e-9)
    assert binomial_at_least(hits, trials, 0.01) == pytest.approx(tail, rel=1e-9)
    assert two_sided(min(hits, trials), trials) == two_sided(trials - min(hits, trials), trials)


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), max_size=8), st.integers(0, 80))
def test_the_sum_a_coin_picks_is_counted_over_all_throws(terms: list[int], reached: int) -> None:
    throws = list(itertools.product([0, 1], repeat=len(terms)))
    count = sum(sum(t for t, up in zip(terms, throw, strict=True) if up) >= reached for throw in throws)
    assert coins_at_least(reached, terms) == pytest.approx(count / len(throws))


@settings(deadline=None)
@given(st.integers(1, 7), st.integers(1, 8), st.lists(st.integers(1, 5), min_size=2, max_size=3), st.booleans())
def test_the_law_of_the_longest_run_is_the_sum_over_all_sequences(
    trials: int, length: int, parts: list[int], some: bool
) -> None:
    shares = np.array(parts) / sum(parts)
    kinds = len(parts) - 1 if some else len(parts)
    total = sum(
        math.prod(shares[list(answers)])
        for answers in itertools.product(range(len(parts)), repeat=trials)
        if longest_run(answers, range(kinds)) >= length
    )
    assert run_at_least(length, trials, shares, kinds) == pytest.approx(total, abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.integers(0, 2), max_size=20))
def test_runs_are_as_long_as_grouping_says(values: list[int]) -> None:
    sizes = [len(list(run)) for _, run in itertools.groupby(values)]
    expected = [size for size in sizes for _ in range(size)]
    assert run_lengths(values).tolist() == expected
    assert longest_run(values) == max(expected, default=0)


@settings(deadline=None)
@given(p_values, st.floats(1e-6, 0.5))
def test_holm_rejects_what_bonferroni_does_and_only_the_smallest(p: list[float], alpha: float) -> None:
    fell = holm(p, alpha)
    assert all(fell[i] for i, one in enumerate(p) if one <= alpha / len(p))
    assert not any(fell[i] for i, one in enumerate(p) if one > alpha)
    if fell.any() and not fell.all():
        assert np.array(p)[fell].max() <= np.array(p)[~fell].min()


def test_holm_keeps_its_word_where_every_hypothesis_is_true() -> None:
    rng = np.random.default_rng(0)
    false = sum(bool(holm(rng.random(20), 0.05).any()) for _ in range(2_000))
    assert false <= stats.binom.ppf(0.999, 2_000, 0.05)
