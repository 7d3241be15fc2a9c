"""AEPsych: its pairwise model, with the pairs of the given points in place of its search of a box.

AEPsych optimises an acquisition function over a box and takes no list of candidates, so its model (PairwiseProbitModel
with its default kernel and priors, hyperparameters fitted again after every vote as its strategies do) is used over the
points in the unit box, and of all pairs of a shortlist the one is asked that maximises the acquisition function it
has for pairs (EUBO, in closed form). As in its example configuration the first ten pairs are drawn without a model.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import torch

os.environ.pop("CI", None)  # there AEPsych raises every warning
logging.disable()
warnings.simplefilter("ignore")

from aepsych.models import PairwiseProbitModel  # noqa: E402  (loads under the settings above)
from botorch.exceptions.errors import ModelFittingError  # noqa: E402

FIRST = 10
SHORTLIST = 256
BREADTH = 1.5


def play(setup: dict[str, Any], compare: Callable[[int, int, Callable[[], int]], bool]) -> None:
    """setup: "features" in the unit box (N, d), "seed"."""
    torch.manual_seed(setup["seed"])
    rng = np.random.default_rng(setup["seed"])
    points = torch.tensor(setup["features"], dtype=torch.float64)
    dim = points.shape[1]
    model = PairwiseProbitModel(lb=torch.zeros(dim).double(), ub=torch.ones(dim).double())
    pairs, outcomes = list[torch.Tensor](), list[float]()
    mean, variance = torch.zeros(len(points)).double(), torch.ones(len(points)).double()

    def best() -> int:
        return int(mean.argmax())

    while True:
        if len(pairs) < FIRST:
            a, b = (int(row) for row in rng.choice(len(points), 2, replace=False))
        else:
            rows = (mean + BREADTH * variance.clamp_min(0).sqrt()).argsort(descending=True)[:SHORTLIST].sort().values
            with torch.no_grad():
                belief = model.posterior(points[rows])
            i, j = eubo_pair(belief.mean[:, 0], belief.distribution.covariance_matrix)
            a, b = int(rows[i]), int(rows[j])
        outcomes.append(0.0 if compare(a, b, best) else 1.0)
        pairs.append(points[[a, b]].T)
        with suppress(ModelFittingError):  # as in its strategies: the model goes on with what it has
            model.fit(torch.stack(pairs), torch.tensor(outcomes))
        model.eval()
        with torch.no_grad():
            belief = model.posterior(points)
            mean, variance = belief.mean[:, 0], belief.variance[:, 0]


def eubo_pair(mean: torch.Tensor, covariance: torch.Tensor) -> tuple[int, int]:
    """The places that maximise E max(f_i, f_j) under a joint Gaussian: mean (S,), covariance (S, S)."""
    i, j = torch.triu_indices(len(mean), len(mean), 1)
    sd = (covariance[i, i] + covariance[j, j] - 2 * covariance[i, j]).clamp_min(1e-12).sqrt()
    z = (mean[i] - mean[j]) / sd
    density = torch.exp(-0.5 * z * z) / (2 * torch.pi) ** 0.5
    k = int((mean[j] + sd * (z * torch.special.ndtr(z) + density)).argmax())
    return int(i[k]), int(j[k])
