"""The default model: nobody has to choose.

Items with features get the Gaussian process, whose grid reaches down to features that say nothing at all; items
that are ids only get Bradley-Terry.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elicit.gaussian import GridPosterior
from elicit.models.bradley_terry import BradleyTerry
from elicit.models.gp import GaussianProcess
from elicit.posterior import Knowledge
from elicit.types import Vote


class Default:
    """Chooses the model by what is known of the items."""

    def init(self, n_items: int, known: Knowledge, device: str) -> GridPosterior:
        ids_only = known.features is None and known.scores is None
        model = BradleyTerry() if ids_only else GaussianProcess()
        return model.init(n_items, known, device)

    def update(self, posterior: GridPosterior, votes: Sequence[Vote], rng: np.random.Generator) -> GridPosterior:
        return posterior.update(votes)
