"""Winner stays (WS-W): Chen and Frazier (2017), "Dueling bandits with weak regret", ICML.

The two items with the most wins over losses meet; among equals those of the last duel stay.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bandits._counts import Partners, counts, draw_row, highest_rows, one_after_another, sum_by_row
from elicit.inference.posterior import Posterior
from elicit.selection import Candidates, Pick
from elicit.types import Vote


class WinnerStays:
    """A knockout without end, with N numbers to remember. The propensity is the chance among ties."""

    def __init__(self) -> None:
        self._tally = counts()

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        last = next((vote.pair for vote in reversed(votes) if vote.outcome.choice != "skip"), ())
        with self._tally.of(candidates, votes) as tally:
            rows, _, wins, games = tally.duels()
            lead = sum_by_row(rows, 2 * wins - games, tally.n)
            stays = lead + 0.25 * np.isin(np.arange(tally.n), last)  # leads are whole numbers, or halves after ties

            def choose(partners: Partners) -> Pick:
                a, chance = draw_row(rng, highest_rows(stays, partners.some))
                b, share = draw_row(rng, highest_rows(stays, partners.of(a)))
                return Pick(a, b, float(lead[a]), chance * share)

            return one_after_another(choose, candidates, k)
