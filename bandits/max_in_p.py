"""Maximum informative pair: among the items that no other surely beats, ask the pair least known.

Saha (2021), "Optimal algorithms for stochastic contextual preference bandits", with the posterior standard deviation
as the width of the confidence interval.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from elicit.inference.posterior import Posterior
from elicit.selection import Candidates, Pick, argmax_pick, greedy_batch, mixture_variance
from elicit.types import Vote


class MaxInP:
    """Maximises the standard deviation of f_a - f_b over the pairs of items still in play.

    confidence: an item is out once another one's mean is so many standard deviations above its own. breadth, size: of
    the shortlist, as of EUBO.
    """

    def __init__(self, confidence: float = 0.5, breadth: float = 1.5, size: int = 100) -> None:
        self.confidence, self.breadth, self.size = confidence, breadth, size

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        def choose(posterior: Posterior, candidates: Candidates) -> Pick | None:
            pairs = candidates.near(posterior.shortlist(self.size, self.breadth))
            if not len(pairs):
                return None
            weights, means, variances = posterior.mixture(pairs)
            mean, sd = weights @ means, mixture_variance(weights, means, variances).sqrt()
            beaten = torch.zeros(posterior.n, dtype=torch.bool)
            beaten[pairs[mean > self.confidence * sd, 1]] = True
            beaten[pairs[-mean > self.confidence * sd, 0]] = True
            alive = ~beaten[pairs].any(1)
            return argmax_pick(pairs, torch.where(alive, sd, sd - sd.max()) if alive.any() else sd)

        return greedy_batch(choose, posterior, candidates, k)
