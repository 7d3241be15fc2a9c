"""Laws of exact tails: they are what enumerating everything gives, and no coincidence is called found."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from elicit.tails import at_least, coins_at_least, holm, jeffreys, longest_run, run_at_least, run_lengths, two_sided

p_values = st.lists(st.floats(0, 1), max_size=12)


@given(st.integers(0, 400), st.integers(1, 400), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_interval_of_jeffreys_is_the_betas(hits: int, trials: int, level: float) -> None:
    hits = min(hits, trials)
    low, high = jeffreys(hits, trials, level)
    beta = stats.beta(hits + 0.5, trials - hits + 0.5)
    assert low == pytest.approx(beta.ppf(0.5 - level / 2) if hits else 0.0, abs=1e-5)
    assert high == pytest.approx(beta.ppf(0.5 + level / 2) if hits < trials else 1.0, abs=1e-5)


@given(st.lists(st.floats(0, 1), max_size=8), st.integers(0, 9))
def test_the_tail_of_unequal_events_is_the_sum_over_all_outcomes(p: list[float], hits: int) -> None:
    total = sum(
        math.prod(one if event else 1 - one for one, event in zip(p, events, strict=True))
        for events in itertools.product([0, 1], repeat=len(p))
        if sum(events) >= hits
    )
    assert at_least(hits, p) == pytest.approx(total, abs=1e-12)


@given(st.integers(1, 600), st.integers(0, 600))
def test_far_tails_keep_their_digits(trials: int, hits: int) -> None:
    assert at_least(hits, np.full(trials, 0.01)) == pytest.approx(stats.binom.sf(hits - 1, trials, 0.01), rel=1e-9)
    assert two_sided(min(hits, trials), trials) == two_sided(trials - min(hits, trials), trials)


@given(st.lists(st.integers(1, 9), max_size=8), st.integers(0, 80))
def test_the_sum_a_coin_picks_is_counted_over_all_throws(terms: list[int], reached: int) -> None:
    throws = list(itertools.product([0, 1], repeat=len(terms)))
    count = sum(sum(t for t, up in zip(terms, throw, strict=True) if up) >= reached for throw in throws)
    assert coins_at_least(reached, terms) == pytest.approx(count / len(throws))


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


@given(st.lists(st.integers(0, 2), max_size=20))
def test_runs_are_as_long_as_grouping_says(values: list[int]) -> None:
    sizes = [len(list(run)) for _, run in itertools.groupby(values)]
    expected = [size for size in sizes for _ in range(size)]
    assert run_lengths(values).tolist() == expected
    assert longest_run(values) == max(expected, default=0)


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
