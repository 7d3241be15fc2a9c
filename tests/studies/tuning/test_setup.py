"""From a task file or a person's answers to a study; what is wrong is said with the field."""

import json
import re
from pathlib import Path

import pytest

from adapters.files.inputs import read_inputs
from elicit.types import BadInputError
from studies.spec import read
from studies.study import Study
from studies.tuning.setup import EXAMPLE, ask_study, read_task

TASK = """
task = "Say whether it is odd."
prompts = ["Is {input} odd?", "Odd or even: {input}"]
inputs = "inputs.jsonl"
votes = 30
calls = 300
signals = ["contains"]
[target]
function = "own.py:answer"
"""


def written(folder: Path, text: str = TASK) -> Path:
    (folder / "inputs.jsonl").write_text(
        "".join(json.dumps({"input": f"the number {k}", "reference": "odd"}) + "\n" for k in range(10))
    )
    (folder / "own.py").write_text("def answer(prompt):\n    return 'odd'\n")
    (folder / "task.toml").write_text(text)
    return folder / "task.toml"


def test_a_task_file_makes_a_study_whose_file_can_be_edited(tmp_path: Path) -> None:
    made(written(tmp_path), tmp_path / "s")
    spec = read(tmp_path / "s" / "study.toml")
    assert spec.tuning is not None
    assert (spec.votes, spec.tuning.calls, spec.tuning.target.function) == (
        30,
        300,
        f"{tmp_path.resolve()}/own.py:answer",
    )
    with Study.open(tmp_path / "s") as study:
        assert sum(one.held_out for one in study.state.inputs) == 4
        assert [item.id for item in study.state.items] == ["p1", "p2"]


def made(task: Path, folder: Path) -> None:
    setup = read_task(task)
    Study.create(folder, items=setup.items, inputs=setup.inputs, **setup.spec).close()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('task = "Say whether it is odd."', "", "missing required field `task`"),
        ("votes = 30", "votes = 0", r"expected `int` >= 1 - at `votes`"),
        ("calls = 300", "cals = 300", "unknown field `cals`"),
        ("calls = 300", "calls = 1", "one vote takes 2 responses"),
        ('function = "own.py:answer"', "", "needs an endpoint or a function"),
        ('inputs = "inputs.jsonl"', "", "there are no inputs"),
        ('inputs = "inputs.jsonl"', 'inputs = "gone.jsonl"', r"gone.jsonl"),
        ("Is {input} odd?", "Is {text} odd?", r"prompt 1: it has the place {text}, and the inputs have {input}"),
        ("votes = 30", 'rules = {forbid = ["odd"]}', r"prompt 1 breaks a rule, it has 'odd'"),
        ("votes = 30", 'proposers = ["nobody"]', "no proposer called 'nobody'; known are: crossover"),
        ("votes = 30", "votes = ", "mend that line"),
        (
            'prompts = ["Is {input} odd?", "Odd or even: {input}"]',
            'prompts = ["Is it odd?"]\nproposers = []',
            "there is one prompt and nobody to propose more",
        ),
    ],
)
def test_what_is_wrong_with_a_task_file_is_said(tmp_path: Path, old: str, new: str, why: str) -> None:
    file = written(tmp_path, TASK.replace(old, new))
    with pytest.raises(BadInputError, match=why):
        made(file, tmp_path / "s")
    assert not (tmp_path / "s").exists()


NUMBERS = ("votes", "calls", "batch", "start", "grow", "every", "pool", "screen", "seed", "money", "held_out")
OF_MODELS = ("price_in", "price_out", "temperature", "timeout", "per_minute", "max_tokens", "concurrency", "retries")


@pytest.mark.parametrize("value", ["99999999999999999999", "nan", "inf", "-inf", "1e308", '"3"', "2026-01-01"])
@pytest.mark.parametrize("name", [*NUMBERS, *OF_MODELS, "longest", "limit"])
def test_a_number_that_is_none_of_its_kind_is_said(tmp_path: Path, name: str, value: str) -> None:
    task = re.sub(rf"(?m)^{name} = .*\n", "", TASK)
    if name in NUMBERS:
        task = f"{name} = {value}\n{task}"
    elif name in OF_MODELS:
        task += f"\n[writer]\nendpoint = 'http://127.0.0.1:9/v1'\n{name} = {value}\n"
    else:
        task += f"\n[{'rules' if name == 'longest' else 'safety'}]\n{name} = {value}\n"
    with pytest.raises(BadInputError, match=rf"task.toml: (.*expected .* at `|.*field '?).*{name}.*; mend it"):
        made(written(tmp_path, task), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_the_questions_have_the_examples_answers_ready() -> None:
    setup = ask_study(lambda question, usual: usual)
    example = read_task(EXAMPLE)
    assert [item.text for item in setup.items] == [item.text for item in example.items]
    assert setup.inputs == example.inputs
    assert setup.spec["tuning"].task == example.spec["tuning"].task


def test_a_persons_answers_are_taken(tmp_path: Path) -> None:
    written(tmp_path)
    answers = ["Say if odd.", "-", str(tmp_path / "inputs.jsonl"), f"{tmp_path}/own.py:answer", "25", "1,000"]
    left = iter(answers)
    setup = ask_study(lambda question, usual: next(left))
    tuning = setup.spec["tuning"]
    assert (setup.spec["votes"], tuning.calls, tuning.target.function) == (25, 1000, answers[3])
    assert [item.text for item in setup.items] == ["Say if odd."]
    left = iter([*answers[:4], "many", "5"])
    with pytest.raises(BadInputError, match="votes: 'many' is not a whole number"):
        ask_study(lambda question, usual: next(left))


@pytest.mark.parametrize("name", ["sentiment", "antonyms"])
def test_the_built_in_tasks_have_fifty_inputs_and_more(name: str) -> None:
    inputs = read_inputs(EXAMPLE.parent / f"{name}.jsonl")
    assert len(inputs) >= 90
    assert all(one.reference for one in inputs)


def test_money_without_prices_is_refused(tmp_path: Path) -> None:
    text = TASK.replace("votes = 30", "money = 2.0").replace(
        'function = "own.py:answer"', 'endpoint = "http://x/v1"\nmodel = "m"'
    )
    with pytest.raises(BadInputError, match="money needs prices"):
        made(written(tmp_path, text), tmp_path / "s")
