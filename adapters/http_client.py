"""HTTP to machines that others run: the proxy and certificates of the environment, and answers of bounded size."""

from __future__ import annotations

import contextlib
import email.utils
import ipaddress
import math
import os
import time
import zlib
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from elicit.types import BadInputError

LARGEST_ANSWER = 16 * 2**20
"""Bytes that an answer may have, unpacked: the longest replies with all their log-probabilities take less."""


class AnswerError(ValueError):
    """An answer that is too large, or cannot be unpacked."""


class BoundedResponse(NamedTuple):
    """A response and its body, unpacked."""

    response: httpx.Response
    data: bytes


def open_client(url: str, timeout: float, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
    """A client for the host of `url`, by the proxy that the environment names for it.

    timeout: seconds for each step of a call. Raises BadInputError where the environment names a proxy or certificates
    that cannot be used.
    """
    proxy = proxy_of(url)
    if proxy is None:
        return httpx.AsyncClient(headers=headers, timeout=timeout, verify=_certificates(), trust_env=False)
    shown_proxy = without_password(proxy)
    try:
        return httpx.AsyncClient(headers=headers, timeout=timeout, verify=_certificates(), trust_env=False, proxy=proxy)
    except ImportError:
        raise BadInputError(
            f"the environment names the proxy {shown_proxy}, which needs a package; install it with: "
            f'pip install "httpx[socks]", or add {urlsplit(url).hostname} to NO_PROXY'
        ) from None
    except (ValueError, httpx.InvalidURL) as error:
        raise BadInputError(
            f"the environment names the proxy {shown_proxy}, which cannot be used "
            f"({str(error).replace(proxy, shown_proxy)}); mend HTTPS_PROXY, "
            f"HTTP_PROXY or ALL_PROXY, or add {urlsplit(url).hostname} to NO_PROXY"
        ) from None


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for a URL; none for this machine itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def is_loopback(host: str) -> bool:
    """Whether a host's name means this machine."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def without_password(url: str) -> str:
    """A URL without a user, a password or a query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


async def exchange(
    client: httpx.AsyncClient, method: str, url: str, headers: dict[str, str], **content: Any
) -> BoundedResponse:
    """The answer to one request. content: the body, as httpx takes it.

    Raises httpx.HTTPError where none comes, AnswerError where it is too large or cannot be unpacked.
    """
    # Other packings could make gigabytes of a few bytes before they could be counted.
    request_headers = headers | {"Accept-Encoding": "gzip"}
    async with client.stream(method, url, headers=request_headers, **content) as response:
        packing = response.headers.get("content-encoding", "identity").strip().lower()
        if packing not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise AnswerError(f"its answer is packed as {packing[:20]}, which was not asked for")
        unpacker = None if packing in ("", "identity") else zlib.decompressobj(zlib.MAX_WBITS | 32)
        data = bytearray()
        try:
            async for chunk in response.aiter_raw():
                room = LARGEST_ANSWER + 1 - len(data)
                data += chunk[:room] if unpacker is None else unpacker.decompress(chunk, room)
                if len(data) > LARGEST_ANSWER:
                    raise AnswerError(f"its answer is larger than {LARGEST_ANSWER >> 20} MiB")
        except zlib.error as error:
            raise AnswerError(f"its answer cannot be unpacked ({error})") from None
        if unpacker is not None and data and not unpacker.eof:
            raise AnswerError("its answer cannot be unpacked (it ends too early)")
    return BoundedResponse(response, bytes(data))


def _certificates() -> Any:
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        name = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), "")
        if not name:
            raise
        raise BadInputError(
            f"the environment variable {name} names {os.environ[name]}, which holds no certificates ({error}); name a "
            "PEM file with the certificates of the authorities to trust, or unset it"
        ) from None


def retry_after(answer: httpx.Response) -> float | None:
    """The seconds Retry-After asks for, given as a number or a date."""
    value = answer.headers.get("retry-after", "")
    with contextlib.suppress(ValueError):
        return max(float(value), 0.0) if math.isfinite(float(value)) else None
    with contextlib.suppress(ValueError):
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    return None
