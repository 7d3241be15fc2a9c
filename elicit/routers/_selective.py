"""Selective judging: a machine's verdict stands where it is sure enough, and sure enough is calibrated on humans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from elicit.routers._labelling import AsAnswered
from elicit.routing.case import Budget, BudgetPacer, Case, Decision, Seat, offer
from elicit.routing.dispersion import DispersionBelief
from elicit.types import BadInputError, Verdict

NONE = 2.0
"""A threshold that no confidence reaches."""


class Certainty(NamedTuple):
    """A verdict's confidence, and the one at which it stands."""

    confidence: float
    threshold: float

    @property
    def enough(self) -> bool:
        """Whether it stands."""
        return self.confidence >= self.threshold


class Selective(AsAnswered):
    """Asks one judge after the other until one is sure enough, else a human.

    risk: the share of accepted verdicts that a human may contradict. calibration: the part of the humans' money spent
    on queries drawn by lot, which every judge answers too: only there accepted and refused verdicts can be checked.
    What is refused and cannot be paid keeps the last verdict.
    """

    def __init__(self, risk: float = 0.2, calibration: float = 0.3) -> None:
        for name, value in (("risk", risk), ("calibration", calibration)):
            if not 0 < value < 1:
                raise BadInputError(f"{name} is a share between 0 and 1, not {value!r}")
        self.risk, self.calibration = risk, calibration
        self.pace = BudgetPacer()
        self.checked: dict[str, list[tuple[float, bool]]] = {}

    def panel(self, seats: Sequence[Seat]) -> list[Seat]:
        """The judges that are asked, in their order."""
        return sorted((seat for seat in seats if seat.kind == "llm"), key=lambda seat: (seat.price, seat.name))

    def threshold(self, checked: Sequence[tuple[float, bool]]) -> float:
        """The least confidence that is accepted, NONE at the most, from (confidence, whether the human disagreed)."""
        raise NotImplementedError

    def route(self, case: Case, seats: Sequence[Seat], budget: Budget, rng: np.random.Generator) -> Decision:
        """Whom to ask next; see `elicit.routing.case.Router`."""
        open_to = offer(case, seats, budget)
        panel = [seat for seat in self.panel(seats) if seat in open_to.judges]
        chance = 0.0
        if not case.asked and open_to.human:
            chance = self.calibration * open_to.share
            if rng.random() < chance:
                return Decision(open_to.human.name, chance, {"chance": chance}, "drawn for calibration")
        if case.outcomes:
            return Decision(panel[0].name, 1.0, reason="calibration") if panel else Decision(None, reason="answered")
        certainty = self._certainty(case)
        numbers = certainty._asdict() if certainty else {}
        if certainty and certainty.enough:
            return Decision(None, 1.0, numbers, f"{certainty.confidence:.2f} is sure enough")
        if panel:
            return Decision(panel[0].name, 1 - chance, numbers, "nobody was sure enough yet")
        if open_to.human is None:
            return Decision(None, 1.0, numbers, "nobody is sure enough, and no human is to be had")
        chance = self.pace.chance(1.0, (1 - self.calibration) * open_to.share)
        if rng.random() < chance:
            return Decision(open_to.human.name, chance, numbers, "no judge was sure enough")
        return Decision(None, 1 - chance, numbers, "no judge was sure enough, and the money is for others")

    def _certainty(self, case: Case) -> Certainty | None:
        """Of the last verdict; None without one."""
        if not case.verdicts:
            return None
        judge, verdict = list(case.verdicts.items())[-1]
        return Certainty(confidence(verdict), self.threshold(self.checked.get(judge, [])))

    def tell(self, case: Case) -> None:
        """Learn from a case that is done: from one drawn for calibration which verdicts hold, from another one whether
        a human was wanted. More humans' answers to it teach nothing."""
        if case.earlier:
            return
        if not case.asked or case.asked[0] not in case.outcomes:
            certainty = self._certainty(case)
            self.pace.record_score(0.0 if certainty and certainty.enough else 1.0)
            return
        choices = [outcome.choice for outcome in case.outcomes.values() if outcome.choice in ("a", "b")]
        for judge, verdict in case.verdicts.items() if choices else ():
            wrong = (verdict.logit > 0) != (choices[0] == "a")
            self.checked.setdefault(judge, []).append((confidence(verdict), wrong))

    def label(self, case: Case) -> DispersionBelief:
        """The human's answer, else the verdict of the last judge asked."""
        last = dict(list(case.verdicts.items())[-1:])
        return super().label(Case(verdicts=last, outcomes=case.outcomes))


def confidence(verdict: Verdict) -> float:
    """Probability of the side the verdict names, both orders averaged: from 1/2 to 1."""
    return 0.5 + abs(0.5 * float(np.tanh(verdict.logit / 2)))
