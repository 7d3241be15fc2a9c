"""The default model: nobody has to choose.

Items that are ids only get Bradley-Terry, with residuals of pairs where there are not too many. Items of which
something is known get the Gaussian process, whose grid averages over kernels, amplitudes and features that say nothing
at all from the first vote on; from two thousand votes on the neural utility is averaged in, by how well each foretells
the votes. Before that a network knows no better than the grid, and costs more. Where items are compared on inputs
there are neither residuals nor networks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elicit.inference.networks import Training
from elicit.inference.posterior import Knowledge, Posterior
from elicit.models.bradley_terry import BradleyTerry
from elicit.models.gp import GaussianProcess
from elicit.models.intransitive import Intransitive
from elicit.models.neural import TRAIN, Joined, learn_votes, seen_by_networks
from elicit.types import Vote

LARGEST = 20_000
"""Larger pools are left to the Gaussian process: a network would have to look at every item again and again."""


class Default:
    """Chooses the model by what is known of the items, and averages."""

    def init(self, n_items: int, known: Knowledge, device: str) -> Posterior:
        if known.features is None and known.scores is None:
            model = Intransitive() if known.inputs is None else BradleyTerry()
            return model.init(n_items, known, device)
        process = GaussianProcess().init(n_items, known, device)
        if n_items > LARGEST or known.features is None or known.inputs is not None:
            return process
        return Joined((process,), Training.on(seen_by_networks(known, device), TRAIN))

    def update(self, posterior: Posterior, votes: Sequence[Vote], rng: np.random.Generator) -> Posterior:
        return learn_votes(posterior, votes)
