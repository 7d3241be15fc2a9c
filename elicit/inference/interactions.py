"""Prompts that are compared on inputs: how good a prompt is in general, and what it is on one input beside that.

    f(p, i) = u(p) + w(p, i),   w ~ GP(0, rho x k(p, q) x k'(i, j)),   rho in the grid of priors

with k the prior covariance of u under the same model and k' a kernel of unit variance over the inputs: a share of it
goes by what the inputs are like, centred, and the rest belongs to each input alone. So u is the mean over the
population of inputs and rho how much more, or less, a prompt varies between inputs than prompts do from each other. A
random effect beside the Gaussian process: a generalised linear mixed model (Breslow and Clayton 1993), whose product
kernel is that of several correlated tasks (Bonilla, Chai and Williams 2008).

A vote on inputs S speaks of x = u_a - u_b + e, e the mean of w(a, i) - w(b, i) over i in S. No cell (p, i) is held: all
that is asked of the cells follows from the prior covariances of the votes' own x,

    prior cov(x_s, x_t) = k(u-part of s, u-part of t) x (1 + rho x mean of k' over S_s x S_t)

by the recursion that gives the columns of u, which is a triangular system in the votes (`Triangle`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from elicit.inference.columns import CHUNK, Triangle
from elicit.inference.gaussian import DECIDED, DENSE, KEPT, NODE_WEIGHTS, NODES, GridPosterior, Site, moments_after
from elicit.inference.kernels import FeatureCovariance, Kernel, Prior, feature_maps
from elicit.inference.posterior import Knowledge, Mixture
from elicit.types import ChoiceOutcome

RHOS = {0.1: 0.3, 0.5: 0.4, 1.5: 0.3}
"""Variance between inputs over that between prompts, and their prior probabilities."""
SIMILAR = 0.5
"""Share of what an input does that goes by what it is like."""
MODELS = 8
"""Models that selectors, and questions about inputs, integrate over."""
MOST = 6400
"""Models that outlive many votes, times the votes."""
LEVELS = 200
"""Quantiles at which a win rate is looked at, of each model."""


def similarities(features: np.ndarray) -> Tensor:
    """(I, I) kernel of the inputs from their features (I, k), of mean variance 1; float64 on CPU."""
    space = FeatureCovariance(
        feature_maps(features, torch.float64, "cpu")[:1],
        [Kernel("rbf", 0)],
        [Prior((SIMILAR,), 1.0, 1 - SIMILAR, 0.0)],
    )
    return space.block(torch.arange(len(features)), torch.zeros(1, dtype=torch.long))[0]


def on_inputs(utilities: GridPosterior, known: Knowledge) -> GridPosterior:
    """The prior of utilities, with what inputs add to them where the items are compared on some."""
    return utilities if known.inputs is None else InteractionPosterior.over(utilities, similarities(known.inputs))


@dataclass(frozen=True)
class Questions:
    """What the T votes so far were asked on. rows: (2, T) of the prompts; signs: (2, T), x's u-part is their sum with
    these; inputs: (F,) the rows of all votes' inputs, and votes: (F,) whose they are."""

    rows: Tensor = field(default_factory=lambda: torch.zeros(2, 0, dtype=torch.long))
    signs: Tensor = field(default_factory=lambda: torch.zeros(2, 0, dtype=torch.float64))
    inputs: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    votes: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))

    def with_question(self, a: int, b: int, sign: int, inputs: Sequence[int]) -> Questions:
        """With one more, on u_a - u_b for sign -1 and the mean of the two for sign 1."""
        t = self.rows.shape[1]
        signs = [1.0, -1.0] if sign == -1 else [0.5, 0.5]
        return Questions(
            torch.cat([self.rows, torch.tensor([[a], [b]])], 1),
            torch.cat([self.signs, torch.tensor(signs, dtype=torch.float64)[:, None]], 1),
            torch.cat([self.inputs, torch.tensor(inputs, dtype=torch.long)]),
            torch.cat([self.votes, torch.full((len(inputs),), t)]),
        )

    def of(self, column: Tensor) -> Tensor:
        """(M, T) float64 on CPU: cov(x's u-part, y) of each vote, from column (M, N) = cov(u, y)."""
        first, second = column[:, self.rows.flatten().to(column.device)].double().cpu().chunk(2, 1)
        return first * self.signs[0] + second * self.signs[1]

    def alike(self, similar: Tensor) -> Tensor:
        """(T, C) means over each vote's inputs of `similar` (I, C), 0 for a vote that was on none."""
        count = self.rows.shape[1]
        total = similar.new_zeros(count, similar.shape[1]).index_add_(0, self.votes, similar[self.inputs])
        return total / torch.bincount(self.votes, minlength=count).clamp_min(1)[:, None]


class OnInputs(NamedTuple):
    """Belief about u_a - u_b and about x of a vote on each of C inputs, in this order, under m models: weights (m,),
    mean (m, 1 + C) and covariance (m, 1 + C, 1 + C)."""

    weights: Tensor
    mean: Tensor
    covariance: Tensor


@dataclass(frozen=True)
class InteractionPosterior(GridPosterior):
    """Belief under M weighted models of utilities and of what inputs add to them.

    rho: (M,) how much inputs add; similar: (I, I) the kernel of the inputs; questions: those of the T votes; triangle:
    (M, T, T) takes prior covariances with the votes' x to those before each vote; representer: (M, T) weights with
    which prior covariances with the votes' x give posterior means. All float64 on CPU.

    `mean`, `sd`, `sample` and `difference`'s mean and variance are of u. `difference`'s probability is of a
    vote on an input not seen before, and `mixture`'s variance the part of u's that knowing x there would take away.
    """

    rho: Tensor = field(default_factory=lambda: torch.zeros(0))
    similar: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    questions: Questions = field(default_factory=Questions)
    triangle: Triangle = field(default_factory=Triangle)
    representer: Tensor = field(default_factory=lambda: torch.zeros(0, 0))

    @staticmethod
    def over(utilities: GridPosterior, similar: Tensor, rhos: dict[float, float] | None = None) -> InteractionPosterior:
        """The prior of utilities with what inputs add: every model with every rho, whose prior probabilities are
        `rhos`; None: RHOS. similar: (I, I) from `similarities`."""
        rhos = RHOS if rhos is None else rhos
        models = torch.arange(utilities.base.models).repeat_interleave(len(rhos))
        each = utilities._of(models)
        prior = torch.tensor(list(rhos.values()), dtype=torch.float64).log().repeat(utilities.base.models)
        values = {f.name: getattr(each, f.name) for f in fields(each)} | {"evidence": each.evidence + prior}
        rho = torch.tensor(list(rhos), dtype=torch.float64).repeat(utilities.base.models)
        nothing = torch.zeros(len(models), 0, dtype=torch.float64)
        return InteractionPosterior(**values, rho=rho, similar=similar, representer=nothing)

    # -- learning ---------------------------------------------------------------------------------------------

    def _prepare_column(
        self, a: int, b: int, sign: int, inputs: tuple[int, ...] | None
    ) -> tuple[Self, Tensor, Tensor, Tensor]:
        t = self.beta2.shape[1]
        low, high = min(a, b), max(a, b)
        input_rows = list(inputs or ())
        questions = self.questions.with_question(low, high, sign, input_rows)
        base = self.base.column(low, high, sign)
        base = base / 2 if sign == 1 else base
        every = questions.of(base)
        prior, own = every[:, :t], every[:, t]
        near = (
            self.similar[:, input_rows].mean(1, keepdim=True)
            if input_rows
            else self.similar.new_zeros(len(self.similar), 1)
        )
        # An input to come is like none before it: the kernel is centred on the population.
        itself = 1.0 if inputs is None else float(near[input_rows].mean()) if input_rows else 0.0
        between = self.rho[:, None] * prior * self.questions.alike(near)[:, 0]
        beta2 = self.beta2.double().cpu()
        g = self.triangle.times((prior + between)[:, :, None])[:, :, 0]
        d = self.mu[:, low].double().cpu() + sign * self.mu[:, high].double().cpu()
        d = (d / 2 if sign == 1 else d) + (self.representer * between).sum(1)
        s2 = own * (1 + self.rho * itself) - (beta2 * g * g).sum(1)
        name = self.lineage + f"|{low},{high},{sign},{input_rows}".encode()
        c = self.columns.find(t, name)
        parent = replace(self, questions=questions, representer=pad(self.representer, (0, 1)))
        # Beside another thread one of the two stores may have this name and the other none yet, or another question's.
        if c is None or self.triangle.find(t, name) is None:
            c = base - self.columns.combine(self.beta2 * g.to(base))
            row = pad(-self.triangle.combine(beta2 * g), (0, 1), value=1.0)
            parent = replace(parent, columns=self.columns.put(t, name, c), triangle=self.triangle.put(t, name, row))
        turned = -1 if a > b and sign == -1 else 1
        return parent, turned * c, turned * d, s2.clamp_min(1e-10)

    def _site(
        self, outcome: ChoiceOutcome, a: int, b: int, d: Tensor, s2: Tensor, lapse_rate: float
    ) -> tuple[Site, dict[str, Any]]:
        site, _ = super()._site(outcome, a, b, d, s2, lapse_rate)
        step = (site.mean - d) / s2
        turned = -1 if a > b and outcome.choice != "both_bad" else 1
        row = self.triangle.row(self.beta2.shape[1])
        return site, {"representer": self.representer + turned * step[:, None] * row}

    def _compact(self) -> Self:
        """Without light models. Columns are not folded: how inputs hang together with votes goes by all of them."""
        t = self.beta2.shape[1]
        if t == 0 or t % CHUNK:
            return self
        if t < 2 * CHUNK:
            return self._drop_light_models()
        return self._of(self.heavy(max(1, min(DENSE // self.n, MOST) // t), KEPT).sort().values)

    def _only(self, models: Tensor, **rest: Any) -> Self:
        return super()._only(
            models,
            rho=self.rho[models],
            triangle=self.triangle.only(models),
            representer=self.representer[models],
            **rest,
        )

    # -- beliefs ----------------------------------------------------------------------------------------------

    def mixture(self, pairs: Tensor) -> Mixture:
        models = self.heavy(MODELS)
        w, mean, variance = self._mixture(pairs, models)
        return Mixture(w, mean, variance**2 / self._vote_moments(pairs, models, mean, variance)[1])

    def _vote_moments(self, pairs: Tensor, models: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        pairs, here = pairs.to(self.mu.device), models.to(self.mu.device)
        rows, place = torch.unique(pairs, return_inverse=True)
        if len(rows) ** 2 <= 32 * len(pairs):
            block = self.base.block(rows, here)
            own, (a, b) = block.diagonal(dim1=1, dim2=2), place.unbind(1)
            prior = own[:, a] + own[:, b] - 2 * block[:, a, b]
        else:
            prior = self.base.pair_variance(pairs, here)
        return mean, variance + self.rho[models][:, None] * prior.double().cpu()

    def on(self, a: int, b: int, inputs: Tensor) -> OnInputs:
        """What is believed of (a, b) on inputs (C,), under the heavy models."""
        models = self.heavy(MODELS)
        w = self.weights[models]
        count = 1 + len(inputs)
        base = self.base.only(models.to(self.mu.device)).column(a, b, -1)
        own = (base[:, a] - base[:, b]).double().cpu()[:, None, None]
        rho = self.rho[models][:, None, None]
        between = self.similar.new_zeros(count, count)
        between[1:, 1:] = self.similar[inputs[:, None], inputs]
        covariance = own * (1 + rho * between)
        mu = self.mu[models.to(self.mu.device)].double().cpu()
        mean = (mu[:, a] - mu[:, b])[:, None].repeat(1, count)
        alike = pad(self.questions.alike(self.similar[:, inputs]), (1, 0))  # u_a - u_b is on no input
        prior = self.questions.of(base)
        g = self.triangle.only(models).times(prior[:, :, None] * (1 + rho * alike))
        covariance = covariance - (g * self.beta2.double().cpu()[models][:, :, None]).mT @ g
        mean = mean + rho[:, 0] * ((self.representer[models] * prior) @ alike)
        return OnInputs(w / w.sum(), mean, covariance)

    def preferred_on(self, a: int, b: int, inputs: Tensor) -> Tensor:
        """(C,) P(a beats b in a vote without tie) on each of `inputs` (C,)."""
        belief = self.on(a, b, inputs)
        sd = belief.covariance.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt()
        x = belief.mean[:, 1:, None] + sd[:, 1:, None] * NODES
        lapse_rate = self.noise.lapse_rate()
        return (1 - lapse_rate) * (belief.weights @ (torch.sigmoid(x) @ NODE_WEIGHTS)) + lapse_rate / 2

    def win_rate(self, a: int, b: int, share: float) -> tuple[float, float, float]:
        """Mean and central interval of mass `share` of the share of inputs, of all there are, on which a is preferred
        to b in a vote without tie and slip."""
        belief = self.on(a, b, torch.zeros(0, dtype=torch.long))
        pair, models = torch.tensor([[a, b]]), self.heavy(MODELS)
        apart = self._vote_moments(pair, models, belief.mean, torch.zeros_like(belief.mean))[1].sqrt()
        level = (torch.arange(LEVELS, dtype=torch.float64) + 0.5) / LEVELS
        sd = belief.covariance[:, 0].clamp_min(0).sqrt()
        u = belief.mean + sd * torch.special.ndtri(level)  # (m, LEVELS)
        rate = (torch.sigmoid(u[:, :, None] + apart[:, :, None] * NODES) @ NODE_WEIGHTS).flatten()
        weight = (belief.weights[:, None] / LEVELS).expand(-1, LEVELS).flatten()
        rate, order = torch.sort(rate)
        below = weight[order].cumsum(0)
        ends = torch.tensor([(1 - share) / 2, (1 + share) / 2], dtype=torch.float64)
        low, high = rate[torch.searchsorted(below, ends).clamp_max(len(rate) - 1)].tolist()
        return float(rate @ weight[order]), low, high

    def most_telling(self, a: int, b: int, k: int, among: Sequence[int]) -> list[int]:
        """The k inputs of `among`, or as many as there are, on which one vote on (a, b) is expected to reduce the
        entropy of u_a - u_b most; one after another, in this order."""
        candidates = sorted(set(among))
        belief = self.on(a, b, torch.tensor(candidates, dtype=torch.long))
        variance = belief.covariance[:, 0, 0, None]
        chosen: list[int] = []
        places = torch.eye(1 + len(candidates), dtype=torch.float64)[1:]  # (C, 1 + C)
        free = torch.ones(len(candidates), dtype=torch.bool)
        while len(chosen) < min(k, len(candidates)):
            share = (places + places[chosen].sum(0)) / (1 + len(chosen))
            d = belief.mean @ share.T
            s2 = ((belief.covariance @ share.T).mT * share).sum(2).clamp_min(1e-10)
            shared = belief.covariance[:, 0] @ share.T
            explained_share = (
                shared**2
                / s2
                * self._expected_reduction(d.flatten(), s2.flatten()).view_as(s2)
                / variance.clamp_min(1e-10)
            )
            gain = belief.weights @ -torch.log1p(-explained_share.clamp_max(1 - 1e-9))
            chosen.append(int(torch.where(free, gain, -torch.inf).argmax()))
            free[chosen[-1]] = False
        return [candidates[i] for i in chosen]

    def _expected_reduction(self, d: Tensor, s2: Tensor) -> Tensor:
        """The share of the variance of x ~ N(d, s2) that a vote is expected to take away; all of one shape (P,)."""
        share = torch.zeros_like(s2)
        for outcome in DECIDED:
            site = moments_after(outcome, d, s2, self.noise, self.noise.lapse_rate())
            share += site.z * (1 - site.variance / s2).clamp_min(0)
        return share
