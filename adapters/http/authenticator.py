"""Who asks: what a bearer token or an invite opens, and how often it may be tried."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from fastapi import Request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from adapters.access import Access, Invite
from adapters.addresses import network_of
from elicit.service.http_backend import ServedStudy
from elicit.service.http_schema import Principal, ServiceError

RATE = 1200
"""Requests a minute that one token may make."""
TRIES = 30
"""Requests a minute that one address may make with a token, or an invite, that is not known."""
JOINING = 600
"""People a minute who may try names with one invite: a hall that opens the same link."""


class Authenticator:
    """Who stands before it, and what may be opened for them."""

    def __init__(self, served: Sequence[tuple[ServedStudy, Access]], rate: int) -> None:
        self.studies = {study.id: study for study, _ in served}
        self.access = {study.id: access for study, access in served}
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._rate, self._tries = RateLimitItemPerMinute(rate), RateLimitItemPerMinute(TRIES)
        self._joining = RateLimitItemPerMinute(JOINING)

    def find_principal(self, request: Request) -> Principal | None:
        """Whoever the bearer token stands for."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        principals = (access.who(token.strip()) for access in self.access.values()) if kind.lower() == "bearer" else ()
        return next((principal for principal in principals if principal), None)

    def who(self, request: Request) -> Principal:
        """Whoever the bearer token stands for. Raises ServiceError: 401, 429."""
        who = self.find_principal(request)
        if who is None:
            self._count_guess(request, "token")
            raise ServiceError(401, "this needs a token: send it as 'Authorization: Bearer TOKEN'")
        if not self._limiter.hit(self._rate, who.study, who.judge):
            raise ServiceError(429, f"a token may make {self._rate.amount} requests a minute; wait", 60.0)
        request.state.who = who
        return who

    def find_invite(self, code: str, request: Request) -> tuple[str, Invite]:
        """The study and what an invite gives in it. Raises ServiceError: 410 for one that is none, 429."""
        for study, access in self.access.items():
            if (invite := access.find_invite(code)) is not None:
                if not self._limiter.hit(self._joining, "invite", hashlib.sha256(code.encode()).hexdigest()):
                    raise ServiceError(429, f"an invite may be used {JOINING} times a minute; wait", 60.0)
                return study, invite
        self._count_guess(request, "invite")
        raise ServiceError(410, "this invite is used up or over; ask for another link")

    def _count_guess(self, request: Request, what: str) -> None:
        """Count what is not known. Raises ServiceError (429) for too many."""
        host = network_of(request.client.host) if request.client else ""
        if not self._limiter.hit(self._tries, what, host):
            raise ServiceError(429, f"an address may try {TRIES} times a minute; wait", 60.0)

    def study(self, study: str, request: Request) -> ServedStudy:
        """The study of a path. Raises ServiceError (404) where the token does not open it."""
        if self.who(request).study != study:
            raise ServiceError(404, f"there is no study {study!r} for this token")
        return self.studies[study]

    def admin(self, study: str, request: Request) -> ServedStudy:
        """The same, for those who run it. Raises ServiceError (403) for others."""
        opened = self.study(study, request)
        if request.state.who.scope != "admin":
            raise ServiceError(403, "this is for whoever runs the study")
        return opened
