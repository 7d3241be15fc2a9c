"""The model whose prompts are tuned: an endpoint, or a Python function."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from adapters.llm.calls import BudgetError, CallBook, Prices
from adapters.llm.chat import Api, Reply, Request
from adapters.llm.endpoint import Completion, Endpoint, EndpointError, RejectedError, checked_url
from adapters.llm.reasoning import is_empty, without_reasoning
from elicit.plugins.user_files import load_module
from elicit.safe_text import describe_error
from elicit.tuning.protocol import Response
from elicit.types import BadInputError

logger = logging.getLogger(__name__)

SOON = 0.05


class DownError(Exception):
    """The model does not answer now; the message says why, and how to test it."""


class SpentError(Exception):
    """The next response could cost more money than is left."""


class Target(Protocol):
    """Answers filled prompts."""

    async def check(self) -> None:
        """Make sure, at no cost, that it can answer. Raises BadInputError, which says how to test it, where not."""
        ...

    async def respond(self, prompt: str, system: str = "", sample: int = 0) -> Response:
        """Its response without what it thought first, or its failure to respond to this very prompt; a response with
        nothing in it is one. sample tells several draws apart.

        Raises DownError where it answers nothing now, SpentError where the money is spent.
        """
        ...

    async def end(self) -> None:
        """Keep what calls under way bring, and close everything."""
        ...


class EndpointTarget:
    """A model behind an endpoint. What it answered is kept by content in the study's folder and never paid twice.

    role: what it is in the study, as messages call it.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        endpoint: str,
        model: str,
        api: Api = "openai",
        key: str = "",
        price_in: float = 0.0,
        price_out: float = 0.0,
        money: float | None = None,
        temperature: float = 0.0,
        max_tokens: int = 512,
        role: str = "the target model",
        **how: Any,
    ) -> None:
        book = CallBook(folder, name, Prices.of(api, price_in, price_out), money)
        self._temperature, self._max_tokens, self._role = temperature, max_tokens, role
        self._under_way = 0
        self._endpoint = Endpoint(url=checked_url(endpoint), api=api, model=model, key=key, book=book, **how)

    async def check(self) -> None:
        try:
            await self._endpoint.check()
        except BadInputError as error:
            raise BadInputError(f"{self._role}: {error}") from None

    async def respond(self, prompt: str, system: str = "", sample: int = 0) -> Response:
        request = Request(system, prompt, self._max_tokens, self._temperature, sample=sample)
        start = time.monotonic()
        try:
            answer = await self._ask_endpoint(request)
        except BudgetError as error:
            raise SpentError(
                f"{self._role}: {error}, and the next call could cost more; raise tuning.money to go on"
            ) from None
        except RejectedError as error:
            if error.lasting:
                raise self._down_error(error) from None
            return Response(failure=str(error), cost=error.cost)
        except EndpointError as error:
            raise self._down_error(error) from None
        reply, text = answer.reply, without_reasoning(answer.reply.text)
        failure = self._why_empty(reply) if is_empty(text) else ""
        took = (reply.tokens_in, reply.tokens_out, answer.cost, time.monotonic() - start)
        return Response("" if failure else text, failure, *took, cut=reply.cut and not failure)

    def _down_error(self, error: EndpointError) -> DownError:
        return DownError(f"{self._role}: {error}; test it with: {self._endpoint.curl}")

    def _why_empty(self, reply: Reply) -> str:
        """Why a reply has no answer in it."""
        if reply.cut:
            return f"all reasoning, no answer: it was cut at max_tokens; raise it from {self._max_tokens}"
        # One token may be the end alone.
        thought = reply.tokens_out > 1 or without_reasoning(reply.text) != reply.text
        return "all reasoning, no answer" if thought else "the response is empty"

    async def _ask_endpoint(self, request: Request) -> Completion:
        while True:
            self._under_way += 1
            try:
                return await self._endpoint.ask(request)
            except BudgetError:
                if self._under_way == 1:
                    raise
            finally:
                self._under_way -= 1
            await asyncio.sleep(SOON)  # a call under way may cost less than is put aside for it

    async def end(self) -> None:
        await self._endpoint.close()


class FunctionTarget:
    """A Python function `path/to/file.py:name` that takes the filled prompt and gives the response, async or not.

    What it raises is a failure to respond to this prompt, and so is taking longer than `timeout` seconds. concurrency:
    calls under way at most.
    """

    def __init__(self, place: str, concurrency: int = 8, timeout: float = 60.0) -> None:
        self._place, self._timeout = place, timeout
        self._call = function_at(place)
        self._turns = asyncio.Semaphore(concurrency)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="target")

    async def check(self) -> None:
        """It was found when it was made."""

    async def respond(self, prompt: str, system: str = "", sample: int = 0) -> Response:
        full_prompt = f"{system}\n\n{prompt}" if system else prompt
        async with self._turns:
            start = time.monotonic()
            try:
                async with asyncio.timeout(self._timeout):
                    if inspect.iscoroutinefunction(self._call):
                        response = await self._call(full_prompt)
                    else:
                        response = await asyncio.get_running_loop().run_in_executor(
                            self._threads, self._call, full_prompt
                        )
            except TimeoutError:
                return Response(failure=f"{self._place} did not answer in {self._timeout:g} s")
            except (KeyboardInterrupt, asyncio.CancelledError, GeneratorExit):
                raise
            except BaseException as error:  # panics of compiled packages are no Exception
                logger.exception("%s failed", self._place)
                return Response(failure=f"{self._place} raised {describe_error(error)}")
        if not isinstance(response, str):
            return Response(failure=f"{self._place} gave {type(response).__name__} and no text")
        response = response.encode("utf-8", "replace").decode()  # half a character can be neither stored nor shown
        text = without_reasoning(response)
        if is_empty(text):
            return Response(
                failure="all reasoning, no answer" if response != text else f"{self._place} gave an empty text"
            )
        return Response(text, seconds=time.monotonic() - start)

    async def end(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def function_at(place: str) -> Callable[..., Any]:
    """The function at `path/to/file.py:name`. Raises BadInputError where there is none."""
    file, _, name = place.rpartition(":")
    value = getattr(load_module("function", place, "name"), name, None)
    if not callable(value):
        raise BadInputError(f"function {place!r}: {file} has no function {name!r}")
    function: Callable[..., Any] = value
    return function
