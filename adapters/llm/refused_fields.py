"""Fields of a request that some models refuse: how an error tells, and the request without them."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from adapters.llm import chat
from adapters.llm.chat import Api, Request

_STATUSES = (0, 400, 403, 404, 422, 501)
"""What an error that complains of a field comes with; 0 is one in a body that does not say."""
_FEW_ALTERNATIVES = 5
_UNKNOWN = r"(?:support|recogni|unknown|unexpected|permitted|allowed|extra|deprecat|available|invalid param)"


class _Refusable(NamedTuple):
    """A field that models refuse: where it is in the body, and what an error says that complains of it."""

    place: str
    complaint: str
    statuses: tuple[int, ...] = _STATUSES


_SYSTEM = _Refusable(
    "system",
    r"(?:system|developer)\W{0,3}(?:role|message|prompt|instruction)|role\W[^.]{0,80}\b(?:system|developer)|"
    r"\b(?:system|developer)\b[^.]{0,60}\brole\b|"
    r"must alternate|only [^.]{0,40}\broles?\b",
    (*_STATUSES, 500),  # servers that fill a chat template answer so where the template cannot
)
_REFUSABLE: dict[Api, dict[str, _Refusable]] = {
    "openai": {
        "top_logprobs": _Refusable("top_logprobs", "logprobs"),
        "logprobs": _Refusable("logprobs", "logprobs"),
        "response_format": _Refusable("response_format", r"response_format|json_schema|structured.?outputs?|guided"),
        "temperature": _Refusable("temperature", "temperature"),
        "seed": _Refusable("seed", r"\bseed\b"),
        "max_tokens": _Refusable("max_tokens", "max_tokens"),
        # Without any the length of a reply has no bound, so its value alone must not be what is wrong with it.
        "max_completion_tokens": _Refusable(
            "max_completion_tokens",
            rf"max_completion_tokens\b[^.]*{_UNKNOWN}|{_UNKNOWN}[^.]*max_completion_tokens",
        ),
        "system": _SYSTEM,
    },
    "anthropic": {
        "temperature": _Refusable("temperature", "temperature"),
        "tool_choice": _Refusable("tool_choice", "tool_choice"),
        "system": _SYSTEM,
    },
}


def refused_field(api: Api, status: int, words: str, body: dict[str, Any], left_out: AbstractSet[str]) -> str | None:
    """The field that an error complains of and that can be left out of this body; None where there is none.

    left_out: what was left out of it already.
    """
    for name, field in _REFUSABLE[api].items():
        present = field.place in body or (field is _SYSTEM and body["messages"][0]["role"] == "system")
        if (
            name not in left_out
            and present
            and status in field.statuses
            and re.search(field.complaint, words, re.IGNORECASE)
        ):
            return name
    return None


def body_without(
    left_out: AbstractSet[str], api: Api, model: str, request: Request, parameters: dict[str, Any]
) -> dict[str, Any]:
    """The JSON body that asks the request, with the parameters and without the fields that are left out.

    Of top_logprobs fewer are asked for, max_tokens has a newer name, a tool that must be used becomes one that may be,
    and what the system message says stands before the question.
    """
    if "system" in left_out and request.system:
        request = chat.without_system(request)
    body = chat.body(api, model, request) | parameters
    if "top_logprobs" in left_out and "top_logprobs" in body:
        body["top_logprobs"] = min(body["top_logprobs"], _FEW_ALTERNATIVES)
    if "max_tokens" in left_out:
        body["max_completion_tokens"] = body.pop("max_tokens")
    if "tool_choice" in left_out and "tool_choice" in body:
        body["tool_choice"] = {"type": "auto"}
    if "logprobs" in left_out:
        body.pop("top_logprobs", None)
    for name in left_out & {"logprobs", "response_format", "temperature", "seed", "max_completion_tokens"}:
        body.pop(name, None)
    return body
