"""Headless work with a judge that asks a model: said before the first query where it is down, paid for once."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from elicit.types import BadInputError
from studies.replay.verify import verify
from studies.reporting.status import status_of
from studies.routing.costs import money_spent
from studies.run import estimates, run
from studies.study import Study
from tests.adapters.serving import Got, Say, honest, serving_aside
from tests.studies import making, routed


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
        why = run(study, 100, lambda done, money: None).why
        assert "no judge answers any more; model answers no more: its budget is spent" in why
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


ROUTING = {"router": "default", "budget": 5.0, "audits": 0.0}


def pair(url: str, **more: Any) -> list[dict[str, Any]]:
    """Two model judges at the same address."""
    return [judge(url, **more) | {"name": "yes"}, judge(url, "pairwise", **more) | {"name": "ab"}]


def test_models_and_people_share_a_routed_study(tmp_path: Path) -> None:
    with serving_aside(honest) as server:
        study = routed.make(tmp_path, pair(server.url), 30, ROUTING)
        seen: list[tuple[int, float]] = []
        why = run(study, None, lambda done, money: seen.append((done, money)), until_stop=False).why
        assert "waits for people" in why or "wait for people" in why
        assert [done for done, _ in seen] == list(range(1, 31))
        assert [money for _, money in seen] == sorted(money for _, money in seen)
        assert seen[-1][1] == pytest.approx(money_spent(study))
        assert 0 < money_spent(study) < 1
        calls = sqlite3.connect(tmp_path / "study" / "calls.db")
        assert calls.execute("SELECT SUM(cost) FROM calls").fetchone()[0] == pytest.approx(money_spent(study))
        calls.close()
        routed.vote(study, times=10)
        assert verify(study).status == "same"
        study.close()


def test_an_endpoint_that_dies_in_the_middle_is_left_and_the_run_goes_on_later(tmp_path: Path) -> None:
    dying = {"after": 20}

    def mortal(got: Got) -> Say:
        if got.method == "POST":
            dying["after"] -= 1
        return honest(got) if dying["after"] > 0 else Say(b"out of memory", 500)

    with serving_aside(mortal) as server:
        study = routed.make(tmp_path, [judge(server.url)], 30, ROUTING | {"person_price": 0.0})
        why = run(study, None, lambda done, money: None, until_stop=False).why
        assert "no judge answers any more; model answers no more: 5 queries one after the other failed" in why
        assert "500" in why
        found = routed.ends(study)
        assert found["machine"] >= 5
        assert found["passed over"] == 0
        with pytest.raises(BadInputError, match=r"judge 'model': .* answers 500 .*test it with: curl"):
            run(study, None, lambda done, money: None, until_stop=False)
        dying["after"] = 1000
        run(study, None, lambda done, money: None, until_stop=False)
        assert routed.ends(study) == {"machine": 30}
        assert verify(study).status == "same"
        study.close()


def test_a_key_that_is_refused_in_the_middle_ends_that_judge(tmp_path: Path) -> None:
    def strict(got: Got) -> Say:
        return honest(got) if got.method == "GET" else Say(b"who are you", 401)

    with serving_aside(strict) as server:
        study = routed.make(tmp_path, [judge(server.url)], 10, ROUTING | {"person_price": 0.0})
        why = run(study, None, lambda done, money: None, until_stop=False).why
        assert "model answers no more" in why
        assert "401" in why
        assert not study.state.votes
        study.close()


def test_a_budget_without_prices_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    with serving_aside(honest) as server:
        free = judge(server.url)
        del free["options"]["price_in"], free["options"]["price_out"]
        study = routed.make(tmp_path, [free], 10, {"budget": None})
        with pytest.raises(BadInputError, match="judge 'model': a budget needs prices"):
            run(study, 1, lambda done, money: None, budget=1.0)
        assert not server.got
        run(study, 1, lambda done, money: None)
        study.close()


def test_a_budget_holds_without_a_router(tmp_path: Path) -> None:
    with serving_aside(honest) as server:
        study = making.make(tmp_path, judges=[judge(server.url)])
        why = run(study, None, lambda done, money: None, until_stop=False, budget=1e-3).why
        assert why == "the budget of 0.001 is spent"
        assert 1e-3 <= money_spent(study) < 2e-3
        study.close()


@pytest.mark.parametrize("kind", ["pairwise", "pointwise"])
def test_judges_are_put_the_question_that_people_are_asked(tmp_path: Path, kind: str) -> None:
    with serving_aside(honest) as server:
        for name, options, wanted in (
            ("study", {}, "Which is funnier?"),
            ("own", {"question": "Is it short?"}, "Is it short?"),
        ):
            judges = [judge(server.url, kind, **options)]
            study = making.make(tmp_path / name, judges=judges, question="Which is funnier?")
            server.got.clear()
            run(study, 1, lambda done, money: None)
            asked = [got.user for got in server.got if got.method == "POST"]
            assert asked
            assert all(wanted in text for text in asked)
            study.close()


@pytest.mark.parametrize(
    "options",
    [
        {"key": "sk-pasted-by-mistake"},
        {"endpoint": "http://me:sk-pasted-by-mistake@127.0.0.1/v1"},
        {"endpoint": "http://127.0.0.1/v1?key=sk-pasted-by-mistake"},
        {"api_key": "sk-pasted-by-mistake"},
    ],
)
def test_a_pasted_key_is_refused_and_never_gets_into_the_log(tmp_path: Path, options: dict[str, str]) -> None:
    told = judge("http://127.0.0.1:9/v1")
    told["options"] |= options
    with pytest.raises(BadInputError) as refused:
        making.make(tmp_path / "made", judges=[told])
    assert "pasted" not in str(refused.value)
    assert not (tmp_path / "made" / "study").exists()
    making.make(tmp_path).close()
    folder = tmp_path / "study"
    lines = "".join(f"{name} = {value!r}\n" for name, value in told["options"].items())
    with (folder / "study.toml").open("a") as file:
        file.write(f'\n[[judges]]\nname = "gpt"\nkind = "pointwise"\n[judges.options]\n{lines}')
    with pytest.raises(BadInputError) as refused:
        Study.open(folder)
    assert "pasted" not in str(refused.value)
    assert b"pasted" not in b"".join(path.read_bytes() for path in folder.glob("study.db*"))
    with Study.open(folder, writable=False) as read:
        assert status_of(read)["votes"] == 0


def test_an_estimate_reads_the_judges_that_were_just_configured(tmp_path: Path) -> None:
    making.make(tmp_path).close()
    with (tmp_path / "study" / "study.toml").open("a") as file:
        file.write(
            '\n[[judges]]\nname = "gpt"\nkind = "pairwise"\n'
            'options = { endpoint = "http://127.0.0.1:9/v1", model = "m", price_in = 1.0, price_out = 1.0 }\n'
        )
    with Study.open(tmp_path / "study", writable=False) as study:
        assert estimates(study, 10)["gpt"].calls == 20


def test_a_backup_holds_the_replies_paid_for_and_forgetting_reaches_them(tmp_path: Path) -> None:
    with serving_aside(honest) as server:
        study = routed.make(tmp_path, pair(server.url), 10, ROUTING | {"person_price": 0.0})
        run(study, 4, lambda done, money: None)
        study.backup(tmp_path / "copy")
        asked = len(server.got)
        with Study.open(tmp_path / "copy") as copy:
            again = routed.make(tmp_path / "again", pair(server.url), 10, ROUTING | {"person_price": 0.0})
            shutil.copy(tmp_path / "copy" / "calls.db", again.folder / "calls.db")
            run(again, 4, lambda done, money: None)
            assert {got.method for got in server.got[asked:]} == {"GET"}
            assert copy.state.consulted.keys() == study.state.consulted.keys()
            again.close()
        pseudonym = study.forget("ab")
        names = {live.vote.judge for live in study.state.votes}
        assert names == {f"{pseudonym} + yes"}
        calls = sqlite3.connect(study.folder / "calls.db")
        assert {name for (name,) in calls.execute("SELECT DISTINCT judge FROM calls")} == {pseudonym, "yes"}
        calls.close()
        study.close()
