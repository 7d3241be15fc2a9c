"""The wire: bodies as the two APIs want them, and replies as they were recorded."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import chat
from adapters.chat import GarbledError, Request

QUESTION = Request("be brief", "which?", max_tokens=4, labels=("A", "B"))
SCHEMA = {"type": "object", "properties": {"A": {"type": "integer"}}}

# As OpenAI's chat completions answer; shortened.
OPENAI = b"""{"id": "chatcmpl-B9", "object": "chat.completion", "created": 1741569952, "model": "gpt-4.1-2025-04-14",
"choices": [{"index": 0, "message": {"role": "assistant", "content": "A", "refusal": null, "annotations": []},
"logprobs": {"content": [{"token": "A", "logprob": -0.127, "bytes": [65], "top_logprobs": [
{"token": "A", "logprob": -0.127, "bytes": [65]}, {"token": "B", "logprob": -2.127, "bytes": [66]},
{"token": " A", "logprob": -9.5, "bytes": [32, 65]}]}], "refusal": null}, "finish_reason": "stop"}],
"usage": {"prompt_tokens": 19, "completion_tokens": 1, "total_tokens": 20,
"prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}}, "service_tier": "default"}"""

# As Anthropic's messages answer: in words, and by a tool.
WORDS = b"""{"id": "msg_01", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
"content": [{"type": "thinking", "thinking": "hm", "signature": "x"}, {"type": "text", "text": "B"}],
"stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 21, "cache_creation_input_tokens": 0,
"cache_read_input_tokens": 5, "output_tokens": 4, "service_tier": "standard"}}"""
TOOL = b"""{"id": "msg_02", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
"content": [{"type": "text", "text": "I'll rate them."}, {"type": "tool_use", "id": "toolu_01", "name": "answer",
"input": {"A": 4}}], "stop_reason": "tool_use", "usage": {"input_tokens": 400, "output_tokens": 60}}"""

# As a server answers whose model thinks: its thoughts are among the tokens, but not in the text.
THOUGHT = b"""{"choices": [{"message": {"role": "assistant", "content": "Score: 4", "reasoning_content": "hm 3"},
"finish_reason": "length", "logprobs": {"content": [{"token": "hm", "logprob": 0, "top_logprobs":
[{"token": "hm", "logprob": 0}]}, {"token": " 3", "logprob": 0, "top_logprobs": [{"token": " 3", "logprob": 0}]},
{"token": "Score:", "logprob": 0, "top_logprobs": [{"token": "Score:", "logprob": 0}]},
{"token": " 4", "logprob": 0, "top_logprobs": [{"token": " 4", "logprob": -0.1}]}]}}]}"""


def test_a_recorded_completion_is_read() -> None:
    reply = chat.read("openai", OPENAI, QUESTION)
    assert (reply.text, reply.cut, reply.tokens_in, reply.tokens_out) == ("A", False, 19, 1)
    (token,) = reply.tokens
    assert (token.start, token.top) == (0, {"A": -0.127, "B": -2.127, " A": -9.5})


def test_recorded_messages_are_read() -> None:
    words = chat.read("anthropic", WORDS, QUESTION)
    assert (words.text, words.tokens, words.tokens_in, words.tokens_out) == ("B", (), 26, 4)
    assert json.loads(chat.read("anthropic", TOOL, Request("", "?", max_tokens=400, schema=SCHEMA)).text) == {"A": 4}


def test_tokens_of_thoughts_are_not_tokens_of_the_reply() -> None:
    question = Request("", "?", max_tokens=4, labels=("1", "2", "3", "4", "5"))
    reply = chat.read("openai", THOUGHT, question)
    assert [(token.text, token.start) for token in reply.tokens] == [("Score:", 0), (" 4", 6)]
    assert reply.cut
    assert reply.tokens_in == question.tokens_in  # what is not said is counted


def test_each_api_is_asked_in_its_own_way() -> None:
    ours = chat.body("openai", "m", QUESTION)
    assert [m["role"] for m in ours["messages"]] == ["system", "user"]
    assert (ours["logprobs"], ours["top_logprobs"]) == (True, 20)
    theirs = chat.body("anthropic", "m", QUESTION)
    assert theirs["system"] == "be brief"
    assert [m["role"] for m in theirs["messages"]] == ["user"]
    assert "logprobs" not in theirs
    wanted = Request("", "?", max_tokens=4, schema=SCHEMA)
    assert chat.body("openai", "m", wanted)["response_format"]["json_schema"]["schema"] == SCHEMA
    assert chat.body("anthropic", "m", wanted)["tools"][0]["input_schema"] == SCHEMA


@given(st.sampled_from(["openai", "anthropic"]), st.data())
def test_a_reply_that_stops_anywhere_or_holds_anything_is_read_or_named(api: chat.Api, data: st.DataObject) -> None:
    whole = {"openai": OPENAI, "anthropic": WORDS}[api]
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(GarbledError):
        chat.read(api, cut, QUESTION)
    place = data.draw(st.integers(0, len(whole) - 1))
    spoilt = whole[:place] + data.draw(st.binary(max_size=4)) + whole[place + 1 :]
    try:
        found = type(chat.read(api, spoilt, QUESTION)).__name__
    except GarbledError as error:
        found = str(error)
    assert found.startswith(("Reply", "its reply cannot be read", "its reply has no ", "it answers "))


@given(st.text(), st.text())
def test_longer_texts_are_more_tokens(text: str, more: str) -> None:
    assert chat.tokens(text) <= chat.tokens(text + "\n" + more)
    assert chat.tokens(text) <= len(text)
