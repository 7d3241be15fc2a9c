"""Bradley-Terry over ids: each item has a utility of its own, and nothing is known of it but its votes.

Bradley and Terry (1952); ties as in Davidson (1970). The prior is N(0, amplitude^2) with the amplitude weighted by
evidence, so the posterior is proper from the first vote on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from elicit.inference.gaussian import GridPosterior
from elicit.inference.interactions import on_inputs
from elicit.inference.kernels import OwnCovariance
from elicit.inference.posterior import Knowledge
from elicit.types import Vote

AMPLITUDES = (0.5, 1.0, 2.0, 4.0)


class BradleyTerry:
    """Utilities of ids; what is known of the items is not looked at, of the inputs it is."""

    def init(self, n_items: int, known: Knowledge, device: str) -> GridPosterior:
        variance = torch.tensor([a * a for a in AMPLITUDES], dtype=torch.float64, device=device)
        base = OwnCovariance(variance[:, None].repeat(1, n_items))
        return on_inputs(GridPosterior.prior(base, [0.0] * len(AMPLITUDES)), known)

    def update(self, posterior: GridPosterior, votes: Sequence[Vote], rng: np.random.Generator) -> GridPosterior:
        return posterior.update(votes)
