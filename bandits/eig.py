"""Expected information gain (BALD): ask the pair whose answer is expected to say most about the utilities.

Houlsby et al. (2011), "Bayesian active learning for classification and preference learning": the mutual
information between the vote and the utilities, H[E p] - E H[p], by quadrature over the difference. In bits.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from elicit.inference.gaussian import NODE_WEIGHTS, NODES
from elicit.inference.posterior import Posterior
from elicit.selection import Acquisition


class ExpectedInformationGain(Acquisition):
    """Maximises the information of a vote over all admissible pairs of the `size` least known items."""

    def __init__(self, size: int = 100) -> None:
        super().__init__(math.inf, size)

    def value(self, posterior: Posterior, pairs: Tensor) -> Tensor:
        return information(*posterior.mixture(pairs))


BITS = 1.4426950408889634


def information(weights: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """(P,) mutual information in bits between a vote and the utilities; weights (M,), mean and variance (M, P)."""
    p_mean = torch.zeros(mean.shape[1], dtype=mean.dtype)
    nats = torch.zeros_like(p_mean)
    for w, m, s2 in zip(weights, mean, variance, strict=True):
        x = m[:, None] + s2.sqrt()[:, None] * NODES
        p = torch.sigmoid(x)
        p_mean += w * (p @ NODE_WEIGHTS)
        # The entropy of a vote with logit x is log(1 + e^x) - x p.
        nats += w * ((torch.nn.functional.softplus(x) - x * p) @ NODE_WEIGHTS)
    unsure = -torch.special.xlogy(p_mean, p_mean) - torch.special.xlogy(1 - p_mean, 1 - p_mean)
    bits: Tensor = ((unsure - nats) * BITS).clamp_min(0)
    return bits
