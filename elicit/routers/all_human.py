"""Humans answer everything while there is money for them, from the first query on; then the machine judges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elicit.routers._labelling import AsAnswered
from elicit.routing.case import Budget, Case, Decision, Seat, offer


class AllHuman(AsAnswered):
    """A human where one can be paid; a judge costs nothing of the humans' money."""

    def route(self, case: Case, seats: Sequence[Seat], budget: Budget, rng: np.random.Generator) -> Decision:
        open_to = offer(case, seats, budget)
        if case.outcomes:
            return Decision(None, reason="a human answered")
        if open_to.human:
            return Decision(open_to.human.name, reason="a human can be paid")
        if open_to.judges:
            return Decision(open_to.judges[0].name, reason="no human can be paid")
        return Decision(None, reason="nobody is left")
