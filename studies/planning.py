"""How many votes a study will take: thousands of studies like it, simulated side by side in one batch.

Each simulated study has a person of its own, whose utilities are drawn from what the engine believes now, and one
kernel, the one that person was drawn from. It asks the recommended item against its strongest challenger, and learns
each vote as `elicit.gaussian` does; only that all studies of a batch are one tensor. What it leaves out makes it a
little hopeful: it does not have to find out the kernel, and every vote is a or b by Bradley-Terry.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elicit.engine import Engine
from elicit.gaussian import NODE_WEIGHTS, NODES, GridPosterior, root
from elicit.randomness import stream
from elicit.selection import improvement
from elicit.types import BadInputError

LARGEST = 4000
"""Items of which all covariances are held."""
HELD = 1 << 28
"""Numbers of the columns held at a time: 1 GiB in single precision."""
WIDEN = 2.0
"""As EUBO widens its standard deviations."""


@dataclass(frozen=True)
class Plan:
    """regret: (S, T + 1) simple regret of S simulated studies before the first vote and after each. seconds: wall time;
    bytes_moved: read from the columns, which is what it is bound by."""

    regret: NDArray[np.float32]
    seconds: float
    bytes_moved: float

    def settled(self, regret: float) -> NDArray[np.int64]:
        """(S,) votes until a study's regret stays within `regret`; one more than were cast where it never does."""
        bad = self.regret > regret
        last: NDArray[np.int64] = bad.shape[1] - bad[:, ::-1].argmax(1)
        return np.where(bad.any(1), last, 0)


def plan(engine: Engine, votes: int, studies: int, report: Callable[[int], None] = lambda _: None) -> Plan:
    """Simulate `studies` studies of `votes` votes more, from what the engine believes now.

    report: called with how many are done. The same engine, numbers and machine give the same plan. Raises BadInputError
    where the items are too many, or the model is none of the Gaussian ones.
    """
    posterior = getattr(engine.posterior, "parts", (engine.posterior,))[0]
    if not isinstance(posterior, GridPosterior) or engine.n > LARGEST or posterior.mu.shape[1] != engine.n:
        raise BadInputError(f"a plan can be made for at most {LARGEST} items and models gp, bradley_terry or default")
    rng = stream(engine.seed, "plan", len(engine.votes))
    counts = rng.multinomial(studies, posterior.weights.numpy())
    regret, moved, begin, done = list[Tensor](), 0.0, time.perf_counter(), 0
    at_once = max(1, HELD // (votes * engine.n))
    for model in np.flatnonzero(counts):
        rows, which = torch.arange(engine.n, device=posterior.mu.device), torch.tensor([int(model)])
        prior = posterior.covariance(rows, which.to(rows.device))[0].double()
        scale = root(prior.cpu()).to(rows.device)
        for start in range(0, counts[model], at_once):
            size = min(at_once, int(counts[model]) - start)
            z = torch.as_tensor(rng.standard_normal((size, engine.n)), device=rows.device)
            luck = torch.as_tensor(rng.random((votes, size)), device=rows.device)
            mean = posterior.mu[model].double()
            batch = Batch(mean.float(), prior.float(), (mean + z @ scale.T).float(), votes)
            regret.append(batch.run(luck.float()))
            moved += batch.moved
            done += size
            report(done)
    found = torch.cat(regret)[torch.as_tensor(rng.permutation(studies))]
    return Plan(found.numpy(), time.perf_counter() - begin, moved)


class Batch:
    """S studies at once. mean (N,), prior (N, N): what they begin with; truth: (S, N) their people's utilities."""

    def __init__(self, mean: Tensor, prior: Tensor, truth: Tensor, votes: int) -> None:
        studies, n = truth.shape
        self.prior, self.truth = prior, truth
        self.mean, self.variance = mean.repeat(studies, 1), prior.diagonal().repeat(studies, 1)
        self.columns = truth.new_empty(studies, votes, n)
        self.here, self.moved = torch.arange(studies, device=truth.device), 0.0
        self.nodes, self.weights = NODES.to(truth), NODE_WEIGHTS.to(truth)

    def run(self, luck: Tensor) -> Tensor:
        """(S, T + 1) regrets on CPU; luck: (T, S) uniforms that decide the votes."""
        regrets = [self.regret()]
        for t, uniform in enumerate(luck):
            first, second, column = self.ask(t)
            true = self.truth[self.here, first] - self.truth[self.here, second]
            self.tell(t, first, second, column, torch.where(uniform < torch.sigmoid(true), 1.0, -1.0))
            regrets.append(self.regret())
        return torch.stack(regrets, 1).cpu()

    def ask(self, t: int) -> tuple[Tensor, Tensor, Tensor]:
        """Rows (S,) of the recommended items and their challengers, and cov(f, f_first - f_second) (S, N)."""
        first = self.mean.argmax(1)
        with_first = self.covariance(first, t)
        mean = self.mean - self.mean[self.here, first][:, None]
        spread = self.variance + self.variance[self.here, first][:, None] - 2 * with_first
        gain = improvement(mean, WIDEN * spread.clamp_min(1e-9).sqrt())
        gain[self.here, first] = -torch.inf
        second = gain.argmax(1)
        return first, second, with_first - self.covariance(second, t)

    def tell(self, t: int, first: Tensor, second: Tensor, column: Tensor, won: Tensor) -> None:
        """Learn that first (S,) won (1) or lost (-1), by moment matching along their difference."""
        s2 = (column[self.here, first] - column[self.here, second]).clamp_min(1e-9)
        d = self.mean[self.here, first] - self.mean[self.here, second]
        x = d[:, None] + s2.sqrt()[:, None] * self.nodes
        mass = torch.sigmoid(won[:, None] * x) * self.weights
        mass = mass / mass.sum(1, keepdim=True)
        after = (mass * x).sum(1)
        narrowed = (mass * (x - after[:, None]) ** 2).sum(1)
        self.mean += column * ((after - d) / s2)[:, None]
        r = column * ((1 - narrowed / s2).clamp_min(0) / s2).sqrt()[:, None]
        self.columns[:, t] = r
        self.variance = (self.variance - r * r).clamp_min(0)

    def covariance(self, rows: Tensor, t: int) -> Tensor:
        """(S, N) posterior covariance of every item with one row (S,) of each study, after t votes."""
        told = self.columns[:, :t]
        self.moved += 4.0 * told.numel()
        return self.prior[rows] - torch.bmm(told[self.here, :, rows][:, None], told)[:, 0]

    def regret(self) -> Tensor:
        """(S,) simple regret of the recommended items."""
        best = self.truth.max(1).values
        lost = best - self.truth[self.here, self.mean.argmax(1)]
        return lost / (best - self.truth.mean(1)).clamp_min(1e-9)
