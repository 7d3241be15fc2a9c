"""The methods a bench compares, by name: a selector under the default model, a model under the default selector, or a
peer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elicit.plugins import registry
from elicit.types import BadInputError, UnknownNameError

if TYPE_CHECKING:
    from studies.simulation.simulate import Method

PEERS = ("apohf", "linear_dueling", "linear_eubo", "pairwise_gp_eubo", "pdo", "successive_halving")
OUTSIDE = (
    "aepsych",
    "choix",
    "duelpy_ccb",
    "duelpy_dts",
    "duelpy_rcs",
    "duelpy_rucb",
    "duelpy_scb",
    "duelpy_winner_stays",
)
"""Peers of an environment and a process of their own, named PACKAGE or PACKAGE_ALGORITHM."""
IDS = "ids"
"""The default where nothing is known of the items but their ids: what features are worth, and whether they mislead."""
NEED_FEATURES = ("aepsych", "apohf", "gp", "linear_dueling", "neural", "pairwise_gp_eubo")


def method_names() -> list[str]:
    """Every name `make` takes, but for selectors of one's own (`path/to/file.py:Class`)."""
    return ["default", IDS, *registry.names("selector"), *_models(), *PEERS, *OUTSIDE]


def _models() -> list[str]:
    return [name for name in registry.names("model") if name != "default"]


def check(methods: Sequence[str], features: bool, beyond: str = "") -> list[str]:
    """The methods, each once, in their order; those of an environment of their own have it from here on.

    features: whether the items have features. beyond: what is asked of them that no peer can do, in words.
    Raises BadInputError for no method, an unknown one, one that cannot do without features or cannot do what is asked,
    or one that cannot be installed.
    """
    chosen = list(dict.fromkeys(methods))
    if not chosen:
        raise BadInputError(f"no method is named; give --methods some of: {', '.join(method_names())}")
    for name in chosen:
        if name in NEED_FEATURES and not features:
            raise BadInputError(f"method {name!r} needs features, and these items are ids only; leave it out")
        if ":" in name:
            registry.selector(name)
        elif name not in method_names():
            raise UnknownNameError("method", name, [*method_names(), "path/to/file.py:Class"])
        if beyond and name in (*PEERS, *OUTSIDE):
            raise BadInputError(f"method {name!r} cannot {beyond}; leave it out")
    for name in chosen:
        if name in OUTSIDE:
            from studies.bench.outside import python_of

            python_of(name)
    return chosen


def make(
    name: str,
    features: NDArray[np.floating[Any]] | None,
    n_items: int,
    seed: int,
    votes: int,
    device: str = "cpu",
    engine_options: Mapping[str, Any] | None = None,
) -> Method:
    """A fresh method over items with features (N, d), or over `n_items` ids.

    votes: the budget, for methods that plan with it. engine_options: more that the engine is made with.
    """
    if name in PEERS or name in OUTSIDE:
        return _peer(name, None if features is None else features.astype(np.float64), n_items, seed, votes)
    from elicit.engine import Engine

    if name == IDS:
        nothing = {"groups": (), "scores": None}
        return Engine(n_items=n_items, seed=seed, device=device, **{**(engine_options or {}), **nothing})
    model, selector = (name, "default") if name in _models() else ("default", name)
    items = None if features is not None else n_items
    return Engine(
        features, n_items=items, model=model, selector=selector, seed=seed, device=device, **(engine_options or {})
    )


def _peer(name: str, features: NDArray[np.float64] | None, n_items: int, seed: int, votes: int) -> Method:
    if name in OUTSIDE:
        from studies.bench import outside

        return outside.make(name, features if name in NEED_FEATURES else None, n_items, seed)
    from studies.bench.duelists import LinearDueling, Pdo, SuccessiveHalving
    from studies.bench.peers import LinearEubo, PairwiseGpEubo

    if name == "pdo":
        return Pdo(n_items, seed)
    if name == "successive_halving":
        return SuccessiveHalving(n_items, votes, seed)
    if name == "linear_eubo":
        return LinearEubo(np.eye(n_items) if features is None else features, seed)
    assert features is not None
    if name == "linear_dueling":
        return LinearDueling(features, seed)
    if name == "pairwise_gp_eubo":
        return PairwiseGpEubo(features, seed)
    from studies.bench.apohf import Apohf

    return Apohf(features, seed)
