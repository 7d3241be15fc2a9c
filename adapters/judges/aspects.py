"""A language model that rates both responses by several criteria in one JSON object (UltraFeedback, Cui et al. 2024).

Asked in both orders; the log-odds are the mean difference of the ratings, a point of rating counted as one logit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

import msgspec

from adapters.judges._model_judge import AskingJudge, PromptParts
from adapters.llm.answers import read_object
from adapters.llm.chat import Reply
from adapters.llm.verdicts import ParseError, label_of
from elicit.types import BadInputError, Query, Verdict

Rating = Annotated[float, msgspec.Meta(ge=1, le=5)]


class Rated(NamedTuple):
    """A reply: ratings of the one shown first and of the other by criterion, and why."""

    first: dict[str, Rating]
    second: dict[str, Rating]
    reasoning: str


@dataclass(kw_only=True, eq=False)
class Aspects(AskingJudge):
    """criteria: what to rate, a name and what it means. The other options: `AskingJudge`."""

    MODE = "aspects"
    LABELS = range(2, 3)

    criteria: dict[str, str] = field(
        default_factory=lambda: {
            "helpfulness": "does what the task asks for",
            "correctness": "what it says is true",
            "honesty": "claims no more than it knows",
            "clarity": "easy to read and to the point",
        }
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.criteria:
            raise BadInputError(
                'judge aspects: there are no criteria; give some, as in criteria = { tone = "friendly" }'
            )

    def _prompt_values(self) -> Mapping[str, Any]:
        return {"criteria": self.criteria}

    def _ask(self, query: Query) -> tuple[PromptParts, PromptParts]:
        there = self._prompt.fill(self._pair(query.a, query.b), self._prompt_values())
        back = self._prompt.fill(self._pair(query.b, query.a), self._prompt_values())
        return PromptParts(*there, self._schema()), PromptParts(*back, self._schema())

    def _schema(self) -> dict[str, Any]:
        rating = {"type": "integer", "enum": [1, 2, 3, 4, 5]}
        ratings = _object([(name, rating) for name in self.criteria])
        return _object([("reasoning", {"type": "string"}), *((label, ratings) for label in self._prompt.answer.labels)])

    def _read(self, first: Sequence[Reply], second: Sequence[Reply]) -> Verdict:
        ratings = [[self._read_ratings(reply) for reply in replies] for replies in (first, second)]
        there, back = self._mean(ratings[0]), self._mean(ratings[1])
        return Verdict(
            {"ab": _lead(there), "ba": -_lead(back)},
            aspects={
                name: ((there[name][0] + back[name][1]) / 2, (there[name][1] + back[name][0]) / 2)
                for name in self.criteria
            },
            reasoning="\n\n".join(replies[0].reasoning for replies in ratings if replies[0].reasoning),
        )

    def _mean(self, samples: Sequence[Rated]) -> dict[str, tuple[float, float]]:
        """Ratings of the one shown first and of the other, by criterion, the mean over the samples."""
        n = len(samples)
        return {
            name: (
                sum(sample.first[name] for sample in samples) / n,
                sum(sample.second[name] for sample in samples) / n,
            )
            for name in self.criteria
        }

    def _read_ratings(self, reply: Reply) -> Rated:
        return read_object(reply, self._ratings)

    def _ratings(self, answer: dict[str, Any]) -> Rated:
        """The ratings in an object, however it spells labels and criteria. Raises ParseError where one is missing."""
        labels = self._prompt.answer.labels
        by_label = {label_of(name, labels): scores for name, scores in answer.items()}
        ratings = []
        for place, label in enumerate(labels):
            try:
                scores = {
                    _fold_name(name): value
                    for name, value in msgspec.convert(by_label.get(place), dict[str, Any]).items()
                }
                ratings.append({name: _rating(scores.get(_fold_name(name))) for name in self.criteria})
            except msgspec.ValidationError as error:
                raise ParseError(f"the reply does not rate {label} by every criterion ({error})") from None
        return Rated(ratings[0], ratings[1], str(answer.get("reasoning", "")))


def _rating(value: Any) -> float:
    if isinstance(value, bool):
        raise msgspec.ValidationError("Expected a number, got `bool`")
    return msgspec.convert(value, Rating, strict=False)


def _fold_name(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().casefold()


def _object(properties: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The JSON schema of an object with these properties and no others, in this order."""
    required = [name for name, _ in properties]
    return {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": False}


def _lead(ratings: Mapping[str, tuple[float, float]]) -> float:
    """How far the one shown first leads, in points, the mean over the criteria."""
    return sum(first - second for first, second in ratings.values()) / len(ratings)
