"""Pictures of the screens, compared with those on file (`--snapshot-update` renews them)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import TextArea

from elicit.service.voting import StudyService
from tests.tui.driving import SMALL, WIDE, Clock, Voter
from tests.tui.fake import ANSWER_A, ANSWER_B, BOARD, PROMPT, ROUTING, SHORT, FakeService
from tui.app import VoteApp
from tui.pane import TextPane
from tui.vote import VoteScreen

Compare = Callable[..., bool]


@pytest.mark.parametrize(
    ("size", "keys"),
    [
        pytest.param(WIDE, "", id="vote-120x40"),
        pytest.param(SMALL, "", id="vote-80x24"),
        pytest.param(WIDE, "r 1", id="reasons-120x40"),
        pytest.param(WIDE, "f2", id="overview-120x40"),
        pytest.param(SMALL, "f2", id="overview-80x24"),
        pytest.param(WIDE, "f3", id="history-120x40"),
        pytest.param(SMALL, "f3", id="history-80x24"),
        pytest.param(WIDE, "f5", id="router-120x40"),
        pytest.param(SMALL, "f5", id="router-80x24"),
        pytest.param(WIDE, "f1", id="help-120x40"),
        pytest.param(SMALL, "f1", id="help-80x24"),
    ],
)
def test_picture(size: tuple[int, int], keys: str, snap_compare: Compare) -> None:
    pairs = [SHORT[:2] if n % 3 == 1 else (ANSWER_A, ANSWER_B) for n in range(9)]
    service = FakeService(pairs, context=PROMPT, left=(9, 16, 25), routing=ROUTING)
    assert picture(service, size, ["2", "6", "5", *keys.split()], snap_compare)


@pytest.mark.parametrize(
    ("size", "keys"),
    [
        pytest.param(WIDE, "f6", id="board-120x40"),
        pytest.param(SMALL, "f6", id="board-80x24"),
        pytest.param(WIDE, "f6 j d t", id="changes-120x40"),
        pytest.param(SMALL, "f6 j d t", id="changes-80x24"),
        pytest.param(WIDE, "f6 e x escape", id="editor-120x40"),
        pytest.param(SMALL, "f6 e x escape", id="editor-80x24"),
        pytest.param(WIDE, "right_square_bracket", id="unacceptable-120x40"),
        pytest.param(SMALL, "b", id="unacceptable-80x24"),
        pytest.param(WIDE, "f1", id="help-tuned-120x40"),
    ],
)
def test_picture_of_tuning(size: tuple[int, int], keys: str, snap_compare: Compare) -> None:
    pairs = [("positive", "The review is mixed, but on the whole it is **positive**.")] * 9
    service = FakeService(pairs, context="A slow start, but the last hour is a joy.", board=BOARD, guarded=True)
    assert picture(service, size, keys.split(), snap_compare)


def picture(service: FakeService, size: tuple[int, int], keys: list[str], snap_compare: Compare) -> bool:
    """Whether the screen looks as on file after these keys."""
    clock = Clock()

    async def start() -> StudyService:
        return service

    app = VoteApp(start, now=clock)

    async def before(pilot: Pilot[Any]) -> None:
        voter = Voter(app, pilot, clock)
        await voter.until(lambda: any(isinstance(screen, VoteScreen) for screen in app.screen_stack))
        await voter.settled()
        for key in keys:
            await voter.press(key, after=7 if key.isdigit() else 1)
            if key[0] == "f" and key != "f":
                await voter.until(lambda: bool(app.screen.query(TextPane).first().page))
        for area in app.screen.query(TextArea):
            area.cursor_blink = False
        await asyncio.sleep(0.05)
        await pilot.pause()

    return snap_compare(app, terminal_size=size, run_before=before)
