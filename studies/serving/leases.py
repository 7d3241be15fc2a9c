"""Lending a study's queries: who holds what, until when, and what is to be kept ready for them.

A lease is in the log before it is lent. When it ends is not: it ends when its time has run out by a clock that nobody
can set, and after a restart of the server every lease has its time again.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adapters.files import images
from elicit.log.events import CHECK, Asked, Event, Leased, Returned, Voted
from elicit.log.state import LeaseState, State
from elicit.service.assignment import assign, check_for, shown_to
from elicit.service.http_schema import Lease, LeaseExtension, LeaseRequest, Leases, Pane, Principal, ServiceError
from elicit.service.voting import Progress
from elicit.types import BadInputError
from studies.outlook import NONE_LEFT
from studies.serving.engine_client import EngineClient
from studies.serving.group_commit import GroupCommitter
from studies.spec import Spec

ACTIVE = 60.0
"""Seconds after which an annotator who asks for nothing is not reckoned with."""
EACH = 2
"""Free queries that are kept ready for every annotator who is there."""
LEAST, MOST = 8, 600
"""Free queries that are kept ready at the least and at the most."""
PATIENCE = 1.5
"""Seconds that an annotator with nothing to do waits for the engine before it is told to ask again."""
REOPENING = 15.0
"""Seconds after which who was told that the study is paused may ask again."""
TICK = 0.5
"""Seconds between two looks at leases that end, and at what other processes wrote."""


class LeaseManager:
    """Lends a served study's queries. golds: see `studies.serving.golds`; secret: what tokens are made with; views: the
    engine, which keeps queries ready; commits: the study's only writer.

    locks: one for each judge, held by whoever changes what it holds. voting: the leases that are about to end, with a
    vote or without.
    """

    def __init__(
        self,
        folder: Path,
        state: State,
        spec: Spec,
        golds: Sequence[tuple[int, int, float]],
        secret: bytes,
        views: EngineClient,
        commits: GroupCommitter,
    ) -> None:
        self.folder, self.state, self.spec = folder, state, spec
        self._views, self._commits = views, commits
        self._golds, self._secret = golds, secret
        self._due = {
            lease: time.monotonic() + lease_state.seconds
            for lease, lease_state in state.leases.items()
            if not lease_state.over
        }
        self._last_present: dict[str, float] = {}
        self._busy: Counter[int] = Counter()
        self.voting: set[str] = set()
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._changed = asyncio.Event()

    async def lease(self, who: Principal, wanted: LeaseRequest) -> Leases:
        """Lend queries until the annotator holds so many; those held already come first."""
        judge = self._annotator_for(who, wanted.annotator)
        self.note_presence(judge)
        until = time.monotonic() + PATIENCE
        async with self.locks[judge]:
            while True:
                self._changed.clear()
                why, passing = self._why_closed(judge)
                if not why:
                    await self._lend(judge, wanted.n)
                if self._active_leases(judge) or why or time.monotonic() > until:
                    break
                self._views.wake.set()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await self._changed.wait()
        active = self._active_leases(judge)[: wanted.n]
        leases = tuple(self.present(lease, i) for i, lease in enumerate(active, self.state.given.get(judge, 0) + 1))
        if len(leases) == wanted.n:
            return Leases(leases, self.progress_of(judge))
        reason = why or (self._views.latest.why if self._views.latest else "")
        again = REOPENING if passing else None if why else 2.0
        return Leases(leases, self.progress_of(judge), reason or "the next pair is being chosen", again)

    async def heartbeat(self, who: Principal, lease: str) -> LeaseExtension:
        """Keep a lease for as long again from now."""
        lease_state = self.find_lease(who, lease)
        if lease_state.over:
            raise ServiceError(410, f"this lease is over ({lease_state.over}); ask for another")
        self._due[lease] = time.monotonic() + lease_state.seconds
        return LeaseExtension(lease, _time_after(lease_state.seconds), lease_state.seconds)

    async def release(self, who: Principal, lease: str) -> None:
        """Give a query back unanswered."""
        lease_state = self.find_lease(who, lease)
        if not lease_state.over and lease not in self.voting:
            self.voting.add(lease)
            try:
                await self._commits.commit(Returned(lease, "released"))
            finally:
                self.voting.discard(lease)

    async def image(self, who: Principal, lease: str, pane: Pane) -> Path:
        """The picture of a pane. Raises ServiceError (404) where it has none."""
        lease_state = self.find_lease(who, lease)
        item = self.state.items[self._sides(lease_state)[pane == "right"]]
        try:
            picture = images.stored_picture(self.folder, item)
        except BadInputError:  # its sentence names the item and the folder
            raise ServiceError(404, f"the picture on the {pane} is missing; tell whoever runs the study") from None
        if picture is None:
            raise ServiceError(404, f"there is no picture on the {pane}")
        return picture

    def note_presence(self, judge: str) -> None:
        """Reckon with an annotator from now on for a while."""
        self._last_present[judge] = time.monotonic()

    # -- inside -----------------------------------------------------------------------------------------------

    async def _lend(self, judge: str, n: int) -> None:
        """Lend queries until the judge holds n, or nothing is left for it."""
        serving, enrolled, seed = self.spec.serving, self.state.enrolled.get(judge), self.spec.seed
        machine = enrolled is not None and enrolled.scope == "judge"
        quota = (enrolled.quota if enrolled else None) or serving.quota
        n_held = len(self._active_leases(judge))
        room = self.spec.votes - len(self.state.votes) - len(self._due)
        missing = min(n - n_held, room, n if quota is None else quota - self.state.given.get(judge, 0) - n_held)
        if missing <= 0:
            return
        shares, turn = (serving.gold_share, serving.repeat_share), self.state.lent.get(judge, 0)
        candidates = [
            None if machine else check_for(self.state, judge, turn + i, shares, self._golds, seed)
            for i in range(missing)
        ]
        holds = {self.state.asked[self.state.leases[lease].query].query.pair for lease in self._active_leases(judge)}
        checks = {query.pair: query for query in candidates if query and query.pair not in holds}
        events = [Asked(query, CHECK, self.state.folded) for query in checks.values()]
        queries = [event.seq for event in await self._commits.commit(*events)] if events else []
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

    def _why_closed(self, judge: str) -> tuple[str, bool]:
        """Why nothing is lent to a judge now, or an empty string; and whether that may pass."""
        serving, enrolled = self.spec.serving, self.state.enrolled.get(judge)
        quota = (enrolled.quota if enrolled else None) or serving.quota
        if self.state.paused:
            return "the study is paused; it goes on by itself when whoever runs it lets it", True
        if serving.ends and datetime.now(UTC) > serving.ends:
            return f"the study ended at {serving.deadline}; thank you", False
        if quota is not None and self.state.given.get(judge, 0) >= quota:
            return f"you have given all {quota} votes that were asked of you; thank you", False
        if self.state.weight(judge) == 0:
            return "whoever runs the study is looking at your votes; there is nothing to do for now", True
        if len(self.state.votes) >= self.spec.votes:
            return f"the study has all its {self.spec.votes} votes; thank you", False
        return "", False

    def _annotator_for(self, who: Principal, annotator: str | None) -> str:
        if who.scope != "admin":
            if annotator not in (None, who.judge):
                raise ServiceError(403, f"this token is {who.judge!r}'s; leave the annotator out")
            return who.judge
        if annotator is None or annotator not in self.state.enrolled:
            raise ServiceError(422, "say for which annotator the queries are; known are those that were enrolled")
        return annotator

    def _active_leases(self, judge: str) -> list[str]:
        return [lease for lease in self.state.held.get(judge, ()) if lease not in self.voting]

    def find_lease(self, who: Principal, lease: str) -> LeaseState:
        lease_state = self.state.leases.get(lease)
        if lease_state is None or (lease_state.judge != who.judge and who.scope != "admin"):
            raise ServiceError(404, "there is no such lease; ask for another")
        return lease_state

    def token(self, lease: str) -> str:
        return hmac.new(self._secret, lease.encode(), hashlib.sha256).hexdigest()[:24]

    def _sides(self, lease_state: LeaseState) -> tuple[int, int]:
        query = self.state.asked[lease_state.query].query
        return (query.a, query.b) if lease_state.shown == "ab" else (query.b, query.a)

    def present(self, lease: str, number: int) -> Lease:
        lease_state = self.state.leases[lease]
        left, right = (self.state.items[row] for row in self._sides(lease_state))
        seconds = max(0.0, self._due.get(lease, 0.0) - time.monotonic())
        sides: tuple[tuple[Pane, str], ...] = (("left", left.image), ("right", right.image))
        return Lease(
            lease=lease,
            token=self.token(lease),
            number=number,
            left=left.shown_text,
            right=right.shown_text,
            context=left.context,
            expires=_time_after(seconds),
            seconds=round(seconds, 3),
            images=tuple(side for side, image in sides if image),
        )

    def progress_of(self, judge: str) -> Progress:
        votes, mine, latest = len(self.state.votes), self.state.given.get(judge, 0), self._views.latest
        closed, passing = self._why_closed(judge)
        if closed and not passing:
            return Progress(votes, mine, self.spec.votes, NONE_LEFT, True, closed, closed)
        if latest is None:
            return Progress(votes, mine, self.spec.votes, None, False, closed)
        if closed:  # for a while
            return Progress(votes, mine, self.spec.votes, None if latest.stop else latest.left, False, closed)
        return Progress(votes, mine, self.spec.votes, latest.left, latest.stop, latest.reason, latest.ended)

    def queries_wanted(self) -> dict[str, int]:
        """How many free queries the engine is to keep, by pool, for the annotators who are there."""
        since = time.monotonic() - ACTIVE
        there = [judge for judge, when in self._last_present.items() if when > since]
        wanted: Counter[str] = Counter()
        for judge in there:
            enrolled = self.state.enrolled.get(judge)
            for pool in (enrolled.pools if enrolled else ()) or ("",):
                wanted[pool] += EACH
        if self.state.paused:
            return {}
        return {"": LEAST} | {pool: min(max(n, LEAST), MOST) for pool, n in wanted.items()}

    def follow(self, event: Event) -> None:
        """Take in an event that was folded."""
        match event.body:
            case Leased(lease=lease, seconds=seconds):
                self._due[lease] = time.monotonic() + seconds
            case Returned(lease=lease) | Voted(lease=lease):
                self._due.pop(lease, None)
        self._changed.set()
        self._views.wake.set()

    async def end_leases(self) -> None:
        """Let leases end. By a clock that nobody can set: after a jump of the wall clock nothing ends early."""
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            over = [lease for lease, due in self._due.items() if due < now and lease not in self.voting]
            self.voting.update(over)
            try:
                await self._commits.commit(*(Returned(lease, "expired") for lease in over))
            except Exception:  # the disk is full, or worse: the leases end later
                await asyncio.sleep(TICK)
            finally:
                self.voting.difference_update(over)


def _time_after(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
