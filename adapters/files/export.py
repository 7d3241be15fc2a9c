"""Rows into files: `.csv`, `.jsonl` and `.parquet` by ending, `-` for standard output.

A file appears whole or not at all: rows go into a temporary file beside it, which takes its name once everything
is on the disk. What is written here reads back the same through `adapters.files.tables`.
"""

from __future__ import annotations

import codecs
import math
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from adapters.files.tables import Written, guard_formula, kind_of
from elicit.safe_text import one_line
from elicit.types import BadInputError, UnknownNameError

if TYPE_CHECKING:
    import pyarrow as pa

TEMPORARY = ".elicit-"
"""How the names of files begin that are still being written."""
_SCALARS = (str, bool, int, float, type(None))


def write_rows(
    path: str | Path, rows: Sequence[Mapping[str, Any] | msgspec.Struct], kind: Written | None = None
) -> None:
    """Write rows as `kind`, or as the ending says; a file that is there is replaced on success, keeping permissions.

    A row is a mapping or a struct of JSON values, structs, times and NumPy numbers; the columns of csv and parquet are
    the union of the rows' keys, in the order of first appearance. Numbers that are not finite are written as nothing.
    Csv cells that are not text are JSON, and text that a spreadsheet would run as a formula gets an apostrophe in
    front; excel is the same in UTF-16 with tabs, which Excel opens in every language. Parquet columns keep their type,
    or hold JSON text where the values have no common one.

    Raises `BadInputError` when the ending is unknown or the place cannot be written.
    """
    kind = kind or kind_of(path)
    if kind not in _WRITERS:
        raise UnknownNameError("format", kind, list(_WRITERS))
    plain: list[dict[str, Any]] = [_finite(msgspec.to_builtins(row, str_keys=True, enc_hook=_plain)) for row in rows]
    if str(path) == "-":
        _write_standard_output(kind, plain)
        return
    with atomic_file(Path(path)) as file:
        _WRITERS[kind](file, plain)


def write_text(path: str | Path, text: str) -> None:
    """Write a text, as `write_rows` writes rows: whole or not at all; `-` is standard output."""
    if str(path) == "-":
        sys.stdout.write(text)
        return
    with atomic_file(Path(path)) as file:
        file.write(text.encode())


def write_table(path: str | Path, table: pa.Table) -> None:
    """Write a table of Arrow's as parquet, as `write_rows` writes rows: whole or not at all."""
    import pyarrow.parquet as pq

    with atomic_file(Path(path)) as file:
        pq.write_table(table, file, compression="zstd")


def check_place(path: str | Path) -> None:
    """Raise the `BadInputError` that `write_rows` would, where the ending is unknown or the place cannot be written.

    For work that takes long: so that it is not lost in the end.
    """
    kind_of(path)
    if str(path) != "-":
        _, _, temporary, handle = _open_replacement(Path(path))
        os.close(handle)
        temporary.unlink()


def _plain(value: Any) -> Any:
    """NumPy and torch values as Python's own."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be written")


def _finite(value: Any) -> Any:
    """The value with None for every number that is not finite, as JSON has no such numbers."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _write_jsonl(file: BinaryIO, rows: Sequence[Mapping[str, Any]]) -> None:
    file.writelines(msgspec.json.encode(row) + b"\n" for row in rows)


def _write_csv(file: BinaryIO, rows: Sequence[Mapping[str, Any]]) -> None:
    file.writelines(line.encode() for line in _csv_lines(rows, ",", "\n"))


def _write_excel(file: BinaryIO, rows: Sequence[Mapping[str, Any]]) -> None:
    # The mark in front and the tabs are what every Excel goes by, where commas depend on the language of the system.
    file.write(codecs.BOM_UTF16_LE)
    file.writelines(line.encode("utf-16-le") for line in _csv_lines(rows, "\t", "\r\n"))


def _csv_lines(rows: Sequence[Mapping[str, Any]], separator: str, end: str) -> Iterator[str]:
    names = _columns(rows)
    if names:
        yield _csv_line(map(guard_formula, names), separator) + end
    for row in rows if names else ():
        yield _csv_line((_csv_cell(row.get(name)) for name in names), separator) + end


def _csv_line(cells: Iterator[str], separator: str) -> str:
    # A blank line is no row, so a row of one empty cell needs its quotes.
    return separator.join(_csv_quoted(cell) for cell in cells) or '""'


def _csv_quoted(cell: str) -> str:
    # The standard writer leaves a lone carriage return without quotes, which reads back as two rows.
    bare = not any(mark in cell for mark in ',;\t"\r\n') and cell == cell.strip()
    return cell if bare else '"' + cell.replace('"', '""') + '"'


def _csv_cell(value: Any) -> str:
    return guard_formula(value) if isinstance(value, str) else "" if value is None else _as_text(value)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _write_parquet(file: BinaryIO, rows: Sequence[Mapping[str, Any]]) -> None:
    # Imported here: writing text files should not wait for it.
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: _parquet_column([row.get(name) for row in rows]) for name in _columns(rows)}
    pq.write_table(pa.table(columns), file, compression="zstd")


def _parquet_column(values: list[Any]) -> Any:
    """The values in a type of their own where all fit one exactly, else as JSON text."""
    import pyarrow as pa

    if all(_has_own_type(value) for value in values):
        try:
            column = pa.array(values)
            # Structs with other keys gain nulls, and large whole numbers among fractions are rounded.
            if column.to_pylist() == values:
                return column
        except (pa.ArrowException, ValueError, OverflowError):
            pass
    return pa.array([None if value is None else _as_text(value) for value in values], type=pa.string())


def _has_own_type(value: Any) -> bool:
    if isinstance(value, dict):
        return bool(value) and all(isinstance(inner, _SCALARS) for inner in value.values())
    return isinstance(value, _SCALARS) or all(isinstance(inner, _SCALARS) for inner in value)


_WRITERS: dict[Written, Callable[[BinaryIO, Sequence[Mapping[str, Any]]], None]] = {
    "jsonl": _write_jsonl,
    "csv": _write_csv,
    "parquet": _write_parquet,
    "excel": _write_excel,
}


def _write_standard_output(kind: Written, rows: Sequence[Mapping[str, Any]]) -> None:
    try:
        sys.stdout.flush()
        _WRITERS[kind](sys.stdout.buffer, rows)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise  # whoever reads has enough: no fault, and nothing to tell
    except OSError as error:
        raise _unwritable_error("standard output", error) from error


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write into that takes the path's name when the block ends well, and vanishes when it does not."""
    name = one_line(str(path))
    target, mode, temporary, handle = _open_replacement(path)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(target)
        _sync_folder(target.parent)
    except UnicodeEncodeError as error:
        raise BadInputError(f"{name}: a text holds half a character, so nothing was written; mend the text") from error
    except OSError as error:
        raise _unwritable_error(name, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _open_replacement(path: Path) -> tuple[Path, int | None, Path, int]:
    """The file that is to be replaced, its permissions, and a new one beside it with an open handle."""
    name = one_line(str(path))
    try:
        target = path.resolve()  # a link stays a link, and what it leads to is replaced
        mode = _mode_of(target, name)
        temporary = target.with_name(f"{TEMPORARY}{secrets.token_hex(8)}.tmp")
        # Opened by hand: the umask then applies to a new file, which tempfile would make unreadable to others.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except FileNotFoundError as error:
        raise BadInputError(f"{name}: the folder for this file does not exist; make it first") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise _unwritable_error(name, error) from error
    return target, mode, temporary, handle


def _mode_of(target: Path, name: str) -> int | None:
    """The permissions of the file that is to be replaced; None when there is none."""
    try:
        there = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(there.st_mode):
        raise BadInputError(f"{name}: this is a folder; name a file in it")
    if not stat.S_ISREG(there.st_mode):
        raise BadInputError(f"{name}: this is a device or a pipe; name a file, or use - for standard output")
    # Replacing asks the folder alone, so a file that its owner has locked would be lost without this.
    if not os.access(target, os.W_OK):
        raise BadInputError(f"{name}: the file is there and may not be changed; unlock it or choose another name")
    return stat.S_IMODE(there.st_mode)


def _sync_folder(folder: Path) -> None:
    """Put the folder's new entry on the disk. Where a system cannot, the file is complete and in place all the same."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _unwritable_error(name: str, error: Exception) -> BadInputError:
    why = getattr(error, "strerror", None) or one_line(str(error))
    return BadInputError(f"{name}: this cannot be written ({why}); choose another place")
