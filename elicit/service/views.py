"""What a view of a study is: something to look at, for whoever runs the study and, where it may, a voter's screen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import msgspec

Viewer = TypeVar("Viewer", contravariant=True)
T = TypeVar("T", covariant=True)


class Page(msgspec.Struct, frozen=True):
    """Which rows of a view that has many: `after` is a position to go on from, `limit` how many at most."""

    after: int = 0
    limit: int = 50

    def following(self, rows: int) -> str | None:
        """The cursor of the page after this one, of so many rows; None: this is the last."""
        end = self.after + self.limit
        return str(end) if end < rows else None


FIRST_PAGE = Page()


class View(msgspec.Struct, Generic[Viewer, T], frozen=True):
    """One view, as `studies.reporting.views` declares it: its path on a server, its call between processes, its entry
    in the OpenAPI document and what clients make of the answer all come from here.

    name: in paths and calls; kind: of what it gives; compute: gives that, in the process that has the study open;
    paged: whether it is given a page at a time.
    """

    name: str
    kind: type[T]
    compute: Callable[[Viewer, Page], Awaitable[T]]
    paged: bool
