"""An editor for a prompt, over whatever is on the screen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from elicit.safe_text import harmless
from tui.header import QUIET, keys_line, status_line

Save = Callable[[str], Awaitable[str]]
"""Does something with the text, and says what is wrong with it; nothing where nothing is."""


class Editor(ModalScreen[None]):
    """Write a prompt. It closes once `save` is content; what was typed is never lost without a second word."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", show=False),
        Binding("ctrl+s", "save", show=False),
    ]

    def __init__(self, title: str, about: str, text: str, save: Save) -> None:
        super().__init__()
        self._title, self._about, self._text, self._save = title, about, harmless(text), save
        self._warned = self._saving = False

    def compose(self) -> ComposeResult:
        """What it is about, the text, what is wrong with it, keys."""
        with Vertical(classes="dialog tall editor"):
            yield Static(Text(self._about, style=QUIET))
            yield TextArea(self._text, soft_wrap=True)
            yield Static(id="wrong")
            yield Static(keys_line((("Ctrl+S", "let it join"), ("Esc", "cancel")), (), 60), classes="hint")

    def on_mount(self) -> None:
        """Start writing, at the end."""
        self.query_one(".dialog").border_title = Text(self._title)
        area = self.query_one(TextArea)
        area.move_cursor(area.document.end)
        area.focus()

    async def action_save(self) -> None:
        """Let it join, or say why it cannot."""
        if self._saving:
            return
        self._saving = True
        wrong = await self._save(self.query_one(TextArea).text)
        self._saving = False
        if wrong:
            self._say(wrong)
        else:
            self.dismiss()

    def action_cancel(self) -> None:
        """Close; what was typed is worth a second question."""
        if self.query_one(TextArea).text == self._text or self._warned:
            self.dismiss()
            return
        self._warned = True
        self._say("What you wrote is lost if you leave. Esc again leaves.")

    def on_text_area_changed(self) -> None:
        """It is being mended."""
        self._warned = False

    def _say(self, wrong: str) -> None:
        self.query_one("#wrong", Static).update(status_line(wrong, warn=True))
