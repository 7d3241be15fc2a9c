"""Connections that must say what they want within bounds: uvicorn's protocol bounds neither a head's size, nor its
time, nor how long an answer is not read, nor how many connections there are.

Without these anybody could fill the memory with a header or a trailer that never ends, or the table of open files with
connections that never ask for anything. Where there are too many, those give way that have shown no token.
"""

from __future__ import annotations

import sys
from asyncio import BaseTransport, TimerHandle
from collections import Counter

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from adapters.addresses import network_of
from elicit.service.http_schema import Principal

LARGEST_HEAD = 64 * 1024
"""Bytes of a request line and its headers."""
PATIENCE = 20.0
"""Seconds in which they must have come, from when the connection was made or the answer before was given."""
READING = 30.0
"""Seconds in which somebody must read on in an answer that is larger than what a connection holds."""
CLOSING = 5.0
"""Seconds in which a connection that is being closed must take what is left to be sent."""
LARGEST_REQUEST = 8 * 1024 * 1024
"""Bytes of all of it; a body that is refused for its size is read on up to here, for its sender to see the answer."""
MOST = 2048
"""Connections at the most, where the system allows as many open files."""
RESERVED = 128
"""Open files that are no connections: logs, pages, the engine's pipes, and connections that are accepted at once."""
BACKLOG = 64
"""Connections that are accepted at once, before one has given way for them."""
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
RANKS = {"annotator": 1, "judge": 1, "admin": 2}


class Bounded(HttpToolsProtocol):
    """Closes the connection on a head of more than LARGEST_HEAD bytes or PATIENCE seconds, on a request too large, and
    on an answer that nobody reads.

    most: connections at once; the next one takes the place of the one that matters least. Those without a token go
    before voters', and these before admins'; then those of the address that has most, the idle, those that were
    answered before, and the oldest.
    """

    most: int = MOST
    _timer: TimerHandle | None = None
    _in_head = True
    _size = 0
    _rank = 0

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._made = self.loop.time()
        self._address = network_of(self.client[0] if self.client else "")
        self._make_room()
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._size += len(data)
        if self._size > (LARGEST_HEAD if self._in_head else LARGEST_REQUEST) and not self.transport.is_closing():
            if self._in_head:
                self.transport.write(TOO_LARGE)
            self._close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._size = True, 0

    def on_headers_complete(self) -> None:
        self._in_head, self._rank = False, self.rank()
        super().on_headers_complete()
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_timer()
        super().connection_lost(exc)

    def rank(self) -> int:
        """How much this connection matters, by the best token it has shown."""
        who: Principal | None = self.cycle.scope.get("state", {}).get("who") if self.cycle else None
        return max(self._rank, RANKS[who.scope] if who else 0)

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _make_room(self) -> None:
        others = [
            connection
            for connection in self.connections
            if isinstance(connection, Bounded) and not connection.transport.is_closing()
        ]
        if len(others) <= self.most:
            return
        share = Counter(connection._address for connection in others)

        def worth(connection: Bounded) -> tuple[int, int, bool, bool, float]:
            return (
                connection.rank(),
                -share[connection._address],
                connection._busy,
                connection.cycle is None,
                connection._made,
            )

        min((connection for connection in others if connection is not self), key=worth).transport.abort()

    def _watch(self) -> None:
        """Set the time in which what is waited for now must have come. Bytes alone, of no whole head or of a body that
        nobody reads, do not put it off."""
        self._forget_timer()
        if self.transport.is_closing():
            self._timer = self.loop.call_later(CLOSING, self.transport.abort)
        elif self.flow.write_paused:
            self._timer = self.loop.call_later(READING, self.transport.abort)
        elif not self._busy:
            self._timer = self.loop.call_later(PATIENCE, self._close)

    def _close(self) -> None:
        self.transport.close()
        self._watch()

    def _forget_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


def most_connections() -> int:
    """How many this process may have, for which it asks to have more files open."""
    return min(MOST, max(_open_files() - RESERVED, 16))


def _open_files() -> int:
    if sys.platform == "win32":  # there a socket is no file
        return MOST
    import resource

    now, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + RESERVED
    if now != resource.RLIM_INFINITY and now < wanted:
        now = wanted if limit == resource.RLIM_INFINITY else min(wanted, limit)
        resource.setrlimit(resource.RLIMIT_NOFILE, (now, limit))
    return wanted if now == resource.RLIM_INFINITY else now
