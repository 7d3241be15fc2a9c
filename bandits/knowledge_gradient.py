"""Knowledge gradient: ask the pair after whose answers the recommended item is expected to be best.

Frazier, Powell and Dayanik (2009), "The knowledge-gradient policy for correlated normal beliefs". One vote seldom
moves a recommendation, so the value of a pair is that of `horizon` votes on it (KG* and look-ahead: Frazier and Powell
2010), which are taken to resolve as much of f_a - f_b as their Fisher information E p (1 - p) says.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from elicit.inference.gaussian import NODE_WEIGHTS, NODES
from elicit.inference.posterior import Posterior
from elicit.selection import Candidates, Pick, argmax_pick, expected_improvement, greedy_batch, mixture_variance
from elicit.stats import gauss_hermite
from elicit.types import Vote

_Z, _W = gauss_hermite(7)


class KnowledgeGradient:
    """Maximises E max_i of the posterior mean after the votes, over the most promising pairs of a shortlist.

    horizon: imagined votes on the pair. most: how many pairs are looked at, those of the highest EUBO with doubled
    standard deviation. breadth, size: of the shortlist, as of EUBO.
    """

    def __init__(self, horizon: float = 3.0, breadth: float = 1.5, size: int = 60, most: int = 300) -> None:
        self.horizon, self.breadth, self.size, self.most = horizon, breadth, size, most

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        def choose(posterior: Posterior, candidates: Candidates) -> Pick | None:
            rows = posterior.shortlist(self.size, self.breadth)
            pairs = candidates.near(rows)
            if not len(pairs):
                return None
            weights, means, variances = posterior.mixture(pairs)
            d, s2 = weights @ means, mixture_variance(weights, means, variances)
            promise = posterior.mean()[pairs[:, 1]] + expected_improvement(d, 2 * s2.sqrt())
            best = torch.sort(promise, descending=True, stable=True).indices[: self.most]
            pairs, d, s2 = pairs[best], d[best], s2[best]
            p = torch.sigmoid(d[:, None] + s2.sqrt()[:, None] * NODES)
            information = self.horizon * s2 * ((p * (1 - p)) @ NODE_WEIGHTS)
            resolved = information / (1 + information)
            rows = torch.unique(torch.cat([rows, pairs.flatten()]))
            i, j = torch.triu_indices(len(rows), len(rows), 1)
            apart = torch.zeros(len(rows), len(rows), dtype=s2.dtype)
            apart[i, j] = apart[j, i] = mixture_variance(*posterior.mixture(rows[torch.stack([i, j], 1)]))
            a, b = torch.searchsorted(rows, pairs).unbind(1)
            # cov(f_i, f_a - f_b) but for a part that all items share, which moves no maximum on average.
            step = (apart[b] - apart[a]) / 2 * (resolved / s2).sqrt()[:, None]
            mean = posterior.mean()[rows]
            value = sum(w * (mean + z * step).max(1).values for z, w in zip(_Z, _W, strict=True))
            return argmax_pick(pairs, torch.as_tensor(value))

        return greedy_batch(choose, posterior, candidates, k)
