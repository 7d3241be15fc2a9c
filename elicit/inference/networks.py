"""Small networks that learn utilities from votes: an ensemble, trained beside the votes so that nobody waits.

Members start from different weights and are trained on all votes towards the same likelihood the other models use, with
weight decay towards where they started as the prior (ensembles: Lakshminarayanan et al. 2017). While votes grow by
half, the next generation is trained from the start, some steps a vote, on minibatches; then it is ready. So a vote
costs the same however many there are. All members run in one batched product (torch.func.vmap).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from elicit.inference.noise import Noise
from elicit.inference.outcomes import chance, likelihood
from elicit.randomness import stream
from elicit.types import ChoiceOutcome, Vote

MEMBERS, WIDTH = 16, 64
START = 0.4
"""Scale of an untrained member: votes pull it up to the utilities; a smaller start keeps them from overshooting."""
INPUTS = 384
"""Principal components of the features that the networks see."""
STEPS, BATCH, RATE = 300, 128, 6e-3
FIRST = 170
"""Votes at which the first generation begins to train."""
SAMPLE = 1 << 12
"""Items that stand for all where axes are found."""

NetworkWeights = tuple[Tensor, ...]
"""w1 (E, d, h), b1 (E, 1, h), w2 (E, h, h), b2 (E, 1, h), w3 (E, h, 1) of E members."""


@dataclass(frozen=True)
class History:
    """All votes so far. rows: (T, 2), turned so that no outcome is "b"; kinds: (T,) places in `outcomes`; of any whole
    numbers, for millions of votes short ones."""

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
        return History(
            torch.cat([self.rows, rows.to(self.rows)]), torch.cat([self.kinds, kinds.to(self.kinds)]), outcomes
        )

    def sign(self, kinds: Tensor) -> Tensor:
        """(T,) for votes of these kinds (T,): 1 where of the mean of two utilities, -1 where of their difference."""
        bad = [outcome.choice == "both_bad" for outcome in self.outcomes]
        return torch.where(torch.tensor(bad, dtype=torch.bool)[kinds.long()], 1.0, -1.0)

    def log_likelihood(self, x: Tensor, kinds: Tensor, noise: Noise) -> Tensor:
        """(..., T) of x (..., T), what the votes of these kinds (T,) speak of."""
        out = torch.zeros_like(x)
        lapse_rate = noise.lapse_rate()
        for k, outcome in enumerate(self.outcomes):
            of = (kinds == k).to(x.device)
            if not of.any():
                continue
            p = (1 - lapse_rate) * likelihood(outcome, x, noise) + lapse_rate * chance(outcome, noise)
            out = torch.where(of, p.log(), out)
        return out


@dataclass(frozen=True)
class Generation:
    """Networks in training. weights, first, second: as Adam has them after `done` of `steps` steps, each on `batch`
    votes (Kingma and Ba 2015); empty before the first.

    since: the votes at which training begins.
    """

    since: int
    weights: NetworkWeights = ()
    first: NetworkWeights = ()
    second: NetworkWeights = ()
    done: int = 0
    steps: int = STEPS
    batch: int = BATCH

    @property
    def until(self) -> int:
        """The votes at which the networks take over."""
        return self.since * 3 // 2

    def due(self, votes: int) -> int:
        """How many steps it is behind at so many votes; less than 1: none."""
        share = (votes - self.since) / (self.until - self.since)
        return min(self.steps, round(self.steps * share)) - self.done

    def train(self, steps: int, inputs: Tensor, history: History, noise: Noise) -> Generation:
        """After so many steps more; their length falls to 0 along a cosine."""
        start = initial_members(inputs.shape[1], str(inputs.device))
        weights = [w.clone().requires_grad_() for w in self.weights or start]
        optimiser = torch.optim.Adam(weights, lr=RATE, fused=True)
        zeros = tuple(torch.zeros_like(w) for w in start)
        for w, first, second in zip(weights, self.first or zeros, self.second or zeros, strict=True):
            done = torch.tensor(float(self.done), device=w.device)
            optimiser.state[w] = {"step": done, "exp_avg": first.clone(), "exp_avg_sq": second.clone()}

        def moment(name: str) -> NetworkWeights:
            return tuple(optimiser.state[w][name] for w in weights)

        anchors = (*start[:4], torch.zeros_like(start[4]))
        for step in range(self.done, self.done + steps):
            rng = stream(0, f"training {self.until}", step)
            gradients = _gradient(weights, anchors, inputs, history, noise, rng, self.batch)
            for w, gradient in zip(weights, gradients, strict=True):
                w.grad = gradient
            optimiser.param_groups[0]["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * step / self.steps))
            optimiser.step()
        final = tuple(w.detach() for w in weights)
        until = self.done + steps
        return replace(self, weights=final, first=moment("exp_avg"), second=moment("exp_avg_sq"), done=until)


@dataclass(frozen=True)
class Inputs:
    """What networks see of the items: the columns of `parts`, each (N, k). Most studies end before a network looks."""

    parts: tuple[np.ndarray, ...]
    device: str

    @cached_property
    def components(self) -> Tensor:
        """(N, d) float32: their principal components, of mean square norm 1."""
        return principal(torch.as_tensor(np.concatenate(self.parts, 1), device=self.device).float())


@dataclass(frozen=True)
class Training:
    """All that training goes on from."""

    inputs: Inputs
    history: History
    generation: Generation
    noise: Noise

    @staticmethod
    def on(inputs: Inputs, since: int = FIRST) -> Training:
        """Before any vote; its first generation begins at `since` votes."""
        history = History(torch.zeros(0, 2, dtype=torch.long), torch.zeros(0, dtype=torch.long))
        return Training(inputs, history, Generation(since), Noise())

    def after(self, vote: Vote, noise: Noise) -> Training:
        """With one more vote, not a skip."""
        return Training(self.inputs, self.history.with_vote(vote), self._next_generation, noise)

    @cached_property
    def _next_generation(self) -> Generation:
        """The generation as it is after the next vote: the same for every answer, so that looking ahead pays once."""
        due = self.generation.due(len(self.history.rows) + 1)
        if due < 1:
            return self.generation
        return self.generation.train(due, self.inputs.components, self.history, self.noise)

    @property
    def ready(self) -> bool:
        """Whether the generation has had its votes."""
        return len(self.history.rows) >= self.generation.until

    def final_weights(self) -> NetworkWeights:
        """The generation's networks."""
        steps = self.generation.steps - self.generation.done
        return self.generation.train(steps, self.inputs.components, self.history, self.noise).weights

    def next(self) -> Training:
        """With the next generation beginning."""
        return replace(self, generation=Generation(len(self.history.rows)))


def principal(x: Tensor) -> Tensor:
    """(N, d) with d at most INPUTS: the features' principal components, centred, of mean square norm 1. Networks that
    start isotropic see no difference between features and their components."""
    x = x - x.mean(0)
    if x.shape[1] > INPUTS:
        sample = x[torch.linspace(0, len(x) - 1, min(len(x), SAMPLE), device=x.device).long()]
        x = x @ torch.linalg.eigh(sample.T @ sample)[1][:, -INPUTS:]
    return x / x.square().sum(1).mean().sqrt().clamp_min(1e-12)


@lru_cache(maxsize=1)
def initial_members(d: int, device: str) -> NetworkWeights:
    """Members before any vote, over inputs of d features (He et al. 2015); not to be written to."""
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


def hidden_layers(w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """(S, h) each: both hidden layers of one member for inputs x (S, d)."""
    first = torch.relu(x @ w1 + b1)
    return first, torch.relu(first @ w2 + b2)


hidden: Callable[..., tuple[Tensor, Tensor]] = vmap(hidden_layers, in_dims=(0, 0, 0, 0, None))


def _gradient(
    parameters: Sequence[Tensor],
    anchors: NetworkWeights,
    inputs: Tensor,
    history: History,
    noise: Noise,
    rng: np.random.Generator,
    batch: int,
) -> tuple[Tensor, ...]:
    """Of the members' negative log posterior, on one minibatch of votes."""
    votes = len(history.rows)
    size = min(batch, votes)
    chosen = torch.arange(votes) if size == votes else torch.as_tensor(rng.integers(0, votes, size))
    rows, place = torch.unique(history.rows[chosen], return_inverse=True)
    place, of = place.to(inputs.device), history.sign(history.kinds[chosen]).to(inputs.device)
    phi = hidden(*parameters[:4], inputs[rows.to(inputs.device)])[1]
    u = START * (phi @ parameters[4])[:, :, 0]
    x = u[:, place[:, 0]] + of * u[:, place[:, 1]]
    x = torch.where(of > 0, x / 2, x)
    fit = history.log_likelihood(x, history.kinds[chosen], noise).sum() * (votes / size)
    # Half the precision of the weights' prior, whose variance is 2 over the number of a layer's inputs; the first
    # layer's count as one, because their squared norm is 1.
    decay = [(1 if i < 2 or w.shape[1] == 1 else w.shape[1]) / 4 for i, w in enumerate(parameters)]
    prior = sum(c * (w - w0).square().sum() for c, w, w0 in zip(decay, parameters, anchors, strict=True))
    return torch.autograd.grad(prior - fit, parameters)
