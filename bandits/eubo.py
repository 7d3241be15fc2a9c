"""Expected utility of the best option (EUBO): ask the pair whose better item is expected to be best.

Lin et al. (2022), "Preference exploration for efficient Bayesian optimization with multiple outcomes"; one-step
Bayes optimal for finding the best item when votes are noiseless (Astudillo et al. 2023). For a Gaussian pair
EUBO(a, b) = E max(f_a, f_b) has a closed form; it is averaged over the models the votes still allow.
"""

from __future__ import annotations

import torch
from torch import Tensor

from elicit.inference.posterior import Posterior
from elicit.selection import Acquisition, expected_improvement

NEGLIGIBLE = 1e-4
"""A difference in logits that is no reason to ask one pair and not another."""


class Eubo(Acquisition):
    """Maximises EUBO over the pairs of a shortlist.

    widen: factor on the posterior standard deviation of the difference; above 1 it explores more, which costs
    little early and wins late because a vote is noisy.
    """

    def __init__(self, widen: float = 2.0, breadth: float = 1.5, size: int = 100) -> None:
        super().__init__(breadth, size)
        self.widen = widen

    def value(self, posterior: Posterior, pairs: Tensor) -> Tensor:
        rows, place = torch.unique(pairs, return_inverse=True)
        # Means come from the same models as the gains: those that the mixture leaves out would tilt the sum.
        against = torch.stack([rows, rows[:1].expand(len(rows))], 1)
        weights, d, variance = posterior.mixture(torch.cat([pairs, against]))
        means = (weights @ d[:, len(pairs) :])[place]
        gain = expected_improvement(d[:, : len(pairs)], self.widen * variance[:, : len(pairs)].sqrt())
        value = means[:, 1] + weights @ gain
        # Once nothing is left to gain, the best item meets the next best instead of whom rounding favours.
        return torch.where(value > value.max() - NEGLIGIBLE, value + NEGLIGIBLE * means.sum(1), -torch.inf)
