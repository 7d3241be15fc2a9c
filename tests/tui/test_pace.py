"""Active time, pace and what is left."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elicit.service.voting import Progress
from tests.tui.driving import Clock
from tui.pace import GUARD, LONGEST_GAP, VotingPace


def progress(left: tuple[int, int, int] | None = None, stop: bool = False) -> Progress:
    return Progress(12, 12, 60, left, stop, "")


@given(st.lists(st.floats(0, 4000)))
def test_active_seconds_are_the_gaps_each_capped(gaps: list[float]) -> None:
    clock = Clock()
    pace = VotingPace(clock)
    pace.painted()
    expected = 0.0
    for gap in gaps:
        before = clock.now
        clock.now += gap
        expected += min(clock.now - before, LONGEST_GAP)
        pace.touch()
    assert pace.seconds == pytest.approx(expected)
    pace.painted()
    assert pace.seconds == 0


def test_a_wait_for_the_engine_is_not_the_voters_time() -> None:
    clock = Clock()
    pace = VotingPace(clock)
    clock.now += 30
    pace.painted()
    clock.now += 2
    pace.touch()
    assert pace.seconds == 2


def test_the_guard() -> None:
    clock = Clock()
    pace = VotingPace(clock)
    pace.painted()
    assert pace.too_soon
    clock.now += GUARD + 0.001
    assert not pace.too_soon
    pace.painted(again=True)
    assert pace.too_soon


@pytest.mark.parametrize(
    ("left", "each", "words"),
    [
        (None, 10.0, "learning how long this takes"),
        ((9, 12, 25), 20.0, "about 12 more votes (9–25), 3–8 min"),
        ((1, 1, 1), 4.0, "1 more vote, under 1 min"),
        ((5, 5, 5), 60.0, "5 more votes, 5 min"),
        ((1, 4, 9), 10.0, "about 4 more votes (1–9), up to 2 min"),
        ((12, 48, 197), 5.5, "about 48 more votes (12–197), 1–18 min"),
        ((300, 400, 800), 30.0, "about 400 more votes (300–800), 2–7 h"),
    ],
)
def test_what_is_left(left: tuple[int, int, int] | None, each: float, words: str) -> None:
    pace = VotingPace(Clock(), earlier_seconds=[each] * 5)
    assert pace.to_go(progress(left)) == words


@given(st.lists(st.floats(0.5, 60), max_size=30), st.lists(st.floats(0.5, 60), max_size=30), st.integers(1, 500))
def test_the_pace_and_the_time_to_go_agree(known: list[float], now: list[float], high: int) -> None:
    pace = VotingPace(Clock(), known)
    for seconds in now:
        pace.voted(seconds)
    words = pace.to_go(progress((high, high, high)))
    if pace.per_minute is None:
        assert len(known) + len(now) < 3
        assert " min" not in words
        return
    minutes = high / pace.per_minute
    told = re.search(r"(\d+) (min|h)$", words)
    assert told is not None
    told_minutes = int(told[1]) * (60 if told[2] == "h" else 1)
    assert abs(told_minutes - minutes) <= (1.0 if told[2] == "min" else 30.1)


def test_time_is_not_guessed_from_too_little() -> None:
    pace = VotingPace(Clock())
    pace.voted(5)
    assert pace.to_go(progress((9, 12, 25))) == "about 12 more votes (9–25)"
    assert pace.to_go(progress((0, 0, 0), stop=True)) == "enough votes"
    ended = Progress(60, 60, 60, (0, 0, 0), True, "the budget is spent", "the budget is spent")
    assert pace.to_go(ended) == "nothing more to vote on"
