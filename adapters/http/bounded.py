"""Connections that must say what they want within bounds: uvicorn's protocol bounds neither a head's size nor its time.

Without these anybody could fill the memory with a header or a trailer that never ends, or the table of open files with
connections that never ask for anything.
"""

from __future__ import annotations

from asyncio import BaseTransport, TimerHandle

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 64 * 1024
"""Bytes of a request line and its headers."""
PATIENCE = 20.0
"""Seconds in which they must have come."""
LARGEST_REQUEST = 8 * 1024 * 1024
"""Bytes of all of it; a body that is refused for its size is read on up to here, for its sender to see the answer."""
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Bounded(HttpToolsProtocol):
    """Closes the connection on a head of more than LARGEST_HEAD bytes or PATIENCE seconds, or a request too large."""

    _waiting: TimerHandle | None = None
    _size = 0

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._begin()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._size += len(data)
        if self._size > (LARGEST_HEAD if self._waiting else LARGEST_REQUEST) and not self.transport.is_closing():
            if self._waiting:
                self.transport.write(TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin()

    def on_headers_complete(self) -> None:
        self._end()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        self._end()
        self._size = 0
        self._waiting = self.loop.call_later(PATIENCE, self.transport.close)

    def _end(self) -> None:
        if self._waiting:
            self._waiting.cancel()
            self._waiting = None
