"""Maximum informative pair: among the items that no other surely beats, ask the pair least known.

Saha (2021), "Optimal algorithms for stochastic contextual preference bandits", with the posterior standard deviation
as the width of the confidence interval.
"""

from __future__ import annotations

import torch
from torch import Tensor

from elicit.inference.posterior import Posterior
from elicit.selection import Acquisition, mixture_variance


class MaxInP(Acquisition):
    """Maximises the standard deviation of f_a - f_b over the pairs of items still in play.

    confidence: an item is out once another one's mean is so many standard deviations above its own.
    """

    def __init__(self, confidence: float = 0.5, breadth: float = 1.5, size: int = 100) -> None:
        super().__init__(breadth, size)
        self.confidence = confidence

    def value(self, posterior: Posterior, pairs: Tensor) -> Tensor:
        weights, means, variances = posterior.mixture(pairs)
        mean, sd = weights @ means, mixture_variance(weights, means, variances).sqrt()
        beaten = torch.zeros(posterior.n, dtype=torch.bool)
        beaten[pairs[mean > self.confidence * sd, 1]] = True
        beaten[pairs[-mean > self.confidence * sd, 0]] = True
        alive = ~beaten[pairs].any(1)
        return torch.where(alive, sd, sd - sd.max()) if alive.any() else sd
