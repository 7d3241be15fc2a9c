"""A belief taken up from its snapshot is the belief, to the bit, whatever the model."""

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from elicit.engine import Engine
from elicit.inference import snapshots
from elicit.inference.snapshots import NoSnapshotError, Snapshot
from elicit.types import ChoiceOutcome, Vote

FEATURES = np.random.default_rng(3).standard_normal((60, 12))
ENGINES: dict[str, dict[str, Any]] = {
    "ids with residuals": {"n_items": 20},
    "ids": {"n_items": 150},
    "features": {"features": FEATURES},
    "groups and scores": {"features": FEATURES, "groups": (8, 4), "scores": FEATURES[:, :2]},
    "gp": {"features": FEATURES, "model": "gp"},
    "low rank": {"features": FEATURES, "model": "gp", "model_options": {"exact": 20}},
    "networks": {"features": FEATURES, "model": "neural"},
    "neural": {"features": FEATURES, "model": "neural"},
    "inputs": {"n_items": 20, "inputs": FEATURES[:9]},
    "inputs and features": {"features": FEATURES, "inputs": FEATURES[:9]},
}
LONG = {"ids with residuals": 300, "ids": 300, "gp": 330, "networks": 262}
"""Votes until columns are folded, models dropped and networks have joined."""


def votes_of(engine: Engine, count: int, inputs: bool) -> list[Vote]:
    """So many votes of three people, with ties and skips."""
    luck = np.random.default_rng(5)
    made = []
    for _ in range(count):
        a, b = (int(row) for row in luck.choice(engine.n, 2, replace=False))
        choice = ("a", "b", "tie", "both_bad", "skip")[int(luck.choice(5, p=[0.45, 0.35, 0.1, 0.05, 0.05]))]
        on = (int(luck.integers(9)),) if inputs else ()
        made.append(Vote(a, b, ChoiceOutcome(choice), f"judge {luck.integers(3)}", inputs=on))
    return made


def told(engine: Engine) -> list[Any]:
    """What an engine says of everything, as bytes."""
    pairs = torch.combinations(torch.arange(min(engine.n, 40)))
    belief = engine.posterior
    parts = [belief.mean(), belief.sd(), belief.sd(centred=True), torch.as_tensor(engine.p_best())]
    parts += [*belief.difference(pairs), *belief.mixture(pairs)]
    return [engine.votes, engine.ask(3), engine.should_stop(), *(part.numpy().tobytes() for part in parts)]


@pytest.mark.parametrize("name", ENGINES)
def test_what_is_taken_up_again_is_the_same_to_the_bit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "networks":  # as in pools of thousands; in training when it is kept, done with it when it goes on
        monkeypatch.setattr("elicit.models.neural.EXACT", 20)
    made = ENGINES[name]
    engine = Engine(device="cpu", seed=7, **made)
    votes = votes_of(engine, LONG.get(name, 150), "inputs" in made)
    engine.learn(votes[:-20])
    count, snapshot = engine.snapshot()
    assert len(votes) - 20 - 48 == count
    stored = Snapshot(snapshot.structure, load(save(snapshot.tensors)))
    again = Engine(device="cpu", seed=7, **made)
    assert again.digest() == engine.digest()
    again.resume(votes[:count], stored)
    again.learn(votes[count:])
    engine.learn(votes[-20:])
    assert told(again) == told(engine)
    for one in (again, engine):
        one.retract(-30)
    assert told(again) == told(engine)


def test_what_is_known_already_is_not_copied() -> None:
    engine = Engine(FEATURES, device="cpu")
    engine.learn(votes_of(engine, 3, False))
    structure, tensors = snapshots.take(engine.posterior, engine._prior)
    bases = [part.base for part in engine._prior.parts]  # type: ignore[attr-defined]
    assert all(not any(t.shape == m.shape for t in tensors.values()) for base in bases for m in base._maps)
    assert b'"prior"' in structure


def test_what_does_not_fit_is_refused_and_changes_nothing() -> None:
    engine = Engine(n_items=20, device="cpu")
    engine.learn(votes_of(engine, 100, False))
    before = told(engine)
    _, (structure, tensors) = engine.snapshot()
    for wrong in (
        structure.replace(b"elicit.", b"os."),
        structure.replace(b"lineage", b"lineages"),
        structure.replace(b"ResidualPosterior", b"OtherPosterior"),
        structure[: len(structure) // 2],
        b'["prior", "/nowhere"]',
        b'["call", "os.system"]',
        b'["object", "os", "_Environ", {}]',
    ):
        with pytest.raises(NoSnapshotError):
            engine.resume((), Snapshot(wrong, tensors))
    with pytest.raises(NoSnapshotError):
        engine.resume((), Snapshot(structure, dict(list(tensors.items())[1:])))
    assert told(engine) == before


class Foreign:
    """A belief of a user's own class."""

    n = 3


def test_a_belief_of_anothers_class_makes_no_snapshot() -> None:
    engine = Engine(n_items=3, device="cpu")
    with pytest.raises(NoSnapshotError, match="is not the core's"):
        snapshots.take(Foreign(), engine._prior)  # type: ignore[arg-type]


def test_the_layout_of_a_tensor_is_kept() -> None:
    """Sums over a transposed matrix may round otherwise than over a copied one."""
    engine = Engine(n_items=3, device="cpu")
    value = torch.randn(4, 5, 6).permute(2, 0, 1)
    snapshot = snapshots.take(value, engine._prior)  # type: ignore[arg-type]
    again = snapshots.restore(snapshot, engine._prior)
    assert isinstance(again, torch.Tensor)
    assert again.equal(value)
    assert again.stride() == value.stride()
