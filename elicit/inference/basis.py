"""Coordinates of the features: a few hundred numbers an item in which every prior of the grid is nearly diagonal.

The leading coordinates are the principal components of the features. They diagonalise the linear kernels, whitened or
not, and very nearly the smooth kernels too: for 384-dimensional text embeddings 256 of them hold as much of a squared
exponential's variance as its own 256 leading eigenfunctions do. What rank is left, where features are few, goes to
functions that are not linear: the leading eigenfunctions of a squared exponential on anchor items (Nystrom coordinates;
Williams and Seeger 2001).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elicit.inference.kernels import ANCHORS, Covariance, maps_of
from elicit.randomness import stream

CHUNK_ROWS = 1 << 14
AXES = 24
"""Along which a table sees what votes have told of each item."""
WIDTH = 0.7
"""Of the squared exponential behind the coordinates that are not linear, in typical distances."""


@dataclass(frozen=True)
class Basis:
    """From features (S, d) to coordinates (S, r).

    mean (d,), linear (d, r1): the principal part, of unit variance. anchors (A, d) centred, weights (A, r2), offset
    (r2,): the part that is not linear, centred too. maps: the anchors' feature maps, for the kernels.
    """

    mean: Tensor
    linear: Tensor
    anchors: Tensor
    weights: Tensor
    offset: Tensor
    maps: list[Tensor]

    def at(self, x: Tensor) -> Tensor:
        """(S, r) coordinates of items with features x (S, d)."""
        return self._of(x - self.mean.to(x))

    def _of(self, x: Tensor) -> Tensor:
        """(S, r) coordinates of centred items x (S, d)."""
        principal = x @ self.linear.to(x)
        if not self.weights.shape[1]:
            return principal
        bent = _squared_exponential(x, self.anchors.to(x)) @ self.weights.to(x) - self.offset.to(x)
        return torch.cat([principal, bent], 1)

    def table(self, features: NDArray[np.floating], dtype: torch.dtype) -> Tensor:
        """(N, r) coordinates of all items with features (N, d)."""
        rank = self.linear.shape[1] + self.weights.shape[1]
        out = torch.empty(len(features), rank, dtype=dtype, device=self.mean.device)
        mean = self.mean.to(dtype)
        for part, x in _parts(features, dtype, out.device):
            out[part] = self._of(x.sub_(mean))
        return out


@dataclass(frozen=True)
class BasisTable:
    """What is known of the items before any vote.

    phi: (N, r) coordinates; variance: (r,) of their weights, averaged over the grid's priors; prior: (N,) the variance
    that gives each item; mean, square: (r,) over the items.
    """

    phi: Tensor
    variance: Tensor
    prior: Tensor
    mean: Tensor
    square: Tensor

    @staticmethod
    def of(phi: Tensor, variance: Tensor) -> BasisTable:
        """Of coordinates (N, r) whose weights have these variances (r,)."""
        prior, square, total = phi.new_empty(len(phi)), torch.zeros_like(variance), torch.zeros_like(variance)
        squared, wide = phi.new_empty(phi[:CHUNK_ROWS].shape), variance.new_empty(phi[:CHUNK_ROWS].shape)
        for part, out in zip(torch.split(phi, CHUNK_ROWS), torch.split(prior, CHUNK_ROWS), strict=True):
            s, w = squared[: len(part)], wide[: len(part)]
            total += w.copy_(part).sum(0)
            torch.square(part, out=s)
            square += w.copy_(s).sum(0)
            out.copy_(s @ variance.to(phi))
        return BasisTable(phi, variance, prior, total / len(phi), square / len(phi))

    def remaining_share(self, variance: Tensor) -> Tensor:
        """() the share of the prior variance that is left, over the items, where the weights have `variance` (r,)."""
        whole = self.prior.mean(dtype=torch.float64).clamp_min(1e-12)
        return variance @ self.square / whole

    def variance_under(self, covariance: Tensor) -> Tensor:
        """(N,) nearly the variance that weights of this covariance (r, r) give each item: the prior's, shrunk alike
        along all axes but the AXES along which votes have told most more or less than that."""
        share = self.remaining_share(covariance.diagonal())
        values, axes = torch.linalg.eigh(covariance - share * torch.diag(self.variance))
        most = torch.topk(values.abs(), min(AXES, len(values))).indices
        values, axes = values[most].to(self.phi), axes[:, most].to(self.phi)
        variance = torch.cat([(part @ axes).square_() @ values for part in torch.split(self.phi, CHUNK_ROWS)])
        return variance.add_(self.prior * share.to(variance))


def basis_of(features: NDArray[np.floating], rank: int, device: str) -> Basis:
    """The basis of at most `rank` coordinates for items with features (N, d)."""
    n = len(features)
    mean, rows = _mean_and_anchors(features, device)
    values, vectors = _principal_axes(features, mean)
    x = torch.as_tensor(features[rows.cpu().numpy()], dtype=torch.float64, device=device) - mean
    values = values.clamp_min(0)
    principal = torch.nonzero(values > 1e-10 * values.max().clamp_min(1e-300))[:, 0].flip(0)[: min(rank, n - 1)]
    linear = vectors[:, principal] * values[principal].rsqrt()
    n_more = min(rank, len(rows) - 1) - len(principal)
    weights, offset = x.new_zeros(len(rows), 0), x.new_zeros(0)
    if n_more > 0 and len(principal):
        k = _squared_exponential(x, x)
        centre = k - k.mean(0)
        size, axes = torch.linalg.eigh(centre - centre.mean(1, keepdim=True))
        some = torch.nonzero(size > 1e-8 * len(rows))[:, 0].flip(0)[:n_more]
        # Of unit variance over the anchors, as the principal ones are over the pool.
        weights = axes[:, some] / size[some] * len(rows) ** 0.5
        offset = k.mean(0) @ weights
    return Basis(mean, linear, x, weights, offset, maps_of(x, values, vectors))


def diagonal_priors(basis: Basis, prior: Covariance) -> tuple[Tensor, Tensor]:
    """The diagonal Gaussian priors over the coordinates nearest to M prior covariances of the anchors.

    Returns variances (M, r) and, in own (M,), the variance the coordinates cannot see, which belongs to the item
    alone. Least squares over the covariances between different anchors: a variance that no two items share must not
    leak into the coordinates.
    """
    phi = basis.at(basis.anchors + basis.mean)
    gram = phi.T @ phi
    square = phi * phi
    normal = gram * gram - square.T @ square
    normal.diagonal().add_(1e-9 * normal.diagonal().mean())
    everyone = torch.arange(len(phi), device=phi.device)
    variances, own = [], []
    for model in torch.split(torch.arange(prior.models, device=phi.device), 1):
        k = prior.block(everyone, model)[0].to(phi)
        total = k.diagonal()
        across = ((phi.T @ k).T * phi).sum(0) - (square * total[:, None]).sum(0)
        variance = _nonnegative(normal, across)
        shared = float((square @ variance).mean())
        whole = float(total.mean())
        variances.append(variance * min(1.0, whole / max(shared, 1e-300)))
        own.append(max(whole - shared, 1e-4 * whole))
    return torch.stack(variances), torch.tensor(own).to(phi)


def _nonnegative(normal: Tensor, right: Tensor) -> Tensor:
    """(r,) the solution of normal x = right, coordinates that would be negative left out one round after another."""
    kept = torch.arange(len(right), device=right.device)
    while True:
        x = torch.linalg.solve(normal[kept[:, None], kept], right[kept])
        if (x >= 0).all():
            return torch.zeros_like(right).index_copy(0, kept, x)
        kept = kept[x > 0]


def _squared_exponential(x: Tensor, anchors: Tensor) -> Tensor:
    norms = (anchors * anchors).sum(1)
    # Mean squared distance between two anchors, which are centred but for their sample's luck.
    unit = (2 * (norms.mean() - anchors.mean(0).square().sum())).clamp_min(1e-12)
    squared = ((x * x).sum(1)[:, None] + norms - 2 * x @ anchors.T).clamp_min(0)
    return torch.exp(-squared / (2 * WIDTH**2 * unit))


def _parts(features: NDArray[np.floating], dtype: torch.dtype, device: torch.device) -> Iterator[tuple[slice, Tensor]]:
    """CHUNK_ROWS of the features (N, d) after another: which rows, and they themselves, in a buffer that all chunks
    share, because fresh memory costs more than what is computed in it."""
    n, d = features.shape
    buffer = torch.empty(min(n, CHUNK_ROWS), d, dtype=dtype, device=device)
    for start in range(0, n, CHUNK_ROWS):
        part = slice(start, min(n, start + CHUNK_ROWS))
        yield part, buffer[: part.stop - start].copy_(torch.as_tensor(features[part]))


def _mean_and_anchors(features: NDArray[np.floating], device: str) -> tuple[Tensor, Tensor]:
    """Mean (d,) of the features, and (A,) rows spread evenly along a random direction, so that they do not depend on
    the order of the items."""
    n, d = features.shape
    direction = torch.as_tensor(stream(0, "anchors").standard_normal(d), device=device)
    total, along = torch.zeros_like(direction), direction.new_empty(n)
    for part, x in _parts(features, torch.float64, direction.device):
        total += x.sum(0)
        along[part] = x @ direction
    count = min(n, ANCHORS)
    ranks = ((torch.arange(count, device=direction.device) + 0.5) * n / count).long()
    return total / n, torch.sort(torch.sort(along, stable=True).indices[ranks]).values


def _principal_axes(features: NDArray[np.floating], mean: Tensor) -> tuple[Tensor, Tensor]:
    """Variances ascending (d,) and directions (d, d) of the principal components of features with this mean (d,)."""
    n, d = features.shape
    covariance = mean.new_zeros(d, d)
    dtype = torch.as_tensor(features[:0]).dtype
    centre = mean.to(dtype)
    for _, x in _parts(features, dtype, mean.device):
        x.sub_(centre)
        covariance += (x.T @ x).double()
    values, vectors = torch.linalg.eigh(covariance / max(1, n - 1))
    return values, vectors
