"""The default model: nobody has to choose.

Items that are ids only get Bradley-Terry, with residuals of pairs where there are not too many. Items of which
something is known get the Gaussian process, whose grid averages over kernels, amplitudes and features that say nothing
at all from the first vote on; from two thousand votes on the neural utility is averaged in, by how well each foretells
the votes. Before that a network knows no better than the grid, and costs more. Where items are compared on inputs
there are neither residuals nor networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from elicit.averaged import Averaged
from elicit.gaussian import GridPosterior
from elicit.models.bradley_terry import BradleyTerry
from elicit.models.gp import GaussianProcess
from elicit.models.intransitive import Intransitive
from elicit.models.neural import NeuralPosterior, seen_by_networks
from elicit.networks import Training
from elicit.posterior import Knowledge, Posterior
from elicit.types import Vote

TRAIN = 1334
"""Votes at which a network begins to train; it joins at half as many more."""

WELCOME = float(np.log(0.1 / 0.9))
"""Log odds with which it joins: in small pools it seldom foretells better, and it has to show that it does."""
LARGEST = 20_000
"""Larger pools are left to the Gaussian process: a network would have to look at every item again and again."""


@dataclass(frozen=True)
class Joined(Averaged):
    """The average, and the network that joins it later; it has learnt nothing yet but keeps the votes."""

    waiting: Training | None = None

    def after(self, vote: Vote) -> Joined:
        """The belief after one more vote."""
        parts = tuple(part.update([vote]) for part in self.parts)
        if self.waiting is None or vote.outcome.choice == "skip":
            return replace(self, parts=parts).without_the_unheard()
        waiting = self.waiting.after(vote, parts[0].noise)
        if not waiting.ready:
            return replace(self, parts=parts, waiting=waiting)
        network = NeuralPosterior.trained(waiting)
        together = torch.logsumexp(torch.stack([part.log_evidence for part in parts]), 0)
        return Joined((*parts, network.weighing(together + WELCOME)))


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
        if isinstance(posterior, GridPosterior):
            return posterior.update(votes)
        assert isinstance(posterior, Joined)
        for vote in votes:
            posterior = posterior.after(vote)
        return posterior
