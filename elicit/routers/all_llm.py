"""Every machine judge answers everything; no human is asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elicit.routers._labelling import AsAnswered
from elicit.routing.case import Budget, Case, Decision, Seat, offer


class AllLlm(AsAnswered):
    """The judges' log-odds are averaged and taken at their word."""

    def route(self, case: Case, seats: Sequence[Seat], budget: Budget, rng: np.random.Generator) -> Decision:
        judges = offer(case, seats, budget).judges
        return (
            Decision(judges[0].name, reason="every judge answers") if judges else Decision(None, reason="all answered")
        )
