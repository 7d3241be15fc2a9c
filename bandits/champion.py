"""The default for ids: EUBO while utilities explain the votes, the Copeland winner by double Thompson sampling after.

EUBO finds the best item in the fewest votes where there are utilities, and comes back to the same few pairs. Where
preferences run in circles those pairs say little of who is preferred to the most others (see `copeland`). The model's
evidence decides from vote to vote.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bandits.copeland import CopelandThompson
from bandits.eubo import Eubo
from elicit.inference.posterior import Posterior
from elicit.selection import Candidates, Pick
from elicit.types import Vote


class Champion:
    """EUBO or Copeland-Thompson, by `posterior.transitive`."""

    def __init__(self) -> None:
        self._eubo, self._copeland = Eubo(), CopelandThompson()

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        chosen = self._eubo if posterior.transitive else self._copeland
        return chosen.select(posterior, votes, candidates, k, rng)
