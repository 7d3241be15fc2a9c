"""What a selector sees and gives: candidate pairs in, picks out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from elicit.posterior import Posterior
    from elicit.types import Vote


class Pick(NamedTuple):
    """A chosen pair of rows, the selector's value of it, and the probability with which it was chosen."""

    a: int
    b: int
    score: float
    propensity: float


@dataclass(frozen=True)
class Candidates:
    """The pairs that may be asked: all pairs of `n` items, or the listed `pairs` (P, 2), less those in `avoid`.

    `avoid` holds pairs with the smaller row first.
    """

    n: int
    pairs: Tensor | None = None
    avoid: frozenset[tuple[int, int]] = field(default_factory=frozenset)

    def within(self, rows: Tensor) -> Tensor:
        """(P, 2) admissible pairs of rows: the listed ones, or else all whose two rows are both in `rows` (S,)."""
        pairs = self.pairs
        if pairs is None:
            i, j = torch.triu_indices(len(rows), len(rows), 1)
            pairs = torch.stack([rows[i], rows[j]], 1)
        if not self.avoid:
            return pairs
        codes = torch.tensor([a * self.n + b for a, b in sorted(self.avoid)])
        return pairs[~torch.isin(pairs.min(1).values * self.n + pairs.max(1).values, codes)]

    def near(self, rows: Tensor) -> Tensor:
        """The admissible pairs within `rows`, or all there are where these have none."""
        pairs = self.within(rows)
        return pairs if len(pairs) else self.within(torch.arange(self.n))

    def without(self, picks: Sequence[Pick]) -> Candidates:
        """The same candidates less what was picked."""
        return replace(self, avoid=self.avoid | {(min(p.a, p.b), max(p.a, p.b)) for p in picks})


class Selector(Protocol):
    """Chooses the next queries. One file in `bandits/`; its name is the file's name."""

    def select(
        self,
        posterior: Posterior,
        votes: Sequence[Vote],
        candidates: Candidates,
        k: int,
        rng: np.random.Generator,
    ) -> list[Pick]:
        """Up to k picks, none repeated; fewer only where fewer pairs are admissible."""
        ...


def highest(pairs: Tensor, values: Tensor) -> Pick:
    """The pair (P, 2) of the highest value (P,), chosen with certainty; the first of equal ones."""
    best = int(values.argmax())
    return Pick(int(pairs[best, 0]), int(pairs[best, 1]), float(values[best]), 1.0)


def spread(weights: Tensor, means: Tensor, variances: Tensor) -> Tensor:
    """(P,) variances of a mixture of M Gaussians: weights (M,), means and variances (M, P)."""
    variance: Tensor = weights @ (variances + means**2) - (weights @ means) ** 2
    return variance.clamp_min(1e-12)


def improvement(mean: Tensor, sd: Tensor) -> Tensor:
    """E max(0, x) of x ~ N(mean, sd^2), elementwise: the expected improvement."""
    z = mean / sd
    gain: Tensor = mean * torch.special.ndtr(z) + sd * torch.exp(-0.5 * z * z) / (2 * torch.pi) ** 0.5
    return gain


def among_least_known(posterior: Posterior, candidates: Candidates, size: int) -> Tensor:
    """(P, 2) admissible pairs: the listed ones, or all among the `size` items of the largest standard deviation."""
    if candidates.pairs is not None:
        return candidates.within(torch.arange(0))
    return candidates.near(posterior.least_known(size))


def one_by_one(
    choose: Callable[[Posterior, Candidates], Pick | None],
    posterior: Posterior,
    candidates: Candidates,
    k: int,
) -> list[Pick]:
    """Picks k pairs greedily: after each one the posterior is narrowed as if the vote had come, its mean unmoved."""
    picks: list[Pick] = []
    while len(picks) < k:
        pick = choose(posterior, candidates.without(picks))
        if pick is None:
            break
        picks.append(pick)
        if len(picks) < k:
            posterior = posterior.anticipate(pick.a, pick.b)
    return picks
