"""Every key and every rule of the voting screen."""

from __future__ import annotations

import asyncio

import pytest
from textual.widgets import Input

from elicit.types import BadInputError
from tests.tui.driving import SMALL, WIDE, voting
from tests.tui.fake import ANSWER_A, ANSWER_B, PROMPT, SHORT, FakeService
from tui.dialogs import Enough, NoteDialog, Reading, Reasons
from tui.help import HelpScreen
from tui.history import HistoryScreen
from tui.overview import OverviewScreen
from tui.pane import TextPane
from tui.vote import VoteScreen


@pytest.mark.parametrize(
    ("key", "choice", "strength"),
    [
        ("left", "left", None),
        ("h", "left", None),
        ("right", "right", None),
        ("l", "right", None),
        ("1", "left", 3),
        ("2", "left", 2),
        ("3", "left", 1),
        ("4", "tie", None),
        ("=", "tie", None),
        ("5", "right", 1),
        ("6", "right", 2),
        ("7", "right", 3),
        ("0", "both_bad", None),
        ("s", "skip", None),
    ],
)
async def test_every_voting_key(key: str, choice: str, strength: int | None) -> None:
    service = FakeService()
    async with voting(service) as voter:
        await voter.press(key)
        assert voter.screen.ballot is not None
        assert voter.screen.ballot.number == 2
        assert "Saved vote 1" in voter.status
        assert SHORT[2] in voter.pane("#right")
    [answer] = service.answers
    assert (answer.query, answer.choice, answer.strength) == (100, choice, strength)
    assert service.closed


async def test_votes_right_after_a_new_pair_are_ignored() -> None:
    service = FakeService()
    async with voting(service) as voter:
        await voter.press("l")
        await voter.press("l", after=0.2)
        assert len(service.answers) == 1
        assert "Too quick" in voter.status
        await voter.press("j", "d", after=0.0)  # other keys are never ignored
        await voter.press("l", after=0.1)
        assert len(service.answers) == 2


async def test_the_guard_holds_after_coming_back_too() -> None:
    service = FakeService()
    async with voting(service) as voter:
        await voter.press("f2", "escape")
        await voter.press("h", after=0.1)
        assert not service.answers
        await voter.press("h", after=0.3)
        assert len(service.answers) == 1


async def test_idle_time_does_not_count() -> None:
    service = FakeService()
    async with voting(service) as voter:  # one second is over
        await voter.press("j", after=10)
        await voter.press("j", after=3600)
        await voter.press("l", after=5)
        await voter.press("h", after=7)
    assert service.answers[0].seconds == pytest.approx(1 + 10 + 60 + 5)
    assert service.answers[1].seconds == pytest.approx(7)


async def test_keys_are_ignored_while_a_vote_is_being_saved() -> None:
    service = FakeService()
    async with voting(service) as voter:
        service.gate = asyncio.Event()
        await voter.pilot.press("l")
        voter.clock.now += 5
        await voter.pilot.press("h", "u", "l")
        await asyncio.sleep(0.35)
        await voter.pilot.pause()
        assert "Saving" in voter.status
        service.gate.set()
        await voter.settled()
        assert [answer.choice for answer in service.answers] == ["right"]


@pytest.mark.parametrize("error", [BadInputError("the study is full"), ConnectionError("the engine has stopped.")])
async def test_a_failure_keeps_the_ballot_and_what_was_written(error: Exception) -> None:
    service = FakeService()
    async with voting(service) as voter:
        await voter.press("r", "1", "enter")
        service.fail = error
        await voter.press("l")
        assert str(error).rstrip(".") in voter.status
        assert voter.screen.ballot is not None
        assert voter.screen.ballot.number == 1
        await voter.press("l")
        assert service.answers[0].reasons == ("clearer",)
        service.fail = error
        await voter.press("u")
        assert "Nothing was taken back" in voter.status


async def test_undo_goes_back_as_far_as_there_are_votes() -> None:
    service = FakeService()
    async with voting(service) as voter:
        await voter.press("6", "h", "=")
        for said in ("vote 3: tie", "vote 2: LEFT", "vote 1: RIGHT, clearly better"):
            await voter.press("u")
            assert f"Took back {said}" in voter.status
        assert voter.screen.ballot is not None
        assert voter.screen.ballot.number == 1
        assert SHORT[0] in voter.pane("#left")
        await voter.press("u")
        assert "no vote of yours" in voter.status
        assert voter.app.votes == 0
    assert len(service.undone) == 3


async def test_undo_gives_back_reasons_and_note() -> None:
    service = FakeService()
    async with voting(service) as voter:
        await voter.press("r", "2", "enter", "n", *"abc", "enter", "l", "u", "h")
    assert service.undone[0].reasons == service.answers[0].reasons == ("more correct",)
    assert service.answers[0].note == "abc"


async def test_undo_of_a_vote_from_an_earlier_session() -> None:
    service = FakeService()
    async with voting(service) as voter:
        await voter.press("6")
    async with voting(service) as voter:
        await voter.press("u")
        assert "vote 1: RIGHT, clearly better" in voter.status


async def test_reasons_go_with_the_next_vote_only() -> None:
    service = FakeService()
    async with voting(service) as voter:
        await voter.press("r", "3", "j", "space", "k", "k", "space", "space")
        assert isinstance(voter.app.screen, Reasons)
        assert "[x] clearer" in voter.text("#boxes")
        await voter.press("enter")
        assert "clearer, shorter" in voter.status
        await voter.press("r", "2", "escape")
        await voter.press("l", "l")
    assert [answer.reasons for answer in service.answers] == [("clearer", "shorter"), ()]


async def test_a_study_without_reasons_or_guidelines_says_so() -> None:
    async with voting(FakeService(reasons=(), guidelines="")) as voter:
        await voter.press("r")
        assert "no list of reasons" in voter.status
        await voter.press("g")
        assert "no guidelines" in voter.status
        await voter.press("p")
        assert "no prompt" in voter.status


async def test_a_note_goes_with_the_vote() -> None:
    service = FakeService()
    async with voting(service) as voter:
        await voter.press("n", *"h1 q")  # voting keys write here
        assert isinstance(voter.app.screen, NoteDialog)
        assert voter.app.screen.query_one(Input).value == "h1 q"
        await voter.press("enter")
        assert "a note" in voter.status
        await voter.press("n", "x", "escape", "l")
    assert service.answers[0].note == "h1 q"


async def test_diff_on_and_off() -> None:
    async with voting(FakeService()) as voter:

        def underlined() -> str:
            pane = voter.screen.query_one("#left", TextPane)
            return " ".join(text for strip in pane.page for text, style, _ in strip if style and style.underline)

        assert underlined() == "mat window"
        await voter.press("d")
        assert underlined() == ""
        assert "not marked" in voter.status
        await voter.press("d")
        assert underlined() == "mat window"


async def test_texts_with_little_in_common_are_not_marked() -> None:
    async with voting(FakeService([("one two three", "four five six")])) as voter:
        await voter.press("d", "d")
        assert "too few words" in voter.status


async def test_zoom_goes_round() -> None:
    async with voting(FakeService()) as voter:

        def visible() -> list[str | None]:
            return [pane.id for pane in voter.view.query(".text").results(TextPane) if pane.display]

        assert visible() == ["left", "right"]
        await voter.press("tab")
        assert "Both texts are on the screen" in voter.status
        await voter.press("z")
        assert visible() == ["left"]
        await voter.press("tab")
        assert visible() == ["right"]
        await voter.press("z")
        assert visible() == ["left", "right"]


async def test_one_pane_at_a_time_at_80_columns() -> None:
    async with voting(FakeService([(ANSWER_A, ANSWER_B)] * 3, context=PROMPT), SMALL) as voter:

        def visible() -> list[str]:
            return [str(pane.border_title) for pane in voter.view.query(".text").results(TextPane) if pane.display]

        assert visible() == ["◀ LEFT · Tab shows RIGHT"]
        await voter.press("j", "j", "tab")
        assert visible() == ["RIGHT ▶ · Tab shows LEFT"]
        await voter.until(lambda: voter.view.query_one("#right", TextPane).scroll_y == 2)
        await voter.press("space")
        assert visible() == ["◀ LEFT · Tab shows RIGHT"]
        await voter.press("z", "l")
        assert visible() == ["◀ LEFT · Tab shows RIGHT"]  # a new pair starts on the left
        await voter.pilot.resize_terminal(*WIDE)
        await voter.until(lambda: len(visible()) == 2)
        assert visible() == ["◀ LEFT", "RIGHT ▶"]
        widest = max(strip.cell_length for strip in voter.view.query_one("#left", TextPane).page)
        assert widest <= voter.view.query_one("#left", TextPane).scrollable_content_region.width


@pytest.mark.parametrize("size", [SMALL, WIDE, (99, 30), (101, 24), (40, 15)])
async def test_nothing_is_cut_off_at_any_width(size: tuple[int, int]) -> None:
    async with voting(FakeService([(ANSWER_A, ANSWER_B)], context=PROMPT * 3), size) as voter:
        for pane in voter.view.query(TextPane):
            if pane.display:
                room = pane.scrollable_content_region.width
                assert max(len(str(strip.text).rstrip()) for strip in pane.page) <= room
        await voter.press("g")
        pane = voter.app.screen.query_one(TextPane)
        await voter.until(lambda: bool(pane.page))
        assert max(len(strip.text.rstrip()) for strip in pane.page) <= pane.scrollable_content_region.width


async def test_scrolling_together_and_alone() -> None:
    long = "\n".join(f"line {n}" for n in range(200))
    async with voting(FakeService([(long, long)] * 2)) as voter:
        left, right = (voter.view.query_one(side, TextPane) for side in ("#left", "#right"))
        await voter.press("j", "j", "down", "k")
        assert (left.scroll_y, right.scroll_y) == (2, 2)
        await voter.press("J", "J", "K", "J")
        assert (left.scroll_y, right.scroll_y) == (2, 4)
        await voter.press("pagedown", "pageup", "up")
        assert (left.scroll_y, right.scroll_y) == (1, 3)
        await voter.press("end")
        assert left.scroll_y == right.scroll_y == 200 - left.scrollable_content_region.height
        assert str(left.border_subtitle).endswith("of 200 ■")
        await voter.press("home")
        assert left.scroll_y == 0
        await voter.press("j", "l")
        assert left.scroll_y == 0, "a new pair starts at its top"


async def test_moving_between_the_screens() -> None:
    async with voting(FakeService()) as voter:
        for key, kind in (
            ("f2", OverviewScreen),
            ("f3", HistoryScreen),
            ("f1", HelpScreen),
            ("escape", VoteScreen),
            ("question_mark", HelpScreen),
            ("f4", VoteScreen),
            ("escape", VoteScreen),
            ("g", Reading),
            ("escape", VoteScreen),
        ):
            await voter.press(key)
            assert isinstance(voter.app.screen, kind), key
        assert sum(isinstance(screen, VoteScreen) for screen in voter.app.screen_stack) == 1


async def test_guidelines_and_a_long_prompt_can_be_read() -> None:
    async with voting(FakeService(context="word " * 2000), SMALL) as voter:
        await voter.press("g")
        await voter.until(lambda: "a tie teaches too" in voter.pane("#reading"))
        await voter.press("escape", "p")
        pane = voter.app.screen.query_one(TextPane)
        await voter.until(lambda: len(pane.page) > 100)
        await voter.press("j", "pagedown")
        assert pane.scroll_y > 5


async def test_the_header_tells_progress_and_time_but_no_belief() -> None:
    service = FakeService(left=(9, 16, 25))
    async with voting(service) as voter:
        assert "0 of 60 votes" in voter.text("#top")
        assert "about 16 more votes (9–25)" in voter.text("#top")
        await voter.press("l", "h", "l", after=20)
        top = voter.text("#top")
        assert "3 of 60 votes" in top
        assert "3.0 a minute" in top
        assert "about 16 more votes (9–25), 3–8 min" in top
        service.left = None
        await voter.press("l", after=20)
        assert "learning how long this takes" in voter.text("#top")


async def test_the_end_is_announced_once() -> None:
    service = FakeService(stop_at=2)
    async with voting(service) as voter:
        await voter.press("l", "l")
        await voter.until(lambda: isinstance(voter.app.screen, Enough))
        assert "96 %" in voter.text("#why")
        await voter.press("l")  # no vote while something covers the pair
        assert len(service.answers) == 2
        await voter.press("c", "l")
        assert len(service.answers) == 3
        assert isinstance(voter.app.screen, VoteScreen)
        assert "enough votes" in voter.text("#top")


async def test_the_end_leads_to_the_overview() -> None:
    async with voting(FakeService(stop_at=0)) as voter:
        await voter.until(lambda: isinstance(voter.app.screen, Enough))
        await voter.press("enter")
        await voter.until(lambda: isinstance(voter.app.screen, OverviewScreen))


async def test_nothing_left_to_ask() -> None:
    service = FakeService([SHORT[:2]])
    async with voting(service) as voter:
        await voter.press("l")
        assert "All done" in voter.text("#done")
        await voter.press("l")
        assert "nothing left" in voter.status
        await voter.press("r", "n", "d", "z")
        await voter.press("u")
        assert not voter.screen.query_one("#done").display
        assert voter.view.display
        await voter.press("h")
    assert [answer.choice for answer in service.answers] == ["left"]


async def test_quitting_asks_again_only_when_something_would_be_lost() -> None:
    async with voting(FakeService()) as voter:
        await voter.press("r", "1", "enter", "q")
        assert "q again quits" in voter.status
        assert voter.app.is_running
        await voter.pilot.press("q")
        await voter.until(lambda: not voter.app.is_running)
    assert voter.app.return_code == 0
    async with voting(FakeService()) as voter:
        await voter.press("l")
        await voter.pilot.press("q")
        await voter.until(lambda: not voter.app.is_running)
    assert voter.app.votes == 1


async def test_hostile_items_are_shown_harmlessly() -> None:
    left = "[bold red]not markup[/] \x1b[31mred\x1b]0;title\x07 <script>x</script> \u202eevil"
    async with voting(FakeService([(left, " \n ")] * 2, title="[b]t[/b]\x1b[2J")) as voter:
        shown = voter.pane("#left")
        assert "[bold red]not markup[/]" in shown
        assert "␛[31mred␛]0;title␇ <script>x</script>" in " ".join(shown.split())
        assert "⟨U+202E⟩evil" in shown
        assert voter.pane("#right") == "(empty)"
        assert "[b]t[/b]␛[2J" in voter.text("#top")


async def test_a_huge_item_does_not_freeze_the_screen() -> None:
    huge = "word " * 20_000
    async with voting(FakeService([(huge, huge + "end")] * 3)) as voter:
        await voter.press("j")
        await voter.press("l")
        assert len(voter.view.query_one("#left", TextPane).page) > 1000


async def test_the_next_pair_is_laid_out_while_this_one_is_read() -> None:
    service = FakeService([(ANSWER_A, ANSWER_B), (ANSWER_B, ANSWER_A)], context=PROMPT)
    async with voting(service) as voter:
        [coming] = await service.upcoming()
        renderer, view = voter.screen.renderer, voter.view
        await voter.until(lambda: renderer.ready(view.job(coming)) is not None)


@pytest.mark.parametrize("context", ["", PROMPT])
async def test_short_texts_are_both_seen_on_a_small_screen(context: str) -> None:
    async with voting(FakeService([SHORT[:2]] * 3, context=context), SMALL) as voter:
        left, right = (voter.view.query_one(side) for side in ("#left", "#right"))
        assert left.display
        assert right.display
        assert right.region.y >= left.region.bottom
        assert right.region.bottom <= voter.view.region.bottom
        assert voter.pane("#left").startswith(SHORT[0][:20])
        await voter.press("tab")
        assert left.display
        assert right.display
        await voter.pilot.resize_terminal(*WIDE)
        await voter.until(lambda: right.region.y == left.region.y)


async def test_long_texts_show_one_at_a_time_on_a_small_screen() -> None:
    async with voting(FakeService([(ANSWER_A, ANSWER_B)] * 3), SMALL) as voter:
        left, right = (voter.view.query_one(side) for side in ("#left", "#right"))
        assert (left.display, right.display) == (True, False)
        await voter.press("tab")
        assert (left.display, right.display) == (False, True)
