"""Connections that never say what they want are closed, and what is said without end is not kept."""

import asyncio
import contextlib
import gc
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from adapters.http import protocol_limits
from adapters.http.protocol_limits import Bounded
from elicit.service.http_schema import Principal

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


async def _length(request: Request) -> Response:
    if scope := request.headers.get("x-who"):
        request.state.who = Principal("somebody", scope)
    return PlainTextResponse(str(len(await request.body())))


async def _large(_: Request) -> Response:
    return StreamingResponse(b"x" * 65536 for _ in range(1000))


@asynccontextmanager
async def _serving(most: int = protocol_limits.MOST) -> AsyncIterator[int]:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        app = Starlette(routes=[Route("/", _length, methods=["GET", "POST"]), Route("/large", _large)])
        server = uvicorn.Server(
            uvicorn.Config(
                app, http=type("Here", (Bounded,), {"most": most}), ws="none", log_config=None, lifespan="off"
            )
        )
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
        async with asyncio.timeout(10):
            while chunk := await reader.read(65536):
                said += chunk
    writer.close()
    return said


async def test_a_head_that_never_ends_is_refused() -> None:
    async with _serving() as port:
        assert b"200 OK" in await _say(port, GET + b"Connection: close\r\nX: " + b"x" * 30_000 + b"\r\n\r\n")
        assert b" 431 " in await _say(port, GET + b"X: " + b"x" * protocol_limits.LARGEST_HEAD)
        assert b" 431 " in await _say(port, GET, *[b"X: y\r\n" * 1000] * 12)
        assert b" 431 " in await _say(port, b"GET /" + b"x" * 2 * protocol_limits.LARGEST_HEAD)


async def test_a_trailer_that_never_ends_is_cut_off() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: "
    async with _serving() as port:
        assert b"200" not in await _say(port, head, *[b"x" * 65536] * 200)


@pytest.mark.parametrize("part", [b"", b"G", GET, GET + b"Connection: keep-alive\r\n\r\nGET"])
async def test_a_head_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, part: bytes) -> None:
    monkeypatch.setattr(protocol_limits, "PATIENCE", 0.2)
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


KEEP = GET + b"\r\n"


async def _held(port: int, *parts: bytes, pause: float = 0.0) -> float:
    """Seconds until the server closes a connection on which these are said, one byte every `pause` after the last."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause or 20):
                    if not await reader.read(65536):
                        break
            if not pause:
                continue
            writer.write(b"\n")
            await writer.drain()
    writer.close()
    return time.monotonic() - began


@pytest.mark.parametrize(
    "parts",
    [
        (b"",),
        (KEEP, b"\n"),
        (KEEP, b"\r"),
        (KEEP, b"G"),
        (KEEP, KEEP, b"GET / HTT"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n", b"x", b"\n"),
        (b"GET /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n", b"x"),
        (b"GET /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", b"x"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", b"x"),
    ],
)
async def test_whatever_comes_after_an_answer_holds_no_connection(
    monkeypatch: pytest.MonkeyPatch, parts: tuple[bytes, ...]
) -> None:
    monkeypatch.setattr(protocol_limits, "PATIENCE", 0.5)
    async with _serving() as port:
        for pause in (0.0, 0.1):
            async with asyncio.timeout(15):
                await _held(port, *parts, pause=pause)


async def test_an_answer_that_nobody_reads_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol_limits, "READING", 0.5)
    monkeypatch.setattr(protocol_limits, "PATIENCE", 0.5)
    monkeypatch.setattr(protocol_limits, "CLOSING", 0.5)
    async with _serving() as port:
        for path, times in ((b"/large", 1), (b"/", 20_000)):
            with socket.create_connection(("127.0.0.1", port)) as deaf:
                deaf.setblocking(False)
                request = GET.replace(b" / ", b" %b " % path) + b"\r\n"
                with contextlib.suppress(BlockingIOError):
                    deaf.sendall(request * times)
                async with asyncio.timeout(20):
                    while bounded_connections():
                        await asyncio.sleep(0.1)


def bounded_connections() -> list[Bounded]:
    """Connections that the server still has."""
    # By the type alone: asking some modules of torch what they are makes them warn.
    return [one for one in gc.get_objects() if type(one) is Bounded and one in one.connections]


async def _open(port: int, said: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), source_address=(source, 0))
    connection.setblocking(False)
    connection.sendall(said)
    await asyncio.sleep(0.01)
    return connection


def _is_open(connection: socket.socket) -> bool:
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
    return False


def _as(who: str) -> bytes:
    return GET + b"X-Who: " + who.encode() + b"\r\n\r\n"


async def test_where_there_are_too_many_those_give_way_that_matter_least() -> None:
    async with _serving(most=6) as port:
        admin, voter = await _open(port, _as("admin")), await _open(port, _as("annotator"))
        strays = [await _open(port) for _ in range(8)]
        await asyncio.sleep(0.1)
        assert [_is_open(one) for one in strays] == [False] * 4 + [True] * 4
        assert _is_open(admin)
        assert _is_open(voter)
        late = await _open(port, _as("admin"))
        voters = [await _open(port, _as("annotator")) for _ in range(12)]
        await asyncio.sleep(0.1)
        assert _is_open(admin)
        assert _is_open(late)
        assert not any(_is_open(one) for one in (*strays, voter, *voters[:8]))
        assert all(_is_open(one) for one in voters[-4:])
        for one in (admin, late, voter, *strays, *voters):
            one.close()


async def test_who_has_just_come_is_heard_before_others_are_waited_for() -> None:
    async with _serving(most=6) as port:
        fresh = await _open(port)
        answered = [await _open(port, KEEP) for _ in range(20)]
        fresh.sendall(_as("admin"))
        await asyncio.sleep(0.1)
        assert _is_open(fresh)
        for one in (fresh, *answered):
            one.close()


async def test_an_address_takes_nothing_from_those_that_have_less() -> None:
    async with _serving(most=10) as port:
        few = [await _open(port, source="127.0.0.2"), await _open(port, KEEP, "127.0.0.2")]
        many = [await _open(port, KEEP) for _ in range(30)]
        await asyncio.sleep(0.1)
        assert all(_is_open(one) for one in few)
        assert [_is_open(one) for one in many] == [False] * 22 + [True] * 8
        for one in (*few, *many):
            one.close()
