"""The book of calls: every reply that was paid for, so that none is paid for twice, and how much money is left.

A file of its own in the study's folder (SQLite, write-ahead logging), beside the log; without it the study is whole,
but its judges have to be paid again.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
from sqlite_utils import Database

from adapters.llm.chat import Api, Reply
from adapters.sqlite_files import is_damage, open_for_reading, open_for_writing, scrub
from elicit.types import BadInputError

FILE = "calls.db"


class Prices(msgspec.Struct, frozen=True):
    """Money for a million tokens: read, written, read from the provider's cache, and read and stored in it."""

    read: float
    written: float
    cached: float
    stored: float

    @classmethod
    def of(
        cls, api: Api, read: float, written: float, cached: float | None = None, stored: float | None = None
    ) -> Prices:
        """The prices where those of the cache may be left open: they are the API's usual share of `read` then."""
        of_cached, of_stored = _SHARES[api]
        cached, stored = read * of_cached if cached is None else cached, read * of_stored if stored is None else stored
        return cls(read, written, cached, stored)

    def cost(self, tokens_in: int, tokens_out: int, cached: int = 0, stored: int = 0) -> float:
        """Money for so many tokens; cached and stored are among those read."""
        plain = tokens_in - cached - stored
        return (plain * self.read + cached * self.cached + stored * self.stored + tokens_out * self.written) / 1e6

    def most(self, tokens_in: int, tokens_out: int) -> float:
        """The most that a call of so many tokens can cost."""
        return (tokens_in * max(self.read, self.cached, self.stored) + tokens_out * self.written) / 1e6


_SHARES: dict[Api, tuple[float, float]] = {"openai": (0.5, 1.0), "anthropic": (0.1, 1.25)}
"""Prices of tokens read from the cache and stored in it, as shares of that of tokens read. OpenAI's newer models take
less than half; storing is free there. Anthropic stores only where it is asked to."""


class BudgetError(Exception):
    """The next call could cost more than is left."""


class CallBook:
    """The calls of one judge in the study of `folder`; opened at first use.

    budget: money that all its calls together may cost, resumed runs included; None: no limit. What the next call may
    cost at most is reserved before it, so that the budget holds however many are under way.
    """

    def __init__(self, folder: Path, judge: str, prices: Prices, budget: float | None = None) -> None:
        self._path, self._judge, self.prices, self._budget = folder / FILE, judge, prices, budget
        self._connection: sqlite3.Connection | None = None
        self._reserved = 0.0

    def find(self, key: str) -> Reply | None:
        """The reply that was paid for under this key, by any judge of the study; one that cannot be read is paid for
        again."""
        row = self._run("SELECT reply FROM calls WHERE key = ? AND reply IS NOT NULL LIMIT 1", key)
        try:
            return None if row is None else msgspec.json.decode(str(row[0]), type=Reply)
        except msgspec.DecodeError:
            return None

    @property
    def spent(self) -> float:
        """Money this judge's calls have cost so far, in this run and before."""
        row = self._run("SELECT COALESCE(SUM(cost), 0) FROM calls WHERE judge = ?", self._judge)
        return float(row[0]) if row else 0.0

    def reserve(self, most: float) -> None:
        """Put aside what a call may cost at most.

        Raises BudgetError where that is more than is left.
        """
        if self._budget is not None:
            left = self._budget - self.spent - self._reserved
            if most > left:
                raise BudgetError(f"its budget is spent: {max(left, 0):.4g} of {self._budget:g} is left")
        self._reserved += most

    def settle(self, most: float, key: str, reply: Reply | None) -> float:
        """Book the call that `most` was put aside for and return its cost; it is on disk then.

        A call without a reply may have been billed all the same, so it counts in full. A refusal is paid and not kept:
        who asks again is to get an answer.
        """
        self._reserved -= most
        tokens_in, tokens_out = (reply.tokens_in, reply.tokens_out) if reply else (0, 0)
        cost = self.prices.cost(tokens_in, tokens_out, reply.cached, reply.stored) if reply else most
        reply_json = msgspec.json.encode(reply).decode() if reply and not reply.refusal else None
        self._run(
            "INSERT INTO calls (key, judge, tokens_in, tokens_out, cost, reply) VALUES (?, ?, ?, ?, ?, ?)",
            *(key, self._judge, tokens_in, tokens_out, cost, reply_json),
        )
        return cost

    def discard(self, key: str) -> None:
        """Keep what was paid under this key, but not the reply: nobody can use it, so it is to be asked for again."""
        self._run("UPDATE calls SET reply = NULL WHERE key = ?", key)

    def release(self, most: float) -> None:
        """Take back what was put aside for a call that nobody bills."""
        self._reserved -= most

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run(self, statement: str, *values: str | int | float | None) -> tuple[str | float, ...] | None:
        try:
            if self._connection is None:
                self._connection = _open(self._path)
            row: tuple[str | float, ...] | None = self._connection.execute(statement, values).fetchone()
        except sqlite3.Error as error:
            what, do = ("is damaged", "put back the copy that 'elicit backup' made, or move it away")
            if not is_damage(error):
                what, do = ("cannot be used", "make room, or check its permissions")
            raise BadInputError(
                f"{self._path} {what} ({error}); {do}: it holds replies already paid for, and no votes"
            ) from error
        return row


def _open(path: Path) -> sqlite3.Connection:
    connection = open_for_writing(path)
    try:
        db = Database(connection, use_counts_table=False)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        table = db.table("calls")
        columns = {"key": str, "judge": str, "tokens_in": int, "tokens_out": int, "cost": float, "reply": str}
        table.create(columns, if_not_exists=True)
        table.create_index(["key"], if_not_exists=True)
        table.create_index(["judge"], if_not_exists=True)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def forget(folder: Path, judge: str, pseudonym: str) -> None:
    """Put a pseudonym in place of a judge's name in the book of calls of the study in `folder`, and on disk; done again
    it changes nothing.

    Raises BadInputError where the file cannot be written.
    """
    path = folder / FILE
    if not path.exists():
        return
    try:
        with closing(_open(path)) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("UPDATE calls SET judge = ? WHERE judge = ?", (pseudonym, judge))
            scrub(connection)
    except sqlite3.Error as error:
        raise BadInputError(f"{path} cannot be written ({error}); make room and try again") from error


def spent_in(folder: Path) -> float:
    """Money that all calls in the book of a study's folder have cost; 0 where there is no book that can be read."""
    path = folder / FILE
    if not path.exists():
        return 0.0
    try:
        with closing(open_for_reading(path)) as connection:
            return float(connection.execute("SELECT COALESCE(SUM(cost), 0) FROM calls").fetchone()[0])
    except sqlite3.Error:
        return 0.0
