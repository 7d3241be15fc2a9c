"""A study that many use at once: leases, votes and annotators, beside the engine process that models it.

The log is the truth here too: a lease is in it before it is lent, a vote before it is acknowledged. What an annotator
is lent is a function of the log; the engine, in a process of its own (`studies.serving.engine_client`), only has to
keep the stock filled, and may be slow, or gone for a while. Loads no torch.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from statistics import mean, median

from elicit.log.events import (
    JOINED,
    AnyBody,
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
from elicit.log.state import LeaseState, LiveVote, State
from elicit.service.http_schema import (
    Amendment,
    AnnotatorRow,
    Enrolment,
    ItemsPage,
    Principal,
    Receipt,
    Scope,
    ServedCard,
    ServiceError,
    StudyEvent,
    Voided,
    VoidRequest,
    VoteRequest,
    VotesPage,
    Welcome,
)
from elicit.service.names import alike, checked_name
from elicit.service.views import Page
from elicit.service.voting import Answer, Progress, outcome_of
from elicit.types import BadInputError
from studies.decisions import WORKER
from studies.reporting import views
from studies.serving.engine_client import EngineClient
from studies.serving.golds import golds_of
from studies.serving.group_commit import GroupCommitter
from studies.serving.leases import LeaseManager
from studies.serving.pages import items_page, votes_page
from studies.storage import folders

ENOUGH, MEASURED = 10, 1000
"""Votes whose median tells how long one takes, and items by whose length it is told before."""
READ, DECIDING = 20.0, 4.0
"""Characters that are read in a second, about 240 words a minute; seconds that it takes to decide."""
NOBODYS = ("people", "nobody")
"""Names that mean something else in the log."""
AT_ONCE = 500
"""Events that a listener is told in one go."""
LISTENING = 0.1
"""Seconds between two looks for news to tell."""
SETTLING = 0.005
"""Seconds between two looks whether a lease is over."""


class AnnotationBackend:
    """`elicit.service.http_backend.ServedStudy` over a folder; between `begin` and `close` it is the study's only
    writer.

    secret: what the tokens of leases are made with.
    Raises BadInputError where the study cannot be opened for writing.
    """

    def __init__(self, folder: Path, secret: bytes) -> None:
        self._ledger, state, spec = folders.load(folder, writable=True, beside=False)
        try:
            if spec.tuning is not None:
                raise BadInputError(
                    f"{folder} tunes prompts, which one person does in a terminal: elicit tune {folder}"
                )
            golds = golds_of(folder, spec.serving.golds, state)
        except BaseException:
            self._ledger.close()
            raise
        self.id, self.folder, self.state, self.spec = folder.resolve().name, folder, state, spec
        self.views = EngineClient(folder)
        self._golds, self._secret = golds, secret
        self._flying: dict[tuple[str, str], asyncio.Future[Receipt]] = {}
        self._digests: dict[tuple[str, str], str] = {}

    def begin(self) -> None:
        """Start the engine and the clock."""
        self._commits = GroupCommitter(self._ledger, self.state, lambda event: self.leases.follow(event))
        lent = (self.folder, self.state, self.spec, self._golds, self._secret)
        self.leases = LeaseManager(*lent, self.views, self._commits)
        self.views.begin(self.leases.queries_wanted, self._refresh)
        self._clock = asyncio.create_task(self.leases.end_leases())

    async def close(self) -> None:
        """Stop; everything is on disk already."""
        self._clock.cancel()
        with suppress(asyncio.CancelledError):
            await self._clock
        await self.views.close()
        await self._commits.close()
        self._ledger.close()

    # -- votes ------------------------------------------------------------------------------------------------

    async def vote(self, who: Principal, cast: VoteRequest, key: str, digest: str) -> Receipt:
        """Record a vote, on disk before this returns; see `elicit.service.http_backend.ServedStudy`."""
        lease = self.leases.find_lease(who, cast.lease)
        if not hmac.compare_digest(cast.token.encode(), self.leases.token(cast.lease).encode()):
            raise ServiceError(404, "there is no such lease; ask for another")
        place = (lease.judge, key)  # an admin votes for whom it asked
        while True:
            entry = self.state.keys.get(place)
            if (entry.digest if entry else self._digests.get(place, digest)) != digest:
                raise ServiceError(
                    422, "this Idempotency-Key was sent before with another vote; use a new key for each vote"
                )
            if entry:
                return Receipt(entry.vote, cast.lease, entry.time, entry.votes)
            if place in self._flying:
                return await asyncio.shield(self._flying[place])
            same_query = [
                other for other in self.state.held.get(lease.judge, ()) if self.state.leases[other].query == lease.query
            ]
            if not self.leases.voting.intersection((cast.lease, *same_query)):
                break
            # Whether it ends now is known once that is on disk; until then a refusal for good may be wrong.
            await asyncio.sleep(SETTLING)
        if lease.over and (why := self._too_late(lease)):
            raise ServiceError(409, f"this lease is over ({why}); the vote was not counted")
        # Lent again to the same judge in the meantime, a query is answered by the vote that comes first.
        returns = [Returned(other, "released") for other in same_query if other != cast.lease]
        try:
            outcome = outcome_of(Answer(0, cast.choice, cast.strength), lease.shown)
        except ValueError as error:
            raise ServiceError(
                422, f"strength {cast.strength} goes with left or right, not with {cast.choice}"
            ) from error
        self.leases.note_presence(lease.judge)
        self.leases.voting.update((cast.lease, *(returned.lease for returned in returns)))
        self._digests[place] = digest
        self._flying[place] = asyncio.ensure_future(
            self._record(
                Voted(
                    lease.query,
                    outcome,
                    lease.judge,
                    cast.seconds,
                    cast.reasons,
                    cast.note,
                    lease=cast.lease,
                    shown=lease.shown,
                    key=key,
                    digest=digest,
                ),
                returns,
            )
        )
        return await asyncio.shield(self._flying[place])

    def _too_late(self, lease: LeaseState) -> str:
        """Why a vote on a lease that is over cannot count, or an empty string."""
        if lease.over != "expired" or not self.spec.serving.late:
            return lease.over
        answered = self.state.judges_who_answered(lease.query)
        if lease.judge in answered:
            return f"{lease.over}, and you have answered its pair since"
        wanted = self.state.wanted.get(lease.query, self.state.asked[lease.query].wanted)
        enough = len(answered) >= wanted
        return f"{lease.over}, and others have answered its pair" if enough else ""

    async def _record(self, voted: Voted, returns: list[Returned]) -> Receipt:
        try:
            await self._commits.commit(*returns, voted)
        finally:
            self.leases.voting.difference_update((voted.lease, *(returned.lease for returned in returns)))
            del self._flying[voted.judge, voted.key], self._digests[voted.judge, voted.key]
        entry = self.state.keys[voted.judge, voted.key]
        return Receipt(entry.vote, voted.lease, entry.time, entry.votes)

    async def void(self, who: Principal, vote: int, void: VoidRequest) -> Voided:
        """Let a vote count no more; with `again`, its query is lent to its judge once more."""
        async with self.leases.locks[self._find_vote(who, vote)[1]]:
            live, judge = self._find_vote(who, vote)
            if live is None:
                raise ServiceError(409, f"vote {vote} was taken back before")
            bodies: list[AnyBody] = [Undone(vote, judge, "" if judge == who.judge else who.judge, void.why)]
            lease = secrets.token_hex(12)
            if void.again:
                bodies.append(Leased(live.query, judge, lease, live.shown, self.spec.serving.lease))
            await self._commits.commit(*bodies)
            return Voided(vote, self.leases.present(lease, self.state.given.get(judge, 0) + 1) if void.again else None)

    async def note(self, who: Principal, vote: int, note: str) -> None:
        """Attach a note to a vote; it replaces the one before."""
        live, _ = self._find_vote(who, vote)
        if live is None:
            raise ServiceError(409, f"vote {vote} was taken back")
        await self._commits.commit(Noted(live.query, live.vote.judge, note))

    async def votes(self, who: Principal, after: int | None, limit: int) -> VotesPage:
        """Votes, newest first, those taken back among them: an admin's page has everybody's."""
        return votes_page(self.state, None if who.scope == "admin" else who.judge, after, limit)

    def _find_vote(self, who: Principal, vote: int) -> tuple[LiveVote | None, str]:
        """The live vote of that number (None: it was taken back), if this one may touch it, and its judge."""
        for votes in (self.state.votes, self.state.undone):
            for live in reversed(votes):
                if live.seq == vote and (who.scope == "admin" or live.vote.judge == who.judge):
                    return (live if votes is self.state.votes else None), live.vote.judge
        raise ServiceError(404, f"there is no vote {vote} of yours")

    # -- whoever runs the study -------------------------------------------------------------------------------

    async def card(self, who: Principal) -> ServedCard:
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

    async def welcome(self, quota: int | None) -> Welcome:
        """What somebody is told whose invite asks for so many votes."""
        spec = self.spec
        about = (self.id, spec.title, spec.author, spec.question)
        return Welcome(*about, quota or spec.serving.quota, seconds_of(self.state), spec.serving.deadline)

    async def progress(self, who: Principal) -> Progress:
        """The voter's own work and how much is left."""
        return self.leases.progress_of(who.judge)

    async def items(self, page: Page) -> ItemsPage:
        """A page of the items, in their order."""
        return items_page(self.state, page)

    async def pause(self, who: Principal, paused: bool) -> ServedCard:
        """Lend no queries, or go on. Votes on what is lent are taken all the same."""
        if paused != self.state.paused:
            await self._commits.commit(Paused(paused, who.judge))
        return await self.card(who)

    async def enrol(self, who: Principal, enrolment: Enrolment) -> None:
        """Let somebody in. Raises ServiceError (409) for a name that is taken, 422 for a pool nobody has."""
        name, state = checked_name(enrolment.judge), self.state
        names = {*state.enrolled, *NOBODYS, *(judge.name for judge in self.spec.judges), *self.state.given}
        async with self.leases.locks[""]:
            if similar := next((other for other in names if alike(other, name)), None):
                like = "" if similar == name else ", or looks like one that is"
                raise ServiceError(409, f"the name {name!r} is taken in this study{like}; choose another")
            if JOINED in name or name.startswith(WORKER):
                raise ServiceError(422, f"the name {name!r} means something else in the log; choose another")
            self._check_pools(enrolment.pools)
            await self._commits.commit(Enrolled(name, enrolment.scope, enrolment.pools, enrolment.quota))

    async def scope(self, judge: str) -> Scope:
        """As what somebody is enrolled. Raises ServiceError (404)."""
        return self._find_annotator(judge).scope

    async def amend(self, who: Principal, judge: str, amendment: Amendment) -> AnnotatorRow:
        """Change what an annotator's votes weigh, its pools or its quota."""
        old = self._find_annotator(judge)
        bodies: list[AnyBody] = []
        if amendment.weight is not None:
            bodies.append(Weighed(judge, amendment.weight, who.judge, amendment.why))
        if amendment.pools is not None or amendment.quota is not None:
            self._check_pools(amendment.pools or ())
            pools = old.pools if amendment.pools is None else amendment.pools
            bodies.append(Enrolled(judge, old.scope, pools, amendment.quota or old.quota))
        if bodies:
            await self._commits.commit(*bodies)
        return next(row for row in await self.views.show(views.annotators) if row.judge == judge)

    async def tail(self, since: int) -> AsyncIterator[StudyEvent]:
        """The events after `since`, then each as it happens."""
        while True:
            # Read when the listener is ready for more: one that never reads must not fill the memory.
            for event in await self._commits.read(since, AT_ONCE):
                since = event.seq
                yield _without_texts(event)
            while self.state.seq <= since:
                await asyncio.sleep(LISTENING)

    # -- inside -----------------------------------------------------------------------------------------------

    def _find_annotator(self, judge: str) -> Enrolled:
        if judge not in self.state.enrolled:
            raise ServiceError(404, f"there is no annotator {judge!r}")
        return self.state.enrolled[judge]

    def _check_pools(self, pools: tuple[str, ...]) -> None:
        known_pools = {self.state.pool_of(a) for _, a, _ in self.state.pairs} - {""}
        for pool in pools:
            if pool not in known_pools:
                there = (
                    f"known are: {', '.join(sorted(known_pools))}"
                    if known_pools
                    else "this study has none (`meta.pool` of pairs)"
                )
                raise ServiceError(422, f"there is no pool {pool!r}; {there}")

    async def _refresh(self) -> None:
        await self._commits.commit()


def seconds_of(state: State) -> float:
    """Seconds that a vote takes: the median of those given, or, before there are some, the time to read a pair."""
    seconds = [live.vote.seconds for live in state.votes if live.vote.seconds]
    if len(seconds) >= ENOUGH:
        return round(median(seconds), 1)
    lengths = [len(item.shown_text) + len(item.context) / 2 for item in state.items[:MEASURED]]
    return round(DECIDING + 2 * mean(lengths) / READ, 1)


def _without_texts(event: Event) -> StudyEvent:
    kind = event.body.__struct_config__.tag
    return StudyEvent(event.seq, event.time, str(kind), getattr(event.body, "judge", ""))
