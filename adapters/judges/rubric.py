"""A language model that grades each response by a rubric: feedback first, then a score (Prometheus, Kim et al. 2024).

The score is a distribution: from the log-probabilities of its token where the endpoint gives them (G-Eval, Liu et al.
2023), else from samples. Of two independent scores the log-odds that the first is higher follow, equal scores counted
half to each.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.judges._model_judge import AskingJudge, PromptParts
from adapters.llm.answers import chances, log_odds, reasoning
from adapters.llm.chat import Reply
from elicit.types import BadInputError, Item, Query, Verdict


@dataclass(kw_only=True, eq=False)
class Rubric(AskingJudge):
    """rubric: what the scores 1 to 5 stand for. reference: where an item's model answer stands, as "meta.NAME".

    The other options: `AskingJudge`.
    """

    MODE = "rubric"
    LABELS = range(2, 11)

    rubric: str = (
        "1: wrong or beside the point. 2: mostly wrong or unhelpful. 3: partly right, or hard to use. "
        "4: right and helpful with small faults. 5: right, complete, clear and helpful."
    )
    reference: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reference and not re.fullmatch(r"meta\..+", self.reference):
            raise BadInputError(f"judge rubric: reference {self.reference!r} is no place; say meta.NAME")

    def _prompt_values(self) -> Mapping[str, Any]:
        return {"rubric": self.rubric}

    def _ask(self, query: Query) -> tuple[PromptParts, PromptParts]:
        return self._about(self._items[query.a]), self._about(self._items[query.b])

    def _about(self, item: Item) -> PromptParts:
        reference = item.meta.get(self.reference.removeprefix("meta."), "") if self.reference else ""
        texts = {"context": item.context, "response": item.shown_text, "reference": str(reference)}
        return PromptParts(*self._prompt.fill(texts, self._prompt_values()))

    def _read(self, first: Sequence[Reply], second: Sequence[Reply]) -> Verdict:
        form = self._prompt.answer
        a, b = chances(first, form.labels, form.after), chances(second, form.labels, form.after)
        scores = range(1, len(form.labels) + 1)
        # Summed exactly, so that equal distributions are a tie to the bit.
        wins, losses, ties = (
            math.fsum(p * q for i, p in enumerate(a) for j, q in enumerate(b) if (i > j) - (i < j) == sign)
            for sign in (1, -1, 0)
        )
        logit = log_odds(wins, losses, ties)
        words = [reasoning(replies[0], form.after) for replies in (first, second)]
        return Verdict(
            {"ab": logit, "ba": logit},  # neither was shown first, so either order says the same
            tie=ties,
            aspects={"score": (_mean(scores, a), _mean(scores, b))},
            reasoning="\n\n".join(f"{name}: {text}" for name, text in zip("ab", words, strict=True) if text),
        )


def _mean(scores: Sequence[int], chances: Sequence[float]) -> float:
    return sum(score * p for score, p in zip(scores, chances, strict=True))
