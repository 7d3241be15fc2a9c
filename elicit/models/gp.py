"""Gaussian-process utilities over features: a grid of kernels x amplitudes x item-specific shares.

Preferential Gaussian processes are due to Chu and Ghahramani (2005). Part of each prior's variance belongs to the
item alone, because real utilities have a part that no embedding sees. Where there are scores that should go up with
utility (an LLM judge's, last study's), part of it follows them, with a slope that is positive until votes say
otherwise. Where features come in groups, each group may be all that matters. Evidence decides between the priors.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor

from elicit.gaussian import GridPosterior
from elicit.kernels import FeatureCovariance, Kernel, Prior, feature_maps
from elicit.posterior import Knowledge
from elicit.types import BadInputError, Vote

FORMS = (("linear", 0, 1.0), ("linear", 1, 1.0), ("rbf", 0, 0.7), ("rbf", 0, 1.5))
"""Kernels of each group of features: their form, on the centred (0) or the whitened (1) features, at what scale."""
# People differ by about 2 logits across a pool; much more or less is possible but should take votes to believe.
AMPLITUDES = {1.4: 0.3, 2.0: 0.4, 2.8: 0.2, 4.0: 0.1}
OWN_SHARES = {0.1: 0.5, 0.5: 0.5}
TRUST = {0.0: 0.4, 0.25: 0.4, 0.6: 0.2}
"""Share of the variance that the scores explain; none is the way out where they mislead."""
SLOPE = 0.6
"""Expected slope on the scores over its root mean square: their sign is right three times in four."""
SINGLE_PRECISION_ABOVE = 1000


class GaussianProcess:
    """Utilities that are smooth in the features, plus a part of each item's own."""

    def init(self, n_items: int, known: Knowledge, device: str) -> GridPosterior:
        if known.features is None and known.scores is None:
            raise BadInputError("the model 'gp' needs features; use 'bradley_terry' for items that are ids only")
        dtype = torch.float32 if n_items > SINGLE_PRECISION_ABOVE else torch.float64
        kernels, maps, weights = library(known, dtype, device)
        trusts = {0.0: 1.0} if known.scores is None else TRUST
        priors = []
        for (k, weight), trust, amplitude, own in product(weights.items(), trusts, AMPLITUDES, OWN_SHARES):
            rest = 1 - trust
            shares = [0.0] * len(kernels)
            if known.scores is not None:
                shares[-1] = trust * (1 - SLOPE**2)
            if known.features is not None:
                shares[k] = rest * (1 - own)
                rest *= own
            log_weight = float(np.log(weight * trusts[trust] * AMPLITUDES[amplitude] * OWN_SHARES[own]))
            priors.append(Prior(tuple(shares), amplitude, rest, log_weight, SLOPE * trust**0.5))
        base = FeatureCovariance(maps, kernels, priors)
        mean = None
        if known.scores is not None:
            slopes = torch.tensor([p.amplitude * p.slope for p in priors], dtype=dtype, device=device)
            mean = slopes[:, None] * consensus(maps[-1])
        return GridPosterior.prior(base, [p.log_weight for p in priors], mean)

    def update(self, posterior: GridPosterior, votes: Sequence[Vote], rng: np.random.Generator) -> GridPosterior:
        return posterior.update(votes)


def library(known: Knowledge, dtype: torch.dtype, device: str) -> tuple[list[Kernel], list[Tensor], dict[int, float]]:
    """The kernels, the feature maps they are on, and the prior weight of each kernel of the features; the kernel of
    the scores comes last. All features together weigh as much as their groups, each by itself, do."""
    kernels: list[Kernel] = []
    maps: list[Tensor] = []
    weights: dict[int, float] = {}
    views = known.views()
    for i, view in enumerate(views):
        share = 1.0 if len(views) == 1 else 0.5 if i == 0 else 0.5 / (len(views) - 1)
        for form, which, scale in FORMS:
            weights[len(kernels)] = share / len(FORMS)
            kernels.append(Kernel(form, len(maps) + which, scale))
        maps += feature_maps(view, dtype, device)
    if known.scores is not None:
        weights = weights or {0: 1.0}
        kernels.append(Kernel("linear", len(maps)))
        maps.append(torch.as_tensor(known.scores - known.scores.mean(0), dtype=dtype, device=device))
    return kernels, maps, weights


def consensus(scores: Tensor) -> Tensor:
    """(N,) the mean of centred scores (N, k), at variance 1 over the pool; 0 where they are all the same."""
    mean = scores.mean(1)
    spread = mean.std(correction=0)
    return mean / spread if spread > 1e-9 else torch.zeros_like(mean)
