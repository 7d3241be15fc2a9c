"""Gaussian-process utilities over features: a grid of kernels x amplitudes x item-specific shares.

Preferential Gaussian processes are due to Chu and Ghahramani (2005). Part of each prior's variance belongs to the
item alone, because real utilities have a part that no embedding sees. Where there are scores that should go up with
utility (an LLM judge's, last study's), part of it follows them, with a slope that is positive until votes say
otherwise. Where features come in groups, each group may be all that matters. Evidence decides between the priors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor

from elicit.inference.basis import basis_of, diagonal_priors
from elicit.inference.gaussian import GridPosterior
from elicit.inference.interactions import on_inputs
from elicit.inference.kernels import FeatureCovariance, Kernel, Prior, feature_maps
from elicit.inference.low_rank import LowRankPosterior
from elicit.inference.posterior import Knowledge
from elicit.types import BadInputError, Vote

FORMS = (("linear", 1, 1.0), ("rbf", 0, 0.7), ("linear", 2, 1.0), ("rbf", 2, 0.7))
"""Kernels of each group of features: their form, on the centred (0) or the whitened (1) features or on their leading
principal components (2), at what scale."""
# People differ by about 2 logits across a pool; much more or less is possible but should take votes to believe.
AMPLITUDES = {1.4: 0.3, 2.0: 0.4, 2.8: 0.2, 4.0: 0.1}
OWN_SHARES = {0.1: 0.5, 0.5: 0.5}
TRUST = {0.0: 0.4, 0.25: 0.4, 0.6: 0.2}
"""Share of the variance that the scores explain; none is the way out where they mislead."""
SLOPE = 0.6
"""Expected slope on the scores over its root mean square: their sign is right three times in four."""
SINGLE_PRECISION_ABOVE = 500
RANK = 256


class GaussianProcess:
    """Utilities that are smooth in the features, plus a part of each item's own.

    exact: pools of more items are believed in coordinates of low rank, which cost the same whatever their number;
    there all features are one group, and items cannot be compared on inputs. forms: kernels of each group. own: share
    of the variance that is the item's alone -> its prior weight.
    """

    def __init__(
        self,
        exact: int = 4000,
        forms: Sequence[tuple[str, int, float]] = FORMS,
        own: Mapping[float, float] = OWN_SHARES,
    ) -> None:
        self.exact, self.forms, self.own = exact, forms, own

    def init(self, n_items: int, known: Knowledge, device: str) -> GridPosterior:
        if known.features is None and known.scores is None:
            raise BadInputError("the model 'gp' needs features; use 'bradley_terry' for items that are ids only")
        dtype = torch.float32 if n_items > SINGLE_PRECISION_ABOVE else torch.float64
        if n_items > self.exact:
            return self._low_rank(known, dtype, device)
        kernels: list[Kernel] = []
        maps: list[Tensor] = []
        weights: list[float] = []
        views = known.views()
        for i, view in enumerate(views):
            # All features together weigh as much as their groups, each by itself, do.
            share = 1.0 if len(views) == 1 else 0.5 if i == 0 else 0.5 / (len(views) - 1)
            weights += [share / len(self.forms)] * len(self.forms)
            kernels += [Kernel(form, len(maps) + which, scale) for form, which, scale in self.forms]
            maps += feature_maps(view, dtype, device)
        if known.scores is None:
            priors = grid(weights, 0, self.own)
            prior = GridPosterior.prior(FeatureCovariance(maps, kernels, priors), [p.log_weight for p in priors])
            return on_inputs(prior, known)
        priors = grid(weights, 1, self.own)
        scores = torch.as_tensor(known.scores, dtype=dtype, device=device)
        base = FeatureCovariance([*maps, scores], [*kernels, Kernel("linear", len(maps))], priors)
        mean = _slopes(priors).to(scores)[:, None] * (scores @ consensus(scores))
        return on_inputs(GridPosterior.prior(base, [p.log_weight for p in priors], mean), known)

    def _low_rank(self, known: Knowledge, dtype: torch.dtype, device: str) -> LowRankPosterior:
        features = known.scores if known.features is None else known.features
        assert features is not None
        basis = basis_of(features, RANK, device)
        kernels = [Kernel(form, which, scale) for form, which, scale in self.forms]
        weights = [1 / len(self.forms)] * len(self.forms)
        phi = basis.table(features, dtype)
        if known.scores is None:
            priors = grid(weights, 0, self.own)
            variances, own = diagonal_priors(basis, FeatureCovariance(basis.maps, kernels, priors))
            means = torch.zeros_like(variances)
        else:
            scored = grid(weights, 1, self.own)
            # The scores' kernel is diagonal in the scores themselves, so they are coordinates of their own.
            bare = [p._replace(shares=p.shares[:-1]) for p in scored]
            variances, own = diagonal_priors(basis, FeatureCovariance(basis.maps, kernels, bare))
            scores = torch.as_tensor(known.scores, dtype=dtype, device=device)
            k = scores.shape[1]
            of_scores = torch.tensor([[p.amplitude**2 * p.shares[-1] / k] * k for p in scored]).to(variances)
            slopes = _slopes(scored).to(variances)[:, None] * consensus(scores).to(variances)
            phi, variances = torch.cat([phi, scores], 1), torch.cat([variances, of_scores], 1)
            means = torch.cat([variances.new_zeros(len(scored), variances.shape[1] - k), slopes], 1)
            priors = scored
        return LowRankPosterior.of(phi, means, variances, own, [p.log_weight for p in priors])

    def update(self, posterior: GridPosterior, votes: Sequence[Vote], rng: np.random.Generator) -> GridPosterior:
        return posterior.update(votes)


def grid(weights: Sequence[float], scored: int, owns: Mapping[float, float]) -> list[Prior]:
    """Every kernel of the features, of prior `weights` (K,), with every amplitude, share and trust.

    Their shares have K + scored entries; the last is that of the scores' kernel where `scored` is 1, not 0.
    """
    trusts = TRUST if scored else {0.0: 1.0}
    priors = []
    for k, trust, amplitude, own in product(range(max(1, len(weights))), trusts, AMPLITUDES, owns):
        rest = 1 - trust
        shares = [0.0] * (len(weights) + scored)
        log_weight = float(np.log(trusts[trust] * AMPLITUDES[amplitude] * owns[own]))
        if weights:
            shares[k] = rest * (1 - own)
            rest *= own
            log_weight += float(np.log(weights[k]))
        if scored:
            shares[-1] = trust * (1 - SLOPE**2)
        priors.append(Prior(tuple(shares), amplitude, rest, log_weight, SLOPE * trust**0.5))
    return priors


def consensus(scores: Tensor) -> Tensor:
    """(k,) weights by which standardised scores (N, k) are averaged to variance 1 over the pool; 0 if they cancel."""
    spread = scores.mean(1).std(correction=0)
    k = scores.shape[1]
    return scores.new_full((k,), 1 / (k * float(spread)) if spread > 1e-9 else 0.0)


def _slopes(priors: Sequence[Prior]) -> Tensor:
    return torch.tensor([p.amplitude * p.slope for p in priors], dtype=torch.float64)
