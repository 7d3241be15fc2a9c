"""Votes by the right answers: the response that meets the input's reference better is preferred."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from elicit.randomness import stream
from elicit.stats import sigmoid
from elicit.tuning.signals import SIGNALS
from elicit.types import BadInputError, Choice, ChoiceOutcome, Item, JudgeFailure, Query, UnknownNameError, Vote


class Reference:
    """For studies that tune prompts on inputs with references.

    signal: how a response is held against its reference (exact_match, contains, f1); where both are as good it is a
    tie. strength: logits by which a right response is preferred to a wrong one, as sure as can be where it is None.
    seed: another person's luck.
    """

    def __init__(self, signal: str = "contains", strength: float | None = None, seed: int = 0) -> None:
        if signal not in SIGNALS:
            raise UnknownNameError("signal", signal, list(SIGNALS))
        self._signal, self._strength, self._seed = SIGNALS[signal], strength, seed

    def begin(self, name: str, items: Sequence[Item], pairs: Sequence[tuple[str, int, int]], folder: Path) -> None:
        self._name, self._items = name, items
        if any("references" not in item.meta for item in items):
            raise BadInputError(f"judge {name!r} votes by references, which only studies that tune prompts have")

    async def judge(self, query: Query) -> Vote | JudgeFailure:
        a, b = self._items[query.a], self._items[query.b]
        references = [reference for reference in a.meta["references"] if reference]
        if not references:
            return JudgeFailure(self._name, "the inputs of this query have no references")
        kinds = frozenset(a.meta["kinds"])
        first, second = (
            float(np.mean([
                self._signal(response, reference, kinds)
                for response, reference in zip(side.meta["responses"], side.meta["references"], strict=True)
                if reference
            ]))
            for side in (a, b)
        )  # fmt: skip
        lead = first - second
        choice: Choice = "a" if lead > 0 else "b" if lead < 0 else "tie"
        if self._strength is not None and lead:
            luck = stream(self._seed, f"judge/{self._name}", query.id).random()
            choice = "a" if luck < sigmoid(self._strength * lead) else "b"
        return Vote(query.a, query.b, ChoiceOutcome(choice), self._name)
