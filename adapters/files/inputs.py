"""The inputs that prompts are tried on, from a file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from adapters.files import fields
from adapters.files.tables import Row, quote, read_table
from elicit.tuning.protocol import INPUT, Input
from elicit.types import hash_of

KNOWN = ("id", "reference", "held_out")
ID_DIGITS = 12


def read_inputs(path: str | Path) -> list[Input]:
    """The inputs of a file, in its order.

    Every field but id, reference and held_out is a text that fills the place of its name in a prompt; `input` is the
    usual one. All inputs have the same fields. Raises `BadInputError`.
    """
    rows = read_table(path).rows
    inputs: list[Input] = []
    row_of: dict[str, Row] = {}
    names: set[str] = set()
    for row in rows:
        record = _input(row)
        if not inputs:
            names = set(record.fields)
        elif set(record.fields) != names:
            odd = min(set(record.fields) ^ names)
            raise row.error(f"the inputs before have the fields {', '.join(sorted(names))}; give all the same", odd)
        if record.id in row_of:
            raise row.error(f"the input {quote(record.id)} is in {row_of[record.id].where} already; keep one of them")
        row_of[record.id] = row
        inputs.append(record)
    return inputs


def hold_out(inputs: list[Input], share: float = 0.4) -> list[Input]:
    """The inputs, of which about `share` are held out where the file says of none that it is: every k-th, so that both
    parts are alike however the file is ordered. With fewer than 4 inputs none is held out."""
    if any(record.held_out for record in inputs) or len(inputs) < 4:
        return inputs
    marks = [int((k + 1) * share) > int(k * share) for k in range(len(inputs))]
    return [msgspec.structs.replace(record, held_out=out) for record, out in zip(inputs, marks, strict=True)]


def _input(row: Row) -> Input:
    texts = {name: fields.text(row, name) for name, value in row.values.items() if name not in KNOWN and value}
    if not texts:
        raise row.error("it is missing or empty; give each input a text", INPUT)
    held_out = row.values.get("held_out") or False
    if isinstance(held_out, str):
        held_out = held_out.strip().lower() not in ("false", "0", "no")
    if not isinstance(held_out, bool):
        raise row.error("expected true or false", "held_out")
    return Input(fields.name(row, "id") or hash_of(texts)[:ID_DIGITS], texts, fields.name(row, "reference"), held_out)
