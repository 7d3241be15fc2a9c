"""A neural utility: an ensemble of small networks over the features, with a Gaussian posterior over their last layers.

Members start from different weights and are trained on all votes towards the same likelihood the other models use, with
weight decay as the prior (ensembles: Lakshminarayanan et al. 2017). Each member's last layer gets its Laplace
posterior (MacKay 1992; for last layers, Kristiadi et al. 2020); between trainings every vote updates it exactly as
in `elicit.low_rank`, whose coordinates here are what the networks' last hidden layers say of an item. The members are
the models of the grid, so that each counts by how well it foretold the votes.

All members run in one batched product (torch.func.vmap). Training goes on from the weights before whenever votes have
grown by a tenth, on minibatches, so that it costs the same however many votes there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from elicit.gaussian import GridPosterior
from elicit.low_rank import LowRankPosterior
from elicit.noise import Noise
from elicit.outcomes import chance, likelihood
from elicit.posterior import Knowledge
from elicit.randomness import stream
from elicit.types import BadInputError, ChoiceOutcome, Vote

MEMBERS, WIDTH = 4, 64
AMPLITUDE = 0.4
"""Scale of an untrained member: votes pull it up to the utilities; a smaller start keeps them from overshooting."""
OWN = 0.3
"""Variance of an item's own effect, which no network sees."""
STEPS, FIRST_STEPS, BATCH, RATE = 60, 300, 512, 3e-3
FIRST, GROWTH = 16, 1.1
"""Training begins at so many votes, and goes on whenever they have grown by this factor."""
ROWS = 1 << 14

Weights = tuple[Tensor, ...]
"""w1 (E, d, h), b1 (E, 1, h), w2 (E, h, h), b2 (E, 1, h), w3 (E, h, 1) of E members."""


@dataclass(frozen=True)
class History:
    """All votes so far. rows: (T, 2), turned so that no outcome is "b"; kinds: (T,) places in `outcomes`."""

    rows: Tensor
    kinds: Tensor
    outcomes: tuple[ChoiceOutcome, ...] = ()

    def with_vote(self, vote: Vote) -> History:
        """With one more."""
        a, b, outcome = vote.a, vote.b, vote.outcome
        if outcome.choice == "b":
            a, b, outcome = b, a, ChoiceOutcome("a", outcome.strength)
        return self.with_votes(torch.tensor([[a, b]]), outcome)

    def with_votes(self, rows: Tensor, outcome: ChoiceOutcome) -> History:
        """With many more of one outcome, not "b"; rows: (T, 2)."""
        outcomes = self.outcomes if outcome in self.outcomes else (*self.outcomes, outcome)
        kinds = torch.full((len(rows),), outcomes.index(outcome))
        return History(torch.cat([self.rows, rows]), torch.cat([self.kinds, kinds]), outcomes)

    def sign(self) -> Tensor:
        """(T,) 1 where a vote speaks of the mean of the two utilities, -1 where of their difference."""
        bad = [outcome.choice == "both_bad" for outcome in self.outcomes]
        return torch.where(torch.tensor(bad, dtype=torch.bool)[self.kinds], 1.0, -1.0)

    def log_likelihood(self, x: Tensor, kinds: Tensor, noise: Noise) -> Tensor:
        """(..., T) of x (..., T), what the votes of these kinds (T,) speak of."""
        out = torch.zeros_like(x)
        slip = noise.slip()
        for k, outcome in enumerate(self.outcomes):
            of = (kinds == k).to(x.device)
            p = (1 - slip) * likelihood(outcome, x, noise) + slip * chance(outcome, noise)
            out = torch.where(of, p.log(), out)
        return out


@dataclass(frozen=True, kw_only=True)
class NeuralPosterior(LowRankPosterior):
    """The belief, with the networks whose last hidden layers are its coordinates.

    inputs: (N, d) float32, of mean square norm 1; due: the number of votes at which training goes on.
    """

    inputs: Tensor
    weights_of_members: Weights
    history: History
    due: int = FIRST

    def _after(self, vote: Vote, compact: bool = True) -> Self:
        child = super()._after(vote, compact)
        if vote.outcome.choice == "skip":
            return child
        child = replace(child, history=self.history.with_vote(vote))
        return child.trained() if len(child.history.rows) >= child.due else child

    def trained(self) -> Self:
        """Trained on all votes so far, with the last layers' posterior found anew."""
        votes = len(self.history.rows)
        steps = STEPS if votes > FIRST else FIRST_STEPS
        weights = train(self.weights_of_members, self.inputs, self.history, self.noise, steps)
        due = max(votes + 1, int(votes * GROWTH))
        fresh = believed(self.inputs, weights, self.history, self.noise)
        level = torch.logsumexp(self.evidence, 0) - np.log(len(fresh.evidence))
        evidence = level.expand(len(fresh.evidence)).clone()
        found = {f.name: getattr(fresh, f.name) for f in fields(fresh)}
        return replace(self, **found | {"evidence": evidence, "noise": self.noise, "due": due})


class Neural:
    """Utilities that a network finds in the features; needs hundreds of votes to be better than a Gaussian process."""

    def init(self, n_items: int, known: Knowledge, device: str) -> NeuralPosterior:
        parts = [part for part in (known.features, known.scores) if part is not None]
        if not parts:
            raise BadInputError("the model 'neural' needs features; use 'bradley_terry' for items that are ids only")
        inputs = torch.as_tensor(np.concatenate(parts, 1), device=device).float()
        inputs = inputs - inputs.mean(0)
        inputs = inputs / inputs.square().sum(1).mean().sqrt().clamp_min(1e-12)
        history = History(torch.zeros(0, 2, dtype=torch.long), torch.zeros(0, dtype=torch.long))
        return believed(inputs, untrained(inputs.shape[1], device), history, Noise())

    def update(self, posterior: GridPosterior, votes: Sequence[Vote], rng: np.random.Generator) -> GridPosterior:
        return posterior.update(votes)


def untrained(d: int, device: str) -> Weights:
    """Members before any vote, over inputs of d features (He et al. 2015)."""
    rng = stream(0, "networks", d)

    def draw(*shape: int, scale: float) -> Tensor:
        return torch.as_tensor(rng.standard_normal(shape) * scale, device=device).float()

    hidden = (2 / WIDTH) ** 0.5
    return (
        draw(MEMBERS, d, WIDTH, scale=2**0.5),  # the inputs' squared norm is 1, not d
        draw(MEMBERS, 1, WIDTH, scale=0.1),
        draw(MEMBERS, WIDTH, WIDTH, scale=hidden),
        draw(MEMBERS, 1, WIDTH, scale=0.1),
        draw(MEMBERS, WIDTH, 1, scale=hidden),
    )


def hidden_layer(w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, x: Tensor) -> Tensor:
    """(S, h) last hidden layer of one member for inputs x (S, d), in units of utility."""
    return AMPLITUDE * torch.relu(torch.relu(x @ w1 + b1) @ w2 + b2)


_hidden: Callable[..., Tensor] = vmap(hidden_layer, in_dims=(0, 0, 0, 0, None))


def precision(shape: torch.Size) -> float:
    """Of the Gaussian prior of a layer's weights, whose variance untrained is 2 over the number of its inputs; the
    first layer's inputs count as one, because their squared norm is 1."""
    return shape[1] / 2


def train(weights: Weights, inputs: Tensor, history: History, noise: Noise, steps: int) -> Weights:
    """The members after `steps` of Adam on minibatches of votes; the step falls to 0 along a cosine."""
    parameters = [w.clone().requires_grad_() for w in weights]
    start = untrained(inputs.shape[1], str(inputs.device))
    anchors = (*start[:4], torch.zeros_like(start[4]))
    votes = len(history.rows)
    rng = stream(0, "training", votes)
    size = min(BATCH, votes)
    optimiser = torch.optim.Adam(parameters, lr=RATE, fused=False)
    decay = [1 / 4 if w.shape[1] == 1 else (1 if i == 0 else w.shape[1]) / 4 for i, w in enumerate(parameters)]
    sign = history.sign()
    for step in range(steps):
        chosen = torch.arange(votes) if size == votes else torch.as_tensor(rng.integers(0, votes, size))
        rows, place = torch.unique(history.rows[chosen], return_inverse=True)
        place, of = place.to(inputs.device), sign[chosen].to(inputs.device)
        phi = _hidden(*parameters[:4], inputs[rows.to(inputs.device)])
        u = (phi @ parameters[4])[:, :, 0]
        x = u[:, place[:, 0]] + of * u[:, place[:, 1]]
        x = torch.where(of > 0, x / 2, x)
        fit = history.log_likelihood(x, history.kinds[chosen], noise).sum() * (votes / size)
        prior = sum(c * (w - w0).square().sum() for c, w, w0 in zip(decay, parameters, anchors, strict=True))
        for group in optimiser.param_groups:
            group["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
        optimiser.zero_grad()
        (prior - fit).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return tuple(w.detach() for w in parameters)


def believed(inputs: Tensor, weights: Weights, history: History, noise: Noise) -> NeuralPosterior:
    """The Laplace posterior over the last layers.

    Each member's block of coordinates is turned so that its posterior is diagonal, which is what a grid of diagonal
    priors can hold; to the other members the block means nothing.
    """
    phi = torch.cat([_hidden(*weights[:4], part) for part in torch.split(inputs, ROWS)], 1)  # (E, N, h)
    phi -= phi.mean(1, keepdim=True)
    members, _, h = phi.shape
    hessian = torch.eye(h, dtype=torch.float64, device=phi.device).repeat(members, 1, 1) * (h / 2)
    gradient = -weights[4][:, :, 0].double() * (h / 2)
    sign = history.sign()
    for start in range(0, len(history.rows), ROWS):
        part = slice(start, start + ROWS)
        rows, of = history.rows[part].to(phi.device), sign[part].to(phi.device)
        z = phi[:, rows[:, 0]] + of[:, None] * phi[:, rows[:, 1]]
        z = torch.where(of[:, None] > 0, z / 2, z)
        first, second = slopes((z @ weights[4])[:, :, 0], history, history.kinds[part], noise)
        hessian += ((z * second.clamp_min(0)[:, :, None]).mT @ z).double()
        gradient += (z * first[:, :, None]).sum(1).double()
    root = torch.linalg.cholesky(hessian)
    mode = weights[4].double() + torch.cholesky_solve(gradient[:, :, None], root)
    values, axes = torch.linalg.eigh(hessian)
    basis = torch.cat([part @ axis.float() for part, axis in zip(phi, axes, strict=True)], 1)
    spread = _blocks(1 / values)
    means = _blocks((axes.mT @ mode)[:, :, 0])
    own = values.new_full((members,), OWN)
    belief = LowRankPosterior.of(basis, means, spread, own, [-float(np.log(members))] * members)
    same = {f.name: getattr(belief, f.name) for f in fields(belief)}
    return NeuralPosterior(**same, inputs=inputs, weights_of_members=weights, history=history)


def _blocks(rows: Tensor) -> Tensor:
    """(E, E h) with row e of `rows` (E, h) in block e, and 0 elsewhere."""
    members, h = rows.shape
    eye = torch.eye(members, dtype=rows.dtype, device=rows.device)
    return (eye[:, :, None] * rows[:, None]).reshape(members, members * h)


def slopes(x: Tensor, history: History, kinds: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
    """First derivative and negative second derivative of the votes' log likelihood at x (E, T), each (E, T)."""
    at = x.detach().requires_grad_()
    (first,) = torch.autograd.grad(history.log_likelihood(at, kinds, noise).sum(), at, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), at)
    return first.detach(), -second
