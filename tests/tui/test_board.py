"""The tuning board: what it tells, what can be done there, and how changes are shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.widgets import OptionList, TextArea

from elicit.safe_text import harmless
from elicit.service.voting import Board, BoardRow, Progress
from elicit.types import BadInputError
from tests.tui.driving import SMALL, WIDE, Voter, voting
from tests.tui.fake import BOARD, FakeService, prompt
from tui import board as screen
from tui.board import BoardScreen
from tui.difference import changes, plain_text
from tui.editor import Editor
from tui.pane import TextPane
from tui.pool import budget_line, in_full, prompt_with_changes, table
from tui.vote import VoteScreen
from tui.words import coming_in_words, marks, standing_of


@asynccontextmanager
async def on_board(service: FakeService, size: tuple[int, int] = WIDE) -> AsyncIterator[Voter]:
    """The app with the board on the screen."""
    async with voting(service, size) as voter:
        await voter.press("f6")
        await voter.until(lambda: bool(voter.pane("#one").strip()))
        yield voter


def rows(voter: Voter) -> list[str]:
    return [str(option.prompt) for option in voter.app.screen.query_one("#rows", OptionList).options]


def picked(voter: Voter) -> str:
    board = voter.app.screen
    assert isinstance(board, BoardScreen)
    assert board.picked_row is not None
    at = board.query_one(OptionList).highlighted
    assert at is not None
    assert board.picked_row.item in rows(voter)[at], "the cursor is where the screen says"
    return board.picked_row.item


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_it_shows_the_pool_what_is_recommended_and_what_is_left(size: tuple[int, int]) -> None:
    async with on_board(FakeService(board=BOARD), size) as voter:
        assert "Recommended: p5, the best with 62 %" in voter.text("#state")
        assert "68 % of unseen inputs (55 % to 79 %)" in " ".join(voter.text("#state").split())
        state = voter.app.screen.query_one("#state")
        whole = state.get_content_height(voter.app.size, voter.app.size, state.content_size.width)
        assert state.content_size.height == whole, "no line of it is cut off"
        for words in ("23 of 60", "312 of 2000", "0.41 of 5"):
            assert words in voter.text("#budgets")
        assert voter.text("#coming").startswith("Making responses, 3 of 6. New prompts join in 7 votes. 2 responses")
        shown = rows(voter)
        assert [line.split()[1 + (line[0] == "★")] for line in shown] == [row.item for row in BOARD.rows]
        assert [line[0] for line in shown] == ["★", *" " * 6]
        for line, words in zip(
            shown, ("62 %", "slots", "new", "new, pinned", "seed", "retired", "retired"), strict=True
        ):
            assert words in line
        assert "75 %" in shown[0] if size == WIDE else "75 %" in voter.pane("#one")
        assert picked(voter) == "p5"
        said = voter.pane("#one")
        for words in ("By rewrite, from p3, after 10 votes.", "exact_match 75 %", "split on mixed", "Review: {input}"):
            assert words in said


@pytest.mark.parametrize(("ended", "said"), [("", "✔ You can stop here."), ("the budget is spent", "Nothing more to")])
async def test_it_says_that_votes_are_enough_only_where_the_stop_rule_does(ended: str, said: str) -> None:
    over = Progress(23, 23, 23, (0, 0, 0), True, ended or "the winner is known", ended)
    async with on_board(FakeService(board=msgspec.structs.replace(BOARD, progress=over))) as voter:
        assert voter.text("#state").startswith(said)
        assert ("You can stop" in voter.text("#state")) == (not ended)


async def test_a_study_that_tunes_nothing_has_no_board() -> None:
    async with voting(FakeService()) as voter:
        await voter.press("f6")
        assert isinstance(voter.app.screen, VoteScreen)
        assert "F6" not in voter.text("#keys")
        for place in ("f1", "f2", "f3", "f5"):
            await voter.press(place)
            assert "F6" not in voter.text("#keys")
        await voter.press("f1")
        assert "F6" not in voter.pane("#help")


@pytest.mark.parametrize("size", [SMALL, WIDE])
@pytest.mark.parametrize("place", ["f1", "f2", "f3", "f4", "f5"])
async def test_every_screen_names_the_way_to_the_board(place: str, size: tuple[int, int]) -> None:
    async with voting(FakeService(board=BOARD), size) as voter:
        await voter.press(place)
        keys = voter.text("#keys")
        for words in ("F6 prompts", "q quit", *(() if place == "f4" else ("Esc back",))):
            assert words in keys
        assert cell_len(keys) <= size[0]
        await voter.press("f6")
        assert isinstance(voter.app.screen, BoardScreen)


async def test_moving_among_prompts_and_back() -> None:
    async with on_board(FakeService(board=BOARD), SMALL) as voter:
        assert picked(voter) == "p5"
        for key, item in (("j", "p3"), ("down", "p6"), ("k", "p3"), ("end", "p2"), ("j", "p2"), ("home", "p5")):
            await voter.press(key)
            assert picked(voter) == item
        await voter.press("end")
        assert "By hand." in voter.pane("#one")
        await voter.press("home", "space")
        pane = voter.app.screen.query_one(TextPane)
        assert pane.scroll_y > 0
        await voter.press("j")
        assert pane.scroll_y == 0, "another prompt starts at its top"
        await voter.press("z")
        assert not voter.app.screen.query_one("#pool").display
        await voter.press("k", "z", "v")
        assert isinstance(voter.app.screen, VoteScreen)
        await voter.press("f6", "f2", "f6", "escape")
        assert isinstance(voter.app.screen, VoteScreen)


async def test_what_changed_from_parent_seed_and_best() -> None:
    async with on_board(FakeService(board=BOARD)) as voter:
        pane = voter.app.screen.query_one(TextPane)

        def title() -> str:
            return str(pane.border_title)

        await voter.press("d")
        assert title() == "p5: what changed from p3, its parent"
        styled = [(text, style) for strip in pane.page for text, style, _ in strip if style]
        assert "You are a film critic." in [text for text, style in styled if style.bold and style.underline]
        await voter.press("t")
        assert title() == "p5: what changed from p1, the seed"
        styled = [(text, style) for strip in pane.page for text, style, _ in strip if style]
        assert not any(style.strike and style.underline for _, style in styled)
        await voter.press("t")
        assert title() == "p5: what changed from p3, its parent"
        await voter.press("j")
        assert title() == "p3: what changed from p1, the seed", "where there is no parent, the seed"
        assert [text for strip in pane.page for text, style, _ in strip if style and style.bold and style.underline]
        await voter.press("t")
        assert title() == "p3: what changed from p5, the best"
        assert any(style.strike for strip in pane.page for _, style, _ in strip if style)
        await voter.press("enter")
        assert title() == "p3"
        await voter.press("t")
        assert title() == "p3: what changed from p1, the seed"


async def test_editing_keeps_what_was_typed_until_it_joins() -> None:
    service = FakeService(board=BOARD)
    async with on_board(service) as voter:
        await voter.press("e")
        editor = voter.app.screen
        assert isinstance(editor, Editor)
        area = editor.query_one(TextArea)
        assert area.text == BOARD.rows[0].text
        await voter.press("escape")
        assert isinstance(voter.app.screen, BoardScreen), "nothing was typed, so nothing is asked"
        await voter.press("e")
        area = voter.app.screen.query_one(TextArea)
        area.text = "No place."
        await voter.press("ctrl+s")
        assert "it lacks '{input}'" in voter.text("#wrong")
        assert area.text == "No place."
        await voter.press("escape")
        assert "Esc again" in voter.text("#wrong")
        await voter.press("q")
        assert area.text == "qNo place.", "letters write here"
        area.text = "Positive or negative? {input}"
        await voter.press("ctrl+s")
        await voter.until(lambda: isinstance(voter.app.screen, BoardScreen))
        assert picked(voter) == "p8", "the cursor is on what joined"
        assert "By maya, from p5, after 23 votes." in voter.pane("#one")
        assert "p8 joined" in voter.text("#status")
        await voter.press("n")
        voter.app.screen.query_one(TextArea).text = "All new: {input}"
        service.fail = ConnectionError("the engine has stopped")
        await voter.press("ctrl+s")
        assert "The engine has stopped." in voter.text("#wrong")
        await voter.press("ctrl+s")
        await voter.until(lambda: isinstance(voter.app.screen, BoardScreen))
        assert "By maya, after 23 votes." in voter.pane("#one")
        await voter.press("e", "x", "escape", "escape")
        assert len(told_by(service).rows) == 9


def told_by(service: FakeService) -> Board:
    assert service.shown is not None
    return service.shown


async def test_selected_text_is_copied_and_ends_nothing() -> None:
    async with on_board(FakeService(board=BOARD)) as voter:
        await voter.press("e")
        voter.app.screen.query_one(TextArea).select_all()
        await voter.press("ctrl+c")
        assert voter.app.clipboard == BOARD.rows[0].text
        assert isinstance(voter.app.screen, Editor)


async def test_pin_and_retire_are_taken_back_by_the_same_key() -> None:
    service = FakeService(board=BOARD)

    def mark(item: str) -> str:
        return next(row.mark for row in told_by(service).rows if row.item == item)

    async with on_board(service) as voter:
        await voter.press("p")
        await voter.until(lambda: mark("p5") == "pinned")
        await voter.press("x")
        await voter.until(lambda: mark("p5") == "retired")
        await voter.until(lambda: "x brings it back" in voter.text("#status"))
        assert picked(voter) == "p5", "the cursor stays on the prompt wherever that goes"
        await voter.press("x")
        await voter.until(lambda: mark("p5") == "pinned")
        assert "takes part again" in voter.text("#status")
        await voter.press("p")
        await voter.until(lambda: mark("p5") == "")
        assert "is not pinned" in voter.text("#status")
        service.fail = BadInputError("two prompts are needed to compare")
        await voter.press("x")
        await voter.until(lambda: "Two prompts are needed to compare." in voter.text("#status"))
        assert mark("p5") == ""


async def test_children_are_seen_joining_and_the_cursor_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "EVERY", 0.05)
    service = FakeService(board=BOARD)
    async with on_board(service, SMALL) as voter:
        await voter.press("j", "space", "g")
        await voter.until(lambda: service.grown == 1)
        await voter.until(lambda: "being made" in voter.text("#status"))
        place = voter.app.screen.query_one(TextPane).scroll_y
        child = prompt(7, "A child of p5. {input}", 2.5, 0.7, 0, maker="rewrite", parents=(4,), born=23)
        service.shown = msgspec.structs.replace(BOARD, rows=(child, *BOARD.rows), best=7, doing="")
        await voter.until(lambda: "p8" in rows(voter)[0])
        assert "p8 joined." in voter.text("#status")
        assert "new" in rows(voter)[0]
        assert "new" not in rows(voter)[3]
        assert picked(voter) == "p3"
        assert voter.app.screen.query_one(TextPane).scroll_y == place

        async def broken() -> Board:
            raise ConnectionError("the engine has stopped")

        service.board = broken  # type: ignore[method-assign]
        await voter.until(lambda: "No numbers now: The engine has stopped." in voter.text("#state"))
        assert picked(voter) == "p3"


async def test_it_does_not_ask_while_another_screen_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "EVERY", 0.02)
    service, asked = FakeService(board=BOARD), list[int]()
    plain = service.board

    async def counting() -> Board:
        asked.append(1)
        return await plain()

    service.board = counting  # type: ignore[method-assign]
    async with on_board(service) as voter:
        await voter.until(lambda: len(asked) > 3)
        await voter.press("escape")
        before = len(asked)
        await asyncio.sleep(0.2)
        assert len(asked) <= before + 1


async def test_copying_takes_the_text_as_it_is() -> None:
    async with on_board(FakeService(board=BOARD)) as voter:
        await voter.press("c")
        assert voter.app.clipboard == BOARD.rows[0].text
        assert "p5" in voter.text("#status")


async def test_hostile_prompts_are_shown_harmlessly() -> None:
    hostile = prompt(0, "[bold]x[/] \x1b[31mred {input}", 0.0, 1.0, 3, maker="\x1b[2J[b]", why="\u202eevil")
    async with on_board(FakeService(board=msgspec.structs.replace(BOARD, rows=(hostile,), best=0))) as voter:
        said = voter.pane("#one")
        assert "[bold]x[/] ␛[31mred {input}" in said
        assert "⟨U+202E⟩evil" in said
        assert "␛[2J[b]" in rows(voter)[0]
        await voter.press("d")
        assert "nothing to compare it with" in str(voter.app.screen.query_one(TextPane).border_title)


def test_the_words_for_where_a_study_stands() -> None:
    def board(**changed: object) -> Board:
        return msgspec.structs.replace(BOARD, **changed)

    assert "none is acceptable" in standing_of(board(best=None))
    assert "the seed" in standing_of(board(best=0, win_rate=None))
    assert "not known yet" in standing_of(board(win_rate=None))
    assert "no vote speaks for it yet" in standing_of(board(guessed=True))
    assert "nothing to compare" in standing_of(board(best=None, rows=BOARD.rows[:1]))
    assert (
        coming_in_words(board(doing="", shortfalls="1 response failed", next_prompts=1))
        == "New prompts join in 1 vote. 1 response failed."
    )
    assert (
        coming_in_words(board(doing="", shortfalls="", next_prompts=None))
        == "No new prompts join by themselves any more."
    )
    assert coming_in_words(board(doing="", shortfalls="", next_prompts=0)) == "New prompts join now."
    alone = board(rows=(prompt(0, "x", 0.0, 1.0, 0),))
    assert marks(alone.rows[0], alone) == "seed", "where all are of one age, none is new"
    assert "no limit" in budget_line(board(money=None), 120).plain


COUNTS = st.integers(0, 10**5)
NUMBERS = st.floats(-50, 50)
SHARES = st.floats(0, 1)


@st.composite
def boards(draw: st.DrawFn) -> Board:
    n = draw(st.integers(1, 5))
    made = []
    for row in range(n):
        low, middle, high = sorted(draw(st.tuples(NUMBERS, NUMBERS, NUMBERS)))
        made.append(
            BoardRow(
                row=row,
                item=draw(st.text()),
                text=draw(st.text()),
                maker=draw(st.text()),
                parents=tuple(draw(st.lists(st.integers(0, n - 1), max_size=2))),
                why=draw(st.text()),
                mark=draw(st.sampled_from(("", "pinned", "retired"))),
                utility=middle,
                low=low,
                high=high,
                p_best=draw(SHARES),
                votes=draw(COUNTS),
                signals=draw(st.dictionaries(st.text(), SHARES, max_size=3)),
                born=draw(COUNTS),
                acceptable=draw(st.none() | SHARES),
            )
        )
    best = draw(st.none() | st.integers(0, n - 1))
    return msgspec.structs.replace(BOARD, rows=tuple(made), best=best, cost=draw(st.floats(0, 1e6)))


@given(boards(), st.integers(40, 200))
def test_every_line_fits_is_one_line_and_harmless(board: Board, width: int) -> None:
    head, lines = table(board, width)
    for line in [head.plain, *(line.plain for line in lines)]:
        assert cell_len(line) <= width
        assert harmless(line) == line
        assert "\n" not in line
    for row in board.rows:
        for other in board.rows:
            for line in [*in_full(row, board, width), *prompt_with_changes(row, other, width)]:
                text = plain_text([line])
                assert cell_len(text) <= width
                assert harmless(text) == text


WORDS = st.lists(st.sampled_from(["cat", "dog,", ".", "\n", "the", "{input}"]))
TEXTS = st.text(st.sampled_from("ab .\n-é猫")) | WORDS.map(" ".join)


@given(TEXTS, TEXTS)
def test_changes_hold_both_texts(before: str, after: str) -> None:
    pieces = changes(before, after)
    assert "".join(piece.text for piece in pieces if piece.kind != "removed") == after
    words = "".join(piece.text for piece in pieces if piece.kind != "added").split()
    assert "".join(words) == "".join(before.split())


@given(TEXTS)
def test_nothing_changed_means_all_is_shared(text: str) -> None:
    assert {piece.kind for piece in changes(text, text)} <= {"shared"}
