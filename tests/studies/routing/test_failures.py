"""A failure is never a result: an outage of the model behind a judge costs no vote, is told, and is made up for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from elicit.cli import _code
from elicit.log.events import Consulted, Routed, Voted
from elicit.service.voting import Answer
from elicit.types import ChoiceOutcome
from studies.local.tuning_host import TuningHost
from studies.replay.verify import verify
from studies.reporting.status import status_of
from studies.routing.failures import PATIENCE, failures_of
from studies.run import CONCURRENCY, RunResult, run
from studies.serving.engine_process import EngineProcess
from studies.study import Study
from tests.adapters.serving import Got, Say, completion, honest, serving_aside
from tests.studies import routed
from tests.studies.tuning import parity

WORDS = "Daily quota reached"
ROUTER = '''
from elicit.routing.case import Decision, offer
from elicit.routers.all_llm import AllLlm


class Cautious(AllLlm):
    """The machines, and a person where none of them has said anything."""

    def route(self, case, seats, budget, rng):
        made = super().route(case, seats, budget, rng)
        human = offer(case, seats, budget).human
        if made.judge is None and human and not case.verdicts:
            return Decision(human.name, reason="no machine has said anything")
        return made
'''
ROUTERS = ["none", "default", "all_llm", "all_human", "swap", "custom"]
GOALS = ["label", "best", "top", "rank"]
ALL = 16
"""Pairs of a study of pairs, and votes of the others."""
STARTS = [0, 5, ALL - 2]
"""Queries answered before the outage: it is there at once, in the middle, or at the end."""
CASES = [("label", router, start) for router in ROUTERS for start in STARTS]
CASES += [
    (goal, router, STARTS[(n + m) % 3]) for n, goal in enumerate(GOALS[1:]) for m, router in enumerate(ROUTERS[:3])
]


class Model:
    """A model with an outage: `well` answers more, and then `bad` ones fail (None: all)."""

    def __init__(self, well: int = 0, bad: int | None = None, say: Say | None = None) -> None:
        self.well, self.bad, self.failed = well, bad, 0
        self.say = say or Say(json.dumps({"error": {"message": WORDS}}).encode(), 429, {"Retry-After": "86400"})

    def __call__(self, got: Got) -> Say:
        if got.method == "GET":
            return honest(got)
        if self.well > 0:
            self.well -= 1
            return honest(got)
        if self.bad == 0:
            return honest(got)
        self.bad = None if self.bad is None else self.bad - 1
        self.failed += 1
        return self.say

    def mend(self) -> None:
        self.well, self.bad = 0, 0


def judge(url: str, name: str = "gpt", **options: Any) -> dict[str, Any]:
    """A judge that asks a model in both orders, without patience."""
    told = {"endpoint": url, "model": "m", "retries": 0, "backoff": 1e-3, "price_in": 1.0, "price_out": 1.0}
    return {"name": name, "kind": "pairwise", "options": told | options}


def make(folder: Path, goal: str, router: str, judges: list[dict[str, Any]], **more: Any) -> Study:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "router.py").write_text(ROUTER)
    routing: dict[str, Any] = {"router": f"{folder / 'router.py'}:Cautious" if router == "custom" else router}
    routing |= {"audits": 0.0, **more.pop("routing", {})}
    spec: dict[str, Any] = {"model": "bradley_terry", "selector": "random", "embedder": "none", "votes": 1000}
    if goal == "label":
        spec["pairs"] = routed.pairs(ALL)
    else:
        spec |= {"items": [{"id": f"i{k}", "text": f"answer {k * 7 % 9}"} for k in range(9)], "goal": goal}
        spec |= {"votes": ALL} | ({"top": 3} if goal == "top" else {})
    return Study.create(folder / "study", judges=judges, routing=routing, **(spec | more))


@contextmanager
def reopened(study: Study) -> Iterator[Study]:
    """The study as the next process finds it."""
    study.close()
    with Study.open(study.folder) as again:
        yield again


def failures(study: Study) -> int:
    """How many failures the log has."""
    return sum(isinstance(event.body, Consulted) and bool(event.body.failure) for event in study.events())


def without_failures(study: Study) -> bool:
    """Whether every vote is somebody's."""
    bodies = [event.body for event in study.events()]
    votes = [body for body in bodies if isinstance(body, Voted)]
    return all(vote.outcome.choice != "skip" and "failure" not in (vote.raw or {}) for vote in votes)


@pytest.mark.parametrize(("goal", "router", "start"), CASES)
def test_an_outage_costs_no_vote_and_is_made_up_for(tmp_path: Path, goal: str, router: str, start: int) -> None:
    model = Model(well=2 * start)
    with serving_aside(model) as server:
        study = make(tmp_path, goal, router, [judge(server.url)])
        during = routed.ran(study)
        assert without_failures(study)
        assert failures(study) == during.failed
        if model.failed:
            assert WORDS in during.why
            assert during.exit_code == 3
            assert during.left > 0
        if during.failed >= PATIENCE:
            assert during.reason == "judges_paused"
            assert during.failed < PATIENCE + 2 * CONCURRENCY
        known, deferred = failures(study), set(study.state.deferred)
        model.mend()
        with reopened(study) as again:
            after = routed.ran(again)
            assert after.failed == 0
            assert after.left == 0
            assert failures(again) == known
            assert without_failures(again)
            made_up = deferred - again.state.deferred.keys()
            assert all(again.state.consulted[number][-1].verdict for number in made_up)
            assert made_up == deferred or goal != "label"
            if router != "all_human":
                heard = [n for n, several in again.state.consulted.items() if any(one.verdict for one in several)]
                assert len(heard) == ALL  # each was judged, also those that had gone to people
                assert len(again.state.votes) + again.state.to_come(audits=False) == ALL
            if goal == "label":
                assert {one.query.pair for one in again.state.asked.values()} == again.state.listed_pairs()
            assert verify(again).status == "same"
        assert failures_of(again.state).get("gpt") is None or failures_of(again.state)["gpt"].last.count(WORDS) == 1


@pytest.mark.parametrize("router", ["none", "default", "all_llm"])
def test_an_outage_that_ends_in_the_middle_of_a_run_leaves_what_it_cost_for_the_next(
    tmp_path: Path, router: str
) -> None:
    model = Model(well=6, bad=3)
    with serving_aside(model) as server:
        study = make(tmp_path, "label", router, [judge(server.url)], routing={"person_price": 0.0})
        first = routed.ran(study)
        assert first.reason == "nothing_left"
        assert 0 < first.left <= 3
        assert (first.answered, first.exit_code) == (ALL - first.left, 3)
        assert f"gpt failed {'once' if first.failed == 1 else f'{first.failed} times'}, the last: " in first.why
        second = routed.ran(study)
        assert (second.answered, second.left, second.exit_code) == (first.left, 0, 0)
        assert len(study.state.votes) == ALL
        study.close()


@pytest.mark.parametrize("router", ["none", "all_llm", "default"])
def test_one_judge_of_two_is_paused_and_the_other_goes_on(tmp_path: Path, router: str) -> None:
    model = Model()
    with serving_aside(model) as broken, serving_aside(honest) as well:
        judges = [judge(broken.url, "gpt"), judge(well.url, "tin")]
        study = make(tmp_path, "label", router, judges, routing={"person_price": 0.0})
        result = routed.ran(study)
        assert (result.reason, result.exit_code, result.left) == ("nothing_left", 0, 0)
        assert "gpt answers no more: 5 queries one after the other failed, the last: " in result.why
        assert len(study.state.votes) == ALL
        assert PATIENCE <= failures_of(study.state)["gpt"].count <= PATIENCE + CONCURRENCY
        study.close()


def test_what_a_judge_cannot_answer_for_itself_alone_pauses_nobody(tmp_path: Path) -> None:
    judgments = tmp_path / "judgments.jsonl"
    judgments.write_text('{"pair_id": "p15", "judge_id": "ada", "judge_kind": "human", "preference": "a"}\n')
    recorded = {"name": "recorded", "kind": "replayed", "options": {"file": str(judgments)}}
    study = make(tmp_path, "label", "none", [recorded])
    result = routed.ran(study)
    assert (result.reason, result.answered, result.left) == ("nothing_left", 1, ALL - 1)
    assert [live.vote.outcome.choice for live in study.state.votes] in (["a"], ["b"])
    study.close()


SKIPS = """
from elicit.types import ChoiceOutcome, Vote


class Shy:
    def begin(self, name, items, pairs, folder):
        self.name = name

    async def judge(self, query):
        return Vote(query.a, query.b, ChoiceOutcome("skip"), self.name)
"""


@pytest.mark.parametrize("router", ["none", "all_llm"])
def test_a_skip_that_a_judge_has_said_is_a_vote(tmp_path: Path, router: str) -> None:
    (tmp_path / "shy.py").write_text(SKIPS)
    study = make(tmp_path, "label", router, [{"name": "shy", "kind": f"{tmp_path / 'shy.py'}:Shy"}])
    result = routed.ran(study, ALL)
    assert (result.answered, result.failed, result.left) == (ALL, 0, 0)
    assert {(live.vote.judge, live.vote.outcome.choice) for live in study.state.votes} == {("shy", "skip")}
    assert len(study.state.votes) == ALL
    assert not failures_of(study.state)
    assert verify(study).status == "same"
    study.close()


def test_a_failure_names_the_money_that_it_took(tmp_path: Path) -> None:
    model = Model(say=completion("I am sorry, I cannot compare these."))
    with serving_aside(model) as server:
        study = make(tmp_path, "label", "none", [judge(server.url)])
        result = routed.ran(study)
        assert "I am sorry, I cannot compare these." in result.why
        failed = failures_of(study.state)["gpt"]
        assert failed.count == PATIENCE
        assert failed.money == pytest.approx(PATIENCE * 2 * 101 / 1e6)
        lines: list[float] = []
        run(study, 1, lambda done, money: lines.append(money), until_stop=False)
        assert lines[0] == pytest.approx((PATIENCE + 1) * 2 * 101 / 1e6)  # a budget counts them too
        study.close()


def test_a_skip_that_an_earlier_release_kept_for_a_failure_is_counted_and_replays(tmp_path: Path) -> None:
    with serving_aside(honest) as server:
        study = make(tmp_path, "label", "none", [judge(server.url)])
        for _ in range(3):
            query = study.ask("gpt", waiting=False)
            assert query is not None
            study.tell(query, "skip", "gpt", raw={"failure": f"gpt: {WORDS}"})
        passed = study.ask("router 0", waiting=False)
        assert passed is not None
        skip = Voted(passed.id, ChoiceOutcome("skip"), "nobody", raw={"failure": "no human is to be had"})
        study.record(Routed(passed.id, "nobody", numbers={"mean": 0.0, "variance": 4.0}), skip)
        with reopened(study) as again:
            assert status_of(again)["failures"] == {"gpt": {"count": 3, "last": f"gpt: {WORDS}", "money": 0.0}}
            assert verify(again).status == "same"


def commands(folder: Path, *command: str, out: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    out.readouterr()
    code = _code([*command])
    said = out.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize("router", ["none", "default", "all_llm"])
@pytest.mark.parametrize(("status", "failed"), [(429, range(5, 14)), (401, range(1, 10))])
def test_every_command_tells_of_failures(
    tmp_path: Path, router: str, status: int, failed: range, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Model(say=Say(json.dumps({"error": {"message": WORDS}}).encode(), status, {"Retry-After": "86400"}))
    with serving_aside(model) as server:
        make(tmp_path, "label", router, [judge(server.url)]).close()
        folder = str(tmp_path / "study")
        code, _, said = commands(tmp_path, "run", folder, out=capsys)
        assert code == 3
        count = int(said.split(" failed: ")[0].split()[-1])
        assert count in failed
        assert said.startswith(f"0 votes, {count} failed: no judge answers any more; ")
        assert WORDS in said
        assert said.endswith(f"Next: elicit run {folder}\n")
        _, told, _ = commands(tmp_path, "status", folder, "--json", out=capsys)
        kept = json.loads(told)["failures"]["gpt"]
        assert (kept["count"], WORDS in kept["last"]) == (count, True)
        _, told, _ = commands(tmp_path, "status", folder, out=capsys)
        assert f"gpt failed {count} times" in told or count == 1
        assert WORDS in told
        assert commands(tmp_path, "report", folder, "-o", str(tmp_path / "r.html"), out=capsys)[0] == 0
        assert WORDS in (tmp_path / "r.html").read_text()
        code, told, _ = commands(tmp_path, "run", folder, "--json", out=capsys)
        values = json.loads(told)
        assert (code, values["reason"], values["votes"]) == (3, "judges_paused", 0)
        assert WORDS in values["why"]
        assert values["failures"]["gpt"]["count"] == count + values["failed"]
        model.mend()
        code, _, said = commands(tmp_path, "run", folder, "--votes", "3", out=capsys)
        assert code == 0
        assert " failed" not in said


def test_words_of_an_endpoint_move_nothing_in_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nasty = Say(b'{"error": {"message": "\x1b[2J\x1b]0;owned\x07 gone"}}', 429, {"Retry-After": "86400"})
    with serving_aside(Model(say=nasty)) as server:
        make(tmp_path, "label", "none", [judge(server.url)]).close()
        for command in ("run", "status"):
            _, out, err = commands(tmp_path, command, str(tmp_path / "study"), out=capsys)
            assert "gone" in out + err
            assert not {"\x1b", "\x07"} & set(out + err)


def ended(reason: Any, *, left: int = 0, stopped: bool = False) -> RunResult:
    return RunResult(reason, "why", 3, left, left, stopped)


def test_the_exit_code_is_a_matter_of_data() -> None:
    for reason in ("asked_for", "stop_rule", "nothing_left"):
        assert ended(reason).exit_code == 0
    for reason in ("votes_spent", "money_spent", "judges_paused", "model_down"):
        assert ended(reason).exit_code == 3
    for reason in ("votes_spent", "money_spent"):
        assert ended(reason, stopped=True).exit_code == 0
    assert ended("nothing_left", left=1).exit_code == 3


def test_a_judge_called_budget_that_answers_changes_no_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving_aside(honest) as server:
        make(tmp_path, "label", "none", [judge(server.url, "the budget is spent")], votes=ALL).close()
        code, _, said = commands(tmp_path, "run", str(tmp_path / "study"), "--votes", "4", out=capsys)
        assert (code, said.count("4 votes were asked for")) == (0, 1)


def test_routes_of_people_that_were_due_to_an_outage_are_taken_back_and_no_others(tmp_path: Path) -> None:
    model = Model(well=0, bad=None)
    with serving_aside(model) as server:
        study = make(tmp_path, "label", "custom", [judge(server.url)], routing={"budget": 100.0})
        routed.ran(study)
        waiting = list(study.state.waiting)
        assert len(waiting) >= 3  # the first failures went to people, before the judge was paused
        had = study.ask("maya")
        answered = study.ask("ben")
        assert had is not None
        assert answered is not None
        study.tell(answered, "a", "ben")
        model.mend()
        routed.ran(study)
        sent = [event.body.query for event in study.events() if isinstance(event.body, Routed)]
        assert {had.id, answered.id} <= set(waiting)
        assert [sent.count(number) for number in (had.id, answered.id)] == [1, 1]
        assert all(sent.count(number) == 2 for number in set(waiting) - {had.id, answered.id})
        assert study.ask("maya") == had
        assert not study.state.waiting
        assert verify(study).status == "same"
        study.close()


async def test_a_server_keeps_people_going_while_judges_are_paused_and_tries_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studies.serving.engine_process.RESUME", 0.5)
    model = Model()
    with serving_aside(model) as server:
        study = make(tmp_path, "label", "default", [judge(server.url)], routing={"person_price": 0.0})
        modeller = EngineProcess(study)

        async def until(done: Callable[[], bool]) -> str:
            for _ in range(400):
                told = (await modeller.advance({"": 4})).machines
                if done():
                    return told
                await asyncio.sleep(0.05)
            raise AssertionError(f"{len(study.state.stock)} queries in stock, {len(study.state.votes)} votes")

        told = await until(lambda: len(study.state.stock) >= 4)
        assert WORDS in told
        assert not study.state.votes
        first = model.failed
        await until(lambda: model.failed > first)  # tried again, and failed again
        assert not study.state.votes
        model.mend()
        await until(lambda: len(study.state.votes) >= ALL - 8)
        assert without_failures(study)
        assert verify(study).status == "same"
        await modeller.close()


async def test_a_server_whose_judge_is_down_from_the_start_lets_people_vote(tmp_path: Path) -> None:
    study = make(tmp_path, "label", "default", [judge("http://127.0.0.1:9/v1")])
    modeller = EngineProcess(study)
    for _ in range(400):
        told = (await modeller.advance({"": 4})).machines
        if study.state.stock:
            break
        await asyncio.sleep(0.05)
    assert "http://127.0.0.1:9/v1 does not answer" in told
    assert len(study.state.stock) >= 4
    await modeller.close()


async def test_a_voter_who_tunes_goes_on_while_judges_are_paused(tmp_path: Path) -> None:
    model = Model()
    with serving_aside(model) as server:
        study = parity.tuned(tmp_path / "s", judges=[judge(server.url)], routing={"router": "all_llm"}, votes=40)
        host = TuningHost(study, "maya")
        votes = 0
        for _ in range(400):
            turn = await host.turn()
            if turn.ballot is not None:
                turn = await host.vote(Answer(turn.ballot.query, "left"))
                votes += 1
            if votes >= 8 and model.failed:
                break
            await asyncio.sleep(0.05)
        assert votes >= 8
        assert WORDS in (await host.board()).doing
        assert 0 < failures(study) <= PATIENCE + 2 * CONCURRENCY  # they were not tried again at every vote
        assert {live.vote.judge for live in study.state.votes} == {"maya"}
        await host.close()


@pytest.mark.parametrize("router", ["none", "all_llm"])
def test_tuning_by_judges_stops_at_an_outage_and_goes_on_after_it(
    tmp_path: Path, router: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Model()
    with serving_aside(model) as server:
        study = parity.tuned(tmp_path / "s", judges=[judge(server.url)], routing={"router": router}, votes=12)
        study.close()
        command = ("tune", str(tmp_path / "s"), "--auto", "--votes", "4", "--unmeasured")
        code, _, said = commands(tmp_path, *command, out=capsys)
        assert code == 3
        assert " failed: no judge answers any more; gpt answers no more: 5 queries one after the other" in said
        assert WORDS in said
        model.mend()
        code, out, _ = commands(tmp_path, *command, out=capsys)
        assert (code, "after 4 votes" in out) == (0, True)
        with Study.open(tmp_path / "s", writable=False) as read:
            assert without_failures(read)
            assert failures_of(read.state)["gpt"].count >= PATIENCE
            assert verify(read).status == "same"
