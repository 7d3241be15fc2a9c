"""How far annotators are to be trusted, read off a study."""

import json
from pathlib import Path

import numpy as np
import pytest

from elicit.cli import _code
from studies.reporting.annotators import annotators
from tests.studies import making


def test_who_votes_by_lot_is_found_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    with making.make(tmp_path, 20, votes=400) as study:
        for _ in range(60):
            query = study.ask("ann")
            assert query is not None
            scores = [study.state.items[row].meta["score"] for row in (query.a, query.b)]
            better, other = ("a", "b") if scores[0] > scores[1] else ("b", "a")
            study.tell(query, better, "ann")
            study.tell(query, better if rng.random() < 0.9 else other, "bob")
            study.tell(query, "a" if rng.random() < 0.5 else "b", "lot")
        rows = {row["judge"]: row for row in annotators(study)}
        folder = str(study.folder)
    assert rows["ann"]["low"] > rows["lot"]["high"]
    assert rows["lot"]["low"] < 0.5 < rows["lot"]["high"]
    assert rows["bob"]["low"] > rows["lot"]["accuracy"]
    assert all(row["votes"] == 60 for row in rows.values())
    assert _code(["status", folder, "--json"]) == 0
    assert {row["judge"] for row in json.loads(capsys.readouterr().out)["annotators"]} == {"ann", "bob", "lot"}
    assert _code(["status", folder]) == 0
    assert "names the better side" in capsys.readouterr().out


def test_votes_that_never_meet_tell_nothing(tmp_path: Path) -> None:
    with making.make(tmp_path, 20) as study:
        making.vote(study, "ann", 5)
        assert annotators(study) == []
