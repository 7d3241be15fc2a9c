"""How many votes a study will take: thousands of studies like it, simulated side by side in one batch.

Each simulated study has a person of its own, whose utilities are drawn from what the engine believes now, and one
kernel, the one that person was drawn from. It asks what the study's goal needs (the recommended item against its
strongest challenger; an item inside the top against the strongest outside; the pair whose answer would tell most), and
learns each vote as `elicit.inference.gaussian` does; only that all studies of a batch are one tensor. What it leaves
out makes it a little hopeful: it does not have to find out the kernel, and every vote is a or b by Bradley-Terry.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elicit.engine import Engine
from elicit.inference.gaussian import NODE_WEIGHTS, NODES, GridPosterior, root
from elicit.randomness import stream
from elicit.selection import expected_improvement
from elicit.types import BadInputError

LARGEST = 4000
"""Items of which all covariances are held."""
HELD = 1 << 28
"""Numbers of the columns held at a time: 1 GiB in single precision."""
WIDEN = 2.0
"""As EUBO widens its standard deviations."""
MOST_PAIRS = 2000
"""Pairs that stand for all of them where these are more."""
LOGIT = 1.7
"""By which a logistic curve is stretched against a normal one."""
HALF = (math.pi * math.log(2) / 2) ** 0.5
"""Width of the Gaussian that the entropy of a normal curve's chance is like."""


@dataclass(frozen=True)
class Forecast:
    """regret: (S, T + 1) what the stop rule measures, in truth, in S simulated studies before the first vote and after
    each: simple regret, the share of wrong top items, or of wrongly ordered pairs. seconds: wall time; bytes_moved:
    read from the columns, which is what it is bound by."""

    regret: NDArray[np.float32]
    seconds: float
    bytes_moved: float

    def votes_needed(self, regret: float) -> NDArray[np.int64]:
        """(S,) votes until a study's regret stays within `regret`; one more than were cast where it never does."""
        bad = self.regret > regret
        last: NDArray[np.int64] = bad.shape[1] - bad[:, ::-1].argmax(1)
        return np.where(bad.any(1), last, 0)


def plan(engine: Engine, votes: int, studies: int, report: Callable[[int], None] = lambda _: None) -> Forecast:
    """Simulate `studies` studies of `votes` votes more towards the engine's goal from what it believes now, on items
    that are not retired.

    report: called with how many are done. The same engine, numbers and machine give the same plan. Raises BadInputError
    where the items are too many, or the model is none of the Gaussian ones.
    """
    posterior = getattr(engine.posterior, "parts", (engine.posterior,))[0]
    if not isinstance(posterior, GridPosterior) or engine.n > LARGEST or posterior.mu.shape[1] != engine.n:
        raise BadInputError(f"a plan can be made for at most {LARGEST} items and models gp, bradley_terry or default")
    rng = stream(engine.seed, "plan", len(engine.votes))
    counts = rng.multinomial(studies, posterior.weights.numpy())
    regret, bytes_moved, begin, done = list[Tensor](), 0.0, time.perf_counter(), 0
    device = posterior.mu.device
    rows = torch.tensor(sorted(engine.ranking()), device=device)
    make, wide = _batch_for(engine, rows.cpu())
    at_once = max(1, HELD // (votes * len(rows) + wide))
    with engine.limited_threads():
        for model in np.flatnonzero(counts):
            which = torch.tensor([int(model)])
            prior = posterior.covariance(rows, which.to(device))[0].double()
            scale = root(prior.cpu()).to(device)
            for start in range(0, counts[model], at_once):
                size = min(at_once, int(counts[model]) - start)
                z = torch.as_tensor(rng.standard_normal((size, len(rows))), device=device)
                luck = torch.as_tensor(rng.random((votes, size)), device=device)
                mean = posterior.mu[model][rows].double()
                batch = make(mean.float(), prior.float(), (mean + z @ scale.T).float(), votes)
                regret.append(batch.run(luck.float()))
                bytes_moved += batch.bytes_moved
                done += size
                report(done)
    shuffled = torch.cat(regret)[torch.as_tensor(rng.permutation(studies))]
    return Forecast(shuffled.numpy(), time.perf_counter() - begin, bytes_moved)


def _batch_for(engine: Engine, rows: Tensor) -> tuple[Callable[[Tensor, Tensor, Tensor, int], Batch], int]:
    """What makes a batch for the engine's goal on these rows, and how many numbers it holds a study beside columns."""
    n = len(rows)
    if engine.goal == "best":
        return Batch, n
    if engine.goal == "top":
        top = len(engine.top())
        return lambda *arguments: TopBatch(*arguments, top=top), n
    if engine.listed is None:
        every = torch.stack(list(torch.triu_indices(n, n, 1)), 1)
        return lambda *arguments: PairsBatch(*arguments, pairs=_subset(every, engine.seed)), 8 * min(
            len(every), MOST_PAIRS
        )
    pairs = _subset(engine.listed, engine.seed)
    answered_pairs = {vote.pair for vote in engine.votes if vote.outcome.choice != "skip"}
    open_ = torch.tensor([(min(a, b), max(a, b)) not in answered_pairs for a, b in pairs.tolist()])
    return lambda *arguments: PairsBatch(*arguments, pairs=pairs, open_=open_), 8 * len(pairs)


def _subset(pairs: Tensor, seed: int) -> Tensor:
    """At most MOST_PAIRS of the pairs (P, 2), always the same."""
    if len(pairs) <= MOST_PAIRS:
        return pairs
    return pairs[stream(seed, "planned pairs").choice(len(pairs), MOST_PAIRS, replace=False)]


class Batch:
    """S studies at once. mean (N,), prior (N, N): what they begin with; truth: (S, N) their people's utilities."""

    def __init__(self, mean: Tensor, prior: Tensor, truth: Tensor, votes: int) -> None:
        studies, n = truth.shape
        self.prior, self.truth = prior, truth
        self.mean, self.variance = mean.repeat(studies, 1), prior.diagonal().repeat(studies, 1)
        self.columns = truth.new_empty(studies, votes, n)
        self.here, self.bytes_moved = torch.arange(studies, device=truth.device), 0.0
        self.nodes, self.weights = NODES.to(truth), NODE_WEIGHTS.to(truth)

    def run(self, luck: Tensor) -> Tensor:
        """(S, T + 1) regrets on CPU; luck: (T, S) uniforms that decide the votes."""
        regrets = [self.regret()]
        for t, uniform in enumerate(luck):
            if (query := self.ask(t)) is None:
                regrets += [regrets[-1]] * (len(luck) - t)
                break
            first, second, column = query
            true = self.truth[self.here, first] - self.truth[self.here, second]
            self.tell(t, first, second, column, torch.where(uniform < torch.sigmoid(true), 1.0, -1.0))
            regrets.append(self.regret())
        return torch.stack(regrets, 1).cpu()

    def ask(self, t: int) -> tuple[Tensor, Tensor, Tensor] | None:
        """Rows (S,) of the recommended items and their challengers, and cov(f, f_first - f_second) (S, N); None where
        nothing is left to ask."""
        first = self.mean.argmax(1)
        return self.against(first, torch.zeros_like(self.mean, dtype=torch.bool), t)

    def against(self, first: Tensor, never: Tensor, t: int) -> tuple[Tensor, Tensor, Tensor]:
        """The rows (S,) and the challengers most likely to be better by much, not those where `never` (S, N)."""
        with_first = self.covariance(first, t)
        mean = self.mean - self.mean[self.here, first][:, None]
        spread = self.variance + self.variance[self.here, first][:, None] - 2 * with_first
        gain = expected_improvement(mean, WIDEN * spread.clamp_min(1e-9).sqrt())
        gain[never] = -torch.inf
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
        new_variance = (mass * (x - after[:, None]) ** 2).sum(1)
        self.mean += column * ((after - d) / s2)[:, None]
        r = column * ((1 - new_variance / s2).clamp_min(0) / s2).sqrt()[:, None]
        self.columns[:, t] = r
        self.variance = (self.variance - r * r).clamp_min(0)

    def covariance(self, rows: Tensor, t: int) -> Tensor:
        """(S, N) posterior covariance of every item with one row (S,) of each study, after t votes."""
        columns = self.columns[:, :t]
        self.bytes_moved += 4.0 * columns.numel()
        return self.prior[rows] - torch.bmm(columns[self.here, :, rows][:, None], columns)[:, 0]

    def regret(self) -> Tensor:
        """(S,) simple regret of the recommended items."""
        best = self.truth.max(1).values
        lost = best - self.truth[self.here, self.mean.argmax(1)]
        return lost / (best - self.truth.mean(1)).clamp_min(1e-9)


class TopBatch(Batch):
    """Studies that look for the best `top` items."""

    def __init__(self, mean: Tensor, prior: Tensor, truth: Tensor, votes: int, *, top: int) -> None:
        super().__init__(mean, prior, truth, votes)
        self.top, self.best = top, self._inside(truth, top)

    @staticmethod
    def _inside(values: Tensor, top: int) -> Tensor:
        """(S, N) whether each item is among the `top` of the highest values (S, N)."""
        inside = torch.zeros_like(values, dtype=torch.bool)
        return inside.scatter_(1, values.topk(top, 1).indices, True)

    def ask(self, t: int) -> tuple[Tensor, Tensor, Tensor] | None:
        if self.top == self.truth.shape[1]:
            return None
        inside = self._inside(self.mean, self.top)
        least = torch.where(inside, self.mean - self.variance.sqrt(), torch.inf).argmin(1)
        return self.against(least, inside, t)

    def regret(self) -> Tensor:
        """(S,) shares of the chosen items that are not among the best."""
        hits = (self._inside(self.mean, self.top) & self.best).sum(1)
        return 1 - hits / self.top


class PairsBatch(Batch):
    """Studies that put the two items of every one of the pairs (P, 2) in order, by asking those that tell most
    (Houlsby et al. 2011, their approximation). open_: (P,) the pairs that may be asked, each once; None: all, again and
    again."""

    def __init__(
        self, mean: Tensor, prior: Tensor, truth: Tensor, votes: int, *, pairs: Tensor, open_: Tensor | None = None
    ) -> None:
        super().__init__(mean, prior, truth, votes)
        self.a, self.b = pairs.to(truth.device).unbind(1)
        own = prior.diagonal()
        spread = own[self.a] + own[self.b] - 2 * prior[self.a, self.b]
        self.spread = spread.repeat(len(truth), 1)
        self.open = None if open_ is None else open_.to(truth.device).repeat(len(truth), 1)
        self.right = truth[:, self.a] > truth[:, self.b]

    def ask(self, t: int) -> tuple[Tensor, Tensor, Tensor] | None:
        if self.open is not None and not self.open.any():
            return None
        d = (self.mean[:, self.a] - self.mean[:, self.b]) / LOGIT
        variance = self.spread.clamp_min(0) / LOGIT**2
        chance = torch.special.ndtr(d / (1 + variance).sqrt()).clamp(1e-6, 1 - 1e-6)
        total = -(chance * chance.log2() + (1 - chance) * (1 - chance).log2())
        unsure = HALF / (variance + HALF**2).sqrt() * torch.exp(-(d**2) / (2 * (variance + HALF**2)))
        bits = total - unsure
        if self.open is not None:
            bits[~self.open] = -torch.inf
        pair = bits.argmax(1)
        if self.open is not None:
            self.open[self.here, pair] = False
        first, second = self.a[pair], self.b[pair]
        return first, second, self.covariance(first, t) - self.covariance(second, t)

    def tell(self, t: int, first: Tensor, second: Tensor, column: Tensor, won: Tensor) -> None:
        super().tell(t, first, second, column, won)
        r = self.columns[:, t]
        self.spread -= (r[:, self.a] - r[:, self.b]) ** 2

    def regret(self) -> Tensor:
        """(S,) shares of the pairs that are in the wrong order."""
        return ((self.mean[:, self.a] > self.mean[:, self.b]) != self.right).float().mean(1)
