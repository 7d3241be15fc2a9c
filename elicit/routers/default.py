"""Information per money under a budget: a machine judge where it may turn the label, a human where most is learnt.

What an answer is worth is computed and not guessed: the bits it is expected to tell of what humans think of this query
(objective "label") or of the utilities (objective "model"). Where the model and the judges contradict each other the
label is uncertain though every one of them is sure, so such queries are asked before those that are merely even, which
humans call ties. The money left over the queries left sets the price that a bit must be worth
(`elicit.routing.case.BudgetPacer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from elicit.routers._labelling import Fused
from elicit.routing.case import Budget, BudgetPacer, Case, Decision, Seat, offer
from elicit.routing.dispersion import DispersionBelief
from elicit.safe_text import percent
from elicit.stats import gauss_hermite, sigmoid
from elicit.types import BadInputError

LOUDNESS = 2.0
"""Log-odds of a verdict that is still to come."""
CURIOSITY = 0.05
"""What hearing a judge teaches about later queries, as a share of what is not known of this one."""


class Default(Fused):
    """objective: "label", labels that hold; "model", utilities that hold. explore: the share of the humans' money that
    is spent by lot, so that every query has a chance and what is learnt holds for all.

    Raises BadInputError for other values.
    """

    def __init__(self, objective: Literal["label", "model"] = "label", explore: float = 0.1) -> None:
        super().__init__()
        if objective not in ("label", "model"):
            raise BadInputError(f"the default router's objective is label or model, not {objective!r}")
        if not 0 < explore <= 1:
            raise BadInputError(f"the default router's explore is a share over 0 and up to 1, not {explore!r}")
        self.objective = objective
        self.pace = BudgetPacer(explore)

    def route(self, case: Case, seats: Sequence[Seat], budget: Budget, rng: np.random.Generator) -> Decision:
        judges, human, share = offer(case, seats, budget)
        view = self.fusion.view(case)
        numbers = {"p_a": view.probabilities.a, "p_tie": view.probabilities.tie}
        belief = _describe_belief(view, case)
        if case.outcomes:
            return Decision(None, 1.0, numbers, f"{belief}, a person has answered")
        price = self.pace.price(share) / human.price if human is not None and human.price > 0 else 0.0
        for seat in judges:
            bits = self._verdict_bits(seat, case, view)
            if bits >= price * seat.price:
                numbers |= {"bits": bits, "price": price * seat.price}
                return Decision(seat.name, 1.0, numbers, f"{belief}, {seat.name} would tell {bits:.2f} bit")
        if human is None:
            return Decision(None, 1.0, numbers, f"{belief}, no person can be asked")
        bits = self._human_bits(case, view)
        chance = self.pace.chance(bits, share)
        price_per_bit = human.price / max(bits, 1e-6)
        numbers |= {"bits": bits, "price": price * human.price, "price_per_bit": price_per_bit}
        reason = f"{belief}, {human.name} would tell {bits:.2f} bit at {price_per_bit:.2f} a bit"
        if rng.random() < chance:
            return Decision(human.name, chance, numbers, reason)
        return Decision(None, 1 - chance, numbers, reason)

    def tell(self, case: Case) -> None:
        if not case.earlier:
            bare = case.unanswered
            self.pace.record_score(self._human_bits(bare, self.fusion.view(bare)))
        super().tell(case)

    def _human_bits(self, case: Case, view: DispersionBelief) -> float:
        return view.bits if self.objective == "label" else utility_bits(case)

    def _verdict_bits(self, judge: Seat, case: Case, view: DispersionBelief) -> float:
        """Bits a judge's verdict is expected to tell of the label's side, and of what it teaches for later queries.

        The verdict moves the log-odds by a step up or down, by odds that leave the mean probability where it is.
        """
        weight, variance = self.fusion.weight(judge.name, len(case.verdicts))
        step = max(LOUDNESS * float(np.sqrt(weight**2 + variance)), 1e-6)
        p, up, down = (float(sigmoid(view.logit + s)) for s in (0.0, step, -step))
        q = (p - down) / (up - down)
        bits = _entropy(p) - q * _entropy(up) - (1 - q) * _entropy(down)
        return max(bits, 0.0) + CURIOSITY * _entropy(p)


def utility_bits(case: Case) -> float:
    """Bits that an answer without tie tells of u_a - u_b: of the answer's entropy, what is not noise (Houlsby et al.
    2011)."""
    nodes, weights = gauss_hermite(21)
    p = sigmoid(case.mean + float(np.sqrt(case.variance)) * nodes)
    return max(_entropy(float(weights @ p)) - float(weights @ [_entropy(q) for q in p.tolist()]), 0.0)


def _entropy(p: float) -> float:
    return -sum(q * float(np.log2(q)) for q in (p, 1 - p) if q > 0)


def _describe_belief(view: DispersionBelief, case: Case) -> str:
    """What is known of a case before anybody else is asked, for a reader."""
    judges = [f"{name} says {percent(float(sigmoid(verdict.logit)))}" for name, verdict in case.verdicts.items()]
    swaps = [f"{name} changes sides with the order" for name, verdict in case.verdicts.items() if verdict.flips]
    against = ["past votes say the contrary"] if case.verdicts and case.mean * case.logit < 0 else []
    return ", ".join([f"first better with {percent(view.probabilities.a)}", *judges, *swaps, *against])
