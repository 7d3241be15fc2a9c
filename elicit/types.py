"""The nouns: items, outcomes, votes, queries, and the errors a person may see.

Everything here is an immutable `msgspec.Struct`, so that the log, the wire and the code share one shape.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

from elicit.conversation import render_messages

Choice = Literal["a", "b", "tie", "both_bad", "skip"]
Side = Literal["a", "b"]
ShownOrder = Literal["ab", "ba"]
Goal = Literal["best", "top", "rank", "label"]
EXPECTED: dict[Goal, str] = {
    "best": "Expected simple regret",
    "top": "Expected share of wrong top items",
    "rank": "Expected share of misordered pairs",
    "label": "Expected share of misordered pairs",
}
"""What the stop rule measures (`elicit.stopping.Stop.expected`), by goal, in words that fit above a narrow chart."""

CHOICES: tuple[Choice, ...] = ("a", "b", "tie", "both_bad", "skip")
STRENGTHS: dict[int, str] = {1: "slightly", 2: "clearly", 3: "far"}


class BadInputError(ValueError):
    """Something a person gave cannot be used; the message is one sentence: what, where, what to do."""


class NothingLeftError(BadInputError):
    """There are fewer pairs left to ask than were asked for."""


class UnknownNameError(BadInputError):
    """A plug-in, judge or format was asked for by a name nobody has."""

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        super().__init__(f"there is no {kind} called {name!r}; known are: {', '.join(sorted(known))}")


class Item(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A candidate: what is compared.

    `text` is what the engine embeds and, unless `display` is given, what a voter reads (Markdown). `payload`
    is any JSON value for items that are not text. `image` is a picture shown above the text: a file, and in a study
    its path in the study's folder. `context` is the prompt above both panes. `features` are named numbers; `embedding`
    replaces the text embedding. `meta` travels along and is never shown to a voter.
    """

    id: str
    text: str = ""
    display: str = ""
    payload: Any = None
    image: str = ""
    context: str = ""
    features: dict[str, float] = {}
    embedding: tuple[float, ...] | None = None
    meta: dict[str, Any] = {}

    @property
    def content_hash(self) -> str:
        """Hash of everything but the id: two items with equal content are the same candidate (32 hex digits)."""
        content = {k: v for k, v in msgspec.to_builtins(self).items() if k != "id"}
        return hash_of(content)

    @property
    def shown_text(self) -> str:
        """The Markdown a voter reads; nothing where the picture is all there is."""
        if self.display or self.text or (self.image and self.payload is None):
            return self.display or self.text
        if (conversation := render_messages(self.payload)) is not None:
            return conversation
        return "```json\n" + msgspec.json.format(msgspec.json.encode(self.payload), indent=2).decode() + "\n```"


class ChoiceOutcome(msgspec.Struct, frozen=True, omit_defaults=True, tag="choice", tag_field="type"):
    """One of two was chosen, or neither, or the question was passed over.

    `strength` is how much better the chosen one is: 1 slightly, 2 clearly, 3 far; None when not stated.
    """

    choice: Choice
    strength: Literal[1, 2, 3] | None = None

    def __post_init__(self) -> None:
        if self.strength is not None and self.choice not in ("a", "b"):
            raise ValueError(f"strength goes with choice a or b, not with {self.choice}")


# One tag per kind of outcome; rankings and ratings join this union with their first user.
Outcome = ChoiceOutcome


def mirror(outcome: Outcome) -> Outcome:
    """The same judgment with a and b exchanged."""
    if outcome.choice == "a":
        return ChoiceOutcome("b", outcome.strength)
    if outcome.choice == "b":
        return ChoiceOutcome("a", outcome.strength)
    return outcome


class Query(msgspec.Struct, frozen=True, omit_defaults=True):
    """A comparison the engine wants answered.

    `a`, `b`: row numbers of the items. `shown`: which of them stands on the left. `decision`: how many live
    votes the engine had folded in when it chose, which also numbers its random stream. `score`: the selector's
    value of the query, in the selector's own unit. `propensity`: the probability with which it was chosen. `why`:
    the belief at that time: `p_a`, the probability that a is preferred, and `sd`, the uncertainty of the difference
    in logits. `inputs`: the rows of the inputs that the items, prompts then, are compared on. `id`: the place of the
    query in its study's log, 0 outside a study.
    """

    a: int
    b: int
    decision: int = 0
    score: float = 0.0
    propensity: float = 1.0
    shown: ShownOrder = "ab"
    selector: str = ""
    why: dict[str, float] = {}
    inputs: tuple[int, ...] = ()
    id: int = 0

    @property
    def pair(self) -> tuple[int, int]:
        """The two rows, smaller first."""
        return (self.a, self.b) if self.a < self.b else (self.b, self.a)


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that a machine judge gave away beside the outcome of its vote.

    `logits`: log-odds that a is preferred, by the order in which the two were shown ("ab": a first); an order that was
    not asked is absent, and one order alone says nothing of the judge's leaning to the first. `tie`: its probability of
    a tie. `aspects`: scores of a and b by criterion. `reasoning`: its own words. `model` and `prompt`, a hash, say who
    was asked what. `tokens_in`, `tokens_out`; `cost` in the money of its prices; `calls` made, of which `cached`
    were paid before.
    """

    logits: dict[ShownOrder, float] = {}
    tie: float | None = None
    aspects: dict[str, tuple[float, float]] = {}
    reasoning: str = ""
    model: str = ""
    prompt: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    calls: int = 0
    cached: int = 0

    @property
    def logit(self) -> float:
        """Log-odds that a is preferred, the mean over the orders asked: with both, a leaning to a place cancels."""
        return sum(self.logits.values()) / len(self.logits) if self.logits else 0.0

    @property
    def flips(self) -> bool:
        """Whether the two orders name different winners; a tie names none."""
        return len(self.logits) == 2 and self.logits["ab"] * self.logits["ba"] < 0


class Vote(msgspec.Struct, frozen=True, omit_defaults=True):
    """A judgment that was given. `seconds` is active time, idle time taken off; `verdict` is a machine's; `weight` is
    the probability that it is meant, besides its judge's slips; `inputs` are those of its query."""

    a: int
    b: int
    outcome: Outcome
    judge: str = ""
    seconds: float | None = None
    reasons: tuple[str, ...] = ()
    note: str = ""
    verdict: Verdict | None = None
    weight: float = 1.0
    inputs: tuple[int, ...] = ()

    @property
    def pair(self) -> tuple[int, int]:
        """The two rows, smaller first."""
        return (self.a, self.b) if self.a < self.b else (self.b, self.a)

    @property
    def outcome_of_pair(self) -> Outcome:
        """The outcome as said of `pair`: a is the smaller row."""
        return self.outcome if self.a < self.b else mirror(self.outcome)


class JudgeFailure(msgspec.Struct, frozen=True):
    """A judge could not answer; never a vote. `lasting`: it will not answer any other query of this run either.
    `query_only`: that it cannot answer this query tells nothing of others. `cost`, `calls`: the money and the paid
    calls that the failure has taken."""

    judge: str
    why: str
    lasting: bool = False
    query_only: bool = False
    cost: float = 0.0
    calls: int = 0


def hash_of(value: Any) -> str:
    """Hash of any JSON value by its canonical encoding (32 hex digits)."""
    data = msgspec.json.encode(value, order="deterministic")
    return hashlib.blake2b(data, digest_size=16).hexdigest()
