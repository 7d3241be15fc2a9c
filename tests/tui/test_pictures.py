"""Pictures of the screens, compared with those on file (`--snapshot-update` renews them)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from elicit.service import StudyService
from tests.tui.driving import SMALL, WIDE, Clock, Voter
from tests.tui.fake import ANSWER_A, ANSWER_B, PROMPT, ROUTING, SHORT, FakeService
from tui.app import VoteApp
from tui.pane import Pane
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
    clock = Clock()

    async def start() -> StudyService:
        return FakeService(pairs, context=PROMPT, left=(9, 16, 25), routing=ROUTING)

    app = VoteApp(start, now=clock)

    async def before(pilot: Pilot[Any]) -> None:
        voter = Voter(app, pilot, clock)
        await voter.until(lambda: any(isinstance(screen, VoteScreen) for screen in app.screen_stack))
        await voter.settled()
        await voter.press(*"265", after=7)
        await voter.press(*keys.split())
        if keys[:1] == "f":
            await voter.until(lambda: bool(app.screen.query(Pane).first().page))
        await asyncio.sleep(0.05)
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=before)
