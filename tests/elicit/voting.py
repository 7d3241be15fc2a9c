"""Votes for tests: any, or by people who follow Davidson's model."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from elicit.ranking import davidson

N = 6
Votes = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

votes = st.lists(
    st.tuples(st.integers(0, N - 1), st.integers(1, N - 1), st.integers(0, 2)), min_size=1, max_size=60
).map(lambda rows: tuple(np.array(column) for column in zip(*[(a, (a + s) % N, o) for a, s, o in rows], strict=True)))


def cast(u: NDArray[Any], count: int, nu: float, rng: np.random.Generator) -> Votes:
    """Votes on random pairs by people who follow the model."""
    a = rng.integers(0, len(u), count)
    b = (a + rng.integers(1, len(u), count)) % len(u)
    share = davidson.probabilities(u[a] - u[b], nu).cumsum(1)
    return a, b, (rng.random(count)[:, None] > share[:, :2]).sum(1)


def mirrored(outcomes: NDArray[Any]) -> NDArray[Any]:
    return np.where(outcomes < 2, 1 - outcomes, outcomes)
