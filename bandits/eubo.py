"""Expected utility of the best option (EUBO): ask the pair whose better item is expected to be best.

Lin et al. (2022), "Preference exploration for efficient Bayesian optimization with multiple outcomes"; one-step
Bayes optimal for finding the best item when votes are noiseless (Astudillo et al. 2023). For a Gaussian pair
EUBO(a, b) = E max(f_a, f_b) has a closed form; it is averaged over the models the votes still allow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elicit.posterior import Posterior
from elicit.selection import Candidates, Pick, highest, improvement, one_by_one
from elicit.types import Vote


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
            weights, d, variance = posterior.mixture(pairs)
            gain = improvement(d, self.widen * variance.sqrt())
            return highest(pairs, posterior.mean()[pairs[:, 1]] + weights @ gain)

        return one_by_one(choose, posterior, candidates, k)
