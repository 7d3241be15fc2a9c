"""Who may do what with a study: tokens, kept as hashes alone, and invite links that expire.

In a file of its own beside the log (`access.db`): a copied log or an export opens nothing. A token is 32 random bytes,
so that a plain hash is enough to keep it from whoever reads the file.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlite_utils import Database

from adapters.sqlite_files import is_damage, scrub
from elicit.service.http_schema import Admission, Invitation, Invited, Principal, Scope, ServiceError
from elicit.service.names import alike
from elicit.types import BadInputError

FILE = "access.db"
BYTES = 32


class Invite(msgspec.Struct, frozen=True):
    """What an invite gives to those who accept it."""

    pools: tuple[str, ...]
    quota: int | None


class Access:
    """The tokens and invites of the study in `folder`. Several processes may add to them.

    Raises BadInputError where the file is damaged or cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.study = folder.resolve().name
        path = folder / FILE
        path.touch(mode=0o600)
        self._db = Database(sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10))
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._db.conn.close()
            what, do = "cannot be used", "make room or check its permissions"
            if is_damage(error):
                what, do = "is damaged", "move it away, and make new links with 'elicit admin' and 'elicit invite'"
            raise BadInputError(f"{path} {what} ({error}); {do}") from error

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA secure_delete = ON")
        with self._db.conn:
            self._table("tokens", {"hash": str, "judge": str, "scope": str, "made": float}, "hash")
            columns = {"hash": str, "expires": float, "left": int, "pools": str, "quota": int}
            self._table("invites", columns, "hash")
            self._table("secrets", {"name": str, "value": bytes}, "name")
        self._db.execute("INSERT OR IGNORE INTO secrets VALUES ('leases', ?)", [secrets.token_bytes(BYTES)])
        self.secret: bytes = self._db.execute("SELECT value FROM secrets WHERE name = 'leases'").fetchone()[0]

    def _table(self, name: str, columns: dict[str, Any], key: str) -> None:
        self._db.table(name).create(columns, pk=key, if_not_exists=True)

    def who(self, token: str) -> Principal | None:
        """Whom a token stands for; None for one that is not, or no longer, valid."""
        name = _hash(token)
        row = self._db.execute("SELECT judge, scope FROM tokens WHERE hash = ?", [name]).fetchone()
        return Principal(row[0], row[1], self.study) if row else None

    def has_admin(self) -> bool:
        """Whether anybody can run the study."""
        return bool(self._db.execute("SELECT 1 FROM tokens WHERE scope = 'admin'").fetchone())

    def check_free(self, judge: str) -> None:
        """Raises ServiceError (409) for the name of somebody who runs the study: a token would end theirs."""
        rows = self._db.execute("SELECT judge FROM tokens WHERE scope = 'admin'").fetchall()
        if any(alike(judge, name) for (name,) in rows):
            raise ServiceError(409, f"the name {judge!r} is taken in this study; choose another")

    def admit(self, judge: str, scope: Scope) -> Admission:
        """A token for this judge, told this once; those it had before end. Raises ServiceError (507)."""
        token = f"elicit_{secrets.token_urlsafe(BYTES)}"
        with _report_full_disk(), self._db.conn:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM tokens WHERE judge = ?", [judge])
            self._db.execute("INSERT INTO tokens VALUES (?, ?, ?, ?)", [_hash(token), judge, scope, time.time()])
        return Admission(judge, scope, self.study, token)

    def invite(self, invitation: Invitation) -> Invited:
        """A link for so many people, for so many hours. Raises ServiceError (507)."""
        code, expires = secrets.token_urlsafe(18), time.time() + 3600 * invitation.hours
        pools = msgspec.json.encode(invitation.pools).decode()
        row = [_hash(code), expires, invitation.uses, pools, invitation.quota]
        with _report_full_disk():
            self._db.execute("INSERT INTO invites VALUES (?, ?, ?, ?, ?)", row)
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires))
        return Invited(code, f"/#study={self.study}&invite={code}", when, invitation.uses)

    def find_invite(self, code: str) -> Invite | None:
        """What an invite gives; None where there is no such invite, or it is used up or over."""
        query = "SELECT pools, quota FROM invites WHERE hash = ? AND left > 0 AND expires > ?"
        row = self._db.execute(query, [_hash(code), time.time()]).fetchone()
        return Invite(tuple(msgspec.json.decode(row[0])), row[1]) if row else None

    @contextmanager
    def use_invite(self, code: str) -> Iterator[None]:
        """Use an invite once, unless what is done with it fails.

        Raises ServiceError: 410 where it is used up or over, 507.
        """
        spend = "UPDATE invites SET left = left - 1 WHERE hash = ? AND left > 0 AND expires > ?"
        with _report_full_disk():
            spent = self._db.execute(spend, [_hash(code), time.time()]).rowcount
        if not spent:
            raise ServiceError(410, "this invite is used up or over; ask for another link")
        try:
            yield
        except BaseException:
            with _report_full_disk():
                self._db.execute("UPDATE invites SET left = left + 1 WHERE hash = ?", [_hash(code)])
            raise

    def forget(self, judge: str) -> int:
        """Remove a judge's tokens and every trace of the name; how many there were. Done again it changes nothing.

        Raises BadInputError where the file cannot be written.
        """
        try:
            removed = self._db.execute("DELETE FROM tokens WHERE judge = ?", [judge]).rowcount
            scrub(self._db.conn)
            return int(removed)
        except sqlite3.Error as error:
            raise BadInputError(f"{FILE} cannot be written ({error}); make room and try again") from error

    def close(self) -> None:
        """Close the file."""
        self._db.conn.close()


@contextmanager
def _report_full_disk() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        why = f"the study's tokens could not be written ({error})"
        raise ServiceError(507, f"{why}; nothing was saved, send this again when there is room") from error


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
