"""HTTP to other people's machines: answers have bounds, proxies and certificates are those of the environment."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import subprocess
import tracemalloc
import zlib
from pathlib import Path

import httpx
import pytest

from adapters.http_client import LARGEST_ANSWER, AnswerError, exchange, is_loopback, open_client, proxy_of
from elicit.types import BadInputError
from tests.adapters.serving import Say, serving

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


async def get(say: Say) -> bytes:
    async with serving(lambda got: say) as server, open_client(server.url, 10.0) as client:
        return (await exchange(client, "GET", server.url, {})).data


@pytest.mark.parametrize(
    ("said", "packing"),
    [(b"hello" * 99, "identity"), (gzip.compress(b"hello" * 99), "gzip"), (zlib.compress(b"hello" * 99), "deflate")],
)
async def test_an_answer_is_unpacked(said: bytes, packing: str) -> None:
    assert await get(Say(said, headers={"Content-Encoding": packing})) == b"hello" * 99


async def test_an_answer_has_a_bound_also_when_it_is_unpacked() -> None:
    blanks = zlib.compressobj(9, wbits=31)
    bomb = b"".join(blanks.compress(b" " * 2**20) for _ in range(256)) + blanks.flush()  # a quarter of a megabyte
    tracemalloc.start()
    for say in (Say(bomb, headers={"Content-Encoding": "gzip"}), Say(b" " * (LARGEST_ANSWER + 1))):
        with pytest.raises(AnswerError, match="larger than 16 MiB"):
            await get(say)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * LARGEST_ANSWER  # this test's own texts are among it
    assert len(await get(Say(b" " * LARGEST_ANSWER))) == LARGEST_ANSWER


@pytest.mark.parametrize(
    ("said", "packing", "why"),
    [
        (b"not packed", "gzip", "cannot be unpacked"),
        (gzip.compress(b"hello", mtime=0)[:-9], "gzip", "ends too early"),
        (b"x", "br", "packed as br, which was not asked for"),
        (b"x", "zstd", "packed as zstd"),
        (b"x", "gzip, gzip", "was not asked for"),
    ],
)
async def test_what_cannot_be_unpacked_is_said(said: bytes, packing: str, why: str) -> None:
    with pytest.raises(AnswerError, match=why):
        await get(Say(said, headers={"Content-Encoding": packing}))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.9.8.7", "[::1]"])
def test_this_machine_is_never_reached_by_a_proxy(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert is_loopback(host.strip("[]"))
    for scheme in ("http", "https"):
        assert proxy_of(f"{scheme}://{host}:8080/v1") is None


def test_the_proxy_is_that_of_the_scheme_unless_the_host_is_exempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy.example:1080")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    assert proxy_of("https://api.example/v1") == "http://proxy.example:3128"
    assert proxy_of("http://api.example/v1") == "socks5://proxy.example:1080"
    assert proxy_of("https://llm.inside.example/v1") is None


async def test_a_call_goes_by_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(lambda got: Say(got.path.encode())) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        async with open_client("http://api.example/v1", 10.0) as client:
            answer = await exchange(client, "GET", "http://api.example/v1/models", {})
        assert answer.data == b"http://api.example/v1/models"


@pytest.mark.parametrize(
    ("proxy", "why"),
    [
        ("socks5://me:secret@proxy.example:1080", r"proxy socks5://proxy\.example:1080, which needs a package.*pip"),
        ("ftp://me:secret@proxy.example", r"proxy ftp://proxy\.example, which cannot be used"),
        ("http://me:secret@proxy.example:port", "cannot be used"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_a_sentence(monkeypatch: pytest.MonkeyPatch, proxy: str, why: str) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(BadInputError, match=why) as error:
        open_client("https://api.example/v1", 10.0)
    assert "secret" not in str(error.value)
    assert "NO_PROXY" in str(error.value)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_certificates_that_are_none_are_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(BadInputError, match=r"SSL_CERT_FILE names .*ca\.pem, which holds no certificates"):
        open_client("https://api.example/v1", 10.0)


async def test_an_authority_of_ones_own_is_trusted_once_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out ca.pem -days 2 -subj /CN=localhost"
    subprocess.run(
        [*made.split(), "-addext", "subjectAltName=DNS:localhost"], cwd=tmp_path, check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(answer, "localhost", 0, ssl=context)
    url = f"https://localhost:{listener.sockets[0].getsockname()[1]}/v1"
    async with open_client(url, 10.0) as client:
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await exchange(client, "GET", url, {})
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with open_client(url, 10.0) as client:
        assert (await exchange(client, "GET", url, {})).data == b"hi"
    listener.close()
