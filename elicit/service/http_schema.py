"""What a study server says and hears: the wire's nouns.

Many annotators work on one study at once. Each holds leases: queries lent for a while, shown blind in an order of their
own. Everything here is the JSON of the API, the client's and the server's, and nothing here knows HTTP.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from elicit.quality.findings import Finding
from elicit.service.results import LeaderRow
from elicit.service.voting import Progress
from elicit.types import BadInputError, Goal

Scope = Literal["annotator", "judge", "admin"]
"""annotator: a person who votes; judge: a script that votes; admin: who runs the study."""
Screen = Literal["left", "right", "tie", "both_bad", "skip"]
Pane = Literal["left", "right"]
Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
NoteText = Annotated[str, msgspec.Meta(max_length=10_000)]
Plugin = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[a-z0-9_]+$(?!\n)")]
"""One of ours by name: a file to load would be code from outside."""
PositiveInteger = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
MOST_LEASES = 20
"""Queries that one annotator may hold at once."""


class ServiceError(BadInputError):
    """What was asked cannot be done now, or not by whoever asked; `status` is the HTTP status that says so."""

    def __init__(self, status: int, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.status, self.retry_after = status, retry_after


class Principal(msgspec.Struct, frozen=True):
    """Who a token stands for; study: the only one it opens, empty for all."""

    judge: str
    scope: Scope
    study: str = ""


# -- what clients send ----------------------------------------------------------------------------------------------


class LeaseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Leases asked for: so many at once, those held already among them."""

    n: Annotated[int, msgspec.Meta(ge=1, le=MOST_LEASES)] = 1
    annotator: str | None = None
    """For whom an admin asks; everybody else asks for themselves."""


class VoteRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A vote on a leased query, in the terms of its screen."""

    lease: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    choice: Screen
    strength: Literal[1, 2, 3] | None = None
    """1 slightly, 2 clearly, 3 far better; with left or right alone."""
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e7)] | None = None
    """Active seconds: idle time taken off."""
    reasons: Annotated[tuple[Tag, ...], msgspec.Meta(max_length=20)] = ()
    note: NoteText = ""


class VoidRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A vote is to count no more. `again`: lease its query to the same annotator once more, as an undo does."""

    why: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    again: bool = False


class NoteRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A note on a past vote; it replaces the one before."""

    note: NoteText


class Enrolment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new annotator, or a script that judges.

    pools: only pairs whose items' `meta.pool` is among them; empty: all. quota: votes at most.
    """

    judge: str
    scope: Literal["annotator", "judge"] = "annotator"
    pools: Annotated[tuple[Tag, ...], msgspec.Meta(max_length=50)] = ()
    quota: PositiveInteger | None = None


class Amendment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an admin changes of an annotator. weight: 1 counts in full, 0 is quarantined: kept in the log, taught to
    nobody. What is not given stays."""

    weight: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    why: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    pools: Annotated[tuple[Tag, ...], msgspec.Meta(max_length=50)] | None = None
    quota: PositiveInteger | None = None


class Invitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A link that makes annotators of those who open it: so many, within so many hours."""

    uses: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    hours: Annotated[float, msgspec.Meta(gt=0, le=24 * 366)] = 72.0
    pools: Annotated[tuple[Tag, ...], msgspec.Meta(max_length=50)] = ()
    quota: PositiveInteger | None = None


class Accepting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whoever opened an invite link tells the name they want to vote under."""

    judge: str


class Pausing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether queries are lent out."""

    paused: bool


class Replaying(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A replay to compute: under another selector, another router, or (neither) every decision checked."""

    selector: Plugin | None = None
    router: Plugin | None = None


# -- what the server says -------------------------------------------------------------------------------------------


class ServedCard(msgspec.Struct, frozen=True):
    """What a voter is told about a study before the first query."""

    study: str
    title: str
    goal: Goal
    question: str
    guidelines: str
    """Markdown."""
    guidelines_html: str
    reasons: tuple[str, ...]
    items: int
    paused: bool
    deadline: str
    """ISO 8601; empty: none."""
    judge: str
    """The name of whoever asks."""
    scope: Scope


class Welcome(msgspec.Struct, frozen=True):
    """What somebody who is invited is told before they join. votes: how many are asked of them, None: as many as they
    like. seconds: what a vote takes, by those given so far or by the length of the texts."""

    study: str
    title: str
    author: str
    question: str
    votes: int | None
    seconds: float
    deadline: str


class Lease(msgspec.Struct, frozen=True, omit_defaults=True):
    """A query lent to one annotator. `left` and `right` are as they are to be shown; `token` goes with the vote.

    number: its place among the annotator's votes, from 1. expires: ISO 8601; seconds: how long that is from now, by
    which clients should go, since clocks differ. *_html: the texts as safe HTML, where `?html=true` asked. images:
    the panes that have a picture, at `/v1/leases/{lease}/images/{pane}`.
    """

    lease: str
    token: str
    number: int
    left: str
    right: str
    context: str
    expires: str
    seconds: float
    left_html: str = ""
    right_html: str = ""
    context_html: str = ""
    images: tuple[Pane, ...] = ()


class Leases(msgspec.Struct, frozen=True):
    """What an annotator holds now. Where that is less than was wanted, `why` tells, and `retry_after` in how many
    seconds asking again may give more; None: not before something changes."""

    leases: tuple[Lease, ...]
    progress: Progress
    why: str = ""
    retry_after: float | None = None


class LeaseExtension(msgspec.Struct, frozen=True):
    """A lease was held on to: it now ends then."""

    lease: str
    expires: str
    seconds: float


class Receipt(msgspec.Struct, frozen=True):
    """A vote is on disk. `vote` names it; `votes` is how many of this annotator's counted with it."""

    vote: int
    lease: str
    time: str
    votes: int


class Voided(msgspec.Struct, frozen=True):
    """A vote counts no more; lease: its query, lent again where that was asked for."""

    vote: int
    lease: Lease | None = None


class ServedVote(msgspec.Struct, frozen=True, omit_defaults=True):
    """A vote given, as its screen had it. Only an admin is told `a` and `b` (ids of the items), `shown`, `check` and
    `why` the pair was asked."""

    vote: int
    judge: str
    left: str
    right: str
    context: str
    choice: Screen
    time: str
    strength: int | None = None
    seconds: float | None = None
    reasons: tuple[str, ...] = ()
    note: str = ""
    voided: bool = False
    a: str = ""
    b: str = ""
    shown: str = ""
    check: str = ""
    """gold or repeat where the query was a check of the annotator."""
    why: str = ""


class VotesPage(msgspec.Struct, frozen=True):
    """Votes, newest first; next: the cursor of the page after this one, None: the last."""

    votes: tuple[ServedVote, ...]
    next: str | None


class ItemRow(msgspec.Struct, frozen=True):
    """An item as the study has it."""

    id: str
    text: str
    context: str
    image: bool
    meta: dict[str, Any]


class ItemsPage(msgspec.Struct, frozen=True):
    items: tuple[ItemRow, ...]
    next: str | None


class LeaderPage(msgspec.Struct, frozen=True):
    """The leaderboard; model_version: seq of the newest vote it knows."""

    leaders: tuple[LeaderRow, ...]
    next: str | None
    model_version: int


class PosteriorPage(msgspec.Struct, frozen=True):
    """Utilities in logits, rows as the items are; parallel lists."""

    items: tuple[str, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    p_best: tuple[float, ...]
    next: str | None
    model_version: int


class AnnotatorRow(msgspec.Struct, frozen=True):
    """One annotator. accuracy: the probability of naming the better side, with its 95 % interval, None before votes
    overlap; leases: held now; seconds: median of a vote; weight: what the votes count now; last: time of the newest."""

    judge: str
    scope: Scope
    pools: tuple[str, ...]
    quota: int | None
    votes: int
    leases: int
    weight: float
    last: str
    seconds: float | None
    accuracy: float | None
    low: float | None
    high: float | None
    findings: tuple[Finding, ...]


class AgreementView(msgspec.Struct, frozen=True):
    """How far people agree. Intervals hold 95 %; None where it is not defined yet, as with too few pairs."""

    people: int
    pairs: int
    """Pairs that two or more people voted on."""
    fewest: int
    """Pairs from which on agreement is told: of fewer, one pair may be the difference between all and nothing."""
    alpha_nominal: tuple[float, float, float] | None
    """Krippendorff's alpha with low and high end; so is the ordinal one."""
    alpha_ordinal: tuple[float, float, float] | None
    fleiss: float | None
    cohen: float | None
    """Mean over pairs of annotators, weighted by the pairs they share."""
    ceiling: tuple[float, float, float] | None
    """The chance that one person says what another said, three-way."""
    ceiling_decided: tuple[float, float, float] | None
    """The same with ties aside."""


class MachineRow(msgspec.Struct, frozen=True):
    """A judge of the specification or a script with a judge's token."""

    judge: str
    kind: str
    person: bool
    price: float | None
    votes: int


class Admission(msgspec.Struct, frozen=True):
    """A token, told this once; the server keeps its hash alone."""

    judge: str
    scope: Scope
    study: str
    token: str


class Invited(msgspec.Struct, frozen=True):
    """An invite; `path` is what follows the server's address in the link."""

    code: str
    path: str
    expires: str
    uses: int


class ReplayJob(msgspec.Struct, frozen=True):
    """A replay that is being computed, or its result."""

    job: str
    done: bool
    result: dict[str, Any] | None = None
    error: str = ""


class StudyEvent(msgspec.Struct, frozen=True):
    """Something happened: an event of the log without its texts."""

    seq: int
    time: str
    type: str
    judge: str = ""


class Advanced(msgspec.Struct, frozen=True):
    """Where the engine is: `model_version` is the seq of the newest vote it has learnt, `behind` how many are to come.

    short: queries that are wanted and not there yet; why: why there will be no more; left: see `Progress`.
    """

    model_version: int
    behind: int
    short: int
    stop: bool
    reason: str
    left: tuple[int, int, int] | None
    why: str
    machines: str
    """Why machine judges answer nothing more, or an empty string."""
    ended: str = ""
    """See `Progress`."""
