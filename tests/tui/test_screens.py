"""The overview, the history and the help."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from elicit.service.results import LabelShares, LeaderRow, Overview, PairLabel
from elicit.service.voting import Progress
from elicit.types import EXPECTED, BadInputError, Goal
from tests.tui.driving import SMALL, Voter, voting
from tests.tui.fake import ANSWER_A, ANSWER_B, PROMPT, FakeService
from tui.difference import plain_text
from tui.header import keys_line, scale_line, top_line
from tui.keys import HELP, VOTES
from tui.overview import interval, ranking
from tui.pace import VotingPace
from tui.pane import TextPane
from tui.vote import VoteScreen
from tui.words import moment


async def voted(voter: Voter) -> None:
    await voter.press("l", "2", "=", "0", "s", after=6)


def tell(service: FakeService, told: Overview) -> None:
    """Let the service give this overview."""

    async def overview() -> Overview:
        return told

    service.overview = overview  # type: ignore[method-assign]


async def test_overview_shows_ranking_balance_and_plots() -> None:
    async with voting(FakeService(left=(9, 16, 25))) as voter:
        await voted(voter)
        await voter.press("f2")
        await voter.until(lambda: "90 %" in voter.pane("#leaders"))
        ranks = voter.pane("#leaders")
        assert "The cat sat on the mat" in ranks
        assert "+2.40" in ranks
        assert "71 %" in ranks
        assert "●" in ranks
        balance = voter.text("#balance")
        assert "left 50 %" in balance
        assert "both bad 1" in balance
        assert "5 of 60 votes" in voter.text("#state")
        regret = voter.app.screen.query_one("#regret")
        assert regret.display
        assert "enough at about 21 votes (14–30)" in str(regret.border_subtitle)


async def test_overview_flips_between_ranking_and_plots_on_a_small_screen() -> None:
    async with voting(FakeService(left=(100, 160, 250)), SMALL) as voter:
        await voter.press("f2")
        assert voter.app.screen.query_one("#leaders").display
        assert not voter.app.screen.query_one("#plots").display
        await voter.press("tab")
        assert not voter.app.screen.query_one("#leaders").display
        assert voter.app.screen.query_one("#plots").display
        assert "ranking" in voter.text("#keys")
        for name in ("#regret", "#p_best"):
            plot = voter.app.screen.query_one(name)
            below = str(plot.border_subtitle)
            assert below.startswith("│ enough at about")
            assert len(below) <= plot.size.width, "nothing of it is cut off"


async def test_overview_opens_an_item_and_tells_only_the_place_of_what_is_on_the_screen() -> None:
    service = FakeService()
    seen = await service.overview()
    first, *others = seen.leaders
    told = msgspec.structs.replace(seen, leaders=(LeaderRow(1, "", "", 0.0, 0.0, 0.0, 0.0, 0), *others))
    tell(service, told)
    async with voting(service, SMALL) as voter:
        await voter.press("f2")
        await voter.until(lambda: "90 %" in voter.pane("#leaders"))
        lines = voter.pane("#leaders").splitlines()
        assert lines[1].startswith("▸ 1")
        assert "on your screen" in lines[1]
        assert first.text not in "".join(lines)
        await voter.press("enter")
        assert not voter.app.screen.query("#reading")
        await voter.press("j", "enter")
        await voter.until(lambda: bool(voter.app.screen.query("#reading")) and bool(voter.pane("#reading")))
        assert others[0].text in " ".join(voter.pane("#reading").split())


@pytest.mark.parametrize("goal", EXPECTED)
async def test_overview_names_what_the_stop_rule_measures(goal: Goal) -> None:
    async with voting(FakeService(goal=goal), SMALL) as voter:
        await voter.press("f2", "tab")
        await voter.until(lambda: bool(voter.app.screen.query_one("#regret").border_title))
        assert EXPECTED[goal] in voter.app.export_screenshot().replace("&#160;", " ")


async def test_overview_scrolls_and_says_when_it_fails() -> None:
    service = FakeService()
    async with voting(service, SMALL) as voter:
        await voter.press("f2", "j", "k", "pagedown", "pageup")

        async def broken() -> None:
            raise BadInputError("out of numbers")

        service.overview = broken  # type: ignore[assignment, method-assign]
        await voter.press("f3", "f2")
        await voter.until(lambda: "out of numbers" in voter.text("#state"))


async def test_history_shows_a_vote_in_full() -> None:
    service = FakeService([(ANSWER_A, ANSWER_B)] * 9, context=PROMPT)
    async with voting(service) as voter:
        await voter.press("r", "1", "enter", "n", *"ok", "enter", "6", after=6)
        await voter.press("l", "f3")
        await voter.until(lambda: "expected to raise" in voter.pane("#past"))
        assert "Vote 2" in str(voter.app.screen.query_one("#past").border_title)
        await voter.press("j")
        await voter.until(lambda: "clearer" in voter.pane("#past"))
        past = voter.pane("#past")
        for words in ("RIGHT, clearly better", "Note       ok", "12 GB", "─ LEFT ─", "─ RIGHT ✔ chosen", "return sum("):
            assert words in past
        pane = voter.app.screen.query_one("#past", TextPane)
        await voter.press("J")
        assert pane.scroll_y > 0
        await voter.press("K", "k")
        await voter.until(lambda: "clearer" not in voter.pane("#past"))


async def test_history_takes_notes() -> None:
    service = FakeService()
    async with voting(service, SMALL) as voter:
        await voter.press("l", "h", "f3")
        await voter.until(lambda: "LEFT" in voter.pane("#past"))
        await voter.press("j", "n", *"odd", "enter")
        await voter.until(lambda: "odd" in voter.pane("#past"))
        assert service.notes == {100: "odd"}
        service.fail = BadInputError("no room")
        await voter.press("n", "x", "enter")
        await voter.until(lambda: "no room" in str(voter.app.screen.query_one("#past").border_subtitle))


async def test_history_without_votes() -> None:
    async with voting(FakeService()) as voter:
        await voter.press("f3")
        await voter.until(lambda: "No votes yet" in voter.pane("#past"))
        await voter.press("n", "j", "q")


@pytest.mark.parametrize("size", [SMALL, (120, 40)])
async def test_help_names_every_key(size: tuple[int, int]) -> None:
    async with voting(FakeService(), size) as voter:
        await voter.press("f1", "j", "pagedown", "pageup")
        page = voter.pane("#help")
        for _, keys in HELP:
            for key, words in keys:
                assert key in page
                assert words in page
        assert "taken for a slip and not counted." in " ".join(page.split()), "whatever the width"


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("2026-11-30T12:18:08.605+00:00", "30 Nov 2026, 12:18 UTC"),
        ("2026-11-30T23:18:08-02:00", "1 Dec 2026, 01:18 UTC"),
        ("2026-11-30 12:18", "30 Nov 2026, 12:18 UTC"),
        ("", ""),
        ("once", "once"),
    ],
)
def test_a_time_is_told_as_people_write_it(time: str, said: str) -> None:
    assert moment(time) == said


def test_every_voting_key_is_in_the_help() -> None:
    written = " ".join(key for _, keys in HELP for key, _ in keys)
    for key in VOTES:
        assert {"left": "←", "right": "→", "equals_sign": "="}.get(key, key) in written


def test_keys_are_bound_once() -> None:
    bound = [key for binding in VoteScreen.BINDINGS for key in binding.key.split(",")]  # type: ignore[union-attr]
    assert len(bound) == len(set(bound))


NUMBERS = st.floats(-50, 50)


NOTHING = Overview(Progress(0, 0, 9, None, False, ""), (), (), "", (), 0.5, None, {})


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, st.text()), min_size=1, max_size=20), st.integers(75, 200))
def test_ranking_lines_are_aligned(values: list[tuple[float, float, float, str]], width: int) -> None:
    rows = []
    for rank, (a, b, c, text) in enumerate(values, 1):
        low, middle, high = sorted((a, b, c))
        rows.append(LeaderRow(rank, f"i{rank}", text, middle, low, high, 0.2, 3))
    seen = msgspec.structs.replace(NOTHING, leaders=tuple(rows))
    widths = {cell_len(plain_text([line])) for line in ranking(seen, width)}
    assert len(widths) == 1
    assert widths.pop() <= width


@pytest.mark.parametrize(("goal", "head"), [("best", "best?"), ("top", "top 3?"), ("rank", "> next")])
def test_the_ranking_tells_how_sure_a_place_is_by_the_goal(goal: Goal, head: str) -> None:
    rows = tuple(LeaderRow(k, f"i{k}", "x", 0, 0, 0, 0.11, 1, 0.22, 0.33 if k == 1 else None) for k in (1, 2))
    lines = [
        plain_text([line]) for line in ranking(msgspec.structs.replace(NOTHING, leaders=rows, goal=goal, top=3), 90)
    ]
    assert head in lines[0]
    assert {"best": "11 %", "top": "22 %", "rank": "33 %"}[goal] in lines[1]
    assert {"best": "11 %", "top": "22 %", "rank": "–"}[goal] in lines[2]


async def test_the_overview_of_labels_shows_pairs_and_opens_them() -> None:
    service = FakeService(goal="label")
    pairs = (PairLabel("", "", "", "", 0, 0, 0, ""), PairLabel("p1", "one text", "another", "b", 0.8, 0.2, 2, "votes"))
    labels = LabelShares(1, 0, 1, a=1, tie=0, b=1)
    told = msgspec.structs.replace(
        await service.overview(), leaders=(), p_best=(), goal="label", labels=labels, pairs=pairs
    )
    tell(service, told)
    async with voting(service, SMALL) as voter:
        await voter.press("f2")
        await voter.until(lambda: "sure" in voter.pane("#leaders"))
        lines = voter.pane("#leaders").splitlines()
        assert "1 of 2 pairs labelled by votes" in lines[0]
        assert "on your screen" in lines[2]
        assert "second" in lines[3]
        assert "80 %" in lines[3]
        await voter.press("enter")
        assert not voter.app.screen.query("#reading")
        await voter.press("j", "enter")
        await voter.until(lambda: "another" in voter.pane("#reading"))


@given(NUMBERS, NUMBERS, NUMBERS, st.integers(3, 40))
def test_intervals_fill_their_cells(a: float, b: float, c: float, cells: int) -> None:
    low, middle, high = sorted((a, b, c))
    drawn = interval(low, middle, high, low, high, cells)
    assert len(drawn) == cells
    assert drawn.count("●") == 1


@pytest.mark.parametrize("width", [78, 98, 118, 200])
def test_the_lines_around_fit(width: int) -> None:
    service = FakeService(left=(100, 160, 250), target=400)
    pace = VotingPace(lambda: 0.0, earlier_seconds=[8.0] * 5)
    line = top_line("A study with a rather long title that goes on and on and on", service._progress(), pace, width)
    assert cell_len(line.plain) <= width
    assert "about 160 more votes (100–250), 13–33 min" in line.plain
    assert cell_len(scale_line(width).plain) <= width
    assert "far ▶" in scale_line(width).plain.replace("   right", "")
    assert cell_len(keys_line((("a", "first"), ("b", "second " * 40)), (("q", "quit"),), width).plain) == width
