"""Value per money under a budget: a machine judge where it may turn the label, a human where that is worth the most.

What a human's answer is worth is computed and not guessed: how much it is expected to lower the error of the fused
label (goal "label"), or how many bits it tells of the utilities (goal "model"). A label the model and the judges
contradict each other on is uncertain though every one of them is sure, so it is asked before one that is merely even.
The money left over the queries left sets the price that value must reach (`elicit.routing.Pace`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from elicit.fusion import View
from elicit.routers._labelling import Fused
from elicit.routing import Budget, Case, Decision, Pace, Seat, choice
from elicit.types import BadInputError

LOUDNESS = 2.0
"""Log-odds of a verdict that is still to come."""
CURIOSITY = 0.05
"""What hearing a judge teaches about later queries, as a share of the variance p (1 - p) of this one's answer."""


class Default(Fused):
    """objective: "label", fewest wrong labels; "model", most information about the utilities. explore: the share of the
    humans' money that is spent by lot, so that what is learnt holds for all queries."""

    def __init__(self, objective: Literal["label", "model"] = "label", explore: float = 0.1) -> None:
        super().__init__()
        if objective not in ("label", "model"):
            raise BadInputError(f"the default router's objective is label or model, not {objective!r}")
        if not 0 < explore <= 1:
            raise BadInputError(f"the default router's explore is a share over 0 and up to 1, not {explore!r}")
        self.objective = objective
        self.pace = Pace(explore)

    def route(self, case: Case, seats: Sequence[Seat], budget: Budget, rng: np.random.Generator) -> Decision:
        open_to = choice(case, seats, budget)
        view = self.fusion.view(case)
        numbers = {"p_a": view.probabilities.a, "p_tie": view.probabilities.tie, "error": view.error}
        if case.outcomes:
            return Decision(None, 1.0, numbers, f"a human answered, {_said(view, case)}")
        price = self.pace.price(open_to.share) / open_to.human.price if open_to.human and open_to.human.price else 0.0
        for seat in open_to.judges:
            worth = self._turned(seat, case, view)
            if worth >= price * seat.price:
                told = numbers | {"worth": worth, "price": price * seat.price}
                return Decision(seat.name, 1.0, told, f"{_said(view, case)}, {seat.name} worth {worth:.3f}")
        if open_to.human is None:
            return Decision(None, 1.0, numbers, f"{_said(view, case)}, no human is to be had")
        bits = view.bits if self.objective == "label" else _bits(case)
        worth = view.saved if self.objective == "label" else bits
        chance = self.pace.chance(worth, open_to.share)
        numbers |= {"worth": worth, "bits": bits, "price": price * open_to.human.price, "share": open_to.share}
        if bits > 0:
            numbers["price_per_bit"] = open_to.human.price / bits
        said = f"{_said(view, case)}, worth {bits:.2f} bit, {open_to.human.name} {numbers.get('price_per_bit', 0):.2f} a bit"
        if rng.random() < chance:
            return Decision(open_to.human.name, chance, numbers, said)
        return Decision(None, 1 - chance, numbers, said)

    def _turned(self, seat: Seat, case: Case, view: View) -> float:
        """How much error a judge's verdict is expected to save, and what it teaches for later."""
        weight, variance = self.fusion.weight(seat.name, len(case.verdicts))
        step = LOUDNESS * float(np.sqrt(weight**2 + variance))
        x = abs(view.logit)
        before = 1 / (1 + np.exp(x))
        saved = 0.0
        if step > x:
            # The verdict's two answers must leave the mean of p where it is.
            up, down = (1 / (1 + np.exp(-x - s)) for s in (step, -step))
            q = (1 - before - down) / (up - down)
            saved = before - q * (1 - up) - (1 - q) * down
        return float(saved + CURIOSITY * before * (1 - before))


def _bits(case: Case) -> float:
    """Bits that a decided answer tells of u_a - u_b under the utility model."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(21)
    p = 0.5 * (1 + np.tanh(0.5 * (case.mean + np.sqrt(case.variance) * nodes)))
    weights = weights / weights.sum()
    return max(_entropy(weights @ p) - float(weights @ np.vectorize(_entropy)(p)), 0.0)


def _entropy(p: float) -> float:
    return -sum(float(q * np.log2(q)) for q in (p, 1 - p) if q > 0)


def _said(view: View, case: Case) -> str:
    judges = [f"{name} {1 / (1 + np.exp(-verdict.logit)):.2f}" for name, verdict in case.verdicts.items()]
    swaps = [f"{name} flips with the order" for name, verdict in case.verdicts.items() if verdict.flips]
    against = ["model against judges"] if case.verdicts and case.mean * case.logit < 0 else []
    return ", ".join([f"fused {view.probabilities.a:.2f}", *judges, *swaps, *against])
