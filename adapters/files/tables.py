"""Rows of a file with the place each one stands at, whatever the file's kind: `.jsonl`, `.json` with a list of objects,
`.csv` and `.tsv` (whatever separates the columns), `.parquet`.

A file is read whole or not at all, and everything wrong with it is a `BadInputError`: one sentence that says
where, what and what to do.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from elicit.safe_text import one_line
from elicit.types import BadInputError

T = TypeVar("T")
Kind = Literal["jsonl", "csv", "parquet"]
Written = Literal["jsonl", "csv", "parquet", "excel"]

KINDS: tuple[Kind, ...] = ("jsonl", "csv", "parquet")
ENDINGS = ".jsonl, .csv or .parquet"
READ: dict[str, Kind] = {
    **{kind: kind for kind in KINDS},
    **dict.fromkeys(("json", "ndjson"), "jsonl"),
    **dict.fromkeys(("tsv", "tab", "txt"), "csv"),
}
"""The endings of files that are read, and what is in them."""
READ_ENDINGS = ".jsonl, .json, .csv, .tsv or .parquet"
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}

Skipped = list[BadInputError]
"""Rows that were left out, each with what is wrong with it."""

# What makes a spreadsheet run a cell as a formula: a sign, its full-width or small form, or a control character, also
# after blanks and marks without width, which some programs strip; after the apostrophes that keep it from doing so.
_BEGINNING = r"[\s\u200b-\u200f\u2060\ufeff\x00]*[=+\-@\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b\u2212]|[\t\r\n]"
_FORMULA = re.compile(rf"'*(?:{_BEGINNING})")
_GUARDED = re.compile(rf"'+(?:{_BEGINNING})")
_BYTE = re.compile(r" \(byte (\d+)\)")
_HALF = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_NOT_FINITE = re.compile(r"-?(NaN|Infinity)")


class Row(msgspec.Struct, frozen=True):
    """One row: its values by name, and where it stands, so that a complaint can say so.

    `number` counts lines of text files from 1 (the header's included) and rows of parquet files from 1. A csv row has a
    (maybe empty) text for every column, a parquet row a value or None for every column, a jsonl row its own fields.
    """

    table: str
    kind: Kind
    number: int
    values: dict[str, Any]
    unit: Literal["line", "row"] = "line"

    @property
    def where(self) -> str:
        """The place inside the file: `line 7` or `row 7`."""
        return f"{self.unit} {self.number}"

    def error(self, what: str, field: str | None = None) -> BadInputError:
        """The complaint about this row, ready to be raised; it starts with the file, the place and the field."""
        inside = "" if field is None else f", field {quote(field)}"
        return BadInputError(f"{self.table}, {self.where}{inside}: {what}")


class Table(msgspec.Struct, frozen=True):
    """All rows of one file, at least one; `name` is what messages call the file."""

    name: str
    kind: Kind
    rows: tuple[Row, ...]


def read_table(path: str | Path, columns: Mapping[str, str] | None = None, skipped: Skipped | None = None) -> Table:
    """All rows of a file; the kind goes by the ending, and `-` is standard input with JSON.

    Blank lines, and csv rows without a single filled cell, are passed over. columns: the names that fields have in the
    file, by the name they are known by here. skipped: where rows that cannot be read go instead of being raised.

    Raises `BadInputError` when there is no such file, it cannot be read as what its ending says, it lacks a column, or
    it holds no rows.
    """
    name = "standard input" if str(path) == "-" else one_line(str(path))
    kind, data = _load(path, name)
    if not data:
        raise BadInputError(f"{name}: the file is empty; give it at least one row")
    text = "" if kind == "parquet" else _decode_text(data, name)
    if kind == "parquet":
        rows = [Row(name, kind, n, values, "row") for n, values in enumerate(_parquet_rows(data, name), 1)]
    elif kind == "csv":
        rows = [Row(name, kind, n, values) for n, values in _csv_rows(text, name, skipped)]
    elif text.lstrip()[:1] == "[":
        rows = [Row(name, kind, n, values, "row") for n, values in _listed_rows(text, name, skipped)]
    else:
        rows = [Row(name, kind, n, values) for n, values in _jsonl_rows(text, name, skipped)]
    if not rows:
        first = f" that can be read ({skipped[0]})" if skipped else ""
        raise BadInputError(f"{name}: there are no rows in this file{first}; give it at least one")
    return Table(name, kind, tuple(_rename_fields(row, columns) for row in rows) if columns else tuple(rows))


def keep_good(rows: Iterable[Row], make: Callable[[Row], T], skipped: Skipped | None) -> list[T]:
    """What `make` makes of each row; where one is bad it is raised, or with `skipped` left out and put there."""
    results = []
    for row in rows:
        try:
            results.append(make(row))
        except BadInputError as error:
            if skipped is None:
                raise
            skipped.append(error)
    return results


def _rename_fields(row: Row, columns: Mapping[str, str]) -> Row:
    """The row with its fields called as they are known here."""
    for field, column in columns.items():
        if column not in row.values and row.kind != "jsonl":
            column_list = ", ".join(map(quote, row.values))
            raise BadInputError(f"{row.table}: there is no column {quote(column)} for {field}; there are {column_list}")
        if field in row.values and field != column and field not in columns.values():
            raise BadInputError(
                f"{row.table}: {field} is to be read from {quote(column)}, and there is a column {quote(field)} too; "
                "rename one of them"
            )
    names = {column: field for field, column in columns.items()}
    return msgspec.structs.replace(row, values={names.get(name, name): value for name, value in row.values.items()})


def kind_of(path: str | Path) -> Kind:
    """The kind of file by its ending, in either case; `-` is jsonl. Raises `BadInputError` for any other ending."""
    if str(path) == "-":
        return "jsonl"
    ending = Path(path).suffix.lower().removeprefix(".")
    for kind in KINDS:
        if kind == ending:
            return kind
    problem = f"the ending {quote('.' + ending)} is not known" if ending else "the name has no ending"
    raise BadInputError(f"{one_line(str(path))}: {problem}; use {ENDINGS}")


def decode_json(text: str, place: str) -> Any:
    """The JSON value in a text; `place` is what the message starts with. Raises `BadInputError` with the column."""
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise BadInputError(f"{place}: the JSON is nested too deeply; flatten it") from None
    except UnicodeError:
        raise BadInputError(f"{place}: invalid JSON (half a character); write whole characters") from None
    except msgspec.DecodeError as error:
        why = str(error).removeprefix("JSON is malformed: ")
        if isinstance(error, msgspec.ValidationError):
            raise BadInputError(f"{place}: a number is out of range; write one that a 64-bit float holds") from None
        position = _BYTE.search(why)
        before = text if position is None else text.encode()[: int(position[1])].decode(errors="ignore")
        column = len(before) + 1
        if constant := _NOT_FINITE.match(text, max(column - 2, 0)) or _NOT_FINITE.match(text, column - 1):
            column = constant.start() + 1
            what = f"{constant[0]} is not a number in JSON; leave it out or write a finite number"
        elif half := _HALF.search(text):
            column = half.start() + 1
            what = f"{half[0]} is half a character; write both halves of the surrogate pair, or the character itself"
        elif position is None:
            what = "invalid JSON (it ends too early); close what is open, each object on one line"
        else:
            what = f"invalid JSON ({_BYTE.sub('', why)}); each line needs one whole JSON value"
        raise BadInputError(f"{place}, column {column}: {what}") from None


def quote(text: str, most: int = 60) -> str:
    """A text for use inside a message: one line, harmless to a terminal, in quotes, at most `most` characters long."""
    short = one_line(text[: most + 1], empty="")
    return f'"{short if len(short) <= most else short[: most - 1] + "…"}"'


def guard_formula(text: str) -> str:
    """The text so that no spreadsheet runs it as a formula: with a leading apostrophe where one is called for."""
    return "'" + text if _FORMULA.match(text) else text


def unguard_formula(text: str) -> str:
    """What `guard_formula` was given: the apostrophe before a formula's first character goes away."""
    return text[1:] if _GUARDED.match(text) else text


def _kind_to_read(path: str | Path) -> Kind:
    """What is in a file, by its ending. Raises `BadInputError` for an ending that says nothing."""
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in READ:
        problem = f"the ending {quote('.' + ending)} is not known" if ending else "the name has no ending"
        raise BadInputError(f"{one_line(str(path))}: {problem}; use {READ_ENDINGS}")
    return READ[ending]


def _load(path: str | Path, name: str) -> tuple[Kind, bytes]:
    if str(path) == "-":
        return "jsonl", b"" if sys.stdin is None else sys.stdin.buffer.read()
    file = Path(path)
    try:
        if file.is_dir():
            raise BadInputError(f"{name}: this is a folder; name a file in it that ends in {READ_ENDINGS}")
        if not file.exists():
            raise BadInputError(f"{name}: there is no such file; check the path")
        return _kind_to_read(file), file.read_bytes()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise BadInputError(f"{name}: the file cannot be read ({why}); check the path and its permissions") from error


def _decode_text(data: bytes, name: str) -> str:
    try:
        # Excel's "Unicode text" is UTF-16, which its first two bytes say.
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        bad = data[error.start]
        raise BadInputError(f"{name}, line {line}: byte 0x{bad:02x} is not UTF-8; save the file as UTF-8") from None
    return text.removeprefix("\ufeff")  # the mark that Windows programs put first; it is not part of the content


def _jsonl_rows(text: str, name: str, skipped: Skipped | None) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip(" \t\r"):
            continue
        place = f"{name}, line {number}"
        try:
            value = decode_json(line, place)
            if not isinstance(value, dict):
                what = f"expected a JSON object, got {article(value)}; write one object on each line"
                raise BadInputError(f"{place}: {what}")
        except BadInputError as error:
            if skipped is None:
                raise
            skipped.append(error)
            continue
        yield number, value


def _listed_rows(text: str, name: str, skipped: Skipped | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of one JSON list."""
    for number, value in enumerate(decode_json(text, name), 1):
        if isinstance(value, dict):
            yield number, value
            continue
        error = BadInputError(f"{name}, row {number}: expected a JSON object, got {article(value)}; make it one")
        if skipped is None:
            raise error
        skipped.append(error)


def article(value: Any) -> str:
    """What kind of JSON value this is, in words: `a number`, `a list`, ..."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "an object" if isinstance(value, dict) else "a list"


def _csv_rows(text: str, name: str, skipped: Skipped | None) -> Iterator[tuple[int, dict[str, str]]]:
    separator, text = _separator(text)
    records = _csv_records(text, name, separator)
    number, header = next(records, (1, []))
    names = _csv_names(f"{name}, line {number}", header) if header else []
    for number, cells in records:
        if len(cells) != len(names):
            count = f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'}"
            called = SEPARATORS[separator]
            more = f"quote cells that hold {called}" if len(cells) > len(names) else f"fill up with {called}"
            error = BadInputError(f"{name}, line {number}: {count} under a header of {len(names)}; {more}")
            if skipped is None:
                raise error
            skipped.append(error)
        elif any(cells):
            yield number, dict(zip(names, map(unguard_formula, cells), strict=True))


def _separator(text: str) -> tuple[str, str]:
    """What separates the columns, which is what the header has most of outside of quotes; and the text without the line
    by which Excel is told."""
    first, _, rest = text.partition("\n")
    if (hint := re.fullmatch(r'"?sep=(.)"?\s*', first, re.IGNORECASE)) and hint[1] in SEPARATORS:
        return hint[1], "\n" + rest  # an empty line, so that lines keep their numbers
    header = re.sub(r'"[^"]*"', "", first)
    return max(SEPARATORS, key=header.count), text


def _csv_records(text: str, name: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The line each record starts on, with its cells; blank lines are passed over."""
    # The limit guards programs that stream; here the text is in memory already, and long answers are real.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    start = 1
    try:
        for cells in reader:
            if cells:
                yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        if "end of data" in str(error):
            what = "a quoted cell in the row that starts here never ends; close it, and double any quote inside it"
        else:
            what = f"the quotes are wrong ({one_line(str(error))}); double every quote inside a quoted cell"
        raise BadInputError(f"{name}, line {start}: {what}") from None


def _csv_names(place: str, header: Iterable[str]) -> list[str]:
    names = [unguard_formula(cell.strip(" ")) for cell in header]
    for column, column_name in enumerate(names):
        if not column_name:
            raise BadInputError(f"{place}: column {column + 1} has no name; name it or take it out")
        if column_name in names[:column]:
            raise BadInputError(f"{place}: two columns are called {quote(column_name)}; rename one of them")
    return names


def _parquet_rows(data: bytes, name: str) -> Iterator[dict[str, Any]]:
    # Imported here: a study of text files should not wait for it.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read()
    except (pa.ArrowException, OSError, ValueError) as error:
        why = one_line(str(error))[:100]
        raise BadInputError(f"{name}: this is not a readable parquet file ({why}); write it again") from None
    columns: dict[str, list[Any]] = {}
    for column, values in zip(table.column_names, table.columns, strict=True):
        if column in columns:
            raise BadInputError(f"{name}: two columns are called {quote(column)}; rename one of them")
        if re.fullmatch(r"__index_level_\d+__", column):
            continue  # the row numbers that pandas saves along are no content
        try:
            if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
                values = values.cast(pa.large_string())  # some writers leave the mark for text away
            elif pa.types.is_decimal(values.type):
                values = values.cast(pa.float64())
            columns[column] = msgspec.to_builtins(values.to_pylist(), str_keys=True)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            why = one_line(str(error))[:100]
            what = f"the type {one_line(str(values.type))[:60]} cannot be used ({why}); make it text or numbers"
            raise BadInputError(f"{name}, column {quote(column)}: {what}") from None
    for row in range(table.num_rows if columns else 0):
        yield {column: values[row] for column, values in columns.items()}
