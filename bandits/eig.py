"""Expected information gain (BALD): ask the pair whose answer is expected to say most about the utilities.

Houlsby et al. (2011), "Bayesian active learning for classification and preference learning": the mutual
information between the vote and the utilities, H[E p] - E H[p], by quadrature over the difference. In bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from elicit.gaussian import NODE_WEIGHTS, NODES
from elicit.posterior import Posterior
from elicit.selection import Candidates, Pick, one_by_one
from elicit.types import Vote


class ExpectedInformationGain:
    """Maximises the information of a vote over all admissible pairs of the `size` least known items."""

    def __init__(self, size: int = 150) -> None:
        self.size = size

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        def choose(posterior: Posterior, candidates: Candidates) -> Pick | None:
            rows = torch.sort(posterior.sd(), descending=True, stable=True).indices[: self.size].sort().values
            pairs = candidates.near(rows)
            if not len(pairs):
                return None
            bits = information(*posterior.mixture(pairs))
            best = int(bits.argmax())
            return Pick(int(pairs[best, 0]), int(pairs[best, 1]), float(bits[best]), 1.0)

        return one_by_one(choose, posterior, candidates, k)


BITS = 1.4426950408889634


def information(weights: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """(P,) mutual information in bits between a vote and the utilities; weights (M,), mean and variance (M, P)."""
    p_mean = torch.zeros(mean.shape[1], dtype=mean.dtype)
    entropy = torch.zeros_like(p_mean)
    for w, m, s2 in zip(weights, mean, variance, strict=True):
        p = torch.sigmoid(m[:, None] + s2.sqrt()[:, None] * NODES)
        p_mean += w * (p @ NODE_WEIGHTS)
        entropy += w * (_binary_entropy(p) @ NODE_WEIGHTS)
    return (_binary_entropy(p_mean) - entropy).clamp_min(0)


def _binary_entropy(p: Tensor) -> Tensor:
    nats: Tensor = -torch.special.xlogy(p, p) - torch.special.xlogy(1 - p, 1 - p)
    return nats * BITS
