"""Borda counts by Thompson sampling: each item's chance of beating whom it meets, from Beta(wins + 1, losses + 1).

Two draws name an item each, and the two meet: Thompson sampling (1933) on Borda scores (de Borda 1784) as in top-two
sampling (Russo 2016). It looks at N numbers and not at N^2, and so learns from the first votes on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bandits._counts import Partners, counts, draw_row, highest_rows, one_after_another, sum_by_row
from elicit.inference.posterior import Posterior
from elicit.selection import Candidates, Pick
from elicit.types import Vote


class BordaThompson:
    """The best item of one draw against the best of another; an item never meets itself, the next best takes its place.

    The score of an item that has met strong ones only is too low; where everybody is met evenly it is its Borda score.
    The propensity is the chance given the draws.
    """

    def __init__(self) -> None:
        self._tally = counts()

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        with self._tally.of(candidates, votes) as tally:
            rows, _, wins, games = tally.duels()
            won, games_by_row = (sum_by_row(rows, x, tally.n) for x in (wins, games))

            def choose(partners: Partners) -> Pick:
                first, second = rng.beta(won + 1, games_by_row - won + 1, (2, tally.n))
                a, chance = draw_row(rng, highest_rows(first, partners.some))
                b, share = draw_row(rng, highest_rows(second, partners.of(a)))
                return Pick(a, b, float(first[a]), chance * share)

            return one_after_another(choose, candidates, k)
