"""choix: its Bayesian Bradley-Terry estimate by expectation propagation, anew after every vote, with pairs by Thompson
sampling: the best item of one draw from the posterior against the best other item of a second draw."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import choix
import numpy as np

SD = 2.0  # of the utilities a priori, in logits


def play(setup: dict[str, Any], compare: Callable[[int, int, Callable[[], int]], bool]) -> None:
    """setup: "n_items", "seed"."""
    n = setup["n_items"]
    rng = np.random.default_rng(setup["seed"])
    mean, covariance = np.zeros(n), SD**2 * np.eye(n)
    votes = list[tuple[int, int]]()  # winner first

    def best() -> int:
        return int(mean.argmax())

    while True:
        draws = rng.multivariate_normal(mean, covariance, 2, method="cholesky")
        a = int(draws[0].argmax())
        draws[1, a] = -np.inf
        b = int(draws[1].argmax())
        votes.append((a, b) if compare(a, b, best) else (b, a))
        with suppress(RuntimeError):  # where it does not converge, the estimate of the vote before goes on
            mean, covariance = choix.ep_pairwise(n, votes, 1 / SD**2)
