"""Thompson sampling for duels: two draws from the posterior, each names its best item; they meet.

Thompson (1933); for duels, Gonzalez et al. (2017) and the double Thompson sampling of Wu and Liu (2016), here with
both arms from the joint posterior and redrawn until they differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from elicit.inference.posterior import Posterior
from elicit.selection import Candidates, Pick
from elicit.types import Vote


class ThompsonSampling:
    """Draws pairs in proportion to the product of the items' probabilities of being best.

    The probabilities come from `draws` joint samples. The propensity of a pick is its chance given these draws and the
    picks before it.
    """

    def __init__(self, draws: int = 512, size: int = 400) -> None:
        self.draws, self.size = draws, size

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        picks: list[Pick] = []
        while len(picks) < k and (
            more := self._picks_from_draws(posterior, candidates.without(picks), k - len(picks), rng)
        ):
            picks += more
        return picks

    def _picks_from_draws(
        self, posterior: Posterior, candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        """Up to k picks from the same draws; one from those of a part of a list."""
        pairs = candidates.near(posterior.shortlist(self.size, 2.0))
        if not len(pairs):
            return []
        present = torch.zeros(posterior.n, dtype=torch.bool)
        present[pairs.flatten()] = True
        rows = torch.nonzero(present)[:, 0]
        best = posterior.sample(self.draws, rng, rows).argmax(1)
        # Half a draw, shared by all: an item never drawn still has some chance, and a pair always exists.
        share = torch.zeros(posterior.n, dtype=torch.float64)
        share[rows] = torch.bincount(best, minlength=len(rows)).double() + 0.5 / len(rows)
        weight = (share[pairs[:, 0]] * share[pairs[:, 1]]).numpy()
        picks = []
        for _ in range(min(k if candidates.parts == 1 else 1, len(pairs))):
            chance = weight / weight.sum()
            r = int(rng.choice(len(pairs), p=chance))
            picks.append(Pick(int(pairs[r, 0]), int(pairs[r, 1]), float(chance[r]), float(chance[r])))
            weight[r] = 0.0
        return picks
