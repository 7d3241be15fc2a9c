"""The prompts of a tuned study by lines: what the board shows and does, in words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from elicit.log.events import Mark
from elicit.safe_text import harmless, one_line, percent
from elicit.service.voting import Board, BoardRow, TuningService
from elicit.types import BadInputError
from tui.difference import changes, difference
from tui.keys import sentence
from tui.words import budgets, coming_in_words, in_number, marks, origin, standing_of, why_ended

BOARD_HELP = (
    "board: the prompts, best first, and how they stand",
    "prompt N: the text of prompt N of that list, and what changed in it",
    "pin N, retire N: keep it whatever comes, or ask about it no more; again: take that back",
    "add, add N: write a new prompt, or one made from prompt N; a line with a single dot ends it",
    "grow: have new prompts made now",
)


class PlainBoard:
    """Obeys the words of `BOARD_HELP`. N is a place in the list that was told last."""

    def __init__(
        self, service: TuningService, read: Callable[[], Awaitable[str | None]], write: Callable[[str], None]
    ) -> None:
        self._service, self._read, self._write = service, read, write
        self._listed: tuple[int, ...] = ()

    async def obey(self, word: str, rest: str) -> bool:
        """Do what a line says; False: it says nothing about prompts. Raises BadInputError, ConnectionError."""
        if word in ("board", "f6"):
            self._tell(await self._service.board())
        elif word == "prompt" and rest:
            self._tell_one(*await self._find_row(rest))
        elif word in ("pin", "retire"):
            await self._mark(rest, "pinned" if word == "pin" else "retired")
        elif word == "add":
            await self._add(rest)
        elif word == "grow":
            self._write(f"New prompts are being made. {coming_in_words(await self._service.grow())}")
        else:
            return False
        return True

    async def _find_row(self, number: str) -> tuple[Board, BoardRow]:
        board = await self._service.board()
        self._listed = self._listed or tuple(row.row for row in board.rows)
        if not (number.isascii() and number.isdigit() and 1 <= int(number) <= len(self._listed)):
            raise BadInputError(f"give the number of a prompt, 1 to {len(self._listed)}, as board lists them")
        place = self._listed[int(number) - 1]
        return board, next(row for row in board.rows if row.row == place)

    def _tell(self, board: Board) -> None:
        self._listed = tuple(row.row for row in board.rows)
        self._write(f"{why_ended(board)}{standing_of(board)} {sentence(board.progress.why)}")
        self._write(
            "; ".join(f"{name} {words}" for name, _, _, words in budgets(board)) + f". {coming_in_words(board)}"
        )
        for place, row in enumerate(board.rows, 1):
            facts = ["recommended"] if row.row == board.best else []
            facts += [marks(row, board)] if marks(row, board) else []
            facts += [f"by {one_line(row.maker)}"] if row.maker else []
            facts.append(f"utility {row.utility:+.2f}, between {row.low:+.2f} and {row.high:+.2f}")
            facts += [f"best with {percent(row.p_best)}"] if row.mark != "retired" else []
            facts += [f"{one_line(name)} {percent(value)}" for name, value in sorted(row.signals.items())]
            facts += [] if row.acceptable is None else [f"acceptable with {percent(row.acceptable)}"]
            self._write(f"{place}. {one_line(row.item)}: {', '.join(facts)}, {in_number(row.votes, 'vote')}.")

    def _tell_one(self, board: Board, row: BoardRow) -> None:
        self._write(f"{one_line(row.item)}: {sentence(origin(row, board))} {sentence(row.why)}".rstrip())
        self._write(harmless(row.text))
        base = next(iter(row.parents), board.seed)
        other = next((candidate for candidate in board.rows if candidate.row == base != row.row), None)
        if other is not None:
            self._write(changes_in_words(row, other))

    async def _mark(self, number: str, mark: Mark) -> None:
        _, row = await self._find_row(number)
        to: Mark = "" if row.mark == mark else mark
        await self._service.mark(row.row, to)
        effects = {"pinned": "is pinned: it stays whatever comes", "retired": "is retired: it is asked about no more"}
        self._write(f"{one_line(row.item)} {effects.get(to, f'is not {mark} any more')}.")

    async def _add(self, number: str) -> None:
        parent = (await self._find_row(number))[1].row if number else None
        self._write("Type the prompt. A line with a single dot ends it; with nothing before it, nothing joins.")
        lines: list[str] = []
        while (line := await self._read()) is not None and line.strip() != ".":
            lines.append(line)
        if not lines or line is None:
            self._write("Nothing joined.")
            return
        earlier_rows = {row.row for row in (await self._service.board()).rows}
        try:
            board = await self._service.add("\n".join(lines), parent)
        except (BadInputError, ConnectionError) as error:
            self._write(f"{sentence(str(error))} What you typed was:")
            self._write(harmless("\n".join(lines)))
            return
        self._write(f"{', '.join(one_line(row.item) for row in board.rows if row.row not in earlier_rows)} joined.")


def changes_in_words(row: BoardRow, other: BoardRow) -> str:
    """What was removed from and added to another prompt, in words."""
    before, after = harmless(other.text), harmless(row.text)
    name = one_line(other.item)
    if not difference(before, after).helpful:
        return f"It has few words in common with {name}."
    parts = {"added": list[str](), "removed": list[str]()}
    for piece in changes(before, after):
        if piece.kind != "shared" and piece.text.strip():
            parts[piece.kind].append(one_line(piece.text))
    parts_in_words = [f"{kind}: {'; '.join(pieces)}" for kind, pieces in parts.items() if pieces]
    return (
        f"Changed from {name}, {'. '.join(parts_in_words)}." if parts_in_words else f"It has the same words as {name}."
    )
