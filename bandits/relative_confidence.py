"""Relative confidence sampling (RCS): Zoghi, Whiteson, de Rijke and Munos (2014), WSDM.

A draw of all pairs from their Beta posteriors names a champion, who beats everybody in it; it meets the item with the
topmost upper bound against it, as in RUCB.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bandits._counts import (
    Partners,
    challenger,
    counts,
    draw_row,
    highest_rows,
    one_after_another,
    sampled_wins,
    sum_by_row,
)
from elicit.inference.posterior import Posterior
from elicit.selection import Candidates, Pick
from elicit.types import Vote


class RelativeConfidenceSampling:
    """A champion drawn, its challenger by optimism. alpha: above 1/2; larger explores more.

    Where the draw has no champion, it is the item that had the fewest duels: the paper takes the one that was champion
    the fewest times, which votes do not tell. Unlike in the paper no item meets itself. The propensity is the
    chance given the draw.
    """

    def __init__(self, alpha: float = 0.51) -> None:
        self.alpha = alpha
        self._tally = counts()

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        with self._tally.of(candidates, votes) as tally:
            duels = tally.duels()
            games = sum_by_row(duels.rows, duels.games, tally.n)

            def choose(partners: Partners) -> Pick:
                champion = (sampled_wins(tally, rng) == tally.n - 1) & partners.some
                if not champion.any():
                    champion = highest_rows(-games, partners.some)
                c, chance = draw_row(rng, champion)
                d, bound, share = challenger(tally, self.alpha, c, partners, rng)
                return Pick(c, d, bound, chance * share)

            return one_after_another(choose, candidates, k)
