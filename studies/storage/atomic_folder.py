"""Folders that are there whole or not at all."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from elicit.types import BadInputError

PART = ".part"
"""How the names of folders end that are still being filled; they begin with a dot."""


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill that takes its name when the block ends well, and vanishes when it does not.

    Raises BadInputError where it cannot be written.
    """
    part = folder.with_name(f".{folder.name}{PART}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        yield part
        if folder.exists():
            folder.rmdir()
        part.rename(folder)
    except (OSError, sqlite3.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise BadInputError(f"{folder} cannot be written ({why}); choose another place") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
