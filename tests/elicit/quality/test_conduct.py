"""Laws of conduct: honest people of any sort are left alone, names and sides do not matter, and frauds are found."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from elicit.quality.conduct import FAMILY_WISE, conduct
from elicit.quality.findings import Finding
from elicit.quality.records import SKIP, UNKNOWN, Records
from elicit.randomness import stream
from elicit.types import BadInputError
from tests.elicit.crowds import crowd, taken, voting

Array = NDArray[Any]
CHECKS = ("gold", "repeats", "side", "speed", "straight", "against", "duplicate", "coordinated")
LAST = 15


def findings(records: Records, seed: int = 0, names: list[str] | None = None) -> tuple[Finding, ...]:
    return conduct(records, names or [f"p{n:02}" for n in range(int(records.who.max()) + 1)], stream(seed, "conduct"))


def flagged(records: Records, person: int = LAST) -> set[str]:
    return {found.check for found in findings(records) if found.flag and found.judge == f"p{person:02}"}


def one(records: Records, check: str, person: int = LAST) -> Finding:
    return next(f for f in findings(records) if f.check == check and f.judge == f"p{person:02}")


def honest(seed: int = 0, **options: Any) -> tuple[Records, Array]:
    """A crowd, and the rows of its last member, who is of the majority."""
    records = crowd(stream(seed, "crowd"), **options)
    return records, np.flatnonzero(records.who == LAST)


# -- what cannot matter ------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32))
def test_findings_are_numbers_with_intervals_and_rules(seed: int) -> None:
    found = findings(crowd(stream(seed, "crowd"), people=6, votes=30, pairs=40))
    assert {f.check for f in found} <= set(CHECKS)
    for f in found:
        assert 0 <= f.low <= f.value <= f.high <= 1
        assert f.votes >= 1
        assert f.weight in ((0, 0.5) if f.flag else (1,))
    assert [f.judge for f in found] == sorted(f.judge for f in found)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32))
def test_exchanging_a_and_b_changes_no_finding(seed: int) -> None:
    records, _ = honest(seed, people=16, votes=40)
    turned = replace(
        records,
        a=records.b,
        b=records.a,
        said=np.where(np.abs(records.said) == 1, -records.said, records.said),
        left=-records.left,
        gold=np.where(records.gold == UNKNOWN, UNKNOWN, -records.gold),
    )
    assert findings(records) == findings(turned)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32))
def test_the_numbers_of_annotators_pairs_and_items_do_not_matter(seed: int) -> None:
    records, _ = honest(seed, people=8, votes=40)
    rng = stream(seed, "names")
    people, pairs, items = (rng.permutation(int(x.max()) + 1) for x in (records.who, records.pair, records.a))
    moved = replace(records, who=people[records.who], pair=pairs[records.pair], a=items[records.a], b=items[records.b])
    names = [f"p{n:02}" for n in range(8)]
    renamed = [names[n] for n in np.argsort(people)]
    here, there = (
        sorted((f.judge, f.check, f.value, f.low, f.high, f.votes, f.flag, f.weight) for f in found)
        for found in (findings(records, names=names), findings(moved, names=renamed))
    )
    assert here == there


def test_the_same_stream_gives_the_same_findings() -> None:
    records, _ = honest()
    assert findings(records, 5) == findings(records, 5)


def test_a_check_that_no_vote_bears_on_says_nothing() -> None:
    records = crowd(stream(0, "crowd"), golds=0.0, repeats=0.0)
    records = replace(records, seconds=np.full(len(records.who), np.nan))
    assert {"gold", "repeats", "speed"}.isdisjoint({f.check for f in findings(records)})
    assert findings(taken(records, np.zeros(0, np.int64)), names=["p00"]) == ()
    assert findings(replace(records, said=np.full(len(records.who), SKIP))) == ()


# -- honest people -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"people": 16, "votes": 60},
        {"people": 24, "votes": 100, "pairs": 200, "minority": 0.1, "loved": 2.0},
        {"people": 5, "votes": 150, "pairs": 150, "minority": 0.4},
    ],
    ids=["a quarter of another mind", "a tenth who love one item", "two of five of another mind"],
)
def test_a_rule_flags_nobody_honest_more_often_than_it_says(options: dict[str, Any]) -> None:
    runs = 40
    false = dict.fromkeys(CHECKS, 0)
    for run in range(runs):
        found = findings(crowd(stream(run, "honest"), **options), run)
        for check in {f.check for f in found if f.flag}:
            false[check] += 1
    assert all(count <= stats.binom.ppf(0.999, runs, FAMILY_WISE) for count in false.values()), false


def test_a_person_of_another_mind_is_left_alone_however_much_they_vote() -> None:
    """Half of all pairs they see as nobody else does."""
    for seed in range(5):
        records = crowd(stream(seed, "lone"), votes=300, pairs=300, minority=1 / 16)
        assert flagged(records, 0) == set()


# -- frauds ------------------------------------------------------------------------------------------------------------


def test_who_gets_golds_wrong_counts_less_and_who_turns_them_round_not_at_all() -> None:
    records, own = honest(votes=100)
    rng = stream(0, "fraud")
    at_random = voting(records, LAST, said=rng.choice([-1, 1], len(own)))
    known = records.gold[own] != UNKNOWN
    inverted = voting(records, LAST, said=np.where(known, -records.gold[own], records.said[own]))
    assert one(at_random, "gold").value == pytest.approx(0.5, abs=0.3)
    assert one(inverted, "gold").flag
    assert one(inverted, "gold").weight == 0
    always_tied = voting(records, LAST, said=np.where(known, 0, records.said[own]))
    assert one(always_tied, "gold").weight == 0.5


def test_who_contradicts_every_repeat_is_found() -> None:
    records, own = honest(votes=100, repeats=0.2)
    first = {int(records.pair[v]): int(records.said[v]) for v in own[::-1] if not records.repeat[v]}
    said = [-first[int(records.pair[v])] if records.repeat[v] else int(records.said[v]) for v in own]
    assert "repeats" in flagged(voting(records, LAST, said=np.array(said)))


@pytest.mark.parametrize("share", [0.8, 1.0])
def test_who_presses_one_side_is_found(share: float) -> None:
    records, own = honest(votes=100)
    pressed = stream(0, "fraud").random(len(own)) < 2 * share - 1
    said = np.where(pressed & (records.said[own] != 0), -records.left[own], records.said[own])
    found = one(voting(records, LAST, said=said), "side")
    assert found.flag
    assert found.low > 0.5


def test_who_cannot_have_read_is_found_unless_nobody_reads() -> None:
    records, own = honest(votes=40)
    hasty = voting(records, LAST, seconds=np.full(len(own), 2.0))
    assert flagged(hasty) == {"speed"}
    all_hasty = replace(records, seconds=np.full(len(records.who), 2.0))
    assert not any(f.flag for f in findings(all_hasty) if f.check == "speed")


@pytest.mark.parametrize("habit", ["one side", "in turn", "ties", "both bad"])
def test_who_does_not_look_at_what_is_asked_is_found(habit: str) -> None:
    records, own = honest(votes=40)
    left = records.left[own]
    said = {
        "one side": -left,
        "in turn": left * (1 - 2 * (np.arange(len(own)) % 2)),
        "ties": np.zeros(len(own), np.int64),
        "both bad": np.full(len(own), 2),
    }[habit]
    found = one(voting(records, LAST, said=said), "straight")
    assert found.flag
    assert found.value == 1


def test_a_run_within_other_votes_is_told_by_its_share() -> None:
    records, own = honest(votes=100)
    at = np.arange(len(own))
    found = one(voting(records, LAST, said=np.where(at < 30, -records.left[own], records.said[own])), "straight")
    assert found.flag
    assert 0.25 < found.value < 0.6


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [("said", 7, "said.0. is 7"), ("left", 0, "left.0. is 0"), ("gold", 2, "gold.0. is 2"), ("pair", -1, "below 0")],
)
def test_records_that_say_nothing_are_told(column: str, value: int, words: str) -> None:
    records, _ = honest(people=16, votes=10)
    broken = np.array(getattr(records, column))
    broken[0] = value
    with pytest.raises(BadInputError, match=words):
        replace(records, **{column: broken})


def test_records_out_of_order_or_shape_and_missing_names_are_told() -> None:
    records, _ = honest(people=16, votes=10)
    with pytest.raises(BadInputError, match="time goes back"):
        replace(records, time=records.time[::-1])
    with pytest.raises(BadInputError, match="length has shape"):
        replace(records, length=records.length[1:])
    with pytest.raises(BadInputError, match="there are 2 names"):
        conduct(records, ["maya", "noor"], stream(0, "conduct"))
    with pytest.raises(BadInputError, match="there are 1 items"):
        conduct(records, [str(n) for n in range(16)], stream(0, "conduct"), ["prompt"])
