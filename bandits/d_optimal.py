"""D-optimal design: ask the pair whose difference is least known, whatever its mean.

For a vote that told the difference up to equal noise, the largest variance is the largest gain in log determinant
(Chaloner and Verdinelli 1995).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elicit.inference.posterior import Posterior
from elicit.selection import Candidates, Pick, among_least_known, argmax_pick, greedy_batch
from elicit.types import Vote


class DOptimal:
    """Maximises the variance of f_a - f_b over all admissible pairs of the `size` least known items."""

    def __init__(self, size: int = 150) -> None:
        self.size = size

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        def choose(posterior: Posterior, candidates: Candidates) -> Pick | None:
            pairs = among_least_known(posterior, candidates, self.size)
            if not len(pairs):
                return None
            weights, _, variance = posterior.mixture(pairs)
            return argmax_pick(pairs, weights @ variance)

        return greedy_batch(choose, posterior, candidates, k)
