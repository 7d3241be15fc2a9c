"""TOML files as people write them: with a byte order mark, with times as TOML writes them, with odd numbers."""

from __future__ import annotations

import math
import tomllib
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from elicit.types import BadInputError

LARGEST = 2**63 - 1
"""Whole numbers beyond it cannot be kept in a log."""


def read_toml(path: Path, missing: str = "give a TOML file") -> dict[str, Any]:
    """The values of a file; times become text in ISO 8601.

    missing: what to do where it cannot be read. Raises BadInputError with the file, and the line or the field at fault.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path} cannot be read ({error}); {missing}") from None
    try:
        values: dict[str, Any] = _plain(tomllib.loads(text), "")
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"{path}: {str(error)[0].lower()}{str(error)[1:]}; mend that line") from None
    except ValueError as error:
        raise BadInputError(f"{path}: {error}; mend it") from None
    except RecursionError:
        raise BadInputError(f"{path}: its tables are nested too deeply; mend it") from None
    return values


def _plain(value: Any, field: str) -> Any:
    """The value with times as text. Raises ValueError for a number that cannot be kept."""
    if isinstance(value, dict):
        return {name: _plain(inner, f"{field}.{name}" if field else name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, f"{field}[{place}]") for place, inner in enumerate(value)]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"field {field!r}: {value} is not a finite number")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError(f"field {field!r}: {value} is too large a number")
    return value
