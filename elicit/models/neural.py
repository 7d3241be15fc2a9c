"""A neural utility: what an ensemble of small networks sees in the features, with a Gaussian posterior over all of it.

What the members' hidden layers (`elicit.networks`) say of an item, taken together, are the coordinates of one Gaussian
utility of low rank (`elicit.low_rank`): a last layer over every member and both layers, with its Laplace posterior
(MacKay 1992; for last layers, Kristiadi et al. 2020) and a grid of amplitudes weighed by how well they foretell the
votes. Every vote updates it exactly; when a new generation of networks is ready, it is found anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Self

import numpy as np
import torch
from torch import Tensor

from elicit.averaged import Averaged
from elicit.gaussian import GridPosterior
from elicit.kernels import DenseCovariance
from elicit.low_rank import LowRankPosterior, Retired
from elicit.models.gp import GaussianProcess
from elicit.networks import SAMPLE, History, Inputs, Training, Weights, hidden, untrained
from elicit.noise import Noise
from elicit.posterior import Knowledge, Posterior
from elicit.randomness import stream
from elicit.types import BadInputError, Vote

RANK = 192
"""Principal components of what the networks say."""
AMPLITUDES, UNTRAINED, OWNS = (0.5, 0.7, 1.0), (1.0, 2.0, 3.0), (0.3, 0.6)
"""Standard deviations of the utilities' shared part, and variances of an item's own effect, that no network sees."""
ROWS = 1 << 14
TURNS = 6
"""Newton steps of the Laplace posterior."""
STEP = 1e-3
"""Of numerical derivatives, in logits."""
EXACT = 4000
"""Items up to which networks without end wide are believed in exactly."""
WIDE = (("relu", 0, 1.0), ("relu", 0, 2.0))
"""Their kernels: of one hidden layer and of two."""
OWN_SHARES = {0.03: 0.4, 0.1: 0.3, 0.4: 0.3}
"""Share of the variance that is the item's own beside them, which they seldom leave."""
TRAIN = 1334
"""Votes at which an ensemble that is to be averaged in begins to train; it joins at half as many more."""
WELCOME = float(np.log(0.1 / 0.9))
"""Log odds with which it joins: in small pools it seldom foretells better, and it has to show that it does."""
MANY = 1 << 17
"""Votes from which the amplitude no longer matters."""


@dataclass(frozen=True, kw_only=True)
class NeuralPosterior(LowRankPosterior):
    """The belief, and the networks in training that will change it."""

    training: Training

    @staticmethod
    def trained(training: Training) -> NeuralPosterior:
        """The belief of networks in training, with all votes learnt, and the next generation beginning."""
        belief = believed(training.inputs.components, training.finished(), training.history, training.noise)
        found = {f.name: getattr(belief, f.name) for f in fields(belief)}
        return NeuralPosterior(**found | {"noise": training.noise}, training=training.next())

    def _after(self, vote: Vote, compact: bool = True) -> Self:
        child = super()._after(vote, compact)
        if vote.outcome.choice == "skip":
            return child
        training = self.training.after(vote, child.noise)
        if not training.ready:
            return replace(child, training=training)
        fresh = NeuralPosterior.trained(training)
        levelled = fresh.weighing(torch.logsumexp(child.evidence, 0))
        return replace(child, **{f.name: getattr(levelled, f.name) for f in fields(levelled)})

    def weighing(self, log_evidence: Tensor) -> Self:
        """The same belief with this much evidence, shared equally by its models."""
        models = len(self.evidence)
        return replace(self, evidence=(log_evidence - np.log(models)).expand(models).clone())


@dataclass(frozen=True)
class Joined(Averaged):
    """The average, and the network that joins it later; it has learnt nothing yet but keeps the votes."""

    waiting: Training | None = None

    def after(self, vote: Vote) -> Joined:
        """The belief after one more vote."""
        parts = tuple(part.update([vote]) for part in self.parts)
        if self.waiting is None or vote.outcome.choice == "skip":
            return replace(self, parts=parts).without_the_unheard()
        waiting = self.waiting.after(vote, parts[0].noise)
        if not waiting.ready:
            return replace(self, parts=parts, waiting=waiting)
        network = NeuralPosterior.trained(waiting)
        together = torch.logsumexp(torch.stack([part.log_evidence for part in parts]), 0)
        return Joined((*parts, network.weighing(together + WELCOME)))


class Neural:
    """Utilities that networks see in the features: without end wide at first, and trained where votes are many.

    Networks that grow wide before they have seen a vote are a Gaussian process (Neal 1996), so the belief in them is
    exact; the ensemble that learns what to look at is averaged in once it is trained. Large pools are the ensemble's
    alone.
    """

    def init(self, n_items: int, known: Knowledge, device: str) -> Posterior:
        inputs = seen_by_networks(known, device)
        if n_items <= EXACT:
            wide = GaussianProcess(forms=WIDE, own=OWN_SHARES).init(n_items, known, device)
            return wide if known.inputs is not None else Joined((wide,), Training.on(inputs, TRAIN))
        training = Training.on(inputs)
        seen = training.inputs.components
        belief = believed(seen, untrained(seen.shape[1], device), training.history, Noise())
        return NeuralPosterior(**{f.name: getattr(belief, f.name) for f in fields(belief)}, training=training)

    def update(self, posterior: Posterior, votes: Sequence[Vote], rng: np.random.Generator) -> Posterior:
        return learnt(posterior, votes)


def learnt(posterior: Posterior, votes: Sequence[Vote]) -> Posterior:
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


def believed(inputs: Tensor, weights: Weights, history: History, noise: Noise) -> LowRankPosterior:
    """The Laplace posterior over what the networks see, and over the own effects of the items voted on.

    Own effects are taken for independent of one another and of the rest, given all votes (mean field).
    """
    basis = _seen(inputs, weights)
    votes = len(history.rows)
    grid = list(product(AMPLITUDES if votes else UNTRAINED, OWNS))
    if votes >= MANY:
        grid = [(AMPLITUDES[1], OWNS[1])]
    rest = 1 - float(basis.square().sum(1).double().mean())  # variance that RANK leaves out
    amplitude2 = torch.tensor([a * a for a, _ in grid], dtype=torch.float64, device=basis.device)
    own = torch.tensor([o + a * a * max(0.0, rest) for a, o in grid], dtype=torch.float64, device=basis.device)
    spread = amplitude2[:, None].expand(-1, basis.shape[1])
    belief = LowRankPosterior.of(basis, torch.zeros_like(spread), spread, own, [-float(np.log(len(grid)))] * len(grid))
    if not votes:
        return belief
    mode, covariance, retired = _laplace(basis, amplitude2, own, history, noise)
    r = basis.shape[1]
    matrix = torch.diag_embed(belief.v)
    matrix[:, :r, :r] = covariance
    mu = belief.mu.clone()
    mu[:, :r] = mode
    v = matrix.diagonal(dim1=1, dim2=2).clone()
    return replace(belief, base=DenseCovariance(matrix), mu=mu, v=v, retired=retired)


def _seen(inputs: Tensor, weights: Weights) -> Tensor:
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
    return torch.cat([flat(part) @ turn for part in torch.split(inputs, ROWS)])


def _laplace(
    basis: Tensor, amplitude2: Tensor, own: Tensor, history: History, noise: Noise
) -> tuple[Tensor, Tensor, Retired]:
    """Mode (M, r), covariance (M, r, r) and own effects, under M models, by Newton's method in turns."""
    rows, place = torch.unique(history.rows, return_inverse=True)
    phi, r = basis[rows.to(basis.device)].double(), basis.shape[1]
    models, items = len(own), len(rows)
    mode, effects = amplitude2.new_zeros(models, r), amplitude2.new_zeros(models, items)
    for _ in range(TURNS):
        precision = torch.diag_embed((1 / amplitude2)[:, None].expand(-1, r)).clone()
        pull, push = -mode / amplitude2[:, None], -effects / own[:, None]
        curvature, cross = (1 / own[:, None]).expand(-1, items).clone(), amplitude2.new_zeros(models, items, r)
        for start in range(0, len(history.rows), ROWS):
            part = slice(start, start + ROWS)
            kinds, at = history.kinds[part], place[part].to(basis.device)
            of = history.sign(kinds).to(mode)
            scale = torch.where(of > 0, 0.5, 1.0)
            z = (phi[at[:, 0]] + of[:, None] * phi[at[:, 1]]) * scale[:, None]
            x = mode @ z.T + (effects[:, at[:, 0]] + of * effects[:, at[:, 1]]) * scale
            slope, bend = slopes(x, history, kinds, noise)
            bend = bend.clamp_min(0)
            weighed = bend[:, :, None] * z
            precision += weighed.mT @ z
            pull += slope @ z
            for side, sign in ((0, scale), (1, of * scale)):
                push.index_add_(1, at[:, side], slope * sign)
                curvature.index_add_(1, at[:, side], bend * sign**2)
                cross.index_add_(1, at[:, side], weighed * sign[:, None])
        # What the votes say of the shared part once the own effects are integrated out; never less than nothing.
        told = precision - (cross / curvature[:, :, None]).mT @ cross
        values, axes = torch.linalg.eigh(told)
        floor = 1 / amplitude2[:, None]
        covariance = (axes / torch.maximum(values, floor)[:, None]) @ axes.mT
        step = (covariance @ (pull - ((push / curvature)[:, None] @ cross)[:, 0])[:, :, None])[:, :, 0]
        mode = mode + step
        effects = effects + (push - (cross @ step[:, :, None])[:, :, 0]) / curvature
    place_of = {int(row): i for i, row in enumerate(rows)}
    return mode, covariance, Retired(place_of, effects, 1 / curvature)


def slopes(x: Tensor, history: History, kinds: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
    """First and negative second derivative of the votes' log likelihood at x (M, T) float64, each (M, T): by central
    differences, because torch loads for seconds before it differentiates twice."""
    up, middle, down = (history.log_likelihood(x + step, kinds, noise) for step in (STEP, 0.0, -STEP))
    return (up - down) / (2 * STEP), (2 * middle - up - down) / STEP**2
