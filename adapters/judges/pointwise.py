"""A language model that says of each response whether it is good: the difference of its two log-odds of Yes.

Each response is asked about alone, so a pool of N items costs N calls however many pairs are compared, and no place is
preferred. The difference is that of utilities under Bradley-Terry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.judges._model_judge import AskingJudge, PromptParts
from adapters.llm.answers import chances, log_odds, reasoning
from adapters.llm.chat import Reply
from elicit.types import Query, Verdict


@dataclass(kw_only=True, eq=False)
class Pointwise(AskingJudge):
    """question: asked about each response, to be answered with Yes or No; else made of the study's.

    The other options: `AskingJudge`.
    """

    MODE = "pointwise"
    LABELS = range(2, 3)

    question: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._question = self.question or "Is this a good response?"

    def put(self, question: str) -> None:
        """See `elicit.routing.judging.QuestionedJudge`."""
        comparing = f'People see this response beside another and are asked "{question}" Would they choose this one?'
        self._question = self.question or comparing

    def _ask(self, query: Query) -> tuple[PromptParts, PromptParts]:
        return self._about(query.a), self._about(query.b)

    def _prompt_values(self) -> Mapping[str, Any]:
        return {"question": self._question}

    def _about(self, row: int) -> PromptParts:
        item = self._items[row]
        return PromptParts(
            *self._prompt.fill({"context": item.context, "response": item.shown_text}, self._prompt_values())
        )

    def _read(self, first: Sequence[Reply], second: Sequence[Reply]) -> Verdict:
        form = self._prompt.answer
        a, b = (log_odds(*chances(replies, form.labels, form.after)) for replies in (first, second))
        words = [reasoning(replies[0], form.after) for replies in (first, second)]
        return Verdict(
            {"ab": a - b, "ba": a - b},  # neither was shown first, so either order says the same
            aspects={"yes": (a, b)},
            reasoning="\n\n".join(text for text in words if text),
        )
