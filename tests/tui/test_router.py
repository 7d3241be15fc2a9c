"""The router's view: what it says of a study, in full and plain, and that it fits."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from elicit.safe_text import harmless, percent
from elicit.service.results import JudgeRow, Lean, RoutingDecision, RoutingView
from elicit.types import BadInputError
from tests.tui.driving import SMALL, WIDE, Voter, voting
from tests.tui.fake import ROUTING, FakeService
from tests.tui.test_plain import say
from tui.difference import plain_text
from tui.router import page, split
from tui.vote import VoteScreen
from tui.words import money

ALARM = msgspec.structs.replace(ROUTING, alarm=57, warning=31, accepted=0, certificate="ALARM after 57 audits.")
WARNING = msgspec.structs.replace(ROUTING, warning=31)
FRESH = RoutingView(
    router="default",
    people=0,
    machines=0,
    waiting=0,
    nobody=0,
    audits_waiting=0,
    spent=0.0,
    budget=None,
    per_vote=None,
    per_bit=None,
    judges=(),
    audits=0,
    wrong=0,
    epoch=250,
    target=0.15,
    threshold=None,
    accepted=0,
    certificate="No label is accepted yet: 0 of 250 audits of epoch 1 are in.",
    alarm=None,
    warning=None,
    decisions=(),
)


async def on_router(voter: Voter) -> str:
    """What the router's page holds, once it is there."""
    await voter.press("f5")
    await voter.until(lambda: bool(voter.app.screen.query("#routing")) and bool(voter.pane("#routing").strip()))
    return voter.pane("#routing")


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_it_shows_answers_money_trust_judges_and_decisions(size: tuple[int, int]) -> None:
    async with voting(FakeService(routing=ROUTING), size) as voter:
        said = " ".join((await on_router(voter)).split())
        assert "✔ Certified: 203 of 314 machine labels (65 %) are accepted unseen." in voter.text("#state")
        for words in ("machines 314", "people 61", "waiting 12", "nobody 3"):
            assert words in said
        assert "68.4 of 90, 76 %, 0.182 a vote" in said
        assert "21 of 40 read for the next certificate" in said
        assert "61 in all, 5 of them wrong (8 %); 4 wait for people" in said
        assert "203 of 314, 65 %, confidence 0.813 or more" in said
        assert ROUTING.certificate in said
        assert "gpt-4o-mini 380 2 1.14 41 11 % 103 of 121 85 %" in said
        assert "+0.42 [+0.10, +0.74] ▲ favours the longer" in said
        assert "-0.06 [-0.29, +0.17] no bias shown, no people to compare with" in said
        assert f"people 94 % {ROUTING.decisions[0].reason}" in said
        assert "✔ audit: right" in said
        assert "✖ audit: wrong" in said


async def test_alarm_and_warning_are_told_by_words_and_shape() -> None:
    for routing, mark, word in ((ALARM, "✖", "ALARM"), (WARNING, "▲", "WARNING"), (ROUTING, "✔", "Certified")):
        async with voting(FakeService(routing=routing), SMALL) as voter:
            said = await on_router(voter)
            assert voter.text("#state").startswith(f"{mark} {word}")
            assert ("✖ ALARM after 57 audits" in said) == (routing is ALARM)
            assert ("confidence 0.813 suspended" in said) == (routing is ALARM)
            assert ("▲ Warning after 31 audits" in said) == (routing is not ROUTING)


async def test_nothing_routed_yet() -> None:
    async with voting(FakeService(routing=FRESH), SMALL) as voter:
        said = await on_router(voter)
        assert voter.text("#state").startswith("○ Nothing is routed yet.")
        for words in ("no query yet", "0, no limit", "0 of 250", "No machine was asked yet", "None to show yet"):
            assert words in said


async def test_a_study_without_router_says_how_to_get_one() -> None:
    async with voting(FakeService(), SMALL) as voter:
        said = await on_router(voter)
        assert "no router" in voter.text("#state")
        assert "[[judges]]" in said


async def test_it_scrolls_fails_in_words_and_goes_back() -> None:
    service = FakeService(routing=ROUTING)
    async with voting(service, SMALL) as voter:
        await on_router(voter)
        await voter.press("pagedown")
        assert voter.app.screen.query_one("#routing").scroll_y > 0
        await voter.press("k", "pageup", "j")

        async def broken() -> None:
            raise BadInputError("out of numbers")

        service.routing = broken  # type: ignore[assignment, method-assign]
        await voter.press("f2", "f5")
        await voter.until(lambda: "out of numbers" in voter.text("#state"))
        await voter.press("escape")
        assert isinstance(voter.app.screen, VoteScreen)


def test_plain_mode_tells_the_same() -> None:
    said = say(FakeService(routing=ALARM), "router", "q")
    for words in ("ALARM: ", "Machines labelled 314 queries, people 61", "Spent 68.4 of 90", "on 103 of 121"):
        assert words in said
    assert "To people, chance 94 %: First better with 54 %" in said
    assert "found it wrong" in said
    assert "no router" in say(FakeService(), "f5", "q")


COUNTS = st.integers(0, 10**6)
NUMBERS = st.floats(-50, 50)
LEANS = st.builds(Lean, st.text(), NUMBERS, NUMBERS, NUMBERS, COUNTS, COUNTS)
JUDGES = st.builds(
    JudgeRow, st.text(), COUNTS, COUNTS, st.floats(0, 1e6), COUNTS, COUNTS, COUNTS, COUNTS, st.tuples(LEANS)
)
MADE = st.builds(RoutingDecision, st.sampled_from(["people", "machines", "nobody"]), st.floats(0, 1), st.text())
ROUTINGS = st.builds(
    RoutingView,
    router=st.text(),
    people=COUNTS,
    machines=COUNTS,
    waiting=COUNTS,
    nobody=COUNTS,
    audits_waiting=COUNTS,
    spent=st.floats(0, 1e6),
    budget=st.none() | st.floats(0, 1e6),
    per_vote=st.none() | st.floats(0, 1e6),
    per_bit=st.none() | st.floats(0, 1e6),
    judges=st.lists(JUDGES, max_size=3).map(tuple),
    audits=COUNTS,
    wrong=COUNTS,
    epoch=st.integers(1, 1000),
    target=st.floats(0.01, 0.99),
    threshold=st.none() | st.floats(0, 1),
    accepted=COUNTS,
    certificate=st.text(),
    alarm=st.none() | COUNTS,
    warning=st.none() | COUNTS,
    decisions=st.lists(MADE, max_size=3).map(tuple),
)


@given(ROUTINGS, st.integers(40, 200))
def test_every_line_fits_and_is_one_line(routing: RoutingView, width: int) -> None:
    for line in page(routing, width):
        text = plain_text([line])
        assert cell_len(text) <= width
        assert harmless(text) == text
        assert "\n" not in text


@given(st.lists(COUNTS, min_size=4, max_size=4), st.integers(20, 200))
def test_a_split_fills_its_cells_and_drops_nobody(counts: list[int], cells: int) -> None:
    found = split(counts, cells)
    assert sum(found) == (cells if any(counts) else 0)
    assert [n > 0 for n in found] == [count > 0 for count in counts]


@given(st.floats(0, 1))
def test_a_share_never_says_none_or_all_where_it_is_not(share: float) -> None:
    assert (percent(share) == "0 %") == (share == 0)
    assert (percent(share) == "100 %") == (share == 1)


@given(st.floats(0.0001, 1e9))
def test_money_is_written_close_to_what_it_is(value: float) -> None:
    assert float(money(value).replace(",", "")) == pytest.approx(value, rel=6e-3)
