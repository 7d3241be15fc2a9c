"""The ledger: a study's append-only event log in SQLite, through sqlite-utils.

Write-ahead logging with full synchronisation: an event is on disk when `append` returns, and a process killed at
any instant leaves a whole log. One process writes; others may read at the same time.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock, Timeout
from sqlite_utils import Database

from adapters.calls import FILE as BOOK
from elicit.events import JOINED, SCHEMA, AnyBody, Event, Forgotten
from elicit.ledger import InUseError
from elicit.types import BadInputError

FILE = "study.db"
LOCK = "study.lock"
LIVE = (FILE, BOOK)
"""Databases that may be in use while they are copied."""


class SqliteLedger:
    """The event log of the study in `folder`.

    writable: become the study's only writer until `close`; else read what is there. beside: write beside the only
    writer, as a process may that it started.
    Raises BadInputError where another process writes, the file is no study log, or a newer release wrote it.
    """

    def __init__(self, folder: Path, *, writable: bool, beside: bool = False) -> None:
        self._path = folder / FILE
        self._lock: FileLock | None = None
        if writable and not beside:
            self._lock = _locked(folder)
        elif not self._path.exists():
            raise BadInputError(f"{folder} has no {FILE}; make a study with 'elicit init'")
        try:
            self._connection = self._connect(writable)
            self._db = Database(self._connection, use_counts_table=False)
            self._prepare(writable)
        except sqlite3.DatabaseError as error:
            self._release()
            raise self._unreadable(error) from None
        except BadInputError:
            self._release()
            raise

    def _connect(self, writable: bool) -> sqlite3.Connection:
        mode = "rwc" if writable else "ro"
        uri = f"{self._path.resolve().as_uri()}?mode={mode}"
        # Autocommit: transactions are opened explicitly, in one place.
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)

    def _prepare(self, writable: bool) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA:
            raise BadInputError(
                f"{self._path} was written by a newer release (format {version}, this one reads up to {SCHEMA}); "
                "upgrade elicit to open it"
            )
        if not writable:
            return
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA secure_delete = ON")
        if "events" not in self._db.table_names():
            self._db.table("events").create({"seq": int, "time": str, "type": str, "body": str}, pk="seq")
        self._db.execute(f"PRAGMA user_version = {SCHEMA}")

    def append(self, bodies: Sequence[AnyBody]) -> list[Event]:
        """Append events in one transaction; they are on disk when this returns.

        Raises BadInputError where an event could not be read back, or the disk is full or gone; nothing is half-written
        then.
        """
        lines = [_checked(body) for body in bodies]
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            last = self._connection.execute("SELECT COALESCE(MAX(seq), 0) FROM events").fetchone()[0]
            events = [Event(last + 1 + i, time, body) for i, body in enumerate(bodies)]
            self._connection.executemany(
                "INSERT INTO events (seq, time, type, body) VALUES (?, ?, ?, ?)",
                [(e.seq, e.time, _tag(e.body), line) for e, line in zip(events, lines, strict=True)],
            )
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise BadInputError(
                f"{self._path} could not be written ({error}); make room or mend the disk, nothing was lost"
            ) from error
        return events

    def read(self, since: int = 0) -> Iterator[Event]:
        """The events after seq `since`, in order.

        Raises BadInputError for an event this release cannot read.
        """
        seq = since
        try:
            rows = self._db.execute("SELECT seq, time, body FROM events WHERE seq > ? ORDER BY seq", [since])
            for seq, time, body in rows:
                yield Event(seq, time, _decoder.decode(body))
        except (sqlite3.DatabaseError, msgspec.DecodeError) as error:
            raise self._unreadable(error, f", after event {seq}") from None

    def _unreadable(self, error: Exception, place: str = "") -> BadInputError:
        """What to tell a person: only damage calls for a backup, a full or failing disk for room or repair."""
        if isinstance(error, sqlite3.OperationalError) and "no such table" not in str(error):
            return BadInputError(f"{self._path}{place}: {error}; make room or check the disk, nothing was lost")
        return BadInputError(f"{self._path}{place}: {error}; restore it from a backup")

    def backup(self, folder: Path) -> None:
        """Copy the log and the book of calls into another folder while they may be in use (SQLite's online backup)."""
        for file in (file for file in LIVE if (self._path.parent / file).exists()):
            source, target = sqlite3.connect(self._path.with_name(file)), sqlite3.connect(folder / file)
            with closing(source), closing(target):
                source.backup(target)

    def forget(self, judge: str) -> str:
        """Replace a judge's name by a pseudonym and remove its notes, everywhere in the log and on disk.

        The one exception to append-only. Returns the pseudonym, which cannot be computed from the name.
        """
        pseudonym = f"forgotten-{secrets.token_hex(4)}"
        changed: list[tuple[str, int]] = []
        for seq, body in self._db.execute("SELECT seq, body FROM events").fetchall():
            values: dict[str, Any] = msgspec.json.decode(body)
            names = str(values.get("judge", "")).split(JOINED)
            if judge not in names:
                continue
            values["judge"] = JOINED.join(pseudonym if name == judge else name for name in names)
            for field in ("note", "text"):
                if values.get(field):
                    values[field] = ""
            changed.append((msgspec.json.encode(values).decode(), seq))
        if not changed:
            raise BadInputError(f"no judge called {judge!r} has voted in {self._path.parent}; nothing was changed")
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("UPDATE events SET body = ? WHERE seq = ?", changed)
        self._connection.execute("COMMIT")
        self.append([Forgotten(pseudonym)])
        _scrub(self._connection)
        if (book := self._path.with_name(BOOK)).exists():
            with closing(sqlite3.connect(book, isolation_level=None)) as calls:
                calls.execute("PRAGMA secure_delete = ON")
                calls.execute("UPDATE calls SET judge = ? WHERE judge = ?", (pseudonym, judge))
                _scrub(calls)
        return pseudonym

    def close(self) -> None:
        """Close the file and let another process write."""
        self._connection.close()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()


def _scrub(connection: sqlite3.Connection) -> None:
    """Rewrite the file and its write-ahead log: freed pages of both still hold the old text until then."""
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _locked(folder: Path) -> FileLock:
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InUseError(
            f"{folder} is open in another process{_owner(folder)}; close that one first "
            "(reading commands such as 'elicit status' work beside it)"
        ) from None
    except OSError as error:
        raise BadInputError(f"{folder} cannot be written ({error.strerror}); check its permissions") from None
    (folder / f"{LOCK}.owner").write_text(str(os.getpid()))
    return lock


def _owner(folder: Path) -> str:
    try:
        return f" (process {(folder / f'{LOCK}.owner').read_text()})"
    except OSError:
        return ""


def _checked(body: AnyBody) -> str:
    """The body's line in the log, after making sure that it can be read back."""
    try:
        line = msgspec.json.encode(body)
        _decoder.decode(line)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise BadInputError(f"this cannot be recorded: {error}; nothing was written") from None
    return line.decode()


def _tag(body: AnyBody) -> str:
    tag = body.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


_decoder: msgspec.json.Decoder[AnyBody] = msgspec.json.Decoder(AnyBody)
