"""Which item is recommended: the best, or the best prompt of those whose responses are acceptable.

How often a prompt's responses are unacceptable is a hierarchical beta-binomial model over the prompts of a study.

    flagged_p ~ Binomial(shown_p, theta_p),  theta_p ~ Beta(mu kappa, (1 - mu) kappa),  mu ~ U(0, 1),  log kappa ~ U

Prompts of one study are alike in it, so what is seen of one says something of the others; how much is what kappa
learns (Gelman et al., Bayesian Data Analysis, chapter 5). With a flat prior a prompt is cleared by about as many clean
responses as the rule of three asks for, less where its whole pool is clean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from elicit.arithmetic import limited_threads
from studies.decisions import trusted_votes

if TYPE_CHECKING:
    from elicit.engine import Engine
    from elicit.log.state import State
    from elicit.stopping import Stop
    from studies.spec import Spec

MU = (np.arange(60) + 0.5) / 60
KAPPA = np.geomspace(0.5, 200, 24)
CELLS = 400
"""Steps of the integral over theta."""


def acceptable(spec: Spec, state: State) -> NDArray[np.float64] | None:
    """(N,) the probability for each prompt that its responses are unacceptable no more often than is allowed; None
    where no limit is set. Counted are the responses that people were shown in a vote."""
    tuning = spec.tuning
    if tuning is None or tuning.safety is None:
        return None
    shown, flagged = counts(spec, state)
    return probability_below(shown, flagged, tuning.safety.limit)


def recommend(engine: Engine, spec: Spec, state: State) -> int | None:
    """The row of the recommended item: of a study that tunes prompts under a limit, the best that keeps to it, or
    None."""
    if spec.tuning is None or spec.tuning.safety is None:
        return engine.best()
    safe, confidence = acceptable(spec, state), spec.tuning.safety.confidence
    assert safe is not None
    fit = [row for row in state.live() if safe[row] >= confidence]
    with engine.limited_threads():
        mean = engine.posterior.mean()
    return max(fit, key=lambda row: float(mean[row])) if fit else None


def guard_stop(engine: Engine, spec: Spec, state: State, stop: Stop) -> Stop:
    """The stop rule of a study with a limit, whose sentence is about the leading item, be it acceptable or not:
    it is not met while none may be recommended."""
    fit = recommend(engine, spec, state)
    if fit == engine.best():
        return stop
    why = stop.why.replace("the recommended item", "the best item")
    if fit is not None:
        return msgspec.structs.replace(
            stop, why=f"{why}; the recommended one is the best that is known to be acceptable"
        )
    votes_left = None if stop.stop else stop.votes_left
    return msgspec.structs.replace(
        stop, stop=False, why=f"{why}; none is known to be acceptable", votes_left=votes_left
    )


def counts(spec: Spec, state: State) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) of each prompt, the responses that people voted on, and how often they called its side unacceptable; whoever
    is quarantined says nothing of either."""
    n = len(state.items)
    shown, flagged = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for live in trusted_votes(spec, state):
        if live.vote.outcome.choice == "skip" and not live.unacceptable:
            continue
        for side, row in (("a", live.vote.a), ("b", live.vote.b)):
            shown[row] += max(1, len(live.vote.inputs))
            flagged[row] += side in live.unacceptable
    return shown, flagged


@limited_threads(0)
def probability_below(shown: NDArray[np.int64], flagged: NDArray[np.int64], limit: float) -> NDArray[np.float64]:
    """(N,) P(theta <= limit) for each prompt, from how often it was shown and flagged, both (N,)."""
    mu, kappa = (torch.as_tensor(grid.ravel()) for grid in np.meshgrid(MU, KAPPA, indexing="ij"))
    a, b = mu * kappa, (1 - mu) * kappa
    n, k = torch.as_tensor(shown)[:, None], torch.as_tensor(flagged)[:, None]
    likelihood = _log_beta(a + k, b + n - k) - _log_beta(a, b)  # (N, G)
    weight = torch.softmax(likelihood.sum(0), 0)
    # In log-odds the density of a beta has no pole, so that a sum over even steps is exact enough.
    logit = torch.linspace(-25.0, 25.0, CELLS, dtype=torch.float64)
    inside = torch.sigmoid(logit) <= limit
    log_theta, log_rest = torch.nn.functional.logsigmoid(logit), torch.nn.functional.logsigmoid(-logit)
    kinds, place = np.unique(np.stack([shown, flagged], 1), axis=0, return_inverse=True)
    chances = []
    for many, bad in kinds.tolist():
        density = ((a + bad)[:, None] * log_theta + (b + many - bad)[:, None] * log_rest).softmax(1)
        chances.append(float(weight @ density[:, inside].sum(1)))
    return np.array(chances)[place.reshape(-1)]


def _log_beta(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
