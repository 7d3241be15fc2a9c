"""Routing of a live study: every query ends somewhere once, nothing is lost or paid twice, and the log tells it all."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from elicit.log.events import Asked, Routed
from elicit.types import BadInputError
from studies.replay.verify import verify
from studies.routing.costs import money_spent
from studies.routing.dispatcher import PEOPLE
from studies.study import Study
from tests.studies import routed
from tests.studies.routed import ends, go, judge, make, vote

ROUTERS = ["all_human", "all_llm", "confidence", "default", "hyper", "random", "random_fusion", "swap"]


@pytest.mark.parametrize("router", [*ROUTERS, "cse", "scope"])
def test_every_query_ends_once_and_within_the_budget(tmp_path: Path, router: str) -> None:
    judges = [judge(tmp_path, "gpt"), judge(tmp_path, "tin", temper="first", price=0.002)]
    study = make(tmp_path, judges, 40, {"router": router, "budget": 6.0, "audits": 0.1})
    while True:
        go(study)
        if not vote(study, times=100):
            break
    found = ends(study)
    assert sum(found.values()) == 40
    assert found["people"] + found["machine"] == 40
    assert {asked.query.pair for asked in study.state.asked.values()} == {(a, b) for _, a, b in study.state.pairs}
    assert money_spent(study) <= 6.0 + 1e-9
    assert verify(study).status == "same"
    study.close()


def test_lanes_waiting_queries_and_votes_in_between_replay_to_the_same(tmp_path: Path) -> None:
    judges = [judge(tmp_path, "gpt", wait=0.002), judge(tmp_path, "tin", temper="first", wait=0.001, price=0.002)]
    study = make(tmp_path, judges, 60, {"budget": 30.0, "audits": 0.2}, selector="default", model="default")
    for turn in range(5):
        go(study, 12)
        vote(study, "maya", 2)
        vote(study, "ben", 1)
        if turn == 2:
            study.undo("maya")
    lanes = {event.body.judge for event in study.events() if isinstance(event.body, Asked)}
    assert len(lanes) > 3
    assert len(study.state.waiting) > 0
    assert verify(study).status == "same"
    study.close()


def _size(books: list[Path]) -> int:
    return sum(book.stat().st_size for book in books if book.exists())


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_run_killed_anywhere_goes_on_and_pays_nothing_twice(tmp_path: Path) -> None:
    books = [tmp_path / "gpt.txt", tmp_path / "tin.txt"]
    judges = [
        judge(tmp_path, "gpt", book=str(books[0]), wait=0.01),
        judge(tmp_path, "tin", book=str(books[1]), wait=0.005, temper="first", price=0.002),
    ]
    make(tmp_path, judges, 60, {"budget": 8.0, "audits": 0.3}).close()
    verdicts: set[tuple[int, str]] = set()
    kills = 0
    for turn in range(40):
        size = _size(books)
        child = os.fork()
        if child == 0:
            try:
                go(Study.open(tmp_path / "study"))
                os._exit(0)
            finally:
                os._exit(1)
        ended = 0
        while not ended:
            if _size(books) > size + 60 + 17 * turn:
                os.kill(child, signal.SIGKILL)
                kills += 1
                ended, status = os.waitpid(child, 0)
            else:
                time.sleep(0.001)
                ended, status = os.waitpid(child, os.WNOHANG)
        with Study.open(tmp_path / "study", writable=False) as study:
            consulted = {(n, asked.judge) for n, several in study.state.consulted.items() for asked in several}
        assert verdicts <= consulted
        verdicts = consulted
        if status == 0:
            break
    assert kills > 2
    with Study.open(tmp_path / "study") as study:
        assert verify(study).status == "same"
        every = [(n, asked.judge) for n, several in study.state.consulted.items() for asked in several]
        assert len(every) == len(set(every))
        asked = [a.query.pair for a in study.state.asked.values()]
        assert len(asked) == len(set(asked)) == 60
        assert ends(study)["open"] == ends(study)["passed over"] == 0
        # A call is made again only where the kill came before its verdict was on disk: at most one for each lane.
        calls = sum(len(book.read_text().splitlines()) for book in books)
        assert len(every) <= calls <= len(every) + 8 * kills
        assert len(study.state.votes) == len({live.query for live in study.state.votes}) == ends(study)["machine"]


def test_two_judges_and_no_votes_give_labels_at_once(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path)], 20, {"person_price": 0.0})
    go(study)
    rows = labels(study)
    assert {row["source"] for row in rows} == {"machines"}
    assert all(row["label"] == truth(study, row) for row in rows)
    study.close()


def labels(study: Study) -> list[dict[str, Any]]:
    from studies.reporting.labels import pair_labels

    return pair_labels(study)


def truth(study: Study, row: dict[str, Any]) -> str:
    place = {item.id: number for number, item in enumerate(study.state.items)}
    return routed.better(study, place[row["a"]], place[row["b"]])


def test_without_any_judge_it_says_what_to_do(tmp_path: Path) -> None:
    study = make(tmp_path, [])
    with pytest.raises(BadInputError, match=r"configures no judge; add a \[\[judges\]\] table"):
        go(study)
    study.close()


def test_people_teach_that_a_judge_is_always_wrong(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path, temper="wrong")], 80, {"budget": 40.0})
    go(study, 50)
    vote(study, times=100)
    go(study)
    machine = [row for row in labels(study) if row["source"] == "machines"]
    right = sum(row["label"] == truth(study, row) for row in machine)
    assert len(machine) > 20
    assert right > 0.9 * len(machine)
    study.close()


def test_a_judge_that_always_says_a_moves_no_label_once_people_have_spoken(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path, temper="first")], 80, {"budget": 40.0})
    go(study, 50)
    vote(study, times=100)
    go(study)
    sure = [max(row["p_a"], row["p_b"]) for row in labels(study) if row["source"] == "machines"]
    assert len(sure) > 20
    assert sum(sure) / len(sure) < 0.75
    study.close()


def test_a_judge_that_goes_down_for_good_leaves_the_rest_to_the_other(tmp_path: Path) -> None:
    judges = [judge(tmp_path, "gpt", temper="gone", after=5), judge(tmp_path, "tin", price=0.002)]
    study = make(tmp_path, judges, 30, {"person_price": 0.0})
    why = go(study)
    assert "gpt answers no more: the line is dead" in why
    assert ends(study) == {"machine": 30}
    study.close()


def test_when_the_last_judge_is_down_nothing_is_passed_over(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path, temper="gone", after=5)], 30, {"person_price": 0.0})
    why = go(study)
    assert why.startswith("no judge answers any more; gpt answers no more: the line is dead")
    assert ends(study)["passed over"] == 0
    assert 5 <= ends(study)["machine"] <= 13
    study.close()
    mended = (tmp_path / "study" / "study.toml").read_text().replace('"gone"', '"right"')
    (tmp_path / "study" / "study.toml").write_text(mended)
    with Study.open(tmp_path / "study") as again:
        go(again)
        assert ends(again) == {"machine": 30}
        assert verify(again).status == "same"


def test_what_a_judge_fails_on_is_open_to_people_and_asked_again_by_the_next_run(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path, temper="broken", after=12)], 20, {"person_price": 0.0})
    assert "no judge answers any more" in go(study)
    assert ends(study)["machine"] == len(study.state.votes) == 12
    failed = set(study.state.deferred)
    assert 5 <= len(failed) <= 8
    go(study)  # it answers twelve more before it fails again
    assert ends(study) == {"machine": 20}
    assert all(study.state.consulted[number][-1].verdict for number in failed)
    assert verify(study).status == "same"
    study.close()


def test_a_pair_that_a_person_answered_meanwhile_is_not_asked_again(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path, temper="broken")], 6, {"person_price": 0.0})
    go(study)
    while (query := study.ask("maya")) is not None:
        study.tell(query, "a", "maya")
    assert len(study.state.votes) == 6
    calls = len(study.state.consulted)
    result = routed.ran(study)
    assert (result.reason, result.exit_code, result.failed) == ("nothing_left", 0, 0)
    assert len(study.state.consulted) == calls
    study.close()


def test_with_no_money_only_who_is_free_answers(tmp_path: Path) -> None:
    judges = [judge(tmp_path, "gpt"), judge(tmp_path, "own", price=0.0)]
    study = make(tmp_path, judges, 10, {"budget": 0.0})
    go(study)
    assert {asked.judge for several in study.state.consulted.values() for asked in several} == {"own"}
    assert ends(study) == {"machine": 10}
    assert money_spent(study) == 0
    study.close()
    priced = make(tmp_path / "priced", [judge(tmp_path)], 10, {"budget": 0.0})
    assert go(priced) == "the budget of 0 is spent"
    assert not priced.state.asked
    priced.close()


def test_money_that_pays_for_nobody_ends_the_run_and_more_money_goes_on(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path, price=2.0)], 10, {"budget": 5.0, "person_price": 0.9})
    why = go(study)
    assert "of the budget pay for nobody's answer" in why
    assert ends(study)["passed over"] == 0
    go(study, budget=50.0)
    assert ends(study)["machine"] + ends(study)["people"] == 10
    study.close()


def test_what_is_promised_to_people_is_not_spent_on_others(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path)], 40, {"router": "all_human", "budget": 7.0})
    go(study)
    assert len(study.state.waiting) == 6  # the judge of all the others is paid from the rest
    assert money_spent(study) + len(study.state.waiting) <= 7.0
    study.close()


def test_the_budget_is_kept_but_for_the_calls_in_flight(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path, price=None, cost=0.3, wait=0.001)], 60, {"person_price": 0.0})
    why = go(study, budget=4.0)
    assert why == "the budget of 4 is spent"
    assert 4.0 <= money_spent(study) <= 4.0 + 8 * 0.3
    study.close()


def test_a_stand_in_for_people_answers_at_once(tmp_path: Path) -> None:
    judges = [judge(tmp_path), judge(tmp_path, "crowd", price=0.5, person=True)]
    study = make(tmp_path, judges, 30, {"budget": 5.0, "audits": 0.3})
    go(study)
    assert ends(study)["people"] > 0
    assert not study.state.waiting
    assert {live.vote.judge for live in study.state.votes} == {"gpt", "crowd"}
    assert any(route.to == "audit" for routes in study.state.routed.values() for route in routes)
    assert money_spent(study) <= 5.0 + 1e-9
    assert verify(study).status == "same"
    study.close()


def test_people_alone_answer_as_far_as_the_money_goes(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path, "crowd", price=0.5, person=True)], 30, {"budget": 5.0})
    assert routed.ran(study).reason in ("money_spent", "nothing_left")
    assert set(ends(study)) <= {"people", "passed over", "open"}
    assert 4.0 <= money_spent(study) <= 5.0
    assert ends(study)["people"] > 5
    study.close()


def test_two_people_are_given_different_waiting_queries_first(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path)], 20, {"router": "all_human", "budget": 3.5})
    go(study)
    waiting = list(study.state.waiting)
    assert len(waiting) == 3
    maya, ben = study.ask("maya"), study.ask("ben")
    assert maya is not None
    assert ben is not None
    assert [maya.id, ben.id] == waiting[:2]
    assert study.ask("maya") == maya
    study.tell(maya, "a", "maya")
    third = study.ask("maya")
    assert third is not None
    assert third.id == waiting[2]
    study.close()


def test_taking_back_a_vote_loses_no_waiting_query(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path)], 20, {"router": "all_human", "budget": 3.5})
    go(study)
    waiting = list(study.state.waiting)
    first = study.ask("maya")
    assert first is not None
    study.tell(first, "a", "maya")
    second = study.ask("maya")  # on the screen when she thinks again
    study.undo("maya")
    again = study.ask("maya")
    assert again == first
    study.tell(first, "b", "maya")
    assert study.ask("maya") == second
    vote(study, times=3)
    said = [live.query for live in study.state.votes if live.vote.judge == "maya"]
    assert sorted(said) == waiting
    study.close()
    with Study.open(tmp_path / "study", writable=False) as read:
        assert [live.query for live in read.state.votes] == [live.query for live in study.state.votes]


def test_an_audit_is_blind_and_no_vote_of_the_machine(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path, temper="wrong")], 20, {"router": "all_llm", "audits": 1.0, "budget": 50.0})
    go(study)
    assert ends(study) == {"machine": 20}
    query = study.ask("maya")
    assert query is not None
    assert study.state.routed[query.id][-1].to == "audit"
    plain = make(tmp_path / "plain", [], 20)
    other = next(q for q in iter(lambda: plain.ask("maya"), None) if _answered(plain, q, query.pair))
    assert set(query.why) == set(other.why)
    assert not {"verdict", "label"} & set(query.__struct_fields__)
    right = routed.better(study, query.a, query.b)
    study.tell(query, right, "maya")
    machine, person = (live for live in study.state.votes if live.query == query.id)
    assert (machine.vote.judge, person.vote.judge) == ("gpt", "maya")
    assert machine.vote.outcome.choice != person.vote.outcome.choice
    row = next(row for row in labels(study) if row["source"] == "votes")
    assert (row["label"], row["votes"]) == (truth(study, row), 1)
    plain.close()
    study.close()


def _answered(study: Study, query: Any, pair: tuple[int, int]) -> bool:
    if query.pair != pair:
        study.tell(query, "a", "maya")
    return bool(query.pair == pair)


def test_a_study_of_items_asks_machines_no_pair_twice_and_keeps_its_votes(tmp_path: Path) -> None:
    items = [{"id": f"i{k}", "text": f"answer {k * 7 % 24}"} for k in range(24)]
    study = Study.create(
        tmp_path / "study",
        items=items,
        judges=[judge(tmp_path, wait=0.001)],
        votes=40,
        routing={"router": "default", "budget": 30.0, "audits": 0.0},
        embedder="none",
    )
    why = go(study)
    assert "the budget of 40 votes is spent" in why
    asked = [a.query.pair for a in study.state.asked.values()]
    assert len(asked) == len(set(asked)) == 40
    assert len(study.state.votes) + len(study.state.waiting) == 40
    assert study.state.items[study.engine.best()].text in ("answer 22", "answer 23")
    assert verify(study).status == "same"
    study.close()


def test_a_pool_smaller_than_the_lanes_is_asked_to_its_end(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path, wait=0.001)], 3, {"person_price": 0.0})
    assert "every pair is answered" in go(study)
    assert ends(study) == {"machine": 3}
    study.close()


def test_a_router_switched_off_leaves_its_labels(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path)], 10, {"budget": 3.0})
    go(study)
    before = [row["label"] for row in labels(study)]
    study.close()
    file = tmp_path / "study" / "study.toml"
    file.write_text(file.read_text().replace('router = "default"', 'router = "none"'))
    with Study.open(tmp_path / "study") as again:
        assert [row["label"] for row in labels(again)] == before
        assert "every pair" in go(again) or "votes" in go(again)


def test_the_log_says_what_each_decision_was_made_on(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path)], 10, {"budget": 3.0})
    go(study)
    for event in study.events():
        if isinstance(event.body, Routed) and event.body.to != "audit":
            assert {"mean", "variance", "money", "queries", "p_a", "p_tie", "price of gpt"} <= event.body.numbers.keys()
            assert event.body.numbers[f"price of {PEOPLE}"] == 1.0
            assert 0 < event.body.propensity <= 1
            assert event.body.reason
    study.close()
