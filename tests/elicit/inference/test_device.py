"""On a device of its own an engine asks and believes what it does on the CPU, and mixes no tensors of the two."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from elicit import checks, stopping
from elicit.engine import DEFAULT_SELECTOR, Engine
from elicit.inference import columns, gaussian, interactions, kernels, low_rank
from elicit.models import default, gp, neural
from elicit.plugins import registry
from tests.elicit.pretended_device import DeviceError, pretended_device

N, VOTES = 14, 9
RANDOM = np.random.default_rng(0)
FEATURES, SCORES, INPUTS = (RANDOM.standard_normal(shape) for shape in ((N, 4), (N, 1), (5, 3)))
PAIRS = [(a, (a + step) % N) for a in range(N) for step in (1, 3)]
MODELS: dict[str, dict[str, Any]] = {name: {"model": name} for name in registry.names("model")} | {
    "gp of low rank": {"model": "gp", "model_options": {"exact": 3}},
    "ids only": {"model": "default", "features": None, "n_items": N},
    "scores": {"model": "default", "scores": SCORES},
    "scores of low rank": {"model": "gp", "model_options": {"exact": 3}, "scores": SCORES},
    "groups": {"model": "gp", "groups": (3, 1)},
    "inputs": {"model": "default", "inputs": INPUTS},
}
LIMITS = {
    low_rank: {"SEATS": 6, "FOLD": 4, "EXACT_ROWS": 6, "SCANNED": 6, "NEARLY": 6},
    gaussian: {"DENSE": 1 << 9, "CHUNK": 2},
    stopping: {"ROWS": 6},
    columns: {"CHUNK": 2},
    neural: {"EXACT": 3, "TRAIN": 4, "RANK": 6},
    default: {"LARGEST": 3},
    gp: {"SINGLE_PRECISION_ABOVE": 3, "RANK": 6},
    interactions: {"MOST": 3},
    kernels: {"ANCHORS": 6},
}
"""Pools, votes and tables that are large here; the real limits are at thousands."""


@pytest.fixture(autouse=True)
def _devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "device_called", lambda name: name)


def vote(engine: Engine, votes: int) -> list[Any]:
    """Ask and tell so many votes of every kind; what was asked."""
    asked: list[Any] = []
    for n in range(votes):
        query = engine.ask()
        asked.append((query.a, query.b, query.score, query.why))
        inputs = () if engine._inputs is None else tuple(engine.choose_inputs(query.a, query.b, 1))
        outcome = ("a", "b", "tie", "both_bad", "skip")[n % 5 if n > 2 else 0]
        engine.tell(query.a, query.b, outcome, 2 if n == 1 else None, judge="ada", inputs=inputs)
    return [*asked, [(q.a, q.b) for q in engine.ask(3, pending=[(0, 1)], avoid=[(2, 3)])]]


def believe(engine: Engine, goal: str) -> list[Any]:
    """Whatever else an engine can be asked; what it says."""
    answers: list[Any] = [engine.best(), engine.should_stop()]
    if goal == "best":
        answers.append(engine.should_stop(rule="likelihood_ratio"))
    answers += [engine.top()] if goal == "top" else []
    answers += [engine.p_best(), *engine.utilities(), engine.p_prefer([(0, 1), (2, 3)])]
    if engine._inputs is not None:
        answers += [engine.p_prefer_on(0, 1, [0, 2]), engine.win_rate(0, 1)]
    if goal != "label":
        engine.retire([int(np.argmin(answers[-1])), 5])
        answers += [(engine.ask().a, engine.best()), engine.p_best()]
    engine.retract(0)
    return [*answers, engine.utilities()[0]]


def compare(goal: str, options: dict[str, Any], *uses: Callable[[Engine], list[Any]]) -> None:
    """Hold what an engine on the device gives in these uses to what one on the CPU does."""
    given = {"features": FEATURES, "goal": goal, "top": 3, "seed": 1, **options}
    if goal == "label":
        given["pairs"] = PAIRS
    engine = Engine(device="cpu", **given)
    expected = [use(engine) for use in uses]
    with pretended_device() as device:
        engine = Engine(device=device, **given)
        answers = [use(engine) for use in uses]
    for here, there in zip(expected, answers, strict=True):
        for one, other in zip(here, there, strict=True):
            np.testing.assert_equal(other, one)


@pytest.mark.parametrize("goal", DEFAULT_SELECTOR)
@pytest.mark.parametrize("name", MODELS)
def test_every_model_under_every_goal(name: str, goal: str) -> None:
    compare(goal, MODELS[name], partial(vote, votes=VOTES), partial(believe, goal=goal))


@pytest.mark.parametrize("name", MODELS)
def test_every_model_past_its_limits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, limits in LIMITS.items():
        for limit, value in limits.items():
            if not (name == "inputs" and limit in ("EXACT", "LARGEST", "MOST")):  # refused there
                monkeypatch.setattr(module, limit, value)
    compare("best", MODELS[name], partial(vote, votes=20), partial(believe, goal="best"))


@pytest.mark.parametrize("goal", DEFAULT_SELECTOR)
@pytest.mark.parametrize("selector", registry.names("selector"))
def test_every_selector_under_every_goal(selector: str, goal: str) -> None:
    model = {"model": "gp", "model_options": {"exact": 3}} if goal in ("best", "rank") else {"model": "default"}
    compare(goal, {**model, "selector": selector}, partial(vote, votes=3))


def test_an_operation_on_two_devices_is_refused() -> None:
    with pretended_device() as device:
        here, there = torch.arange(3.0), torch.arange(3.0, device=device)
        for mixed in (lambda: here + there, lambda: here @ there, lambda: torch.stack([here, there])):
            with pytest.raises(DeviceError):
                mixed()
        with pytest.raises(DeviceError):
            here[torch.tensor([0, 1], device=device)]
        assert (there + torch.tensor(1.0))[torch.tensor([0, 2])].cpu().tolist() == [1.0, 3.0]
