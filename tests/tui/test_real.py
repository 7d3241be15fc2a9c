"""The screens on a real study, with the engine in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from elicit.service.voting import StudyService
from studies.local.client import LocalService
from tests.tui.driving import WIDE, Clock, Voter
from tui.app import VoteApp
from tui.vote import VoteScreen

TEXTS = [
    f"Answer {n}: {word} first, **then** the rest." for n, word in enumerate(("read", "write", "test", "plan", "ask"))
]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A fresh study of five texts."""
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    folder = tmp_path / "study"
    command = [sys.executable, "-m", "elicit.cli", "init", str(folder), "--items", str(items), "--votes", "20"]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def app_on(study: Path) -> VoteApp:
    clock = Clock()

    async def start() -> StudyService:
        return await LocalService.start(study, "maya")

    app = VoteApp(start, now=clock)
    app.clock = clock  # type: ignore[attr-defined]
    return app


async def test_a_session_and_the_next_one(study: Path) -> None:
    app = app_on(study)
    async with app.run_test(size=WIDE) as pilot:
        voter = Voter(app, pilot, app.clock)  # type: ignore[attr-defined]
        await voter.until(lambda: isinstance(app.screen, VoteScreen), seconds=60)
        await voter.settled()
        await voter.press("n", *"ok", "enter", "6", "h", "=", "u", after=3)
        assert "Took back vote 3: tie" in voter.status
        opened = voter.screen.ballot
        assert opened is not None
        await voter.press("f3")
        await voter.until(lambda: "(taken back)" in voter.pane("#past"))
        await voter.press("f2")
        await voter.until(lambda: "Answer" in voter.pane("#leaders"), seconds=30)
        assert "2 of 20 votes" in voter.text("#state")
        await voter.press("f5")
        await voter.until(lambda: "no router" in voter.text("#state"), seconds=30)

    app = app_on(study)
    async with app.run_test(size=WIDE) as pilot:
        voter = Voter(app, pilot, app.clock)  # type: ignore[attr-defined]
        await voter.until(lambda: isinstance(app.screen, VoteScreen), seconds=60)
        await voter.settled()
        ballot = voter.screen.ballot
        assert ballot is not None
        assert (ballot.query, ballot.left, ballot.right) == (opened.query, opened.left, opened.right)
        await voter.press("u")
        assert "vote 2: LEFT" in voter.status
        await voter.press("u")
        assert "vote 1: RIGHT, clearly better" in voter.status
        assert voter.screen.note == "ok"


async def test_an_engine_that_dies_loses_nothing(study: Path) -> None:
    app = app_on(study)
    async with app.run_test(size=WIDE) as pilot:
        voter = Voter(app, pilot, app.clock)  # type: ignore[attr-defined]
        await voter.until(lambda: isinstance(app.screen, VoteScreen), seconds=60)
        await voter.settled()
        await voter.press("l")
        voter.screen._service._engine._process.kill()  # type: ignore[attr-defined]
        await voter.screen._service._engine._process.wait()  # type: ignore[attr-defined]
        await voter.press("h")
        assert "the engine has stopped" in voter.status
        assert voter.screen.ballot is not None
        assert voter.screen.ballot.number == 2
    service = await LocalService.start(study, "maya")
    assert [vote.choice for vote in await service.history()] == ["right"]
    await service.close()


async def test_no_study_is_one_sentence(tmp_path: Path) -> None:
    app = app_on(tmp_path / "nowhere")
    async with app.run_test(size=WIDE) as pilot:
        voter = Voter(app, pilot, Clock())
        await voter.until(lambda: bool(app.failure), seconds=60)
    assert app.return_code == 2
    assert "nowhere" in app.failure
