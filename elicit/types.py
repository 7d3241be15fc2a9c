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
    "label": "Expected share of wrong labels",
}
"""What the stop rule measures (`elicit.stopping.Stop.expected`), by goal, in words that fit above a narrow chart."""

CHOICES: tuple[Choice, ...] = ("a", "b", "tie", "both_bad", "skip")
STRENGTHS: dict[int, str] = {1: "slightly", 2: "clearly", 3: "far"}


class BadInputError(ValueError):
    """Something a person gave cannot be used; the message is one sentence: what, where, what to do.

    Examples
    --------
    >>> import elicit
    >>> try:
    ...     elicit.Engine([[0.2], [float("nan")]])
    ... except elicit.BadInputError as error:
    ...     print(error)
    features[1, 0] is nan; every one must be a finite number
    """


class NothingLeftError(BadInputError):
    """There are fewer pairs left to ask than were asked for."""


class UnknownNameError(BadInputError):
    """A plug-in, judge or format was asked for by a name nobody has."""

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        super().__init__(f"there is no {kind} called {name!r}; known are: {', '.join(sorted(known))}")


class Item(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A candidate: what is compared.

    Attributes
    ----------
    id : str
        Names it in the log and in every table.
    text : str
        What the engine embeds and, unless `display` is given, what a voter reads (Markdown).
    display : str
        The Markdown that a voter reads instead of the text.
    payload : any JSON value
        For items that are not text; chat messages are shown as a conversation.
    image : str
        A picture shown above the text: a file, and in a study its path in the study's folder.
    context : str
        The prompt above both panes.
    features : dict
        Named numbers.
    embedding : tuple of float, optional
        Replaces the text embedding.
    meta : dict
        Travels along and is never shown to a voter.

    Examples
    --------
    >>> from elicit import Item
    >>> pun = Item("p1", "Time flies like an **arrow**.", features={"words": 5.0})
    >>> pun.shown_text
    'Time flies like an **arrow**.'
    >>> Item("p2", pun.text, features={"words": 5.0}).content_hash == pun.content_hash
    True
    >>> print(Item("chat", payload=[{"role": "user", "content": "Boil an egg?"}]).shown_text)
    Boil an egg?
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

    Attributes
    ----------
    choice : {"a", "b", "tie", "both_bad", "skip"}
        A skip says nothing.
    strength : {1, 2, 3}, optional
        How much better the chosen one is: 1 slightly, 2 clearly, 3 far; None when not stated.

    Raises
    ------
    ValueError
        Where a strength goes with anything but choice a or b.

    Examples
    --------
    >>> from elicit import ChoiceOutcome
    >>> ChoiceOutcome("a", strength=3)
    ChoiceOutcome(choice='a', strength=3)
    >>> ChoiceOutcome("tie", strength=2)
    Traceback (most recent call last):
        ...
    ValueError: strength goes with choice a or b, not with tie
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

    Attributes
    ----------
    a, b : int
        Row numbers of the items.
    decision : int
        How many live votes the engine had folded in, or counted on, when it chose; numbers its random stream.
    score : float
        The selector's value of the query, in the selector's own unit.
    propensity : float
        The probability with which it was chosen.
    shown : {"ab", "ba"}
        Which of the two stands on the left: the first letter.
    selector : str
        The selector that chose it.
    why : dict
        The belief at that time: `p_a`, the probability that a is preferred, ties aside, and `sd`, the standard
        deviation of u_a - u_b in logits.
    inputs : tuple of int
        The rows of the inputs that the items, prompts then, are compared on.
    id : int
        The place of the query in its study's log, 0 outside a study.

    Examples
    --------
    >>> import elicit
    >>> query = elicit.Engine([[0.0], [0.3], [1.0]], goal="rank").ask()
    >>> query.selector, query.why["p_a"]  # before any vote nothing speaks for either
    ('eig', 0.5)
    >>> elicit.Query(7, 2).pair
    (2, 7)
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

    Attributes
    ----------
    logits : dict
        Log-odds that a is preferred, by the order in which the two were shown ("ab": a first). An order that was not
        asked is absent, and one order alone says nothing of the judge's leaning to the first.
    tie : float, optional
        Its probability of a tie.
    aspects : dict
        Scores of a and b by criterion.
    reasoning : str
        Its own words.
    model, prompt : str
        Who was asked, and a hash of what.
    tokens_in, tokens_out : int
        Tokens read and written.
    cost : float
        Money, in the unit of the judge's prices.
    calls, cached : int
        Calls made, and how many of them were paid before.

    Examples
    --------
    >>> from elicit import Verdict
    >>> verdict = Verdict({"ab": 2.0, "ba": -0.5}, model="judge-1", cost=0.0004, calls=2)
    >>> verdict.flips  # it prefers whichever it reads first
    True
    >>> verdict.logit
    0.75
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
        """Log-odds that a is preferred, the mean over the orders asked: with both, a leaning to a place cancels; 0
        where none was asked."""
        return sum(self.logits.values()) / len(self.logits) if self.logits else 0.0

    @property
    def flips(self) -> bool:
        """Whether the two orders name different winners; a tie names none."""
        return len(self.logits) == 2 and self.logits["ab"] * self.logits["ba"] < 0


class Vote(msgspec.Struct, frozen=True, omit_defaults=True):
    """A judgment that was given.

    Attributes
    ----------
    a, b : int
        Row numbers of the items.
    outcome : ChoiceOutcome
        Of which "a" is the row `a`, wherever it was shown.
    judge : str
        Whose vote it is; how often each judge slips is learnt from the votes under its name.
    seconds : float, optional
        Active time, idle time taken off.
    reasons : tuple of str
        The tags attached to it.
    note : str
        In the voter's own words.
    verdict : Verdict, optional
        What a machine gave away beside it.
    weight : float
        The probability that it is meant, besides its judge's slips.
    inputs : tuple of int
        Those of its query.

    Examples
    --------
    >>> from elicit import ChoiceOutcome, Vote
    >>> vote = Vote(7, 2, ChoiceOutcome("a", 3), "ann", seconds=4.2)
    >>> vote.pair, vote.outcome_of_pair
    ((2, 7), ChoiceOutcome(choice='b', strength=3))
    """

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
    """A judge could not answer; never a vote.

    Attributes
    ----------
    judge : str
        Its name in the log.
    why : str
        For a reader.
    lasting : bool
        It will not answer any other query of this run either.
    query_only : bool
        That it cannot answer this query tells nothing of others.
    cost : float
        Money that the failure has taken, in the unit of the judge's prices.
    calls : int
        Paid calls that it has taken.

    Examples
    --------
    >>> from elicit import JudgeFailure
    >>> JudgeFailure("gold", "no judgment of this pair is recorded", query_only=True).lasting
    False
    """

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
