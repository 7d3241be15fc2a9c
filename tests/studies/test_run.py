"""Headless work with a judge that asks a model: said before the first query where it is down, paid for once."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from elicit.types import BadInputError
from studies.run import run
from tests.adapters.serving import honest, serving_aside
from tests.studies import making


def judge(url: str, kind: str = "pointwise", **more: Any) -> dict[str, Any]:
    options = {"endpoint": url, "model": "m", "backoff": 1e-3, "retries": 1, "price_in": 1.0, "price_out": 1.0}
    return {"name": "model", "kind": kind, "options": options | more}


def test_what_a_run_paid_for_is_not_paid_for_again(tmp_path: Path) -> None:
    with serving_aside(honest) as server:
        first = making.make(tmp_path / "first", judges=[judge(server.url)])
        run(first, 3, lambda done, money: None)
        run(first, 5, lambda done, money: None)
        votes = [(live.vote.pair, live.vote.outcome) for live in first.state.votes]
        assert len(votes) == 8
        asked = len(server.got)
        again = making.make(tmp_path / "again", judges=[judge(server.url)])
        shutil.copy(first.folder / "calls.db", again.folder / "calls.db")
        run(again, 8, lambda done, money: None)
        assert [(live.vote.pair, live.vote.outcome) for live in again.state.votes] == votes
        assert {got.method for got in server.got[asked:]} == {"GET"}
        first.close()
        again.close()


def test_an_endpoint_that_is_down_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    study = making.make(tmp_path, judges=[judge("http://127.0.0.1:9/v1")])
    with pytest.raises(BadInputError, match=r"judge 'model': http://127\.0\.0\.1:9/v1 does not answer .*curl -sS"):
        run(study, 3, lambda done, money: None)
    assert not study.state.asked
    study.close()


def test_a_run_ends_where_no_judge_has_money_left(tmp_path: Path) -> None:
    with serving_aside(honest) as server:
        study = making.make(tmp_path, judges=[judge(server.url, budget=1e-3)])
        why = run(study, 100, lambda done, money: None)
        assert "model: its budget is spent" in why
        votes = [live.vote.outcome.choice for live in study.state.votes]
        assert 0 < len(votes) < 100
        assert "skip" not in votes
        study.close()


def test_a_judge_that_wants_examples_is_shown_what_people_chose(tmp_path: Path) -> None:
    with serving_aside(honest) as server:
        study = making.make(tmp_path, judges=[judge(server.url, "pairwise", examples=2)])
        run(study, 2, lambda done, money: None)
        assert not any("decided by a person" in got.body.decode() for got in server.got)
        making.vote(study, "maya", 3)
        server.got.clear()
        run(study, 1, lambda done, money: None)
        assert [got.body.decode().count("decided by a person") for got in server.got if got.body] == [2, 2]
        study.close()
