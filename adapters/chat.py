"""What is said on the wire to a language model, and what comes back.

Two dialects: OpenAI's chat completions, which vLLM, Ollama, llama.cpp and xllamacpp speak too, and Anthropic's
messages. Nothing here calls anybody.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

Api = Literal["openai", "anthropic"]

PATHS: dict[Api, str] = {"openai": "/chat/completions", "anthropic": "/messages"}
MOST_ALTERNATIVES = 20
"""The most that OpenAI and vLLM give for a token."""
_PIECE = re.compile(r"[A-Za-z]{1,4}|\S|\n")
_FRAME = 24  # tokens around the two messages
_TOOL = "answer"


class Request(msgspec.Struct, frozen=True):
    """One question to a model.

    `system`: what stands before the question, may be empty. `labels`: the words an answer may be; where there are any,
    alternatives and their log-probabilities are asked for.
    `schema`: the JSON schema of the reply, {} for prose. `sample` tells several draws of the same question apart.
    """

    system: str
    user: str
    max_tokens: int
    temperature: float = 0.0
    labels: tuple[str, ...] = ()
    schema: dict[str, Any] = {}
    sample: int = 0

    @property
    def tokens_in(self) -> int:
        """About how many tokens this is to read, rather too many."""
        schema = tokens(msgspec.json.encode(self.schema).decode()) if self.schema else 0
        return tokens(self.system) + tokens(self.user) + schema + _FRAME


class Token(msgspec.Struct, frozen=True, array_like=True):
    """A token of the reply: its text, where in the reply it starts, and log-probabilities of what could stand there."""

    text: str
    start: int
    top: dict[str, float]


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the model said.

    `tokens`: the first token and those that are a label, empty where the endpoint gives no log-probabilities. `cut`:
    whether it ended because it was long. `tokens_in`, `tokens_out`: as billed.
    """

    text: str
    tokens: tuple[Token, ...] = ()
    cut: bool = False
    tokens_in: int = 0
    tokens_out: int = 0


class GarbledError(ValueError):
    """The body of a reply is not what its API says it is."""


def tokens(text: str) -> int:
    """About how many tokens a text is, rather too many: four Latin letters are one, and so is every other mark."""
    return len(_PIECE.findall(text))


def body(api: Api, model: str, request: Request) -> dict[str, Any]:
    """The JSON body that asks the request."""
    user = [{"role": "user", "content": request.user}]
    asked: dict[str, Any] = {"model": model, "max_tokens": request.max_tokens, "temperature": request.temperature}
    if api == "anthropic":
        if request.schema:
            # A tool that must be used is a schema that every model of this API takes.
            asked["tools"] = [{"name": _TOOL, "description": "Give the answer.", "input_schema": request.schema}]
            asked["tool_choice"] = {"type": "tool", "name": _TOOL}
        return asked | ({"system": request.system} if request.system else {}) | {"messages": user}
    if request.sample:
        asked["seed"] = request.sample
    if request.labels:
        asked |= {"logprobs": True, "top_logprobs": MOST_ALTERNATIVES}
    if request.schema:
        wanted = {"name": _TOOL, "schema": request.schema, "strict": True}
        asked["response_format"] = {"type": "json_schema", "json_schema": wanted}
    system = [{"role": "system", "content": request.system}] if request.system else []
    return asked | {"messages": [*system, *user]}


def read(api: Api, data: bytes, request: Request) -> Reply:
    """The reply in a body.

    Raises GarbledError where it is not what the API says.
    """
    try:
        if api == "anthropic":
            return _read_message(msgspec.json.decode(data, type=_Message), request)
        return _read_completion(msgspec.json.decode(data, type=_Completion), request)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise GarbledError(f"its reply cannot be read ({error})") from None


def is_label(text: str, label: str) -> bool:
    """Whether a token is a label: spaces and marks around it aside, and capitals too unless it is a single letter."""
    bare = text.strip(" \t\r\n*_\"'`()[]{}:.,#")
    return bare == label or (len(label) > 1 and bare.casefold() == label.casefold())


def _read_completion(completion: _Completion, request: Request) -> Reply:
    if not completion.choices:
        raise GarbledError("its reply has no choices")
    choice = completion.choices[0]
    text = choice.message.content or ""
    usage = completion.usage or _CompletionUsage(request.tokens_in, tokens(text))
    parts = (choice.logprobs.content or []) if choice.logprobs else []
    # What a reasoning model thought may be among the tokens, but not in the text.
    before = "".join(part.token for part in parts).rfind(text)
    start, kept = -before, list[Token]()
    for part in parts if before >= 0 else []:
        if start >= 0 and part.top_logprobs and (not kept or any(is_label(part.token, v) for v in request.labels)):
            top: dict[str, float] = {}
            for one in part.top_logprobs:
                top[one.token] = max(one.logprob, top.get(one.token, one.logprob))
            kept.append(Token(part.token, start, top))
        start += len(part.token)
    cut = choice.finish_reason == "length"
    return Reply(text, tuple(kept), cut, usage.prompt_tokens, usage.completion_tokens)


def _read_message(message: _Message, request: Request) -> Reply:
    used = [msgspec.json.encode(block.input).decode() for block in message.content if block.type == "tool_use"]
    text = used[0] if used else "".join(block.text for block in message.content if block.type == "text")
    usage = message.usage or _MessageUsage(request.tokens_in, tokens(text))
    read = usage.input_tokens + (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    return Reply(text, (), message.stop_reason == "max_tokens", read, usage.output_tokens)


_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Alternative(msgspec.Struct):
    token: str
    logprob: float


class _Part(msgspec.Struct):
    token: str
    top_logprobs: list[_Alternative] = []


class _Logprobs(msgspec.Struct):
    content: list[_Part] | None = None


class _Said(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Said
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None


class _CompletionUsage(msgspec.Struct):
    prompt_tokens: _Count = 0
    completion_tokens: _Count = 0


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _CompletionUsage | None = None


class _Block(msgspec.Struct):
    type: str
    text: str = ""
    input: Any = None


class _MessageUsage(msgspec.Struct):
    input_tokens: _Count = 0
    output_tokens: _Count = 0
    cache_creation_input_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None


class _Message(msgspec.Struct):
    content: list[_Block]
    usage: _MessageUsage | None = None
    stop_reason: str | None = None
