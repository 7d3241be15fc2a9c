"""What opens over the ballot: something to read, reasons, a note, and the word that it is enough."""

from __future__ import annotations

from typing import ClassVar, Literal

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from elicit.safe_text import harmless, one_line
from tui.header import QUIET, STRONG, keys_line
from tui.keys import sentence
from tui.pane import CHROME, TextPane
from tui.render import Renderer

# What the frame takes of the screen's width: margin; border, padding and the pane's own.
_MARGIN, _FRAME = 8, CHROME + 2


class Reading(ModalScreen[None]):
    """A text to read: the guidelines, or a prompt too long for its panel."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,g,p,q", "dismiss", "Close", show=False),
        Binding("j,down", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
    ]

    def __init__(self, title: str, text: str, renderer: Renderer) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._renderer = renderer

    def compose(self) -> ComposeResult:
        """The text and how to leave it."""
        with Vertical(classes="dialog tall"):
            yield TextPane(id="reading")
            yield Static(keys_line((("j k", "scroll"), ("Esc", "close")), (), 40), classes="hint")

    async def on_mount(self) -> None:
        """Lay the text out."""
        self.query_one(".dialog").border_title = Text(self._title)
        await self._fill()

    async def on_resize(self) -> None:
        """Lay it out for the new width."""
        await self._fill()

    async def _fill(self) -> None:
        width = max(10, min(self.app.size.width - _MARGIN, 110) - _FRAME)
        page = await self._renderer.text(self._text, width)
        pane = self.query_one(TextPane)
        pane.styles.height = max(1, min(len(page), self.app.size.height - 7))
        pane.show(page)

    def action_move(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one(TextPane).move(lines)

    def action_page(self, pages: int) -> None:
        """Scroll by pages."""
        self.query_one(TextPane).move_page(pages)


class Reasons(ModalScreen[tuple[str, ...] | None]):
    """Pick the reasons that go with the vote to come. Gives None when left without a change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", show=False),
        Binding("enter,r", "done", show=False),
        Binding("space,x", "tick", show=False),
        Binding("j,down", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        *(Binding(str(n), f"number({n})", show=False) for n in range(1, 10)),
    ]

    def __init__(self, reasons: tuple[str, ...], chosen: tuple[str, ...]) -> None:
        super().__init__()
        self._reasons = reasons
        self._chosen = set(chosen)
        self._at = 0

    def compose(self) -> ComposeResult:
        """A list of boxes to tick."""
        with Vertical(classes="dialog"):
            yield Static(Text("These go with the vote you give next on this pair.", style=QUIET))
            yield Static(id="boxes")
            keys = (("1–9 Space", "tick"), ("Enter", "keep"), ("Esc", "cancel"))
            yield Static(keys_line(keys, (), 60), classes="hint")

    def on_mount(self) -> None:
        """Draw the boxes."""
        self.query_one(".dialog").border_title = "Reasons"
        self._draw()

    def action_done(self) -> None:
        """Keep what is ticked, in the study's order."""
        self.dismiss(tuple(reason for reason in self._reasons if reason in self._chosen))

    def action_tick(self) -> None:
        """Tick or untick where the cursor is."""
        self._chosen ^= {self._reasons[self._at]}
        self._draw()

    def action_number(self, number: int) -> None:
        """Tick or untick by number."""
        if number <= len(self._reasons):
            self._at = number - 1
            self.action_tick()

    def action_move(self, step: int) -> None:
        """Move the cursor, round the ends."""
        self._at = (self._at + step) % len(self._reasons)
        self._draw()

    def _draw(self) -> None:
        # Only so many fit; the window follows the cursor.
        rows = max(3, self.app.size.height - 12)
        first = max(0, min(self._at - rows // 2, len(self._reasons) - rows))
        text = Text()
        for place, reason in enumerate(self._reasons[first : first + rows], first):
            cursor = "❯" if place == self._at else " "
            number = str(place + 1) if place < 9 else " "
            box = "[x]" if reason in self._chosen else "[ ]"
            style = STRONG if place == self._at or reason in self._chosen else ""
            text.append(f"{cursor} {number} ", style=QUIET).append(f"{box} {one_line(reason)}\n", style=style)
        text.rstrip()
        self.query_one("#boxes", Static).update(text)


class NoteDialog(ModalScreen[str | None]):
    """Write a note. Gives None when left without a change."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]

    def __init__(self, text: str, about: str) -> None:
        super().__init__()
        self._text = text
        self._about = about

    def compose(self) -> ComposeResult:
        """One line to write in."""
        with Vertical(classes="dialog"):
            yield Static(Text(self._about, style=QUIET))
            yield Input(harmless(self._text), placeholder="What should be known about this pair?")
            yield Static(keys_line((("Enter", "keep"), ("Esc", "cancel")), (), 60), classes="hint")

    def on_mount(self) -> None:
        """Start writing."""
        self.query_one(".dialog").border_title = "Note"
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep it."""
        self.dismiss(harmless(event.value).strip())


class Enough(ModalScreen[Literal["go on", "overview", "quit"]]):
    """Says once that the study has what it needs, why, and asks what now."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c,escape,f4", "dismiss('go on')", show=False),
        Binding("enter,o,f2", "dismiss('overview')", show=False),
        Binding("q", "dismiss('quit')", show=False),
    ]

    def __init__(self, why: str) -> None:
        super().__init__()
        self._why = why

    def compose(self) -> ComposeResult:
        """Why, and the choice."""
        with Vertical(classes="dialog"):
            yield Static(Text("✔ You can stop here.", style=STRONG))
            yield Static(Text(sentence(self._why) or "The study has reached its goal."), id="why")
            yield Static(Text("More votes are welcome, but are not needed.", style=QUIET))
            keys = (("Enter", "see the overview"), ("c", "continue voting"), ("q", "quit"))
            yield Static(keys_line(keys, (), 60), classes="hint")

    def on_mount(self) -> None:
        """Name it."""
        self.query_one(".dialog").border_title = "Enough votes"
