"""The wire: bodies as the two APIs want them, and replies as they were recorded."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.llm import chat
from adapters.llm.chat import GarbledError, Request

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


def said(body: str, request: Request = QUESTION, api: chat.Api = "openai") -> chat.Reply:
    return chat.read(api, body.encode(), request)


MESSAGE = (
    '{"choices": [{"message": %s, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}'
)


@pytest.mark.parametrize(
    "content",
    [
        '{"content": "A"}',
        '{"role": 7, "content": "A", "refusal": null, "tool_calls": null, "audio": {"id": [1]}, "annotations": 4}',
        '{"content": [{"type": "text", "text": "A"}]}',
        '{"content": ["A"]}',
        '{"content": [{"type": "thinking", "thinking": [{"text": "B"}]}, {"type": "text", "text": "A"}, 3]}',
        '{"content": null, "tool_calls": [{"type": "function", "function": {"name": "answer", "arguments": "A"}}]}',
        '{"content": "", "function_call": {"name": "answer", "arguments": "A"}}',
    ],
)
def test_only_what_is_needed_must_be_as_the_api_says(content: str) -> None:
    reply = said(MESSAGE % content)
    assert (reply.text, reply.cut, reply.tokens_in, reply.tokens_out, reply.refusal) == ("A", False, 9, 2, "")


def test_a_verdict_may_come_by_a_tool() -> None:
    call = '{"content": %s, "tool_calls": [{"function": {"arguments": %s}}]}'
    by_text = said(MESSAGE % (call % ("null", '"{\\"winner\\": \\"B\\"}"')))
    assert json.loads(by_text.text) == {"winner": "B"}
    by_object = said(MESSAGE % (call % ('"Here."', '{"winner": "B"}')), Request("", "?", 4, schema=SCHEMA))
    assert json.loads(by_object.text) == {"winner": "B"}


@pytest.mark.parametrize(
    "count",
    ["null", "-1", '"9"', "true", "1e400", "NaN", "Infinity", str(2**63), "9" * 30, "9" * 5000, "[]", "{}"],
)
def test_a_count_of_tokens_that_cannot_be_is_estimated(count: str) -> None:
    body = '{"choices": [{"message": {"content": "A"}}], "usage": {"prompt_tokens": %s, "completion_tokens": 1}}'
    assert said(body % count).tokens_in == QUESTION.tokens_in
    assert said(body.replace("prompt", "x") % count).tokens_in == QUESTION.tokens_in
    message = '{"content": [{"type": "text", "text": "A"}], "usage": {"input_tokens": %s, "output_tokens": 1}}'
    assert said(message % count, api="anthropic").tokens_in == QUESTION.tokens_in
    whole = '{"choices": [{"message": {"content": "A"}}], "usage": %s}'
    assert said(whole % count).tokens_in == QUESTION.tokens_in


@pytest.mark.parametrize("odd", ["-Infinity", "NaN", "Infinity", "null", '"x"', "-1e999"])
def test_a_log_probability_that_is_no_number_is_left_out(odd: str) -> None:
    top = '[{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": %s}, 4, {"token": null}]'
    body = '{"choices": [{"message": {"content": "A"}, "logprobs": {"content": [{"token": "A", "top_logprobs": %s}]}}]}'
    (token,) = said(body % (top % odd)).tokens
    assert token.top == {"A": -0.1}


def test_half_a_character_is_no_reason_to_fail() -> None:
    reply = said(MESSAGE % '{"content": "A \\ud83d"}')
    assert reply.text == "A \ufffd"
    assert msgspec.json.decode(msgspec.json.encode(reply), type=chat.Reply) == reply


@pytest.mark.parametrize(
    ("body", "words", "status"),
    [
        ('{"error": {"message": "Rate limit exceeded", "code": 429}}', "Rate limit exceeded", 429),
        ('{"error": "no such model"}', "no such model", 0),
        ('{"error": {"code": "insufficient_quota"}}', "insufficient_quota", 0),
        ('{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}', "Overloaded", 0),
        ('{"detail": [{"loc": ["body"], "msg": "extra fields"}]}', "extra fields", 0),
        ('{"object": "error", "message": "too long", "code": 400}', "too long", 400),
        ('{"choices": [], "error": {"message": "upstream", "code": "502"}}', "upstream", 502),
        ('{"choices": [{"error": {"message": "gone", "code": 502}, "message": {"content": ""}}]}', "gone", 502),
        ('[{"error": {"message": "in a list"}}]', "in a list", 0),
    ],
)
def test_an_error_in_a_reply_is_told_in_its_own_words(body: str, words: str, status: int) -> None:
    with pytest.raises(chat.ProviderError) as error:
        chat.read("openai", body.encode(), QUESTION)
    assert (error.value.words, error.value.status) == (words, status)
    if "choices" not in body:
        with pytest.raises(chat.ProviderError) as error:
            chat.read("anthropic", body.encode(), QUESTION)
        assert error.value.words == words


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "it is empty"),
        (" \n" * 1000, "it is empty"),
        ("<!doctype html><html><head><style>b {}</style><title>Sign in</title></head></html>", "web page .*: Sign in$"),
        ("data: {}\n\ndata: [DONE]\n\n", "answers as a stream"),
        ("event: message_start\ndata: {}\n\n", "answers as a stream"),
        (": ping\n\ndata: {}\n\n", "answers as a stream"),
        ("[1, 2]", "it is no object"),
        ("null", "it is no object"),
        ("[" * 200_000, "nested too deep"),
        ('{"choices": ' + '[{"a": ' * 200_000, "nested too deep"),
        ("upstream connect error", "upstream connect error"),
        ("{}", "has no "),
    ],
)
@pytest.mark.parametrize("api", ["openai", "anthropic"])
def test_what_is_no_reply_is_told_as_what_it_is(api: chat.Api, body: str, why: str) -> None:
    with pytest.raises(GarbledError, match=why) as error:
        chat.read(api, body.encode(), QUESTION)
    assert error.value.billed == (not body.startswith("<"))


def test_refusals_are_told_apart_from_replies() -> None:
    filtered = '{"choices": [{"message": {"content": null}, "finish_reason": "content_filter"}]}'
    assert "content filter" in said(filtered).refusal
    refused = said(MESSAGE % '{"content": null, "refusal": "I cannot help with that."}')
    assert refused.refusal == "the model refuses: I cannot help with that."
    stopped = '{"content": [{"type": "text", "text": "No."}], "stop_reason": "refusal"}'
    assert said(stopped, api="anthropic").refusal == "the model refuses: No."
    long = '{"content": [{"type": "text", "text": "A"}], "stop_reason": "model_context_window_exceeded"}'
    assert "longer than the model can take" in said(long, api="anthropic").refusal


def test_who_does_not_say_why_it_ended_was_cut_at_the_bound() -> None:
    body = '{"choices": [{"message": {"content": "A is"}}], "usage": {"completion_tokens": %d}}'
    assert [said(body % count).cut for count in (3, 4)] == [False, True]


def test_tokens_of_the_cache_are_told_apart() -> None:
    usage = '"usage": {"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": %s}}'
    body = '{"choices": [{"message": {"content": "A"}}], ' + usage + "}"
    read = [said(body % count) for count in ("80", "null", "900", "-1")]
    assert [(reply.tokens_in, reply.cached) for reply in read] == [(100, 80), (100, 0), (100, 100), (100, 0)]
    usage = '"usage": {"input_tokens": 10, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 60}'
    reply = said('{"content": [{"type": "text", "text": "A"}], ' + usage + "}", api="anthropic")
    assert (reply.tokens_in, reply.cached, reply.stored) == (100, 60, 30)
