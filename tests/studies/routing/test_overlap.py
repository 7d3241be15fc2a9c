"""Router and overlap together: what goes to people gets its votes from different people, machines' labels need none."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elicit.service.http_schema import Lease, LeaseRequest
from studies.decisions import by_people
from studies.replay.verify import verify
from studies.reporting.status import status_of
from studies.routing.costs import money_spent
from studies.spec import RoutingSpec, ServingSpec
from studies.study import Study
from tests.studies import routed
from tests.studies.routed import judge, make
from tests.studies.serving.test_backend import person, served, vote

PEOPLE = ("maya", "ben", "cy", "dee")


def said(study: Study) -> dict[int, list[str]]:
    """Who has voted on each query."""
    found: dict[int, list[str]] = {}
    for live in by_people(study.spec, study.state):
        found.setdefault(live.query, []).append(live.vote.judge)
    return found


def answer(study: Study, who: str) -> int:
    """Let somebody answer all that waits for them."""
    times = 0
    while any(who not in study.state.taken.get(number, ()) for number in study.state.waiting):
        query = study.ask(who)
        assert query is not None
        study.tell(query, "a", who)
        times += 1
    return times


def test_what_goes_to_people_is_answered_by_as_many_as_overlap_says(tmp_path: Path) -> None:
    routing = {"router": "all_human", "budget": None}
    study = make(tmp_path, [judge(tmp_path)], 6, routing, serving={"overlap": 3})
    routed.go(study)
    assert [answer(study, who) for who in PEOPLE] == [6, 6, 6, 0]
    assert {tuple(sorted(names)) for names in said(study).values()} == {("ben", "cy", "maya")}
    assert not study.state.waiting
    assert verify(study).status == "same"
    study.close()


def test_money_is_promised_for_every_vote_of_the_overlap(tmp_path: Path) -> None:
    routing = {"router": "all_human", "budget": 10.0}
    study = make(tmp_path, [judge(tmp_path, price=0.0)], 6, routing, serving={"overlap": 3})
    routed.go(study)
    assert len(study.state.waiting) == 3
    for who in PEOPLE:
        answer(study, who)
    assert money_spent(study) == 9.0
    study.close()


def test_a_machine_label_needs_nobody_and_its_audit_one_person(tmp_path: Path) -> None:
    routing = {"router": "all_llm", "budget": None, "audits": 0.5}
    study = make(tmp_path, [judge(tmp_path)], 12, routing, serving={"overlap": 3})
    routed.go(study)
    drawn = len(study.state.waiting)
    assert 0 < drawn < 12
    assert [answer(study, who) for who in PEOPLE] == [drawn, 0, 0, 0]
    study.close()


def test_those_who_stand_for_people_answer_once_each(tmp_path: Path) -> None:
    crowd = [judge(tmp_path, name, price=1.0, person=True) for name in ("one", "two")]
    routing = {"router": "all_human", "budget": None}
    study = make(tmp_path, [judge(tmp_path), *crowd], 4, routing, serving={"overlap": 3})
    routed.go(study)
    assert {tuple(sorted(names)) for names in said(study).values()} == {("one", "two")}
    assert len(study.state.waiting) == 4  # for a third
    routed.go(study)
    assert answer(study, "maya") == 4
    assert not study.state.waiting
    study.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from(["vote", "undo", "ask"])), max_size=40))
def test_nobody_has_a_query_twice_and_none_is_lost(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("overlap")
    routing = {"router": "all_human", "budget": None}
    study = make(folder, [judge(folder)], 4, routing, serving={"overlap": 2})
    routed.go(study)
    queries = list(study.state.waiting)
    for who, step in steps:
        if step == "undo":
            study.undo(who)
        else:
            query = study.ask(who)
            if query is not None and query.id in queries and step == "vote":
                study.tell(query, "a", who)
    state = study.state
    for number, names in said(study).items():
        assert len(names) == len(set(names)) <= 2 or number not in queries
    for number in queries:
        holders = [who for who, held in state.open.items() if held == number]
        had = Counter([*said(study).get(number, []), *holders])
        assert max(had.values(), default=0) <= 1
        assert (number in state.waiting) == (len(had) < 2)
    with Study.open(study.folder, writable=False) as read:
        assert (read.state.waiting, read.state.taken) == (state.waiting, state.taken)
    study.close()


async def test_a_server_lends_what_the_router_gives_people_to_as_many_as_overlap_says(tmp_path: Path) -> None:
    routing = RoutingSpec(router="default", person_price=1.0, budget=None, audits=0.0)
    spec: dict[str, Any] = {"items": None, "pairs": routed.pairs(4), "judges": (judge(tmp_path),), "routing": routing}
    serving = ServingSpec(overlap=3, gold_share=0.0, repeat_share=0.0)
    async with served(tmp_path / "study", PEOPLE, serving=serving, **spec) as study:
        for _ in range(200):
            held: list[tuple[str, Lease]] = []
            for name in PEOPLE:
                held += [(name, lease) for lease in (await study.leases.lease(person(name), LeaseRequest(2))).leases]
            for name, lease in held:
                await vote(study, name, lease)
            people = Counter(live.query for live in study.state.votes if live.vote.judge in PEOPLE)
            if len(people) == 4 and not study.state.waiting and not any(study.state.held.values()):
                break
            await asyncio.sleep(0.05)
        assert set(people.values()) == {3}
    with Study.open(tmp_path / "study", writable=False) as read:
        assert all(len(names) == len(set(names)) == 3 for names in said(read).values())


def test_one_answer_of_those_wanted_is_enough_for_an_estimate(tmp_path: Path) -> None:
    routing = {"router": "all_human", "budget": None}
    study = make(tmp_path, [judge(tmp_path)], 6, routing, serving={"overlap": 3})
    routed.go(study)
    assert "a_wins" not in status_of(study)["routing"]
    answer(study, "maya")
    assert "a_wins" in status_of(study)["routing"]
    study.close()
