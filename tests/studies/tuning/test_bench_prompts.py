"""The pool of `elicit bench prompts` is that of its task and options, whatever the folder has seen before."""

import json
from pathlib import Path
from typing import Any

import pytest

from elicit.types import BadInputError
from studies.bench import prompts as bench
from studies.simulation.jobs import RunPlan
from studies.tuning.setup import setup_of
from tests.adapters.serving import Got, Say, completion, serving_aside
from tests.studies.tuning import parity

CHANGES: list[dict[str, Any]] = [
    {},
    {"size": 8},
    {"size": 4},
    {"task": "Decide if a number is odd or even."},
    {"prompts": ["Is {input} odd?", "Tell me carefully whether {{input}} is even."]},
    {"rows": 12},
    {"max_tokens": 7},
]


def said(got: Got) -> Say:
    return completion(parity.answer(got.user)) if got.body else Say()


def pool(
    folder: Path, target: dict[str, Any], size: int = 6, rows: int = 16, max_tokens: int = 9, **values: Any
) -> bench.MeasuredPool:
    folder.mkdir(exist_ok=True)
    given = [{"input": str(x), "reference": "odd" if x % 2 else "even"} for x in range(10, 10 + rows)]
    (folder / "numbers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given))
    task = {
        "task": "Say whether a number is odd or even.",
        "prompts": ["Say whether {input} is odd or even."],
        "inputs": "numbers.jsonl",
        "signals": ["exact_match"],
        "proposers": ["slots"],
        **values,
        "target": {"max_tokens": max_tokens, **target} if "endpoint" in target else target,
    }
    return bench.measure_pool(setup_of(task, folder, "the task"), size, folder / "kept", "t", lambda *_: None)


def test_a_folder_never_gives_another_pool_than_an_empty_one(tmp_path: Path) -> None:
    with serving_aside(said) as server:
        target = {"endpoint": server.url, "model": "m"}
        for number, change in enumerate(CHANGES):
            fresh = pool(tmp_path / f"fresh{number}", target, **change)
            before = len(server.got)
            found = pool(tmp_path / "used", target, **change)
            assert found.content == fresh.content
            assert len(found.prompts) == change.get("size", 6)
            asked = sum(bool(got.body) for got in server.got[before:])
            assert asked <= len(found.prompts) * len(found.inputs)
            before = len(server.got)
            assert pool(tmp_path / "used", target, **change).content == fresh.content
            assert not any(got.body for got in server.got[before:]), "what was answered is kept"


def test_a_model_that_is_down_or_says_nothing_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"the target model: .* does not answer"):
        pool(tmp_path / "down", {"endpoint": "http://127.0.0.1:9/v1", "model": "m"})
    with serving_aside(lambda got: completion("<think>Hm.</think>") if got.body else Say()) as server:
        target = {"endpoint": server.url, "model": "m"}
        with pytest.raises(
            BadInputError, match=r"no response to measure, the target model failed 96 times, the last: all reasoning"
        ):
            pool(tmp_path / "empty", target)
    with serving_aside(lambda got: Say(b"{}", 401) if got.body else Say()) as server:
        target = {"endpoint": server.url, "model": "m", "retries": 0}
        with pytest.raises(BadInputError, match=r"answers 401 .*; what it answered is kept"):
            pool(tmp_path / "refused", target)


def test_two_tasks_of_one_name_are_refused(tmp_path: Path) -> None:
    found = pool(tmp_path / "a", {"function": f"{parity.__file__}:answer"})
    with pytest.raises(BadInputError, match="two task files have the same name"):
        bench.prompts([found, found], ["elicit"], 3, 1, RunPlan(workers=1))
