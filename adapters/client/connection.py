"""The door to a study server: one call at a time, and in one sentence what went wrong with it."""

from __future__ import annotations

import re
from typing import NamedTuple, SupportsIndex, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from adapters.http_client import open_client, retry_after
from elicit.safe_text import one_line
from elicit.service.http_schema import ServiceError
from elicit.types import BadInputError

T = TypeVar("T")

TIMEOUT = 15.0
"""Seconds that an answer may take."""
PASSING = (408, 425, 429)
"""What may go well later although the client is told to be at fault: timeout, too early, too many requests."""
_LOOPBACK = re.compile(r"localhost|127(?:\.\d{1,3}){3}|::1")


class AwayError(ConnectionError):
    """The server does not answer now, or not as a study server does.

    wait: seconds it asked to wait, where it did. unsent: whether the call surely never reached it.
    """

    def __init__(self, why: str, *, wait: float | None = None, unsent: bool = False) -> None:
        super().__init__(why)
        self.wait, self.unsent = wait, unsent


class AccessToken(str):
    """A secret: a traceback that shows variables, or a log, has *** in its place."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"

    def __getitem__(self, part: SupportsIndex | slice) -> AccessToken:
        return AccessToken(super().__getitem__(part))


class Address(NamedTuple):
    """A study on a server: `https://host:port` (and maybe a path before the study), and the study's name."""

    server: str
    study: str


def address_of(url: str) -> Address:
    """The address in a URL like https://host/STUDY.

    Raises BadInputError where it is none, holds a secret, or would send the token readably over a network.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or parts.scheme not in ("http", "https"):
        raise BadInputError(f"{one_line(url)} is no address of a study; give one like https://host/STUDY")
    server = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{'' if port is None else f':{port}'}"
    if parts.fragment or parts.query or parts.username or parts.password:
        raise BadInputError(
            f"the address on {server} has more in it than a study's name, maybe a secret; give {server}/STUDY, and the "
            "token in the environment variable ELICIT_TOKEN"
        )
    path, _, study = parts.path.rstrip("/").rpartition("/")
    if not study:
        raise BadInputError(f"{server} is a server, not a study; give {server}/STUDY")
    if parts.scheme == "http" and not _LOOPBACK.fullmatch(host):
        raise BadInputError(
            f"{server} would get your token readably over the network; use https, or a tunnel (ssh -L "
            f"8080:localhost:{port or 80} {host}) with http://localhost:8080{parts.path.rstrip('/')}"
        )
    return Address(server + path, study)


def checked_token(token: str) -> AccessToken:
    """The token without blanks around it. Raises BadInputError, which does not repeat it, where it cannot be one."""
    token = AccessToken(token.strip())
    if not re.fullmatch(r"[!-~]{1,4096}", token):
        raise BadInputError(
            "there is no token, or it has characters that none has; copy it from the link you were given"
        )
    return AccessToken(token)


class ServerConnection:
    """A study server, spoken to with one token, or with none to join. The token is in no error that comes from here."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._token = token
        self._http = open_client(url, TIMEOUT, {"Authorization": f"Bearer {token}"} if token else {})

    async def call(
        self,
        kind: type[T],
        method: str,
        *path: str | int,
        body: msgspec.Struct | bytes | None = None,
        key: str = "",
        query: dict[str, str | int] | None = None,
    ) -> T:
        """What the server answers under /v1/`path`, read as `kind`; `bytes` are given as they come.

        key: the Idempotency-Key. query: what follows the question mark.
        Raises ServiceError with the server's own words where it will not, AwayError where it cannot now.
        """
        headers = {"Idempotency-Key": key} if key else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        url = "/".join((self.url, "v1", *(quote(str(part), safe="") for part in path)))
        try:
            answer = await self._http.request(
                method,
                url,
                content=msgspec.json.encode(body) if isinstance(body, msgspec.Struct) else body,
                headers=headers,
                params=query,
            )
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            raise AwayError(self._reason(error), unsent=unsent) from None
        if answer.is_success:
            return self._read(kind, answer)
        problem = _problem(answer)
        if problem is not None and 400 <= answer.status_code < 500 and answer.status_code not in PASSING:
            raise ServiceError(answer.status_code, self._safe(problem), retry_after(answer))
        words = self._safe(problem or answer.reason_phrase)
        where = f" and points to {self._safe(answer.headers['location'])}" if "location" in answer.headers else ""
        raise AwayError(
            f"the server {self.url} answers {answer.status_code} {words}{where}".rstrip(), wait=retry_after(answer)
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    def _read(self, kind: type[T], answer: httpx.Response) -> T:
        if kind is bytes:
            return answer.content  # type: ignore[return-value]
        try:
            return msgspec.json.decode(answer.content or b"null", type=kind)
        except (msgspec.DecodeError, UnicodeError):
            raise AwayError(
                f"the server {self.url} answers something that no study server says; check the address"
            ) from None

    def _reason(self, error: Exception) -> str:
        words = self._safe(str(error)) or type(error).__name__
        if isinstance(error, httpx.TimeoutException):
            return f"the server {self.url} does not answer within {TIMEOUT:g} s"
        if "certificate" in words.lower():
            return (
                f"the server {self.url} shows a certificate that cannot be trusted ({words}); check the address, or "
                "name its authority's certificate in the environment variable SSL_CERT_FILE"
            )
        if "ssl" in words.lower():
            return f"the server {self.url} does not speak https ({words}); check the address"
        return f"the server {self.url} does not answer ({words})"

    def _safe(self, text: str) -> str:
        """Words from elsewhere on one line, without the token should they repeat it."""
        return one_line(text.replace(self._token, "***") if self._token else text, empty="")[:300]


class _Problem(msgspec.Struct):
    title: str = ""
    detail: str = ""


def _problem(answer: httpx.Response) -> str | None:
    """What an RFC 9457 problem says; None where the answer is none: then something else than the study spoke."""
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return None
    try:
        problem = msgspec.json.decode(answer.content, type=_Problem)
    except (msgspec.DecodeError, UnicodeError):
        return None
    return problem.detail or problem.title
