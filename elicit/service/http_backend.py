"""What HTTP may ask of a study that many use at once, and of its engine: the protocols, free of HTTP and of folders."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

from elicit.service.http_schema import (
    Advanced,
    Amendment,
    AnnotatorRow,
    Enrolment,
    ItemsPage,
    LeaseExtension,
    LeaseRequest,
    Leases,
    Pane,
    Principal,
    Receipt,
    Replaying,
    ReplayJob,
    Scope,
    ServedCard,
    StudyEvent,
    Voided,
    VoidRequest,
    VoteRequest,
    VotesPage,
    Welcome,
)
from elicit.service.views import FIRST_PAGE, Page, View
from elicit.service.voting import Progress

T = TypeVar("T")


class Views(Protocol):
    """What an admin may ask of a study's engine. Every method may raise `ServiceError` (503) while it is away."""

    latest: Advanced | None
    down: str
    """Why the engine is away; empty when it is there."""

    async def show(self, view: View[Any, T], page: Page = FIRST_PAGE) -> T:
        """What a view of `studies.reporting.views` tells now."""
        ...

    async def export(self, table: str, format: str) -> Path: ...  # noqa: A002
    async def replay(self, replaying: Replaying) -> ReplayJob: ...
    async def replayed(self, job: str) -> ReplayJob: ...


class QueryLeases(Protocol):
    """What is lent of a study, to whom, and until when. Every method may raise `ServiceError`."""

    async def lease(self, who: Principal, wanted: LeaseRequest) -> Leases: ...
    async def heartbeat(self, who: Principal, lease: str) -> LeaseExtension: ...
    async def release(self, who: Principal, lease: str) -> None: ...
    async def image(self, who: Principal, lease: str, pane: Pane) -> Path: ...


class ServedStudy(Protocol):
    """One study that many use at once. Every method may raise `ServiceError`, or BadInputError for what cannot be
    used."""

    id: str

    @property
    def views(self) -> Views: ...
    @property
    def leases(self) -> QueryLeases: ...
    async def card(self, who: Principal) -> ServedCard: ...
    async def welcome(self, quota: int | None) -> Welcome:
        """What somebody is told whose invite asks for so many votes."""
        ...

    async def progress(self, who: Principal) -> Progress: ...
    async def vote(self, who: Principal, cast: VoteRequest, key: str, digest: str) -> Receipt:
        """Record a vote, on disk before this returns. key: of the sender's choice, with a digest of what it sent under
        it: the same again gives the first answer, another digest is refused (422)."""
        ...

    async def void(self, who: Principal, vote: int, void: VoidRequest) -> Voided: ...
    async def note(self, who: Principal, vote: int, note: str) -> None: ...
    async def votes(self, who: Principal, after: int | None, limit: int) -> VotesPage:
        """So many votes, newest first, from after that one on."""
        ...

    async def items(self, page: Page) -> ItemsPage: ...
    async def pause(self, who: Principal, paused: bool) -> ServedCard: ...
    async def enrol(self, who: Principal, enrolment: Enrolment) -> None: ...
    async def scope(self, judge: str) -> Scope:
        """As what somebody is enrolled."""
        ...

    async def amend(self, who: Principal, judge: str, amendment: Amendment) -> AnnotatorRow: ...
    def tail(self, since: int) -> AsyncIterator[StudyEvent]:
        """The events after `since`, then each as it happens."""
        ...
