"""The same screen on a study server that goes away and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.client.remote import RemoteService
from elicit.service.voting import Progress, StudyService, Turn
from tests.adapters.study_server import StudyServer
from tests.tui.driving import WIDE, Clock, Voter, says, voting
from tests.tui.fake import FakeService
from tests.tui.test_plain import say
from tui.app import Starting, VoteApp
from tui.vote import VoteScreen


@pytest.fixture
def server(tmp_path: Path) -> Iterator[StudyServer]:
    """A server with one voter."""
    made = StudyServer(tmp_path, votes=30)
    made.sit(tmp_path)
    yield made
    made.kill()


async def test_a_session_through_an_outage(server: StudyServer) -> None:
    clock = Clock()

    async def start() -> StudyService:
        return await RemoteService.start(server.url, server.token, server.state)

    app = VoteApp(start, opening=f"Connecting to {server.root}", now=clock)
    async with app.run_test(size=WIDE) as pilot:
        assert isinstance(app.screen, Starting)
        assert "Connecting to http://127.0.0.1" in says(app.screen.query_one("Static"))
        voter = Voter(app, pilot, clock)
        await voter.until(lambda: isinstance(app.screen, VoteScreen), seconds=60)
        await voter.until(lambda: voter.screen.ready and voter.screen.ballot is not None, seconds=60)
        clock.now += 1
        await voter.press("n", *"ok", "enter", "6", after=3)
        await voter.until(lambda: len(server.votes()) == 1)
        assert server.votes()[0]["note"] == "ok"
        await voter.press("f2")
        await voter.until(lambda: "only who runs this study" in voter.text("#state"))
        await voter.press("f5")
        await voter.until(lambda: "only who runs this study" in voter.text("#state"))
        await voter.press("escape")
        server.kill()
        given = 1
        while voter.screen.ballot is not None:
            await voter.press("h", after=3)
            given += 1
        assert given == 5, "the open one and three ahead"
        assert "4 votes wait here and will be sent" in voter.status
        assert "Nothing to vote on now" in voter.text("#done")
        assert "does not answer" in voter.text("#done")
        await voter.press("u")
        assert voter.screen.ballot is not None
        assert voter.screen.ballot.number == 5
        await voter.press("=", after=3)
        server.start()
        await voter.until(lambda: voter.screen.ballot is not None, seconds=60)
        assert [vote["choice"] for vote in server.votes()] == ["right", "left", "left", "left", "tie"]
        await voter.settled()
        clock.now += 1
        await voter.press("f3")
        await voter.until(lambda: "Vote 5" in str(app.screen.query_one("#past").border_title))


class Pausing(FakeService):
    """Has nothing for the first two times it is asked."""

    asked = 0

    async def turn(self) -> Turn:
        self.asked += 1
        if self.asked > 2:
            return await super().turn()
        return Turn(None, Progress(3, 3, 60, None, False, "the study is paused"), "be patient", 0.05)


async def test_a_screen_with_nothing_to_show_looks_again_by_itself() -> None:
    service = Pausing()
    async with voting(service) as voter:
        await voter.until(lambda: voter.screen.ballot is not None and voter.screen.ready)
        assert service.asked == 3
        voter.clock.now += 1
        await voter.press("l")
        assert len(service.answers) == 1


def test_lines_with_nothing_to_show_look_again_when_asked() -> None:
    said = say(Pausing(), "", "", "left")
    assert said.count("Nothing to vote on now. The study is paused.") == 2
    assert "Be patient." in said
    assert "Saved vote 1: LEFT" in said
