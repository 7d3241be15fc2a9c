"""Expected gain of a swap: ask the pair across the boundary of the top k that most likely should change places.

With the k items that are recommended inside, a pair (inside, outside) is worth E max(0, f_out - f_in): the
expected improvement (Mockus 1978; against a random incumbent, Ginsbourger et al. 2008) of letting one in for the other.
At k = 1 the incumbent meets its best challenger, as in top-two expected improvement (Qin et al. 2017); larger k ask at
the boundary, as LUCB does (Kalyanakrishnan et al. 2012).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from elicit.inference.posterior import Posterior
from elicit.selection import Candidates, Pick, argmax_pick, expected_improvement, greedy_batch
from elicit.stopping import ranking
from elicit.types import Vote


class Swap:
    """Maximises the expected gain over the pairs of one of the `top` best and one other item of a shortlist.

    widen, breadth, size: as of EUBO.
    """

    def __init__(self, top: int = 1, widen: float = 2.0, breadth: float = 1.5, size: int = 100) -> None:
        self.top, self.widen, self.breadth, self.size = top, widen, breadth, size

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        def choose(posterior: Posterior, candidates: Candidates) -> Pick | None:
            pairs = candidates.near(posterior.shortlist(max(self.size, 2 * self.top), self.breadth))
            inside = torch.zeros(posterior.n, dtype=torch.bool)
            inside[ranking(posterior, posterior.best())[: self.top]] = True
            first, second = inside[pairs].unbind(1)
            across = first != second
            if across.any():
                pairs, first = pairs[across], first[across]
            if not len(pairs):
                return None
            weights, d, variance = posterior.mixture(pairs)
            gain = expected_improvement(torch.where(first, -d, d), self.widen * variance.sqrt())
            return argmax_pick(pairs, weights @ gain)

        return greedy_batch(choose, posterior, candidates, k)
