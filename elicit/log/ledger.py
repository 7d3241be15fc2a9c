"""What a study asks of the place where its log is kept.

`adapters.ledger` is one in SQLite; another has to pass the suite of `tests/adapters/test_ledger.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from elicit.log.events import AnyBody, Event
from elicit.types import BadInputError


class InUseError(BadInputError):
    """Another process writes to the study."""


class Ledger(Protocol):
    """An append-only log of events with one numbering, kept by one owner and read by anybody.

    An event is durable when `append` returns, whole or not at all. Held to `tests/adapters/test_ledger.py`.
    """

    def append(self, bodies: Sequence[AnyBody]) -> list[Event]:
        """Append all of them in one transaction, numbered on from the newest event, whoever wrote that.

        Raises BadInputError where one cannot be recorded, or the store is full or gone; nothing is written then.
        """
        ...

    def read(self, since: int = 0) -> Iterator[Event]:
        """The events after seq `since`, in order. Raises BadInputError for one that cannot be read."""
        ...

    def backup(self, folder: Path) -> None:
        """Copy the log into a folder, also while it is written to."""
        ...

    def check(self) -> None:
        """Read all that is stored. Raises BadInputError where it is not what was written."""
        ...

    def forget(self, judge: str, pseudonym: str) -> int:
        """Replace a judge's name everywhere by the pseudonym, and remove its notes from every byte; returns in how many
        events the name was. After an interruption it can be done again.

        Raises BadInputError where it could not be done to the end.
        """
        ...

    def close(self) -> None:
        """Let another owner write."""
        ...
