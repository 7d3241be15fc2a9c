"""Uncertainty sampling: ask the pair whose answer is least sure, that is nearest to even.

Lewis and Gale (1994). It also asks what no vote can settle: two items known to be equally good.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from elicit.inference.posterior import Posterior
from elicit.selection import Candidates, Pick, among_least_known, argmax_pick, greedy_batch
from elicit.types import Vote


class UncertaintySampling:
    """Minimises |P(a beats b) - 1/2| over all admissible pairs of the `size` least known items.

    The probability is MacKay's (1992) approximation under each Gaussian: sigmoid(mean / sqrt(1 + pi variance / 8)).
    """

    def __init__(self, size: int = 150) -> None:
        self.size = size

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        def choose(posterior: Posterior, candidates: Candidates) -> Pick | None:
            pairs = among_least_known(posterior, candidates, self.size)
            if not len(pairs):
                return None
            weights, mean, variance = posterior.mixture(pairs)
            p = weights @ torch.sigmoid(mean * (1 + torch.pi / 8 * variance).rsqrt())
            return argmax_pick(pairs, -(p - 0.5).abs())

        return greedy_batch(choose, posterior, candidates, k)
