"""Plans: studies simulated side by side."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from elicit.cli import _code
from elicit.engine import Engine
from elicit.inference.posterior import Knowledge
from elicit.plugins import registry
from elicit.types import BadInputError, ChoiceOutcome, Goal, Vote
from studies.simulation.planning import Batch, plan
from studies.study import Study
from tests.studies import making, routed

X = np.random.default_rng(0).standard_normal((12, 5))


def test_a_study_of_a_batch_learns_what_the_engine_learns() -> None:
    posterior = registry.model("gp").init(len(X), Knowledge(X), "cpu")
    model = torch.tensor([3])
    rows = torch.arange(len(X))
    prior = posterior.covariance(rows, model)[0].double()
    truth = torch.zeros(2, len(X), dtype=torch.float64)
    batch = Batch(posterior.mu[3].double(), prior, truth, 6)
    votes = []
    for t in range(6):
        first, second, column = batch.ask(t)
        won = torch.tensor([1.0, -1.0], dtype=torch.float64)
        batch.tell(t, first, second, column, won)
        votes.append((int(first[0]), int(second[0])))
    # The engine allows for slips and ties, which the batch leaves out: the same up to that.
    for a, b in votes:
        posterior = posterior.update([Vote(a, b, ChoiceOutcome("a"))])
    theirs = posterior.mu[3] - posterior.mu[3].mean()
    mine = batch.mean[0] - batch.mean[0].mean()
    assert torch.corrcoef(torch.stack([theirs.double(), mine]))[0, 1] > 0.99
    assert (batch.variance <= prior.diagonal() + 1e-9).all()
    assert not torch.allclose(batch.mean[0], batch.mean[1])


def test_regret_falls_with_votes_and_the_plan_is_the_same_again() -> None:
    engine = Engine(X, seed=1, device="cpu")
    one, two = plan(engine, 30, 300), plan(engine, 30, 300)
    assert np.array_equal(one.regret, two.regret)
    assert one.regret.shape == (300, 31)
    curve = one.regret.mean(0)
    assert curve[30] < 0.6 * curve[5] < 0.6 * curve[0]
    assert abs(curve[0] - 1) < 0.15  # nothing is known yet: an average item
    settled = one.votes_needed(0.05)
    assert settled.min() >= 0
    assert settled.max() <= 31
    for study, votes in enumerate(settled[:50]):
        assert (one.regret[study, votes:] <= 0.05).all()
        assert votes == 0 or one.regret[study, votes - 1] > 0.05


def test_a_plan_begins_where_the_study_is() -> None:
    engine = Engine(X, seed=1, device="cpu")
    before = plan(engine, 1, 400).regret[:, 0].mean()
    for _ in range(30):
        query = engine.ask()
        engine.tell(query.a, query.b, "a" if X[query.a, 0] > X[query.b, 0] else "b")
    assert plan(engine, 1, 400).regret[:, 0].mean() < 0.5 * before


def test_what_cannot_be_planned_is_said() -> None:
    with pytest.raises(BadInputError, match="at most 4000 items"):
        plan(Engine(n_items=4001, device="cpu"), 1, 1)


PAIRS = [(k, k + 1) for k in range(0, 12, 2)]


def engine_for(goal: Goal) -> Engine:
    return Engine(X, seed=1, device="cpu", goal=goal, top=3, pairs=PAIRS if goal == "label" else None)


@pytest.mark.parametrize("goal", ["best", "top", "rank", "label"])
def test_a_plan_measures_what_the_goal_asks_for(goal: Goal) -> None:
    """Before any vote what is expected is chance, which differs by goal; it falls, and as far as pairs are left."""
    engine = engine_for(goal)
    curve = plan(engine, 30, 300).regret.mean(0)
    chance = {"best": 1.0, "top": 1 - 3 / 12, "rank": 0.5, "label": 0.5}[goal]
    assert curve[0] == pytest.approx(chance, abs=0.12)
    assert curve[6] < 0.95 * curve[0]
    if goal == "label":
        assert (curve[6:] == curve[6]).all()  # each of the six pairs is asked once
    else:
        assert curve[30] < curve[6]
    for a, b in PAIRS:
        engine.tell(a, b, "a" if X[a, 0] > X[b, 0] else "b")
    assert plan(engine, 1, 300).regret[:, 0].mean() < curve[0]


@pytest.mark.parametrize("goal", ["best", "top", "rank"])
def test_retired_items_are_not_planned_for(goal: Goal) -> None:
    engine = engine_for(goal)
    engine.retire(range(3, 12))
    regret = plan(engine, 10, 200).regret
    if goal == "top":
        assert not regret.any()  # three are left, and they are the top three
    else:
        assert regret[:, 10].mean() < regret[:, 0].mean()


@pytest.mark.parametrize("goal", ["best", "top", "rank", "label"])
def test_the_command_tells_what_status_tells(goal: Goal, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if goal == "label":
        study = routed.make(tmp_path, [], 12, {"router": "none"}, votes=40)
    else:
        study = making.make(tmp_path, 12, goal=goal, top=3, votes=40)
    with study:
        folder = str(study.folder)
    for cast in (0, 6):
        with Study.open(folder) as study:
            for _ in range(cast):
                query = study.ask("me")
                assert query is not None
                study.tell(query, "a" if query.a > query.b else "b", "me")
        assert _code(["plan", folder, "--votes", "12", "--studies", "50"]) == 0
        words = capsys.readouterr().out
        assert _code(["plan", folder, "--votes", "12", "--studies", "50", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert _code(["status", folder]) == 0
        assert words.splitlines()[-1].removeprefix("status: ") == capsys.readouterr().out.splitlines()[-1]
        assert _code(["status", folder, "--json"]) == 0
        status = json.loads(capsys.readouterr().out)
        assert [row["votes"] for row in told["rows"]] == [0, 10, 12]
        assert told["votes_to_settle"] == sorted(told["votes_to_settle"])
        assert {name: told[name] for name in SHARED} == {name: status[name] for name in SHARED}
        assert told["votes_to_stop"] == status["votes_left"]
        assert ("simple_regret" in told["rows"][0]) == (goal == "best")


SHARED = ("goal", "measured", "stop", "why", "votes_left")
