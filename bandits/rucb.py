"""Relative upper confidence bound (RUCB): Zoghi, Whiteson, Munos and de Rijke (2014), ICML.

With w_ij the duels that i won against j and t the number of the duel, i is optimistically as good as j where

    u_ij = w_ij / (w_ij + w_ji) + sqrt(alpha ln t / (w_ij + w_ji)) >= 1/2,          x / 0 = 1.

A champion is as good as everybody; one of them meets the item with the best chance of beating it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bandits._counts import Mask, Partners, Tally, challenger, draw_row, one_after_another
from elicit.inference.posterior import Posterior
from elicit.selection import Candidates, Pick
from elicit.types import Vote


class RelativeUpperConfidenceBound:
    """Optimism on both sides. alpha: above 1/2; larger explores more.

    Unlike in the paper no item meets itself: a champion whom nobody can beat any more meets whoever comes closest. The
    propensity is the chance of the champion times that of its challenger among ties.
    """

    def __init__(self, alpha: float = 0.51) -> None:
        self.alpha = alpha
        self._tally: Tally[frozenset[int]] = Tally(lambda n: frozenset(), self._favourite)

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        with self._tally.of(candidates, votes) as tally:
            champions = champions_of(tally, self.alpha)
            favourite = np.isin(np.arange(tally.n), list(tally.state))

            def choose(partners: Partners) -> Pick:
                among = champions & partners.some
                if not among.any():
                    among = partners.some
                others = max(1, int((among & ~favourite).sum()))
                # The favourite gets half of the chance, the others share the rest.
                c, chance = draw_row(rng, among, np.where(favourite, 1.0, 1 / others))
                d, bound, share = challenger(tally, self.alpha, c, partners, rng)
                return Pick(c, d, bound, chance * share)

            return one_after_another(choose, candidates, k)

    def _favourite(self, tally: Tally[frozenset[int]], before: frozenset[int]) -> frozenset[int]:
        """The set B of the paper: who was the only champion once, and is a champion still."""
        rows = np.flatnonzero(champions_of(tally, self.alpha)).tolist()
        return frozenset(rows) if len(rows) == 1 else before & frozenset(rows)


def champions_of(tally: Tally[frozenset[int]], alpha: float) -> Mask:
    """(N,) the items that are optimistically as good as everybody."""
    rows, _, wins, games = tally.duels()
    beaten = wins / games + np.sqrt(alpha * np.log(tally.total + 1) / games) < 0.5
    champions: Mask = np.ones(tally.n, dtype=bool)
    champions[rows[beaten]] = False
    return champions
