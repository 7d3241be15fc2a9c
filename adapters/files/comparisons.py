"""A table of recorded comparisons: on each row two items, how the comparison ended, and perhaps whose it was.

Millions of rows are usual, so a file is read by columns. Wherever anything in them is not plainly as it should be, it
is read once more row by row, to say in one sentence (`BadInputError`) what is wrong with which.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from adapters.files import fields
from adapters.files.tables import Row, kind_of, quote, read_table, unguard_formula
from elicit.types import CHOICES, BadInputError

Codes = NDArray[np.int64]
Coded = tuple[Codes, list[str]]
"""A column (T,) as places in a list of texts."""

SIDES = (("model_a", "model_b"), ("a", "b"))
ENDED = ("winner", "preference", "choice")
JUDGES = ("judge_id", "judge")
"""The names that are looked for, in this order."""

WORDS = {choice: choice for choice in CHOICES} | {
    "model_a": "a",
    "model_b": "b",
    "tie (inconsistent)": "tie",
    "tie (bothbad)": "both_bad",
}
"""What may stand in the column that says how a comparison ended."""


class Comparisons(NamedTuple):
    """T comparisons of the items, which are sorted by name.

    a, b: (T,) places in items. outcomes: (T,) places in `elicit.types.CHOICES`. clusters: (T, D) whole numbers, a
    column for each asked for. judges: the name of a column that says whose each vote is, None without one.
    """

    items: tuple[str, ...]
    a: Codes
    b: Codes
    outcomes: Codes
    clusters: Codes
    judges: str | None


class _Columns(NamedTuple):
    a: str
    b: str
    ended: str


def read_comparisons(
    path: str | Path, columns: tuple[str, str, str] | None = None, clusters: Sequence[str] = ()
) -> Comparisons:
    """The comparisons of a `.jsonl`, `.csv` or `.parquet` file; `-` is jsonl on standard input.

    columns: the names of the two items' columns and of the one that says how the comparison ended; by default those of
    `SIDES` and `ENDED` that are there. clusters: columns of names or whole numbers. Raises `BadInputError`.
    """
    if str(path) != "-" and (comparisons := _by_column(Path(path), columns, clusters)) is not None:
        return comparisons
    return _by_row(read_table(path).rows, columns, clusters)


def _choose_columns(names: Collection[str], columns: tuple[str, str, str] | None) -> _Columns | None:
    """The columns to read, or None where the usual names are not there."""
    if columns is not None:
        return _Columns(*columns)
    sides = next((pair for pair in SIDES if set(pair) <= set(names)), None)
    ended = next((name for name in ENDED if name in names), None)
    return None if sides is None or ended is None else _Columns(*sides, ended)


def _by_row(rows: Sequence[Row], columns: tuple[str, str, str] | None, clusters: Sequence[str]) -> Comparisons:
    chosen = _choose_columns(rows[0].values.keys(), columns)
    if chosen is None:
        raise _no_columns(rows[0])
    a: list[str] = []
    b: list[str] = []
    ended: list[str] = []
    cluster_columns: list[list[str]] = [[] for _ in clusters]
    for row in rows:
        a.append(fields.needed_name(row, chosen.a))
        b.append(fields.needed_name(row, chosen.b))
        if a[-1] == b[-1]:
            raise row.error(f"{quote(a[-1])} is compared with itself; leave the row out", chosen.b)
        ended.append(_read_ending(row, chosen, a[-1], b[-1]))
        for column, name in zip(cluster_columns, clusters, strict=True):
            column.append(fields.needed_name(row, name))
    codes = [_encode_texts(column) for column in cluster_columns]
    comparisons = _comparisons(
        _encode_texts(a), _encode_texts(b), _encode_texts(ended), codes, rows[0].values, _words(chosen)
    )
    assert comparisons is not None
    return comparisons


def _words(columns: _Columns) -> dict[str, str]:
    """What may stand in the column that says how a comparison ended, in small letters: a side may also be named by its
    column. An item's own name may stand there too."""
    return {columns.a.casefold(): "a", columns.b.casefold(): "b"} | WORDS


def _read_ending(row: Row, columns: _Columns, a: str, b: str) -> str:
    """How the comparison on a row ended, as one of the words or the name of the winner."""
    ending = fields.needed_name(row, columns.ended)
    if ending.strip().casefold() in _words(columns) or ending.strip() in (a, b):
        return ending
    words = ", ".join([*CHOICES, *SIDES[0]])
    raise row.error(
        f"expected {words}, or the name of one of the two, got {quote(ending)}; write one of them", columns.ended
    )


def _no_columns(row: Row) -> BadInputError:
    if any(set(pair) <= row.values.keys() for pair in SIDES):
        what, names = "that says who won", " or ".join(map(quote, ENDED))
    else:
        what, names = "for each of the two items", " or ".join(f"{quote(a)} and {quote(b)}" for a, b in SIDES)
    columns = ", ".join(map(quote, row.values)) or "none"
    return BadInputError(
        f"{row.table}: there is no column {what}; call it {names}, or say which columns to read; there are {columns}"
    )


def _encode_texts(texts: list[str]) -> Coded:
    place: dict[str, int] = {}
    codes = [place.setdefault(text, len(place)) for text in texts]
    return np.array(codes, np.int64), list(place)


def _comparisons(
    a: Coded,
    b: Coded,
    ended: Coded,
    clusters: Sequence[Coded],
    column_names: Collection[str],
    words: Mapping[str, str],
) -> Comparisons | None:
    """The columns put together; None where something is wrong with them. words: as `_words` gives them."""
    names_by_side = [{texts[code] for code in np.flatnonzero(np.bincount(codes)).tolist()} for codes, texts in (a, b)]
    items = tuple(sorted(names_by_side[0] | names_by_side[1]))
    if "" in items:
        return None
    place = {item: number for number, item in enumerate(items)}
    first, second = (np.array([place.get(text, -1) for text in texts])[codes] for codes, texts in (a, b))
    if (first == second).any():
        return None
    endings = [text.strip() for text in ended[1]]
    by_word = np.array([CHOICES.index(words[text.casefold()]) if text.casefold() in words else -1 for text in endings])
    winners = np.array([place.get(text, -1) for text in endings])[ended[0]]
    by_winner = np.select([winners == first, winners == second], [CHOICES.index("a"), CHOICES.index("b")], -1)
    outcomes = np.where(by_word[ended[0]] >= 0, by_word[ended[0]], by_winner)
    if (outcomes < 0).any():
        return None
    if any("" in texts for _, texts in clusters):
        return None
    cluster_codes = np.stack([codes for codes, _ in clusters], 1) if clusters else np.empty((len(first), 0), np.int64)
    judges = next((name for name in JUDGES if name in column_names), None)
    return Comparisons(items, first, second, outcomes, cluster_codes, judges)


def _by_column(path: Path, columns: tuple[str, str, str] | None, clusters: Sequence[str]) -> Comparisons | None:
    """The comparisons, or None where the file or anything in it is not plainly right (odd quotes are forgiven)."""
    import pyarrow as pa  # imported here: it takes a quarter of a second

    try:
        kind = kind_of(path)
        column_names = _NAMES[kind](path)
        chosen = _choose_columns(column_names, columns)
        if (
            chosen is None
            or len(set(column_names)) < len(column_names)
            or not {*chosen, *clusters} <= set(column_names)
        ):
            return None
        table = _READERS[kind](path, list(dict.fromkeys([*chosen, *clusters])))
    except (BadInputError, pa.ArrowException, OSError, ValueError):
        return None
    clean = unguard_formula if kind == "csv" else str
    encoded = [_encode_column(table.column(name), clean) for name in (*chosen, *clusters)]
    whole = [column for column in encoded if column is not None]
    if len(whole) < len(encoded):
        return None
    a, b, ended, *cluster_columns = whole
    return _comparisons(a, b, ended, cluster_columns, column_names, _words(chosen))


def _encode_column(column: Any, clean: Callable[[str], str]) -> Coded | None:
    """A column of texts or whole numbers as codes and what they stand for; None for anything else."""
    if column.null_count or not len(column):
        return None
    encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    values = encoded.dictionary.to_pylist()
    if not all(type(value) in (str, int) for value in values):
        return None
    return encoded.indices.to_numpy().astype(np.int64), [clean(str(value)) for value in values]


def _csv_names(path: Path) -> list[str]:
    import pyarrow.csv as pc

    with pc.open_csv(path) as stream:
        return list(stream.schema.names)


def _read_csv(path: Path, names: list[str]) -> Any:
    import pyarrow as pa
    import pyarrow.csv as pc

    text = pa.dictionary(pa.int32(), pa.string())
    return pc.read_csv(
        path,
        parse_options=pc.ParseOptions(newlines_in_values=True),
        convert_options=pc.ConvertOptions(include_columns=names, column_types=dict.fromkeys(names, text)),
    )


def _parquet_names(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    return list(pq.read_schema(path).names)


def _read_parquet(path: Path, names: list[str]) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(path, read_dictionary=names).read(names)


def _jsonl_names(path: Path) -> list[str]:
    with path.open("rb") as file:
        return list(msgspec.json.decode(file.readline(), type=dict[str, Any]))


def _read_jsonl(path: Path, names: list[str]) -> Any:
    import pyarrow as pa
    import pyarrow.json as pj

    schema = pa.schema([(name, pa.string()) for name in names])
    return pj.read_json(path, parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"))


_NAMES = {"csv": _csv_names, "parquet": _parquet_names, "jsonl": _jsonl_names}
_READERS = {"csv": _read_csv, "parquet": _read_parquet, "jsonl": _read_jsonl}
