"""Selective conformal judging: the dearest judge, heard in both orders, stands where the entropy of its mean preference
is low enough (Badshah, Emami and Sajjad 2026, "SCOPE").

The threshold is the loosest at which the accepted verdicts' errors stay under `risk` by conformal risk control of the
loss 1[accepted] (1[wrong] - risk), of which one query more could add 1 - risk (Angelopoulos et al. 2024). The paper
abstains on the rest; here a human answers as long as the budget has one.
"""

from __future__ import annotations

from collections.abc import Sequence

from elicit.routers._selective import NONE, Selective
from elicit.routing.case import Seat


class Scope(Selective):
    """Confidence and entropy order queries alike, so the threshold is on the confidence."""

    def panel(self, seats: Sequence[Seat]) -> list[Seat]:
        return super().panel(seats)[-1:]

    def threshold(self, checked: Sequence[tuple[float, bool]]) -> float:
        loosest = NONE
        for least in {sure for sure, _ in checked}:
            total = sum(wrong - self.risk for sure, wrong in checked if sure >= least)
            if total + 1 - self.risk <= 0:
                loosest = min(loosest, least)
        return loosest
