"""Routers that hear every judge and then ask a human about a part of the queries: what they share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elicit.routers._labelling import AsAnswered, Fused
from elicit.routing.case import Budget, BudgetPacer, Case, Decision, Seat, offer
from elicit.routing.dispersion import DispersionBelief
from elicit.routing.fusion import Label


class HearsAll:
    """Asks every judge, then a human about the queries of the highest score.

    labels: how answers become labels. explore: the share of the humans' money that is spent by lot.
    """

    def __init__(self, labels: AsAnswered | Fused, explore: float = 0.0) -> None:
        self.labels, self.pace = labels, BudgetPacer(explore)

    def score(self, case: Case) -> float:
        """How much a human's answer is wanted; all alike are drawn for by lot."""
        return 0.0

    def chance(self, score: float, share: float) -> float:
        """The probability of asking a human where a share of the queries can be afforded."""
        return self.pace.chance(score, share)

    def route(self, case: Case, seats: Sequence[Seat], budget: Budget, rng: np.random.Generator) -> Decision:
        """Whom to ask next; see `elicit.routing.case.Router`."""
        judges, human, share = offer(case, seats, budget)
        if judges:
            return Decision(judges[0].name, reason="every judge answers")
        if human is None:
            return Decision(None, reason="a human answered" if case.outcomes else "no human is to be had")
        score = self.score(case)
        chance = self.chance(score, share)
        numbers = {"score": score, "share": share, "chance": chance}
        reason = ", ".join(f"{name} {value:.2f}" for name, value in numbers.items())
        if rng.random() < chance:
            return Decision(human.name, chance, numbers, reason)
        return Decision(None, 1 - chance, numbers, reason)

    def tell(self, case: Case) -> None:
        """Learn from a case that is done."""
        if not case.earlier:
            self.pace.record_score(self.score(case.unanswered))
        self.labels.tell(case)

    def label(self, case: Case) -> DispersionBelief | Label:
        """The label of a case."""
        return self.labels.label(case)
