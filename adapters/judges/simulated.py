"""A simulated person: prefers the item with the higher known utility, with logistic noise.

P(a over b) = sigmoid(u_a - u_b), the Bradley-Terry model. For trying out a study before people are asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from elicit.randomness import stream
from elicit.stats import sigmoid
from elicit.types import BadInputError, ChoiceOutcome, Item, JudgeFailure, Query, Vote


class Simulated:
    """utility: where an item's true utility stands, "meta.NAME" or "features.NAME".

    sd: standard deviation the utilities are scaled to, in logits; 2 is human-like. seed: another person.
    """

    def __init__(self, utility: str, sd: float = 2.0, seed: int = 0) -> None:
        self.utility, self.sd, self.seed = utility, sd, seed

    def begin(self, name: str, items: Sequence[Item], pairs: Sequence[tuple[str, int, int]], folder: Path) -> None:
        place, _, field = self.utility.partition(".")
        if place not in ("meta", "features") or not field:
            raise BadInputError(f"simulated judge {name!r}: utility {self.utility!r} is no place; say meta.NAME")
        values = [(item.meta if place == "meta" else item.features).get(field) for item in items]
        for item, value in zip(items, values, strict=True):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise BadInputError(
                    f"simulated judge {name!r}: item {item.id!r} has no number in {self.utility}; it has {value!r}"
                )
        if not values:
            raise BadInputError(
                f"simulated judge {name!r} knows items; where responses are compared, use kind 'reference'"
            )
        self._name = name
        self.u = scale_utilities(np.array(values, dtype=np.float64), self.sd)

    async def judge(self, query: Query) -> Vote | JudgeFailure:
        p = sigmoid(self.u[query.a] - self.u[query.b])
        luck = stream(self.seed, f"judge/{self._name}", query.decision).random()
        return Vote(query.a, query.b, ChoiceOutcome("a" if luck < p else "b"), self._name)


def scale_utilities(values: np.ndarray, sd: float) -> np.ndarray:
    """Utilities (N,) in logits: `values` centred and scaled to the standard deviation `sd`; all equal gives zeros."""
    spread = values.std()
    scaled: np.ndarray = (values - values.mean()) * (sd / spread if spread > 0 else 0.0)
    return scaled
