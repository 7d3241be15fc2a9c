"""Gaussian utilities in function space under a grid of priors, updated by one-dimensional moment matching.

A vote only speaks of x = f_a - f_b, which is Gaussian under each model of the grid. The exact mean and variance of
x after the vote come from one-dimensional quadrature, and are carried to all items along c = cov(f, x): assumed
density filtering (Minka 2001; for pairwise comparisons, Herbrich et al. 2006). The running predictive probability
of the votes is each model's evidence, which weights the grid.

The covariance is base - sum_t beta_t^2 c_t c_t'. A column c depends on the pair alone and not on the answer, so all
answers to one question share it: looking ahead over every possible answer costs one column.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from elicit.inference.columns import CHUNK, Columns
from elicit.inference.kernels import Covariance, DenseCovariance
from elicit.inference.noise import Noise
from elicit.inference.outcomes import chance, likelihood
from elicit.inference.posterior import Difference, Mixture, Transitive
from elicit.stats import gauss_hermite
from elicit.types import ChoiceOutcome, Vote

DENSE = 1 << 25
"""Numbers that dense covariances may hold."""
MIN_WEIGHT = 1e-4
KEPT = 0.999
"""Share of the weight whose models outlive a fold."""
SAMPLED_MODELS = 8
DECIDED = (ChoiceOutcome("a"), ChoiceOutcome("b"), ChoiceOutcome("tie"))
"""The outcomes that speak of the difference; they share all probability."""

NODES, NODE_WEIGHTS = (torch.tensor(part, dtype=torch.float64) for part in gauss_hermite(21))


@dataclass(frozen=True)
class GridPosterior(Transitive):
    """Belief under M weighted models. mu, v: (M, N) means and variances; beta2: (M, T) squared column weights;
    evidence: (M,) log weights; noise: what is known of the voters."""

    base: Covariance
    columns: Columns
    beta2: Tensor
    mu: Tensor
    v: Tensor
    evidence: Tensor
    noise: Noise = field(default_factory=Noise)
    lineage: bytes = b""

    @staticmethod
    def prior(base: Covariance, log_weights: Sequence[float], mean: Tensor | None = None) -> GridPosterior:
        """The belief before any vote; mean: (M, N), or None for 0."""
        v = base.diagonal()
        evidence = torch.tensor(log_weights, dtype=torch.float64)
        mu = torch.zeros_like(v) if mean is None else mean
        return GridPosterior(base, Columns(), v.new_zeros(base.models, 0), mu, v, evidence)

    @property
    def n(self) -> int:
        return self.mu.shape[1]

    @property
    def weights(self) -> Tensor:
        """(M,) float64 on CPU, sums to 1."""
        return torch.softmax(self.evidence, 0)

    @property
    def log_evidence(self) -> Tensor:
        """() float64: log probability of the votes so far."""
        return torch.logsumexp(self.evidence, 0)

    # -- learning ---------------------------------------------------------------------------------------------

    def update(self, votes: Iterable[Vote]) -> Self:
        """The belief after `votes`, one at a time in their order; skips say nothing."""
        posterior = self
        for vote in votes:
            posterior = posterior._after(vote)
        return posterior

    def fantasize(self, a: int, b: int) -> Self:
        """The belief narrowed as by a vote on (a, b) that is still to come, its mean unmoved."""
        parent, c, d, s2 = self._prepare_column(a, b, -1, None)
        shrink = torch.zeros_like(s2)
        for outcome in DECIDED:
            site, _ = parent._site(outcome, a, b, d, s2, self.noise.lapse_rate())
            shrink += site.z * _shrink(site.variance, s2)
        return parent._reduce_variance(c, shrink, f"?{a},{b}".encode())

    def _after(self, vote: Vote, compact: bool = True) -> Self:
        outcome = vote.outcome
        if outcome.choice == "skip":
            return self
        sign = 1 if outcome.choice == "both_bad" else -1
        parent, c, d, s2 = self._prepare_column(vote.a, vote.b, sign, vote.inputs)
        site, changed = parent._site(outcome, vote.a, vote.b, d, s2, self.noise.lapse_rate(vote.judge, vote.weight))
        shrink = _shrink(site.variance, s2)
        name = f"{vote.a},{vote.b},{vote.judge},{outcome.choice},{outcome.strength},{vote.weight},{vote.inputs}"
        child = parent._reduce_variance(c, shrink, name.encode())
        step = ((site.mean - d) / s2).to(c)
        child = replace(
            child,
            mu=parent.mu + c * step[:, None],
            evidence=parent.evidence + site.z.log(),
            noise=self.noise.after(
                outcome, vote.judge, float(parent.weights @ site.clean), chance(outcome, self.noise)
            ),
            **changed,
        )
        return child._compact() if compact else child

    def _prepare_column(
        self, a: int, b: int, sign: int, inputs: tuple[int, ...] | None
    ) -> tuple[Self, Tensor, Tensor, Tensor]:
        """This posterior with the column of x in its store, that column (M, N), and the mean and variance of x (M,).

        inputs: of the vote that speaks of x; None where they are not known yet.
        """
        parent, c = self._column(a, b, sign)
        return parent, c, *parent._moments(c, a, b, sign)

    def _column(self, a: int, b: int, sign: int) -> tuple[Self, Tensor]:
        """This posterior with the column cov(f, x) in its store, and that column (M, N).

        x is f_a - f_b for sign -1 and the mean of the two for sign 1.
        """
        t = self.beta2.shape[1]
        # The column is stored with the smaller row first, so that (b, a) shares it but for the sign.
        low, high = min(a, b), max(a, b)
        name = self.lineage + f"|{low},{high},{sign}".encode()
        c = self.columns.find(t, name)
        parent = self
        if c is None:
            c = self.base.column(low, high, sign)
            if t:
                ends = torch.tensor([low, high], device=c.device)
                past = self.columns.at(ends, t, torch.arange(self.base.models, device=c.device))
                c = c - self.columns.combine(self.beta2 * (past[:, :, 0] + sign * past[:, :, 1]))
            if sign == 1:
                c = c / 2
            parent = replace(self, columns=self.columns.put(t, name, c))
        return parent, c if a == low or sign == 1 else -c

    def _moments(self, c: Tensor, a: int, b: int, sign: int) -> tuple[Tensor, Tensor]:
        """Mean and variance of x, (M,) float64 on CPU."""
        d = (self.mu[:, a] + sign * self.mu[:, b]).double().cpu()
        s2 = (c[:, a] + sign * c[:, b]).double().cpu()
        return (d, s2.clamp_min(1e-10)) if sign == -1 else (d / 2, (s2 / 2).clamp_min(1e-10))

    def _site(
        self, outcome: ChoiceOutcome, a: int, b: int, d: Tensor, s2: Tensor, lapse_rate: float
    ) -> tuple[Site, dict[str, Any]]:
        """What an outcome does to x ~ N(d, s2), each (M,), and what it changes of the belief besides utilities."""
        return moments_after(outcome, d, s2, self.noise, lapse_rate), {}

    def _reduce_variance(self, c: Tensor, shrink: Tensor, name: bytes) -> Self:
        beta2 = shrink.to(c)
        v = (self.v - beta2[:, None] * c * c).clamp_min(0)
        lineage = hashlib.blake2b(self.lineage + b"/" + name, digest_size=12).digest()
        return replace(self, v=v, beta2=torch.cat([self.beta2, beta2[:, None]], 1), lineage=lineage)

    def _compact(self) -> Self:
        """Columns folded into a dense covariance, and light models dropped with them.

        A fold every 2 CHUNK votes keeps a vote's cost from growing with the votes. The first one waits for votes to
        rule models out where many of them are large, but not for long; then the heaviest are kept.
        """
        t = self.beta2.shape[1]
        if t == 0 or t % CHUNK:
            return self
        models = self.heavy(max(1, DENSE // self.n**2), KEPT).sort().values
        large = not isinstance(self.base, DenseCovariance) and len(models) * self.n**2 > DENSE // 4
        if t < (8 if large else 2) * CHUNK:
            return self._drop_light_models()
        models = models.to(self.mu.device)
        rows = torch.arange(self.n, device=self.mu.device)
        matrix = self.covariance(rows, models)
        return self._only(
            models.cpu(),
            base=DenseCovariance(matrix),
            columns=Columns(),
            beta2=self.beta2.new_zeros(len(models), 0),
            v=matrix.diagonal(dim1=1, dim2=2).clamp_min(0).clone(),
        )

    def _drop_light_models(self) -> Self:
        """Without the models that the votes have all but ruled out."""
        return self._of(torch.nonzero(self.weights > MIN_WEIGHT)[:, 0])

    def _of(self, models: Tensor) -> Self:
        """The belief of the chosen models (m,) alone."""
        if len(models) == self.base.models:
            return self
        here = models.to(self.mu.device)
        return self._only(
            models,
            base=self.base.only(here),
            columns=self.columns.only(here),
            beta2=self.beta2[here],
            v=self.v[here],
        )

    def _only(self, models: Tensor, **rest: Any) -> Self:
        """The belief of the chosen models (m,), with the `rest` of the fields already theirs."""
        return replace(self, mu=self.mu[models.to(self.mu.device)], evidence=self.evidence[models], **rest)

    def covariance(self, rows: Tensor, models: Tensor) -> Tensor:
        """(m, S, S) posterior covariance of `rows` (S,), ascending, under the chosen `models` (m,)."""
        block = self.base.block(rows, models)
        t = self.beta2.shape[1]
        if t:
            r = self.columns.at(rows, t, models) * self.beta2[models].sqrt()[:, :, None]
            block = block.baddbmm_(r.mT, r, alpha=-1)
        return block

    # -- beliefs ----------------------------------------------------------------------------------------------

    def mean(self) -> Tensor:
        return (self.weights.to(self.mu) @ self.mu).double().cpu()

    def sd(self, *, centred: bool = False) -> Tensor:
        w = self.weights.to(self.mu)
        mu, v = self.mu, self.v
        if centred:
            t = self.beta2.shape[1]
            shared = self.base.row_mean()
            if t:
                shared = shared - self.columns.combine(self.beta2 * self.columns.mean(t))
            mu = mu - mu.mean(1, keepdim=True)
            v = v - 2 * shared + shared.mean(1, keepdim=True)
        mean = w @ mu
        return (w @ (v + (mu - mean) ** 2)).clamp_min(0).sqrt().double().cpu()

    def shortlist(self, size: int, breadth: float) -> Tensor:
        if size >= self.n:
            return torch.arange(self.n)
        bound = self.mean() + breadth * self.sd()
        bound[self.best()] = torch.inf  # the recommended item is always among them
        # A stable sort, not topk: equal bounds must give the same rows on every machine.
        return torch.sort(bound, descending=True, stable=True).indices[:size].sort().values

    def heavy(self, most: int, share: float = 0.95) -> Tensor:
        """(m,) the fewest models that hold `share` of the weight, at most `most`."""
        w, order = torch.sort(self.weights, descending=True, stable=True)
        m = int((w.cumsum(0) < share).sum()) + 1
        return order[: min(m, most)]

    def mixture(self, pairs: Tensor) -> Mixture:
        t = self.beta2.shape[1]
        return self._mixture(pairs, self.heavy(max(3, min(8, 400 // (t + 1)))))

    def _mixture(self, pairs: Tensor, heavy: Tensor) -> Mixture:
        models = heavy.to(self.mu.device)
        pairs = pairs.to(self.mu.device)
        weights = self.weights[heavy]
        mu = self.mu[models]
        mean = mu[:, pairs[:, 0]] - mu[:, pairs[:, 1]]
        present = torch.zeros(self.n, dtype=torch.bool, device=pairs.device)
        present[pairs.flatten()] = True
        rows = torch.nonzero(present)[:, 0]
        if len(rows) ** 2 <= 32 * len(pairs):
            place = torch.zeros(self.n, dtype=torch.long, device=pairs.device)
            place[rows] = torch.arange(len(rows), device=pairs.device)
            block = self.covariance(rows, models)
            own = block.diagonal(dim1=1, dim2=2)
            a, b = place[pairs[:, 0]], place[pairs[:, 1]]
            variance = own[:, a] + own[:, b] - 2 * block[:, a, b]
        else:
            variance = self.base.pair_variance(pairs, models)
            t = self.beta2.shape[1]
            if t:
                r = self.columns.at(rows, t, models) * self.beta2[models].sqrt()[:, :, None]
                place = torch.zeros(self.n, dtype=torch.long, device=pairs.device)
                place[rows] = torch.arange(len(rows), device=pairs.device)
                for part in torch.split(torch.arange(len(pairs), device=pairs.device), 4096):
                    a, b = place[pairs[part, 0]], place[pairs[part, 1]]
                    variance[:, part] -= (r[:, :, a] - r[:, :, b]).square().sum(1)
        return Mixture(
            (weights / weights.sum()).double(), mean.double().cpu(), variance.double().cpu().clamp_min(1e-12)
        )

    def _vote_moments(self, pairs: Tensor, models: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (m, P) of what votes on pairs depend on, from those of u_a - u_b under `models` (m,)."""
        return mean, variance

    def difference(self, pairs: Tensor) -> Difference:
        pairs = pairs.reshape(-1, 2)
        heavy = self.heavy(self.base.models, 1 - 1e-6)
        w, mean, variance = self._mixture(pairs, heavy)
        first = w @ mean
        second = w @ (variance + mean**2) - first**2
        probability = torch.zeros_like(first)
        for weight, m, s2 in zip(w, *self._vote_moments(pairs, heavy, mean, variance), strict=True):
            x = m[:, None] + s2.sqrt()[:, None] * NODES
            probability += weight * (torch.sigmoid(x) @ NODE_WEIGHTS)
        lapse_rate = self.noise.lapse_rate()
        return Difference(first, second, (1 - lapse_rate) * probability + lapse_rate / 2)

    def sample(self, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        return self._sample(n, rng, rows)[0]

    def _sample(self, n: int, rng: np.random.Generator, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        """(n, S) draws of utilities, and (n,) the model that each is from."""
        rows = torch.arange(self.n) if rows is None else rows
        w = self.weights
        heavy = self.heavy(SAMPLED_MODELS, 0.99)
        share = torch.zeros_like(w)
        share[heavy] = w[heavy]
        counts = rng.multinomial(n, (share / share.sum()).numpy())
        noise = torch.as_tensor(rng.standard_normal((n, len(rows))))
        draws = torch.empty(n, len(rows), dtype=torch.float64)
        start = 0
        for m in np.flatnonzero(counts):
            part = slice(start, start + int(counts[m]))
            start = part.stop
            model = torch.tensor([int(m)], device=self.mu.device)
            block = self.covariance(rows.to(self.mu.device), model)[0].double().cpu()
            draws[part] = noise[part] @ root(block).T + self.mu[m, rows.to(self.mu.device)].double().cpu()
        order = torch.as_tensor(rng.permutation(n))
        return draws[order], torch.repeat_interleave(torch.arange(len(w)), torch.as_tensor(counts))[order]


class Site(NamedTuple):
    """What a vote does to x under each of M models: its probability with and without slips, x's mean and variance."""

    z: Tensor
    clean: Tensor
    mean: Tensor
    variance: Tensor


def moments_after(outcome: ChoiceOutcome, d: Tensor, s2: Tensor, noise: Noise, lapse_rate: float) -> Site:
    """The site of an outcome where x ~ N(d, s2) before, each (M,) float64, by Gauss-Hermite quadrature."""
    x = d[:, None] + s2.sqrt()[:, None] * NODES
    clean = likelihood(outcome, x, noise)
    weighted = ((1 - lapse_rate) * clean + lapse_rate * chance(outcome, noise)) * NODE_WEIGHTS
    z = weighted.sum(1)
    mean = (weighted * x).sum(1) / z
    variance = (weighted * (x - mean[:, None]) ** 2).sum(1) / z
    return Site(z, clean @ NODE_WEIGHTS, mean, variance)


def _shrink(variance: Tensor, s2: Tensor) -> Tensor:
    """The squared column weight that takes the variance of x from s2 to `variance`; a vote never widens it."""
    return ((1 - variance / s2) / s2).clamp_min(0)


def root(block: Tensor) -> Tensor:
    """A square root L with L L' = block (S, S), also where rounding has left it slightly indefinite."""
    scale = block.diagonal().mean().clamp_min(1e-12)
    jitter = 1e-9 * scale * torch.eye(len(block), dtype=block.dtype, device=block.device)
    factor, info = torch.linalg.cholesky_ex(block + jitter)
    if int(info):
        values, vectors = torch.linalg.eigh(block)
        factor = vectors * values.clamp_min(0).sqrt()
    whole: Tensor = factor
    return whole
