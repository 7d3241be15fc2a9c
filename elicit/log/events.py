"""The log's events: the append-only log is the truth, everything else is computed from it.

An event is an envelope (`seq`, `time`) around a body; the bodies are a tagged union. `elicit.log.state` folds them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self

import msgspec

from elicit.tuning.protocol import Input, Response
from elicit.types import Item, Outcome, Query, ShownOrder, Side, Verdict

SCHEMA = 5
"""Version of the log's format; a newer one is refused."""

ENGINE = "6"
"""Version of the algorithm: decisions made under another one cannot be verified bit by bit."""


JOINED = " + "
"""Between the names of the judges that made a vote together."""
STOCK, CHECK = "(stock)", "(check)"
"""In place of a judge: queries kept ready for whoever comes, and those that check an annotator."""
GOLD, REPEAT = "gold", "repeat"
"""In place of a selector: a pair whose answer is known, and one the annotator has answered, sides swapped."""

PRICE_OF = "price of "
"""In numbers, before the name of who could be asked."""

Mark = Literal["", "pinned", "retired"]


class Body(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type"):
    """What happened."""


class Created(Body, frozen=True, tag="created"):
    """The study began. `engine` is the version of the algorithm, `spec` the study's specification, `code_path` what was
    asked of MKL (`elicit.arithmetic`; empty where that was not recorded)."""

    schema: int
    engine: str
    spec: dict[str, Any]
    code_path: str = ""


class ItemsAdded(Body, frozen=True, tag="items_added"):
    """Candidates joined; their rows follow those already there."""

    items: tuple[Item, ...]


class InputsAdded(Body, frozen=True, tag="inputs_added"):
    """What prompts are tried on; their rows follow those already there."""

    inputs: tuple[Input, ...]


class Responded(Body, frozen=True, tag="responded"):
    """The target model answered to the prompt in row `item` on the input in row `input`, or failed to."""

    item: int
    input: int
    response: Response


class Measured(Body, frozen=True, tag="measured"):
    """From here on the engine knows these automatic signals of the prompts, by row. calls, cost: what it
    asked of judges."""

    signals: dict[str, dict[int, float]]
    calls: int = 0
    cost: float = 0.0


class Proposed(Body, frozen=True, tag="proposed"):
    """A proposer, or a person, made the prompts in these rows. generation: those of one have joined together, counted
    from 1; 0: by hand. dropped: how many it proposed besides, by the reason they did not
    join; failure: why it could not propose; calls, cost: what it asked of the model that writes."""

    proposer: str
    items: tuple[int, ...] = ()
    generation: int = 0
    dropped: dict[str, int] = {}
    failure: str = ""
    calls: int = 0
    cost: float = 0.0


class Marked(Body, frozen=True, tag="marked"):
    """Prompts were retired (not asked about any more, nor recommended; their votes still teach), pinned (never retired
    but by hand), or neither any more. by: a person, empty: the study itself."""

    items: tuple[int, ...]
    mark: Mark
    by: str = ""
    why: str = ""


class PairsAdded(Body, frozen=True, tag="pairs_added"):
    """Pairs to be labelled: id and the two rows."""

    pairs: tuple[tuple[str, int, int], ...]


class SpecChanged(Body, frozen=True, tag="spec_changed"):
    """The specification was edited; from here on decisions follow the new one."""

    spec: dict[str, Any]
    changed: tuple[str, ...]


class EngineChanged(Body, frozen=True, tag="engine_changed"):
    """The study went on under another version of the algorithm, or another code path of MKL."""

    engine: str
    code_path: str = ""


class Asked(Body, frozen=True, tag="asked"):
    """A query was chosen for a judge. `folded`: seq of the last vote or undo the deciding posterior had seen.

    `seen` is the last event that was known when it was chosen; another process may have written others in between.
    Queries for the stock come `batch` at once, of one pool where the study has pools, and wait for `wanted` votes each.
    """

    query: Query
    judge: str
    folded: int
    wanted: int = 1
    seen: int = 0
    batch: int = 0
    pool: str = ""


class Enrolled(Body, frozen=True, tag="enrolled"):
    """An annotator, or a script that judges, joined, or what is agreed with it changed. pools: the only ones it is
    given queries of; empty: all. quota: votes at most."""

    judge: str
    scope: Literal["annotator", "judge", "admin"] = "annotator"
    pools: tuple[str, ...] = ()
    quota: int | None = None


class Leased(Body, frozen=True, tag="leased"):
    """A query was lent to a judge for so many seconds, in the order it is shown to this one."""

    query: int
    judge: str
    lease: str
    shown: ShownOrder
    seconds: float


class Returned(Body, frozen=True, tag="returned"):
    """A lease ended without a vote."""

    lease: str
    why: Literal["released", "expired", "voided"]


class Weighed(Body, frozen=True, tag="weighed"):
    """From here on a judge's votes, the earlier ones too, count this much: 0 is quarantined. by: a check's name, or
    who decided."""

    judge: str
    weight: float
    by: str = ""
    why: str = ""


class Paused(Body, frozen=True, tag="paused"):
    """No queries are lent any more, or again."""

    paused: bool
    by: str = ""


class Basis(NamedTuple):
    """What a decision of the router was made on, as far as it is computed with again; where the log does not say, as of
    a query that nothing is known of.

    mean, variance: of u_a - u_b by the utility model before anybody answered. queries, money: those still to be
    labelled, and what was left for them, None without a limit. prices: who could be asked. p_a, p_tie: of the label as
    it would be without anybody more. audit: the chance of one that the machines' label was given, None where none was
    made. bits: that the router expected of the answer it asked for, None where it does not say.
    """

    mean: float = 0.0
    variance: float = 4.0
    queries: float = 1.0
    money: float | None = None
    prices: Mapping[str, float] = {}
    p_a: float = 1 / 3
    p_tie: float = 1 / 3
    audit: float | None = None
    bits: float | None = None

    @classmethod
    def of(cls, numbers: Mapping[str, float]) -> Self:
        """Out of the numbers of an event."""
        prices = {name[len(PRICE_OF) :]: price for name, price in numbers.items() if name.startswith(PRICE_OF)}
        values = {name: numbers[name] for name in cls._fields if name in numbers and name != "prices"}
        return cls(prices=prices, **values)

    def among(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """The numbers of an event: those that the router gave, as far as JSON has them, with these in their place."""
        values: dict[str, float] = {}
        for name, value in self._asdict().items():
            if name == "prices":
                values |= {PRICE_OF + seat: price for seat, price in self.prices.items()}
            elif value is not None:
                values[name] = value
        return {name: value for name, value in numbers.items() if math.isfinite(value)} | values


class Consulted(Body, frozen=True, tag="consulted"):
    """A machine judge looked at the query with that seq: its verdict, or why there is none; neither where it passed
    over the query. Not a vote.

    `reason` and `numbers`: what the router asked it for; only `basis` is computed with, the other numbers are for
    people. `cost`, `calls`: money and paid calls that a failure has taken.
    """

    query: int
    judge: str
    verdict: Verdict | None = None
    failure: str = ""
    reason: str = ""
    numbers: dict[str, float] = {}
    cost: float = 0.0
    calls: int = 0

    @property
    def basis(self) -> Basis:
        """What the router asked it on."""
        return Basis.of(self.numbers)


class Deferred(Body, frozen=True, tag="deferred"):
    """No machine judge could answer the query with that seq, so `judge`, who held it, holds it no more: it is asked
    again later."""

    query: int
    judge: str


class Resumed(Body, frozen=True, tag="resumed"):
    """A query that no machine judge could answer is with one again, as `judge`; with people, who were given it for that
    reason, it is no more."""

    query: int
    judge: str


class Routed(Body, frozen=True, tag="routed"):
    """The router is done with the query with that seq: it goes to people, or nobody is asked any more, or, drawn by
    lot after nobody was, to a person who audits the machines' label without seeing it.

    `propensity`: the probability with which this was decided. `numbers`, `reason`: what it was decided on; only `basis`
    is computed with, the other numbers are for people. `wanted`: votes that it is to get from people, each from another
    one.
    """

    query: int
    to: Literal["people", "nobody", "audit"]
    propensity: float = 1.0
    numbers: dict[str, float] = {}
    reason: str = ""
    wanted: int = 1

    @property
    def basis(self) -> Basis:
        """What it was decided on."""
        return Basis.of(self.numbers)


class Handed(Body, frozen=True, tag="handed"):
    """A query that waited for people was given to one."""

    query: int
    judge: str


class Voted(Body, frozen=True, tag="voted"):
    """A judge answered the query with that seq. `seconds` is active time. `raw` is what a machine's label is made of,
    or a failure.

    unacceptable: the sides that must not be, whichever is better.

    On a leased query: the lease, how it was shown, and the sender's key with a digest of what was sent under it.
    """

    query: int
    outcome: Outcome
    judge: str
    seconds: float | None = None
    reasons: tuple[str, ...] = ()
    note: str = ""
    raw: dict[str, Any] | None = None
    lease: str = ""
    shown: ShownOrder | None = None
    key: str = ""
    digest: str = ""
    unacceptable: tuple[Side, ...] = ()


class Undone(Body, frozen=True, tag="undone"):
    """The vote with that seq, of that judge, counts no more; its query is open again. by: who took it back, empty: the
    judge."""

    vote: int
    judge: str
    by: str = ""
    why: str = ""


class Noted(Body, frozen=True, tag="noted"):
    """A note on a query; a judge's newest one replaces what it wrote before."""

    query: int
    judge: str
    text: str


class Forgotten(Body, frozen=True, tag="forgotten"):
    """A judge's name and notes were removed; the votes stay under `pseudonym`."""

    pseudonym: str


AnyBody = (
    Created
    | ItemsAdded
    | InputsAdded
    | Responded
    | Measured
    | Proposed
    | Marked
    | PairsAdded
    | SpecChanged
    | EngineChanged
    | Asked
    | Consulted
    | Deferred
    | Resumed
    | Routed
    | Handed
    | Voted
    | Undone
    | Noted
    | Forgotten
    | Enrolled
    | Leased
    | Returned
    | Weighed
    | Paused
)


class Event(msgspec.Struct, frozen=True):
    """One line of the log. `seq` counts from 1 without gaps; `time` is ISO 8601 in UTC."""

    seq: int
    time: str
    body: AnyBody
