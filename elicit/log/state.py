"""What a study's log says now: the fold of its events, and the only place that knows what an event means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any

from elicit.log.events import (
    CHECK,
    GOLD,
    REPEAT,
    SCHEMA,
    STOCK,
    Asked,
    Consulted,
    Created,
    Deferred,
    EngineChanged,
    Enrolled,
    Event,
    Forgotten,
    Handed,
    InputsAdded,
    ItemsAdded,
    Leased,
    Mark,
    Marked,
    Measured,
    Noted,
    PairsAdded,
    Paused,
    Proposed,
    Responded,
    Resumed,
    Returned,
    Routed,
    SpecChanged,
    Undone,
    Voted,
    Weighed,
)
from elicit.tuning.protocol import Input, Response
from elicit.tuning.signals import kinds_of
from elicit.types import BadInputError, Item, ShownOrder, Side, Vote

ANTICIPATED = 16
"""Queries under way whose answers a selector counts on."""


@dataclass(frozen=True)
class LiveVote:
    """A vote that counts, with its places in the log; raw: see `Voted`. check: gold or repeat where the query was one.
    shown: which of the two stood on the left. unacceptable: see `Voted`."""

    seq: int
    query: int
    time: str
    vote: Vote
    raw: dict[str, Any] | None = None
    lease: str = ""
    shown: ShownOrder = "ab"
    check: str = ""
    unacceptable: tuple[Side, ...] = ()


@dataclass
class LeaseState:
    """A lease: a query lent to a judge. over: why it ended, empty while it runs."""

    query: int
    judge: str
    shown: ShownOrder
    seconds: float
    over: str = ""


@dataclass(frozen=True)
class IdempotentVote:
    """A vote that was sent under a key: the digest of what was sent, its seq and time, and how many of the judge's
    votes counted with it."""

    digest: str
    vote: int
    time: str
    votes: int


@dataclass
class State:
    """What the log says now.

    `votes` are the live ones in order; `open` maps a judge to the query it has to answer; `undone` are votes taken
    back; `folded` is the seq of the last vote or undo, `revised` of the last event that changed what earlier votes
    teach, `grown` of the last one that changed the items, what is known of them, or which of them are asked about.
    `consulted` holds what machine judges said of a query, `deferred` maps those that no machine judge could answer to
    who held it, `routed` holds where the router sent it, `wanted` how many votes of people it is to get then, `waiting`
    those that lack such votes and wait for a person.

    Of a study that tunes prompts: `inputs`, the `kinds` of their references where these are labels, the `responses` by
    row of the prompt and of the input, all that ever failed as `unanswered`, `signals` as last `measured`, what was
    `proposed` and when last (`grew`), the `marks` of prompts by row with their `whys`, when each was `born`, how many
    `calls` the models had and what they `cost`.

    Of a served study: `stock` maps queries for whoever comes to the votes they still want, `leases` names all that were
    lent, `held` those a judge has now, `taken` the judges that hold or have answered a query; `given` counts a judge's
    live votes, `had` are the pairs it was ever lent, `lent` how many queries, `checks` those that checked it; `keys`
    maps a judge and a key of its own to the vote that was sent under it.
    """

    spec: dict[str, Any] = field(default_factory=dict)
    engine: str = ""
    code_path: str = ""
    items: list[Item] = field(default_factory=list)
    pairs: list[tuple[str, int, int]] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    kinds: Set[str] = frozenset()
    responses: dict[tuple[int, int], Response] = field(default_factory=dict)
    unanswered: list[Response] = field(default_factory=list)
    signals: dict[str, dict[int, float]] = field(default_factory=dict)
    proposed: list[Proposed] = field(default_factory=list)
    marks: dict[int, Mark] = field(default_factory=dict)
    whys: dict[int, str] = field(default_factory=dict)
    born: list[int] = field(default_factory=list)
    calls: int = 0
    cost: float = 0.0
    grew: int = 0
    measured: int = 0
    asked: dict[int, Asked] = field(default_factory=dict)
    votes: list[LiveVote] = field(default_factory=list)
    undone: list[LiveVote] = field(default_factory=list)
    open: dict[str, int] = field(default_factory=dict)
    consulted: dict[int, list[Consulted]] = field(default_factory=dict)
    deferred: dict[int, str] = field(default_factory=dict)
    routed: dict[int, list[Routed]] = field(default_factory=dict)
    wanted: dict[int, int] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=list)
    stock: dict[int, int] = field(default_factory=dict)
    leases: dict[str, LeaseState] = field(default_factory=dict)
    held: dict[str, list[str]] = field(default_factory=dict)
    taken: dict[int, list[str]] = field(default_factory=dict)
    given: dict[str, int] = field(default_factory=dict)
    had: dict[str, set[tuple[int, int]]] = field(default_factory=dict)
    lent: dict[str, int] = field(default_factory=dict)
    checks: dict[str, list[int]] = field(default_factory=dict)
    keys: dict[tuple[str, str], IdempotentVote] = field(default_factory=dict)
    enrolled: dict[str, Enrolled] = field(default_factory=dict)
    weighed: dict[str, Weighed] = field(default_factory=dict)
    paused: bool = False
    notes: dict[tuple[int, str], str] = field(default_factory=dict)
    folded: int = 0
    revised: int = 0
    grown: int = 0
    seq: int = 0
    created: str = ""
    _listed: dict[str, dict[tuple[int, int], None]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def fold(self, event: Event) -> State:
        """Take in the next event, and return self.

        Raises BadInputError where the log has a gap or refers to what is not in it.
        """
        if event.seq != self.seq + 1:
            jump = f"the log jumps from event {self.seq} to {event.seq}"
            raise BadInputError(f"{jump}; restore a copy of the study that 'elicit backup' made")
        self.seq = event.seq
        match event.body:
            case Created(schema=schema, engine=engine, spec=spec, code_path=code_path):
                if schema > SCHEMA:
                    raise BadInputError(
                        f"this study was written by a newer release (format {schema}, this one reads up to {SCHEMA}); "
                        "upgrade elicit to open it"
                    )
                self.spec, self.engine, self.created = spec, engine, event.time
                self.code_path = code_path
            case ItemsAdded(items=items):
                self.items.extend(items)
                self.born += [event.seq] * len(items)
                self.grown = event.seq
            case InputsAdded(inputs=inputs):
                self.inputs.extend(inputs)
                self.kinds = kinds_of({entry.reference for entry in self.inputs if entry.reference})
                self.grown = event.seq
            case Responded(item=item, input=row, response=response):
                self.responses[item, row] = response
                if response.failure:
                    self.unanswered.append(response)
                self.calls += 1
                self.cost += response.cost
            case Measured(signals=signals, calls=calls, cost=cost):
                self.signals, self.measured = signals, event.seq
                self.calls += calls
                self.cost += cost
                self.grown = event.seq
            case Proposed() as proposed:
                self.proposed.append(proposed)
                self.grew = event.seq if proposed.generation else self.grew
                self.calls += proposed.calls
                self.cost += proposed.cost
            case Marked(items=rows, mark=mark, why=why):
                self.marks |= dict.fromkeys(rows, mark)
                self.whys |= dict.fromkeys(rows, why)
                self.grown = event.seq
            case PairsAdded(pairs=pairs):
                self.pairs.extend(pairs)
                self._listed.clear()
            case SpecChanged(spec=spec):
                self.spec = spec
            case EngineChanged(engine=engine, code_path=code_path):
                self.engine, self.code_path = engine, code_path
            case Asked() as asked:
                self.asked[event.seq] = asked
                if asked.judge == STOCK:
                    self.stock[event.seq] = asked.wanted
                elif asked.judge != CHECK:
                    self.open[asked.judge] = event.seq
            case Consulted() as consulted:
                self.consulted.setdefault(consulted.query, []).append(consulted)
            case Deferred(query=query, judge=judge):
                self.deferred[query] = judge
                self.open.pop(judge, None)
            case Resumed(query=query, judge=judge):
                self.deferred.pop(query, None)
                self.routed.pop(query, None)
                self.wanted.pop(query, None)
                self._update_waiting(query)
                self.open[judge] = query
            case Routed(query=query, to=to, wanted=wanted) as routed:
                self.routed.setdefault(query, []).append(routed)
                self.open = {judge: q for judge, q in self.open.items() if q != query}
                if to != "nobody":
                    self.wanted[query] = wanted
                    self._update_waiting(query)
            case Handed(query=query, judge=judge):
                self.taken.setdefault(query, []).append(judge)
                self._update_waiting(query)
                self.open[judge] = query
            case Voted() as voted:
                self._fold_vote(event, voted)
            case Undone(vote=seq, judge=judge):
                self._fold_undo(event, seq, judge)
            case Noted(query=query, judge=judge, text=text):
                self.notes[query, judge] = text
            case Forgotten():
                pass
            case Enrolled(judge=judge) as enrolled:
                self.enrolled[judge] = enrolled
            case Leased() as leased:
                self.leases[leased.lease] = LeaseState(leased.query, leased.judge, leased.shown, leased.seconds)
                self.held.setdefault(leased.judge, []).append(leased.lease)
                self.taken.setdefault(leased.query, []).append(leased.judge)
                self.had.setdefault(leased.judge, set()).add(self.asked[leased.query].query.pair)
                self.lent[leased.judge] = self.lent.get(leased.judge, 0) + 1
                if self.asked[leased.query].judge == CHECK:
                    self.checks.setdefault(leased.judge, []).append(leased.query)
                self._update_waiting(leased.query)
            case Returned(lease=lease, why=why):
                held = self._end_lease(lease, why)
                self.taken[held.query].remove(held.judge)
                self._update_waiting(held.query, first=True)
            case Weighed(judge=judge) as weighed:
                self.weighed[judge] = weighed
                self.revised = event.seq
            case Paused(paused=paused):
                self.paused = paused
        return self

    def _end_lease(self, lease: str, why: str) -> LeaseState:
        held = self.leases[lease]
        if not held.over:
            self.held[held.judge].remove(lease)
        held.over = why
        return held

    def _fold_vote(self, event: Event, voted: Voted) -> None:
        if voted.query not in self.asked:
            raise BadInputError(f"event {event.seq} answers query {voted.query}, which was never asked")
        query = self.asked[voted.query].query
        answer = (voted.outcome, voted.judge, voted.seconds, voted.reasons, voted.note)
        vote = Vote(query.a, query.b, *answer, inputs=query.inputs)
        check = query.selector if query.selector in (GOLD, REPEAT) else ""
        shown = voted.shown or query.shown
        place = (event.seq, voted.query, event.time)
        self.votes.append(LiveVote(*place, vote, voted.raw, voted.lease, shown, check, voted.unacceptable))
        self.folded = event.seq
        number = self.given[voted.judge] = self.given.get(voted.judge, 0) + 1
        if voted.lease:
            late = self.leases[voted.lease].over
            self._end_lease(voted.lease, "voted")
            if late:
                self.taken.setdefault(voted.query, []).append(voted.judge)
            self.keys[voted.judge, voted.key] = IdempotentVote(voted.digest, event.seq, event.time, number)
            self._change_stock(voted.query, -1)
            self._update_waiting(voted.query)
            return
        if voted.query not in self.wanted:
            self.open = {judge: query for judge, query in self.open.items() if query != voted.query}
        elif voted.raw is None:  # others may have it too
            self.open = {j: query for j, query in self.open.items() if (j, query) != (voted.judge, voted.query)}
            if voted.judge not in self.taken.get(voted.query, ()):
                self.taken.setdefault(voted.query, []).append(voted.judge)
            self._update_waiting(voted.query)

    def _fold_undo(self, event: Event, seq: int, judge: str) -> None:
        index = next((i for i in reversed(range(len(self.votes))) if self.votes[i].seq == seq), None)
        if index is None:
            raise BadInputError(f"event {event.seq} takes back vote {seq}, which is not live")
        live = self.votes.pop(index)
        self.undone.append(live)
        self.given[judge] -= 1
        self.folded = self.revised = event.seq
        if live.lease:
            self.leases[live.lease].over = "voided"
            self.taken[live.query].remove(judge)
            self._change_stock(live.query, 1)
            self._update_waiting(live.query, first=True)
            return
        if (held := self.open.get(judge)) in self.wanted and held != live.query:
            self.taken[held].remove(judge)  # what the router gave to people must not be lost for another query
            self._update_waiting(held, first=True)
        self.open[judge] = live.query

    def _change_stock(self, query: int, change: int) -> None:
        """So many votes more are wanted of a query of the stock."""
        if self.asked[query].judge == STOCK:
            wanted = self.stock.pop(query, 0) + change
            if wanted > 0:
                self.stock[query] = wanted

    def missing_judges(self, query: int) -> int:
        """How many people more are to have a query that the router gave to people."""
        return self.wanted.get(query, 0) - len(self.taken.get(query, ()))

    def _update_waiting(self, query: int, *, first: bool = False) -> None:
        """Let the query wait for a person exactly as long as it lacks one. first: before the others that wait."""
        if self.missing_judges(query) <= 0:
            if query in self.waiting:
                self.waiting.remove(query)
        elif query not in self.waiting:
            self.waiting.insert(0 if first else len(self.waiting), query)

    def free_places(self, query: int) -> int:
        """How many more judges a query of the stock can be lent to now."""
        holders = sum(
            self.leases[lease].query == query for j in self.taken.get(query, ()) for lease in self.held.get(j, ())
        )
        return self.stock.get(query, 0) - holders

    def judges_who_answered(self, query: int) -> list[str]:
        """The judges who have answered a query and hold it no more."""
        holders = {j for j, held in self.held.items() if any(self.leases[lease].query == query for lease in held)}
        return [judge for judge in self.taken.get(query, ()) if judge not in holders]

    def since(self, seq: int) -> int:
        """How many live votes came after that event."""
        return sum(live.seq > seq for live in self.votes)

    def tally(self) -> Counter[int]:
        """How many live votes were on the item in each row."""
        return Counter(row for live in self.votes for row in live.vote.pair)

    def retired_rows(self) -> list[int]:
        """The rows of the prompts that are not asked about any more."""
        return sorted(row for row, mark in self.marks.items() if mark == "retired")

    def live(self) -> list[int]:
        """The rows of the prompts that are."""
        return [row for row in range(len(self.items)) if self.marks.get(row) != "retired"]

    def weight(self, judge: str) -> float:
        """What a judge's votes count: 1 in full, 0 not at all."""
        return self.weighed[judge].weight if judge in self.weighed else 1.0

    def pool_of(self, row: int) -> str:
        """The pool of a listed pair, which its first item names in `meta.pool`."""
        return str(self.items[row].meta.get("pool", ""))

    def listed_pairs(self, pool: str = "") -> Set[tuple[int, int]]:
        """The listed pairs of a pool, or of all, each once, the smaller row first; in order."""
        if pool not in self._listed:
            pairs = ((min(a, b), max(a, b)) for _, a, b in self.pairs if pool in ("", self.pool_of(a)))
            self._listed[pool] = dict.fromkeys(sorted(pairs))
        return self._listed[pool].keys()

    def note_of(self, live: LiveVote) -> str:
        """The note on a vote: the newest one written."""
        later = self.notes.get((live.query, live.vote.judge))
        return live.vote.note if later is None else later

    def pending_pairs(self, judge: str, but: int | None = None) -> list[tuple[int, int]]:
        """Pairs that are with other judges than this one, and the newest of those under way to whoever comes: their
        answers are anticipated one by one, which takes its time. but: a query that does not count."""
        others = [query for holder, query in self.open.items() if holder != judge]
        queries = [*others, *[query for query in self.under_way() if query != but][-ANTICIPATED:]]
        return [self.asked[query].query.pair for query in queries]

    def under_way(self) -> list[int]:
        """The queries whose answers are to come from whoever comes: waiting for a person, lent, or in the stock."""
        lent = [self.leases[lease].query for leases in self.held.values() for lease in leases]
        routed = [query for query in lent if query in self.routed]
        return [*dict.fromkeys([*self.unanswered_queries(), *routed]), *self.stock]

    def unjudged_queries(self) -> set[int]:
        """The queries that somebody is still to judge: open, lent, or waiting for a person."""
        lent = (self.leases[lease].query for leases in self.held.values() for lease in leases)
        return {*self.waiting, *self.open.values(), *lent}

    def to_come(self, *, audits: bool) -> int:
        """How many votes people are still to give on what the router gave them. audits: those among them that check a
        machine's label."""
        begun = [self.leases[lease].query for leases in self.held.values() for lease in leases]
        begun += self.open.values()
        counted = {query for query in (*self.waiting, *begun) if audits or self._for_people(query)} & self.routed.keys()
        lacking = sum(self.missing_judges(query) for query in self.waiting if query in counted)
        return lacking + sum(query in counted for query in begun)

    def _for_people(self, query: int) -> bool:
        return query in self.routed and self.routed[query][0].to == "people"

    def unanswered_queries(self) -> list[int]:
        """The queries that wait for a person and have no vote yet, as those to be audited have."""
        voted = {live.query for live in self.votes} if self.waiting else set()
        return [query for query in self.waiting if query not in voted]
