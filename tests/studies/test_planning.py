"""Plans: studies simulated side by side."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from elicit import registry
from elicit.cli import _code
from elicit.engine import Engine
from elicit.posterior import Knowledge
from elicit.types import BadInputError, ChoiceOutcome, Vote
from studies.planning import Batch, plan
from tests.studies import making

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
    settled = one.settled(0.05)
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


def test_the_command_tells_in_words_and_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with making.make(tmp_path, 12) as study:
        folder = str(study.folder)
    assert _code(["plan", folder, "--votes", "12", "--studies", "50"]) == 0
    assert "half need" in capsys.readouterr().out
    assert _code(["plan", folder, "--votes", "12", "--studies", "50", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["votes"] for row in told["rows"]] == [0, 10, 12]
    assert told["votes_to_stop"] == sorted(told["votes_to_stop"])
