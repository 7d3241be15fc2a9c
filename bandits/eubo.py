"""Expected utility of the best option (EUBO): ask the pair whose better item is expected to be best.

Lin et al. (2022), "Preference exploration for efficient Bayesian optimization with multiple outcomes"; one-step
Bayes optimal for finding the best item when votes are noiseless (Astudillo et al. 2023). For a Gaussian pair
EUBO(a, b) = E max(f_a, f_b) has a closed form; it is averaged over the models the votes still allow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from elicit.inference.posterior import Posterior
from elicit.selection import Candidates, Pick, argmax_pick, expected_improvement, greedy_batch
from elicit.types import Vote

NEGLIGIBLE = 1e-4
"""A difference in logits that is no reason to ask one pair and not another."""


class Eubo:
    """Maximises EUBO over the pairs of a shortlist.

    widen: factor on the posterior standard deviation of the difference; above 1 it explores more, which costs
    little early and wins late because a vote is noisy. breadth: how many standard deviations above its mean an item
    is judged by for the shortlist.
    """

    def __init__(self, widen: float = 2.0, breadth: float = 1.5, size: int = 100) -> None:
        self.widen, self.breadth, self.size = widen, breadth, size

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        def choose(posterior: Posterior, candidates: Candidates) -> Pick | None:
            pairs = candidates.near(posterior.shortlist(self.size, self.breadth))
            if not len(pairs):
                return None
            rows, place = torch.unique(pairs, return_inverse=True)
            # Means come from the same models as the gains: those that the mixture leaves out would tilt the sum.
            against = torch.stack([rows, rows[:1].expand(len(rows))], 1)
            weights, d, variance = posterior.mixture(torch.cat([pairs, against]))
            means = (weights @ d[:, len(pairs) :])[place]
            gain = expected_improvement(d[:, : len(pairs)], self.widen * variance[:, : len(pairs)].sqrt())
            value = means[:, 1] + weights @ gain
            # Once nothing is left to gain, the best item meets the next best instead of whom rounding favours.
            level = value > value.max() - NEGLIGIBLE
            return argmax_pick(pairs[level], value[level] + NEGLIGIBLE * means[level].sum(1))

        return greedy_batch(choose, posterior, candidates, k)
