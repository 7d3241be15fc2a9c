"""Starting, failing to start, and what the app does without."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from elicit.service.voting import StudyService
from elicit.types import BadInputError
from tests.tui.driving import WIDE, says, voting
from tests.tui.fake import FakeService
from tui.app import Starting, VoteApp
from tui.vote import VoteScreen


def test_the_app_loads_no_engine() -> None:
    code = (
        "import sys, tui.app, tui.plain.voting; "
        "print(sorted({'torch', 'botorch', 'gpytorch', 'scipy', 'studies.study'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


async def test_something_shows_while_the_engine_starts() -> None:
    gate = asyncio.Event()
    service = FakeService()

    async def start() -> StudyService:
        await gate.wait()
        return service

    app = VoteApp(start)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, Starting)
        assert "Starting the engine" in says(app.screen.query_one("Static"))
        await pilot.press("f2", "l", "u", "escape")
        assert isinstance(app.screen, Starting)
        gate.set()
        for _ in range(200):
            await pilot.pause(0.01)
            if isinstance(app.screen, VoteScreen):
                break
        assert isinstance(app.screen, VoteScreen)
    assert not service.answers


@pytest.mark.parametrize("error", [BadInputError("no study here; make one"), ConnectionError("")])
async def test_a_start_that_fails_ends_with_a_sentence(error: Exception) -> None:
    async def start() -> StudyService:
        raise error

    app = VoteApp(start)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause(0.05)
    assert app.return_code == 2
    assert app.failure == (str(error) or "the engine did not start")


async def test_it_works_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    service = FakeService()
    async with voting(service) as voter:
        await voter.press("l")
        assert voter.app.no_color
    assert len(service.answers) == 1


async def test_interrupt_leaves_from_anywhere() -> None:
    async with voting(FakeService()) as voter:
        await voter.press("n", "x")
        await voter.pilot.press("ctrl+c")
        await voter.until(lambda: not voter.app.is_running)
    assert voter.app.return_code == 3
