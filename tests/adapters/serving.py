"""A real HTTP server on this machine that answers what a test tells it to, well or badly."""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any


@dataclass
class Got:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def user(self) -> str:
        """What the user's message says."""
        return str(self.json["messages"][-1]["content"])


@dataclass
class Say:
    """An answer. missing: how many bytes of the body are promised and never sent. hang: never answer at all."""

    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    missing: int = 0
    hang: bool = False


Answerer = Callable[[Got], Say]


@dataclass
class Server:
    """`script`: what the next requests get, one after the other; then `always` answers. `linger`: seconds it takes."""

    url: str
    always: Answerer
    script: list[Say] = field(default_factory=list)
    got: list[Got] = field(default_factory=list)
    linger: float = 0.0
    at_once: int = 0
    most_at_once: int = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            got = Got(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))
            self.got.append(got)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            await asyncio.sleep(self.linger)
            say = self.script.pop(0) if self.script else self.always(got)
            if say.hang:
                await reader.read()  # until the other side gives up
                return
            size = len(say.body) + say.missing
            lines = [f"HTTP/1.1 {say.status} Said", f"Content-Length: {size}", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in say.headers.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode() + say.body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.at_once -= 1
            writer.close()


@asynccontextmanager
async def serving(always: Answerer) -> AsyncIterator[Server]:
    """A server on a free port of the loopback."""
    server = Server("", always)
    listener = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listener.close()


@contextmanager
def serving_aside(always: Answerer) -> Iterator[Server]:
    """The same in a thread of its own, for what brings its own event loop."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    held = serving(always)
    try:
        yield asyncio.run_coroutine_threadsafe(held.__aenter__(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(held.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def completion(text: str, top: dict[str, float] | None = None, tokens: tuple[int, int] = (100, 1)) -> Say:
    """A chat completion; `top`: log-probabilities of what could stand where its last word stands."""
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    if top is not None:
        head, gap, last = text.rpartition(" ")
        parts = [{"token": head + gap, "logprob": 0.0, "top_logprobs": []}] if head else []
        alternatives = [{"token": token, "logprob": p, "bytes": None} for token, p in top.items()]
        choice["logprobs"] = {"content": [*parts, {"token": last, "logprob": 0.0, "top_logprobs": alternatives}]}
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    return Say(json.dumps({"id": "c1", "object": "chat.completion", "choices": [choice], "usage": usage}).encode())


def message(text: str = "", used: Any = None, tokens: tuple[int, int] = (100, 1)) -> Say:
    """A reply of Anthropic's messages API: text, or a tool's use."""
    block = {"type": "text", "text": text} if used is None else {"type": "tool_use", "id": "t1", "name": "answer"}
    if used is not None:
        block["input"] = used
    usage = {"input_tokens": tokens[0], "output_tokens": tokens[1]}
    body = {"id": "m1", "type": "message", "content": [block], "stop_reason": "end_turn", "usage": usage}
    return Say(json.dumps(body).encode())


def honest(got: Got) -> Say:
    """A model that judges by the last number in a response, in whichever way the system's message asks for."""
    if got.method == "GET":
        return Say(b'{"object": "list", "data": [{"id": "m"}]}')
    told = got.json["messages"][0]["content"]
    found = re.findall(r"\[([0-9a-f]{8})\]\n(.*?)\n\[/\1\]", got.user, re.DOTALL)
    worth = [float((re.findall(r"\d+", text) or ["0"])[-1]) for _, text in found]
    if told.startswith("You compare"):
        lead = worth[-2] - worth[-1] + 0.5  # a little for the first place
        return completion("A" if lead > 0 else "B", {"A": -_softplus(-lead), " B": -_softplus(lead)})
    if told.startswith("You say"):
        return completion("Yes", {"Yes": -_softplus(-worth[-1]), "No": -_softplus(worth[-1])})
    if told.startswith("You grade"):
        score = str(max(1, min(5, int(worth[-1]))))
        return completion(f"It is fine. Score: {score}", {score: -0.1, "3": -2.5}, (100, 8))
    first, second = (max(1, min(5, int(w))) for w in worth[-2:])
    names = re.findall(r"^- (\w+): ", got.user, re.MULTILINE)
    rated = {"reasoning": "by numbers", "A": dict.fromkeys(names, first), "B": dict.fromkeys(names, second)}
    return completion(json.dumps(rated), tokens=(100, 40))


def _softplus(x: float) -> float:
    return math.log1p(math.exp(x))
