"""The history: past votes, and why each pair was asked."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from elicit.safe_text import one_line
from elicit.service.voting import PastVote, StudyService
from elicit.types import BadInputError
from tui.ballot import NARROW
from tui.dialogs import NoteDialog
from tui.difference import Line
from tui.header import LEFT, QUIET, RIGHT, STRONG, keys_line
from tui.keys import unacceptable_in_words, vote_in_words, with_board
from tui.pane import CHROME, TextPane, lines_of
from tui.render import lay_out
from tui.words import moment

_LIST_CELLS = 44


class HistoryScreen(Screen[None]):
    """Past votes, newest first; the selected one in full."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "pick(1)", show=False),
        Binding("k", "pick(-1)", show=False),
        Binding("J,pagedown,space", "move(1)", show=False, priority=True),
        Binding("K,pageup", "move(-1)", show=False, priority=True),
        Binding("n", "note", show=False),
    ]

    def __init__(self, service: StudyService, tuned: bool) -> None:
        super().__init__()
        self._service, self._tuned = service, tuned
        self._votes: tuple[PastVote, ...] = ()

    def compose(self) -> ComposeResult:
        """The list, the vote in full, keys."""
        with Container(id="history"):
            yield OptionList(id="votes", markup=False)
            yield TextPane(id="past", classes="page")
        yield Static(id="keys")

    async def on_mount(self) -> None:
        """Ask for the votes."""
        self.query_one("#votes").border_title = "Your votes, newest first"
        self.query_one("#votes").focus()
        self.run_worker(self._load())

    async def _load(self, select: int = 0) -> None:
        pane = self.query_one(TextPane)
        try:
            self._votes = await self._service.history()
        except (BadInputError, ConnectionError) as error:
            pane.show(lines_of([[Segment(f"▲ No history now: {one_line(str(error))}", Style(bold=True))]]))
            return
        votes = self.query_one(OptionList)
        votes.clear_options()
        votes.add_options([Option(_entry(vote)) for vote in self._votes])
        if self._votes:
            votes.highlighted = select
            await self._fill()
        else:
            pane.show(lines_of([[Segment("No votes yet. Esc goes back to voting.", Style.parse(QUIET))]]))

    async def on_resize(self) -> None:
        """Side by side, or one above the other."""
        width = self.app.size.width
        self.set_class(width < NARROW, "narrow")
        here = (("Esc", "back to voting"), ("j k", "pick"), ("J K", "scroll"), ("n", "note"))
        places = with_board((("F1", "help"), ("F2", "overview"), ("q", "quit")), self._tuned, width >= NARROW)
        self.query_one("#keys", Static).update(keys_line(here, places, width - 2))
        await self._fill()

    async def on_option_list_option_highlighted(self) -> None:
        """Another vote was picked."""
        await self._fill()

    def action_pick(self, step: int) -> None:
        """Pick the next or the previous vote."""
        votes = self.query_one(OptionList)
        if step > 0:
            votes.action_cursor_down()
        else:
            votes.action_cursor_up()

    def action_move(self, pages: int) -> None:
        """Scroll the vote in full."""
        self.query_one(TextPane).move_page(pages)

    def action_note(self) -> None:
        """Write a note on the picked vote."""
        place = self.query_one(OptionList).highlighted
        if place is None:
            return
        vote = self._votes[place]

        def keep(text: str | None) -> None:
            if text is not None:
                self.run_worker(self._keep(place, vote, text))

        self.app.push_screen(
            NoteDialog(vote.note, f"A note on vote {vote.number}: {vote_in_words(vote.choice, vote.strength)}"), keep
        )

    async def _keep(self, place: int, vote: PastVote, text: str) -> None:
        try:
            await self._service.note(vote.query, text)
        except (BadInputError, ConnectionError) as error:
            self.query_one(TextPane).border_subtitle = Text(f"▲ Note not saved: {one_line(str(error))}").plain
            return
        await self._load(place)

    async def _fill(self) -> None:
        place = self.query_one(OptionList).highlighted
        if place is None or place >= len(self._votes):
            return
        vote = self._votes[place]
        width = self.app.size.width
        text = width - CHROME - (0 if width < NARROW else _LIST_CELLS)
        pane = self.query_one(TextPane)
        above = "Input" if self._tuned else "Prompt"
        lines = await asyncio.to_thread(in_full, vote, max(10, text), above)
        if self.query_one(OptionList).highlighted == place:
            pane.border_title = f"Vote {vote.number}"
            pane.show(lines_of(lines))


def _entry(vote: PastVote) -> Text:
    line = Text.assemble((f"{vote.number:>4}  ", QUIET))
    line.append(f"{vote_in_words(vote.choice, vote.strength):<22}", style="strike" if vote.undone else "")
    line.append("" if vote.seconds is None else f"{vote.seconds:>6.1f} s", style=QUIET)
    line.append(" ✎" if vote.note or vote.reasons else "")
    return line.append(" undone" if vote.undone else "", style=QUIET)


def in_full(vote: PastVote, width: int, above: str) -> list[Line]:
    """A past vote as lines: what was said, why it was asked, what stood above (named so) and both texts."""
    quiet, strong = Style.parse(QUIET), Style.parse(STRONG)
    choice = "; ".join(
        part for part in (vote_in_words(vote.choice, vote.strength), unacceptable_in_words(vote.unacceptable)) if part
    )
    choice += " (taken back)" if vote.undone else ""
    rows: list[Line] = [[Segment("You said   ", quiet), Segment(choice, strong)]]
    facts = [moment(vote.time)]
    if vote.seconds is not None:
        facts.append(f"{vote.seconds:.1f} s")
    rows.append([Segment("When       ", quiet), Segment(", ".join(fact for fact in facts if fact))])
    if vote.reasons:
        rows.append([Segment("Reasons    ", quiet), Segment(", ".join(one_line(r) for r in vote.reasons))])
    for title, text in (("Note", vote.note), ("Why asked", vote.why)):
        for place, line in enumerate(lay_out(text, max(10, width - 11)) if text.strip() else []):
            rows.append([Segment(f"{title if place == 0 else '':<11}", quiet), *line])
    if vote.context.strip():
        rows += [[], [Segment(above, quiet)], *lay_out(vote.context, width)]
    for side, text, colour in (("left", vote.left, LEFT), ("right", vote.right, RIGHT)):
        chosen = " ✔ chosen" if vote.choice == side else ""
        title = f"─ {side.upper()}{chosen} "
        rows += [[], [Segment(title + "─" * max(0, width - len(title)), Style.parse(colour))], *lay_out(text, width)]
    return rows
