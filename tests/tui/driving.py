"""Drives the app as a person would, with a clock that only moves when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual.pilot import Pilot
from textual.widget import Widget

from elicit.service.voting import StudyService
from tests.tui.fake import FakeService
from tui.app import VoteApp
from tui.ballot import BallotView
from tui.pane import TextPane
from tui.render import plain_text
from tui.vote import VoteScreen

WIDE = (120, 40)
SMALL = (80, 24)


class Clock:
    """Seconds that pass on demand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Voter:
    """A person at the screen."""

    def __init__(self, app: VoteApp, pilot: Pilot[None], clock: Clock) -> None:
        self.app = app
        self.pilot = pilot
        self.clock = clock

    @property
    def screen(self) -> VoteScreen:
        """The voting screen, whatever is above it."""
        return next(screen for screen in self.app.screen_stack if isinstance(screen, VoteScreen))

    @property
    def view(self) -> BallotView:
        return self.screen.query_one(BallotView)

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait for something to be true."""
        for _ in range(round(100 * seconds)):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("this never became true")

    async def settled(self) -> None:
        await self.until(lambda: self.screen.ready)
        await self.pilot.pause()  # what is to happen after the next refresh has happened

    async def press(self, *keys: str, after: float = 1.0) -> None:
        """Press keys, each that many seconds after the last one."""
        for key in keys:
            self.clock.now += after
            await self.pilot.press(key)
            await self.settled()

    def text(self, selector: str) -> str:
        """What a line of the top screen says."""
        return says(self.app.screen.query_one(selector))

    @property
    def status(self) -> str:
        return says(self.screen.query_one("#status"))

    def pane(self, selector: str) -> str:
        """What a pane of the top screen holds."""
        return shown(self.app.screen.query_one(selector, TextPane))


def says(widget: Widget) -> str:
    """The text of a Static."""
    return str(widget.render())


def shown(pane: TextPane) -> str:
    """The text of a pane, painted or scrolled out of view."""
    return plain_text([list(strip) for strip in pane.page])


@asynccontextmanager
async def voting(service: FakeService, size: tuple[int, int] = WIDE) -> AsyncIterator[Voter]:
    """The app with its first pair on the screen, seen for a second."""
    clock = Clock()

    async def start() -> StudyService:
        return service

    app = VoteApp(start, now=clock)
    async with app.run_test(size=size) as pilot:
        voter = Voter(app, pilot, clock)
        await voter.until(lambda: any(isinstance(screen, VoteScreen) for screen in app.screen_stack))
        await voter.settled()
        clock.now += 1.0
        yield voter
