"""The terminal app: starts the engine elsewhere, then moves between voting, overview, history, router and help."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar, Literal, cast

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Center, Middle
from textual.screen import Screen
from textual.theme import Theme
from textual.widget import Widget
from textual.widgets import Static

from elicit.safe_text import one_line
from elicit.service.voting import StudyCard, StudyService, TuningService
from elicit.types import BadInputError
from tui.header import LEFT, QUIET, RIGHT, STRONG
from tui.help import HelpScreen
from tui.history import HistoryScreen
from tui.keys import OPENING, farewell
from tui.overview import OverviewScreen
from tui.pace import VotingPace
from tui.picture import terminal_graphics
from tui.router import RouterScreen
from tui.vote import VoteScreen

Start = Callable[[], Awaitable[StudyService]]
Place = Literal["vote", "overview", "history", "router", "board", "help"]

_THEME = Theme(
    name="elicit",
    primary="#7fb2f5",
    secondary="#e8b562",
    accent="#7fb2f5",
    foreground="#d5dbe3",
    background="#14181e",
    surface="#14181e",
    panel="#1b2129",
    variables={
        "side-left": LEFT,
        "side-right": RIGHT,
        "quiet": QUIET,
        "line": "#3a4451",
        "scrollbar": "#3a4451",
        "scrollbar-background": "#14181e",
        "scrollbar-hover": "#566374",
        "scrollbar-active": "#566374",
        "border": "#3a4451",
    },
)


class Starting(Screen[None]):
    """What shows until the engine answers; opening: what is being done."""

    def __init__(self, opening: str) -> None:
        super().__init__()
        self._opening = opening

    def compose(self) -> ComposeResult:
        """One quiet sentence."""
        with Middle(), Center():
            text = Text(f"{self._opening} …\n", style=STRONG, justify="center")
            yield Static(text.append("The first pair comes in a few seconds.", style=f"not bold {QUIET}"))


class VoteApp(App[None]):
    """A thin client of a `StudyService`, which `start` brings up while the app already shows.

    `now` is a clock in seconds; `graphics` the widget for pictures where the terminal draws them. After it ran,
    `return_code` is 2 and `failure` a sentence if the service could not start; else `votes` tells how many votes were
    given.
    """

    CSS_PATH = "app.tcss"
    TITLE = "elicit"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,question_mark", "go('help')", show=False),
        Binding("f2", "go('overview')", show=False),
        Binding("f3", "go('history')", show=False),
        Binding("f4,escape", "go('vote')", show=False),
        Binding("f5", "go('router')", show=False),
        Binding("f6", "go('board')", show=False),
        Binding("q", "quit", show=False),
        Binding("ctrl+c", "leave", show=False, priority=True),
    ]

    def __init__(
        self,
        start: Start,
        *,
        opening: str = OPENING,
        now: Callable[[], float] = time.monotonic,
        graphics: type[Widget] | None = None,
    ) -> None:
        super().__init__()
        self._start, self._opening, self._graphics = start, opening, graphics
        self._service: StudyService | None = None
        self._card: StudyCard
        self._warned = False
        self.pace = VotingPace(now)
        self.failure = ""
        self.register_theme(_THEME)
        self.theme = "elicit"

    @property
    def votes(self) -> int:
        """Votes given since the app started, those taken back aside."""
        return self.pace.count

    async def on_mount(self) -> None:
        """Show something at once, and start the engine."""
        await self.push_screen(Starting(self._opening))
        self.run_worker(self._begin())

    async def _begin(self) -> None:
        try:
            self._service = service = await self._start()
            self._card, turn = await service.card(), await service.turn()
            past = await service.history()
        except (BadInputError, ConnectionError) as error:
            self.failure = one_line(str(error), empty="the engine did not start")
            self.exit(return_code=2)
            return
        self.pace.remember(vote.seconds for vote in past if vote.seconds is not None and not vote.undone)
        await self.switch_screen(VoteScreen(service, self._card, turn, self.pace, self._graphics))
        # What is loaded by now stays: looking through it for garbage again and again would only cost pauses.
        gc.collect()
        gc.freeze()

    async def on_event(self, event: events.Event) -> None:
        """Every key and turn of the wheel is a sign of life, wherever it goes."""
        if isinstance(event, events.Key | events.MouseScrollDown | events.MouseScrollUp):
            self.pace.touch()
        await super().on_event(event)

    async def action_go(self, place: Place) -> None:
        """Move to a screen; voting stays underneath the others."""
        if self._service is None or isinstance(self.screen, Starting):
            return
        if place == "board" and not self._card.tuned:
            return
        if isinstance(self.screen, VoteScreen):
            if place != "vote":
                await self.push_screen(self._screen(place, self._service))
        elif place == "vote":
            await self.pop_screen()
        else:
            await self.switch_screen(self._screen(place, self._service))

    def _screen(self, place: Place, service: StudyService) -> Screen[None]:
        if place == "overview":
            return OverviewScreen(service, self._card.tuned)
        if place == "router":
            return RouterScreen(service, self._card.tuned)
        if place == "board":
            from tui.board import BoardScreen  # only few studies have a board

            return BoardScreen(cast(TuningService, service))
        if place == "history":
            return HistoryScreen(service, self._card.tuned)
        return HelpScreen(self._card.tuned, self._card.guarded)

    async def action_quit(self) -> None:
        """Leave. Only what was written for a vote not given yet is worth a second question."""
        screen = self.screen
        if isinstance(screen, VoteScreen) and screen.unsaved and not self._warned:
            self._warned = True
            screen.say("is lost if you quit before you vote. q again quits.", warn=True)
            return
        self.exit()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        """Where text is selected in an editor, the key that interrupts is the one that copies."""
        return action != "leave" or not getattr(self.focused, "selected_text", None)

    def action_leave(self) -> None:
        """Leave at once, from anywhere."""
        self.exit(return_code=3)

    async def on_unmount(self) -> None:
        """Let go of the engine."""
        if self._service is not None:
            with suppress(BadInputError, ConnectionError):
                await self._service.close()


@contextmanager
def _silent_terminal() -> Iterator[None]:
    """What a slow terminal answers, late, to what it was asked is neither echoed nor left for the shell."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    import termios

    before, silent = termios.tcgetattr(sys.stdin), termios.tcgetattr(sys.stdin)
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSANOW, silent)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, before)


def run(start: Start, opening: str = OPENING) -> int:
    """Let a person vote; gives the exit code: 0 done, 3 interrupted, 2 not started (with a sentence on stderr)."""
    with _silent_terminal():
        app = VoteApp(start, opening=opening, graphics=terminal_graphics())
        app.run()
    if app.failure:
        print(f"elicit: {app.failure}", file=sys.stderr)
        return app.return_code or 2
    print(farewell(app.votes))
    return app.return_code or 0
