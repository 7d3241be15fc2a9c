"""How a router's labels are made: the answers as they are, or fused."""

from __future__ import annotations

import numpy as np

from elicit.routing.case import Case
from elicit.routing.dispersion import Dispersion, DispersionBelief
from elicit.routing.fusion import Fusion, Label

AT_THEIR_WORD = Dispersion.constant(0.5)
"""All else is worth half a human's answer: the label is that of whoever answered, and where nothing else is known two
humans agree on .83, as MT-Bench's do on decided pairs (Zheng et al. 2023)."""
TIE = 0.2


class AsAnswered:
    """Labels are the human's answer where there is one, else the mean of the judges' log-odds, else the utility
    model's. Nothing is learnt."""

    def tell(self, case: Case) -> None:
        """Learn from a case that is done."""

    def label(self, case: Case) -> DispersionBelief:
        """The answer, and how sure those who gave it are."""
        ties = [verdict.tie or 0.0 for verdict in case.verdicts.values()]
        tie = min(max(float(np.mean(ties or [TIE])), 0.01), 0.99)
        belief = DispersionBelief(case.logit if case.verdicts else case.moderated, tie, AT_THEIR_WORD)
        return belief.after(case.outcomes.values())


class Fused:
    """Labels are what `elicit.routing.fusion` makes of the model, the judges and the human."""

    def __init__(self) -> None:
        self.fusion = Fusion()

    def tell(self, case: Case) -> None:
        """Learn from a case that is done."""
        self.fusion = (self.fusion if case.earlier else self.fusion.after_verdicts(case)).after_answers(case)

    def label(self, case: Case) -> Label:
        """The fused label."""
        return self.fusion.label(case)
