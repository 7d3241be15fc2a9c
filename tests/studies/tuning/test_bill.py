"""The bill of a tuning study is what everybody who was asked has cost: target, writer, judges that vote or give
signals."""

import sqlite3
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from adapters.llm.calls import FILE
from studies.commands.tuning_session import conclude, lines_of
from studies.run import run
from studies.study import Study
from studies.tuning.bill import bill_of
from studies.tuning.result import result_of
from tests.adapters.serving import Got, Say, completion, serving_aside
from tests.studies.tuning import parity

PRICES = {"price_in": 3.0, "price_out": 15.0}


def said(got: Got) -> Say:
    """Target, writer and judge, told apart by the model's name; each call has a price of its own."""
    if got.method == "GET":
        return Say(b'{"object": "list", "data": [{"id": "m"}]}')
    size = (len(got.body) % 97 + 10, 3)
    if got.json["model"] == "writer":
        return completion(
            f"<prompt>Say {'really ' * (len(got.body) % 5)}whether {{{{number}}}} is odd.</prompt>", None, size
        )
    if got.json["model"] == "judge":
        return completion("A" if len(got.body) % 2 else "B", None, size)
    return completion(parity.answer(got.user), None, size)


def booked(folder: Path) -> tuple[int, float]:
    """Calls and money in the book of calls."""
    with sqlite3.connect(folder / FILE) as book:
        calls, cost = book.execute("SELECT COUNT(*), SUM(cost) FROM calls").fetchone()
    return calls, cost


@pytest.mark.parametrize("role", ["votes", "signals"])
def test_calls_that_brought_nothing_are_on_it(tmp_path: Path, role: str) -> None:
    """Of a judge that says nothing at times, and whose endpoint sends what is no reply: all of it was paid."""
    many = count()

    def says(got: Got) -> Say:
        if got.method == "GET" or got.json["model"] != "judge":
            return said(got)
        turn = next(many) % 5
        return Say(b"oh dear") if turn == 3 else completion("I cannot say." if turn == 1 else "A", None, (20, 3))

    with serving_aside(says) as server:
        model = {"endpoint": server.url, "retries": 2, **PRICES}
        judges: list[dict[str, Any]] = [
            {
                "name": "j",
                "kind": "pairwise",
                "options": {**model, "model": "judge", "concurrency": 1, "backoff": 0.01},
            },
            {"name": "person", "kind": "reference", "person": True},
        ]
        signals, judges = ([], judges) if role == "votes" else (["judge:j"], judges[::-1])
        target = {**model, "model": "target"}
        with parity.tuned(
            tmp_path / "s", parity.prompts()[:3], votes=6, judges=judges, signals=signals, target=target
        ) as study:
            result = run(study, 6, lambda *_: None)
            bill = bill_of(study)
    calls, cost = booked(tmp_path / "s")
    assert result.failed or role == "signals"
    assert (bill.calls + bill.judge_calls, bill.cost) == (calls, pytest.approx(cost))


@pytest.mark.parametrize("signals", [[], ["judge:j"]])
@pytest.mark.parametrize("voting", [True, False])
def test_it_is_the_sum_of_the_book_of_calls(tmp_path: Path, signals: list[str], *, voting: bool) -> None:
    with serving_aside(said) as server:
        model = {"endpoint": server.url, "retries": 0, **PRICES}
        judges: list[dict[str, Any]] = [
            {"name": "j", "kind": "pairwise", "options": {**model, "model": "judge"}},
            {"name": "person", "kind": "reference", "person": True},
        ]
        tuning = {
            "target": {**model, "model": "target"},
            "writer": {**model, "model": "writer"},
            "proposers": ["rewrite"],
            "signals": signals,
            "start": 5,
            "grow": 2,
            "every": 3,
            "screen": 2,
        }
        chosen = judges if voting else judges[::-1]
        routing = {"router": "none"}
        with parity.tuned(
            tmp_path / "s", parity.prompts()[:3], votes=8, judges=chosen, routing=routing, **tuning
        ) as study:
            run(study, 8, lambda *_: None)
            bill = bill_of(study)
        calls, cost = booked(tmp_path / "s")
        assert bill.cost == pytest.approx(cost)
        assert (bill.judge_cost > 0, bill.judge_calls > 0) == (voting, voting)
        assert any(made.cost for made in study.state.proposed)
        found = conclude(tmp_path / "s", agree=lambda _: True, report=lambda *_: None)
        calls, cost = booked(tmp_path / "s")
        assert found["cost"] == pytest.approx(cost)
        assert found["calls"] + found["judge_calls"] == calls
        assert f"{cost:.4g} in money" in lines_of(found)[-1]
        (tmp_path / "s" / FILE).unlink()
        with Study.open(tmp_path / "s", writable=False) as study:
            assert result_of(study).cost == pytest.approx(cost), "without the book the log knows"
