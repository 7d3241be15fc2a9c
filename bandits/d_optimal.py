"""D-optimal design: ask the pair whose difference is least known, whatever its mean.

For a vote that told the difference up to equal noise, the largest variance is the largest gain in log determinant
(Chaloner and Verdinelli 1995).
"""

from __future__ import annotations

import math

from torch import Tensor

from elicit.inference.posterior import Posterior
from elicit.selection import Acquisition


class DOptimal(Acquisition):
    """Maximises the variance of f_a - f_b over all admissible pairs of the `size` least known items."""

    def __init__(self, size: int = 150) -> None:
        super().__init__(math.inf, size)

    def value(self, posterior: Posterior, pairs: Tensor) -> Tensor:
        weights, _, variance = posterior.mixture(pairs)
        return weights @ variance
