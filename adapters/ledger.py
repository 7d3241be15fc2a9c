"""The ledger: a study's append-only event log in SQLite, through sqlite-utils.

Write-ahead logging with full synchronisation: an event is on disk when `append` returns, and a process killed at
any instant leaves a whole log. One process writes; others may read at the same time.

Each row carries a digest of its own content and of all rows before it, so that a log that is not what was written is
told from one that is. Rows of releases that wrote none are covered by the first digest after them.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock, Timeout
from sqlite_utils import Database

from adapters.llm.calls import FILE as BOOK
from adapters.sqlite_files import find_fault, is_damage, open_for_reading, open_for_writing, scrub
from elicit.log.events import SCHEMA, AnyBody, Event, Forgotten
from elicit.log.ledger import InUseError
from elicit.log.pseudonyms import rename_in_event
from elicit.safe_text import one_line
from elicit.types import BadInputError

FILE = "study.db"
LOCK = "study.lock"
LIVE = (FILE, BOOK)
"""Databases that may be in use while they are copied."""
DIGEST_SIZE = 16
MOST_SAID = 80
"""Characters of an error that are told: SQLite's may quote what is damaged."""
FAR = 1000
"""A format so much newer than ours is no format, but damage."""
RESTORE = "restore a copy that 'elicit backup' made; without one, keep this file, for most of it can be recovered"
MISSING = "which holds the votes; restore a copy that 'elicit backup' made"

_UNREADABLE = (sqlite3.Error, msgspec.DecodeError, UnicodeError, TypeError, AttributeError)
"""What a row raises that is not what was written."""


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
            self._lock = _lock_folder(folder)
        elif not self._path.is_file():
            raise BadInputError(f"{folder} has no {FILE}, {MISSING}")
        fresh = not self._path.exists()
        try:
            self._connection = open_for_writing(self._path) if writable else open_for_reading(self._path)
            self._prepare(writable, fresh)
        except (sqlite3.Error, OSError) as error:
            self._release()
            raise self._unreadable(error) from error
        except BadInputError:
            self._release()
            raise

    def _prepare(self, writable: bool, fresh: bool) -> None:
        version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA + FAR:
            raise sqlite3.DatabaseError(f"format {version} does not exist")
        if version > SCHEMA:
            raise BadInputError(
                f"{self._path} was written by a newer release (format {version}, this one reads up to {SCHEMA}); "
                "upgrade elicit to open it, or restore a copy that 'elicit backup' made if no newer one was here"
            )
        db = Database(self._connection, use_counts_table=False)
        if not fresh and "events" not in db.table_names():
            raise sqlite3.DatabaseError("it has no events")
        if writable:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA secure_delete = ON")
            if fresh:
                columns = {"seq": int, "time": str, "type": str, "body": str, "digest": bytes}
                db.table("events").create(columns, pk="seq")
            elif "digest" not in db.table("events").columns_dict:
                db.table("events").add_column("digest", bytes)
            self._connection.execute(f"PRAGMA user_version = {SCHEMA}")
        # Of releases before digests, and read only: every row counts as one without.
        has_digests = "digest" in db.table("events").columns_dict
        self._rows = f"SELECT seq, time, type, body, {'digest' if has_digests else 'NULL'} FROM events WHERE seq > ?"

    def append(self, bodies: Sequence[AnyBody]) -> list[Event]:
        """Append events in one transaction; they are on disk when this returns.

        Raises BadInputError where an event could not be read back, or the disk is full or gone; nothing is half-written
        then.
        """
        lines = [_encode_checked(body) for body in bodies]
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            last, digest = self._tail()
            events = [Event(last + 1 + i, time, body) for i, body in enumerate(bodies)]
            rows = []
            for event, line in zip(events, lines, strict=True):
                row = (event.seq, time, _tag(event.body), line)
                digest = _digest(digest, *row)
                rows.append((*row, digest))
            self._connection.executemany(
                "INSERT INTO events (seq, time, type, body, digest) VALUES (?, ?, ?, ?, ?)", rows
            )
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if is_damage(error):
                raise self._unreadable(error) from error
            raise BadInputError(
                f"{self._path} could not be written ({error}); make room or mend the disk, nothing was lost"
            ) from error
        return events

    def _tail(self, until: int | None = None) -> tuple[int, bytes]:
        """The seq of the last row, or of the last up to `until`, and its digest."""
        upto = "" if until is None else f" AND seq <= {until}"
        row = self._connection.execute(f"{self._rows}{upto} ORDER BY seq DESC LIMIT 1", [0]).fetchone()
        if row is None:
            return 0, b""
        if row[4] is not None:
            return int(row[0]), row[4]
        seq, digest = 0, b""
        for seq, time, kind, body, stored in self._connection.execute(f"{self._rows}{upto} ORDER BY seq", [0]):
            digest = stored or _digest(digest, seq, time, kind, body)
        return seq, digest

    def read(self, since: int = 0) -> Iterator[Event]:
        """The events after seq `since`, in order.

        Raises BadInputError for an event that is not what was written, or that this release cannot read.
        """
        seq = since
        try:
            for (number, time, _, body), _, _ in self._verify_rows(since):
                yield Event(number, time, _decoder.decode(body))
                seq = number
        except _UNREADABLE as error:
            raise self._unreadable(error, f" after event {seq}") from error

    def _verify_rows(self, since: int = 0) -> Iterator[tuple[tuple[int, str, str, str], bytes, bytes | None]]:
        """The rows after `since`, their digests, and what of these is stored; raises where the two differ."""
        digest = self._tail(since)[1] if since else b""
        for *row, stored in self._connection.execute(f"{self._rows} ORDER BY seq", [since]):
            number, time, kind, body = row
            digest = _digest(digest, number, time, kind, body)
            if stored is not None and stored != digest:
                raise sqlite3.DatabaseError("its digest does not fit")
            yield (number, time, kind, body), digest, stored

    def check(self) -> None:
        """Read every page of the file and every event. Raises BadInputError where one is damaged."""
        try:
            fault = find_fault(self._connection)
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        if fault:
            raise self._unreadable(sqlite3.DatabaseError(" ".join(fault.split())))
        for _ in self.read():
            pass

    def _unreadable(self, error: Exception, place: str = "") -> BadInputError:
        """What to tell a person: only damage calls for a backup, a full or failing disk for room or repair."""
        if isinstance(error, OSError) or not is_damage(error):
            return BadInputError(f"{self._path}{place}: {error}; make room or check the disk, nothing was lost")
        why = one_line(str(error))[:MOST_SAID]
        return BadInputError(f"{self._path} is damaged{place} ({why}); {RESTORE}")

    def backup(self, folder: Path) -> None:
        """Copy the log and the book of calls into another folder while they may be in use (SQLite's online backup)."""
        for file in (file for file in LIVE if (self._path.parent / file).exists()):
            path = self._path.with_name(file)
            with closing(open_for_reading(path)) as source, closing(sqlite3.connect(folder / file)) as target:
                source.backup(target)
                if fault := find_fault(target):
                    do = RESTORE if file == FILE else "it holds replies that were paid for: move it away and try again"
                    raise BadInputError(f"{path} is damaged ({' '.join(fault.split())}); {do}")

    def forget(self, judge: str, pseudonym: str) -> int:
        """Replace a judge's name by a pseudonym and remove its notes, everywhere in the log and on disk; returns in how
        many events. The one exception to append-only; the digests follow. Done again it changes nothing.

        Raises BadInputError where the disk is full or others read the log; then it is to be done again.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            changed, last = self._replace_name(judge, pseudonym)
            if changed:
                time = datetime.now(UTC).isoformat(timespec="milliseconds")
                line, kind = _encode_checked(Forgotten(pseudonym)), _tag(Forgotten(pseudonym))
                self._connection.execute(
                    "INSERT INTO events (seq, time, type, body, digest) VALUES (?, ?, ?, ?, ?)",
                    (last[0] + 1, time, kind, line, _digest(last[1], last[0] + 1, time, kind, line)),
                )
            self._connection.execute("COMMIT")
            scrub(self._connection)
        except _UNREADABLE as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise self._unreadable(error) from error
        return changed

    def _replace_name(self, judge: str, pseudonym: str) -> tuple[int, tuple[int, bytes]]:
        """Rewrite the rows that hold the name and, from the first of them on, all digests; how many, and the tail."""
        changed, seq, digest = 0, 0, b""
        for (seq, time, kind, body), _, stored in list(self._verify_rows()):
            values: dict[str, Any] = msgspec.json.decode(body)
            new_values = rename_in_event(values, judge, pseudonym)
            if new_values != values:
                changed += 1
                body = msgspec.json.encode(new_values).decode()
            digest = _digest(digest, seq, time, kind, body)
            if digest != stored:
                self._connection.execute("UPDATE events SET body = ?, digest = ? WHERE seq = ?", (body, digest, seq))
        return changed, (seq, digest)

    def close(self) -> None:
        """Close the file and let another process write."""
        self._connection.close()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()


def _digest(before: bytes, seq: int, time: str, kind: str, body: str) -> bytes:
    """The digest of a row, given that of the row before it; b"" before the first."""
    head = msgspec.json.encode((seq, time, kind))
    return hashlib.blake2b(b"".join((before, head, body.encode())), digest_size=DIGEST_SIZE).digest()


def _lock_folder(folder: Path) -> FileLock:
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


def _encode_checked(body: AnyBody) -> str:
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
