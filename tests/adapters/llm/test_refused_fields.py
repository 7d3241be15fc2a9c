"""Whatever fields a model refuses, and however many calls are under way then, every call gets its answer."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.llm.calls import CallBook, Prices
from adapters.llm.chat import Api, Request
from adapters.llm.endpoint import Endpoint, RejectedError
from adapters.llm.refused_fields import body_without, refused_field
from tests.adapters.serving import Got, Say, completion, message, serving

FIELDS: dict[Api, list[str]] = {
    "openai": ["logprobs", "top_logprobs", "response_format", "temperature", "seed", "max_tokens"],
    "anthropic": ["temperature", "tool_choice"],
}
SAYING = [
    "Unsupported value: '{}' is not supported with this model.",
    "`{}` is deprecated for this model.",
    "Unknown name \"{}\": Cannot find field.",
    "Extra inputs are not permitted: {}",
]  # fmt: skip
SCHEMA = {"type": "object", "properties": {"winner": {"type": "string"}}}


def picky(api: Api, refused: list[str], saying: str, status: int, *, in_reply: bool) -> Callable[[Got], Say]:
    """A model that refuses fields, one at a time, and the system role where that is among them."""

    def answer(got: Got) -> Say:
        sent = dict(got.json)
        if any(said["role"] == "system" for said in sent["messages"]) or "system" in sent:
            sent["role"] = "system"
        if api == "anthropic" and sent.get("tool_choice", {}).get("type") == "auto":
            del sent["tool_choice"]
        for name in refused:
            if name in sent:
                words = "System role not supported" if name == "role" else saying.format(name)
                error = {"error": {"message": words, "code": status}}
                return Say(json.dumps(error).encode(), 200 if in_reply else status)
        return completion("A") if api == "openai" else message("A")

    return answer


async def ask_at_once(api: Api, refused: list[str], saying: str, status: int, in_reply: bool, folder: Path) -> Any:
    async with serving(picky(api, refused, saying, status, in_reply=in_reply)) as server:
        server.linger = 0.005  # so that all are under way before the first is answered
        book = CallBook(folder, "judge", Prices.of(api, 1.0, 1.0))
        endpoint = Endpoint(url=server.url, api=api, model="m", key="", book=book, retries=0)
        schemas: list[dict[str, Any]] = [{}, SCHEMA]
        asked = [
            Request("be brief", f"question {k}", 4, labels=("A", "B"), schema=schemas[k % 2], sample=k)
            for k in range(8)
        ]
        answers = await asyncio.gather(*(endpoint.ask(one) for one in asked), return_exceptions=True)
        before = len(server.got)
        await endpoint.ask(Request("be brief", "later", 4, labels=("A", "B"), schema=SCHEMA, sample=1))
        calls = len(server.got) - before
        await endpoint.close()
        return answers, calls, server.got


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_every_call_gets_its_answer(data: st.DataObject) -> None:
    api: Api = data.draw(st.sampled_from(["openai", "anthropic"]))
    refused = data.draw(st.lists(st.sampled_from([*FIELDS[api], "role"]), unique=True))
    if "max_tokens" in refused and data.draw(st.booleans()):
        refused.append("max_completion_tokens")
    saying, status = data.draw(st.sampled_from(SAYING)), data.draw(st.sampled_from([400, 403, 422]))
    with tempfile.TemporaryDirectory() as folder:
        answers, calls, got = asyncio.run(
            ask_at_once(api, refused, saying, status, data.draw(st.booleans()), Path(folder))
        )
    assert [getattr(answer, "reply", answer) for answer in answers] == [answers[0].reply] * 8
    assert calls == 1  # what was refused once is not sent again
    if "role" in refused:
        assert got[-1].json["messages"] == [{"role": "user", "content": "be brief\n\nlater"}]


async def test_a_complaint_of_what_was_not_sent_is_no_reason_to_ask_again(tmp_path: Path) -> None:
    async with serving(lambda got: Say(b'{"error": "temperature, seed and logprobs are wrong"}', 400)) as server:
        book = CallBook(tmp_path, "judge", Prices.of("openai", 1.0, 1.0))
        endpoint = Endpoint(url=server.url, api="openai", model="m", key="", book=book, retries=0)
        with pytest.raises(RejectedError, match=r"answers 400 .*: temperature, seed and logprobs are wrong"):
            await endpoint.ask(Request("", "?", 4))
        assert ["temperature" in got.json for got in server.got] == [True, False]
        await endpoint.close()


async def test_a_bound_that_is_only_too_large_is_not_dropped(tmp_path: Path) -> None:
    words = b'{"error": "max_tokens is too large: 9; max_completion_tokens may be 5 at most"}'
    async with serving(lambda got: Say(words, 400)) as server:
        book = CallBook(tmp_path, "judge", Prices.of("openai", 1.0, 1.0))
        endpoint = Endpoint(url=server.url, api="openai", model="m", key="", book=book, retries=0)
        with pytest.raises(RejectedError, match="too large"):
            await endpoint.ask(Request("", "?", 9))
        assert all({"max_tokens", "max_completion_tokens"} & got.json.keys() for got in server.got)
        await endpoint.close()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "System role not supported"),
        (422, "Input tag 'system' found using 'role' does not match any of the expected tags: 'user', 'assistant'"),
        (500, "Conversation roles must alternate user/assistant/user/assistant/..."),
        (400, "Developer instruction is not enabled for models/m"),
    ],
)
def test_a_system_message_that_is_refused_in_any_words_is_put_before_the_question(status: int, words: str) -> None:
    request = Request("be brief", "question", 4)
    body = body_without(frozenset(), "openai", "m", request, {})
    assert refused_field("openai", status, words, body, frozenset()) == "system"
    without = body_without(frozenset({"system"}), "openai", "m", request, {})
    assert without["messages"] == [{"role": "user", "content": "be brief\n\nquestion"}]
    assert refused_field("openai", status, words, without, frozenset({"system"})) is None
