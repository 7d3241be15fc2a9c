"""Prompt tuning on the command line: from a task file to a prompt, and what is said where it cannot be done."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from elicit.cli import _code
from tests.adapters.serving import Got, Say, completion, serving_aside
from tests.studies.tuning import parity
from tests.test_commands import fails

Out = pytest.CaptureFixture[str]

TASK = f"""
task = "Say whether a number is odd or even."
prompts = ["Say whether {{input}} is odd or even.", "Say carefully, exactly, twice whether {{input}} is odd or even."]
inputs = "numbers.jsonl"
votes = 12
signals = ["exact_match"]
start = 12
grow = 2
every = 5
proposers = ["slots"]
[target]
function = "{parity.__file__}:answer"
[[judges]]
name = "person"
kind = "reference"
person = true
"""


@pytest.fixture
def task(tmp_path: Path) -> str:
    rows = [{"input": str(x), "reference": "odd" if x % 2 else "even"} for x in range(10, 50)]
    (tmp_path / "numbers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "task.toml").write_text(TASK)
    return str(tmp_path / "task.toml")


def test_from_a_task_file_to_a_prompt(task: str, tmp_path: Path, capsys: Out) -> None:
    folder = str(tmp_path / "s")
    assert _code(["init", folder, "--tune", "--task", task]) == 0
    assert "2 prompts, 40 inputs, 16 of them held out. Next: elicit tune" in capsys.readouterr().err
    assert _code(["tune", folder, "--auto", "--votes", "4"]) == 0
    assert "after 4 votes" in capsys.readouterr().out
    assert _code(["tune", folder, "--auto", "--json"]) in (0, 3)
    found = json.loads(capsys.readouterr().out)
    assert found["votes"] == 12
    assert found["margins"][0]["inputs"] == 16
    assert _code(["tune", folder, "--result", "--unmeasured"]) == 0
    assert found["best"]["item"] in capsys.readouterr().out
    assert _code(["export", folder, "--table", "prompt", "-o", "-"]) == 0
    assert capsys.readouterr().out.strip() == found["best"]["text"].strip()
    assert _code(["replay", folder, "--verify"]) == 0
    assert _code(["status", folder]) == 0
    assert _code(["report", folder, "-o", str(tmp_path / "r.html")]) == 0
    assert _code(["replay", folder, "--selector", "random"]) == 0


def test_a_pool_that_is_still_to_be_made_is_said_by_every_command_that_reads(tmp_path: Path, capsys: Out) -> None:
    file = tmp_path / "task.toml"
    file.write_text(
        'task = "Write a wish."\noptimises = "response"\ninput = "for Ada"\n'
        '[target]\nendpoint = "http://127.0.0.1:9/v1"\nmodel = "m"\n'
    )
    folder = str(tmp_path / "s")
    assert _code(["init", folder, "--tune", "--task", str(file)]) == 0
    for command in (
        ["status", folder],
        ["report", folder, "-o", str(tmp_path / "r.html")],
        *(
            ["export", folder, "--table", table, "-o", str(tmp_path / "x.jsonl")]
            for table in ("items", "prompt", "trl")
        ),
    ):
        assert "has 0 of the two prompts that a comparison needs" in fails(capsys, *command)
    assert not (tmp_path / "r.html").exists()
    assert not (tmp_path / "x.jsonl").exists()
    assert _code(["tune", folder, "--result"]) == 0
    assert "configures no judge" in fails(capsys, "tune", folder, "--auto")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('signals = ["exact_match"]', 'signals = ["bleu"]', "there is no signal called 'bleu'"),
        ('signals = ["exact_match"]', 'signals = ["judge:x"]', "names no judge"),
        ('proposers = ["slots"]', 'proposers = ["rewrite"]', "needs a model that writes"),
        ("parity.py:answer", "parity.py:nothing", "has no function 'nothing'"),
    ],
)
def test_what_could_never_run_is_refused_and_nothing_is_left(
    task: str, tmp_path: Path, capsys: Out, old: str, new: str, why: str
) -> None:
    Path(task).write_text(TASK.replace(old, new))
    assert why in fails(capsys, "init", str(tmp_path / "s"), "--tune", "--task", task)
    assert not (tmp_path / "s").exists()


def test_under_a_limit_the_status_recommends_what_tune_does(task: str, tmp_path: Path, capsys: Out) -> None:
    Path(task).write_text(TASK + "[safety]\nlimit = 0.05\n")
    folder = str(tmp_path / "s")
    assert _code(["init", folder, "--tune", "--task", task]) == 0
    assert _code(["tune", folder, "--auto", "--votes", "3"]) == 0
    assert "No prompt is recommended" in capsys.readouterr().out
    assert _code(["status", folder, "--json"]) == 0
    assert "best" not in json.loads(capsys.readouterr().out)
    assert _code(["status", folder]) == 0
    assert _code(["report", folder, "-o", str(tmp_path / "r.html")]) == 0
    assert _code(["export", folder, "--table", "trl", "-o", str(tmp_path / "x.jsonl")]) == 0


def test_what_cannot_be_tuned_is_said(task: str, tmp_path: Path, capsys: Out) -> None:
    assert "asks questions in a terminal" in fails(capsys, "init", str(tmp_path / "a"), "--tune")
    assert "--tune takes no --items" in fails(capsys, "init", str(tmp_path / "a"), "--task", task, "--items", "x.jsonl")
    assert "gone.toml cannot be read" in fails(capsys, "init", str(tmp_path / "a"), "--task", "gone.toml")
    assert "is not a study" in fails(capsys, "tune", str(tmp_path / "a"))
    assert _code(["init", str(tmp_path / "s"), "--task", task]) == 0
    assert "tuning needs a terminal" in fails(capsys, "tune", str(tmp_path / "s"))
    items = tmp_path / "items.jsonl"
    items.write_text('{"text": "a"}\n{"text": "b"}\n')
    assert _code(["init", str(tmp_path / "b"), "--items", str(items)]) == 0
    assert "tunes no prompts" in fails(capsys, "tune", str(tmp_path / "b"), "--result")
    assert "tunes prompts" in fails(capsys, "serve", str(tmp_path / "s"), "--port", "0")


@pytest.mark.parametrize(("answer", "measured"), [("\n", True), ("n\n", False), ("", False)])
def test_leaving_asks_before_it_spends_calls_on_measuring(
    task: str, tmp_path: Path, answer: str, *, measured: bool
) -> None:
    folder = str(tmp_path / "s")
    assert _code(["init", folder, "--tune", "--task", task]) == 0
    found = _elicit("tune", folder, "--plain", "--json", lines=f"left\nright\nq\n{answer}")
    assert found.returncode == 0, found.stderr
    assert (
        "Measure the best prompt and the first one on the 16 inputs held out? 0 of 32 responses are there; the others "
        "take 32 model calls. Measure now? [Y/n]"
    ) in found.stderr or "0 of 16 responses are there; the others take 16 model calls." in found.stderr
    result = json.loads(found.stdout.splitlines()[-1])
    assert bool(result["margins"]) == measured
    assert ("measure with: elicit tune" in result["unmeasured"]) == (not measured)


def test_nobody_is_asked_where_a_flag_has_said_it(task: str, tmp_path: Path) -> None:
    folder = str(tmp_path / "s")
    assert _code(["init", folder, "--tune", "--task", task]) == 0
    found = _elicit("tune", folder, "--plain", "--unmeasured", lines="left\nright\nq\n")
    assert "Measure now?" not in found.stderr
    assert "Not measured on the held-out inputs" in found.stdout
    assert "On 16 held-out inputs" in _elicit("tune", folder, "--result").stdout


def test_what_measuring_costs_is_said_before(task: str, tmp_path: Path) -> None:
    folder = tmp_path / "s"

    def said(got: Got) -> Say:
        return completion("odd" if len(got.body) % 2 else "even", tokens=(50, 2)) if got.body else Say()

    with serving_aside(said) as server:
        model = f'endpoint = "{server.url}"\nmodel = "m"\nprice_in = 10.0\nprice_out = 100.0\nmax_tokens = 64'
        Path(task).write_text(re.sub(r"function = .*", model, TASK))
        assert _code(["init", str(folder), "--tune", "--task", task]) == 0
        found = _elicit("tune", str(folder), "--plain", "--json", lines="left\nright\nq\ny\n")
    price = re.search(
        r"take (\d+) model calls and about ([\d.]+) in money, ([\d.]+) at most\. Measure now", found.stderr
    )
    assert price is not None, found.stderr
    calls, about, most = int(price[1]), float(price[2]), float(price[3])
    assert about == pytest.approx(calls * (50 * 10 + 2 * 100) / 1e6, rel=0.06)
    assert most > 5 * about
    assert json.loads(found.stdout.splitlines()[-1])["cost"] == pytest.approx(
        sum(got.method == "POST" for got in server.got) * 7e-4
    )


def _elicit(*arguments: str, lines: str = "") -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own, with these lines to read."""
    command = [sys.executable, "-c", "from elicit.cli import main; main()", *arguments]
    root = Path(__file__).parents[1]
    return subprocess.run(command, input=lines, capture_output=True, text=True, cwd=root, timeout=120, check=False)
