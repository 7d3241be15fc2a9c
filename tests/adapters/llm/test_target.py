"""The model whose prompts are tuned: what it answers is kept, what it cannot answer is told apart from being down."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from adapters.llm.target import DownError, EndpointTarget, FunctionTarget, SpentError, Target, function_at
from elicit.types import BadInputError
from tests.adapters.serving import Got, Say, completion, serving


def made(url: str, folder: Path, **options: object) -> EndpointTarget:
    return EndpointTarget(folder, "target", **{"endpoint": url, "model": "m", "retries": 0} | options)  # type: ignore[arg-type]


async def test_a_response_is_paid_once_and_no_empty_system_message_is_sent(tmp_path: Path) -> None:
    async with serving(lambda got: completion(f"said {len(got.json['messages'])}")) as server:
        for paid in (True, False):
            target = made(server.url, tmp_path, price_in=1000.0, price_out=1000.0)
            response = await target.respond("Say it.")
            assert (response.text, response.failure, response.cost > 0) == ("said 1", "", paid)
            await target.end()
        assert len(server.got) == 1
        target = made(server.url, tmp_path)
        assert (await target.respond("Say it.", "You are brief.")).text == "said 2"
        await target.end()


async def test_a_refusal_is_a_failure_and_being_away_is_not(tmp_path: Path) -> None:
    def answer(got: Got) -> Say:
        return Say(b'{"error": "content filter"}', 400) if "bad" in got.user else completion("fine")

    async with serving(answer) as server:
        target = made(server.url, tmp_path)
        assert "content filter" in (await target.respond("something bad")).failure
        assert (await target.respond("something good")).text == "fine"
        await target.end()
        url = server.url
    target = made(url, tmp_path)
    with pytest.raises(DownError, match=r"no answer from .*; test it with: curl"):
        await target.respond("anybody?")
    await target.end()


def openai(text: str | None, *, cut: bool, tokens: int) -> Say:
    choice = {"message": {"content": text}, "finish_reason": "length" if cut else "stop"}
    return Say(json.dumps({"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": tokens}}).encode())


def anthropic(text: str | None, *, cut: bool, tokens: int) -> Say:
    content = [{"type": "thinking", "thinking": "Hm"}, *([] if text is None else [{"type": "text", "text": text}])]
    usage = {"input_tokens": 5, "output_tokens": tokens}
    return Say(
        json.dumps({"content": content, "stop_reason": "max_tokens" if cut else "end_turn", "usage": usage}).encode()
    )


@pytest.mark.parametrize("api", [openai, anthropic])
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("yes", "yes"),
        (" yes\n", " yes\n"),
        ("<think>Hm.</think>\n\nyes", "yes"),
        ("Hm.</think> yes", "yes"),
        ("<think>Hm", ""),
        ("<think>Hm.</think>", ""),
        ("", ""),
        (None, ""),
        (" \n\u200b", ""),
    ],
)
async def test_what_was_thought_is_taken_off_and_what_is_not_whole_is_said(
    tmp_path: Path, api: Callable[..., Say], text: str | None, left: str, *, cut: bool
) -> None:
    async with serving(lambda got: api(text, cut=cut, tokens=20)) as server:
        target = made(server.url, tmp_path, api=api.__name__, max_tokens=20, price_in=1e6, price_out=1e6)
        response = await target.respond("Is it so?")
        await target.end()
    assert response.text == left
    assert response.cost == 25.0, "it is paid, whatever it says"
    assert response.cut == (cut and bool(left))
    if left:
        assert not response.failure
    elif cut:
        assert response.failure == "all reasoning, no answer: it was cut at max_tokens; raise it from 20"
    else:
        assert response.failure == "all reasoning, no answer"


async def test_an_empty_response_without_a_thought_is_a_failure_too(tmp_path: Path) -> None:
    async with serving(lambda got: openai("", cut=False, tokens=1)) as server:
        target = made(server.url, tmp_path)
        assert (await target.respond("Say nothing.")).failure == "the response is empty"
        await target.end()


async def test_a_wrong_key_is_no_property_of_the_prompt(tmp_path: Path) -> None:
    async with serving(lambda got: Say(b'{"error": "bad key"}', 401)) as server:
        target = made(server.url, tmp_path)
        with pytest.raises(BadInputError, match=r"the target model: .* answers 401"):
            await target.check()
        with pytest.raises(DownError, match="bad key"):
            await target.respond("Say it.")
        await target.end()


async def test_money_is_not_overspent(tmp_path: Path) -> None:
    async with serving(lambda got: completion("yes")) as server:
        target = made(server.url, tmp_path, price_in=1e6, price_out=1e6, money=5.0)
        with pytest.raises(SpentError, match="budget is spent"):
            await target.respond("Say it.")
        await target.end()
        assert not server.got


@pytest.mark.parametrize(
    ("body", "text", "failure"),
    [
        ("def answer(prompt):\n    return prompt.upper()", "HI", ""),
        ("async def answer(prompt):\n    return prompt + '!'", "hi!", ""),
        ("def answer(prompt):\n    raise KeyError('x')", "", "raised KeyError: 'x'"),
        ("def answer(prompt):\n    return 3", "", "gave int and no text"),
        ("def answer(prompt):\n    return ' \\n'", "", "gave an empty text"),
        ("def answer(prompt):\n    return '<think>Hm</think>yes'", "yes", ""),
        ("def answer(prompt):\n    return '<think>Hm'", "", "all reasoning, no answer"),
        ("def answer(prompt):\n    raise SystemExit(1)", "", "raised SystemExit"),
        ("import asyncio\nasync def answer(prompt):\n    await asyncio.sleep(9)", "", "did not answer in 0.5 s"),
        ("import time\ndef answer(prompt):\n    time.sleep(2)", "", "did not answer in 0.5 s"),
    ],
)
async def test_a_function_answers_or_fails_for_this_prompt(tmp_path: Path, body: str, text: str, failure: str) -> None:
    file = tmp_path / "own.py"
    file.write_text(body)
    target: Target = FunctionTarget(f"{file}:answer", timeout=0.5)
    await target.check()
    response = await target.respond("hi")
    assert response.text == text
    assert failure in response.failure
    await target.end()


@pytest.mark.parametrize(
    ("body", "place", "why"),
    [
        ("", "gone.py:answer", "there is no file"),
        ("def other(prompt): ...", "own.py:answer", "has no function 'answer'"),
        ("1 / 0", "own.py:answer", "does not load .ZeroDivisionError"),
    ],
)
def test_a_function_that_is_not_there_is_said_where(tmp_path: Path, body: str, place: str, why: str) -> None:
    (tmp_path / "own.py").write_text(body)
    with pytest.raises(BadInputError, match=why):
        function_at(str(tmp_path / place))


@pytest.mark.parametrize("body", ["raise ValueError('\\ud800')", "raise BaseException('panic')", "return '\\ud800 a'"])
async def test_whatever_a_function_does_can_be_recorded(body: str, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(f"def answer(prompt):\n    {body}\n")
    target = FunctionTarget(f"{file}:answer")
    response = await target.respond("p")
    assert msgspec.json.decode(msgspec.json.encode(response), type=type(response)) == response
    await target.end()
