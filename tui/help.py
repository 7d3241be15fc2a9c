"""The help screen: every key, and how a session works."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Static

from tui.ballot import NARROW
from tui.header import LEFT, QUIET, STRONG, keys_line
from tui.keys import Sections, help_of, with_board
from tui.pane import CHROME, TextPane, lines_of
from tui.render import wrap

_KEY_CELLS = 11
_WORDS = (
    "Two texts, blind: nothing tells where they come from, and sides are drawn by lot.",
    "Every vote is on disk before the next pair shows. Pauses do not count as time.",
    "A vote in the first quarter second of a pair is taken for a slip and not counted.",
)


class HelpScreen(Screen[None]):
    """Every key on one page, in two columns where they fit."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("f1,question_mark,enter", "app.go('vote')", show=False),
    ]

    def __init__(self, tuned: bool = False, guarded: bool = False) -> None:
        super().__init__()
        self._tuned = tuned
        self._sections = help_of(tuned, guarded)

    def compose(self) -> ComposeResult:
        """The page and how to leave it."""
        yield TextPane(id="help", classes="page")
        yield Static(id="keys")

    def on_mount(self) -> None:
        """Name the page."""
        self.query_one(TextPane).border_title = "Keys"

    def on_resize(self) -> None:
        """Lay the keys out for the width."""
        width = self.app.size.width
        self.query_one(TextPane).show(lines_of(_rows(self._sections, width - CHROME)))
        places = with_board(
            (("F2", "overview"), ("F3", "history"), ("F5", "router"), ("q", "quit")), self._tuned, width >= NARROW
        )
        here = (("Esc", "back to voting"), ("j k", "scroll"))
        self.query_one("#keys", Static).update(keys_line(here, places, width - 2))

    def action_move(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one(TextPane).move(lines)

    def action_page(self, pages: int) -> None:
        """Scroll by pages."""
        self.query_one(TextPane).move_page(pages)


def _rows(keys: Sections, width: int) -> list[list[Segment]]:
    """The help as lines: two columns of sections, or one where two do not fit."""
    sections = [_section(title, lines) for title, lines in keys]
    words = [[Segment(sentence, Style.parse(QUIET))] for sentence in _WORDS]
    if width < 90:
        rows = [row for section in sections for row in [*section, []]]
        lines = [line for sentence in _WORDS for line in wrap(sentence, width)]
        return rows + [[Segment(segment.text, Style.parse(QUIET)) for segment in line] for line in lines]
    half = width // 2
    vote, more, read, places, *others = sections
    first = [row for section in (vote, more, *others) for row in [*section, []]][:-1]
    second = [*read, [], *places]
    rows = []
    for place in range(max(len(first), len(second))):
        left = first[place] if place < len(first) else []
        right = second[place] if place < len(second) else []
        used = sum(cell_len(segment.text) for segment in left)
        rows.append([*left, Segment(" " * max(1, half - used)), *right])
    return [[], *rows, [], *words]


def _section(title: str, keys: tuple[tuple[str, str], ...]) -> list[list[Segment]]:
    rows = [[Segment(title, Style.parse(f"bold {LEFT}"))]]
    for key, words in keys:
        rows.append([Segment(set_cell_size(key, _KEY_CELLS), Style.parse(STRONG)), Segment(words)])
    return rows
