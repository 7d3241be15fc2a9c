"""How a router's labels are made: the answers as they are, or fused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elicit.fusion import Fusion, Label
from elicit.routing import Case, Probabilities

HUMANS_RIGHT = 0.83
"""Share of decided pairs on which two people agree (MT-Bench; Zheng et al. 2023)."""
TIE = 0.2


@dataclass(frozen=True)
class Answer:
    """An answer taken at its word."""

    logit: float
    tie: float = TIE

    @property
    def probabilities(self) -> Probabilities:
        """Of the three outcomes."""
        a = 0.5 * (1 + float(np.tanh(self.logit / 2)))
        return Probabilities((1 - self.tie) * a, self.tie, (1 - self.tie) * (1 - a))


class AsAnswered:
    """Labels are the human's answer where there is one, else the mean of the judges' log-odds. Nothing is learnt."""

    def tell(self, case: Case) -> None:
        """Learn from a case that is done."""

    def label(self, case: Case) -> Answer:
        """The answer, and how sure those who gave it are."""
        said = [outcome.choice for outcome in case.outcomes.values() if outcome.choice in ("a", "tie", "b")]
        if not said:
            ties = [verdict.tie or 0.0 for verdict in case.verdicts.values()]
            return Answer(case.logit, min(max(float(np.mean(ties or [TIE])), 0.01), 0.99))
        sure = float(np.log(HUMANS_RIGHT / (1 - HUMANS_RIGHT)))
        ties = [float(choice == "tie") for choice in said]
        mean = float(np.mean([{"a": sure, "tie": 0.0, "b": -sure}[choice] for choice in said]))
        return Answer(mean, min(max(float(np.mean(ties)), 0.1), 0.9))


class Fused:
    """Labels are what `elicit.fusion` makes of the model, the judges and the human."""

    def __init__(self) -> None:
        self.fusion = Fusion()

    def tell(self, case: Case) -> None:
        """Learn from a case that is done."""
        self.fusion = self.fusion.heard(case).learnt(case)

    def label(self, case: Case) -> Label:
        """The fused label."""
        return self.fusion.label(case)
