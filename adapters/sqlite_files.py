"""What every SQLite file of a study shares: how it is read where nothing can be written, what an error of it means, and
how deleted text leaves its bytes.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from elicit.types import BadInputError

WAL = "-wal"
_MEDIUM = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_AUTH,
}
"""Primary result codes that tell of the disk, its permissions or another process, not of the file's content."""
_SHORT = {sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}
"""Extended codes of theirs that tell of the content all the same."""


def is_damage(error: Exception) -> bool:
    """Whether an error says that the file's content is not what was written, rather than that the disk does not serve
    it. Errors without a code, such as text that is no UTF-8, do."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF not in _MEDIUM or code in _SHORT


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that only reads; also on a read-only medium and in a folder without write permission, where SQLite
    cannot make the files that it keeps beside a database with a write-ahead log.

    Raises sqlite3.Error where the file is not there or cannot be read.
    """
    connection = _connect(path, "mode=ro")
    try:
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        return _open_apart(path)
    except BaseException:
        connection.close()
        raise
    return connection


def _open_apart(path: Path) -> sqlite3.Connection:
    """The same of a file whose folder cannot be written. What its write-ahead log holds is part of it."""
    log = path.with_name(path.name + WAL)
    if not (log.exists() and log.stat().st_size):
        return _connect(path, "mode=ro&immutable=1")
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    with TemporaryDirectory() as folder:
        for file in (path, log):
            shutil.copyfile(file, Path(folder) / file.name)
        with closing(_connect(Path(folder) / path.name, "mode=rw")) as copied:
            copied.backup(memory)
    return memory


def _connect(path: Path, how: str) -> sqlite3.Connection:
    uri = f"{path.resolve().as_uri()}?{how}"
    # Autocommit: transactions are opened explicitly, in one place.
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)


def open_for_writing(path: Path) -> sqlite3.Connection:
    """A connection that writes, and makes the file where there is none."""
    return _connect(path, "mode=rwc")


def scrub(connection: sqlite3.Connection) -> None:
    """Rewrite the file and empty its write-ahead log: freed pages of both still hold deleted text until then.

    Raises BadInputError where another process reads the file all the while, sqlite3.Error where there is no room.
    """
    connection.execute("PRAGMA temp_store = MEMORY")  # the copy that is made for it must not lie in another folder
    connection.execute("VACUUM")
    busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    if busy:
        raise BadInputError("another process reads the study, so that its old text cannot be removed yet; close it")


def find_fault(connection: sqlite3.Connection) -> str:
    """What SQLite's own check of the whole file finds first, or an empty string. Raises sqlite3.Error."""
    report = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    return "" if report == "ok" else report
