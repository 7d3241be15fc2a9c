"""A language model that compares the two responses at one look, in both orders.

The log-odds of A against B at the answer's token (Zheng et al. 2023 for the position bias that asking in both orders
cancels): all that the model gives away, not its choice alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from adapters.judges._model_judge import AskingJudge, PromptParts
from adapters.llm.answers import chances, log_odds, reasoning
from adapters.llm.chat import Reply
from elicit.types import ChoiceOutcome, Query, Verdict, Vote, hash_of


@dataclass(kw_only=True, eq=False)
class Pairwise(AskingJudge):
    """question: what to judge by, else the study's. examples: how many of people's votes to show it (see `learn_from`).

    The other options: `AskingJudge`. A prompt with a third label lets it say tie.
    """

    MODE = "pairwise"
    LABELS = range(2, 4)

    question: str = ""
    examples: Annotated[int, msgspec.Meta(ge=0)] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._votes: tuple[Vote, ...] = ()
        self._question = self.question or "Which response is better?"

    def put(self, question: str) -> None:
        """See `elicit.routing.judging.QuestionedJudge`."""
        self._question = self.question or question

    def learn_from(self, votes: Sequence[Vote]) -> None:
        """Take people's votes as examples, oldest first; the newest decided ones are shown, never a machine's."""
        self._votes = tuple(v for v in votes if v.verdict is None and v.outcome.choice in ("a", "b"))

    def _ask(self, query: Query) -> tuple[PromptParts, PromptParts]:
        examples = self._examples(query)
        there = self._prompt.fill(self._pair(query.a, query.b), self._prompt_values(), examples)
        back = self._prompt.fill(self._pair(query.b, query.a), self._prompt_values(), examples)
        return PromptParts(*there), PromptParts(*back)

    def _read(self, first: Sequence[Reply], second: Sequence[Reply]) -> Verdict:
        form = self._prompt.answer
        there, back = chances(first, form.labels, form.after), chances(second, form.labels, form.after)
        words = [reasoning(replies[0], form.after) for replies in (first, second)]
        return Verdict(
            {"ab": log_odds(*there), "ba": -log_odds(*back)},
            tie=(there[2] + back[2]) / 2 if len(form.labels) == 3 else None,
            reasoning="\n\n".join(text for text in words if text),
        )

    def _prompt_values(self) -> Mapping[str, Any]:
        return {"question": self._question}

    def _outcome(self, verdict: Verdict) -> ChoiceOutcome:
        return ChoiceOutcome("tie") if (verdict.tie or 0) > 0.5 else super()._outcome(verdict)

    def _prompt_hash(self, query: Query) -> str:
        return hash_of([super()._prompt_hash(query), self._examples(query)])

    def _examples(self, query: Query) -> list[dict[str, str]]:
        """The newest votes on other pairs; the winner stands first in every other one, so that no place is taught."""
        votes = [vote for vote in self._votes if vote.pair != query.pair][-self.examples :] if self.examples else []
        examples = []
        for place, vote in enumerate(votes):
            winner, loser = (vote.a, vote.b) if vote.outcome.choice == "a" else (vote.b, vote.a)
            rows = (winner, loser) if place % 2 == 0 else (loser, winner)
            examples.append(self._pair(*rows) | {"answer": self._prompt.answer.labels[place % 2]})
        return examples
