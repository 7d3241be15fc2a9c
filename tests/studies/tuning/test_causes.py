"""What goes wrong is said with who it is, the target, the model that writes or a proposer, and what to do."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from elicit.log.events import Responded
from elicit.tuning.protocol import Response
from elicit.types import BadInputError
from studies.commands.tuning_session import lines_of
from studies.outlook import progress
from studies.reporting.report_data import report_data
from studies.reporting.status import status_of
from studies.reporting.status_lines import status_lines
from studies.run import run
from studies.tuning.board import board_of
from studies.tuning.result import result_of
from studies.tuning.tuner import Tuner
from tests.adapters.serving import Got, Say, completion, serving, serving_aside
from tests.studies.tuning import parity


def reply(text: str | None, reason: str = "stop", tokens: int = 9) -> Say:
    """A completion of an endpoint that says why it ended."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
    usage = {"prompt_tokens": 9, "completion_tokens": tokens}
    return Say(json.dumps({"choices": [choice], "usage": usage}).encode())


WRITERS: dict[str, tuple[Callable[[Got], Say], str]] = {
    "wrong key": (lambda _: Say(b'{"error": "bad key"}', 401), "the model that writes: .* answers 401 .*bad key"),
    "down": (lambda _: Say(b"", 503), "the model that writes: .* answers 503"),
    "no funds": (lambda _: Say(b'{"error": "insufficient_quota"}', 429), "the model that writes: .*insufficient_quota"),
    "thought alone": (lambda _: reply(None), "the model that writes: all reasoning, no answer"),
    "thought cut": (lambda _: reply("<think>Hm", "length"), "the model that writes: all reasoning.* raise it from 512"),
    "cut": (lambda _: reply("Here it comes. <prompt>Say", "length"), "the model that writes: it was cut at max_tokens"),
    "no mark": (lambda _: reply("I would rather not."), "rewrite made no prompt: it had no idea"),
    "the same": (
        lambda _: reply("<prompt>Say whether {input} is odd or even.</prompt>"),
        r"rewrite made no prompt: it is there already \(\d+ times\)",
    ),
    "a place": (
        lambda _: reply("<prompt>Say it of {{ input | trim }} and {{input}}.</prompt>"),
        r"rewrite made no prompt: it has a place that no input fills \(\d+ times\)",
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_why_no_prompt_was_written_is_said(tmp_path: Path, name: str) -> None:
    says, why = WRITERS[name]
    with serving_aside(lambda got: says(got) if got.body else Say()) as server:
        writer = {"endpoint": server.url, "model": "w", "retries": 0}
        found = parity.tuned(tmp_path / "s", parity.prompts()[:1], proposers=["rewrite"], writer=writer, start=4)
        with found as study, pytest.raises(BadInputError, match=rf"there is 1 prompt to compare.*{why}.*; add prompts"):
            run(study, 2, lambda *_: None)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (
            {"money": 0.0001},
            "rewrite made no prompt: the model that writes: its budget is spent: .* raise tuning.money",
        ),
        ({"calls": 2}, "rewrite made no prompt: the budget of 2 model calls is spent .* raise tuning.calls"),
    ],
)
def test_money_and_calls_that_are_spent_are_no_proposer_without_ideas(
    tmp_path: Path, more: dict[str, Any], why: str
) -> None:
    with serving_aside(lambda got: completion("odd") if got.body else Say()) as server:
        model = {"endpoint": server.url, "model": "m", "retries": 0, "price_in": 10.0, "price_out": 10.0}
        whole = {"target": model, "writer": model, "proposers": ["rewrite"], "start": 4, "signals": [], **more}
        with parity.tuned(tmp_path / "s", parity.prompts()[:3], **whole) as study:
            study.record(*(Responded(row, 0, Response("odd")) for row in range(2)))
            run(study, 2, lambda *_: None)
            assert re.search(why, result_of(study).shortfalls), result_of(study).shortfalls


async def test_a_writer_that_does_not_answer_is_not_called_the_target(tmp_path: Path) -> None:
    async with serving(lambda got: completion("odd")) as server:
        good = {"endpoint": server.url, "model": "m"}
        bad = {"endpoint": "http://127.0.0.1:9/v1", "model": "m"}
        for target, writer, who in ((good, bad, "the model that writes"), (bad, good, "the target model")):
            with parity.tuned(
                tmp_path / who[-6:], target=target, writer=writer, proposers=["rewrite"], signals=[]
            ) as study:
                tuner = Tuner(study)
                with pytest.raises(BadInputError, match=rf"^{who}: http://127.0.0.1:9/v1 does not answer"):
                    await tuner.begin()
                await tuner.end()


def test_a_target_that_fails_is_told_everywhere_as_a_judge_is(tmp_path: Path) -> None:
    with parity.tuned(tmp_path / "s", proposers=[], signals=[]) as study:
        for k, why in enumerate(("it is down", "it is busy.", "")):
            study.record(Responded(0, k, Response("" if why else "odd", why, cost=0.25)))
        study.record(Responded(0, 0, Response("even", cost=0.25)))  # what came of asking again undoes no failure
        told = "the target model failed 2 times, which cost 0.5, the last: it is busy."
        board = board_of(study, Tuner(study), progress(study), "")
        places = [*status_lines(status_of(study)), board.shortfalls, result_of(study).shortfalls]
        places += report_data(study).notes
        assert [told in place for place in places].count(True) == 4
        places += lines_of(msgspec.to_builtins(result_of(study)) | {"unmeasured": "The model is down."})
        assert not [place for place in places if ".." in place]


def test_a_judge_whose_word_is_a_signal_and_that_gives_none_is_said(tmp_path: Path) -> None:
    with serving_aside(lambda got: completion("I cannot say.") if got.body else Say()) as server:
        options = {"endpoint": server.url, "model": "judge", "retries": 0}
        judges = [
            {"name": "person", "kind": "reference", "person": True},
            {"name": "j", "kind": "pairwise", "options": options},
        ]
        with parity.tuned(tmp_path / "s", signals=["judge:j"], judges=judges) as study:
            result = run(study, 3, lambda *_: None)
        assert "the judge whose word is a signal gave none in" in result.why
        assert not study.state.votes
