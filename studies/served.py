"""A study that many use at once: leases, votes and annotators, beside the engine process that models it.

The log is the truth here too: a lease is in it before it is lent, a vote before it is acknowledged. What an annotator
is lent is a function of the log; the engine, in a process of its own (`studies.modelled`), only has to keep the stock
filled, and may be slow, or gone for a while. Loads no torch.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adapters.ledger import SqliteLedger
from elicit.assignment import assign, check_for, shown_to
from elicit.events import (
    CHECK,
    AnyBody,
    Asked,
    Enrolled,
    Event,
    Leased,
    Noted,
    Paused,
    Returned,
    Undone,
    Voted,
    Weighed,
)
from elicit.service import Answer, Progress, outcome_of
from elicit.serving import (
    Amendment,
    AnnotatorRow,
    Beat,
    Cast,
    Enrolment,
    ItemsPage,
    Lease,
    Leases,
    Pane,
    Receipt,
    RefusedError,
    ServedCard,
    StudyEvent,
    Void,
    Voided,
    VotesPage,
    Wanted,
    Who,
)
from elicit.state import Held, LiveVote, State
from elicit.types import BadInputError
from studies import spec as specs
from studies.committing import Committer
from studies.golds import golds_of
from studies.modelled import Modelled
from studies.pages import items_page, votes_page

ACTIVE = 60.0
"""Seconds after which an annotator who asks for nothing is not reckoned with."""
EACH = 4
"""Free queries that are kept ready for every annotator who is there."""
LEAST, MOST = 8, 600
"""Free queries that are kept ready at the least and at the most."""
PATIENCE = 1.5
"""Seconds that an annotator with nothing to do waits for the engine before it is told to ask again."""
TICK = 0.5
"""Seconds between two looks at leases that end, and at what other processes wrote."""
NOBODYS = ("people", "nobody")
"""Names that mean something else in the log."""


class Served:
    """`elicit.serving.ServedStudy` over a folder; between `begin` and `close` it is the study's only writer.

    secret: what the tokens of leases are made with.
    Raises BadInputError where the study cannot be opened for writing.
    """

    def __init__(self, folder: Path, secret: bytes) -> None:
        from studies.study import Study

        Study.open(folder).close()  # takes in an edited study.toml, and says what is wrong with it
        self.id, self.folder = folder.resolve().name, folder
        self._ledger = SqliteLedger(folder, writable=True)
        try:
            self.state = State()
            for event in self._ledger.read():
                self.state.fold(event)
            self.spec = specs.convert(self.state.spec)
            self._golds = golds_of(folder, self.spec.serving.golds, self.state)
        except BaseException:
            self._ledger.close()
            raise
        self._secret = secret
        self._due = {
            lease: time.monotonic() + held.seconds for lease, held in self.state.leases.items() if not held.over
        }
        self._seen: dict[str, float] = {}
        self._busy: Counter[int] = Counter()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._flying: dict[tuple[str, str], asyncio.Future[Receipt]] = {}
        self._digests: dict[tuple[str, str], str] = {}
        self._voting: set[str] = set()
        self._changed = asyncio.Event()
        self._listeners: set[asyncio.Queue[Event]] = set()
        self.views = Modelled(folder)

    def begin(self) -> None:
        """Start the engine and the clock."""
        self._commits = Committer(self._ledger, self.state, self._told)
        self.views.begin(self._wanted, self._refresh)
        self._clock = asyncio.create_task(self._tick())

    async def close(self) -> None:
        """Stop; everything is on disk already."""
        self._clock.cancel()
        with suppress(asyncio.CancelledError):
            await self._clock
        await self.views.close()
        await self._commits.close()
        self._ledger.close()

    # -- leases -----------------------------------------------------------------------------------------------

    async def lease(self, who: Who, wanted: Wanted) -> Leases:
        """Lend queries until the annotator holds so many; those held already come first."""
        judge = self._meant(who, wanted.annotator)
        self._seen[judge] = time.monotonic()
        until = time.monotonic() + PATIENCE
        async with self._locks[judge]:
            while True:
                self._changed.clear()
                why = self._closed(judge)
                if not why:
                    await self._lend(judge, wanted.n)
                if self._active(judge) or why or time.monotonic() > until:
                    break
                self.views.wake.set()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.1)
        held = self._active(judge)[: wanted.n]
        leases = tuple(self._lease(lease, i) for i, lease in enumerate(held, self.state.given.get(judge, 0) + 1))
        if len(leases) == wanted.n:
            return Leases(leases, self._progress(judge))
        ended = why or (self.views.latest.why if self.views.latest else "")
        again = 15.0 if self.state.paused else None if why else 2.0
        return Leases(leases, self._progress(judge), ended or "the next pair is being chosen", again)

    async def heartbeat(self, who: Who, lease: str) -> Beat:
        """Keep a lease for as long again from now."""
        held = self._held(who, lease)
        if held.over:
            raise RefusedError(410, f"this lease is over ({held.over}); ask for another")
        self._due[lease] = time.monotonic() + held.seconds
        return Beat(lease, _after(held.seconds), held.seconds)

    async def release(self, who: Who, lease: str) -> None:
        """Give a query back unanswered."""
        held = self._held(who, lease)
        if not held.over and lease not in self._voting:
            self._voting.add(lease)
            try:
                await self._commits.commit(Returned(lease, "released"))
            finally:
                self._voting.discard(lease)

    async def image(self, who: Who, lease: str, pane: Pane) -> Path:
        """The picture of a pane. Raises RefusedError (404) where it has none."""
        held = self._held(who, lease)
        item = self.state.items[self._sides(held)[pane == "right"]]
        if not item.image:
            raise RefusedError(404, f"there is no picture on the {pane}")
        return self.folder / item.image

    async def _lend(self, judge: str, n: int) -> None:
        """Lend queries until the judge holds n, or nothing is left for it."""
        serving, enrolled, seed = self.spec.serving, self.state.enrolled.get(judge), self.spec.seed
        machine = enrolled is not None and enrolled.scope == "judge"
        quota = (enrolled.quota if enrolled else None) or serving.quota
        held = len(self._active(judge))
        room = self.spec.votes - len(self.state.votes) - len(self._due)
        missing = min(n - held, room, n if quota is None else quota - self.state.given.get(judge, 0) - held)
        if missing <= 0:
            return
        shares, turn = (serving.gold_share, serving.repeat_share), self.state.lent.get(judge, 0)
        drawn = [
            None if machine else check_for(self.state, judge, turn + i, shares, self._golds, seed)
            for i in range(missing)
        ]
        holds = {self.state.asked[self.state.leases[lease].query].query.pair for lease in self._active(judge)}
        checks = {query.pair: query for query in drawn if query and query.pair not in holds}
        asked = [Asked(query, CHECK, self.state.folded) for query in checks.values()]
        queries = [event.seq for event in await self._commits.commit(*asked)] if asked else []
        queries += assign(self.state, judge, missing - len(queries), seed, self._busy, machine)
        if not queries:
            return
        self._busy.update(queries)
        try:
            await self._commits.commit(
                *(
                    Leased(query, judge, secrets.token_hex(12), shown_to(self.state, judge, query, seed), serving.lease)
                    for query in queries
                )
            )
        finally:
            self._busy.subtract(queries)
            self._busy += Counter()  # without those that are down to nothing

    def _closed(self, judge: str) -> str:
        """Why nothing is lent to a judge now, or an empty string."""
        serving, enrolled = self.spec.serving, self.state.enrolled.get(judge)
        quota = (enrolled.quota if enrolled else None) or serving.quota
        if self.state.paused:
            return "the study is paused; it goes on by itself when whoever runs it lets it"
        if serving.ends and datetime.now(UTC) > serving.ends:
            return f"the study ended at {serving.deadline}; thank you"
        if quota is not None and self.state.given.get(judge, 0) >= quota:
            return f"you have given all {quota} votes that were asked of you; thank you"
        if self.state.weights.get(judge, 1.0) == 0:
            return "whoever runs the study is looking at your votes; there is nothing to do for now"
        if len(self.state.votes) >= self.spec.votes:
            return f"the study has all its {self.spec.votes} votes; thank you"
        return ""

    # -- votes ------------------------------------------------------------------------------------------------

    async def vote(self, who: Who, cast: Cast, key: str, digest: str) -> Receipt:
        """Record a vote, on disk before this returns; see `elicit.serving.ServedStudy`."""
        place = (who.judge, key)
        known = self.state.keys.get(place)
        if (known.digest if known else self._digests.get(place, digest)) != digest:
            raise RefusedError(
                422, "this Idempotency-Key was sent before with another vote; use a new key for each vote"
            )
        if known:
            return Receipt(known.vote, cast.lease, known.time, known.votes)
        if place in self._flying:
            return await asyncio.shield(self._flying[place])
        held = self._held(who, cast.lease)
        if not hmac.compare_digest(cast.token, self._token(cast.lease)):
            raise RefusedError(404, "there is no such lease; ask for another")
        if cast.lease in self._voting or (held.over and not (held.over == "expired" and self.spec.serving.late)):
            raise RefusedError(409, f"this lease is over ({held.over or 'being voted on'}); the vote was not counted")
        try:
            outcome = outcome_of(Answer(0, cast.choice, cast.strength), held.shown)
        except ValueError as error:
            raise RefusedError(
                422, f"strength {cast.strength} goes with left or right, not with {cast.choice}"
            ) from error
        self._seen[who.judge] = time.monotonic()
        self._voting.add(cast.lease)
        self._digests[place] = digest
        self._flying[place] = asyncio.ensure_future(
            self._record(
                Voted(
                    held.query,
                    outcome,
                    who.judge,
                    cast.seconds,
                    cast.reasons,
                    cast.note,
                    lease=cast.lease,
                    shown=held.shown,
                    key=key,
                    digest=digest,
                )
            )
        )
        return await asyncio.shield(self._flying[place])

    async def _record(self, voted: Voted) -> Receipt:
        try:
            await self._commits.commit(voted)
        finally:
            self._voting.discard(voted.lease)
            del self._flying[voted.judge, voted.key], self._digests[voted.judge, voted.key]
        known = self.state.keys[voted.judge, voted.key]
        return Receipt(known.vote, voted.lease, known.time, known.votes)

    async def void(self, who: Who, vote: int, void: Void) -> Voided:
        """Let a vote count no more; with `again`, its query is lent to its judge once more."""
        async with self._locks[f"void {vote}"]:
            live = self._vote(who, vote)
            if live is None:
                raise RefusedError(409, f"vote {vote} was taken back before")
            judge = live.vote.judge
            bodies: list[AnyBody] = [Undone(vote, judge, "" if judge == who.judge else who.judge, void.why)]
            lease = secrets.token_hex(12)
            if void.again:
                bodies.append(Leased(live.query, judge, lease, live.shown, self.spec.serving.lease))
            await self._commits.commit(*bodies)
            return Voided(vote, self._lease(lease, self.state.given.get(judge, 0) + 1) if void.again else None)

    async def note(self, who: Who, vote: int, note: str) -> None:
        """Attach a note to a vote; it replaces the one before."""
        live = self._vote(who, vote)
        if live is None:
            raise RefusedError(409, f"vote {vote} was taken back")
        await self._commits.commit(Noted(live.query, live.vote.judge, note))

    async def votes(self, who: Who, after: int | None, limit: int) -> VotesPage:
        """Votes, newest first, those taken back among them: an admin's page has everybody's."""
        return votes_page(self.state, None if who.scope == "admin" else who.judge, after, limit)

    def _vote(self, who: Who, vote: int) -> LiveVote | None:
        """The live vote of that number, if this one may touch it; None: it was taken back."""
        for votes in (self.state.votes, self.state.undone):
            for live in reversed(votes):
                if live.seq == vote and (who.scope == "admin" or live.vote.judge == who.judge):
                    return live if votes is self.state.votes else None
        raise RefusedError(404, f"there is no vote {vote} of yours")

    # -- whoever runs the study -------------------------------------------------------------------------------

    async def card(self, who: Who) -> ServedCard:
        """What a voter is told before the first query."""
        spec = self.spec
        return ServedCard(
            study=self.id,
            title=spec.title,
            goal=spec.goal,
            question=spec.question,
            guidelines=spec.guidelines,
            guidelines_html="",
            reasons=spec.reasons,
            items=len(self.state.items),
            paused=self.state.paused,
            deadline=spec.serving.deadline,
            judge=who.judge,
            scope=who.scope,
        )

    async def progress(self, who: Who) -> Progress:
        """The voter's own work and how much is left."""
        return self._progress(who.judge)

    async def items(self, after: int, limit: int) -> ItemsPage:
        """A page of the items, in their order."""
        return items_page(self.state, after, limit)

    async def pause(self, who: Who, paused: bool) -> ServedCard:
        """Lend no queries, or go on. Votes on what is lent are taken all the same."""
        if paused != self.state.paused:
            await self._commits.commit(Paused(paused, who.judge))
        return await self.card(who)

    async def enrol(self, who: Who, enrolment: Enrolment) -> None:
        """Let somebody in. Raises RefusedError (409) for a name that is taken, 422 for a pool nobody has."""
        name, state = enrolment.judge, self.state
        known = {*state.enrolled, *NOBODYS, *(judge.name for judge in self.spec.judges), *self.state.given}
        async with self._locks[""]:
            if name.casefold() in {other.casefold() for other in known}:
                raise RefusedError(409, f"the name {name!r} is taken in this study; choose another")
            self._check_pools(enrolment.pools)
            await self._commits.commit(Enrolled(name, enrolment.scope, enrolment.pools, enrolment.quota))

    async def amend(self, who: Who, judge: str, amendment: Amendment) -> AnnotatorRow:
        """Change what an annotator's votes weigh, its pools or its quota."""
        old = self.state.enrolled.get(judge)
        if old is None:
            raise RefusedError(404, f"there is no annotator {judge!r}")
        bodies: list[AnyBody] = []
        if amendment.weight is not None:
            bodies.append(Weighed(judge, amendment.weight, who.judge, amendment.why))
        if amendment.pools is not None or amendment.quota is not None:
            self._check_pools(amendment.pools or ())
            pools = old.pools if amendment.pools is None else amendment.pools
            bodies.append(Enrolled(judge, old.scope, pools, amendment.quota or old.quota))
        if bodies:
            await self._commits.commit(*bodies)
        return next(row for row in await self.views.annotators() if row.judge == judge)

    async def tail(self, since: int) -> AsyncIterator[StudyEvent]:
        """The events after `since`, then each as it happens."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            for event in await self._commits.read(since):
                since = event.seq
                yield _without_texts(event)
            while True:
                event = await queue.get()
                if event.seq > since:
                    yield _without_texts(event)
        finally:
            self._listeners.discard(queue)

    # -- inside -----------------------------------------------------------------------------------------------

    def _meant(self, who: Who, annotator: str | None) -> str:
        if who.scope != "admin":
            if annotator not in (None, who.judge):
                raise RefusedError(403, f"this token is {who.judge!r}'s; leave the annotator out")
            return who.judge
        if annotator is None or annotator not in self.state.enrolled:
            raise RefusedError(422, "say for which annotator the queries are; known are those that were enrolled")
        return annotator

    def _active(self, judge: str) -> list[str]:
        return [lease for lease in self.state.held.get(judge, ()) if lease not in self._voting]

    def _held(self, who: Who, lease: str) -> Held:
        held = self.state.leases.get(lease)
        if held is None or (held.judge != who.judge and who.scope != "admin"):
            raise RefusedError(404, "there is no such lease; ask for another")
        return held

    def _token(self, lease: str) -> str:
        return hmac.new(self._secret, lease.encode(), hashlib.sha256).hexdigest()[:24]

    def _sides(self, held: Held) -> tuple[int, int]:
        query = self.state.asked[held.query].query
        return (query.a, query.b) if held.shown == "ab" else (query.b, query.a)

    def _lease(self, lease: str, number: int) -> Lease:
        held = self.state.leases[lease]
        left, right = (self.state.items[row] for row in self._sides(held))
        seconds = max(0.0, self._due.get(lease, 0.0) - time.monotonic())
        sides: tuple[tuple[Pane, str], ...] = (("left", left.image), ("right", right.image))
        return Lease(
            lease=lease,
            token=self._token(lease),
            number=number,
            left=left.shown_text,
            right=right.shown_text,
            context=left.context,
            expires=_after(seconds),
            seconds=round(seconds, 3),
            images=tuple(side for side, image in sides if image),
        )

    def _progress(self, judge: str) -> Progress:
        votes, mine, latest = len(self.state.votes), self.state.given.get(judge, 0), self.views.latest
        closed = self._closed(judge)
        if latest is None:
            return Progress(votes, mine, self.spec.votes, None, bool(closed), closed)
        stop = latest.stop or bool(closed)
        return Progress(votes, mine, self.spec.votes, latest.left, stop, closed or latest.reason)

    def _check_pools(self, pools: tuple[str, ...]) -> None:
        known = {self.state.pool_of(a) for _, a, _ in self.state.pairs} - {""}
        for pool in pools:
            if pool not in known:
                there = (
                    f"known are: {', '.join(sorted(known))}" if known else "this study has none (`meta.pool` of pairs)"
                )
                raise RefusedError(422, f"there is no pool {pool!r}; {there}")

    def _wanted(self) -> dict[str, int]:
        """How many free queries the engine is to keep, by pool, for the annotators who are there."""
        since = time.monotonic() - ACTIVE
        there = [judge for judge, seen in self._seen.items() if seen > since]
        wanted: Counter[str] = Counter()
        for judge in there:
            enrolled = self.state.enrolled.get(judge)
            for pool in (enrolled.pools if enrolled else ()) or ("",):
                wanted[pool] += EACH
        if self.state.paused:
            return {}
        return {"": LEAST} | {pool: min(max(n, LEAST), MOST) for pool, n in wanted.items()}

    async def _refresh(self) -> None:
        await self._commits.commit()

    def _told(self, event: Event) -> None:
        """Called with every event, after it is folded."""
        match event.body:
            case Leased(lease=lease, seconds=seconds):
                self._due[lease] = time.monotonic() + seconds
            case Returned(lease=lease):
                self._due.pop(lease, None)
            case Voted(lease=lease):
                self._due.pop(lease, None)
        self._changed.set()
        self.views.wake.set()
        for queue in self._listeners:
            queue.put_nowait(event)

    async def _tick(self) -> None:
        """Let leases end. By a clock that nobody can set: after a jump of the wall clock nothing ends early."""
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            over = [lease for lease, due in self._due.items() if due < now and lease not in self._voting]
            self._voting.update(over)
            try:
                await self._commits.commit(*(Returned(lease, "expired") for lease in over))
            except BadInputError:
                await asyncio.sleep(TICK)  # the disk is full: the leases end later
            finally:
                self._voting.difference_update(over)


def _after(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def _without_texts(event: Event) -> StudyEvent:
    kind = event.body.__struct_config__.tag
    return StudyEvent(event.seq, event.time, str(kind), getattr(event.body, "judge", ""))
