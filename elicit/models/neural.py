"""A neural utility: what small networks see in the features, with a Gaussian posterior over all of it.

In pools of up to EXACT items the networks are infinitely wide to begin with: as such they are a Gaussian process with
the arc-cosine kernels of their layers (Neal 1996; Cho and Saul 2009), whose posterior `elicit.inference.gaussian`
updates with every vote. Where votes are many, an ensemble of finite networks, which learns what to look at, is averaged
in. In larger pools it is all there is.

What the members' hidden layers (`elicit.inference.networks`) say of an item, taken together, are the coordinates of one
Gaussian utility of low rank (`elicit.inference.low_rank`): a last layer over every member and both layers, with its
Laplace posterior (MacKay 1992; for last layers, Kristiadi et al. 2020) and a grid of amplitudes weighed by how well
they foretell the votes. Every vote updates it exactly; when a new generation of networks is ready, it is found anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Self

import numpy as np
import torch
from torch import Tensor

from elicit.inference.averaging import AveragedPosterior
from elicit.inference.gaussian import GridPosterior
from elicit.inference.kernels import DenseCovariance
from elicit.inference.laplace import MANY, ROWS, laplace
from elicit.inference.low_rank import LowRankPosterior
from elicit.inference.networks import SAMPLE, History, Inputs, NetworkWeights, Training, hidden, initial_members
from elicit.inference.noise import Noise
from elicit.inference.posterior import Knowledge, Posterior
from elicit.models.gp import GaussianProcess
from elicit.randomness import stream
from elicit.types import BadInputError, Vote

RANK = 192
"""Principal components of what the networks say."""
AMPLITUDES, UNTRAINED, OWNS = (0.5, 0.7, 1.0), (1.0, 2.0, 3.0), (0.3, 0.6)
"""Standard deviations of the utilities' shared part, and variances of an item's own effect, that no network sees."""
EXACT = 4000
"""Items up to which infinitely wide networks are believed in exactly."""
WIDE = (("relu", 0, 1.0), ("relu", 0, 2.0))
"""Their kernels: of one hidden layer and of two."""
OWN_SHARES = {0.03: 0.4, 0.1: 0.3, 0.4: 0.3}
"""Share of the variance that is the item's own beside them, which they seldom leave."""
TRAIN = 1334
"""Votes at which an ensemble that is to be averaged in begins to train; it joins at half as many more."""
WELCOME = float(np.log(0.1 / 0.9))
"""Log odds with which it joins: in small pools it seldom foretells better, and it has to show that it does."""


@dataclass(frozen=True, kw_only=True)
class NeuralPosterior(LowRankPosterior):
    """The belief, and the networks in training that will change it."""

    training: Training

    @staticmethod
    def after_training(training: Training) -> NeuralPosterior:
        """The belief of networks in training, with all votes learnt, and the next generation beginning."""
        basis = hidden_components(training.inputs.components, training.final_weights())
        belief = laplace_posterior(basis, training.history, training.noise)
        values = {f.name: getattr(belief, f.name) for f in fields(belief)}
        return NeuralPosterior(**values, training=training.next())

    def _after(self, vote: Vote, compact: bool = True) -> Self:
        child = super()._after(vote, compact)
        if vote.outcome.choice == "skip":
            return child
        training = self.training.after(vote, child.noise)
        if not training.ready:
            return replace(child, training=training)
        fresh = NeuralPosterior.after_training(training)
        levelled = fresh.with_evidence(torch.logsumexp(child.evidence, 0))
        return replace(child, **{f.name: getattr(levelled, f.name) for f in fields(levelled)})

    def with_evidence(self, log_evidence: Tensor) -> Self:
        """The same belief with this much evidence, shared equally by its models."""
        models = len(self.evidence)
        return replace(self, evidence=(log_evidence - np.log(models)).expand(models).clone())


@dataclass(frozen=True)
class Joined(AveragedPosterior):
    """The average, and the network that joins it later; it has learnt nothing yet but keeps the votes."""

    waiting: Training | None = None

    def after(self, vote: Vote) -> Joined:
        """The belief after one more vote."""
        parts = tuple(part.update([vote]) for part in self.parts)
        if self.waiting is None or vote.outcome.choice == "skip":
            return replace(self, parts=parts).without_negligible_parts()
        waiting = self.waiting.after(vote, parts[0].noise)
        if not waiting.ready:
            return replace(self, parts=parts, waiting=waiting)
        network = NeuralPosterior.after_training(waiting)
        together = torch.logsumexp(torch.stack([part.log_evidence for part in parts]), 0)
        return Joined((*parts, network.with_evidence(together + WELCOME)))


class Neural:
    """Utilities that networks see in the features: infinitely wide ones, and where votes are many, trained ones."""

    def init(self, n_items: int, known: Knowledge, device: str) -> Posterior:
        inputs = seen_by_networks(known, device)
        if n_items <= EXACT:
            wide = GaussianProcess(forms=WIDE, own=OWN_SHARES).init(n_items, known, device)
            return wide if known.inputs is not None else Joined((wide,), Training.on(inputs, TRAIN))
        training = Training.on(inputs)
        x = training.inputs.components
        belief = laplace_posterior(hidden_components(x, initial_members(x.shape[1], device)), training.history, Noise())
        return NeuralPosterior(**{f.name: getattr(belief, f.name) for f in fields(belief)}, training=training)

    def update(self, posterior: Posterior, votes: Sequence[Vote], rng: np.random.Generator) -> Posterior:
        return learn_votes(posterior, votes)


def learn_votes(posterior: Posterior, votes: Sequence[Vote]) -> Posterior:
    """The belief after votes, one after another."""
    if isinstance(posterior, GridPosterior):
        return posterior.update(votes)
    assert isinstance(posterior, Joined)
    for vote in votes:
        posterior = posterior.after(vote)
    return posterior


def seen_by_networks(known: Knowledge, device: str) -> Inputs:
    """Features and scores.

    Raises BadInputError where there is neither.
    """
    parts = tuple(part for part in (known.features, known.scores) if part is not None)
    if not parts:
        raise BadInputError("the model 'neural' needs features; use 'bradley_terry' for items that are ids only")
    return Inputs(parts, device)


def laplace_posterior(
    basis: Tensor,
    history: History,
    noise: Noise,
    own: float | None = None,
    turned: Callable[[], None] = lambda: None,
    near: LowRankPosterior | None = None,
) -> LowRankPosterior:
    """The Laplace posterior over what the networks see, basis (N, r), and over the own effects of the items voted on.

    own: variance of own effects, None for what is usual. near: what was believed of the same under much the same votes
    and noise, to start from; none of its votes may be missing. `turned` is called as by `elicit.inference.laplace`.

    Own effects are taken for independent of one another and of the rest, given all votes (mean field).
    """
    votes = len(history.rows)
    grid = list(product(AMPLITUDES if votes else UNTRAINED, OWNS))
    if votes >= MANY or own is not None:  # the amplitude no longer matters, or is not all that is asked
        grid = [(AMPLITUDES[1], OWNS[1])]
    squares = sum(float(part.square().sum(dtype=torch.float64)) for part in torch.split(basis, ROWS))
    rest = max(0.0, 1 - squares / len(basis))  # variance that RANK leaves out
    amplitude2 = torch.tensor([a * a for a, _ in grid], dtype=torch.float64, device=basis.device)
    owns = amplitude2.new_tensor([o + a * a * rest for a, o in grid] if own is None else [own])
    spread = amplitude2[:, None].expand(-1, basis.shape[1])
    belief = LowRankPosterior.of(basis, torch.zeros_like(spread), spread, owns, [-float(np.log(len(grid)))] * len(grid))
    if not votes:
        return belief
    r = basis.shape[1]
    start = None if near is None else (near.mu[:, :r], near.retired)
    mode, covariance, retired = laplace(basis, amplitude2, owns, history, noise, turned, start)
    matrix = torch.diag_embed(belief.v)
    matrix[:, :r, :r] = covariance
    mu = belief.mu.clone()
    mu[:, :r] = mode
    v = matrix.diagonal(dim1=1, dim2=2).clone()
    base = DenseCovariance(matrix)
    return replace(belief, base=base, mu=mu, v=v, retired=retired, noise=noise)


def hidden_components(inputs: Tensor, weights: NetworkWeights) -> Tensor:
    """(N, r) principal components of both hidden layers of all members, each layer with half the variance of 1."""
    sample = inputs[torch.linspace(0, len(inputs) - 1, min(len(inputs), SAMPLE), device=inputs.device).long()]
    layers = hidden(*weights[:4], sample)
    centres = [layer.mean(1, keepdim=True) for layer in layers]
    scales = [
        (2 * (h - c).square().sum((0, 2)).mean()).clamp_min(1e-12).rsqrt() for h, c in zip(layers, centres, strict=True)
    ]

    def flat(x: Tensor) -> Tensor:
        layers = hidden(*weights[:4], x)
        parts = [((h - c) * s).permute(1, 0, 2).flatten(1) for h, c, s in zip(layers, centres, scales, strict=True)]
        return torch.cat(parts, 1)

    # A randomised range finder with one power iteration (Halko et al. 2011): thousands of coordinates, RANK wanted.
    whole = flat(sample).double()
    probes = torch.as_tensor(stream(0, "range", whole.shape[1]).standard_normal((whole.shape[1], RANK + 32)))
    sketch = torch.linalg.qr(whole @ (whole.T @ (whole @ probes.to(whole))))[0]
    within = sketch.T @ whole
    values, axes = torch.linalg.eigh(within @ within.T)
    kept = values > values[-1] * 1e-7
    kept[:-RANK] = False
    turn = (within.T @ (axes[:, kept] / values[kept].sqrt())).float()
    out = inputs.new_empty(len(inputs), turn.shape[1])
    for start in range(0, len(inputs), ROWS):
        out[start : start + ROWS] = flat(inputs[start : start + ROWS]) @ turn
    return out
