"""Laws of the labels of listed pairs, with every router and without: one row never contradicts itself, every answer
moves its pair its own way, and nothing depends on which response is called a."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from adapters.files.formats import PairRow
from elicit.log.events import Weighed
from elicit.plugins import registry
from elicit.types import Choice
from studies.reporting.exports import export
from studies.reporting.labels import pair_labels
from studies.reporting.status import status_of
from studies.study import Study
from tests.studies.routed import better, go, judge, make

WAYS = ["none", *registry.names("router")]
KINDS: tuple[Choice, ...] = ("a", "tie", "b")


def labelled(folder: Path, router: str, n: int = 12) -> Study:
    """A study in which half of the queries have gone to judges or people, or all without a router, and one is open."""
    folder.mkdir(exist_ok=True)
    judges = [] if router == "none" else [judge(folder, temper="first", logit=1.5)]
    study = make(folder, judges, n, {"router": router, "audits": 0.3, "budget": 50.0})
    if router != "none":
        go(study, n // 2)
    for k in range(n // 2):
        query = study.ask("maya")
        if query is None:
            break
        study.tell(query, ("a", "tie", "b", "both_bad", "skip")[k % 5], "maya")
    return study


def rows_by_id(study: Study) -> dict[str, dict[str, Any]]:
    return {row["pair_id"]: row for row in pair_labels(study)}


def answer(study: Study, number: int, choice: Choice, who: str) -> None:
    """One more person's answer to a query, said of the pair as it is listed."""
    query = study.query(number)
    listed = {(min(a, b), max(a, b)): a for _, a, b in study.state.pairs}
    turned = listed[query.pair] != query.a
    study.tell(number, {"a": "b", "b": "a"}.get(choice, choice) if turned else choice, who)


def pair_of(study: Study, number: int) -> str:
    pair = study.query(number).pair
    return next(name for name, a, b in study.state.pairs if (min(a, b), max(a, b)) == pair)


@pytest.mark.parametrize("router", WAYS)
def test_a_row_never_contradicts_itself_in_any_export(tmp_path: Path, router: str) -> None:
    study = labelled(tmp_path, router)
    rows = pair_labels(study)
    assert len(rows) == 12
    for row in rows:
        p = {side: row[f"p_{side}"] for side in KINDS}
        assert sum(p.values()) == pytest.approx(1)
        assert row["probability"] == max(p.values()) == p[row["label"]]
        assert row["source"] in ("votes", "machines", "model")
        assert (row["source"] == "votes") == (row["votes"] > 0)
    status = status_of(study)
    sources = [row["source"] for row in rows]
    assert status["labelled_by_votes"] == sources.count("votes")
    assert status["labelled_by_machines"] == sources.count("machines")
    export(study, str(tmp_path / "labels.jsonl"), table="labels")
    assert [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()] == rows
    export(study, str(tmp_path / "labels.parquet"), table="labels")
    assert [row["p_tie"] for row in pq.read_table(tmp_path / "labels.parquet").to_pylist()] == [
        row["p_tie"] for row in rows
    ]
    study.close()


@pytest.mark.parametrize("choice", KINDS)
@pytest.mark.parametrize("router", WAYS)
def test_one_more_answer_never_lowers_what_it_says(tmp_path: Path, router: str, choice: Choice) -> None:
    study = labelled(tmp_path, router)
    numbers = sorted({live.query for live in study.state.votes if live.raw is None and live.vote.judge == "maya"})
    assert numbers
    for number in numbers:
        name = pair_of(study, number)
        for who in ("noor", "ola", "pia", "quin"):
            before = rows_by_id(study)[name]
            answer(study, number, choice, who)
            after = rows_by_id(study)[name]
            assert after[f"p_{choice}"] > before[f"p_{choice}"]
        assert after["label"] == choice
    study.close()


@pytest.mark.parametrize("router", ["none", "default", "confidence"])
def test_the_order_of_peoples_answers_hardly_matters(tmp_path: Path, router: str) -> None:
    """A stack of judges learns vote by vote; what people say of this pair counts the same in any order."""
    told: tuple[Choice, ...] = ("a", "a", "tie", "b")
    found = []
    for way in (told, told[::-1]):
        study = labelled(tmp_path / f"{len(found)}", router)
        number = next(live.query for live in study.state.votes if live.raw is None and live.vote.judge == "maya")
        for k, choice in enumerate(way):
            answer(study, number, choice, f"person {k}")
        row = rows_by_id(study)[pair_of(study, number)]
        found.append([row[f"p_{side}"] for side in KINDS])
        study.close()
    assert found[0] == pytest.approx(found[1], abs=0.02)


@pytest.mark.parametrize("router", ["none", "default"])
def test_where_people_agree_the_label_is_the_one_persons(tmp_path: Path, router: str) -> None:
    """Maya is asked everything, three more agree with her on most; the last pair is hers alone, and the judge is sure
    of the contrary."""
    judges = [] if router == "none" else [judge(tmp_path, temper="wrong", logit=1.5)]
    study = make(tmp_path, judges, 40, {"router": router, "audits": 1.0, "budget": 1000.0})
    if router != "none":
        go(study)
    rows = 0
    while (query := study.ask("maya")) is not None:
        right = better(study, query.a, query.b)
        study.tell(query, right, "maya")
        if rows % 2 == 0:
            for who in ("noor", "ola"):
                study.tell(query, right, who)
        rows += 1
    for row in pair_labels(study):
        assert row["votes"] in (1, 3)
        first, second = (int(study.state.items[int_row(study, row[side])].text.split()[-1]) for side in ("a", "b"))
        assert row["label"] == ("a" if first > second else "b")
        assert row["probability"] > (0.6 if router == "none" else 0.55)
    study.close()


def int_row(study: Study, name: str) -> int:
    return next(number for number, item in enumerate(study.state.items) if item.id == name)


def test_ties_that_people_share_make_the_label_a_tie(tmp_path: Path) -> None:
    study = make(tmp_path, [], 30, {"router": "none"})
    for k in range(30):
        query = study.ask("maya")
        assert query is not None
        choice = "tie" if k % 3 == 0 else better(study, query.a, query.b)
        study.tell(query, choice, "maya")
        if k < 24:
            study.tell(query, choice, "noor")
    alone = [row for row in pair_labels(study) if row["votes"] == 1]
    assert sorted({row["label"] for row in alone}) == ["a", "b", "tie"]
    assert min(row["p_tie"] for row in alone if row["label"] == "tie") > 0.65
    study.close()


@pytest.mark.parametrize("router", ["none", "default", "all_human"])
def test_the_votes_of_who_is_quarantined_label_nothing(tmp_path: Path, router: str) -> None:
    study = labelled(tmp_path, router)
    study.weigh([Weighed("maya", 0.0, "check", "")])
    assert not [row for row in pair_labels(study) if row["source"] == "votes"]
    study.close()


def test_exchanging_the_responses_exchanges_the_labels(tmp_path: Path) -> None:
    found = []
    for turned in (False, True):
        texts = [(f"answer {2 * k}", f"answer {2 * k + 1}") for k in range(6)]
        pairs = [PairRow(f"p{k}", "Task", *(two[::-1] if turned else two)) for k, two in enumerate(texts)]
        plain: dict[str, Any] = {"model": "bradley_terry", "embedder": "none", "votes": 100}
        with Study.create(tmp_path / str(turned), pairs=pairs, **plain) as study:
            for _ in range(6):
                query = study.ask("maya")
                assert query is not None
                pair = int(study.state.items[query.a].text.split()[-1]) // 2
                study.tell(query, "tie" if pair % 3 == 2 else better(study, query.a, query.b), "maya")
            found.append(rows_by_id(study))
    for name, one in found[0].items():
        a, tie, b = (found[1][name][f"p_{side}"] for side in KINDS)
        assert (one["p_b"], one["p_tie"], one["p_a"]) == pytest.approx((a, tie, b), abs=1e-6)
        assert found[1][name]["label"] == {"a": "b", "b": "a"}.get(one["label"], "tie")
