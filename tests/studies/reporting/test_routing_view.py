"""What the router's screen is told, and above all what not: the machines' word on a pair still to be judged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from adapters.files.formats import PairRow
from elicit.log.events import Consulted, Event, Routed, Voted
from elicit.log.state import State
from elicit.routing.case import mirror_verdict
from elicit.service.results import RoutingView
from elicit.types import mirror
from studies.reporting.routing_view import SHOWN, routing_view, undecided_queries
from studies.routing.audits import audits, machine_labels
from studies.run import run
from studies.study import Study
from tests.studies.making import make

JUDGE = '''
"""A judge that prefers the longer text, most of all where it is shown first."""

from elicit.types import ChoiceOutcome, JudgeFailure, Verdict, Vote


class Longer:
    def begin(self, name, items, pairs, folder):
        self.name, self.cells = name, [len(item.shown_text) for item in items]

    async def judge(self, query):
        if sum(query.pair) % 11 == 0:
            return JudgeFailure(self.name, "no words for this")
        logit = 0.3 * (self.cells[query.a] - self.cells[query.b]) + 0.01
        verdict = Verdict({"ab": logit + 0.4, "ba": logit - 0.4}, cost=0.01)
        return Vote(query.a, query.b, ChoiceOutcome("a" if logit > 0 else "b"), self.name, verdict=verdict)
'''


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study that was routed between a machine judge and people, who have not come yet."""
    folder = tmp_path_factory.mktemp("routed")
    (folder / "longer.py").write_text(JUDGE)
    judge = {"name": "longer", "kind": f"{folder / 'longer.py'}:Longer"}
    routing = {"router": "default", "budget": 60.0, "person_price": 1.0, "audits": 0.5, "epoch": 8}
    with make(folder, 9, votes=90, judges=[judge], routing=routing) as study:
        run(study, 45, lambda *_: None)
    return folder / "study"


@pytest.fixture
def study(routed: Path, tmp_path: Path) -> Iterator[Study]:
    """The routed study, for one test alone."""
    shutil.copytree(routed, tmp_path / "study")
    with Study.open(tmp_path / "study") as opened:
        yield opened


def unheard(study: Study) -> set[int]:
    """The queries of which a voter must hear nothing, but those whose audit was read: a certificate counts it."""
    return undecided_queries(study) - {label.query for label, _, _ in audits(study)}


def view_of(study: Study) -> RoutingView:
    view = routing_view(study)
    assert view is not None
    return view


def retold(study: Study, queries: set[int]) -> RoutingView:
    """The view if machines had said the opposite of these queries, in other words."""
    before, state = study.state, State()
    try:
        for event in study.events():
            state.fold(_other(event, queries))
        study.state = state
        return view_of(study)
    finally:
        study.state = before


def _other(event: Event, queries: set[int]) -> Event:
    body = event.body
    if not isinstance(body, Consulted | Routed | Voted) or body.query not in queries:
        return event
    match body:
        case Consulted(verdict=verdict):
            other = mirror_verdict(verdict) if verdict else None
            body = msgspec.structs.replace(body, verdict=other, reason=f"secret {event.seq}")
        case Routed():
            body = msgspec.structs.replace(body, reason=f"secret {event.seq}")
        case Voted(outcome=outcome, raw=raw) if raw and "label" in raw:
            label = raw["label"] | {"a": raw["label"]["b"], "b": raw["label"]["a"], "logit": -raw["label"]["logit"]}
            body = msgspec.structs.replace(body, outcome=mirror(outcome), raw={"label": label})
    return msgspec.structs.replace(event, body=body)


def test_what_machines_said_of_a_pair_still_to_be_judged_changes_nothing(study: Study) -> None:
    """At every moment of a voter's session: waiting, handed out, answered, taken back, asked anew as another query."""
    labelled, anew = machine_labels(study), 0
    for step in range(60):
        query = study.ask("maya")
        if query is None:
            break
        same = {number for number in labelled if study.state.asked[number].query.pair == query.pair}
        anew += bool(same) and query.id not in labelled
        assert {query.id, *study.state.waiting} | same <= undecided_queries(study)
        assert retold(study, unheard(study)) == view_of(study)
        study.tell(query, "ab"[step % 2], "maya", seconds=2.0)
        if step % 5 == 4:
            study.undo("maya")
            assert query.id in undecided_queries(study)
            assert retold(study, unheard(study)) == view_of(study)
            study.tell(query, "tie", "maya")
    assert anew, "no pair that machines had labelled was asked anew"


def test_once_judged_it_is_told(study: Study) -> None:
    before = view_of(study)
    while study.state.waiting:
        query = study.ask("maya")
        assert query is not None
        study.tell(query, "a", "maya")
    after = view_of(study)
    assert sum(row.both for row in after.judges) > sum(row.both for row in before.judges)
    assert after.decisions[0].reason == list(study.state.routed.values())[-1][0].reason
    assert retold(study, set(study.state.consulted)) != after


def test_the_counts_add_up(study: Study) -> None:
    view = view_of(study)
    assert view.people + view.machines + view.waiting + view.nobody == len(study.state.routed)
    assert view.waiting + view.audits_waiting == len(study.state.waiting)
    assert view.waiting > 0
    assert view.audits_waiting > 0
    (judge,) = view.judges
    assert judge.failed > 0
    assert judge.verdicts + judge.failed == sum(map(len, study.state.consulted.values()))
    assert view.spent == pytest.approx(0.01 * judge.verdicts)
    assert msgspec.json.decode(msgspec.json.encode(view), type=RoutingView) == view
    (position,) = [lean for lean in judge.leans if lean.name == "position"]
    assert position.low <= 0.4 + 1e-9
    assert position.high >= 0.4 - 1e-9
    assert len(view.decisions) == min(SHOWN, len(study.state.routed.keys() - undecided_queries(study))) > 0


def test_audits_that_were_read_are_told_with_their_finding(study: Study) -> None:
    while study.state.waiting:
        query = study.ask("maya")
        assert query is not None
        study.tell(query, "b", "maya")
    view = view_of(study)
    assert view.audits > 0
    assert view.read == view.audits % 8
    found = [made.audit for made in view.decisions]
    newest = list(study.state.routed.values())[: -SHOWN - 1 : -1]
    assert [bool(audit) for audit in found] == [len(routes) > 1 for routes in newest]
    assert (view.waiting, view.audits_waiting) == (0, 0)
    assert view.people == sum(routes[0].to == "people" for routes in study.state.routed.values())


def test_without_a_router_there_is_nothing_to_view(tmp_path: Path) -> None:
    with Study.create(tmp_path / "study", items=["one", "two", "three"]) as study:
        assert routing_view(study) is None


def test_before_anything_is_routed(tmp_path: Path) -> None:
    pairs = [PairRow("p", "Why?", "so", "thus")]
    with Study.create(tmp_path / "study", pairs=pairs, routing={"router": "default"}) as study:
        view = view_of(study)
        assert (view.people, view.machines, view.waiting, view.decisions, view.per_vote) == (0, 0, 0, (), None)
        assert "0 of 250 audits" in view.certificate
