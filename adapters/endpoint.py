"""The door to a language model: asks it over HTTP, waits its turn, tries again, and keeps what was paid for."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import msgspec

from adapters import chat
from adapters.calls import CallBook
from adapters.chat import Api, Reply, Request
from adapters.connection import retry_after
from elicit.types import BadInputError, hash_of

LONGEST_WAIT = 120.0
"""Seconds to wait at most before trying again; an endpoint that asks for more has failed."""
RETRIED = (408, 409, 425, 429)
"""What is tried again beside 5xx: timeout, conflict, too early, too many requests."""
_ANTHROPIC_VERSION = "2023-06-01"
_SHOWN = 200  # characters of an endpoint's own words in a failure


class EndpointError(Exception):
    """The endpoint gave no answer; the message is a short reason. `billed`: whether the call may cost all the same."""

    def __init__(self, why: str, *, billed: bool) -> None:
        super().__init__(why)
        self.billed = billed


class UnreachableError(EndpointError):
    """Nobody answered: refused, cut off, or too slow."""


class UnreadableError(EndpointError):
    """It answered something that is no reply."""


class RefusedError(EndpointError):
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
    """The address without a slash at its end.

    Raises BadInputError where it is none, or holds a password or key.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInputError("option endpoint is no http address; give one, as in http://127.0.0.1:8080/v1")
    if parts.username or parts.password or parts.query:
        raise BadInputError(
            "option endpoint holds a password or key; take it out, and say in key which environment variable has it"
        )
    return url.rstrip("/")


class Answer(NamedTuple):
    """A reply, what was paid for it now, and whether it had been paid for before."""

    reply: Reply
    cost: float
    cached: bool


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

    async def ask(self, request: Request) -> Answer:
        """The model's reply to the request; one that was paid for before costs nothing.

        Cancelling is safe at any time: a call that is under way goes on, and what it brings is kept (see `close`).
        Raises EndpointError where there is no reply, BudgetError where the call could cost more than is left.
        """
        key = hash_of([self.api, self.url, request.sample, self._body(request, whole=True)])
        failures = 0
        while True:
            if (known := self.book.find(key)) is not None:
                return Answer(known, 0.0, True)
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
                return Answer(reply, cost if mine else 0.0, not mine)
            except (UnreachableError, BusyError, UnreadableError) as failure:
                failures += 1
                wait = self._wait(key, failures, failure)
                if failures > self.retries or wait > LONGEST_WAIT:
                    raise
            await self.sleep(wait)

    async def check(self) -> None:
        """Make sure that the endpoint answers and takes the key; costs nothing.

        Raises BadInputError, one sentence with a command that tests the endpoint.
        """
        try:
            async with asyncio.timeout(self.timeout):
                answer = await self._http().get(f"{self.url}/models", headers=self._headers())
        except (httpx.HTTPError, TimeoutError) as error:
            raise BadInputError(
                f"{self.url} does not answer ({self._reason(error)}); start it, or test it with: {self.curl}"
            ) from None
        # Not every endpoint lists its models; that it answers is enough then.
        if answer.status_code in (401, 403) or answer.status_code >= 500:
            raise BadInputError(f"{self.url} answers {self._words(answer)}; test it with: {self.curl}")

    @property
    def curl(self) -> str:
        """A command that tests the endpoint by hand; it names the key's variable, never the key."""
        header = {"openai": "Authorization: Bearer $", "anthropic": "x-api-key: $"}[self.api] + self.key
        version = f' -H "anthropic-version: {_ANTHROPIC_VERSION}"' if self.api == "anthropic" else ""
        return f"curl -sS {self.url}/models" + (f' -H "{header}"' if self.key else "") + version

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
        most = self.book.prices.cost(request.tokens_in, request.max_tokens)
        self.book.reserve(most)
        try:
            reply = await self._exchange(request)
        except BaseException as error:
            if isinstance(error, EndpointError) and not error.billed:
                self.book.release(most)
            else:
                self.book.settle(most, key, None)
            raise
        return reply, self.book.settle(most, key, reply)

    async def _exchange(self, request: Request) -> Reply:
        body, address = self._body(request), self.url + chat.PATHS[self.api]
        http = self._http()
        try:
            async with asyncio.timeout(self.timeout):
                answer = await http.post(address, json=body, headers=self._headers())
        except (TimeoutError, httpx.HTTPError) as error:
            sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            raise UnreachableError(f"no answer from {self.url} ({self._reason(error)})", billed=sent) from None
        if answer.status_code == 200:
            try:
                reply = chat.read(self.api, answer.content, request)
            except chat.GarbledError as error:
                raise UnreadableError(f"{self.url}: {error}", billed=True) from None
            # What an endpoint says, its key included, may end up in the log.
            return msgspec.structs.replace(reply, text=self._without_key(reply.text))
        words = self._words(answer)
        unpaid = "insufficient_quota" in words
        if (answer.status_code in RETRIED or answer.status_code >= 500) and not unpaid:
            raise BusyError(f"{self.url} answers {words}", retry_after(answer))
        if answer.status_code in (400, 403, 422):
            named = (name for name, word in _SPARE[self.api].items() if name in body and word in words)
            spare = next((name for name in named if name not in self._refused), None)
            if spare is not None:
                self._refused.add(spare)
                return await self._exchange(request)
        lasting = unpaid or answer.status_code in (401, 402, 403, 404)
        raise RefusedError(f"{self.url} answers {words}", lasting=lasting)

    def _body(self, request: Request, *, whole: bool = False) -> dict[str, Any]:
        """What is sent: `whole` is what we would send to an endpoint that takes every field."""
        body = chat.body(self.api, self.model, request) | self.parameters
        for name in set() if whole else self._refused & body.keys():
            value = body.pop(name)
            if name == "max_tokens":
                body["max_completion_tokens"] = value
            if name == "top_logprobs" and "logprobs" not in self._refused:
                body["top_logprobs"] = min(value, _FEW_ALTERNATIVES)
        return body

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self.timeout)
        return self._client

    @property
    def _secret(self) -> str:
        return os.environ.get(self.key, "").strip() if self.key else ""

    def _headers(self) -> dict[str, str]:
        if self.api == "anthropic":
            return {"anthropic-version": _ANTHROPIC_VERSION} | ({"x-api-key": self._secret} if self.key else {})
        return {"Authorization": f"Bearer {self._secret}"} if self.key else {}

    def _without_key(self, text: str) -> str:
        # A word of a few letters, as local servers take it for a key, is no secret and may stand anywhere.
        return text.replace(self._secret, "***") if len(self._secret) >= 8 else text

    def _words(self, answer: httpx.Response) -> str:
        """An answer that is no reply, in short: its status and its own words."""
        said = " ".join(self._without_key(answer.content.decode("utf-8", "replace")).split())
        return f"{answer.status_code} {answer.reason_phrase}" + (f": {said[:_SHOWN]}" if said else "")

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
            return f"not in {self.timeout:g} s"
        return self._without_key(str(error)) or type(error).__name__


_FEW_ALTERNATIVES = 5
_SPARE: dict[Api, dict[str, str]] = {
    "openai": {
        "top_logprobs": "logprobs",
        "logprobs": "logprobs",
        "response_format": "response_format",
        "temperature": "temperature",
        "seed": "seed",
        "max_tokens": "max_tokens",
    },
    "anthropic": {"temperature": "temperature"},
}
"""Fields that some models refuse, and the word in an error that tells; tried in this order.

One that is refused is left out from then on; of top_logprobs fewer are asked for, and max_tokens has a newer name.
"""
