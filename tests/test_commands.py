"""The command line as a person uses it: what it says, where it says it, and its exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from elicit.cli import _code
from tests.studies import making

Out = pytest.CaptureFixture[str]


@pytest.fixture
def items(tmp_path: Path) -> Path:
    """A file of twelve items."""
    file = tmp_path / "items.jsonl"
    file.write_text("".join(json.dumps(item) + "\n" for item in making.items(12)))
    return file


@pytest.fixture
def study(tmp_path: Path, items: Path) -> str:
    """A study of them with a simulated judge."""
    folder = str(tmp_path / "study")
    assert _code(["init", folder, "--items", str(items), "--simulate", "meta.score", "--votes", "40"]) == 0
    return folder


def fails(out: Out, *arguments: str) -> str:
    """The one sentence a bad call ends with."""
    out.readouterr()
    assert _code(list(arguments)) == 2
    said = out.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    return said.err


def test_from_a_file_to_a_recommendation(study: str, tmp_path: Path, capsys: Out) -> None:
    assert _code(["run", study, "--votes", "25"]) == 0
    capsys.readouterr()
    assert _code(["status", study, "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["votes"], status["items"], status["goal"]) == (25, 12, "best")
    assert status["judges"] == {"simulated": 25}
    assert 0 < status["best"]["p_best"] <= 1
    assert _code(["status", study]) == 0
    assert "recommended:" in capsys.readouterr().out
    for name in ("votes.csv", "votes.jsonl", "votes.parquet"):
        assert _code(["export", study, "-o", str(tmp_path / name)]) == 0
    rows = [json.loads(line) for line in (tmp_path / "votes.jsonl").read_text().splitlines()]
    assert len(rows) == 25
    assert all(row["preferred"] in (row["a"], row["b"]) for row in rows)
    assert len((tmp_path / "votes.csv").read_text().splitlines()) == 26
    assert _code(["export", study, "--table", "items", "-o", str(tmp_path / "items.csv")]) == 0
    assert _code(["report", study, "-o", str(tmp_path / "report.html")]) == 0
    assert "<html" in (tmp_path / "report.html").read_text()
    capsys.readouterr()
    assert _code(["replay", study, "--verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "same"


def test_json_says_what_was_written_where_and_nothing_else(study: str, tmp_path: Path, capsys: Out) -> None:
    assert _code(["run", study, "--votes", "9"]) == 0

    def told(*arguments: str) -> dict[str, object]:
        capsys.readouterr()
        assert _code([*arguments, "--json"]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        found: dict[str, object] = json.loads(said.out)
        return found

    page, table, copy = (str(tmp_path / name) for name in ("report.html", "items.csv", "copy"))
    counts = {"study": study, "votes": 9, "items": 12}
    assert told("report", study, "-o", page) == counts | {"output": page}
    assert told("backup", study, copy) == {"study": study, "output": copy}
    assert sorted(file.name for file in Path(copy).iterdir()) == ["study.db", "study.toml"]
    exported = {"study": study, "output": table, "table": "items", "rows": 12}
    assert told("export", study, "--table", "items", "-o", table) == exported
    assert len(Path(table).read_text().splitlines()) == 13
    gone = told("forget", study, "--judge", "simulated")
    left = ["study.db", "study.toml"]  # the kind of judge is called like it
    assert gone == {"study": study, "judge": "simulated", "pseudonym": gone["pseudonym"], "votes": 9, "left": left}
    assert _code(["status", study, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["judges"] == {gone["pseudonym"]: 9}


def test_run_goes_on_where_it_stopped_and_ends_at_the_budget(study: str, capsys: Out) -> None:
    for _ in range(2):
        assert _code(["run", study, "--votes", "15"]) == 0
    assert _code(["run", study]) in (0, 3)  # 3: the budget came before the stop rule
    capsys.readouterr()
    assert _code(["status", study, "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert 30 <= status["votes"] <= 40


def test_recorded_judgments_label_pairs(tmp_path: Path, capsys: Out) -> None:
    pairs, judgments = tmp_path / "pairs.jsonl", tmp_path / "judgments.jsonl"
    rows = [
        {"pair_id": f"p{i}", "prompt": f"Q{i}", "response_a": f"yes {i}", "response_b": f"perhaps {i}"}
        for i in range(6)
    ]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = [{"pair_id": f"p{i}", "judge_id": "j", "judge_kind": "human", "preference": "a"} for i in range(5)]
    judgments.write_text("".join(json.dumps(row) + "\n" for row in said))
    folder = str(tmp_path / "labels")
    assert _code(["init", folder, "--pairs", str(pairs), "--judgments", str(judgments)]) == 0
    assert _code(["run", folder, "--votes", "6"]) == 0
    assert _code(["export", folder, "--table", "labels", "-o", str(tmp_path / "labels.jsonl")]) == 0
    labels = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert [row["label"] for row in labels[:5]] == ["a"] * 5
    assert [row["source"] for row in labels] == ["votes"] * 5 + ["model"]
    assert _code(["export", folder, "-o", str(tmp_path / "votes.jsonl")]) == 0
    votes = [json.loads(line) for line in (tmp_path / "votes.jsonl").read_text().splitlines()]
    texts = {row["pair_id"]: (row["response_a"], row["response_b"]) for row in rows}
    assert all((vote["a_text"], vote["b_text"]) == texts[vote["pair_id"]] for vote in votes)
    assert {vote["choice"] for vote in votes} == {"a"}
    capsys.readouterr()


def test_items_with_embeddings_and_features_of_their_own(tmp_path: Path, capsys: Out) -> None:
    file = tmp_path / "items.jsonl"
    rows = [{"text": f"t{i}", "embedding": [i, 1.5], "features": {"length": i * 2}} for i in range(4)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert _code(["init", str(tmp_path / "s"), "--items", str(file)]) == 0
    assert _code(["status", str(tmp_path / "s")]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("goal", ["best", "rank"])
def test_both_goals_over_items(items: Path, tmp_path: Path, goal: str, capsys: Out) -> None:
    folder = str(tmp_path / goal)
    arguments = ["--items", str(items), "--goal", goal, "--simulate", "meta.score"]
    assert _code(["init", folder, *arguments]) == 0
    assert _code(["run", folder, "--votes", "6"]) == 0
    capsys.readouterr()
    assert _code(["replay", folder]) == 0
    assert "all 6 decisions" in capsys.readouterr().out


def test_bad_input_is_one_sentence_and_code_2(items: Path, study: str, tmp_path: Path, capsys: Out) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"text": "fine"}\n{"text": 5}\n')
    new = str(tmp_path / "new")
    said = fails(capsys, "init", new, "--items", str(broken))
    assert "line 2" in said
    assert "text" in said
    assert not Path(new).exists()
    assert "there is no file" in fails(capsys, "init", new, "--items", str(tmp_path / "none.jsonl")).replace(
        "is no such", "there is no"
    )
    assert "give one of them" in fails(capsys, "init", new)
    assert "must be a file" in fails(capsys, "init", new, "--pairs", "p.csv", "--judgments", "-")
    assert "already exists" in fails(capsys, "init", study, "--items", str(items))
    assert "is not a study" in fails(capsys, "status", new)
    assert "is not a study" in fails(capsys, "vote", new)
    assert "needs a terminal" in fails(capsys, "vote", study)
    assert "no judge called" in fails(capsys, "forget", study, "--judge", "nobody")
    assert "votes or the items" in fails(capsys, "export", study, "--table", "labels", "-o", str(tmp_path / "x.csv"))
    assert "ending" in fails(capsys, "export", study, "-o", str(tmp_path / "x.doc"))
    assert "both write to stdout" in fails(capsys, "export", study, "-o", "-", "--json")
    assert "elicit status --help" in fails(capsys, "status", study, "--colour")
    assert "No such command" in fails(capsys, "frobnicate").replace("no such", "No such")
    assert "known are" in fails(capsys, "init", new, "--items", str(items), "--selector", "best")
    assert "meta.nothing" in fails(capsys, "init", new, "--items", str(items), "--simulate", "meta.nothing")
    assert not Path(new).exists()


def test_no_arguments_give_help(capsys: Out) -> None:
    assert _code([]) == 0
    assert "elicit demo" in capsys.readouterr().out


def test_a_misspelt_field_is_named_with_the_closest_one(study: str, capsys: Out) -> None:
    file = Path(study) / "study.toml"
    file.write_text(file.read_text().replace("votes = 40", "vots = 40"))
    assert "did you mean 'votes'" in fails(capsys, "run", study)


def test_a_study_without_judges_cannot_run(items: Path, tmp_path: Path, capsys: Out) -> None:
    assert _code(["init", str(tmp_path / "s"), "--items", str(items)]) == 0
    assert "configures no judge" in fails(capsys, "run", str(tmp_path / "s"))


def test_items_may_come_through_a_pipe_and_votes_leave_through_one(tmp_path: Path, items: Path) -> None:
    def elicit(*arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "elicit.cli", *arguments]
        return subprocess.run(command, input=given, capture_output=True, text=True, cwd=tmp_path, check=False)

    assert elicit("init", "piped", "--items", "-", given=items.read_text()).returncode == 0
    voted = elicit("vote", "piped", "--plain", given="left\n6\nq\n")
    assert voted.returncode == 0, voted.stderr
    exported = elicit("export", "piped", "-o", "-")
    assert [json.loads(line)["choice"] in ("a", "b") for line in exported.stdout.splitlines()] == [True, True]


def test_doctor_finds_this_installation_sound(capsys: Out) -> None:
    assert _code(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"]
    assert {"torch", "import names", "device", "embedder"} <= {check["name"] for check in report["checks"]}


def test_the_demo_runs_by_itself(tmp_path: Path, capsys: Out) -> None:
    assert _code(["demo", "--auto", "--votes", "12", "--json", "--folder", str(tmp_path / "demo")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["items"] >= 150
    assert found["votes"] == 12
    assert found["accuracy"] >= found["median_accuracy"]
    assert found["random_votes"] >= 1
    assert Path(found["report"]).stat().st_size > 10_000
    assert _code(["demo", "--auto", "--votes", "3", "--json", "--folder", str(tmp_path / "demo")]) == 0


def test_the_demo_never_replaces_another_study(study: str, capsys: Out) -> None:
    assert "holds a study of yours" in fails(capsys, "demo", "--auto", "--folder", study)
    assert _code(["status", study]) == 0


def test_the_demo_never_replaces_a_persons_votes(tmp_path: Path, capsys: Out) -> None:
    from studies.demo.session import open_demo

    with open_demo(tmp_path / "demo", auto=False, votes=None, seed=0) as study:
        query = study.ask("me")
        assert query is not None
        study.tell(query, "a", "me")
    assert "holds votes of a person" in fails(capsys, "demo", "--auto", "--folder", str(tmp_path / "demo"))


def test_the_tuning_bench_compares_methods(tmp_path: Path, capsys: Out) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = tmp_path / "pool.parquet"
    rows = [
        {"task": "t", "prompt": f"{item['text']} please", "model": m, "score": item["meta"]["score"] / 24 + k}
        for item in making.items(24)
        for k, m in enumerate(("small", "large"))
    ]
    pq.write_table(pa.Table.from_pylist(rows), file)
    arguments = ["--methods", "default,random", "--votes", "25", "--seeds", "2", "--workers", "1", "--json"]
    assert _code(["bench", "tuning", "--pool", str(file), *arguments]) == 0
    result = json.loads(capsys.readouterr().out)
    assert {row["method"] for row in result["rows"]} == {"default", "random"}
    assert len([r for r in result["rows"] if r["votes"] == 25]) == 2 * 2 * 2
    assert {s["method"]: s["runs"] for s in result["summary"]} == {"default": 4, "random": 4}
    assert all(0 <= row["simple_regret"] <= 2 for row in result["rows"])
    assert "beats_default" not in {k for s in result["summary"] for k, v in s.items() if v is not None}
    assert "known are" in fails(capsys, "bench", "tuning", "--pool", str(file), "--methods", "defualt")
