"""One call to a study server: addresses, what is final and what is tried again, and tokens that are shown nowhere."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.traceback import Traceback

from adapters.client.connection import AwayError, ServerConnection, address_of, checked_token
from adapters.client.remote import RemoteService
from elicit.service.http_schema import Receipt, ServiceError
from elicit.types import BadInputError
from tests.adapters.serving import Say, serving


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("jokes", "is no address of a study; give one like https://host/STUDY"),
        ("ftp://host/jokes", "is no address"),
        ("https://host:port/jokes", "is no address"),
        ("https://host", "is a server, not a study"),
        ("http://host/jokes", "would get your token readably"),
        ("http://localhost.evil.org/jokes", "would get your token readably"),
        ("https://host/#study=jokes&token=SECRET", "give https://host/STUDY"),
        ("https://maya:SECRET@host/jokes", "give https://host/STUDY"),
        ("https://host/jokes?token=SECRET", "give https://host/STUDY"),
    ],
)
def test_addresses_that_will_not_do(url: str, expected: str) -> None:
    with pytest.raises(BadInputError) as caught:
        address_of(url)
    assert expected in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "server", "study"),
    [
        ("https://host/jokes", "https://host", "jokes"),
        ("https://host:8443/some/where/jokes/", "https://host:8443/some/where", "jokes"),
        ("http://localhost:8321/jokes", "http://localhost:8321", "jokes"),
        ("http://[::1]:8321/jokes", "http://[::1]:8321", "jokes"),
    ],
)
def test_addresses(url: str, server: str, study: str) -> None:
    assert address_of(url) == (server, study)


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://host/{text}"):
        with suppress(BadInputError):
            server, study = address_of(url)
            assert study
            assert address_of(f"{server}/{study}") == (server, study)


PROBLEM = {"Content-Type": "application/problem+json"}


@pytest.mark.parametrize(
    ("say", "error", "expected"),
    [
        (Say(b'{"detail": "too late"}', 409, PROBLEM), ServiceError, "^too late$"),
        (Say(b'{"detail": "wait"}', 429, PROBLEM | {"Retry-After": "7"}), AwayError, "429 wait"),
        (Say(b'{"detail": "full"}', 507, PROBLEM), AwayError, "507 full"),
        (Say(b"<h1>not here</h1>", 404), AwayError, "answers 404"),
        (Say(b"<h1>welcome to our wifi</h1>", 200), AwayError, "no study server says"),
        (Say(b"", 302, {"Location": "https://login.example.org/"}), AwayError, "points to https://login.example.org"),
        (Say(b'{"vote": 1}', 201, missing=5), AwayError, "does not answer"),
    ],
)
async def test_what_is_final_and_what_is_tried_again(say: Say, error: type[Exception], expected: str) -> None:
    async with serving(lambda _: say) as there:
        door = ServerConnection(there.url.removesuffix("/v1"), "T0KEN")
        with pytest.raises(error, match=expected) as caught:
            await door.call(Receipt, "POST", "votes", body=b"{}", key="k")
        await door.close()
        assert there.got[0].headers["idempotency-key"] == "k"
        assert there.got[0].headers["authorization"] == "Bearer T0KEN"
        assert getattr(caught.value, "wait", None) == (7.0 if say.status == 429 else None)


@settings(deadline=None, max_examples=30)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=200))
def test_no_traceback_shows_a_token(text: str) -> None:
    token = checked_token(text)
    console = Console(file=StringIO(), width=300)
    try:
        len(token) / 0  # type: ignore[operator]
    except ZeroDivisionError:
        del text
        console.print(Traceback(show_locals=True))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "token = ***" in shown
    assert len(token) < 12 or str(token) not in shown


async def test_an_error_does_not_repeat_the_token() -> None:
    async with serving(lambda _: Say(b'{"detail": "bad T0KEN"}', 403, PROBLEM)) as there:
        door = ServerConnection(there.url.removesuffix("/v1"), "T0KEN")
        with pytest.raises(ServiceError) as caught:
            await door.call(Receipt, "POST", "votes")
        await door.close()
    assert str(caught.value) == "bad ***"


async def test_a_certificate_nobody_trusts_is_said(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    key, shown = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*made, "-keyout", str(key), "-out", str(shown)], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(shown, key)
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = listener.sockets[0].getsockname()[1]
    with pytest.raises(ConnectionError, match="certificate that cannot be trusted"):
        await RemoteService.start(f"https://127.0.0.1:{port}/answers", "T0KEN", tmp_path / "state")
    listener.close()
