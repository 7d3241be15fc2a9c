"""Where messages for whoever looks into a failure go: `elicit.log` in the study's folder, and stderr with --verbose.

Used by programs that are started (the command line, the engine processes), never by a library call: who imports elicit
configures logging themselves. Every module logs to the logger of its own name.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import BinaryIO

VERSION = "0.1.0"
FILE = "elicit.log"
PACKAGES = ("elicit", "bandits", "adapters", "studies", "tui")
LONGEST, KEPT = 1 << 20, 2
"""Bytes of a file before the next one begins, and how many older ones are kept."""
VERBOSE = "ELICIT_VERBOSE"
"""The environment variable by which processes that a command starts are as verbose as it is."""
SECRET_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
SECRETS = re.compile(
    r"(?i)(\bBearer\s+|\b(?:token|invite|api[-_]?key|x-api-key|password)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;)]+"
)
SHORTEST_SECRET = 6
"""Characters below which the value of a variable is no secret: it would blot out ordinary words."""


class _Formatter(logging.Formatter):
    """One line a message and its traceback below it, without secrets."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s")
        self._values = [
            value for name, value in environment.items() if SECRET_NAMES.search(name) and len(value) >= SHORTEST_SECRET
        ]

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for value in self._values:
            text = text.replace(value, "***")
        return SECRETS.sub(r"\1***", text)


class _File(RotatingFileHandler):
    """Appears with its first message; one that cannot be written must not stop a vote."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what stderr is at the moment: a screen catches it."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass


def is_verbose() -> bool:
    """Whether --verbose was given to this command, or to the one that started this process."""
    return bool(os.environ.get(VERBOSE))


def configure_logging(*, verbose: bool = False) -> None:
    """Begin: messages go nowhere yet, or with `verbose` to stderr, all of them."""
    if verbose:
        os.environ[VERBOSE] = "1"
    _set_handler(_Stderr() if is_verbose() else logging.NullHandler(), logging.DEBUG)


def log_to_folder(folder: Path) -> None:
    """From here on, messages also go to the study's `elicit.log`; a folder that is no study or cannot be written gets
    none."""
    if (folder / "study.toml").is_file() and os.access(folder, os.W_OK):
        path = folder / FILE
        handler = _File(
            path, maxBytes=LONGEST, backupCount=KEPT, encoding="utf-8", errors="backslashreplace", delay=True
        )
        _set_handler(handler, logging.DEBUG if is_verbose() else logging.INFO)


def open_stderr(folder: Path) -> BinaryIO | None:
    """The log, for what a process that is started writes to its stderr, such as what ends it; None where it cannot be
    written."""
    try:
        return (folder / FILE).open("ab") if (folder / "study.toml").is_file() else None
    except OSError:
        return None


def _set_handler(handler: logging.Handler, level: int) -> None:
    """Let the packages' loggers use this handler in place of an earlier one of its kind."""
    handler.setLevel(level)
    handler.setFormatter(_Formatter(os.environ))
    for package in PACKAGES:
        logger = logging.getLogger(package)
        for earlier in [present for present in logger.handlers if type(present) is type(handler)]:
            logger.removeHandler(earlier)
            earlier.close()
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG if is_verbose() else logging.INFO)
