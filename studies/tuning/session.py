"""A tuning session as commands run it: judges that vote by themselves, and what is told at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def automatic(study: Path, votes: int | None, report: Callable[[int, float], None], say: Callable[[str], None]) -> int:
    """Let the configured judges vote; returns the exit code."""
    raise NotImplementedError


def conclude(study: Path, *, measure: bool, report: Callable[[int], None]) -> dict[str, Any]:
    """How the prompts stand, as plain values."""
    raise NotImplementedError


def lines_of(found: dict[str, Any]) -> list[str]:
    """The same for a person."""
    raise NotImplementedError
