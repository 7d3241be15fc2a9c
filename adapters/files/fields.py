"""Fields of a row as the types they must have: text, names, numbers, JSON values, and everything else as `meta`.

Each function says what is wrong with a field in one sentence (`BadInputError`). A csv cell is text whatever it
means, so numbers and JSON values are read out of it; parquet may hold them as they are or as JSON text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from adapters.files.tables import Row, article, decode_json, quote
from elicit.conversation import render_messages
from elicit.types import BadInputError

DEEPEST = 64
"""How many lists and objects may stand inside one another: far below where encoders give up."""


def text(row: Row, field: str) -> str:
    """The text of a field, or of its chat messages; empty when the field is absent or null."""
    value = row.values.get(field)
    if value is None:
        return ""
    if (conversation := render_messages(value)) is not None:
        return conversation
    if not isinstance(value, str):
        do = "make the column text" if row.kind == "parquet" else "quote it"
        raise row.error(f"expected text, got {article(value)}; {do}", field)
    return value


def needed_text(row: Row, field: str) -> str:
    """The text of a field that must be there; it may be empty."""
    if row.values.get(field) is None:
        raise missing(row, field)
    return text(row, field)


def name(row: Row, field: str) -> str:
    """A name or number that something is called by, as text; empty when absent."""
    value = row.values.get(field)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text(row, field)


def needed_name(row: Row, field: str) -> str:
    """A name that must be there and not be empty."""
    value = name(row, field)
    if not value:
        raise missing(row, field) if row.values.get(field) is None else row.error("it is empty; fill it in", field)
    return value


def one_of(row: Row, field: str, choices: tuple[str, ...], default: str | None = None) -> str:
    """One of the choices; `default`, where there is one, stands for an absent or empty field."""
    value = text(row, field) or default or needed_name(row, field)
    if value not in choices:
        close = value.strip().lower()
        do = f"write {close}" if close in choices else "write one of them"
        raise row.error(f"expected {' or '.join(choices)}, got {quote(value)}; {do}", field)
    return value


def number(row: Row, field: str, value: Any) -> float:
    """A finite number; from a csv cell, a text that spells one."""
    if isinstance(value, str) and row.kind == "csv":
        spelling = value.strip()
        try:
            value = float(spelling) if "_" not in spelling else value
        except ValueError:
            raise row.error(f"expected a number, got {quote(value)}; write it like 1.5", field) from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        value_in_words = quote(value) if isinstance(value, str) else article(value)
        raise row.error(f"expected a number, got {value_in_words}; write it like 1.5", field)
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise row.error(f"expected a finite number, got {result}; give the number, or leave the row out", field)
    return result


def json_value(row: Row, field: str) -> Any:
    """A JSON value; None when absent.

    Text that starts with a bracket must be JSON. Any other text is itself, but in csv also a number, true, false or
    null where it spells exactly that.
    """
    value = row.values.get(field)
    if isinstance(value, str) and row.kind != "jsonl":
        if value == "":
            return None
        if value.lstrip()[:1] in ("{", "["):
            value = decode_json(value, f"{row.table}, {row.where}, field {quote(field)}")
        elif row.kind == "csv":
            try:
                value = decode_json(value, "")
            except BadInputError:
                return value
    check_nested(row, field, value)
    return value


def json_object(row: Row, field: str) -> dict[str, Any]:
    """A JSON object; empty when absent."""
    value = json_value(row, field)
    if value is None:
        return {}
    if row.kind == "parquet" and isinstance(value, list) and all(_is_pair(pair) for pair in value):
        value = {str(key): inner for key, inner in value}  # a parquet map comes as a list of pairs
    if not isinstance(value, dict):
        raise row.error(f'expected an object, got {article(value)}; write it like {{"name": 1}}', field)
    return value


def numbers(row: Row, field: str) -> tuple[float, ...] | None:
    """A list of finite numbers; None when absent."""
    value = json_value(row, field)
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not value:
        value_in_words = "an empty list" if isinstance(value, list | tuple) else article(value)
        raise row.error(f"expected a list of numbers, got {value_in_words}; write it like [0.5, 1]", field)
    return tuple(number(row, field, element) for element in value)


def with_prefix(row: Row, field: str) -> dict[str, Any]:
    """The object in a field together with the columns called `field.NAME`; empty cells are left out.

    In jsonl there are only objects, and a field whose name has a dot in it is just that.
    """
    values = dict(json_object(row, field))
    if row.kind == "jsonl":
        return values
    start = field + "."
    for column, value in row.values.items():
        if column.startswith(start) and not is_blank(value):
            _add(row, column, column.removeprefix(start), value, values)
    return values


def others(row: Row, known: Iterable[str]) -> dict[str, Any]:
    """`meta` and everything else that is not `known`, empty cells and nulls left out."""
    values = with_prefix(row, "meta")
    for column, value in row.values.items():
        prefixed = row.kind != "jsonl" and column.startswith("meta.")
        if column not in known and column != "meta" and not prefixed and not is_blank(value):
            _add(row, column, column, value, values)
    return values


def is_blank(value: Any) -> bool:
    """Whether a cell says nothing: null, an empty text, or the NaN that data frames put where nothing was."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def check_nested(row: Row, field: str, value: Any) -> None:
    """Raise `BadInputError` for numbers that are not finite, and for more than `DEEPEST` levels, anywhere inside."""
    level = [value]
    for _ in range(DEEPEST + 1):
        below: list[Any] = []
        for element in level:
            if isinstance(element, dict):
                below.extend(element.values())
            elif isinstance(element, list | tuple):
                below.extend(element)
            elif isinstance(element, float) and not math.isfinite(element):
                raise row.error(f"expected a finite number, got {element}; leave it out or give the number", field)
        if not below:
            return
        level = below
    raise row.error(f"lists and objects are nested more than {DEEPEST} deep; flatten them", field)


def need_all(row: Row, needed: Iterable[str]) -> None:
    """Raise `BadInputError` that names all of the fields that a row lacks, where it lacks more than one."""
    lacking = [field for field in needed if field not in row.values]
    if len(lacking) < 2:
        return  # whoever reads the field says so, with the closest name
    names = ", ".join(map(quote, lacking))
    field_list = ", ".join(map(quote, row.values)) or "none"
    what = f"{names} are missing; there are {field_list}. Add them, or say with --columns which they are"
    if row.kind == "jsonl":
        raise row.error(what)
    raise BadInputError(f"{row.table}: the columns {what}")


def missing(row: Row, field: str, otherwise: str = "") -> BadInputError:
    """The complaint that a field is not there, naming the closest one that is, or all. otherwise: what else helps."""
    there = f" (there are {', '.join(map(quote, row.values))})" if row.values else ""
    do = "fill it in" if field in row.values else f"add it{otherwise}{close_to(field, row.values) or there}"
    if row.kind != "jsonl" and field not in row.values:
        return BadInputError(f"{row.table}: there is no column {quote(field)}; {do}")
    return row.error(f"it is missing; {do}", field)


def close_to(field: str, names: Iterable[str]) -> str:
    """` (did you mean "x"?)` with the closest of the names that are there, or nothing."""
    from difflib import get_close_matches

    close = get_close_matches(field, list(names), n=1)
    return f" (did you mean {quote(close[0])}?)" if close else ""


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


def _add(row: Row, field: str, key: str, value: Any, values: dict[str, Any]) -> None:
    if key in values:
        raise row.error(f"{quote(key)} is given twice; keep one of the two columns", field)
    check_nested(row, field, value)
    values[key] = value
