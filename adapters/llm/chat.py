"""What is said on the wire to a language model, and what comes back.

Two dialects: OpenAI's chat completions, which vLLM, Ollama, llama.cpp and xllamacpp speak too, and Anthropic's
messages. Nothing here calls anybody.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from elicit.safe_text import one_line

Api = Literal["openai", "anthropic"]

PATHS: dict[Api, str] = {"openai": "/chat/completions", "anthropic": "/messages"}
MOST_ALTERNATIVES = 20
"""The most that OpenAI and vLLM give for a token."""
_PIECE = re.compile(r"[A-Za-z]{1,4}|\S|\n")
_FRAME = 24  # tokens around the two messages
_MOST_TOKENS = 10**9  # more than any call reads or writes
_IMPOSSIBLE = 1e6  # a log-probability beyond it says nothing
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


class ReplyToken(msgspec.Struct, frozen=True, array_like=True):
    """A token of the reply: its text, where in the reply it starts, and log-probabilities of what could stand there."""

    text: str
    start: int
    top: dict[str, float]


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the model said.

    `tokens`: the first token and those that are a label, empty where the endpoint gives no log-probabilities. `cut`:
    whether it ended because it was long. `tokens_in`, `tokens_out`: as billed; of those read, `cached` came from the
    provider's cache and `stored` were written to it, each at a price of its own. `refusal`: why there is no answer, in
    the provider's words.
    """

    text: str
    tokens: tuple[ReplyToken, ...] = ()
    cut: bool = False
    tokens_in: int = 0
    tokens_out: int = 0
    cached: int = 0
    stored: int = 0
    refusal: str = ""


class GarbledError(ValueError):
    """The body of a reply is not what its API says it is. `billed`: whether a model may have answered all the same."""

    def __init__(self, why: str, *, billed: bool = True) -> None:
        super().__init__(why)
        self.billed = billed


class ProviderError(Exception):
    """The body says in the provider's words why there is no reply; `status`: the one that such an answer has, 0 where
    it does not say."""

    def __init__(self, words: str, status: int) -> None:
        super().__init__(words)
        self.words, self.status = words, status


def tokens(text: str) -> int:
    """About how many tokens a text is, rather too many: four Latin letters are one, and so is every other mark."""
    return len(_PIECE.findall(text))


def body(api: Api, model: str, request: Request) -> dict[str, Any]:
    """The JSON body that asks the request."""
    user = [{"role": "user", "content": request.user}]
    payload: dict[str, Any] = {"model": model, "max_tokens": request.max_tokens, "temperature": request.temperature}
    if api == "anthropic":
        if request.schema:
            # A tool that must be used is a schema that every model of this API takes.
            payload["tools"] = [{"name": _TOOL, "description": "Give the answer.", "input_schema": request.schema}]
            payload["tool_choice"] = {"type": "tool", "name": _TOOL}
        return payload | ({"system": request.system} if request.system else {}) | {"messages": user}
    if request.sample:
        payload["seed"] = request.sample
    if request.labels:
        payload |= {"logprobs": True, "top_logprobs": MOST_ALTERNATIVES}
    if request.schema:
        response_schema = {"name": _TOOL, "schema": request.schema, "strict": True}
        payload["response_format"] = {"type": "json_schema", "json_schema": response_schema}
    system = [{"role": "system", "content": request.system}] if request.system else []
    return payload | {"messages": [*system, *user]}


def without_system(request: Request) -> Request:
    """The same for a model that takes no system message: it stands before the question."""
    return msgspec.structs.replace(request, system="", user=f"{request.system}\n\n{request.user}")


def read(api: Api, data: bytes, request: Request) -> Reply:
    """The reply in a body; what is not needed for it may be missing or wrong.

    Raises GarbledError where it is not what the API says, ProviderError where it says an error instead.
    """
    try:
        body = _decode_body(data)
        if api == "anthropic" and isinstance(body.get("content"), list):
            return _read_message(body, request)
        if api == "openai" and (choices := _list(body.get("choices"))) and isinstance(choices[0], dict):
            return _read_completion(body, choices[0], request)
        if words := words_in(body):
            raise ProviderError(words, _status_in(body))
    except RecursionError:
        raise GarbledError("its reply cannot be read (it is nested too deep)") from None
    lacking = "content" if api == "anthropic" else "choices"
    raise GarbledError(f"its reply has no {lacking}: {one_line(data[:400].decode('utf-8-sig', 'replace'), '')[:120]}")


def is_label(text: str, label: str) -> bool:
    """Whether a token is a label: spaces and marks around it aside, and capitals too unless it is a single letter."""
    bare = text.strip(" \t\r\n*_\"'`()[]{}:.,#")
    return bare == label or (len(label) > 1 and bare.casefold() == label.casefold())


def words_in(body: Any) -> str:
    """What an error says, wherever providers put it: "error", "message", "detail"; empty where it says nothing."""
    kind = ""
    for _ in range(5):
        if isinstance(body, list):
            body = body[0] if body else ""
        if not isinstance(body, dict):
            break
        body = next((body[name] for name in ("error", "message", "detail", "msg", "errors") if body.get(name)), kind)
        if isinstance(body, dict):
            kind = _text(body.get("code")) or _text(body.get("type"))
    return _text(body).strip()


def error_words(data: bytes) -> str:
    """What an answer that is an error says: its words, those of a web page, or its beginning as it is."""
    text = data[:100_000].decode("utf-8", "replace").strip()
    if text.startswith("<"):
        return _page_words(text)
    try:
        return words_in(json.loads(text)) or text
    except (ValueError, RecursionError):
        return text


def _decode_body(data: bytes) -> dict[str, Any]:
    """The object in a body. Python's own decoder takes the infinities that some servers give as log-probabilities."""
    text = data.decode("utf-8-sig", "replace").strip()
    start = text[:200].lstrip().lower()
    if start.startswith(("data:", "event:", ": ", ":\n")):
        raise GarbledError(
            f"it answers as a stream, which is not read; give an endpoint that answers whole ({one_line(text[:80])})"
        )
    if start.startswith("<"):
        raise GarbledError(f"it answers with a web page and not as a model: {_page_words(text)}", billed=False)
    try:
        body = json.loads(text, parse_int=_integer)
    except ValueError as error:
        problem = f"{error}: {one_line(text[:80])}" if text else "it is empty"
        raise GarbledError(f"its reply cannot be read ({problem})") from None
    if isinstance(body, list) and len(body) == 1:
        body = body[0]  # as Gemini's errors come
    if not isinstance(body, dict):
        raise GarbledError(f"its reply cannot be read (it is no object: {one_line(text[:80])})")
    return body


def _page_words(page: str) -> str:
    """What a web page says, without its marks; its beginning."""
    words = re.sub(r"<(script|style)\b.*?</\1\s*>|<[^>]{0,2000}>", " ", page[:20_000], flags=re.DOTALL | re.IGNORECASE)
    return one_line(html.unescape(words))[:120]


def _status_in(body: dict[str, Any]) -> int:
    """The HTTP status that an error in a body stands for; 0 where it does not say."""
    error = body.get("error")
    for place in (error if isinstance(error, dict) else {}, body):
        for name in ("status", "code", "status_code", "http_code"):
            status = place.get(name)
            status = int(status) if isinstance(status, str) and status.isdecimal() and len(status) == 3 else status
            if isinstance(status, int) and 400 <= status <= 599:
                return status
    return 0


def _read_completion(body: dict[str, Any], choice: dict[str, Any], request: Request) -> Reply:
    message = _object(choice.get("message"))
    content = _parts_text(message.get("content"))
    calls = [_object(_object(call).get("function")) for call in _list(message.get("tool_calls"))]
    text = _join_prose_and_calls(
        content, [call.get("arguments") for call in [*calls, _object(message.get("function_call"))]], request
    )
    for report in (choice.get("error"), body.get("error")):  # some providers put it beside an empty reply
        if (error := words_in({"error": report})) and not text.strip():
            raise ProviderError(error, _status_in({"error": report}))
    finish_reason = _text(choice.get("finish_reason")).casefold()
    refusal = _text(message.get("refusal")).strip()
    if refusal:
        refusal = f"the model refuses: {refusal}"
    elif finish_reason in ("content_filter", "safety", "prohibited_content"):
        refusal = "the provider's content filter stopped the reply" + (f": {content}" if content.strip() else "")
    usage = _object(body.get("usage"))
    details = _object(usage.get("prompt_tokens_details"))
    tokens_in = _count(usage.get("prompt_tokens"), request.tokens_in)
    cached = min(_count(details.get("cached_tokens"), _count(usage.get("prompt_cache_hit_tokens"), 0)), tokens_in)
    tokens_out = _count(usage.get("completion_tokens"), tokens(text))
    label_tokens = _tokens_of(_object(choice.get("logprobs")).get("content"), text, request.labels)
    # Who does not say why it ended has ended at the bound, if it got that far.
    cut = finish_reason in ("length", "max_tokens") or (not finish_reason and tokens_out >= request.max_tokens)
    return Reply(text, label_tokens, cut, tokens_in, tokens_out, cached, refusal=_shorten(refusal))


def _tokens_of(parts: Any, text: str, labels: Sequence[str]) -> tuple[ReplyToken, ...]:
    """The first token of the text and those that are labels, with what could have stood there."""
    parts = [_object(part) for part in _list(parts)]
    texts = [_text(part.get("token")) for part in parts]
    # What a reasoning model thought may be among the tokens, but not in the text.
    before = "".join(texts).rfind(text)
    start, kept = -before, list[ReplyToken]()
    for part, token in zip(parts, texts, strict=True) if before >= 0 else []:
        top: dict[str, float] = {}
        for alternative in map(_object, _list(part.get("top_logprobs"))):
            chance, name = alternative.get("logprob"), _text(alternative.get("token"))
            if isinstance(chance, int | float) and abs(chance) < _IMPOSSIBLE:
                top[name] = max(float(chance), top.get(name, float(chance)))
        if start >= 0 and top and (not kept or any(is_label(token, label) for label in labels)):
            kept.append(ReplyToken(token, start, top))
        start += len(token)
    return tuple(kept)


def _read_message(body: dict[str, Any], request: Request) -> Reply:
    blocks = [_object(block) for block in _list(body.get("content"))]
    inputs = [block.get("input") for block in blocks if block.get("type") == "tool_use"]
    text = _join_prose_and_calls(_parts_text(body.get("content")), inputs, request)
    stop_reason = _text(body.get("stop_reason"))
    refusal = ""
    if stop_reason == "refusal":
        why = _text(_object(body.get("stop_details")).get("explanation")) or text
        refusal = "the model refuses" + (f": {why}" if why.strip() else "")
    elif stop_reason == "model_context_window_exceeded":
        refusal = "the reply ended because prompt and reply are longer than the model can take"
    usage = _object(body.get("usage"))
    tokens_stored = _count(usage.get("cache_creation_input_tokens"), 0)
    tokens_cached = _count(usage.get("cache_read_input_tokens"), 0)
    # What came from the cache or went into it is not among input_tokens.
    tokens_in = _count(usage.get("input_tokens"), request.tokens_in) + tokens_stored + tokens_cached
    tokens_out = _count(usage.get("output_tokens"), tokens(text))
    return Reply(
        text, (), stop_reason == "max_tokens", tokens_in, tokens_out, tokens_cached, tokens_stored, _shorten(refusal)
    )


def _join_prose_and_calls(prose: str, inputs: Sequence[Any], request: Request) -> str:
    """Prose and what a tool was called with: for a schema the call is the answer, else either may hold it."""
    calls = [call if isinstance(call, str) else json.dumps(call) for call in inputs if call is not None]
    arguments = _text("\n".join(calls))
    if request.schema and arguments.strip():
        return arguments
    return "\n\n".join(part for part in (prose, arguments) if part.strip()) or prose


def _parts_text(content: Any) -> str:
    """The text of a message whose content is text, or a list of parts, of which thoughts and the like are left out."""
    if not isinstance(content, list):
        return _text(content)
    parts = [{"type": "text", "text": part} if isinstance(part, str) else _object(part) for part in content]
    return "".join(_text(part.get("text")) for part in parts if part.get("type", "text") in ("text", "output_text"))


def _shorten(words: str) -> str:
    return one_line(words, "")[:300]


def _text(value: Any) -> str:
    """A text, without the halves of characters that could not be stored."""
    if not isinstance(value, str):
        return ""
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _integer(digits: str) -> float:
    return int(digits) if len(digits) < 20 else math.inf  # so long a number is none that is needed


def _count(value: Any, otherwise: int) -> int:
    """A number of tokens; `otherwise` where it is none that could be."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_TOKENS:
        return otherwise
    return math.ceil(value)
