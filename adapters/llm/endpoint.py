"""The door to a language model: asks it over HTTP, waits its turn, tries again, and keeps what was paid for."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
import msgspec

from adapters import http_client
from adapters.http_client import retry_after
from adapters.llm import chat
from adapters.llm.calls import CallBook
from adapters.llm.chat import Api, Reply, Request
from adapters.llm.refused_fields import body_without, refused_field
from elicit.safe_text import one_line
from elicit.types import BadInputError, hash_of

LONGEST_WAIT = 120.0
"""Seconds to wait at most before trying again; an endpoint that asks for more has failed."""
RETRIED = (408, 409, 425, 429)
"""What is tried again beside 5xx: timeout, conflict, too early, too many requests."""
_ANTHROPIC_VERSION = "2023-06-01"
_SHOWN = 200  # characters of an endpoint's own words in a failure
_READ = 100_000  # characters of an answer that are searched for what it complains of
_UNPAID = ("insufficient_quota", "credit balance", "usage limits", "spend_limit", "insufficient credits")


class EndpointError(Exception):
    """The endpoint gave no answer; the message is a short reason. `billed`: whether the call may cost all the same;
    `cost`, `calls`: the money and the paid calls that it took, and the tries before it."""

    def __init__(self, why: str, *, billed: bool) -> None:
        super().__init__(why)
        self.billed, self.cost, self.calls = billed, 0.0, 0


class UnreachableError(EndpointError):
    """Nobody answered: refused, cut off, or too slow, as `reason` says."""

    def __init__(self, url: str, reason: str, *, billed: bool) -> None:
        super().__init__(f"no answer from {url} ({reason})", billed=billed)
        self.reason = reason


class UnreadableError(EndpointError):
    """It answered something that is no reply."""


class RejectedError(EndpointError):
    """It will not answer this: the key, the model or a parameter is wrong. `lasting`: nor anything else."""

    def __init__(self, why: str, *, lasting: bool) -> None:
        super().__init__(why, billed=False)
        self.lasting = lasting


class BusyError(EndpointError):
    """It answered that it cannot answer now. `wait`: seconds it asked to wait, where it did."""

    def __init__(self, why: str, wait: float | None) -> None:
        super().__init__(why if wait is None else f"{why}; it asks to wait {wait:g} s", billed=False)
        self.wait = wait


def checked_url(url: str) -> str:
    """The address up to and with the version: without a slash at its end, or the path of the call itself.

    Raises BadInputError where it is none, or holds a password or key.
    """
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInputError("option endpoint is no http address; give one, as in http://127.0.0.1:8080/v1")
    query = parse_qsl(parts.query, keep_blank_values=True)
    versions = all(name == "api-version" and re.fullmatch(r"[\w.-]{1,40}", value) for name, value in query)
    if parts.username or parts.password or parts.fragment or not versions:
        raise BadInputError(
            "option endpoint holds a password or key; take it out, and say in key which environment variable has it "
            "(only ?api-version= may follow an address)"
        )
    path = parts.path.rstrip("/")
    for call in chat.PATHS.values():
        path = path.removesuffix(call)
    return parts._replace(path=path).geturl()


class Completion(NamedTuple):
    """A reply, the money and the paid calls that it took now, and whether it had been paid for before; `key` names what
    was asked."""

    reply: Reply
    cost: float
    calls: int
    cached: bool
    key: str


@dataclass(kw_only=True, eq=False)
class Endpoint:
    """One model behind an OpenAI-compatible or Anthropic endpoint, asked by one judge.

    url: up to and with the version, "https://api.openai.com/v1". key: the environment variable that holds the API key,
    "" for none; the key itself is read when a call is made and kept nowhere. parameters: fields added to every body.
    concurrency: calls under way at most; per_minute: calls begun in a minute at most. timeout: seconds a call may take.
    A call that fails for a passing reason is tried `retries` times more, after `backoff` seconds, then twice as long
    each time, less a jitter of up to a half; Retry-After is honoured. sleep and clock: seconds, as asyncio and time
    have them.

    Raises BadInputError where the url is none, or the variable holds no key.
    """

    url: str
    api: Api
    model: str
    key: str
    book: CallBook
    parameters: dict[str, Any] = field(default_factory=dict)
    concurrency: int = 8
    per_minute: float | None = None
    timeout: float = 60.0
    retries: int = 5
    backoff: float = 1.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.url = checked_url(self.url)
        if self.key and not re.fullmatch(r"[!-~]+", self._secret):
            raise BadInputError(
                f"the environment variable {self.key} holds no key; set it with: export {self.key}=..., "
                f"and test it with: {self.curl}"
            )
        self._client: httpx.AsyncClient | None = None
        self._turns = asyncio.Semaphore(self.concurrency)
        self._under_way: dict[str, asyncio.Task[tuple[Reply, float]]] = {}
        self._next = 0.0
        self._refused: set[str] = set()

    async def ask(self, request: Request) -> Completion:
        """The model's reply to the request; one that was paid for before costs nothing.

        Cancelling is safe at any time: a call that is under way goes on, and what it brings is kept (see `close`).
        Raises EndpointError where there is no reply, BudgetError where the call could cost more than is left.
        """
        whole = body_without(frozenset(), self.api, self.model, request, self.parameters)
        key = hash_of([self.api, self.url, request.sample, whole])
        failures, lost, tries = 0, 0.0, 0
        while True:
            if (stored_reply := self.book.find(key)) is not None:
                return Completion(stored_reply, lost, tries, True, key)
            call = self._under_way.get(key)
            mine = call is None
            if call is None:
                await self._turn()
                if key in self._under_way:  # somebody asked the same meanwhile
                    self._turns.release()
                    continue
                call = self._begin(key, request)
            try:
                reply, cost = await asyncio.shield(call)
                return Completion(reply, lost + cost * mine, tries + mine, not mine, key)
            except EndpointError as failure:
                failures, lost, tries = failures + 1, lost + failure.cost * mine, tries + failure.calls * mine
                passing = isinstance(failure, UnreachableError | BusyError | UnreadableError)
                wait = self._wait(key, failures, failure) if passing else 0.0
                if not passing or failures > self.retries or wait > LONGEST_WAIT:
                    failure.cost, failure.calls = lost, tries
                    raise
            await self.sleep(wait)

    def discard(self, answer: Completion) -> None:
        """Forget a reply that cannot be used, so that whoever asks the same again gets another."""
        self.book.discard(answer.key)

    async def check(self) -> None:
        """Make sure that the endpoint answers and takes the key; costs nothing.

        Raises BadInputError, one sentence with a command that tests the endpoint.
        """
        try:
            answer = await self._send("GET", "/models")
        except UnreachableError as error:
            raise BadInputError(
                f"{self.url} does not answer ({error.reason}); start it, or test it with: {self.curl}"
            ) from None
        except EndpointError as error:
            raise BadInputError(str(error)) from None
        # Not every endpoint lists its models; that it answers is enough then.
        if answer.response.status_code in (401, 403) or answer.response.status_code >= 500:
            raise BadInputError(f"{self.url} answers {self._words(answer)}; test it with: {self.curl}")

    @property
    def curl(self) -> str:
        """A command that tests the endpoint by hand; it names the key's variable, never the key."""
        address = self._address("/models")
        header = {"openai": "Authorization: Bearer $", "anthropic": "x-api-key: $"}[self.api] + self.key
        if self._has_api_version:
            header, address = f"api-key: ${self.key}", f"'{address}'"
        version = f' -H "anthropic-version: {_ANTHROPIC_VERSION}"' if self.api == "anthropic" else ""
        return f"curl -sS {address}" + (f' -H "{header}"' if self.key else "") + version

    async def close(self) -> None:
        """Wait for the calls under way, keep what they bring, and close everything; a later use opens it again."""
        if self._under_way:
            await asyncio.wait(self._under_way.values())
        if self._client is not None:
            await self._client.aclose()
            self._client = None
        self.book.close()
        self._turns, self._next = asyncio.Semaphore(self.concurrency), 0.0

    async def _turn(self) -> None:
        """Wait until one more call may begin; the semaphore is held then."""
        await self._turns.acquire()
        try:
            while (early := self._next - self.clock()) > 0:
                await self.sleep(early)
        except BaseException:
            self._turns.release()
            raise
        self._next = self.clock() + (60 / self.per_minute if self.per_minute else 0.0)

    def _begin(self, key: str, request: Request) -> asyncio.Task[tuple[Reply, float]]:
        call = asyncio.get_running_loop().create_task(self._call(key, request))
        self._under_way[key] = call

        def done(call: asyncio.Task[tuple[Reply, float]]) -> None:
            del self._under_way[key]
            self._turns.release()
            if not call.cancelled():
                call.exception()  # seen: whoever waited for it may be gone

        call.add_done_callback(done)
        return call

    async def _call(self, key: str, request: Request) -> tuple[Reply, float]:
        """One call, booked."""
        most = self.book.prices.most(request.tokens_in, request.max_tokens)
        self.book.reserve(most)
        try:
            reply = await self._exchange(request)
        except BaseException as error:
            if isinstance(error, EndpointError) and not error.billed:
                self.book.release(most)
            else:
                cost = self.book.settle(most, key, None)
                if isinstance(error, EndpointError):
                    error.cost, error.calls = cost, 1
            raise
        cost = self.book.settle(most, key, reply)
        if reply.refusal:
            refusal = RejectedError(f"{self.url}: {reply.refusal}", lasting=False)
            refusal.cost, refusal.calls = cost, 1
            raise refusal
        return reply, cost

    async def _exchange(self, request: Request) -> Reply:
        """The reply, asked for without the fields that the model refuses.

        Each of the calls that are under way when a field is first refused leaves it out by itself and asks again; as
        each time one more is left out, this ends.
        """
        while True:
            left_out = frozenset(self._refused)
            body = body_without(left_out, self.api, self.model, request, self.parameters)
            answer = await self._send("POST", chat.PATHS[self.api], json=body)
            status, wait = answer.response.status_code, retry_after(answer.response)
            if answer.response.is_success:
                try:
                    reply = chat.read(self.api, answer.data, request)
                except chat.GarbledError as error:
                    why = self._without_key(str(error))
                    raise UnreadableError(f"{self.url}: {why}", billed=error.billed) from None
                except chat.ProviderError as error:
                    status, words = error.status, error.words
                else:
                    # What an endpoint says, its key included, may end up in the log.
                    clean = {"text": self._without_key(reply.text), "refusal": self._without_key(reply.refusal)}
                    return msgspec.structs.replace(reply, **clean)
            else:
                words = answer.data[:_READ].decode("utf-8", "replace")
            spare = refused_field(self.api, status, words, body, left_out)
            if spare is None:
                raise self._failure(status, words, wait, answer)
            self._refused.add(spare)

    def _failure(
        self, status: int, words: str, wait: float | None, answer: http_client.BoundedResponse
    ) -> EndpointError:
        """What an answer that is no reply means. status: 0 where it says an error and not which."""
        response = answer.response
        in_reply = f"{status or 'an error'}: {self._safe_excerpt(words)}"
        message = f"{self.url} answers {in_reply if response.is_success else self._words(answer)}"
        unpaid = any(mark in words.casefold() for mark in _UNPAID)
        if 300 <= status < 400:
            target = http_client.without_password(urljoin(self.url, response.headers.get("location", "")))
            for call in chat.PATHS.values():
                target = target.removesuffix(call)
            return RejectedError(
                f"{message} and points to {self._without_key(one_line(target))}; if that is the right address, make it "
                "the option endpoint",
                lasting=True,
            )
        if (status in RETRIED or status >= 500 or not status) and not unpaid:
            return BusyError(message, wait)
        parts = urlsplit(self.url)
        if status in (404, 405) and not re.search(r"/v\d", parts.path) and "model" not in words.casefold():
            message += f"; most endpoints are under /v1: try {parts._replace(path=parts.path + '/v1').geturl()}"
        return RejectedError(message, lasting=unpaid or status in (401, 402, 403, 404, 405))

    async def _send(self, method: str, path: str, **content: Any) -> http_client.BoundedResponse:
        try:
            if self._client is None:
                self._client = http_client.open_client(self.url, self.timeout)
            async with asyncio.timeout(self.timeout):
                return await http_client.exchange(self._client, method, self._address(path), self._headers(), **content)
        except BadInputError as error:
            raise RejectedError(f"{self.url} cannot be asked: {error}", lasting=True) from None
        except http_client.AnswerError as error:
            raise UnreadableError(f"{self.url}: {error}", billed=True) from None
        except (TimeoutError, httpx.HTTPError) as error:
            sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)
            raise UnreachableError(self.url, self._reason(error), billed=sent) from None

    def _address(self, path: str) -> str:
        parts = urlsplit(self.url)
        return parts._replace(path=parts.path + path).geturl()

    @property
    def _secret(self) -> str:
        return os.environ.get(self.key, "").strip() if self.key else ""

    @property
    def _has_api_version(self) -> bool:
        """Whether it is spoken to as Azure's, which takes its keys under a name of its own."""
        return "api-version=" in self.url

    def _headers(self) -> dict[str, str]:
        if self.api == "anthropic":
            return {"anthropic-version": _ANTHROPIC_VERSION} | ({"x-api-key": self._secret} if self.key else {})
        if not self.key:
            return {}
        bearer = {"Authorization": f"Bearer {self._secret}"}
        if not self._has_api_version:
            return bearer
        azure = (urlsplit(self.url).hostname or "").endswith((".azure.com", ".azure.us", ".azure.cn"))
        return {"api-key": self._secret} | ({} if azure else bearer)  # there a bearer is a token of another kind

    def _without_key(self, text: str) -> str:
        # A word of a few letters, as local servers take it for a key, is no secret and may stand anywhere.
        return text.replace(self._secret, "***") if len(self._secret) >= 8 else text

    def _words(self, answer: http_client.BoundedResponse) -> str:
        """An answer that is no reply, in short: its status and its own words."""
        own_words = self._safe_excerpt(chat.error_words(answer.data))
        return f"{answer.response.status_code} {answer.response.reason_phrase}" + (
            f": {own_words}" if own_words else ""
        )

    def _safe_excerpt(self, words: str) -> str:
        return one_line(self._without_key(words[:_READ]), "")[:_SHOWN]

    def _wait(self, key: str, failures: int, failure: EndpointError) -> float:
        """Seconds until the next try. The jitter comes from the key: calls spread, and a run can be repeated."""
        jitter = int(hash_of([key, failures])[:8], 16) / 2**32
        wait = min(self.backoff * 2.0 ** (failures - 1), LONGEST_WAIT) * (1 - jitter / 2)
        if isinstance(failure, BusyError) and failure.wait is not None:
            wait = max(wait, failure.wait)
            if wait <= LONGEST_WAIT:
                self._next = max(self._next, self.clock() + failure.wait)  # it asked all of us
        return wait

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            reason = f"not in {self.timeout:g} s"
        else:
            reason = self._safe_excerpt(str(error)) or type(error).__name__
        if "certificate" in reason.lower():
            reason += "; name its authority's certificate in the environment variable SSL_CERT_FILE"
        proxy = http_client.proxy_of(self.url)
        return f"{reason}, through the proxy {http_client.without_password(proxy)}" if proxy else reason
