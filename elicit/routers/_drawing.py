"""Routers that hear every judge and then ask a human about a part of the queries: what they share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elicit.routing import Budget, Case, Decision, Seat, offer


class HearsAll:
    """Asks every judge, then a human with the probability `chance` gives."""

    def chance(self, case: Case, share: float) -> tuple[float, dict[str, float]]:
        """The probability of asking a human about a case of which a share can be afforded, and the numbers behind."""
        raise NotImplementedError

    def route(self, case: Case, seats: Sequence[Seat], budget: Budget, rng: np.random.Generator) -> Decision:
        """Whom to ask next; see `elicit.routing.Router`."""
        open_to = offer(case, seats, budget)
        if open_to.judges:
            return Decision(open_to.judges[0].name, reason="every judge answers")
        if open_to.human is None:
            return Decision(None, reason="a human answered" if case.outcomes else "no human is to be had")
        chance, numbers = self.chance(case, open_to.share)
        numbers = {**numbers, "share": open_to.share, "chance": chance}
        reason = ", ".join(f"{name} {value:.2f}" for name, value in numbers.items())
        if rng.random() < chance:
            return Decision(open_to.human.name, chance, numbers, reason)
        return Decision(None, 1 - chance, numbers, reason)
