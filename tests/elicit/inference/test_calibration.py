"""Calibration: over 240 simulated studies, what the engine says with 90 % is so in 90 %."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from elicit.engine import Engine
from elicit.randomness import stream

STUDIES, VOTES, ITEMS = 240, 15, 8


class Ended(NamedTuple):
    """covered: share of the utilities between the 5 % and 95 % quantiles of their draws; p_best, right: probability
    of the recommended item to be the best, and whether it was; expected, regret: its own."""

    covered: float
    p_best: float
    right: bool
    expected: float
    regret: float


@pytest.fixture(scope="module")
def studies() -> list[Ended]:
    """People drawn from the prior that the engine holds, who vote by Bradley-Terry."""
    return [_study(seed) for seed in range(STUDIES)]


def _study(seed: int) -> Ended:
    rng = stream(seed, "calibration")
    engine = Engine(rng.standard_normal((ITEMS, 4)), seed=seed, device="cpu")
    u = engine.posterior.sample(1, rng)[0].numpy()
    for _ in range(VOTES):
        query = engine.ask()
        engine.tell(query.a, query.b, "a" if rng.random() < 1 / (1 + np.exp(u[query.b] - u[query.a])) else "b")
    draws = engine.posterior.sample(400, rng).numpy()
    below = (draws - draws.mean(1, keepdims=True) < u - u.mean()).mean(0)
    best, inside = engine.best(), (below > 0.05) & (below < 0.95)
    regret = (u.max() - u[best]) / (u.max() - u.mean())
    stop = engine.should_stop()
    return Ended(float(inside.mean()), float(engine.p_best()[best]), bool(u.argmax() == best), stop.expected, regret)


def test_nine_in_ten_utilities_are_in_their_interval(studies: list[Ended]) -> None:
    covered = np.array([ended.covered for ended in studies])
    error = covered.std(ddof=1) / STUDIES**0.5
    assert abs(covered.mean() - 0.9) < 3 * error + 0.01  # votes come without the ties and slips that are allowed for


def test_the_probability_of_being_best_is_how_often_it_is(studies: list[Ended]) -> None:
    said = np.array([ended.p_best for ended in studies])
    right = np.array([ended.right for ended in studies])
    for low, high in ((0, 0.5), (0.5, 0.8), (0.8, 1.01)):
        part = (said >= low) & (said < high)
        p = said[part].mean()
        assert abs(right[part].mean() - p) < 3 * (p * (1 - p) / part.sum()) ** 0.5 + 0.01, (low, part.sum())


def test_the_expected_regret_is_the_mean_regret(studies: list[Ended]) -> None:
    off = np.array([ended.expected - ended.regret for ended in studies])
    assert abs(off.mean()) < 3 * off.std(ddof=1) / STUDIES**0.5 + 0.01
