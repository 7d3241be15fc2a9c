"""On a device of its own an engine asks and believes what it does on the CPU, and mixes no tensors of the two."""

from typing import Any

import numpy as np
import pytest
import torch

from elicit import checks
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
    gaussian: {"DENSE": 1 << 9, "CHUNK": 2, "P_BEST_ROWS": 6},
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


def use(engine: Engine, goal: str, *, votes: int = VOTES) -> list[Any]:
    """Whatever an engine can be asked, in between so many votes; what it says."""
    said: list[Any] = []
    for n in range(votes):
        query = engine.ask()
        said.append((query.a, query.b, query.score, query.why))
        inputs = () if engine._inputs is None else tuple(engine.choose_inputs(query.a, query.b, 1))
        outcome = ("a", "b", "tie", "both_bad", "skip")[n % 5 if n > 2 else 0]
        engine.tell(query.a, query.b, outcome, 2 if n == 1 else None, judge="ada", inputs=inputs)
    said += [[(q.a, q.b) for q in engine.ask(3, pending=[(0, 1)], avoid=[(2, 3)])], engine.best(), engine.should_stop()]
    if goal == "best":
        said.append(engine.should_stop(rule="likelihood_ratio"))
    said += [engine.top()] if goal == "top" else []
    said += [engine.p_best(), *engine.utilities(), engine.p_prefer([(0, 1), (2, 3)])]
    if engine._inputs is not None:
        said += [engine.p_prefer_on(0, 1, [0, 2]), engine.win_rate(0, 1)]
    if goal != "label":
        engine.retire([int(np.argmin(said[-1])), 5])
        said += [(engine.ask().a, engine.best()), engine.p_best()]
    engine.retract(0)
    said.append(engine.utilities()[0])
    return said


def compare(goal: str, options: dict[str, Any], votes: int = VOTES) -> None:
    """Hold an engine on the device to one on the CPU."""
    given = {"features": FEATURES, "goal": goal, "top": 3, "seed": 1, **options}
    if goal == "label":
        given["pairs"] = PAIRS
    expected = use(Engine(device="cpu", **given), goal, votes=votes)
    with pretended_device() as device:
        found = use(Engine(device=device, **given), goal, votes=votes)
    for had, now in zip(expected, found, strict=True):
        np.testing.assert_equal(now, had)


@pytest.mark.parametrize("goal", DEFAULT_SELECTOR)
@pytest.mark.parametrize("name", MODELS)
def test_every_model_under_every_goal(name: str, goal: str) -> None:
    compare(goal, MODELS[name])


@pytest.mark.parametrize("name", MODELS)
def test_every_model_past_its_limits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, limits in LIMITS.items():
        for limit, value in limits.items():
            if not (name == "inputs" and limit in ("EXACT", "LARGEST", "MOST")):  # refused there
                monkeypatch.setattr(module, limit, value)
    compare("best", MODELS[name], votes=20)


@pytest.mark.parametrize("goal", DEFAULT_SELECTOR)
@pytest.mark.parametrize("selector", registry.names("selector"))
def test_every_selector_under_every_goal(selector: str, goal: str) -> None:
    model = {"model": "gp", "model_options": {"exact": 3}} if goal in ("best", "rank") else {"model": "default"}
    compare(goal, {**model, "selector": selector}, votes=3)


def test_an_operation_on_two_devices_is_refused() -> None:
    with pretended_device() as device:
        here, there = torch.arange(3.0), torch.arange(3.0, device=device)
        for mixed in (lambda: here + there, lambda: here @ there, lambda: torch.stack([here, there])):
            with pytest.raises(DeviceError):
                mixed()
        with pytest.raises(DeviceError):
            here[torch.tensor([0, 1], device=device)]
        assert (there + torch.tensor(1.0))[torch.tensor([0, 2])].cpu().tolist() == [1.0, 3.0]
