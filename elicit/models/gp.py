"""Gaussian-process utilities over features: a grid of kernels x amplitudes x item-specific shares.

Preferential Gaussian processes are due to Chu and Ghahramani (2005). Part of each prior's variance belongs to the
item alone, because real utilities have a part that no embedding sees. Evidence decides between the priors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from elicit.basis import basis_of, diagonal_priors
from elicit.gaussian import GridPosterior
from elicit.kernels import FeatureCovariance, Kernel, Prior, feature_maps
from elicit.low_rank import LowRankPosterior
from elicit.types import BadInputError, Vote

KERNELS = (Kernel("linear", 0), Kernel("linear", 1), Kernel("rbf", 0, 0.7), Kernel("rbf", 0, 1.5))
# People differ by about 2 logits across a pool; much more or less is possible but should take votes to believe.
AMPLITUDES = {1.4: 0.3, 2.0: 0.4, 2.8: 0.2, 4.0: 0.1}
OWN_SHARES = {0.1: 0.5, 0.5: 0.5}
SINGLE_PRECISION_ABOVE = 1000
RANK = 256


class GaussianProcess:
    """Utilities that are smooth in the features, plus a part of each item's own.

    exact: pools of more items are believed in coordinates of low rank, which cost the same whatever their number.
    """

    def __init__(self, exact: int = 4000) -> None:
        self.exact = exact

    def init(self, n_items: int, features: np.ndarray | None, device: str) -> GridPosterior:
        if features is None:
            raise BadInputError("the model 'gp' needs features; use 'bradley_terry' for items that are ids only")
        dtype = torch.float32 if n_items > SINGLE_PRECISION_ABOVE else torch.float64
        priors = [
            Prior(k, amplitude, own, float(np.log(p / len(KERNELS) * q)))
            for k in range(len(KERNELS))
            for amplitude, p in AMPLITUDES.items()
            for own, q in OWN_SHARES.items()
        ]
        weights = [p.log_weight for p in priors]
        if n_items > self.exact:
            basis = basis_of(features, RANK, device)
            variances, own = diagonal_priors(basis, FeatureCovariance(basis.maps, KERNELS, priors))
            phi = basis.table(features, dtype)
            return LowRankPosterior.of(phi, torch.zeros_like(variances), variances, own, weights)
        base = FeatureCovariance(feature_maps(features, dtype, device), KERNELS, priors)
        return GridPosterior.prior(base, weights)

    def update(self, posterior: GridPosterior, votes: Sequence[Vote], rng: np.random.Generator) -> GridPosterior:
        return posterior.update(votes)
