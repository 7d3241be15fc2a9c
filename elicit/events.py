"""The log's events and their fold: the append-only log is the truth, everything else is computed from it.

An event is an envelope (`seq`, `time`) around a body; the bodies are a tagged union. `fold` turns events into the
study's state and is the only place that knows what an event means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from elicit.types import BadInputError, Item, Outcome, Query, Verdict, Vote

SCHEMA = 2
"""Version of the log's format; a newer one is refused."""

ENGINE = "3"
"""Version of the algorithm: decisions made under another one cannot be verified bit by bit."""


ANTICIPATED = 16
"""Waiting queries whose answers a selector counts on."""
JOINED = " + "
"""Between the names of the judges that made a vote together."""


class Body(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type"):
    """What happened."""


class Created(Body, frozen=True, tag="created"):
    """The study began. `engine` is the version of the algorithm, `spec` the study's specification."""

    schema: int
    engine: str
    spec: dict[str, Any]


class ItemsAdded(Body, frozen=True, tag="items_added"):
    """Candidates joined; their rows follow those already there."""

    items: tuple[Item, ...]


class PairsAdded(Body, frozen=True, tag="pairs_added"):
    """Pairs to be labelled: id and the two rows."""

    pairs: tuple[tuple[str, int, int], ...]


class SpecChanged(Body, frozen=True, tag="spec_changed"):
    """The specification was edited; from here on decisions follow the new one."""

    spec: dict[str, Any]
    changed: tuple[str, ...]


class EngineChanged(Body, frozen=True, tag="engine_changed"):
    """The study went on under another version of the algorithm."""

    engine: str


class Asked(Body, frozen=True, tag="asked"):
    """A query was chosen for a judge. `folded`: seq of the last vote or undo the deciding posterior had seen."""

    query: Query
    judge: str
    folded: int


class Consulted(Body, frozen=True, tag="consulted"):
    """A machine judge looked at the query with that seq: its verdict, or why there is none. Not a vote.

    `reason` and `numbers`: what the router asked it for.
    """

    query: int
    judge: str
    verdict: Verdict | None = None
    failure: str = ""
    reason: str = ""
    numbers: dict[str, float] = {}


class Routed(Body, frozen=True, tag="routed"):
    """The router is done with the query with that seq: it goes to people, or nobody is asked any more, or, drawn by
    lot after nobody was, to a person who audits the machines' label without seeing it.

    `propensity`: the probability with which this was decided. `numbers`, `reason`: what it was decided on.
    """

    query: int
    to: Literal["people", "nobody", "audit"]
    propensity: float = 1.0
    numbers: dict[str, float] = {}
    reason: str = ""


class Handed(Body, frozen=True, tag="handed"):
    """A query that waited for people was given to one."""

    query: int
    judge: str


class Voted(Body, frozen=True, tag="voted"):
    """A judge answered the query with that seq. `seconds` is active time. `raw` is what a machine's label is made of,
    or a failure."""

    query: int
    outcome: Outcome
    judge: str
    seconds: float | None = None
    reasons: tuple[str, ...] = ()
    note: str = ""
    raw: dict[str, Any] | None = None


class Undone(Body, frozen=True, tag="undone"):
    """The vote with that seq was taken back by its judge; its query is open again."""

    vote: int
    judge: str


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
    | PairsAdded
    | SpecChanged
    | EngineChanged
    | Asked
    | Consulted
    | Routed
    | Handed
    | Voted
    | Undone
    | Noted
    | Forgotten
)


class Event(msgspec.Struct, frozen=True):
    """One line of the log. `seq` counts from 1 without gaps; `time` is ISO 8601 in UTC."""

    seq: int
    time: str
    body: AnyBody


@dataclass(frozen=True)
class LiveVote:
    """A vote that counts, with its places in the log; raw: see `Voted`."""

    seq: int
    query: int
    time: str
    vote: Vote
    raw: dict[str, Any] | None = None


@dataclass
class State:
    """What the log says now.

    `votes` are the live ones in order; `open` maps a judge to the query it has to answer; `undone` are votes taken
    back; `folded` is the seq of the last vote or undo. `consulted` holds what machine judges said of a query, `routed`
    where the router sent it, `waiting` the queries that wait for a person.
    """

    spec: dict[str, Any] = field(default_factory=dict)
    engine: str = ""
    items: list[Item] = field(default_factory=list)
    pairs: list[tuple[str, int, int]] = field(default_factory=list)
    asked: dict[int, Asked] = field(default_factory=dict)
    votes: list[LiveVote] = field(default_factory=list)
    undone: list[LiveVote] = field(default_factory=list)
    open: dict[str, int] = field(default_factory=dict)
    consulted: dict[int, list[Consulted]] = field(default_factory=dict)
    routed: dict[int, list[Routed]] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=list)
    notes: dict[tuple[int, str], str] = field(default_factory=dict)
    folded: int = 0
    seq: int = 0
    created: str = ""

    def fold(self, event: Event) -> State:
        """Take in the next event, and return self.

        Raises BadInputError where the log has a gap or refers to what is not in it.
        """
        if event.seq != self.seq + 1:
            raise BadInputError(f"the log jumps from event {self.seq} to {event.seq}; restore study.db from a backup")
        self.seq = event.seq
        match event.body:
            case Created(schema=schema, engine=engine, spec=spec):
                if schema > SCHEMA:
                    raise BadInputError(
                        f"this study was written by a newer release (format {schema}, this one reads up to {SCHEMA}); "
                        "upgrade elicit to open it"
                    )
                self.spec, self.engine, self.created = spec, engine, event.time
            case ItemsAdded(items=items):
                self.items.extend(items)
            case PairsAdded(pairs=pairs):
                self.pairs.extend(pairs)
            case SpecChanged(spec=spec):
                self.spec = spec
            case EngineChanged(engine=engine):
                self.engine = engine
            case Asked() as asked:
                self.asked[event.seq] = asked
                self.open[asked.judge] = event.seq
            case Consulted() as consulted:
                self.consulted.setdefault(consulted.query, []).append(consulted)
            case Routed(query=query, to=to) as routed:
                self.routed.setdefault(query, []).append(routed)
                self.open = {judge: q for judge, q in self.open.items() if q != query}
                if to != "nobody":
                    self.waiting.append(query)
            case Handed(query=query, judge=judge):
                self.waiting.remove(query)
                self.open[judge] = query
            case Voted() as voted:
                self._voted(event, voted)
            case Undone(vote=seq, judge=judge):
                index = next((i for i in reversed(range(len(self.votes))) if self.votes[i].seq == seq), None)
                if index is None:
                    raise BadInputError(f"event {event.seq} takes back vote {seq}, which is not live")
                taken = self.votes.pop(index)
                self.undone.append(taken)
                if (held := self.open.get(judge)) in self.routed and held != taken.query:
                    self.waiting.insert(0, held)  # what the router gave to people must not be lost for another query
                self.open[judge] = taken.query
                self.folded = event.seq
            case Noted(query=query, judge=judge, text=text):
                self.notes[query, judge] = text
            case Forgotten():
                pass
        return self

    def _voted(self, event: Event, voted: Voted) -> None:
        if voted.query not in self.asked:
            raise BadInputError(f"event {event.seq} answers query {voted.query}, which was never asked")
        query = self.asked[voted.query].query
        vote = Vote(query.a, query.b, voted.outcome, voted.judge, voted.seconds, voted.reasons, voted.note)
        self.votes.append(LiveVote(event.seq, voted.query, event.time, vote, voted.raw))
        self.open = {judge: query for judge, query in self.open.items() if query != voted.query}
        self.waiting = [query for query in self.waiting if query != voted.query]
        self.folded = event.seq

    def note_of(self, live: LiveVote) -> str:
        """The note on a vote: the newest one written."""
        later = self.notes.get((live.query, live.vote.judge))
        return live.vote.note if later is None else later

    def pending(self, judge: str) -> list[tuple[int, int]]:
        """Pairs that are with other judges than this one, and the newest of those that wait for a person: their answers
        are anticipated one by one, which takes its time."""
        others = [query for holder, query in self.open.items() if holder != judge]
        return [self.asked[query].query.pair for query in [*others, *self.unanswered()[-ANTICIPATED:]]]

    def unanswered(self) -> list[int]:
        """The queries that wait for a person and have no vote yet, as those to be audited have."""
        voted = {live.query for live in self.votes} if self.waiting else set()
        return [query for query in self.waiting if query not in voted]
