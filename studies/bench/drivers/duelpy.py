"""duelpy: its algorithms as they are, each driving its duels itself and without an end.

Recommended is winner stays' own winner; for the others the Copeland winner of the algorithm's estimated preferences,
the first one of several, which is the Condorcet winner where they have one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

np.float = float  # type: ignore[attr-defined]  # an old name that duelpy needs to load

from duelpy import algorithms  # noqa: E402
from duelpy.feedback import FeedbackMechanism  # noqa: E402

ALGORITHMS = {
    "ccb": algorithms.CopelandConfidenceBound,
    "dts": algorithms.DoubleThompsonSampling,
    "rcs": algorithms.RelativeConfidenceSampling,
    "rucb": algorithms.RelativeUCB,
    "scb": algorithms.ScalableCopelandBandits,
    "winner_stays": algorithms.WinnerStaysWeakRegret,
}


def play(setup: dict[str, Any], compare: Callable[[int, int, Callable[[], int]], bool]) -> None:
    """setup: "algorithm", "n_items", "seed"."""
    name = setup["algorithm"]

    def best() -> int:
        if name == "winner_stays":
            return int(algorithm.get_condorcet_winner())
        return int(min(algorithm.preference_estimate.get_mean_estimate_matrix().get_copeland_winners()))

    class Feedback(FeedbackMechanism):  # type: ignore[misc]
        def duel(self, arm_i_index: int, arm_j_index: int) -> int:
            won = compare(arm_i_index, arm_j_index, best)
            # Its RUCB takes a duel for lost where the outcome is negative, the others where it is false.
            return won if won or name != "rucb" else -1

    chance = np.random.RandomState(setup["seed"])
    algorithm = ALGORITHMS[name](Feedback(list(range(setup["n_items"]))), time_horizon=None, random_state=chance)
    while True:
        algorithm.step()
