"""Prior covariances of the grid of models: which items are alike, and by how much utilities vary.

Every kernel is centred on a set of anchor items and scaled so that utilities have unit variance across the pool;
an amplitude then is a prior standard deviation in logits. For small pools the kernels are tabled; above that, columns
and blocks are computed from feature maps when they are asked for, and no N x N matrix is ever formed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

ANCHORS = 1024
TABLE = 1024
LEADING = 16
"""Principal components in which a utility that is simple can be found with few votes."""


class Covariance(Protocol):
    """Prior covariance of M models over N items."""

    @property
    def models(self) -> int: ...

    @property
    def n(self) -> int: ...

    def only(self, models: Tensor) -> Covariance:
        """That of the chosen `models` (m,)."""
        ...

    def column(self, a: int, b: int, sign: int) -> Tensor:
        """(M, N) cov(f_i, f_a + sign f_b)."""
        ...

    def block(self, rows: Tensor, models: Tensor) -> Tensor:
        """(m, S, S) covariance of the distinct items in ascending `rows` (S,) under the chosen `models` (m,), fresh."""
        ...

    def pair_variance(self, pairs: Tensor, models: Tensor) -> Tensor:
        """(m, P) variance of f_a - f_b for pairs (P, 2)."""
        ...

    def diagonal(self) -> Tensor:
        """(M, N) variances."""
        ...

    def row_mean(self) -> Tensor:
        """(M, N) covariance of each item with the pool's mean."""
        ...


class Prior(NamedTuple):
    """One model of the grid: utilities ~ N(amplitude x slope x score, amplitude^2 (sum_k shares_k K_k + own I)).

    shares: (K,) share of the variance that each kernel of the library explains; own: the share that belongs to the
    item alone, which no feature sees; slope: how far utilities are expected to go up with the items' score;
    log_weight: its prior log weight.
    """

    shares: tuple[float, ...]
    amplitude: float
    own: float
    log_weight: float
    slope: float = 0.0


class Kernel(NamedTuple):
    """`linear` is the dot product of the features, `rbf` the squared exponential at `scale` x their typical distance,
    `relu` what networks of `scale` hidden layers of rectified linear units come to as they grow wide (the arc-cosine
    kernel of Cho and Saul 2009; Neal 1996).

    map: which feature map it is on.
    """

    form: str
    map: int
    scale: float = 1.0


class FeatureCovariance:
    """Covariances over items with features.

    maps: feature maps, each (N, d); kernels: the library; priors: the grid of models over it.
    """

    def __init__(self, maps: Sequence[Tensor], kernels: Sequence[Kernel], priors: Sequence[Prior]) -> None:
        self.n, self.models = len(maps[0]), len(priors)
        self._maps, self._kernels = list(maps), list(kernels)
        self._used_maps = {which: maps[which] for which in sorted({kernel.map for kernel in kernels})}
        like = maps[0]
        self._mix = torch.tensor([[p.amplitude**2 * s for s in p.shares] for p in priors]).to(like)  # (M, K)
        self._own = torch.tensor([[p.amplitude**2 * p.own] for p in priors]).to(like)
        self._norms = [(m * m).sum(1) for m in maps]
        step = max(1, self.n // ANCHORS)
        self._anchors = torch.arange(0, self.n, step, device=like.device)
        self._unit = [self._distance_unit(i) for i in range(len(maps))]
        self._offsets: list[Tensor] = []  # per kernel (N,): mean_j k(i, j) - half the overall mean
        self._scales: list[Tensor] = []
        for kernel in self._kernels:
            mean = torch.cat(
                [self._raw(kernel, part, self._anchors).mean(1) for part in torch.split(torch.arange(self.n), 4096)]
            )
            overall = mean[self._anchors].mean()
            self._offsets.append(mean - overall / 2)
            spread = (self._raw_diagonal(kernel)[self._anchors] - overall).mean()
            self._scales.append(1.0 / spread.clamp_min(1e-12) * (spread > 1e-9))
        self._table: Tensor | None = None
        if self.n <= TABLE:
            rows = torch.arange(self.n, device=like.device)
            self._table = torch.stack([self._kernel_block(k, rows) for k in range(len(kernels))])

    def _distance_unit(self, which: int) -> Tensor:
        rows = self._anchors
        x, norms = self._maps[which][rows], self._norms[which][rows]
        squared = (norms[:, None] + norms - 2 * x @ x.T).clamp_min(0)
        return squared.mean().clamp_min(1e-12)

    def _raw(self, kernel: Kernel, rows: Tensor, others: Tensor) -> Tensor:
        x, norms = self._maps[kernel.map], self._norms[kernel.map]
        return self._of(kernel, x[rows] @ x[others].T, norms[rows][:, None], norms[others])

    def _of(self, kernel: Kernel, dot: Tensor, norms: Tensor, others: Tensor) -> Tensor:
        """The kernel of items whose dot products and squared norms these are."""
        if kernel.form == "linear":
            return dot
        if kernel.form == "rbf":
            squared = (norms + others - 2 * dot).clamp_min(0)
            return torch.exp(-squared / (2 * kernel.scale**2 * self._unit[kernel.map]))
        size = (norms * others).sqrt().clamp_min(1e-12)
        cosine = (dot / size).clamp(-1, 1)
        for _ in range(int(kernel.scale)):
            angle = torch.arccos(cosine)
            cosine = ((1 - cosine * cosine).clamp_min(0).sqrt() + (torch.pi - angle) * cosine) / torch.pi
        return size * cosine

    def _raw_diagonal(self, kernel: Kernel) -> Tensor:
        norms = self._norms[kernel.map]
        return torch.ones_like(norms) if kernel.form == "rbf" else norms

    def _kernel_block(self, k: int, rows: Tensor) -> Tensor:
        offset = self._offsets[k][rows]
        return (self._raw(self._kernels[k], rows, rows) - offset[:, None] - offset) * self._scales[k]

    def _kernel_columns(self, a: int, b: int, sign: int) -> Tensor:
        """(K, N) k(i, a) + sign k(i, b) of each kernel."""
        if self._table is not None:
            return self._table[:, :, a] + sign * self._table[:, :, b]
        pair = torch.tensor([a, b], device=self._mix.device)
        dots = {which: x @ x[pair].T for which, x in self._used_maps.items()}
        columns = []
        for k, kernel in enumerate(self._kernels):
            norms = self._norms[kernel.map]
            raw = self._of(kernel, dots[kernel.map], norms[:, None], norms[pair])
            offset = self._offsets[k]
            centring = offset[a] + sign * offset[b] + (1 + sign) * offset
            columns.append((raw[:, 0] + sign * raw[:, 1] - centring) * self._scales[k])
        return torch.stack(columns)

    def only(self, models: Tensor) -> FeatureCovariance:
        chosen = copy.copy(self)
        chosen.models, chosen._mix, chosen._own = len(models), self._mix[models], self._own[models]
        return chosen

    def column(self, a: int, b: int, sign: int) -> Tensor:
        out = self._mix @ self._kernel_columns(a, b, sign)
        out[:, a] += self._own[:, 0]
        out[:, b] += sign * self._own[:, 0]
        return out

    def _mix_kernels(self, models: Tensor, of: Callable[[int], Tensor]) -> Tensor:
        """(m, ...) of each model, from what `of` gives for each kernel that one of them uses."""
        mix = self._mix[models]
        used = torch.nonzero((mix != 0).any(0))[:, 0]
        mixed: Tensor = torch.tensordot(mix[:, used], torch.stack([of(k) for k in used.tolist()]), 1)
        return mixed

    def block(self, rows: Tensor, models: Tensor) -> Tensor:
        table = self._table
        if table is not None:
            out = self._mix_kernels(models, lambda k: table[k][rows[:, None], rows])
        else:
            out = self._mix_kernels(models, lambda k: self._kernel_block(k, rows))
        out.diagonal(dim1=1, dim2=2).add_(self._own[models])
        return out

    def pair_variance(self, pairs: Tensor, models: Tensor) -> Tensor:
        parts = torch.split(pairs, 65536)
        squared = {
            which: torch.cat([(x[p[:, 0]] - x[p[:, 1]]).square().sum(1) for p in parts])
            for which, x in self._used_maps.items()
        }

        def of(k: int) -> Tensor:
            kernel = self._kernels[k]
            value = squared[kernel.map]
            if kernel.form != "linear":
                first, second = self._norms[kernel.map][pairs].unbind(1)
                between = self._of(kernel, (first + second - value) / 2, first, second)
                alone = self._raw_diagonal(kernel)[pairs].sum(1)
                value = (alone - 2 * between).clamp_min(0)
            return value * self._scales[k]

        return self._mix_kernels(models, of) + 2 * self._own[models]

    def diagonal(self) -> Tensor:
        def of(k: int) -> Tensor:
            return (self._raw_diagonal(self._kernels[k]) - 2 * self._offsets[k]).clamp_min(0) * self._scales[k]

        return self._mix_kernels(torch.arange(self.models, device=self._mix.device), of) + self._own

    def row_mean(self) -> Tensor:
        # The kernels are centred on the anchors: all items of a small pool, a fair sample of a large one.
        return (self._own / self.n).expand(-1, self.n)


@dataclass(frozen=True)
class DenseCovariance:
    """Covariances held as they are: matrix (M, N, N)."""

    matrix: Tensor

    @property
    def models(self) -> int:
        return len(self.matrix)

    @property
    def n(self) -> int:
        return self.matrix.shape[-1]

    def only(self, models: Tensor) -> DenseCovariance:
        return DenseCovariance(self.matrix[models])

    def column(self, a: int, b: int, sign: int) -> Tensor:
        return self.matrix[:, a] + sign * self.matrix[:, b]

    def block(self, rows: Tensor, models: Tensor) -> Tensor:
        if len(rows) == self.n:  # all of them, in their order
            return self.matrix[models]
        return self.matrix[models[:, None, None], rows[:, None], rows]

    def pair_variance(self, pairs: Tensor, models: Tensor) -> Tensor:
        a, b = pairs[:, 0], pairs[:, 1]
        m, own = models[:, None], self.matrix.diagonal(dim1=1, dim2=2)[models]
        return own[:, a] + own[:, b] - 2 * self.matrix[m, a, b]

    def diagonal(self) -> Tensor:
        return self.matrix.diagonal(dim1=1, dim2=2).clone()

    def row_mean(self) -> Tensor:
        return self.matrix.mean(2)


@dataclass(frozen=True)
class OwnCovariance:
    """Independent items: variance (M, N)."""

    variance: Tensor

    @property
    def models(self) -> int:
        return len(self.variance)

    @property
    def n(self) -> int:
        return self.variance.shape[1]

    def only(self, models: Tensor) -> OwnCovariance:
        return OwnCovariance(self.variance[models])

    def column(self, a: int, b: int, sign: int) -> Tensor:
        out = torch.zeros_like(self.variance)
        out[:, a] = self.variance[:, a]
        out[:, b] = sign * self.variance[:, b]
        return out

    def block(self, rows: Tensor, models: Tensor) -> Tensor:
        return torch.diag_embed(self.variance[models][:, rows])

    def pair_variance(self, pairs: Tensor, models: Tensor) -> Tensor:
        return self.variance[models][:, pairs].sum(2)

    def diagonal(self) -> Tensor:
        return self.variance.clone()

    def row_mean(self) -> Tensor:
        return self.variance / self.n


def feature_maps(features: np.ndarray, dtype: torch.dtype, device: str) -> list[Tensor]:
    """The centred features, the same whitened with a ridge of one mean eigenvalue, and their LEADING principal
    components; each (N, d')."""
    x = torch.as_tensor(features, dtype=torch.float64, device=device)
    x = x - x.mean(0)
    covariance = x.T @ x / max(1, len(x) - 1)
    values, vectors = torch.linalg.eigh(covariance)
    return [m.to(dtype) for m in maps_of(x, values.clamp_min(0), vectors)]


def maps_of(x: Tensor, values: Tensor, vectors: Tensor) -> list[Tensor]:
    """The feature maps of centred items x (S, d), from the variances (d,) and directions (d, d) of the pool."""
    return [x, x @ (vectors * (values + values.mean() + 1e-12).rsqrt()), x @ vectors[:, -LEADING:]]
