"""What the router knows is a function of the log: brought back from it, it is what was held by whoever kept running."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from elicit.log.events import Consulted, Event, Routed, Voted, Weighed
from elicit.randomness import stream
from elicit.types import ChoiceOutcome
from studies.decisions import resumable
from studies.replay.verify import verify
from studies.reporting.labels import pair_labels
from studies.reporting.status import status_of
from studies.routing.costs import money_spent
from studies.routing.dispatcher import Dispatcher
from studies.routing.record import RoutingRecord, after_consultation
from studies.run import start_judges
from studies.study import Study
from tests.studies.routed import JUDGES, judge, make, vote

ROUTERS = ["all_human", "all_llm", "confidence", "cse", "default", "hyper", "random", "random_fusion", "scope", "swap"]
FAULTY = """
from elicit.routers.all_human import AllHuman


class Faulty(AllHuman):
    def tell(self, case):
        if case.outcomes:
            raise RuntimeError("this router cannot learn")
"""
FORGETFUL = '''

class Forgetful(Reader):
    """Fails on every third query it is asked."""

    async def judge(self, query):
        if self.calls % 3 == 2:
            self.calls += 1
            return JudgeFailure(self.name, "it slipped my mind", cost=0.001)
        return await super().judge(query)
'''


def brought_back(study: Study, dispatcher: Dispatcher) -> None:
    """A dispatcher made from the log holds what this one holds, and decides on the next queries like it."""
    fresh = Dispatcher(study, dispatcher.judges, dispatcher.limit, dispatcher.failures)
    kept, made = dispatcher.record, fresh.record
    assert made.spent == kept.spent == pytest.approx(money_spent(study))
    assert made.finished_pairs == kept.finished_pairs
    assert made._cases == kept._cases
    assert made._answers == kept._answers
    assert kept.labels().keys() == study.state.routed.keys()
    assert {n: label.probabilities for n, label in made.labels().items()} == {
        n: label.probabilities for n, label in kept.labels().items()
    }
    for number in list(study.state.asked)[:12]:
        cases = [one._case(study.query(number)) for one in (dispatcher, fresh)]
        assert cases[0] == cases[1]
        for case in (cases[0], type(cases[0])(mean=cases[0].mean, gaps=cases[0].gaps)):
            decisions = [
                one.record.router.route(case, one.seats(), one.budget(), stream(1, "luck", number))
                for one in (dispatcher, fresh)
            ]
            assert decisions[0] == decisions[1]


@pytest.mark.parametrize("router", ROUTERS)
async def test_a_router_made_from_the_log_decides_like_the_one_that_kept_running(tmp_path: Path, router: str) -> None:
    judges = [judge(tmp_path, "gpt"), judge(tmp_path, "tin", temper="wrong", price=0.002)]
    study = make(tmp_path, judges, 40, {"router": router, "budget": 15.0, "audits": 0.2})
    dispatcher = Dispatcher(study, start_judges(study))
    for number in range(40):
        query = study.ask(f"router {number % 3}", waiting=False)
        assert query is not None
        await dispatcher.dispatch(query)
        if number % 4 == 3:
            vote(study, "maya" if number % 8 == 3 else "ben", 2)
        if number in (15, 30):
            study.undo("maya")
        if number % 13 == 12:
            brought_back(study, dispatcher)
    brought_back(study, dispatcher)
    assert verify(study).status == "same"
    study.close()


STEPS = ["dispatch", "dispatch", "resume", "maya", "ben", "elsewhere", "undo", "weigh", "look"]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(STEPS), min_size=8, max_size=24), st.integers(1, 2), st.booleans())
@example([*["dispatch"] * 8, "ben", "resume", "maya", "elsewhere", "look", "undo", "dispatch", "weigh"], 2, True)
@example([*["dispatch"] * 8, "resume", "resume", "resume"], 1, False)
async def test_failures_weights_and_what_other_processes_write_are_brought_back(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], overlap: int, crowd: bool
) -> None:
    folder = tmp_path_factory.mktemp("record")
    (folder / "forgetful.py").write_text(JUDGES + FORGETFUL)
    judges: list[Any] = [
        judge(folder, "gpt") | {"kind": f"{folder / 'forgetful.py'}:Forgetful"},
        judge(folder, "crowd", price=0.5, person=True, temper="first"),
    ][: 1 + crowd]
    routing = {"router": "default", "budget": 20.0, "audits": 0.4}
    study = make(folder, judges, 40, routing, serving={"overlap": overlap})
    dispatcher = Dispatcher(study, start_judges(study))
    for number, step in enumerate(steps):
        lane = f"router {number % 3}"
        if step == "dispatch" and (query := study.ask(lane, waiting=False)) is not None:
            await dispatcher.dispatch(query)
        elif step == "resume" and lane not in study.state.open:
            for again in resumable(study.spec, study.state)[-1:]:
                query = study.resume(again, lane)
                if query is not None:
                    await dispatcher.dispatch(query)
        elif step in ("maya", "ben"):
            vote(study, step)
        elif step == "elsewhere":
            with Study.open(study.folder, beside=True) as other:
                vote(other, "zoe", 2)
            study.refresh()
        elif step == "undo":
            study.undo("maya")
        elif step == "weigh":
            study.weigh([Weighed("ben", 1.0 - study.state.weight("ben"))])
        elif step == "look":
            brought_back(study, dispatcher)
    brought_back(study, dispatcher)
    study.close()


async def test_the_case_brought_back_is_the_one_that_was_decided_on(tmp_path: Path) -> None:
    items = [{"id": f"i{k}", "text": f"answer {k}", "meta": {"topic": f"t{k % 2}"}} for k in range(6)]
    routing = {"router": "all_llm", "budget": 20.0, "audits": 0.0}
    judges = [judge(tmp_path), judge(tmp_path, "tin", temper="broken")]
    study = Study.create(tmp_path / "study", items=items, judges=judges, votes=12, routing=routing, embedder="none")
    dispatcher = Dispatcher(study, start_judges(study))
    for _ in range(8):
        query = study.ask("router 0", waiting=False)
        assert query is not None
        decided_on = dispatcher._case(query)
        await dispatcher.dispatch(query)
        for reply in study.state.consulted[query.id]:
            decided_on = after_consultation(decided_on, reply)
        kept, made = dispatcher.record, RoutingRecord(study, {})
        assert kept.labels().keys() == made.labels().keys()
        assert kept._cases[query.id] == made._cases[query.id] == decided_on
    assert len({case.mean for case in kept._cases.values()}) > 3
    study.close()


def test_a_query_that_is_with_machines_again_is_neither_done_nor_labelled(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path)], 4)
    record = RoutingRecord(study, {})
    study.follow(record)
    query = study.ask("router 0", waiting=False)
    assert query is not None
    study.record(Consulted(query.id, "gpt", failure="the line is dead"), Routed(query.id, "people"))
    for known in (record, RoutingRecord(study, {})):
        assert (set(known.labels()), known.finished_pairs) == ({query.id}, {query.pair})
    assert study.resume(query.id, "router 1") == query
    for known in (record, RoutingRecord(study, {})):
        assert (set(known.labels()), known.finished_pairs) == (set(), set())
    study.close()


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def add(self, event: Event) -> None:
        self.heard.append(event)


def test_whoever_follows_a_study_hears_of_every_event_once_and_in_order(tmp_path: Path) -> None:
    study, listener = make(tmp_path, [], 10), Listener()
    begun = study.state.seq
    study.follow(listener)
    for who in ("maya", "ben"):
        query = study.ask(who)
        assert query is not None
        with Study.open(study.folder, beside=True) as other:
            assert other.ask("zoe") is not None
        study.tell(query, "a", who)
        study.refresh()
    study.undo("ben")
    assert listener.heard == list(study.events(begun))
    assert {"zoe", "maya", "ben"} == {getattr(event.body, "judge", "maya") for event in listener.heard}
    study.close()


def test_a_dispatcher_that_is_done_is_told_nothing_more(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path)], 10)
    dispatcher = Dispatcher(study, start_judges(study))
    record = weakref.ref(dispatcher.record)
    del dispatcher
    gc.collect()
    assert record() is None
    study.close()


async def test_who_votes_does_not_meet_the_faults_of_a_router(tmp_path: Path) -> None:
    (tmp_path / "router.py").write_text(FAULTY)
    study = make(tmp_path, [judge(tmp_path)], 10, {"router": f"{tmp_path / 'router.py'}:Faulty"})
    dispatcher = Dispatcher(study, start_judges(study))
    query = study.ask("router 0", waiting=False)
    assert query is not None
    await dispatcher.dispatch(query)
    assert vote(study) == 1
    with pytest.raises(Exception, match="this router cannot learn"):
        dispatcher.budget()
    study.close()


def test_a_log_whose_decisions_say_nothing_that_we_read_has_its_labels(tmp_path: Path) -> None:
    study = make(tmp_path, [judge(tmp_path)], 4)
    for number, to in enumerate(("nobody", "people", "people")):
        query = study.ask(f"router {number}", waiting=False)
        assert query is not None
        label = {"a": 0.75, "tie": 0.0, "b": 0.25, "logit": 1.1, "terms": {}}
        machine = [Voted(query.id, ChoiceOutcome("a"), "gpt", raw={"label": label})] if to == "nobody" else []
        study.record(Routed(query.id, to, 0.5, {"mood": 1.0}), *machine)
    assert vote(study, times=2) == 2
    cases = RoutingRecord(study, {})._cases.values()
    assert [(case.mean, case.variance) for case in cases] == [(0.0, 4.0)] * 3
    assert [row["source"] for row in pair_labels(study)].count("votes") == 2
    assert status_of(study)["routing"]["a_wins"]["value"] is not None
    study.close()
