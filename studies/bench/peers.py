"""Peers, run in the same process: what a competent user would reach for instead of the engine.

Both choose by the expected utility of the better one of the pair (EUBO; Lin et al. 2022) over the joint posterior of
a candidate set; what differs is the utility model. Both compute on the CPU in double precision.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elicit.randomness import stream

CANDIDATES = 256
BREADTH = 1.5
REFIT = 10
DIMENSIONS = 16


class PeerPair(NamedTuple):
    """Rows to compare."""

    a: int
    b: int


def eubo_pair(mean: Tensor, covariance: Tensor) -> tuple[int, int]:
    """The places i < j that maximise E max(f_i, f_j) under a joint Gaussian: mean (S,), covariance (S, S)."""
    i, j = torch.triu_indices(len(mean), len(mean), 1)
    own = covariance.diagonal()
    d = mean[i] - mean[j]
    s = (own[i] + own[j] - 2 * covariance[i, j]).clamp_min(1e-12).sqrt()
    z = d / s
    value = mean[j] + d * torch.special.ndtr(z) + s * torch.exp(-0.5 * z * z) / (2 * torch.pi) ** 0.5
    k = int(value.argmax())
    return int(i[k]), int(j[k])


def shortlist(mean: Tensor, variance: Tensor) -> Tensor:
    """At most CANDIDATES rows, those of the highest mean + 1.5 sd; (S,) in ascending order."""
    bound = mean + BREADTH * variance.clamp_min(0).sqrt()
    return torch.sort(bound, descending=True, stable=True).indices[:CANDIDATES].sort().values


def unit_box(features: NDArray[np.float64]) -> Tensor:
    """The first DIMENSIONS principal components of features (N, d), each scaled to between 0 and 1."""
    X = torch.as_tensor(features - features.mean(0))
    left, values, _ = torch.linalg.svd(X, full_matrices=False)
    Z = left[:, :DIMENSIONS] * values[:DIMENSIONS]
    spread = (Z.max(0).values - Z.min(0).values).clamp_min(1e-9)
    scaled: Tensor = (Z - Z.min(0).values) / spread
    return scaled


class LinearEubo:
    """A Bayesian linear model: u = w'x, w ~ N(0, s^2 I), Bradley-Terry votes, Laplace posterior over w.

    features: (N, d), centred and scaled here to a mean square norm of 1, so that s is the spread of the utilities over
    the pool; ids only are N unit vectors. s is the one of AMPLITUDES with the highest Laplace evidence, chosen again
    every 10 votes.
    """

    AMPLITUDES = (0.5, 1.0, 2.0, 4.0, 8.0)

    def __init__(self, features: NDArray[np.float64], seed: int = 0) -> None:
        X = torch.as_tensor(features - features.mean(0))
        left, values, _ = torch.linalg.svd(X, full_matrices=False)
        nonzero = values > 1e-9 * values.max().clamp_min(1e-30)
        Z = left[:, nonzero] * values[nonzero]
        self._Z = Z / Z.square().sum(1).mean().clamp_min(1e-30).sqrt()
        self._D = self._Z.new_zeros(0, self._Z.shape[1])  # winner minus loser, (T, r)
        self._w = self._Z.new_zeros(self._Z.shape[1])
        self._s = 2.0
        self._seed = seed
        self._root = self._fit(self._s)[1]

    def ask(self) -> PeerPair:
        """The pair with the highest EUBO; the first one at random."""
        if not len(self._D):
            a, b = stream(self._seed, "peer").choice(len(self._Z), 2, replace=False)
            return PeerPair(int(a), int(b))
        mean = self._Z @ self._w
        rows = shortlist(mean, self._whiten(self._Z).square().sum(0)) if len(mean) > CANDIDATES else None
        chosen = self._Z if rows is None else self._Z[rows]
        half = self._whiten(chosen)
        i, j = eubo_pair(chosen @ self._w, half.T @ half)
        return PeerPair(i, j) if rows is None else PeerPair(int(rows[i]), int(rows[j]))

    def tell(self, a: int, b: int, outcome: str) -> None:
        """Learn one vote and find the posterior anew, from the mode before."""
        sign = 1.0 if outcome == "a" else -1.0
        self._D = torch.cat([self._D, sign * (self._Z[a] - self._Z[b])[None]])
        if len(self._D) % REFIT == 0:
            fits = {s: self._fit(s) for s in self.AMPLITUDES}
            self._s = max(fits, key=lambda s: fits[s][2])
            self._w, self._root, _ = fits[self._s]
        else:
            self._w, self._root, _ = self._fit(self._s)

    def best(self) -> int:
        """The row of the highest posterior mean."""
        return int((self._Z @ self._w).argmax())

    def _whiten(self, Z: Tensor) -> Tensor:
        """L^-1 Z' (r, S), whose columns' inner products are the posterior covariance."""
        scaled: Tensor = torch.linalg.solve_triangular(self._root, Z.T, upper=False)
        return scaled

    def _fit(self, s: float) -> tuple[Tensor, Tensor, float]:
        """Mode (r,), Cholesky factor of the precision there (r, r), Laplace log evidence, for prior deviation s."""
        w, D = self._w, self._D
        identity = torch.eye(len(w), dtype=w.dtype)
        value = self._log_joint(w, s)
        for _ in range(50):
            p = torch.sigmoid(-(D @ w))
            precision = (D.T * (p * (1 - p))) @ D + identity / s**2
            root = torch.linalg.cholesky(precision)
            step = torch.cholesky_solve((D.T @ p - w / s**2)[:, None], root)[:, 0]
            size = 1.0
            while (new := self._log_joint(w + size * step, s)) < value and size > 1e-4:
                size /= 2
            if new - value < 1e-9:
                break
            w, value = w + size * step, new
        evidence = value - len(w) * float(np.log(s)) - float(root.diagonal().log().sum())
        return w, root, evidence

    def _log_joint(self, w: Tensor, s: float) -> float:
        return float(torch.nn.functional.logsigmoid(self._D @ w).sum() - 0.5 * (w @ w) / s**2)


class PairwiseGpEubo:
    """BoTorch's PairwiseGP: the features' first 16 principal components, an RBF kernel with BoTorch's
    dimension-scaled length-scale prior, Laplace posterior anew after every vote, hyperparameters every 10 votes.

    features: (N, d).
    """

    def __init__(self, features: NDArray[np.float64], seed: int = 0) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the libraries say of each other while they load
            from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
            from gpytorch.kernels import ScaleKernel

        self._Z = unit_box(features)
        base = get_covar_module_with_dim_scaled_prior(ard_num_dims=self._Z.shape[1], use_rbf_kernel=True)
        self._kernel = ScaleKernel(base).to(self._Z)
        self._place: dict[int, int] = {}  # row -> its place among the rows compared so far
        self._votes: list[tuple[int, int]] = []  # places, winner first
        self._seed = seed
        self._mean = self._Z.new_zeros(len(self._Z))
        self._model: Any = None

    def ask(self) -> PeerPair:
        """The pair with the highest EUBO; the first one at random."""
        if self._model is None:
            a, b = stream(self._seed, "peer").choice(len(self._Z), 2, replace=False)
            return PeerPair(int(a), int(b))
        rows = torch.arange(len(self._Z))
        if len(rows) > CANDIDATES:
            rows = shortlist(self._mean, self._variance)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            belief = self._model.posterior(self._Z[rows])
            i, j = eubo_pair(belief.mean[:, 0], belief.distribution.covariance_matrix)
        return PeerPair(int(rows[i]), int(rows[j]))

    def tell(self, a: int, b: int, outcome: str) -> None:
        """Learn one vote."""
        from botorch.exceptions.errors import ModelFittingError
        from botorch.fit import fit_gpytorch_mll
        from botorch.models.pairwise_gp import PairwiseGP, PairwiseLaplaceMarginalLogLikelihood

        winner, loser = (a, b) if outcome == "a" else (b, a)
        places = [self._place.setdefault(row, len(self._place)) for row in (winner, loser)]
        self._votes.append((places[0], places[1]))
        points = self._Z[torch.tensor(list(self._place))]
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            torch.manual_seed(self._seed)
            model = PairwiseGP(points, torch.tensor(self._votes), covar_module=self._kernel)
            if len(self._votes) % REFIT == 0:
                before = {k: v.clone() for k, v in self._kernel.state_dict().items()}
                try:
                    fit_gpytorch_mll(PairwiseLaplaceMarginalLogLikelihood(model.likelihood, model))
                except ModelFittingError:
                    self._kernel.load_state_dict(before)
                    model = PairwiseGP(points, torch.tensor(self._votes), covar_module=self._kernel)
            model.eval()
            with torch.no_grad():
                self._mean, self._variance = self._marginals(model)
        self._model = model

    def best(self) -> int:
        """The row of the highest posterior mean."""
        return int(self._mean.argmax())

    def _marginals(self, model: Any) -> tuple[Tensor, Tensor]:
        """Posterior means and variances of all items, (N,) each, in blocks."""
        means, variances = [], []
        for part in torch.split(self._Z, 512):
            belief = model.posterior(part)
            means.append(belief.mean[:, 0])
            variances.append(belief.variance[:, 0])
        return torch.cat(means), torch.cat(variances)
