"""Expected gain of a swap: ask the pair across the boundary of the top k that most likely should change places.

With the k items that are recommended inside, a pair (inside, outside) is worth E max(0, f_out - f_in): the
expected improvement (Mockus 1978; against a random incumbent, Ginsbourger et al. 2008) of letting one in for the other.
At k = 1 the incumbent meets its best challenger, as in top-two expected improvement (Qin et al. 2017); larger k ask at
the boundary, as LUCB does (Kalyanakrishnan et al. 2012).
"""

from __future__ import annotations

import torch
from torch import Tensor

from elicit.inference.posterior import Posterior
from elicit.selection import Acquisition, Candidates, expected_improvement
from elicit.stopping import ranking


class Swap(Acquisition):
    """Maximises the expected gain over the pairs of one of the `top` best and one other item of a shortlist.

    widen: as of EUBO.
    """

    def __init__(self, top: int = 1, widen: float = 2.0, breadth: float = 1.5, size: int = 100) -> None:
        super().__init__(breadth, max(size, 2 * top))
        self.top, self.widen = top, widen

    def pairs(self, posterior: Posterior, candidates: Candidates) -> Tensor:
        pairs = super().pairs(posterior, candidates)
        first, second = self._is_inside(posterior, pairs).unbind(1)
        across = first != second
        return pairs[across] if across.any() else pairs

    def value(self, posterior: Posterior, pairs: Tensor) -> Tensor:
        weights, d, variance = posterior.mixture(pairs)
        first = self._is_inside(posterior, pairs)[:, 0]
        return weights @ expected_improvement(torch.where(first, -d, d), self.widen * variance.sqrt())

    def _is_inside(self, posterior: Posterior, pairs: Tensor) -> Tensor:
        """(P, 2) whether each item of the pairs (P, 2) is one of the `top` best."""
        inside = torch.zeros(posterior.n, dtype=torch.bool)
        inside[ranking(posterior, posterior.best())[: self.top]] = True
        return inside[pairs]
