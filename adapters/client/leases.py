"""The leases that a voter holds on a study server: the open ballot, and a few ahead of it with their pictures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from adapters.client.connection import ServerConnection
from adapters.files import images
from elicit.service.http_schema import MOST_LEASES, Lease, LeaseExtension, LeaseRequest, Leases, ServiceError
from elicit.service.voting import Ballot, Progress

AHEAD = 3
"""Leases held beside the open one."""
ASK_AGAIN = 20.0
"""Seconds until a server is asked again that had too few and did not say when it may have more."""
GONE = (404, 409, 410)
"""What a server says of a lease that is not held any more."""


class HeldBallot(msgspec.Struct, eq=False):
    """A lease with its ballot as the screen has it. until, beat: when it ends and when it is to be held on to, in
    seconds of `now`."""

    lease: Lease
    ballot: Ballot
    until: float = 0.0
    beat: float = 0.0
    gone: bool = False

    def extend(self, seconds: float) -> None:
        """It ends in so many seconds."""
        self.until, self.beat = now() + seconds, now() + seconds / 3


class LeaseHolder:
    """Every method that calls the server raises what `ServerConnection.call` does. numbers: the next number of a
    ballot."""

    def __init__(self, server: ServerConnection, study: str, numbers: Iterator[int]) -> None:
        self._server, self._study, self._numbers = server, study, numbers
        self._pictures = TemporaryDirectory(prefix="elicit-")
        self.open: HeldBallot | None = None
        self.ahead: list[HeldBallot] = []
        self.spent: set[str] = set()
        """Leases with a vote; what the server may still call held."""
        self.progress = Progress(0, 0, 0, None, False, "")
        self.why = ""
        """Why there are fewer than wanted."""
        self.asked_since_vote = False
        """Whether the server had its say since the last vote."""
        self.ask_at = 0.0
        """When it is to be asked for more; infinite: after the next vote."""

    @property
    def all(self) -> list[HeldBallot]:
        """The open one and those ahead."""
        return [*([] if self.open is None else [self.open]), *self.ahead]

    def usable_ballots(self) -> list[HeldBallot]:
        """Those ahead that have not ended by our reckoning: a machine that slept holds leases that have."""
        moment = now()
        self.ahead = [held for held in self.ahead if not held.gone and held.until > moment]
        return self.ahead

    def spend(self) -> HeldBallot:
        """The open one has its vote."""
        assert self.open is not None
        held, self.open = self.open, None
        self.spent.add(held.lease.lease)
        self.asked_since_vote = False
        return held

    def reopen(self, held: HeldBallot) -> None:
        """Open a ballot again; the one that was open comes after it."""
        self.spent.discard(held.lease.lease)
        if self.open is not None:
            self.ahead.insert(0, self.open)
        self.open = held

    async def step(self) -> float:
        """Hold on to a lease or ask for more, where that is due; gives the seconds until something is."""
        moment, held = now(), [held for held in self.all if not held.gone]
        if late := next((ballot for ballot in held if ballot.beat <= moment), None):
            await self._hold_on(late)
            return 0.0
        few = len(self.all) <= AHEAD
        if few and (not self.asked_since_vote or self.ask_at <= moment):
            await self.ask()
            return 0.0
        return max(
            0.05, min([inf, *(ballot.beat - moment for ballot in held), *([self.ask_at - moment] if few else [])])
        )

    async def take(self, lease: Lease, number: int) -> HeldBallot:
        """A lease as a ballot of that number, with its pictures fetched."""
        files = {pane: str(await self._picture(lease, pane)) for pane in lease.images}
        pictures = (files.get("left", ""), files.get("right", ""))
        held = HeldBallot(lease, Ballot(number, lease.number, lease.left, lease.right, lease.context, *pictures))
        held.extend(lease.seconds)
        return held

    async def release(self) -> None:
        """Hand all of them back."""
        for held in self.all:
            try:
                await self._server.call(type(None), "DELETE", "leases", held.lease.lease)
            except ServiceError as error:
                if error.status not in GONE:
                    raise

    def close(self) -> None:
        """Remove the pictures."""
        self._pictures.cleanup()

    async def _hold_on(self, held: HeldBallot) -> None:
        try:
            beat = await self._server.call(LeaseExtension, "POST", "leases", held.lease.lease, "heartbeat")
        except ServiceError as error:
            if error.status not in GONE:
                raise
            held.gone, self.asked_since_vote = True, False
            self.usable_ballots()
            return
        held.extend(beat.seconds)

    async def ask(self) -> None:
        """Ask for more, and take up what is new."""
        request, votes_before = LeaseRequest(min(MOST_LEASES, max(AHEAD, len(self.all)) + 1)), len(self.spent)
        reply = await self._server.call(Leases, "POST", "studies", self._study, "leases", body=request)
        ballots = {held.lease.lease: held for held in self.all}
        for lease in reply.leases:
            if lease.lease in ballots:
                ballots[lease.lease].extend(lease.seconds)
            elif lease.lease not in self.spent:
                try:
                    self.ahead.append(await self.take(lease, next(self._numbers)))
                except ServiceError as error:
                    if error.status not in GONE:
                        raise
        self.progress, self.why, self.asked_since_vote, self.ask_at = (
            reply.progress,
            reply.why,
            votes_before == len(self.spent),
            inf,
        )
        if len(reply.leases) < request.n:
            self.ask_at = now() + (ASK_AGAIN if reply.retry_after is None else max(1.0, reply.retry_after))

    async def _picture(self, lease: Lease, pane: str) -> Path:
        data = await self._server.call(bytes, "GET", "leases", lease.lease, "images", pane)
        file = Path(self._pictures.name) / images.name_of(data)
        await asyncio.to_thread(file.write_bytes, data)
        return file


def now() -> float:
    """Seconds that pass also while the machine sleeps, where it can tell."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
