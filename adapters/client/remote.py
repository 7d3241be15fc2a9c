"""`StudyService` over a study server: votes over HTTP, safe on this machine until the server has them.

A ballot is a lease; a few are held ahead, so that a vote is answered by the next ballot at once. One task converses
with the server, one call at a time: it sends votes, holds on to leases and asks for more; while the server is away it
tries again, less and less often.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from math import inf
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
from msgspec.structs import replace

from adapters.client.connection import Address, AwayError, ServerConnection, address_of, checked_token
from adapters.client.leases import ASK_AGAIN, HeldBallot, LeaseHolder, now
from adapters.client.outbox import Outbox, Parcel
from elicit.safe_text import full_stop
from elicit.service.http_schema import (
    NoteRequest,
    Receipt,
    ServedCard,
    ServedVote,
    ServiceError,
    Voided,
    VoidRequest,
    VoteRequest,
    VotesPage,
)
from elicit.service.views import View
from elicit.service.voting import Answer, Ballot, PastVote, StudyCard, Turn
from elicit.types import BadInputError, hash_of

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that a screen waits for the server before it is told that there is no ballot yet, or that it is over."""
AT_FIRST = 10.0
"""The same for the first ballot: a server that has just started begins with its engine."""
LONGEST_PAUSE = 30.0
"""Seconds between two tries at most, unless the server asked for more."""
PAGE = 200


class RemoteService:
    """A study on a server, for whoever has the token; made with `start`.

    Methods raise BadInputError with a sentence where the server will not or does not answer; a vote needs no server.
    """

    def __init__(self, server: ServerConnection, address: Address, card: ServedCard, outbox: Outbox) -> None:
        self._server, self._address, self._card, self._outbox = server, address, card, outbox
        self._numbers = count(1)
        self._holding = LeaseHolder(server, address.study, self._numbers)
        self._holding.spent = {parcel.cast.lease for parcel in outbox.waiting_parcels()}
        self._unsure = {parcel.key for parcel in outbox.waiting_parcels()}
        """Parcels that the server may have got although it did not say so."""
        self._voted: dict[str, HeldBallot] = {}
        """What this process voted on and did not hear of yet, by the parcels' keys."""
        self._queries: dict[int, int] = {}
        """The ballots' numbers by the server's votes."""
        self._voiding: int | None = None
        """A vote that may be taken back although the server did not say so."""
        self._calling = asyncio.Lock()
        self._wake = asyncio.Event()
        self._changed = asyncio.Condition()
        self._failures, self._away = 0, ""
        self._over = (
            "this token runs the study and does not vote; F2 shows the results" if card.scope == "admin" else ""
        )
        """Tries that failed in a row; why the last one did. And why there is nothing more to try."""
        self._started = False
        """Whether there has been a ballot."""
        self._notices: list[str] = []
        self.unsent = ""
        """After `close`: where votes are that the server has not confirmed, in a sentence."""
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, url: str, token: str, folder: Path) -> Self:
        """Go to the study at `url`, https://host/STUDY; votes on their way are kept in `folder`.

        Raises BadInputError where the address, the token or the study is wrong, ConnectionError where nobody answers.
        """
        address, token = address_of(url), checked_token(token)
        outbox = Outbox(folder, address, token)
        server = ServerConnection(address.server, token)
        try:
            card = await server.call(ServedCard, "GET", "studies", address.study)
        except BaseException as error:
            waiting = len(outbox.waiting_parcels())
            where = _where_votes_wait(waiting, outbox)
            outbox.close()
            await server.close()
            if isinstance(error, ServiceError):
                raise BadInputError(_refusal(error, address) + where) from None
            if isinstance(error, AwayError):
                raise ConnectionError(f"{error}{where}{' for the next start' if waiting else ''}") from None
            raise
        service = cls(server, address, card, outbox)
        service._task = asyncio.create_task(service._converse())
        return service

    async def card(self) -> StudyCard:
        card = self._card
        return StudyCard(card.title, card.goal, card.question, card.guidelines, card.reasons, card.items)

    async def turn(self) -> Turn:
        holding = self._holding
        if holding.open is None:
            self._wake.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE if self._started else AT_FIRST), self._changed:
                    await self._changed.wait_for(lambda: bool(holding.usable_ballots()) or self._has_no_ballot)
            if holding.usable_ballots():
                holding.open, self._started = holding.ahead.pop(0), True
        waiting = len(self._outbox.waiting_parcels())
        progress = replace(
            holding.progress, votes=holding.progress.votes + waiting, mine=holding.progress.mine + waiting
        )
        notice = self._notice(waiting)
        if (held := holding.open) is not None:
            held.ballot = replace(held.ballot, number=progress.mine + 1)
            return Turn(held.ballot, progress, notice)
        if why := self._over or self._away:
            return Turn(None, replace(progress, why=why), notice, None if self._over else 2.0)
        if not holding.asked_since_vote:
            return Turn(
                None, replace(progress, why=f"the server {self._address.server} has not answered yet"), notice, 1.0
            )
        again = None if holding.ask_at == inf else min(max(1.0, holding.ask_at - now()), ASK_AGAIN)
        return Turn(None, replace(progress, why=holding.why or progress.why), notice, again)

    async def vote(self, answer: Answer) -> Turn:
        held = self._holding.open
        if held is None or held.ballot.query != answer.query:
            raise BadInputError("that pair is not open any more; vote on the one that is")
        fields = {name: getattr(answer, name) for name in ("choice", "strength", "seconds", "reasons", "note")}
        try:
            cast = msgspec.convert({"lease": held.lease.lease, "token": held.lease.token, **fields}, VoteRequest)
        except msgspec.ValidationError as error:
            raise BadInputError(f"the server will not take this vote ({error}); change that and vote again") from None
        parcel = Parcel(secrets.token_urlsafe(18), msgspec.json.encode(cast))
        self._outbox.add(parcel)
        self._voted[parcel.key] = self._holding.spend()
        self._wake.set()
        return await self.turn()

    async def undo(self) -> Turn | None:
        async with self._line():
            waiting = self._outbox.waiting_parcels()
            if waiting and waiting[-1].key in self._voted and waiting[-1].key not in self._unsure:
                self._outbox.remove(waiting[-1].key)
                self._holding.reopen(self._voted.pop(waiting[-1].key))
                return await self.turn()
            for parcel in waiting:
                await self._send(parcel)
            # Where the newest vote was refused, it is the one that is not to count; it must not cost another one.
            if not self._notices:
                async for vote in self._votes():
                    if not vote.voided or vote.vote == self._voiding:
                        await self._void(vote)
                        break
                else:
                    return None
        return await self.turn()

    async def upcoming(self) -> tuple[Ballot, ...]:
        return tuple(held.ballot for held in self._holding.usable_ballots())

    async def note(self, query: int, text: str) -> None:
        vote = next((vote for vote, number in self._queries.items() if number == query), None)
        if vote is None:
            raise BadInputError("the server does not have that vote yet; try again when it has")
        try:
            body = msgspec.convert({"note": text}, NoteRequest)
        except msgspec.ValidationError as error:
            raise BadInputError(f"the server will not take this note ({error}); make it shorter") from None
        async with self._line():
            await self._server.call(type(None), "PUT", *self._of_study, "votes", vote, "note", body=body)

    async def history(self, limit: int = 200) -> tuple[PastVote, ...]:
        past: list[PastVote] = []
        async with self._line():
            number = self._holding.progress.mine
            async for vote in self._votes(limit):
                past.append(_past_vote(vote, self._number(vote.vote), number))
                number -= not vote.voided
                if len(past) == limit:
                    break
            for place, parcel in enumerate(self._outbox.waiting_parcels(), start=1):
                if (held := self._voted.get(parcel.key)) is not None:
                    vote = _unsent_vote(parcel.cast, held, self._card.judge)
                    past.insert(0, _past_vote(vote, held.ballot.query, self._holding.progress.mine + place))
        return tuple(past[:limit])

    async def show(self, view: View[Any, T]) -> T:
        async with self._line():
            try:
                return await self._server.call(view.kind, "GET", *self._of_study, view.name)
            except ServiceError as error:
                if error.status != 403:
                    raise
                raise BadInputError("only who runs this study sees its results; ask them for the report") from None

    async def close(self) -> None:
        """Send what waits and hand back what is held, as far as that takes no more than `PATIENCE` seconds."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        with suppress(TimeoutError, BadInputError):
            async with asyncio.timeout(PATIENCE):
                await self._leave()
        self.unsent = _where_votes_wait(len(self._outbox.waiting_parcels()), self._outbox).removeprefix("; ")
        await self._server.close()
        self._outbox.close()
        self._holding.close()

    # -- the conversation -------------------------------------------------------------------------------------------

    async def _converse(self) -> None:
        while not self._over:
            try:
                async with self._calling:
                    pause = await self._step()
                self._failures, self._away = 0, ""
            except AwayError as away:
                self._failures, self._away = self._failures + 1, str(away)
                pause = max(self._backoff(), away.wait or 0.0)
            except (BadInputError, OSError) as error:
                self._over, pause = _refusal(error, self._address), 0.0
            async with self._changed:
                self._changed.notify_all()
            if self._failures:
                await asyncio.sleep(pause)  # no key that is pressed makes the server answer sooner
            elif pause:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                self._wake.clear()

    async def _step(self) -> float:
        """Do what is most urgent; gives the seconds until something is due."""
        if waiting := self._outbox.waiting_parcels():
            await self._send(waiting[0])
            return 0.0
        return min(LONGEST_PAUSE, await self._holding.step())

    async def _send(self, parcel: Parcel) -> None:
        try:
            receipt = await self._server.call(Receipt, "POST", "votes", body=parcel.body, key=parcel.key)
        except AwayError as away:
            if not away.unsent:
                self._unsure.add(parcel.key)
            raise
        except ServiceError as error:
            if error.status == 401:
                raise
            self._report_refusal(parcel, str(error))
            return
        self._outbox.remove(parcel.key)
        if held := self._voted.pop(parcel.key, None):
            self._queries[receipt.vote] = held.ballot.query
        holding = self._holding
        holding.progress = replace(holding.progress, votes=holding.progress.votes + 1, mine=receipt.votes)

    def _report_refusal(self, parcel: Parcel, why: str) -> None:
        """The server will never take this vote: say so, and keep it for whoever asks."""
        self._outbox.refuse(parcel.key, why)
        self._holding.spent.discard(parcel.cast.lease)
        held = self._voted.pop(parcel.key, None)
        which = "A vote of an earlier session" if held is None else f"Vote {held.ballot.number}"
        self._notices.append(f"{which} does not count: {full_stop(why)} It is kept in {self._outbox.path}.")

    async def _void(self, vote: ServedVote) -> None:
        """Take back a vote that the server has, and open its pair again."""
        holding, self._voiding = self._holding, vote.vote
        path = (*self._of_study, "votes", vote.vote, "void")
        try:
            lease = (await self._server.call(Voided, "POST", *path, body=VoidRequest(again=True))).lease
        except ServiceError as error:
            if error.status != 409:
                raise
            # An earlier try got there although no word of it came back; the pair is among the leases.
            await holding.ask()
            texts = (vote.left, vote.right, vote.context)
            again = (held for held in holding.ahead if (held.lease.left, held.lease.right, held.lease.context) == texts)
            if reopened := next(again, None):
                holding.ahead.remove(reopened)
            lease = reopened.lease if reopened else None
        else:
            votes, mine = holding.progress.votes, holding.progress.mine
            holding.progress = replace(holding.progress, votes=max(0, votes - 1), mine=max(0, mine - 1))
        self._voiding = None
        if lease is None:
            self._notices.append("The vote is taken back, but its pair cannot be opened again now.")
        else:
            holding.reopen(await holding.take(lease, self._number(vote.vote)))

    async def _votes(self, least: int = PAGE) -> AsyncIterator[ServedVote]:
        """This judge's votes, newest first, page by page."""
        query: dict[str, str | int] = {"limit": min(least, PAGE)}
        while True:
            page = await self._server.call(VotesPage, "GET", *self._of_study, "votes", query=query)
            for vote in page.votes:
                if vote.judge == self._card.judge:
                    yield vote
            if page.next is None:
                return
            query["cursor"] = page.next

    async def _leave(self) -> None:
        async with self._line():
            for parcel in self._outbox.waiting_parcels():
                await self._send(parcel)
            await self._holding.release()

    @asynccontextmanager
    async def _line(self) -> AsyncIterator[None]:
        """The line to the server, for one who waits for the answer."""
        async with self._calling:
            try:
                yield
            except AwayError as away:
                raise BadInputError(str(away)) from None

    # -- what is known ----------------------------------------------------------------------------------------------

    @property
    def _of_study(self) -> tuple[str, str]:
        return ("studies", self._address.study)

    @property
    def _has_no_ballot(self) -> bool:
        soon = now() + PATIENCE
        return bool(self._over or self._away or (self._holding.asked_since_vote and self._holding.ask_at > soon))

    def _notice(self, waiting: int) -> str:
        """What the voter has to know at once; what was said is not said again."""
        sentences, self._notices = self._notices, []
        if self._over:
            sentences.append(f"{self._over}{_where_votes_wait(waiting, self._outbox)}.")
        elif self._away and waiting:
            sentences.append(f"{self._away}; {_votes_wait(waiting)} here and will be sent.")
        return " ".join(sentences)

    def _number(self, vote: int) -> int:
        """The number that this process knows a vote of the server by."""
        if vote not in self._queries:
            self._queries[vote] = next(self._numbers)
        return self._queries[vote]

    def _backoff(self) -> float:
        """Seconds until the next try: twice as long each time, less a jitter that differs between voters."""
        jitter = int(hash_of([str(self._outbox.path), self._failures])[:8], 16) / 2**32
        return min(LONGEST_PAUSE, 0.5 * 2.0 ** min(self._failures, 10)) * (1 - jitter / 2)


def _votes_wait(count: int) -> str:
    return "1 vote waits" if count == 1 else f"{count} votes wait"


def _where_votes_wait(waiting: int, outbox: Outbox) -> str:
    """Where votes are that the server does not have, as the end of a sentence."""
    return f"; {_votes_wait(waiting)} in {outbox.path}" if waiting else ""


def _refusal(error: Exception, address: Address) -> str:
    """Why nothing goes on, in a sentence."""
    server, study = address
    status = error.status if isinstance(error, ServiceError) else 0
    if status == 401:
        return (
            f"the server {server} does not take this token any more, or never did; ask who runs the study for a new one"
        )
    if status == 403:
        return f"the server {server} does not let this token into {study} ({str(error).rstrip('.')}); check the address"
    if status == 404:
        return f"the server {server} has no study {study} for this token; check the address"
    return str(error).rstrip(".")


def _past_vote(vote: ServedVote, query: int, number: int) -> PastVote:
    return PastVote(
        query=query, number=number, undone=vote.voided, **{name: getattr(vote, name) for name in _SHARED_FIELDS}
    )


def _unsent_vote(cast: VoteRequest, held: HeldBallot, judge: str) -> ServedVote:
    ballot, time = held.ballot, "not sent yet"
    fields: dict[str, Any] = {name: getattr(cast, name) for name in ("strength", "seconds", "reasons", "note")}
    return ServedVote(0, judge, ballot.left, ballot.right, ballot.context, cast.choice, time, **fields)


_SHARED_FIELDS = (
    "left", "right", "context", "choice", "strength", "judge", "seconds", "reasons", "note", "time", "why"
)  # fmt: skip
"""What a past vote says in the same words on the server and on the screen."""
