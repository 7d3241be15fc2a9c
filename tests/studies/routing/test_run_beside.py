"""Judges answer beside a process that has the study: nothing is lost or paid twice, and the log tells each decision."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.rpc import Caller
from elicit.cli import _code
from elicit.service.http_schema import LeaseRequest
from elicit.service.voting import Answer, Turn
from elicit.types import BadInputError
from studies.replay.verify import verify
from studies.routing.failures import PATIENCE
from studies.routing.judges_lock import JudgesLock
from studies.run import open_for_judges, run
from studies.spec import RoutingSpec
from studies.study import Study
from tests.studies import making, routed
from tests.studies.routed import judge
from tests.studies.serving.test_backend import person, served, vote

Out = pytest.CaptureFixture[str]


def status(folder: Path) -> tuple[str, dict[str, int]]:
    """Whether the log replays, and who has how many votes."""
    with Study.open(folder, writable=False) as study:
        return verify(study).status, dict(study.state.given)


async def test_judges_answer_beside_somebody_who_votes(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    routed.make(tmp_path, [judge(tmp_path)], 30, {"router": "none"}, selector="default", model="default").close()
    host = await Caller.start("studies.local.main", folder, "maya")
    try:
        turn = await host.call(Turn, "turn")
        for _ in range(4):
            assert await asyncio.to_thread(_code, ["run", str(folder), "--votes", "3"]) == 0
            assert turn.ballot is not None
            turn = await host.call(Turn, "vote", Answer(turn.ballot.query, "left"))
    finally:
        await host.close()
    assert status(folder) == ("same", {"maya": 4, "gpt": 12})


async def test_judges_without_a_router_answer_beside_a_server(tmp_path: Path) -> None:
    spec: dict[str, Any] = {"items": None, "pairs": routed.pairs(30), "judges": (judge(tmp_path),)}
    async with served(tmp_path / "study", ("maya",), **spec) as study:
        for _ in range(3):
            lease = (await study.leases.lease(person("maya"), LeaseRequest(1))).leases
            assert await asyncio.to_thread(_code, ["run", str(tmp_path / "study"), "--votes", "3"]) == 0
            for one in lease:
                await vote(study, "maya", one)
    told, votes = status(tmp_path / "study")
    assert (told, votes["gpt"]) == ("same", 9)


@pytest.mark.parametrize(("temper", "code", "reason"), [("right", 0, "elsewhere"), ("broken", 3, "judges_paused")])
async def test_what_a_server_lets_its_judges_answer_is_left_to_it(
    tmp_path: Path, temper: str, code: int, reason: str, capsys: Out
) -> None:
    routing = RoutingSpec(router="default", person_price=0.0, audits=0.0)
    spec: dict[str, Any] = {"items": None, "pairs": routed.pairs(30), "judges": (judge(tmp_path, temper=temper),)}
    async with served(tmp_path / "study", (), routing=routing, **spec) as study:
        for _ in range(600):
            done = study.state.votes if temper == "right" else len(study.state.consulted) >= PATIENCE
            if done:
                break
            await asyncio.sleep(0.05)
        assert await asyncio.to_thread(_code, ["run", str(tmp_path / "study"), "--json"]) == code
        told = json.loads(capsys.readouterr().out)
        assert told["reason"] == reason
        assert "another process" in told["why"]
        assert ("the line is dead" in told["why"]) == (temper == "broken")
    assert not any(live.vote.outcome.choice == "skip" for live in study.state.votes)


def test_two_runs_at_once_do_not_pay_twice(tmp_path: Path, capsys: Out) -> None:
    routed.make(tmp_path, [judge(tmp_path)], 6, {"router": "all_llm"}).close()
    with open_for_judges(tmp_path / "study") as (study, mine):
        assert mine
        assert _code(["run", str(tmp_path / "study")]) == 0
        assert "0 votes; the judges answer in another process" in capsys.readouterr().err
        run(study, None, lambda *_: None, until_stop=False)
    assert status(tmp_path / "study") == ("same", {"gpt": 6})


def test_an_edit_that_the_other_process_has_not_seen_is_refused(tmp_path: Path, capsys: Out) -> None:
    study = routed.make(tmp_path, [judge(tmp_path)], 6, {"router": "none"})
    file = tmp_path / "study" / "study.toml"
    file.write_text(file.read_text().replace("votes = 1000", "votes = 900"))
    assert _code(["run", str(tmp_path / "study")]) == 2
    said = capsys.readouterr().err
    assert "study.toml was edited since" in said
    assert study.state.spec["votes"] == 1000
    study.close()
    assert _code(["run", str(tmp_path / "study"), "--votes", "2"]) == 0


def test_the_right_to_ask_judges_ends_with_its_holder(tmp_path: Path) -> None:
    study = routed.make(tmp_path, [judge(tmp_path)], 6)
    first, second = JudgesLock(study.folder), JudgesLock(study.folder)
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()
    with pytest.raises(BadInputError, match="is not a study"), open_for_judges(tmp_path / "nothing"):
        pass
    assert not (tmp_path / "nothing").exists()
    study.close()


STEPS = st.lists(
    st.tuples(st.sampled_from(["maya", "ben"]), st.sampled_from(["ask", "tell", "look", "undo", "refresh"])),
    max_size=30,
)


@settings(max_examples=20, deadline=None)
@given(steps=STEPS)
def test_two_writers_of_one_log_decide_what_the_log_says(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("two")
    first = making.make(folder, n=8, model="bradley_terry", embedder="none")
    second = Study.open(first.folder, beside=True)
    studies = {"maya": first, "ben": second}
    for who, step in steps:
        study = studies[who]
        if step == "refresh":
            study.refresh()
        elif step == "undo":
            study.undo(who)
        elif step == "look":
            study.look_ahead(who)
            study.upcoming(who)
        elif (query := study.ask(who)) is not None and step == "tell":
            study.tell(query, "a", who)
    for study in (first, second):
        study.refresh()
        known = [(vote.a, vote.b, vote.judge) for vote in study.engine.votes]
        assert known == [(live.vote.a, live.vote.b, live.vote.judge) for live in study.state.votes]
    assert verify(first).status == "same"
    second.close()
    first.close()


def test_what_was_computed_ahead_is_dropped_where_another_process_voted_in_between(tmp_path: Path) -> None:
    first = making.make(tmp_path, n=8, model="bradley_terry", embedder="none")
    second = Study.open(first.folder, beside=True)
    query, other = first.ask("maya"), second.ask("ben")
    assert query is not None
    assert other is not None
    first.look_ahead("maya")
    assert first.upcoming("maya")
    second.tell(other, "b", "ben")
    first.tell(query, "a", "maya")
    assert [vote.judge for vote in first.engine.votes] == ["ben", "maya"]
    second.close()
    first.close()
