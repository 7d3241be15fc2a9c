"""Laws of agreement: names do not matter, chance is 0 and unanimity 1, and intervals hold what they promise."""

import itertools
from typing import Any, cast

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from elicit.quality.agreement import Agreement, AgreementInterval, Metric, agreement
from elicit.randomness import stream
from elicit.types import BadInputError

Array = NDArray[Any]
Votes = tuple[Array, Array, Array]
METRICS: tuple[Metric, ...] = ("nominal", "ordinal")

tables = st.integers(1, 8).flatmap(
    lambda cases: st.lists(
        st.lists(st.sampled_from([-1, 0, 1, None]), min_size=cases, max_size=cases), min_size=1, max_size=5
    )
)


def votes_of(table: list[list[int | None]]) -> Votes:
    """who, which, said from one row an annotator."""
    rows = [(j, k, said) for j, row in enumerate(table) for k, said in enumerate(row) if said is not None]
    return cast(Votes, tuple(np.array([row[c] for row in rows], np.int64) for c in range(3)))


def crowd(rng: np.random.Generator, cases: int, each: int, sure: float) -> Votes:
    """Votes of `each` on every case; with probability `sure` a vote is the case's own answer, else any."""
    which = np.repeat(np.arange(cases), each)
    own = rng.integers(-1, 2, cases)[which]
    return (
        np.tile(np.arange(each), cases),
        which,
        np.where(rng.random(len(which)) < sure, own, rng.integers(-1, 2, len(own))),
    )


def measured(votes: Votes) -> Agreement:
    return agreement(*votes, stream(0, "bootstrap"))


def numbers(votes: Votes) -> list[float | None]:
    found = measured(votes)
    parts = [getattr(found, name) for name in found.__struct_fields__]
    return [part.value if isinstance(part, AgreementInterval) else part for part in parts]


@settings(deadline=None)
@given(tables, st.sampled_from(METRICS))
def test_alpha_is_that_of_the_reference(table: list[list[int | None]], metric: Metric) -> None:
    votes = votes_of(table)
    ours = getattr(measured(votes), f"alpha_{metric}")
    several = [[said for said in case if said is not None] for case in zip(*table, strict=True)]
    pairable = {said for case in several if len(case) > 1 for said in case}
    if len(pairable) < 2:
        assert ours is None
        return
    matrix = np.array([[np.nan if said is None else said for said in row] for row in table])
    assert ours.value == pytest.approx(krippendorff.alpha(matrix, level_of_measurement=metric, value_domain=[-1, 0, 1]))


@settings(deadline=None)
@given(tables)
def test_the_ceiling_counts_all_comparisons_of_two_people(table: list[list[int | None]]) -> None:
    found = agreement(*votes_of(table), stream(0, "bootstrap"))
    for ties, one in ((True, found.one), (False, found.one_decided)):
        cases = [[s for s in case if s is not None and (ties or s)] for case in zip(*table, strict=True)]
        same = [x == y for case in cases for x, y in itertools.combinations(case, 2)]
        assert (None if one is None else one.value) == (pytest.approx(np.mean(same)) if same else None)


@settings(deadline=None)
@given(tables, st.integers(0, 2**32))
def test_order_and_names_do_not_matter(table: list[list[int | None]], seed: int) -> None:
    who, which, said = votes_of(table)
    rng = np.random.default_rng(seed)
    order, people, cases = rng.permutation(len(who)), rng.permutation(len(table)), rng.permutation(len(table[0]))
    moved = people[who[order]], cases[which[order]] + 7, said[order]
    assert numbers((who, which, said)) == pytest.approx(numbers(moved))
    assert numbers((who, which, said)) == pytest.approx(numbers((who, which, -said)))


@settings(deadline=None)
@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=2, max_size=12), st.integers(2, 5))
def test_unanimity_is_one_where_not_all_say_the_same(answers: list[int], people: int) -> None:
    votes = votes_of([list(answers) for _ in range(people)])
    expected = None if len(set(answers)) == 1 else 1
    found = measured(votes)
    parts = [None if part is None else part.value for part in (found.alpha_nominal, found.alpha_ordinal, found.fleiss)]
    assert [*parts, found.cohen] == [pytest.approx(expected)] * 4
    assert found.one is not None
    assert found.one.value == found.one.low == found.one.high == 1


def test_votes_by_chance_agree_by_chance() -> None:
    found = agreement(*crowd(np.random.default_rng(0), 4_000, 3, 0.0), stream(0, "bootstrap"))
    for part in (found.alpha_nominal, found.alpha_ordinal, found.fleiss):
        assert part is not None
        assert part.low < 0 < part.high
        assert abs(part.value) < 0.03
    assert found.cohen == pytest.approx(0, abs=0.03)
    assert found.one is not None
    assert found.one.value == pytest.approx(1 / 3, abs=0.02)


def test_fleiss_kappa_by_hand() -> None:
    """Two cases of three votes: shares 5/6 and 1/6, agreement 1 and 1/3, so (2/3 - 26/36) / (1 - 26/36)."""
    fleiss = measured((np.array([0, 1, 2] * 2), np.repeat([0, 1], 3), np.array([1, 1, 1, 1, 1, -1]))).fleiss
    assert fleiss is not None
    assert fleiss.value == pytest.approx(-0.2)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 1), st.integers(-1, 1)), max_size=20))
def test_cohens_kappa_is_agreement_beyond_that_of_the_shares(pairs: list[tuple[int, int]]) -> None:
    one, two = np.array(pairs, np.int64).reshape(-1, 2).T
    who, which = np.repeat([0, 1], len(pairs)), np.tile(np.arange(len(pairs)), 2)
    kappa = measured((who, which, np.concatenate([one, two]))).cohen
    assert measured((who, which, np.concatenate([two, one]))).cohen == pytest.approx(kappa)
    chance = sum((one == said).mean() * (two == said).mean() for said in (-1, 0, 1)) if pairs else 1.0
    expected = None if chance > 1 - 1e-9 else ((one == two).mean() - chance) / (1 - chance)
    assert kappa == pytest.approx(expected)


def test_a_repeat_is_no_second_opinion() -> None:
    assert agreement([0, 0], [0, 0], [1, 1], stream(0, "bootstrap")).cases == 0
    once = agreement([0, 1, 2, 0], [0, 0, 1, 1], [1, 1, -1, -1], stream(0, "bootstrap"))
    again = agreement([0, 1, 2, 0, 0], [0, 0, 1, 1, 0], [1, 1, -1, -1, -1], stream(0, "bootstrap"))
    assert once == again


@pytest.mark.parametrize("each", [2, 4])
def test_intervals_hold_the_truth_as_often_as_they_say(each: int) -> None:
    truth = agreement(*crowd(np.random.default_rng(1), 40_000, each, 0.6), stream(0, "bootstrap"))
    runs, held = 200, np.zeros(5)
    names = ("alpha_nominal", "alpha_ordinal", "fleiss", "one", "one_decided")
    for run in range(runs):
        found = agreement(*crowd(np.random.default_rng(run + 2), 80, each, 0.6), stream(run, "bootstrap"))
        held += [getattr(found, n).low <= getattr(truth, n).value <= getattr(found, n).high for n in names]
    # Two standard errors of 200 runs, and the little by which percentile intervals fall short at 80 cases.
    assert (held / runs > 0.95 - 2 * np.sqrt(0.95 * 0.05 / runs) - 0.015).all(), held / runs


def test_the_same_stream_gives_the_same_intervals() -> None:
    votes = crowd(np.random.default_rng(0), 50, 3, 0.5)
    assert agreement(*votes, stream(3, "bootstrap")) == agreement(*votes, stream(3, "bootstrap"))


@pytest.mark.parametrize(
    ("votes", "words"),
    [
        (([0], [0], [2]), "said[0] is 2"),
        (([0, 1], [0], [1]), "who has 2 entries, which 1"),
        (([0.5], [0], [1]), "who has shape"),
        (([[0]], [0], [1]), "who has shape"),
    ],
)
def test_bad_votes_are_told(votes: Any, words: str) -> None:
    with pytest.raises(BadInputError, match=words.replace("[", r"\[")):
        agreement(*votes, stream(0, "bootstrap"))
