"""Pairs whose answer is known, by which annotators are checked."""

from __future__ import annotations

from pathlib import Path

from adapters.files.fields import needed_name, one_of
from adapters.files.tables import Row, read_table
from elicit.log.state import State
from elicit.types import BadInputError

ANSWERS = {"a": 1.0, "b": -1.0, "tie": 0.0}


def golds_of(folder: Path, file: str, state: State) -> tuple[tuple[int, int, float], ...]:
    """Rows a and b of each gold, and its answer: 1 for a, -1 for b, 0 for a tie; none where there is no file.

    Raises BadInputError with the line at fault.
    """
    if not file:
        return ()
    path = folder / file
    if path.resolve().parent != folder.resolve():
        raise BadInputError(
            f"serving.golds {file!r} is not in the study's folder; copy it there and give its name alone"
        )
    rows = {item.id: row for row, item in enumerate(state.items)}
    pairs = {pair_id: (a, b) for pair_id, a, b in state.pairs}
    return tuple(_gold(row, rows, pairs) for row in read_table(path).rows)


def _gold(row: Row, rows: dict[str, int], pairs: dict[str, tuple[int, int]]) -> tuple[int, int, float]:
    answer = ANSWERS[one_of(row, "answer", tuple(ANSWERS))]
    if pairs:
        pair_id = needed_name(row, "pair_id")
        if pair_id not in pairs:
            raise row.error(f"there is no pair {pair_id!r} in the study; take the line out", "pair_id")
        return (*pairs[pair_id], answer)
    a, b = (needed_name(row, side) for side in ("a", "b"))
    for side, name in (("a", a), ("b", b)):
        if name not in rows:
            raise row.error(f"there is no item {name!r} in the study; take the line out", side)
    if a == b:
        raise row.error(f"{a!r} is compared with itself; name two items")
    return rows[a], rows[b], answer
