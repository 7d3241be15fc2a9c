"""Counterfactual replays: the recorded votes under another selector."""

import json
from pathlib import Path

import pytest

from elicit.cli import _code
from elicit.types import BadInputError
from studies.bench.measuring import Plan
from studies.counterfactual import RECORDED, counterfactual, run
from studies.decisions import lessons
from studies.study import Study
from tests.studies import making

VOTES = 24


@pytest.fixture
def voted(tmp_path: Path) -> Study:
    """Twelve items, and votes by their scores, with some noise."""
    with making.make(tmp_path, 12) as study:
        making.vote(study, times=VOTES, noise=1.0)
        return study


def test_the_recorded_order_ends_where_the_study_does(voted: Study) -> None:
    votes = lessons(voted.state)
    truth = voted.engine.utilities()[0]
    (last,) = run(voted.spec, voted.state, votes, truth, [VOTES], RECORDED, 0)
    assert last["same_best"] == 1
    assert last["simple_regret"] == 0
    assert last["coverage"] == 1


def test_a_replay_uses_every_recorded_vote_once_and_is_the_same_again(voted: Study) -> None:
    found = counterfactual(voted, ["random", "eubo"], None, 3, Plan(workers=1))
    last = [row for row in found["rows"] if row["votes"] == VOTES]
    assert len(last) == 7  # three seeds of two selectors, and the recorded order
    # All replays have learnt the same votes by then, if in another order, which moves an approximate belief a little.
    assert all(row["simple_regret"] < 0.2 for row in last)
    assert all(0 <= row["coverage"] <= 1 for row in found["rows"])
    assert counterfactual(voted, ["random", "eubo"], None, 3, Plan(workers=1))["rows"] == found["rows"]


def test_fewer_votes_are_the_beginning_of_the_same_replay(voted: Study) -> None:
    whole = counterfactual(voted, ["random"], None, 2, Plan(workers=1))["rows"]
    part = counterfactual(voted, ["random"], 10, 2, Plan(workers=1))["rows"]
    assert part == [row for row in whole if row["votes"] <= 10]


def test_what_cannot_be_replayed_is_said(voted: Study, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no selector called 'best'"):
        counterfactual(voted, ["best"], None, 1, Plan(workers=1))
    with making.make(tmp_path / "other", 3) as study, pytest.raises(BadInputError, match="0 votes"):
        counterfactual(study, ["random"], None, 1, Plan(workers=1))


def test_the_command_prints_one_line_a_selector(voted: Study, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["replay", str(voted.folder), "--selector", "random", "--seeds", "2", "--workers", "1"]
    assert _code(arguments) == 0
    assert "coverage" in capsys.readouterr().out
    assert _code([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [entry["method"] for entry in told["summary"]] == ["random", RECORDED]
    assert _code([*arguments, "--verify"]) == 2
