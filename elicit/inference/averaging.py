"""Several posteriors as one belief, each weighted by how well it has foretold the votes (Bayesian model averaging)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from elicit.inference.gaussian import GridPosterior
from elicit.inference.posterior import Difference, Mixture, Transitive

SHORT = 1e-3
"""A part of less weight is not asked."""


@dataclass(frozen=True)
class AveragedPosterior(Transitive):
    """Belief that is the mixture of the `parts`' beliefs."""

    parts: tuple[GridPosterior, ...]

    @property
    def n(self) -> int:
        return self.parts[0].n

    @property
    def weights(self) -> Tensor:
        """(P,) float64, sums to 1."""
        return torch.softmax(torch.stack([part.log_evidence for part in self.parts]), 0)

    def without_negligible_parts(self) -> Self:
        """The same belief, so that nothing more is spent on parts that the votes have ruled out."""
        return replace(self, parts=tuple(part for _, part in self._weighted_parts()))

    def _weighted_parts(self) -> list[tuple[float, GridPosterior]]:
        w = self.weights
        w = torch.where(w < SHORT, 0.0, w)
        w = w / w.sum()
        return [(float(x), part) for x, part in zip(w, self.parts, strict=True) if x > 0]

    def _total(self, of: Callable[[GridPosterior], Tensor]) -> Tensor:
        terms = [w * of(part) for w, part in self._weighted_parts()]
        return torch.stack(terms).sum(0)

    def mean(self) -> Tensor:
        return self._total(lambda part: part.mean())

    def sd(self, *, centred: bool = False) -> Tensor:
        weighted_parts = self._weighted_parts()
        means = [part.mean() for _, part in weighted_parts]
        if centred:
            means = [m - m.mean() for m in means]
        mean = torch.stack([w * m for (w, _), m in zip(weighted_parts, means, strict=True)]).sum(0)
        terms = [
            w * (part.sd(centred=centred) ** 2 + (m - mean) ** 2)
            for (w, part), m in zip(weighted_parts, means, strict=True)
        ]
        return torch.stack(terms).sum(0).sqrt()

    def difference(self, pairs: Tensor) -> Difference:
        differences = [(w, part.difference(pairs)) for w, part in self._weighted_parts()]
        mean = torch.stack([w * d.mean for w, d in differences]).sum(0)
        second = torch.stack([w * (d.variance + d.mean**2) for w, d in differences]).sum(0)
        return Difference(mean, second - mean**2, torch.stack([w * d.probability for w, d in differences]).sum(0))

    def mixture(self, pairs: Tensor) -> Mixture:
        mixtures = [(w, part.mixture(pairs)) for w, part in self._weighted_parts()]
        return Mixture(
            torch.cat([w * m.weights for w, m in mixtures]),
            torch.cat([m.mean for _, m in mixtures]),
            torch.cat([m.variance for _, m in mixtures]),
        )

    def sample(self, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        weighted_parts = self._weighted_parts()
        counts = rng.multinomial(n, [w for w, _ in weighted_parts]).tolist()
        draws = [part.sample(k, rng, rows) for k, (_, part) in zip(counts, weighted_parts, strict=True) if k]
        return torch.cat(draws)[torch.as_tensor(rng.permutation(n))]

    def shortlist(self, size: int, breadth: float) -> Tensor:
        weighted_parts = self._weighted_parts()
        if len(weighted_parts) == 1:
            return weighted_parts[0][1].shortlist(size, breadth)
        if size >= self.n:
            return torch.arange(self.n)
        mean = self.mean()
        bound = mean + breadth * self.sd()
        bound[mean.argmax()] = torch.inf
        return torch.sort(bound, descending=True, stable=True).indices[:size].sort().values

    def fantasize(self, a: int, b: int) -> Self:
        return replace(self, parts=tuple(part.fantasize(a, b) for part in self.parts))
