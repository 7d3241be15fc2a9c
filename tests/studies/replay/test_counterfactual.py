"""Counterfactual replays: the recorded votes under another selector."""

import json
from pathlib import Path

import pytest

from elicit.cli import _code
from elicit.log.events import Consulted
from elicit.types import BadInputError, Verdict
from studies.decisions import engine_votes
from studies.replay.counterfactual import RECORDED, counterfactual, recorded_in, routers, run
from studies.simulation.jobs import RunPlan
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
    votes = engine_votes(voted.state)
    truth = voted.engine.utilities()[0]
    (last,) = run(voted.spec, voted.state, votes, truth, [VOTES], RECORDED, 0)
    assert last["same_best"] == 1
    assert last["simple_regret"] == 0
    assert last["coverage"] == 1


def test_a_replay_uses_every_recorded_vote_once_and_is_the_same_again(voted: Study) -> None:
    found = counterfactual(voted, ["random", "eubo"], None, 3, RunPlan(workers=1))
    last = [row for row in found["rows"] if row["votes"] == VOTES]
    assert len(last) == 7  # three seeds of two selectors, and the recorded order
    # All replays have learnt the same votes by then, if in another order, which moves an approximate belief a little.
    assert all(row["simple_regret"] < 0.2 for row in last)
    assert all(0 <= row["coverage"] <= 1 for row in found["rows"])
    assert counterfactual(voted, ["random", "eubo"], None, 3, RunPlan(workers=1))["rows"] == found["rows"]


def test_fewer_votes_are_the_beginning_of_the_same_replay(voted: Study) -> None:
    whole = counterfactual(voted, ["random"], None, 2, RunPlan(workers=1))["rows"]
    part = counterfactual(voted, ["random"], 10, 2, RunPlan(workers=1))["rows"]
    assert part == [row for row in whole if row["votes"] <= 10]


def test_what_cannot_be_replayed_is_said(voted: Study, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no selector called 'best'"):
        counterfactual(voted, ["best"], None, 1, RunPlan(workers=1))
    with making.make(tmp_path / "other", 3) as study, pytest.raises(BadInputError, match="0 votes"):
        counterfactual(study, ["random"], None, 1, RunPlan(workers=1))


def test_the_command_prints_one_line_a_selector(voted: Study, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["replay", str(voted.folder), "--selector", "random", "--seeds", "2", "--workers", "1"]
    assert _code(arguments) == 0
    assert "coverage" in capsys.readouterr().out
    assert _code([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [entry["method"] for entry in told["summary"]] == ["random", RECORDED]
    assert _code([*arguments, "--verify"]) == 2


def test_routers_are_replayed_on_pairs_with_two_votes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with making.make(tmp_path, 12) as study:
        for _ in range(VOTES):
            query = study.ask("ann")
            assert query is not None
            better = "a" if study.state.items[query.a].meta["score"] > study.state.items[query.b].meta["score"] else "b"
            logit = 1.0 if better == "a" else -1.0
            study.record(Consulted(query.id, "machine", Verdict({"ab": logit, "ba": logit})))
            study.tell(query, better, "ann")
            study.tell(query, better, "bob")
        recorded = recorded_in(study)
        assert len(recorded.pairs) == VOTES
        for pair in recorded.pairs:  # everybody says the same of the smaller row as a
            assert set(pair.votes) == {"a" if pair.verdicts["machine"].logit > 0 else "b"}
        folder = str(study.folder)
    arguments = ["replay", folder, "--router", "all_llm,all_human", "--seeds", "2", "--workers", "1", "--json"]
    assert _code(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert [entry["label_accuracy"] for entry in told["summary"]] == [1, 1]


def test_routers_need_votes_of_two_people(voted: Study) -> None:
    with pytest.raises(BadInputError, match="not enough human votes"):
        routers(voted, ["all_llm"], [0.5], 1, RunPlan(workers=1))
