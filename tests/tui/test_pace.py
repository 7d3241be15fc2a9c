"""Active time, pace and what is left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elicit.service import Progress
from tests.tui.driving import Clock
from tui.pace import GUARD, LONGEST_GAP, Pace


def progress(left: tuple[int, int, int] | None = None, stop: bool = False) -> Progress:
    return Progress(12, 12, 60, left, stop, "")


@given(st.lists(st.floats(0, 4000)))
def test_active_seconds_are_the_gaps_each_capped(gaps: list[float]) -> None:
    clock = Clock()
    pace = Pace(clock)
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
    pace = Pace(clock)
    clock.now += 30
    pace.painted()
    clock.now += 2
    pace.touch()
    assert pace.seconds == 2


def test_the_guard() -> None:
    clock = Clock()
    pace = Pace(clock)
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
        ((9, 12, 25), 20.0, "9–25 votes, 3–8 min to go"),
        ((1, 1, 1), 4.0, "1 vote, under 1 min to go"),
        ((5, 5, 5), 60.0, "5 votes, 5 min to go"),
        ((0, 4, 9), 10.0, "0–9 votes, 0–2 min to go"),
        ((300, 400, 800), 30.0, "300–800 votes, 2–7 h to go"),
    ],
)
def test_what_is_left(left: tuple[int, int, int] | None, each: float, words: str) -> None:
    pace = Pace(Clock(), known=[each] * 5)
    assert pace.to_go(progress(left)) == words


def test_time_is_not_guessed_from_too_little() -> None:
    pace = Pace(Clock())
    pace.voted(5)
    assert pace.to_go(progress((9, 12, 25))) == "9–25 votes to go"
    assert pace.to_go(progress((9, 12, 25), stop=True)) == "enough votes"
