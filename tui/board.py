"""The prompts of a study that tunes them: how they stand, what was changed in each, and what a person may do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from elicit.log.events import Mark
from elicit.safe_text import harmless, one_line
from elicit.service.voting import Board, BoardRow, TuningService
from elicit.tuning.protocol import PLACE
from elicit.types import BadInputError
from tui.editor import Editor
from tui.header import QUIET, STRONG, keys_line, status_line
from tui.keys import sentence
from tui.pane import CHROME, TextPane, lines_of
from tui.pool import budget_line, in_full, prompt_with_changes, table
from tui.words import coming_in_words, in_number, standing_of, why_ended

EVERY = 1.0
"""Seconds between two looks at the board."""
# Rows of the screen that are neither table nor text.
_AROUND = 7


class BoardScreen(Screen[None]):
    """The pool, best first, and the prompt under the cursor. New prompts show as they join."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "pick(1)", show=False),
        Binding("k,up", "pick(-1)", show=False),
        Binding("home", "pick(-1000000)", show=False),
        Binding("end", "pick(1000000)", show=False),
        Binding("J,pagedown,space", "move(1)", show=False),
        Binding("K,pageup", "move(-1)", show=False),
        Binding("enter,d", "changes", show=False),
        Binding("t", "against", show=False),
        Binding("z", "zoom", show=False),
        Binding("e", "edit", show=False),
        Binding("n", "write", show=False),
        Binding("p", "mark('pinned')", show=False),
        Binding("x", "mark('retired')", show=False),
        Binding("g", "grow", show=False),
        Binding("c", "copy", show=False),
        Binding("v", "app.go('vote')", show=False),
    ]

    def __init__(self, service: TuningService) -> None:
        super().__init__()
        self._service = service
        self._board: Board | None = None
        self._row = 0
        self._changes = False
        self._against = 0
        self._before: dict[int, Mark] = {}
        self._line = asyncio.Lock()

    @property
    def picked_row(self) -> BoardRow | None:
        """The prompt under the cursor."""
        return None if self._board is None else next(row for row in self._board.rows if row.row == self._row)

    def compose(self) -> ComposeResult:
        """Who is recommended, budgets, what is coming; the table; a prompt; what was said last; keys."""
        yield Static(Text("Counting …", style=QUIET), id="state")
        yield Static(id="budgets")
        yield Static(id="coming")
        with Vertical(id="pool"):
            yield Static(id="head")
            rows = OptionList(id="rows", markup=False)
            rows.can_focus = False  # the screen's keys move its cursor
            yield rows
        yield TextPane(id="one", classes="page")
        yield Static(id="status")
        yield Static(id="keys")

    async def on_mount(self) -> None:
        """Ask for the board, and go on asking."""
        self.query_one("#pool").border_title = "Prompts, best first"
        self.run_worker(self._look())
        self.set_interval(EVERY, lambda: self.run_worker(self._look()))

    def on_resize(self) -> None:
        """Fit the new size."""
        self._draw()

    async def _look(self) -> None:
        """See how things stand, unless something else is being asked just now."""
        if not self._line.locked() and self.is_current and (wrong := await self._ask(self._service.board)):
            self.query_one("#state", Static).update(status_line(f"No numbers now: {wrong}", warn=True))

    async def _ask(self, call: Callable[[], Awaitable[Board]]) -> str:
        """Show the board that a call gives; gives what is wrong in a sentence, or nothing."""
        async with self._line:
            try:
                board = await call()
            except (BadInputError, ConnectionError) as error:
                return sentence(str(error)) or "The engine does not answer."
        if board == self._board:
            return ""
        if self._board is None:
            self._row = board.rows[0].row if board.best is None else board.best
        else:
            earlier_rows = {row.row for row in self._board.rows}
            if new_items := [one_line(row.item) for row in board.rows if row.row not in earlier_rows]:
                self.say(f"{', '.join(new_items[:6])}{' and more' * (len(new_items) > 6)} joined.")
        self._board = board
        self._draw()
        return ""

    # Moving and reading

    def action_pick(self, step: int) -> None:
        """Move the cursor by rows."""
        if self._board is not None:
            rows = [row.row for row in self._board.rows]
            self._pick(rows[max(0, min(len(rows) - 1, rows.index(self._row) + step))])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A row was clicked."""
        if event.option_id is not None:
            self._pick(int(event.option_id))

    def _pick(self, row: int) -> None:
        if row != self._row:
            self._row, self._against = row, 0
            self._draw(top=True)

    def action_move(self, pages: int) -> None:
        """Scroll the prompt by pages."""
        self.query_one(TextPane).move_page(pages)

    def action_zoom(self) -> None:
        """The prompt alone, or the table with it."""
        self.toggle_class("zoomed")
        self._draw()

    def action_changes(self) -> None:
        """Show what was changed in the prompt, or its text."""
        self._changes = not self._changes
        self._draw(top=True)

    def action_against(self) -> None:
        """Show what was changed from the next of: its parents, the seed, the best."""
        self._against = self._against + 1 if self._changes else 0
        self._changes = True
        self._draw(top=True)

    def _others(self, board: Board, picked: BoardRow) -> list[tuple[str, BoardRow]]:
        """What a prompt may be compared with, each with its role."""
        rows = {row.row: row for row in board.rows}
        roles_by_row: dict[int, str] = {}
        roles = [("its parent", row) for row in picked.parents]
        for name, row in (*roles, ("the seed", board.seed), ("the best", board.best)):
            if row in rows and row != picked.row:
                roles_by_row.setdefault(row, name)
        return [(name, rows[row]) for row, name in roles_by_row.items()]

    # Doing

    def action_edit(self) -> None:
        """Edit the prompt: what comes of it joins."""
        if (row := self.picked_row) is not None:
            name = one_line(row.item)
            self._open(f"Edit {name}", f"It joins as a new prompt, and {name} stays.", row.text, row.row)

    def action_write(self) -> None:
        """Write a prompt from nothing."""
        if self._board is not None:
            self._open("A new prompt", "It joins the others.", "", None)

    def _open(self, title: str, about: str, text: str, parent: int | None) -> None:
        assert self._board is not None
        seed = next(row for row in self._board.rows if row.row == self._board.seed)
        if places := " and ".join(dict.fromkeys(place.group() for place in PLACE.finditer(seed.text))):
            about += f" Each input takes the place of {places}."

        async def save(written: str) -> str:
            earlier_rows = {row.row for row in self._board.rows} if self._board else set()
            wrong = await self._ask(lambda: self._service.add(written, parent))
            if not wrong and self._board is not None:
                self._pick(max({row.row for row in self._board.rows} - earlier_rows, default=self._row))
            return wrong

        self.app.push_screen(Editor(title, about, text, save))

    def action_mark(self, mark: Mark) -> None:
        """Pin or retire the prompt, or take that back: then it is what it was before."""
        if (row := self.picked_row) is not None:
            back = self._before.get(row.row, "") if mark == "retired" else ""
            self.run_worker(self._mark(row, back if row.mark == mark else mark))

    async def _mark(self, row: BoardRow, to: Mark) -> None:
        if wrong := await self._ask(lambda: self._service.mark(row.row, to)):
            self.say(wrong, warn=True)
            return
        self._before[row.row] = row.mark
        effect = {
            "pinned": "is pinned: it stays whatever the votes say",
            "retired": "is retired: it is asked about no more; x brings it back",
            "": "is not pinned any more",
        }[to]
        if row.mark == "retired":
            effect = f"takes part again{', pinned' if to == 'pinned' else ''}"
        self.say(f"{one_line(row.item)} {effect}.")

    def action_grow(self) -> None:
        """Have new prompts made now."""
        self.run_worker(self._grow())

    async def _grow(self) -> None:
        wrong = await self._ask(self._service.grow)
        self.say(wrong or "New prompts are being made. They show here as they join.", warn=bool(wrong))

    def action_copy(self) -> None:
        """Copy the prompt's text."""
        if (row := self.picked_row) is not None:
            self.app.copy_to_clipboard(row.text)
            self.say(f"Copied the text of {one_line(row.item)}, where the terminal allows it.")

    # Drawing

    def say(self, text: str, *, warn: bool = False) -> None:
        """Put a sentence below the prompt."""
        self.query_one("#status", Static).update(status_line(harmless(text), warn))

    def _draw(self, *, top: bool = False) -> None:
        self._draw_keys()
        board, picked = self._board, self.picked_row
        if board is None or picked is None:
            return
        width, height = self.app.size.width, self.app.size.height
        state = Text.assemble(
            (f"{why_ended(board)}{standing_of(board)}\n", STRONG), (sentence(board.progress.why), QUIET)
        )
        self.query_one("#state", Static).update(state)
        self.query_one("#budgets", Static).update(budget_line(board, width - 2))
        self.query_one("#coming", Static).update(Text(coming_in_words(board), style=QUIET))
        pool = self.query_one("#pool")
        pool.styles.height = min(len(board.rows) + 3, max(5, (height - _AROUND) // 2))
        pool.border_subtitle = f"{in_number(sum(row.mark != 'retired' for row in board.rows), 'prompt')} take part"
        head, lines = table(board, width - CHROME)
        self.query_one("#head", Static).update(head)
        self._fill_rows(board, lines)
        self._draw_one(board, picked, width - CHROME, top)

    def _fill_rows(self, board: Board, lines: list[Text]) -> None:
        rows = self.query_one(OptionList)
        ids = [str(row.row) for row in board.rows]
        if [option.id for option in rows.options] != ids:
            rows.set_options(Option(line, id=name) for name, line in zip(ids, lines, strict=True))
        else:
            for place, line in enumerate(lines):
                if rows.options[place].prompt != line:
                    rows.replace_option_prompt_at_index(place, line)
        rows.highlighted = ids.index(str(self._row))

    def _draw_one(self, board: Board, picked: BoardRow, width: int, top: bool) -> None:
        pane, name = self.query_one(TextPane), one_line(picked.item)
        others = self._others(board, picked)
        if self._changes and others:
            role, other = others[self._against % len(others)]
            pane.border_title = f"{name}: what changed from {one_line(other.item)}, {role}"
            pane.show(lines_of(prompt_with_changes(picked, other, width)), top=top)
        else:
            pane.border_title = f"{name}: nothing to compare it with" if self._changes else name
            pane.show(lines_of(in_full(picked, board, width)), top=top)

    def _draw_keys(self) -> None:
        read = (("d", "text"), ("t", "other base")) if self._changes else (("d", "changes"),)
        do = (("e", "edit"), ("n", "new"), ("p", "pin"), ("x", "retire"), ("g", "grow"), ("c", "copy"), ("z", "zoom"))
        keys = keys_line((("Esc", "vote"), *read, *do), (("F1", "help"), ("q", "quit")), self.app.size.width - 2)
        self.query_one("#keys", Static).update(keys)
