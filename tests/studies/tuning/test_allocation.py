"""Who may make the next prompts: the more the likelier they win, and nobody is forgotten."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elicit.randomness import stream
from studies.tuning.allocation import Record, allot

NAMES = ("slots", "rewrite", "crossover", "sample")
chances = st.lists(st.lists(st.floats(0, 1), max_size=5).map(tuple), max_size=12).map(tuple)
records = st.dictionaries(st.sampled_from(NAMES), st.builds(Record, chances, st.floats(0, 100)), min_size=1)


@given(st.integers(0, 40), records, st.integers(0, 1000), st.floats(0, 10))
def test_all_children_are_dealt_out_and_the_deal_can_be_repeated(
    k: int, told: dict[str, Record], seed: int, money: float
) -> None:
    dealt = allot(k, told, stream(seed, "allot"), wins_for_money=money)
    assert sum(dealt.values()) == k
    assert dealt.keys() == told.keys()
    assert all(n >= 0 for n in dealt.values())
    assert dealt == allot(k, told, stream(seed, "allot"), wins_for_money=money)


def play(rates: list[dict[str, float]], k: int, seed: int) -> list[dict[str, int]]:
    """The deals of a study: children win with their proposer's rate in that generation."""
    rng, dealt, told = np.random.default_rng(seed), list[dict[str, int]](), {name: Record() for name in rates[0]}
    for rate in rates:
        dealt.append(allot(k, told, rng))
        for name, n in dealt[-1].items():
            won = tuple(float(p) for p in rng.beta(6 * rate[name] + 0.01, 6 * (1 - rate[name]) + 0.01, n))
            told[name] = Record((*told[name].chances, won))
    return dealt


def shares(dealt: list[dict[str, int]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in dealt])) for name in dealt[0]}


FIRST = {"slots": 0.1, "rewrite": 0.3, "crossover": 0.1, "sample": 0.05}
LATER = {"slots": 0.3, "rewrite": 0.05, "crossover": 0.1, "sample": 0.05}


def test_the_better_one_gets_most_and_one_that_runs_dry_loses_it() -> None:
    early, late = [], []
    for seed in range(10):
        dealt = play([FIRST] * 30 + [LATER] * 30, 8, seed)
        early.append(shares(dealt[15:30]))
        late.append(shares(dealt[45:]))
    for found, best in ((early, "rewrite"), (late, "slots")):
        mean = {name: np.mean([one[name] for one in found]) for name in NAMES}
        assert max(mean, key=lambda name: mean[name]) == best
        assert mean[best] > 8 * 0.4


@pytest.mark.parametrize("k", [1, 2, 8])
def test_nobody_starves(k: int) -> None:
    dealt = play([{"slots": 0.9, "rewrite": 0.0, "crossover": 0.0, "sample": 0.0}] * 300, k, 1)
    # A blind deal would give each two in so many generations.
    span = int(2 * len(NAMES) / (0.15 * k)) + 1 + len(NAMES)
    for start in range(0, 300 - span, span):
        assert all(sum(one[name] for one in dealt[start : start + span]) > 0 for name in NAMES)


def test_regret_is_below_that_of_equal_shares() -> None:
    """Children that would have won, had all been made by whoever is best; 20 generations of 8."""
    for rates, at_most in (([FIRST] * 20, 0.65), ([FIRST] * 10 + [LATER] * 10, 0.85)):
        best = sum(8 * max(rate.values()) for rate in rates)
        equal = best - sum(2 * sum(rate.values()) for rate in rates)
        regret = [
            best
            - sum(
                one[name] * rate[name] for one, rate in zip(play(rates, 8, seed), rates, strict=True) for name in rate
            )
            for seed in range(20)
        ]
        assert np.mean(regret) < at_most * equal


def test_money_counts_where_it_could_buy_wins_elsewhere() -> None:
    told = {"slots": Record(((0.3,) * 8,)), "rewrite": Record(((0.3,) * 8,), cost=8.0)}
    free = sum(allot(8, told, stream(seed, "allot"))["rewrite"] for seed in range(30))
    charged = sum(allot(8, told, stream(seed, "allot"), wins_for_money=0.5)["rewrite"] for seed in range(30))
    assert charged < free / 2
