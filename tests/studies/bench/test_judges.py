"""How often judges are wrong, on labels that are known."""

import json
from pathlib import Path

import pytest

from elicit.cli import _code

PAIRS = [
    {"pair_id": str(i), "prompt": "p", "response_a": f"answer {i}", "response_b": "other " + "x" * i} for i in range(20)
]


def _file(path: Path, rows: list[dict[str, str]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def _said(judge: str, kind: str, preference: str, order: str = "both") -> list[dict[str, str]]:
    told = {"judge_id": judge, "judge_kind": kind, "preference": preference, "order": order}
    return [{"pair_id": pair["pair_id"], **told} for pair in PAIRS]


def test_errors_flips_and_leanings_are_counted_over_all_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = _file(tmp_path / "pairs.jsonl", PAIRS)
    gold, right, wrong = _said("gold", "human", "a"), _said("right", "llm", "a"), _said("wrong", "llm", "b")
    first = [*_said("first", "llm", "a", "ab"), *_said("first", "llm", "b", "ba")]  # whatever it is shown first
    one = _file(tmp_path / "one.jsonl", [*gold, *right, *first])
    two = _file(tmp_path / "two.jsonl", [*gold, *right, *wrong])
    files = ["--pairs", f"{pairs},{pairs}", "--judgments", f"{one},{two}"]
    assert _code(["bench", "judges", *files, "--json"]) == 0
    rows = {row["method"]: row for row in json.loads(capsys.readouterr().out)["summary"]}
    assert list(rows) == ["right", "first", "wrong"]
    assert (rows["right"]["error"], rows["right"]["pairs"], rows["right"]["flips"]) == (0, 40, 0)
    assert (rows["first"]["error"], rows["first"]["flips"]) == (0.5, 1)
    assert (rows["wrong"]["error"], rows["wrong"]["pairs"]) == (1, 20)
    assert rows["right"]["error_high"] < 0.1 < 0.8 < rows["wrong"]["error_low"]
    place = {bias["name"]: bias for bias in rows["first"]["biases"]}["position"]
    assert place["low"] > 1
    assert _code(["bench", "judges", *files]) == 0
    assert "wrong on 0.0%" in capsys.readouterr().out
    assert _code(["bench", "judges", "--pairs", pairs, "--judgments", f"{one},{two}"]) == 2
    assert "give as many of both" in capsys.readouterr().err
