"""How the belief moved, vote by vote: the votes of a study learnt once more with a look at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from elicit.log.state import State
from elicit.safe_text import percent
from studies.decisions import engine_for, engine_votes, stop_of
from studies.spec import Spec

POINTS = 60


@dataclass
class Trace:
    """Curves over the live votes.

    at: votes after which the belief was looked at, from 0 on; expected: what the stop rule measures there; p_best:
    (len(at), N); best: row recommended there; bits: what each vote taught about its pair, (T,); before, after:
    P(a preferred) around each vote.
    """

    at: list[int] = field(default_factory=list)
    expected: list[float] = field(default_factory=list)
    p_best: list[NDArray[np.float64]] = field(default_factory=list)
    best: list[int] = field(default_factory=list)
    bits: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)

    def per_vote(self, values: Sequence[float]) -> tuple[float, ...]:
        """One value per vote, from 0 on: straight lines between the looks."""
        return tuple(float(v) for v in np.interp(range(self.at[-1] + 1), self.at, values))


def trace_of(spec: Spec, state: State, *, points: int = POINTS, closely: bool = True) -> Trace:
    """Learn the study's votes again; points: about how often to look; closely: also what each vote taught."""
    engine = engine_for(spec, state)
    votes = engine_votes(state)
    step = max(1, -(-len(votes) // points))
    trace = Trace()
    for i in range(len(votes) + 1):
        if i % step == 0 or i == len(votes):
            trace.at.append(i)
            trace.expected.append(stop_of(engine, spec).expected)
            trace.p_best.append(engine.p_best())
            trace.best.append(engine.best())
        if i == len(votes):
            break
        if not closely:
            engine.learn([votes[i]])
            continue
        pair = torch.tensor([[votes[i].a, votes[i].b]])
        with engine.limited_threads():
            old = engine.posterior.difference(pair)
            engine.learn([votes[i]])
            new = engine.posterior.difference(pair)
        trace.before.append(float(old.probability))
        trace.after.append(float(new.probability))
        trace.bits.append(_divergence(float(new.mean), float(new.variance), float(old.mean), float(old.variance)))
    return trace


def _divergence(mean: float, variance: float, old_mean: float, old_variance: float) -> float:
    """KL(new || old) of two Gaussians in bits: what was learnt."""
    ratio = max(variance, 1e-12) / max(old_variance, 1e-12)
    nats = 0.5 * (ratio - 1 - np.log(ratio) + (mean - old_mean) ** 2 / max(old_variance, 1e-12))
    return float(nats / np.log(2))


def sentence(before: float, after: float, swapped: bool) -> str:
    """What a vote changed about its pair, by the sides it was shown on: `before` and `after` are P(a is better), and
    swapped says that b stood on the left."""
    old, new = (1 - before, 1 - after) if swapped else (before, after)
    return f"The chance that the left one is better went from {percent(old)} to {percent(new)}."
