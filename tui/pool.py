"""The pool of prompts as lines: a table, the budgets, and one prompt in full or as what was changed in it."""

from __future__ import annotations

from io import StringIO
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from elicit.safe_text import harmless, one_line, percent
from elicit.service.voting import Board, BoardRow
from tui.difference import DIFFERENT, SHARED, Line, changes, difference
from tui.header import LEFT, QUIET, RIGHT, STRONG, bar
from tui.keys import sentence
from tui.overview import interval
from tui.render import wrap
from tui.words import budgets, fit, marks, origin

# Cells of the columns that are always there; a name is seldom longer than p100.
_NAME, _MAKER, _MARK, _SIGNAL, _SAFE = 6, 10, 12, 12, 7
_WIDE, _ROOMY = 100, 75
_LOOKS = {"shared": SHARED, "added": DIFFERENT + Style(color=LEFT), "removed": Style(color=RIGHT, strike=True)}


class PoolColumns(NamedTuple):
    """What fits: cells of the interval, the signals by name, and whether it is told how acceptable prompts are."""

    scale: int
    signals: tuple[str, ...]
    safe: bool

    @classmethod
    def fitting(cls, board: Board, width: int) -> PoolColumns:
        """The columns for a width."""
        scale = 24 if width >= _WIDE else 13 if width >= _ROOMY else 6
        room = max(0, width - len(_head(cls(scale, (), False))))
        safe = any(row.acceptable is not None for row in board.rows) and room >= _SAFE
        signals = sorted({name for row in board.rows for name in row.signals})
        return cls(scale, tuple(signals[: max(0, room - _SAFE * safe) // _SIGNAL]), safe)


def table(board: Board, width: int) -> tuple[Text, list[Text]]:
    """The heading and a line for each prompt, in the board's order."""
    columns = PoolColumns.fitting(board, width)
    low, high = min(row.low for row in board.rows), max(row.high for row in board.rows)
    head = Text(_head(columns), style=QUIET, no_wrap=True, overflow="crop")
    lines = [_row(row, place, board, columns, low, high) for place, row in enumerate(board.rows, 1)]
    for line in (head, *lines):
        line.truncate(width)
    return head, lines


def _head(columns: PoolColumns) -> str:
    safe = f"{'safe?':>{_SAFE}}" if columns.safe else ""
    signals = "".join(f" {fit(name, _SIGNAL - 1).strip():>{_SIGNAL - 1}}" for name in columns.signals)
    numbers = f"{'utility':>7}  {fit('90 % interval', columns.scale)} {'best?':>6} {'votes':>5}{safe}{signals}"
    return f"  {'#':>3}  {'prompt':<{_NAME}} {'maker':<{_MAKER}} {numbers}  {'':<{_MARK}}"


def _row(row: BoardRow, place: int, board: Board, columns: PoolColumns, low: float, high: float) -> Text:
    best, out = row.row == board.best, row.mark == "retired"
    strong = STRONG if best else ""
    line = Text(style=QUIET if out else "", no_wrap=True, overflow="crop")
    line.append("★ " if best else "  ", style=RIGHT)
    line.append(f"{'–' if out else place:>3}  ", style=QUIET)
    line.append(fit(row.item, _NAME), style=strong).append(" ")
    line.append(fit(row.maker, _MAKER) if row.maker else " " * _MAKER, style=QUIET).append(" ")
    line.append(f"{row.utility:>+7.2f}  ")
    line.append(interval(row.low, row.utility, row.high, low, high, columns.scale), style=QUIET if out else LEFT)
    line.append(f" {'–' if out else percent(row.p_best):>6}", style=strong)
    line.append(f" {row.votes:>5}", style=QUIET)
    if columns.safe:
        line.append(f"{'–' if row.acceptable is None else percent(row.acceptable):>{_SAFE}}")
    for name in columns.signals:
        line.append(f" {percent(row.signals[name]) if name in row.signals else '–':>{_SIGNAL - 1}}")
    return line.append(f"  {fit(marks(row, board), _MARK) if marks(row, board) else ''}", style=QUIET)


def budget_line(board: Board, width: int) -> Text:
    """Votes, calls and money as bars: heavy is used, light is left."""
    entries = budgets(board)
    cells = min(20, (width - sum(cell_len(words) + 9 for _, _, _, words in entries)) // len(entries))
    line = Text(no_wrap=True, overflow="ellipsis")
    for name, done, most, words in entries:
        line.append("   " if line else "").append(f"{name} ", style=QUIET)
        if most and cells >= 4:
            gauge = bar(min(done, most), most, cells)
            full = len(gauge.rstrip("─"))
            line.append(gauge[:full], style=LEFT).append(gauge[full:], style="#4a5563").append(" ")
        line.append(words)
    return line


def in_full(row: BoardRow, board: Board, width: int) -> list[Line]:
    """A prompt: where it comes from, what its numbers are, and its text as it is."""
    sentences = [sentence(origin(row, board))]
    sentences += [f"{one_line(name)} {percent(value)}." for name, value in sorted(row.signals.items())]
    sentences += [] if row.acceptable is None else [f"Acceptable with {percent(row.acceptable)}."]
    rows = [_styled(line, QUIET) for line in wrap(" ".join(sentences), width)]
    rows += _why(row, width)
    return [*rows, [], *wrap(harmless(row.text).expandtabs(4), width)]


def prompt_with_changes(row: BoardRow, other: BoardRow, width: int) -> list[Line]:
    """A prompt with what was removed from and added to another, and why, where it was made from that one."""
    before, after = harmless(other.text).expandtabs(4), harmless(row.text).expandtabs(4)
    name, base = one_line(row.item), one_line(other.item)
    marks = difference(before, after)
    why = _why(row, width) if other.row in row.parents or not row.parents else []
    if not marks.helpful:
        notice = f"They share too few words for marks to help. This is {name}, and below it {base}."
        under = [_styled(line, QUIET) for line in wrap(before, width)]
        rule = [Segment(set_cell_size(f"{base} {'─' * width}", width), Style.parse(QUIET))]
        return [*why, *_quiet_lines(notice, width), [], *wrap(after, width), [], rule, *under]
    if not marks.left and not marks.right:
        return [*why, *_quiet_lines(f"It has the same words as {base}.", width), [], *wrap(after, width)]
    legend = Text.assemble(
        (f"Against {base}: ", QUIET), ("added", _LOOKS["added"]), " ", ("removed", _LOOKS["removed"])
    )
    text = Text.assemble(*((piece.text, _LOOKS[piece.kind]) for piece in changes(before, after)))
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system="truecolor")
    lines = [line for part in (legend, Text(), text) for line in console.render_lines(part, pad=False)]
    return [*why, *lines]


def _why(row: BoardRow, width: int) -> list[Line]:
    return wrap(sentence(row.why), width) if row.why.strip() else []


def _quiet_lines(text: str, width: int) -> list[Line]:
    return [_styled(line, QUIET) for line in wrap(text, width)]


def _styled(line: Line, style: str) -> Line:
    return [Segment(segment.text, Style.parse(style)) for segment in line]
