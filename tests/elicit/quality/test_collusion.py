"""Laws of what several annotators together can show: dissent is not fraud, second accounts and pushed items are."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from elicit.quality.collusion import against, check_promotion, duplicates
from elicit.quality.findings import Finding
from elicit.quality.records import Records
from elicit.randomness import stream
from tests.elicit.crowds import DAY, ITEMS, crowd, second_account, together, voting

ALPHA = 0.01
PEOPLE, LAST = 16, 15


def names(records: Records) -> list[str]:
    return [str(n) for n in range(int(records.who.max()) + 1)]


def who_is_against(records: Records, seed: int = 0) -> list[Finding]:
    return against(records, names(records), stream(seed, "conduct"), ALPHA)


def out(found: list[Finding]) -> set[int]:
    assert all(f.weight == 0 for f in found if f.flag)
    return {int(f.judge) for f in found if f.flag}


def pushing(records: Records, people: list[int], item: int = 0) -> Records:
    """The same with these people always voting for the item."""
    by = np.isin(records.who, people)
    said = np.where(by & (records.a == item), -1, np.where(by & (records.b == item), 1, records.said))
    return replace(records, said=said)


# -- against -----------------------------------------------------------------------------------------------------------


def test_who_turns_votes_round_is_found() -> None:
    for seed in range(4):
        records = crowd(stream(seed, "crowd"), PEOPLE, 100)
        turned = voting(records, LAST, said=-records.said[records.who == LAST])
        assert out(who_is_against(turned)) == {LAST}


def test_who_tosses_a_coin_is_not_taken_for_somebody_with_an_aim() -> None:
    """A coin is the worst that an honest person can be; the test's level is kept by it, with all at it together."""
    runs, false = 100, 0
    for seed in range(runs):
        records = crowd(stream(seed, "crowd"), PEOPLE, 60)
        rng = stream(seed, "coin")
        false += bool(out(who_is_against(replace(records, said=rng.choice([-1, 1], len(records.who))), seed)))
    assert false <= stats.binom.ppf(0.999, runs, ALPHA)


def test_the_model_is_asked_where_nobody_else_voted() -> None:
    records = crowd(stream(0, "crowd"), 1, 100, minority=0.0)
    assert who_is_against(records) == []
    sure = replace(records, p_a=np.where(records.said == -1, 0.05, 0.95))
    assert out(who_is_against(sure)) == {0}
    assert out(who_is_against(replace(sure, p_a=1 - sure.p_a))) == set()


def test_an_account_that_turns_is_found_after_it_did() -> None:
    records = crowd(stream(3, "crowd"), PEOPLE, 300, 300)
    own = records.said[records.who == LAST]
    turned = voting(records, LAST, said=np.where(np.arange(len(own)) < 130, own, -own))
    found = next(f for f in who_is_against(turned) if f.judge == str(LAST))
    assert found.flag
    assert found.value < 0.6


def test_who_else_votes_does_not_move_where_one_looks() -> None:
    """The places are a function of the stream alone, so that a replay with more people looks there too."""
    records = crowd(stream(0, "crowd"), PEOPLE, 100)
    turned = voting(records, LAST, said=-records.said[records.who == LAST])
    elsewhere = crowd(stream(1, "crowd"), PEOPLE, 100)
    more = together(
        turned, replace(elsewhere, who=elsewhere.who + PEOPLE, pair=elsewhere.pair + int(turned.pair.max()) + 1)
    )
    here, there = (
        next(f.why.split(", with p")[0] for f in who_is_against(r) if f.judge == str(LAST)) for r in (turned, more)
    )
    assert "after" in here
    assert here == there


# -- duplicates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("slips", "later"), [(0.0, 4 * DAY), (0.1, 20.0)])
def test_the_later_of_two_accounts_of_one_person_is_quarantined(slips: float, later: float) -> None:
    rng = stream(0, "fraud")
    records = second_account(crowd(stream(0, "crowd"), PEOPLE, 100), LAST, slips, later, rng)
    found = duplicates(records, names(records), ALPHA)
    assert out(found) == {PEOPLE}
    by = {int(f.judge): f for f in found}
    assert f"agrees with {LAST}" in by[PEOPLE].why
    assert ("in lockstep" in by[PEOPLE].why) == (later < 60)
    assert "the later account is quarantined" in by[LAST].why


def test_of_several_accounts_of_one_person_the_first_is_kept() -> None:
    rng = stream(0, "fraud")
    records = crowd(stream(1, "crowd"), PEOPLE, 100)
    for copy in range(3):
        records = second_account(records, LAST, 0.0, (copy + 1) * DAY, rng)
    assert out(duplicates(records, names(records), ALPHA)) == {PEOPLE, PEOPLE + 1, PEOPLE + 2}


def test_lockstep_by_itself_is_no_second_account() -> None:
    """A room of people who are all asked the same at the same time."""
    for seed in range(10):
        records = crowd(stream(seed, "room"), PEOPLE, 100, 100, repeats=0.0)
        place = np.argsort(np.lexsort((records.who, records.pair)))
        order = np.argsort(place, kind="stable")
        columns = {name: getattr(records, name)[order] for name in records.__dataclass_fields__}
        columns["time"] = columns["pair"] * 60.0
        assert out(duplicates(Records(**columns), names(records), ALPHA)) == set()


def test_all_alike_is_no_news() -> None:
    """Where pairs are so easy that everybody agrees, agreement tells nothing."""
    records = crowd(stream(0, "crowd"), PEOPLE, 60, 60)
    easy = replace(records, said=np.where(records.pair % 2 == 0, -1, 1))
    assert out(duplicates(easy, names(easy), ALPHA)) == set()
    assert out(duplicates(replace(easy, said=0 * easy.said), names(easy), ALPHA)) == set()


# -- coordinated -------------------------------------------------------------------------------------------------------


def test_accounts_that_push_an_item_together_are_found() -> None:
    pushers = [12, 13, 14, 15]
    records = pushing(crowd(stream(0, "crowd"), PEOPLE, 120), pushers)
    found = check_promotion(records, names(records), [f"prompt {n}" for n in range(ITEMS)], ALPHA)
    assert out(found) <= set(pushers)
    assert len(out(found)) >= 3
    assert all("prompt 0" in f.why and "other accounts" in f.why for f in found if f.flag)


def test_one_who_loves_an_item_is_not_coordinated_with_anybody() -> None:
    for seed in range(5):
        records = pushing(crowd(stream(seed, "crowd"), PEOPLE, 120), [LAST])
        assert out(check_promotion(records, names(records), [str(n) for n in range(ITEMS)], ALPHA)) == set()
