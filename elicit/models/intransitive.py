"""Bradley-Terry over ids with a residual for each pair: preferences may run in circles, and evidence says if they do.

The prior of no residuals is 97 in a hundred, and then it is Bradley-Terry to the bit. Residuals are for pools in which
pairs can meet more than once; larger ones get Bradley-Terry alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch

from elicit.inference.gaussian import GridPosterior
from elicit.inference.kernels import OwnCovariance
from elicit.inference.posterior import Knowledge
from elicit.inference.residuals import ResidualPosterior
from elicit.models.bradley_terry import AMPLITUDES, BradleyTerry
from elicit.types import Vote

TAUS = {0.0: 0.97, 0.3: 0.01, 0.7: 0.01, 1.5: 0.01}
"""Standard deviations of the residuals in logits, and their prior probabilities."""
MOST_ITEMS = 128


class Intransitive:
    """Utilities of ids and residuals of their pairs; what is known of the items is not looked at."""

    def init(self, n_items: int, known: Knowledge, device: str) -> GridPosterior:
        if n_items > MOST_ITEMS:
            return BradleyTerry().init(n_items, known, device)
        grid = list(product(TAUS, AMPLITUDES))
        variance = torch.tensor([a * a for _, a in grid], dtype=torch.float64, device=device)
        utilities = GridPosterior.prior(
            OwnCovariance(variance[:, None].repeat(1, n_items)), [float(np.log(TAUS[tau])) for tau, _ in grid]
        )
        return ResidualPosterior.over(utilities, torch.tensor([tau * tau for tau, _ in grid], dtype=torch.float64))

    def update(self, posterior: GridPosterior, votes: Sequence[Vote], rng: np.random.Generator) -> GridPosterior:
        return posterior.update(votes)
