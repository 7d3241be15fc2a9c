"""What a voting screen may ask of a study, and what it may see.

A screen (terminal, page, script) is a thin client of `StudyService`. Everything it is shown before a vote is in
`Ballot`: texts and a position, never item ids, model names or the engine's belief.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeVar

import msgspec

from elicit.log.events import Mark
from elicit.service.views import View
from elicit.types import Choice, Goal, Outcome, Side

T = TypeVar("T")


class Ballot(msgspec.Struct, frozen=True):
    """One blind comparison. `query` names it to the service; `number` is its place in the judge's session, from 1.

    left_image, right_image: the files of the pictures above the texts, as this machine has them; empty: none.
    """

    query: int
    number: int
    left: str
    right: str
    context: str = ""
    left_image: str = ""
    right_image: str = ""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a person said about a ballot, in the screen's terms: left and right become a and b behind the service."""

    query: int
    choice: str
    """left, right, tie, both_bad or skip."""
    strength: int | None = None
    seconds: float | None = None
    """Active seconds: idle time taken off."""
    reasons: tuple[str, ...] = ()
    note: str = ""
    unacceptable: tuple[Literal["left", "right"], ...] = ()
    """The sides that must not be, whichever is better."""


class StudyCard(msgspec.Struct, frozen=True):
    """What a voter is told about the study before the first ballot."""

    title: str
    goal: Goal
    question: str
    """The sentence above the panes: "Which response is better?"."""
    guidelines: str
    """Markdown behind the g key."""
    reasons: tuple[str, ...]
    """Reason tags a voter may attach."""
    items: int
    tuned: bool = False
    """Whether the items are prompts that are being tuned: there is a board then."""
    guarded: bool = False
    """Whether sides may be called unacceptable."""


class Progress(msgspec.Struct, frozen=True):
    """What the header shows: the voter's own work and how much is left. Never a belief about items."""

    votes: int
    """Live votes in the study."""
    mine: int
    """Live votes of this judge."""
    target: int
    """Votes at which the study ends at the latest (its budget)."""
    left: tuple[int, int, int] | None
    """Votes left until the stop rule is met or nothing more can be asked: low, middle and high end of an 80 % interval;
    None: not known yet; zeros exactly where `stop`."""
    stop: bool
    """The stop rule is met, or nothing more can be asked (`ended`)."""
    why: str
    """Why the study should stop, or why it goes on."""
    ended: str = ""
    """Why nothing more can be asked although the stop rule is not met; empty where something can, or where it is."""


class Turn(msgspec.Struct, frozen=True):
    """The next ballot with the progress; `ballot` is None when there is nothing to ask.

    notice: what the voter has to know at once, in a sentence. again: where there is no ballot, the seconds after which
    asking again may give one; None: not before something changes. doing: what is being made for the ballot to come.
    """

    ballot: Ballot | None
    progress: Progress
    notice: str = ""
    again: float | None = None
    doing: str = ""


class PastVote(msgspec.Struct, frozen=True):
    """A vote already given, with why its pair was asked (visible only after the vote)."""

    query: int
    number: int
    left: str
    right: str
    context: str
    choice: str
    """left, right, tie, both_bad or skip."""
    strength: int | None
    judge: str
    seconds: float | None
    reasons: tuple[str, ...]
    note: str
    time: str
    why: str
    """One sentence in words and numbers: why this pair was asked."""
    undone: bool = False
    unacceptable: tuple[Literal["left", "right"], ...] = ()


class BoardRow(msgspec.Struct, frozen=True):
    """One prompt on the tuning board; utilities in logits less the mean of all, the interval holds 90 %."""

    row: int
    """What the service knows it by."""
    item: str
    text: str
    maker: str
    """The proposer or the person it is from; empty for the prompts the study began with."""
    parents: tuple[int, ...]
    """The rows it was made from."""
    why: str
    """What was changed, in a sentence; of a retired one, why it retired."""
    mark: Mark
    utility: float
    low: float
    high: float
    p_best: float
    votes: int
    signals: dict[str, float]
    """Automatic signals, 0 to 1."""
    born: int
    """How many votes there were when it joined."""
    acceptable: float | None
    """The probability that its responses are unacceptable no more often than is allowed; None: nothing is asked for."""


class Board(msgspec.Struct, frozen=True):
    """What the tuning board draws."""

    progress: Progress
    task: str
    rows: tuple[BoardRow, ...]
    """Live prompts, the best first; then the retired ones, the newest first."""
    best: int | None
    """The row of the recommended prompt; None where none is acceptable."""
    guessed: bool
    """Whether no vote speaks for it yet."""
    seed: int
    """The row of the prompt the study began with."""
    win_rate: tuple[float, float, float] | None
    """On which share of unseen inputs the best is preferred to the seed: mean and 90 % interval; None: not known."""
    calls: int
    most_calls: int
    cost: float
    money: float | None
    """The most it may cost."""
    judge_cost: float
    """What the judges that vote have cost beside it."""
    shortfalls: str
    """How many responses failed or were cut, and why; empty: none."""
    idle: str
    """Why proposers brought nothing the last time; empty: all did."""
    doing: str
    """What is being made now; empty: nothing."""
    next_prompts: int | None
    """Votes until new prompts join; None: no more do."""


class StudyService(Protocol):
    """What screens talk to; local (an engine process) or remote (HTTP), with one judge per client.

    Every method may raise `BadInputError` with a sentence for the person at the screen, and `ConnectionError`
    when the engine is gone.
    """

    async def card(self) -> StudyCard: ...

    async def turn(self) -> Turn:
        """The open ballot, or a fresh one. Asking twice gives the same ballot."""
        ...

    async def vote(self, answer: Answer) -> Turn:
        """Record the answer (on disk before this returns) and give the next turn."""
        ...

    async def undo(self) -> Turn | None:
        """Take back this judge's newest live vote; its ballot is open again. None: nothing to take back."""
        ...

    async def upcoming(self) -> tuple[Ballot, ...]:
        """The ballots that may follow the open one, once they are known, so that they can be rendered ahead."""
        ...

    async def note(self, query: int, text: str) -> None:
        """Attach a note to a past ballot."""
        ...

    async def history(self, limit: int = 200) -> tuple[PastVote, ...]:
        """This judge's votes, newest first."""
        ...

    async def show(self, view: View[Any, T]) -> T:
        """What a view of `studies.reporting.views` that is for screens tells now."""
        ...

    async def close(self) -> None: ...


class TuningService(StudyService, Protocol):
    """What screens talk to besides where the study tunes prompts (`StudyCard.tuned`)."""

    async def board(self) -> Board: ...

    async def add(self, text: str, parent: int | None = None) -> Board:
        """Let a prompt that a person wrote join; parent: the row it was edited from."""
        ...

    async def mark(self, row: int, mark: Mark) -> Board:
        """Pin a prompt, retire it, or neither."""
        ...

    async def grow(self) -> Board:
        """Have new prompts made now; the board tells when they are there."""
        ...


def outcome_of(answer: Answer, shown: str) -> Outcome:
    """The stored outcome of an answer given on screen.

    Raises ValueError for a choice or strength that does not exist.
    """
    sides: dict[str, Choice] = {"left": "a", "right": "b"} if shown == "ab" else {"left": "b", "right": "a"}
    return msgspec.convert(
        {"type": "choice", "choice": sides.get(answer.choice, answer.choice), "strength": answer.strength},
        Outcome,
    )


def unacceptable_of(answer: Answer, shown: str) -> tuple[Side, ...]:
    """The stored sides that an answer given on screen calls unacceptable."""
    return tuple("a" if (side == "left") == (shown == "ab") else "b" for side in answer.unacceptable)


def side_of(choice: Choice, shown: str) -> str:
    """The inverse of `outcome_of` for the choice: a and b become left and right."""
    if choice not in ("a", "b"):
        return choice
    return "left" if (choice == "a") == (shown == "ab") else "right"
