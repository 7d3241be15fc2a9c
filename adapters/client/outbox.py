"""Votes on their way to a study server: on disk before anything is sent, gone once the server has them.

One SQLite file for a server, study and token, named by a hash of the token; the token itself is nowhere in it.
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import suppress
from pathlib import Path

import msgspec
import platformdirs
from filelock import FileLock, Timeout

from adapters.client.connection import Address
from elicit.service.http_schema import VoteRequest
from elicit.types import BadInputError, hash_of


class Parcel(msgspec.Struct, frozen=True):
    """A vote to be sent: `body` under `key`, the same bytes however often."""

    key: str
    body: bytes

    @property
    def cast(self) -> VoteRequest:
        """What it says."""
        return msgspec.json.decode(self.body, type=VoteRequest)


def state_folder() -> Path:
    """Where programs keep what is a user's own and no document."""
    return platformdirs.user_state_path("elicit", appauthor=False)


class Outbox:
    """The parcels of one voter in one study, oldest first; every change is on disk when its method returns.

    Every method raises BadInputError with a sentence where the disk does not take it; a second process that opens the
    same outbox gets one, too.
    """

    def __init__(self, folder: Path, address: Address, token: str) -> None:
        place = re.sub(r"[^A-Za-z0-9.]+", "-", f"{address.server.partition('://')[2]}-{address.study}")[:80]
        self.path = folder / f"{place}-{hash_of([*address, hash_of(str(token))])[:16]}.db"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = FileLock(self.path.with_suffix(".lock"), timeout=0, mode=0o600)
            self._lock.acquire()
        except Timeout:
            raise BadInputError(
                f"another 'elicit vote' on this machine votes in {address.study} with this token; quit it first"
            ) from None
        except OSError as error:
            raise BadInputError(f"{folder} cannot be written ({error.strerror}); votes are kept there") from None
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(self.path, isolation_level=None)
            # EXTRA also brings the end of the journal to disk: without it the last vote could come back to life.
            for setting in ("journal_mode = DELETE", "synchronous = EXTRA", "secure_delete = ON"):
                self._db.execute(f"PRAGMA {setting}")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS parcels (number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE, "
                "body BLOB, refused TEXT DEFAULT '')"
            )
        except (OSError, sqlite3.Error) as error:
            self._lock.release()
            raise BadInputError(f"{self.path} cannot be used ({error}); move it away and look after it") from None

    def waiting_parcels(self) -> list[Parcel]:
        """What is still to be sent."""
        try:
            rows = self._db.execute("SELECT key, body FROM parcels WHERE refused = '' ORDER BY number")
            return [Parcel(*row) for row in rows]
        except sqlite3.Error as error:
            raise self._unusable_error(error) from None

    def add(self, parcel: Parcel) -> None:
        """Keep a vote that is to be sent."""
        self._write("INSERT INTO parcels (key, body) VALUES (?, ?)", parcel.key, parcel.body)

    def remove(self, key: str) -> None:
        """Forget a vote: the server has it, or it was taken back."""
        self._write("DELETE FROM parcels WHERE key = ?", key)

    def refuse(self, key: str, why: str) -> None:
        """Keep a vote as one that the server will not take, for whoever looks into the file."""
        self._write("UPDATE parcels SET refused = ? WHERE key = ?", why or "refused", key)

    def close(self) -> None:
        """Let others use it."""
        with suppress(sqlite3.Error):
            self._db.close()
        self._lock.release()

    def _write(self, statement: str, *values: str | bytes) -> None:
        try:
            self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise self._unusable_error(error) from None

    def _unusable_error(self, error: sqlite3.Error) -> BadInputError:
        return BadInputError(f"{self.path} cannot be used ({error}); make room on the disk and try again")
