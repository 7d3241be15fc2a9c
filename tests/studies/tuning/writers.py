"""Models that write, for the tests of proposers: a real endpoint on this machine, behind the protocol."""

import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

from adapters.llm.calls import CallBook, Prices
from adapters.llm.chat import Request
from adapters.llm.endpoint import Endpoint, EndpointError
from tests.adapters.serving import Answerer, Got, Say, Server, completion, serving


class Typist:
    """Writes with the model of an endpoint."""

    def __init__(self, url: str, folder: Path, *, longest: int = 400) -> None:
        book = CallBook(folder, "writer", Prices.of("openai", 1.0, 1.0))
        self.endpoint = Endpoint(url=url, api="openai", model="m", key="", book=book, retries=0)
        self._longest = longest

    async def __call__(self, system: str, user: str, draft: int = 0) -> str:
        asked = Request(system, user, self._longest, temperature=1.0, sample=draft)
        try:
            return (await self.endpoint.ask(asked)).reply.text
        except EndpointError as error:
            raise OSError(str(error)) from error


@contextlib.asynccontextmanager
async def typist(always: Answerer, folder: Path) -> AsyncIterator[tuple[Typist, Server]]:
    """A writer at a server that answers what it is told to."""
    folder.mkdir(exist_ok=True)
    async with serving(always) as server:
        writer = Typist(server.url, folder)
        try:
            yield writer, server
        finally:
            await writer.endpoint.close()


def saying(text: str) -> Answerer:
    """A model that always says the same."""
    return lambda got: completion(text)


def willing(got: Got) -> Say:
    """A model that does as it is told: says what is wrong, and puts a text of its own between the marks."""
    seed = got.json.get("seed", 0)
    places = " ".join(f"Use {{{name}}}." for name in re.findall(r"^Write \{(\w+)\}", got.user, re.MULTILINE))
    if "<response>" in got.user:
        return completion(f"It is too long. It rambles.\n<response>\nBetter {seed}.\n</response>")
    if "<prompt>" in got.user:
        return completion(f"It does not say which answers there are.\n\n<prompt>\nTry {seed}. {places}\n</prompt>")
    return completion(f"Draft {seed}.")
