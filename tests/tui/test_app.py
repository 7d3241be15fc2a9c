"""Starting, failing to start, and what the app does without."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

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


SCRIPT = """
import sys
from tests.tui.fake import FakeService
from tui.app import run

async def start():
    return FakeService()

sys.exit(run(start))
"""
ASKED, ANSWER, ECHOED = b"\x1b[c", b"\x1b[?1;2c", b"^[[?1;2c"
"""What a terminal is asked for its abilities, its answer, and how that looks where it is echoed."""


def test_what_a_slow_terminal_answers_late_is_not_on_the_screen_afterwards() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(Path(__file__).parents[2])
        os.execve(sys.executable, [sys.executable, "-c", SCRIPT], {**os.environ, "TERM": "xterm-256color"})
    seen, answered, left = b"", False, False
    with suppress(OSError):  # the other end is closed once the program is over
        while part := os.read(terminal, 65536):
            seen += part
            if ASKED in seen and not answered:
                answered = True
                for _ in range(30):  # it is waited for a tenth of a second, and then the app begins
                    time.sleep(0.02)
                    os.write(terminal, ANSWER)
            if b"LEFT" in seen.upper() and not left:
                left = True
                time.sleep(0.5)
                os.write(terminal, b"q")
    assert os.waitpid(pid, 0)[1] == 0
    os.close(terminal)
    assert answered
    assert b"Everything is saved" in seen
    assert ECHOED not in seen
