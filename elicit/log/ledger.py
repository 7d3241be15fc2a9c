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

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from adapters.ledger import SqliteLedger
    >>> from elicit import Item
    >>> from elicit.log.events import ItemsAdded, Noted
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ledger = SqliteLedger(Path(folder), writable=True)
    ...     first, second = ledger.append([ItemsAdded((Item("x"), Item("y"))), Noted(1, "ann", "Both are dull.")])
    ...     newer = [event.body.text for event in ledger.read(since=first.seq)]
    ...     ledger.close()
    >>> first.seq, second.seq, newer
    (1, 2, ['Both are dull.'])
    """

    def append(self, bodies: Sequence[AnyBody]) -> list[Event]:
        """Append all of them in one transaction, numbered on from the newest event, whoever wrote that.

        Parameters
        ----------
        bodies : sequence of AnyBody

        Returns
        -------
        list of Event
            As stored, with their numbers and times.

        Raises
        ------
        BadInputError
            Where one cannot be recorded, or the store is full or gone; nothing is written then.
        """
        ...

    def read(self, since: int = 0) -> Iterator[Event]:
        """The events after seq `since`, in order.

        Raises
        ------
        BadInputError
            For one that cannot be read.
        """
        ...

    def backup(self, folder: Path) -> None:
        """Copy the log into a folder, also while it is written to."""
        ...

    def check(self) -> None:
        """Read all that is stored.

        Raises
        ------
        BadInputError
            Where it is not what was written.
        """
        ...

    def forget(self, judge: str, pseudonym: str) -> int:
        """Replace a judge's name everywhere by the pseudonym, and remove its notes from every byte. After an
        interruption it can be done again.

        Parameters
        ----------
        judge : str
            The name.
        pseudonym : str
            What stands in its place.

        Returns
        -------
        int
            In how many events the name was.

        Raises
        ------
        BadInputError
            Where it could not be done to the end.
        """
        ...

    def close(self) -> None:
        """Let another owner write."""
        ...
