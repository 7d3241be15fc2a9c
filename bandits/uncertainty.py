"""Uncertainty sampling: ask the pair whose answer is least sure, that is nearest to even.

Lewis and Gale (1994). It also asks what no vote can settle: two items known to be equally good.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from elicit.inference.posterior import Posterior
from elicit.selection import Acquisition


class UncertaintySampling(Acquisition):
    """Minimises |P(a beats b) - 1/2| over all admissible pairs of the `size` least known items.

    The probability is MacKay's (1992) approximation under each Gaussian: sigmoid(mean / sqrt(1 + pi variance / 8)).
    """

    def __init__(self, size: int = 150) -> None:
        super().__init__(math.inf, size)

    def value(self, posterior: Posterior, pairs: Tensor) -> Tensor:
        weights, mean, variance = posterior.mixture(pairs)
        p = weights @ torch.sigmoid(mean * (1 + torch.pi / 8 * variance).rsqrt())
        return -(p - 0.5).abs()
