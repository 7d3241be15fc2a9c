"""JSON objects in a model's words: fenced, with prose around them, a comma too many or a line end inside a text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_TRIES = 50
_SPARE_COMMA = re.compile(r'("(?:[^"\\]|\\.)*(?:"|$))|,(?=\s*[}\]])', re.DOTALL)


def _unequivocal(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key stands twice")
    return values


_DECODER = json.JSONDecoder(strict=False, object_pairs_hook=_unequivocal)  # not strict: line ends inside texts


def objects_in(text: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Where each outermost object begins and ends, and the object; one that says two things under one key is none."""
    # A blank in place of a comma too many keeps every place.
    clean = _SPARE_COMMA.sub(lambda mark: mark[1] or " ", text)
    start = clean.find("{")
    for _ in range(_TRIES):
        if start < 0:
            return
        try:
            value, end = _DECODER.raw_decode(clean, start)
        except (ValueError, RecursionError):
            start = clean.find("{", start + 1)
            continue
        if value:
            yield start, end, value
        start = clean.find("{", end)
