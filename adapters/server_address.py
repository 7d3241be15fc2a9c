"""Where a study is served now: its server leaves word of its address in the study's folder while it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

FILES = ADDRESS, LOCK = "server.url", "server.lock"
LONGEST_LOOK = 5.0
"""Seconds that somebody who looks for the address may hold its lock."""


@contextmanager
def announce_address(folder: Path, url: str) -> Iterator[None]:
    """Leave word of the address while this lasts. Whoever was killed left a word without a lock, which nobody takes."""
    file, part = folder / ADDRESS, folder / f"{ADDRESS}.{os.getpid()}"
    with FileLock(folder / LOCK, timeout=LONGEST_LOOK):
        part.write_text(url, encoding="utf-8")
        part.replace(file)
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


def address_of_server(folder: Path) -> str | None:
    """The address at which the study in `folder` is served; None where it is not."""
    with suppress(OSError):
        url = (folder / ADDRESS).read_text(encoding="utf-8")
        try:
            with FileLock(folder / LOCK, timeout=0):
                return None
        except Timeout:
            return url
    return None
