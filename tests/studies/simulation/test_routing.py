"""The routing bench: one stream for all, labels checked against others than those who made them, areas that add up."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.files.formats import JudgmentRow
from elicit.cli import _code
from elicit.randomness import stream
from elicit.types import BadInputError
from studies.simulation import recorded_streams, routing
from studies.simulation.jobs import Row, RunPlan

Out = pytest.CaptureFixture[str]
WORDS = ("one", "two", "three", "four", "five")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Twelve questions of six pairs of four models, later names being better; three humans, a judge that likes length,
    and another who judged little."""
    pairs, votes = [], []
    rng = stream(0, "files")
    for question in range(12):
        for i in range(4):
            for j in range(i + 1, 4):
                name = f"{question}-{i}-{j}"
                texts = [" ".join(WORDS[: k + 1]) + f" {question}" for k in (i, j)]
                pairs.append(
                    {"pair_id": name, "prompt": f"ask {question}", "response_a": texts[0], "response_b": texts[1]}
                    | {"model_a": f"m{i}", "model_b": f"m{j}", "category": "math" if question % 2 else "talk"}
                )
                for human in range(3):
                    said = "b" if rng.random() < 0.85 else "a" if human else "tie"
                    votes.append(vote(name, f"h{human}", "human", said, "unknown"))
                votes += [vote(name, "gpt", "llm", said, "ab") for said in ("b" if rng.random() < 0.8 else "a",)]
                if question == 0:
                    votes.append(vote(name, "seldom", "llm", "a", "both"))
    return write(tmp_path / "pairs.jsonl", pairs), write(tmp_path / "votes.jsonl", votes)


def vote(pair: str, judge: str, kind: str, said: str, order: str) -> dict[str, str]:
    return {"pair_id": pair, "judge_id": judge, "judge_kind": kind, "preference": said, "order": order}


def write(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def steady(rows: list[Row]) -> list[Row]:
    """The rows without what a clock says."""
    return [{k: v for k, v in row.items() if k != "cpu_ms_per_pair"} for row in rows]


@pytest.mark.parametrize("seed", range(5))
def test_nobody_is_checked_against_the_own_vote(files: tuple[Path, Path], seed: int) -> None:
    recorded = recorded_streams.read(*files)
    asked, held_out = recorded_streams.stream_of(recorded, seed)
    for one in asked:
        others = list(one.pair.votes)
        others.remove(one.answer)
        assert one.side == np.sign(others.count("a") - others.count("b"))
        if one.majority:
            assert others.count(one.majority) * 2 > len(others) or len(set(others)) == len(others) == 1
    streamed = {one.pair.question for one in asked}
    of = {(pair.a, pair.b): pair.question for pair in recorded.pairs}
    assert not streamed & {of[a, b] for a, b, _ in held_out}
    assert len(streamed) == 9
    assert recorded_streams.stream_of(recorded, seed) == (asked, held_out)


def test_every_second_question_and_only_judges_who_judged(files: tuple[Path, Path]) -> None:
    parts = [recorded_streams.read(*files, part) for part in ("even", "odd")]
    questions = [{pair.question for pair in one.pairs} for one in parts]
    assert not questions[0] & questions[1]
    assert {len(q) for q in questions} == {6}
    assert [list(one.prices) for one in parts] == [["gpt"], ["gpt"]]
    assert list(recorded_streams.read(*files, judges=["seldom"]).prices) == ["seldom"]


@pytest.mark.parametrize(
    ("rows", "logits", "tie"),
    [
        ([("a", "ab", {}), ("b", "ba", {})], {"ab": 2.0, "ba": -2.0}, 0.0),
        ([("b", "both", {})], {"ab": -2.0, "ba": -2.0}, 0.0),
        ([("tie", "both", {})], {"ab": 0.0, "ba": 0.0}, 1.0),
        ([("tie", "both", {"inconsistent": True})], {"ab": 2.0, "ba": -2.0}, 0.0),
        ([("tie", "ba", {})], {"ba": 0.0}, 1.0),
    ],
)
def test_a_verdict_is_read_by_its_orders(rows: Any, logits: dict[str, float], tie: float) -> None:
    verdict = recorded_streams.verdict_of(
        [JudgmentRow("p", "j", "llm", said, order, meta) for said, order, meta in rows]
    )
    assert verdict is not None
    assert (verdict.logits, verdict.tie) == (logits, tie)
    assert recorded_streams.verdict_of([]) is None


@pytest.mark.parametrize("liking", [0.0, 0.5])
def test_made_up_people_and_judges_are_as_good_as_they_are_said_to_be(liking: float) -> None:
    agree, right, wrong = [], [], []
    for seed in range(4):
        for pair in recorded_streams.synthetic(seed, "all", liking).pairs:
            agree.append(pair.votes[0] == pair.votes[1])
            side = np.sign(pair.votes.count("a") - pair.votes.count("b"))
            right.append([verdict.logit * side > 0 for verdict in pair.verdicts.values()])
    wrong = ~np.array(right)
    assert np.mean(agree) == pytest.approx(0.84, abs=0.02)
    assert np.mean(right, 0) == pytest.approx([0.77, 0.79, 0.81], abs=0.025)
    assert np.corrcoef(wrong.T)[np.triu_indices(3, 1)] == pytest.approx([0.6] * 3, abs=0.08)


def test_every_router_is_measured_and_pays_no_more_than_there_is(files: tuple[Path, Path]) -> None:
    recorded = recorded_streams.read(*files)
    names = ["default", "random_fusion", "confidence", "all_llm"]
    result = routing.routing([recorded, recorded], names, [0.1, 0.4], RunPlan(1), {})
    assert len(result["rows"]) == 16
    for row in result["rows"]:
        assert row["cost"] <= row["pairs"] * (row["human_share"] + 0.02) + 1e-6
        assert 0.5 < row["label_accuracy"] <= 1
        assert row["model_accuracy"] > 0.5
    by = {entry["method"]: entry for entry in result["summary"]}
    assert by["default"]["label_accuracy_area_over_first"] == 0
    assert by["default"]["label_accuracy_area"] > by["all_llm"]["label_accuracy_area"]
    assert by["all_llm"]["label_accuracy_area_over_first_high"] < 0
    assert by["all_llm"]["humans_asked"] == 0
    asked, _ = recorded_streams.stream_of(recorded, 0)
    said = [np.sign(one.pair.verdicts["gpt"].logit) == one.side for one in asked if one.side]
    assert result["rows"][-4]["label_accuracy"] == pytest.approx(np.mean(said))


def test_the_command_goes_on_where_it_stopped(files: tuple[Path, Path], tmp_path: Path, capsys: Out) -> None:
    options = ["--pairs", str(files[0]), "--judgments", str(files[1]), "--human-share", "0.2", "--workers", "1"]
    whole = ["bench", "routing", *options, "--routers", "default,random", "--seeds", "2", "--json"]
    assert _code([*whole, "--out", str(tmp_path / "runs.jsonl")]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["bench"] == "routing"
    lines = (tmp_path / "runs.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "runs.jsonl").write_text("".join(lines[:3]))
    assert _code([*whole, "--out", str(tmp_path / "runs.jsonl")]) == 0
    assert steady(json.loads(capsys.readouterr().out)["rows"]) == steady(first["rows"])
    drawn = tmp_path / "curve.svg"
    assert _code(["bench", "routing", *options, "--seeds", "1", "--routers", "random", "--plot", str(drawn)]) == 0
    assert drawn.read_text().startswith("<?xml")
    assert "area" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (["--judgments", ""], "--judgments"),
        (["--routers", "nobody"], "no router called 'nobody'"),
        (["--human-share", "1.5"], "shares from 0 to 1"),
        (["--human-share", "some"], "not a list of shares"),
        (["--judges", "stranger"], "no verdicts of judge 'stranger'"),
    ],
)
def test_bad_input_is_one_sentence(files: tuple[Path, Path], capsys: Out, changed: list[str], told: str) -> None:
    given_ = {"--pairs": str(files[0]), "--judgments": str(files[1])} | dict([changed])
    arguments = [part for option, value in given_.items() if value for part in (option, value)]
    assert _code(["bench", "routing", *arguments, "--seeds", "1"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert told in said.err
    assert said.err.count("\n") == 1


def test_pairs_with_one_vote_cannot_be_checked(files: tuple[Path, Path], tmp_path: Path) -> None:
    votes = [json.loads(line) for line in files[1].read_text().splitlines()]
    alone = write(tmp_path / "alone.jsonl", [v for v in votes if v["judge_id"] in ("h1", "gpt")])
    with pytest.raises(BadInputError, match="two votes or more"):
        recorded_streams.stream_of(recorded_streams.read(files[0], alone), 0)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=5), st.floats(0, 1), st.floats(-1, 1))
def test_the_area_is_a_mean_accuracy(cuts: list[float], level: float, slope: float) -> None:
    shares = sorted({0.05, 0.9, *(round(cut, 3) for cut in cuts)})
    rows = [{"human_share": s, "by_question": {"q": [level + slope * s, 1], "r": [0.0, 0]}} for s in shares]
    middle = level + slope * (shares[0] + shares[-1]) / 2
    times = np.array([[1.0, 1.0], [2.0, 0.0]])
    assert routing.area(rows, ["q", "r"], times) == pytest.approx([middle, middle])
