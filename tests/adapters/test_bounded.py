"""Connections that never say what they want are closed, and what is said without end is not kept."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from adapters.http import bounded
from adapters.http.bounded import Bounded

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


async def _length(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


@asynccontextmanager
async def _serving() -> AsyncIterator[int]:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        app = Starlette(routes=[Route("/", _length, methods=["GET", "POST"])])
        server = uvicorn.Server(uvicorn.Config(app, http=Bounded, log_config=None, lifespan="off"))
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task


async def _say(port: int, *parts: bytes) -> bytes:
    """What comes back until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = b""
    with contextlib.suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
        while chunk := await asyncio.wait_for(reader.read(65536), 10):
            said += chunk
    writer.close()
    return said


async def test_a_head_that_never_ends_is_refused() -> None:
    async with _serving() as port:
        assert b"200 OK" in await _say(port, GET + b"Connection: close\r\nX: " + b"x" * 30_000 + b"\r\n\r\n")
        assert b" 431 " in await _say(port, GET + b"X: " + b"x" * bounded.LARGEST_HEAD)
        assert b" 431 " in await _say(port, GET, *[b"X: y\r\n" * 1000] * 12)
        assert b" 431 " in await _say(port, b"GET /" + b"x" * 2 * bounded.LARGEST_HEAD)


async def test_a_trailer_that_never_ends_is_cut_off() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: "
    async with _serving() as port:
        assert b"200" not in await _say(port, head, *[b"x" * 65536] * 200)


@pytest.mark.parametrize("part", [b"", b"G", GET, GET + b"Connection: keep-alive\r\n\r\nGET"])
async def test_a_head_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, part: bytes) -> None:
    monkeypatch.setattr(bounded, "PATIENCE", 0.2)
    async with _serving() as port:
        said = await _say(port, part)
        assert said.count(b"200 OK") == part.count(b"\r\n\r\n")


async def test_many_requests_on_one_connection_are_no_large_request() -> None:
    async with _serving() as port:
        body = b"x" * 100_000
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n%s\r\n" + body
        ones = [request % b""] * 90
        said = await _say(port, *ones, request % b"Connection: close\r\n")
        assert said.count(b"200 OK") == 91
