"""Voting where prompts are tuned: unacceptable sides, responses that are being made, lines, and a real study."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.widgets import TextArea

from elicit.service.voting import Board, Progress, StudyService, Turn
from elicit.tuning.protocol import Input
from elicit.types import BadInputError
from studies.local.client import LocalService
from studies.study import Study
from tests.tui.driving import SMALL, WIDE, Clock, Voter, voting
from tests.tui.fake import BOARD, SHORT, FakeService
from tests.tui.test_plain import say
from tui.app import VoteApp
from tui.board import BoardScreen
from tui.keys import help_of
from tui.vote import VoteScreen


def tuned(**more: object) -> FakeService:
    return FakeService(board=BOARD, guarded=True, **more)  # type: ignore[arg-type]


async def test_unacceptable_sides_go_with_the_next_vote_only() -> None:
    service = tuned()
    async with voting(service) as voter:

        def titles() -> list[bool]:
            return [
                "unacceptable" in str(voter.screen.query_one(f"#{side}").border_title) for side in ("left", "right")
            ]

        await voter.press("right_square_bracket")
        assert titles() == [False, True]
        assert "RIGHT unacceptable" in voter.status
        await voter.press("left_square_bracket", "right_square_bracket")
        assert titles() == [True, False]
        await voter.press("right_square_bracket", "0")
        assert "both bad (LEFT and RIGHT unacceptable)" in voter.status
        assert titles() == [False, False]
        await voter.press("l", "u", "u")
        assert titles() == [True, True], "an undo brings back what was said"
        await voter.press("h", "r", "1", "enter", "left_square_bracket", "q")
        assert "q again quits" in voter.status
    assert [answer.unacceptable for answer in service.answers] == [("left", "right")]
    assert [answer.unacceptable for answer in service.undone] == [(), ("left", "right")]


async def test_one_key_steps_through_the_sides() -> None:
    service = tuned()
    async with voting(service, SMALL) as voter:
        for said in ("LEFT unacceptable", "RIGHT unacceptable", "LEFT and RIGHT unacceptable", ""):
            await voter.press("b")
            assert voter.status.endswith(said)
        await voter.press("b", "tab", "h", "f3")
        await voter.until(lambda: "LEFT; LEFT unacceptable" in voter.pane("#past"))
    assert service.answers[0].unacceptable == ("left",)


async def test_an_undo_in_a_later_session_brings_the_sides_back() -> None:
    service = tuned()
    async with voting(service) as voter:
        await voter.press("right_square_bracket", "h")
    async with voting(service) as voter:
        await voter.press("u", "h")
    assert service.answers[0].unacceptable == ("right",)


async def test_a_study_without_a_limit_does_not_ask() -> None:
    service = FakeService()
    async with voting(service) as voter:
        await voter.press("b", "left_square_bracket")
        assert "does not ask" in voter.status
        await voter.press("l")
    assert service.answers[0].unacceptable == ()


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_keys_are_told_where_they_apply(size: tuple[int, int]) -> None:
    async with voting(tuned(context="An input."), size) as voter:
        assert "[ ] unacceptable" in voter.text("#keys")
        assert "F6 prompts" in voter.text("#keys")
        assert "teach those who write prompts" in voter.status
        assert voter.screen.query_one("#prompt").border_title == "Input"
        await voter.press("l")
        assert "teach" not in voter.status
        await voter.press("f1")
        page = voter.pane("#help")
        for _, keys in help_of(tuned=True, guarded=True):
            for key, words in keys:
                assert key in page
                assert words in page


async def test_responses_that_are_being_made_are_waited_for_calmly() -> None:
    service = tuned(making=[f"making responses, {n} of 6" for n in range(4)])
    async with voting(service) as voter:
        await voter.until(lambda: "Making responses, 3 of 6" in voter.text("#done"))
        for words in ("All done", "Nothing to vote on"):
            assert words not in voter.text("#done")
        assert "▲" not in voter.status
        await voter.until(lambda: voter.screen.ballot is not None and voter.screen.ready)
        assert not voter.screen.query_one("#done").display
        assert "Read both texts" in voter.status
        voter.clock.now += 1
        service.making = ["making responses, 1 of 2"] * 3
        await voter.press("l")
        assert "Making responses, 1 of 2" in voter.text("#done")
        assert "Saved vote 1" in voter.status
        await voter.until(lambda: voter.screen.ballot is not None and voter.screen.ready)
        voter.clock.now += 1
        await voter.press("h")
    assert [answer.choice for answer in service.answers] == ["right", "left"]


class Busy(FakeService):
    """Makes responses for ever, unless a vote is taken back."""

    async def undo(self) -> Turn | None:
        self.making = []
        return await super().undo()


async def test_a_vote_can_be_taken_back_while_responses_are_made() -> None:
    service = Busy(board=BOARD)
    async with voting(service) as voter:
        service.making = ["making responses, 1 of 2"] * 10_000
        await voter.press("l")
        await voter.pilot.press("u")
        await voter.until(lambda: voter.screen.ballot is not None and voter.screen.ballot.number == 1)
        assert "Took back vote 1" in voter.status


async def test_a_prompt_that_joins_elsewhere_may_bring_a_pair() -> None:
    service = tuned(pairs=[SHORT[:2]])
    async with voting(service) as voter:
        await voter.press("l")
        assert "All done" in voter.text("#done")
        await voter.press("f6")
        service.pairs.append(SHORT[1:3])
        await voter.press("escape")
        await voter.until(lambda: voter.screen.ballot is not None and voter.screen.ready)


class Down(FakeService):
    """The model does not answer at first, and then something is wrong."""

    asked = 0

    async def turn(self) -> Turn:
        self.asked += 1
        if self.asked == 2:
            raise BadInputError("the pool is empty")
        if self.asked > 4:
            return await super().turn()
        why = "127.0.0.1:1 does not answer; test it with: curl http://127.0.0.1:1 " + "-H header " * 20 + "END"
        return Turn(None, Progress(0, 0, 60, None, False, "responses are needed"), why, 0.05)


async def test_a_model_that_is_down_is_a_warning_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.vote._TRY_AGAIN", 0.05)
    async with voting(Down(board=BOARD), SMALL) as voter:
        assert "Nothing to vote on now" in voter.text("#done")
        await voter.until(lambda: "▲ The pool is empty." in voter.status)
        await voter.until(lambda: "test it with: curl" in voter.status)
        status = voter.screen.query_one("#status")
        assert "END" in voter.status
        await voter.until(lambda: status.size.height > 3 or voter.screen.ballot is not None)
        await voter.until(lambda: voter.screen.ballot is not None and voter.screen.ready)
        assert "▲" not in voter.status, "the warning is over"


def test_lines_show_the_board_and_a_prompt() -> None:
    said = say(tuned(), "board", "prompt 1", "prompt 5", "prompt 6", "prompt 9", "help", "q")
    for words in (
        "Recommended: p5, the best with 62 %; preferred to the seed on 68 % of unseen inputs",
        "votes 23 of 60; calls 312 of 2000; money 0.41 of 5. Making responses, 3 of 6.",
        "1. p5: recommended, by rewrite, utility +1.83, between +0.77 and +2.89, best with 62 %, exact_match 75 %",
        "4. p7: new, pinned, by maya",
        "6. p4: retired, by slots, utility -1.40",
        "p5: By rewrite, from p3, after 10 votes. Voters preferred",
        "Changed from p3, added: You are a film critic.; If it is both, say which outweighs.; exactly.",
        "p1: Of the first prompts, after 0 votes.",
        "It has few words in common with p1.",
        "give the number of a prompt, 1 to 7",
        "pin N, retire N",
        "unacceptable left",
    ):
        assert words in said
    fresh = say(FakeService(), "board", "grow", "unacceptable left", "help", "q")
    assert fresh.count("There is no") == 3
    assert "pin N" not in fresh
    assert "unacceptable left:" not in fresh


def test_lines_pin_retire_add_and_grow() -> None:
    service = tuned()
    said = say(service, "pin 2", "retire 1", "retire 1", "pin 2", "grow", "pin 9", "pin", "retire 3", "q")
    for words in ("p3 is pinned", "p5 is retired", "p5 is not retired any more", "p3 is not pinned any more"):
        assert words in said
    assert said.count("give the number of a prompt") == 2
    assert service.grown == 1
    assert service.shown is not None
    assert [row.item for row in service.shown.rows if row.mark == "retired"] == ["p6", "p4", "p2"]
    service = tuned()
    said = say(
        service, "add", "Line one", "{input}", ".", "add 2", "lacking", ".", "add", ".", "add 1", "x {input}", "."
    )
    assert "p8 joined." in said
    assert "it lacks '{input}'; change that. What you typed was:\nlacking" in said
    assert "Nothing joined." in said
    assert "p9 joined." in said
    assert service.shown is not None
    made = {row.item: (row.text, row.parents) for row in service.shown.rows}
    assert made["p8"] == ("Line one\n{input}", ())
    assert made["p9"] == ("x {input}", (4,))
    assert len(made) == 9
    assert "Nothing joined." in say(tuned(), "add", "cut off")


def test_lines_say_what_is_unacceptable_and_wait() -> None:
    service = tuned(context="An input.", making=["making responses, 1 of 2", "making responses, 2 of 2"])
    said = say(service, "unacceptable right", "unacceptable", "unacceptable left", "unacceptable left", "l", "s", "q")
    assert said.count("Making responses …") == 1
    assert "Input:\nAn input." in said
    assert "Saved vote 1: RIGHT, RIGHT unacceptable." in said
    assert [answer.unacceptable for answer in service.answers] == [("right",), ()]


FUNCTION = '''
def answer(prompt):
    """Longer answers to longer prompts."""
    return f"{prompt.split()[-1]}: " + "very " * (len(prompt) % 7) + "good"
'''


async def test_a_real_study(tmp_path: Path) -> None:
    (tmp_path / "target.py").write_text(FUNCTION)
    tuning = {
        "task": "Say something good.",
        "target": {"function": f"{tmp_path / 'target.py'}:answer"},
        "proposers": ["slots"],
        "start": 6,
        "grow": 2,
        "every": 3,
        "rules": {"keep": ["{input}"]},
        "safety": {"limit": 0.3},
    }
    inputs = [Input(f"i{n}", {"input": word}) for n, word in enumerate(["cat", "dog", "cow", "hen", "pig", "rat"])]
    items = ["Praise {input}", "In one word, praise {input}", "You are kind. Praise this: {input}"]
    Study.create(tmp_path / "study", items=items, inputs=inputs, tuning=tuning, votes=30).close()

    async def start() -> StudyService:
        return await LocalService.start(tmp_path / "study", "maya")

    clock = Clock()
    app = VoteApp(start, now=clock)
    async with app.run_test(size=WIDE) as pilot:
        voter = Voter(app, pilot, clock)
        await voter.until(lambda: isinstance(app.screen, VoteScreen), seconds=60)

        async def vote(*keys: str) -> None:
            await voter.until(lambda: voter.screen.ballot is not None and voter.screen.ready, seconds=60)
            await voter.press(*keys, after=3)

        await vote("right_square_bracket", "h")
        await vote("l")
        await vote("u")
        assert "Took back vote 2" in voter.status
        await vote("u")
        assert "RIGHT unacceptable" in voter.status
        for key in "l=62":
            await vote(key)
        await voter.press("f6")
        board = app.screen
        assert isinstance(board, BoardScreen)
        await voter.until(lambda: board.picked_row is not None, seconds=60)

        async def now() -> Board:
            return await voter.screen._service.board()  # type: ignore[attr-defined, no-any-return]

        assert (await now()).progress.votes == 4
        await voter.press("end", "e")
        app.screen.query_one(TextArea).text = "No place for it"
        await pilot.press("ctrl+s")
        await voter.until(lambda: "it lacks '{input}'" in voter.text("#wrong"))
        app.screen.query_one(TextArea).text = "Kindly praise {input}"
        await pilot.press("ctrl+s")
        await voter.until(lambda: app.screen is board)
        made = board.picked_row
        assert made is not None
        assert (made.text, made.maker) == ("Kindly praise {input}", "maya")
        for key, mark in (("p", "pinned"), ("x", "retired"), ("x", "pinned"), ("p", "")):
            await pilot.press(key)
            await voter.until(lambda mark=mark: board.picked_row is not None and board.picked_row.mark == mark)  # type: ignore[misc]
            assert board.picked_row is not None
            assert board.picked_row.row == made.row
        rows = len((await now()).rows)
        await pilot.press("g")
        await voter.until(lambda: board._board is not None and len(board._board.rows) > rows, seconds=60)
        await voter.press("escape")
        await vote("l")
    await asyncio.sleep(0)
    with Study.open(tmp_path / "study", writable=False) as study:
        assert len(study.state.votes) == 5
        assert [len(live.unacceptable) for live in study.state.votes] == [1, 0, 0, 0, 0]
        assert study.state.items[made.row].text == "Kindly praise {input}"
