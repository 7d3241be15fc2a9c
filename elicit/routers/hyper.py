"""A performance predictor over counts of features (Miranda et al. 2025, "Hybrid Preferences", HyPER).

The predicted performance of a set of labels is linear in how many queries with each feature humans answer, so that one
query's gain is the sum of its features' weights, and those with the largest gain go to humans. The paper fits the
weights on reward models trained on a thousand mixtures; on a stream they are fitted, by ridge regression, to whether
the human contradicted the judges on the queries humans have answered.
"""

from __future__ import annotations

import numpy as np

from elicit.routers._drawing import HearsAll
from elicit.routers._labelling import AsAnswered
from elicit.routing.case import Case

BINS = {"small": 0.2, "middle": 0.7}
RIDGE = 3.0


class Hyper(HearsAll):
    """explore: the part of the humans' money spent by lot."""

    def __init__(self, explore: float = 0.2) -> None:
        super().__init__(AsAnswered(), explore)
        self.observations: list[tuple[list[str], float]] = []

    def score(self, case: Case) -> float:
        return self._gain(tags(case))

    def tell(self, case: Case) -> None:
        super().tell(case)
        choices = [outcome.choice for outcome in case.outcomes.values() if outcome.choice in ("a", "b")]
        if choices and case.verdicts:
            agreed = 0.5 * (1 + np.sign(case.logit) * (1 if choices[0] == "a" else -1))
            self.observations.append((tags(case), float(1 - agreed)))

    def _gain(self, case_tags: list[str]) -> float:
        names = sorted({tag for tagged, _ in self.observations for tag in tagged})
        if not names:
            return 0.0
        counts = np.array([[float(name in tagged) for name in names] for tagged, _ in self.observations])
        wrong = np.array([value for _, value in self.observations])
        matrix = counts.T @ counts + RIDGE * np.eye(len(names))
        weights = np.linalg.solve(matrix, counts.T @ (wrong - wrong.mean()))
        return float(wrong.mean() + sum(w for name, w in zip(names, weights, strict=True) if name in case_tags))


def tags(case: Case) -> list[str]:
    """The features a query is counted under."""
    sure = abs(float(np.tanh(case.logit / 2)))
    names = [f"topic {case.topic}", f"judges {'sure' if sure > 0.8 else 'leaning' if sure > 0.2 else 'even'}"]
    if any(verdict.flips for verdict in case.verdicts.values()):
        names.append("flips")
    if len({np.sign(verdict.logit) for verdict in case.verdicts.values()}) > 1:
        names.append("judges disagree")
    for name, gap in sorted(case.gaps.items()):
        size = next((size for size, most in BINS.items() if abs(gap) <= most), "large")
        names.append(f"{name} {size}")
    return names
