"""What the server tells of itself: a line of JSON per request, and figures for Prometheus.

Never a secret, and never what somebody wrote: paths are told as their patterns, judges as they are enrolled.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from typing import Any, TextIO

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from elicit.service.http_backend import ServedStudy
from elicit.service.http_schema import Principal

SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Metrics:
    """The figures of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "elicit_request_seconds",
            "Time to answer",
            ["method", "route", "status"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.votes = Counter("elicit_votes", "Votes acknowledged", ["study"], registry=self.registry)
        self.behind = Gauge(
            "elicit_model_votes_behind", "Votes the model has still to learn", ["study"], registry=self.registry
        )
        self.up = Gauge("elicit_engine_up", "Whether the engine is there", ["study"], registry=self.registry)

    def page(self, studies: Iterable[ServedStudy]) -> bytes:
        """In Prometheus' text format."""
        for study in studies:
            latest = study.views.latest
            self.behind.labels(study.id).set(latest.behind if latest else 0)
            self.up.labels(study.id).set(not study.views.down)
        return generate_latest(self.registry)


class RequestLog:
    """Middleware: safe headers on every answer, its time among the figures, and one line of it in the log."""

    def __init__(self, app: ASGIApp, figures: Metrics, log: TextIO | None = None) -> None:
        self._app, self._figures, self._log = app, figures, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.setdefault("headers", [])
                names = {name for name, _ in headers}
                headers += [(name, value) for name, value in SAFE if name not in names]
                if b"content-security-policy" not in names:
                    headers.append((b"content-security-policy", POLICY))
                if b"cache-control" not in names:
                    headers.append((b"cache-control", b"no-store"))
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            self._tell(scope, status, time.perf_counter() - began)

    def _tell(self, scope: MutableMapping[str, Any], status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "(none)")
        # Anybody can make up a method, and each would be a figure of its own.
        method = scope["method"] if route != "(none)" else "(any)"
        self._figures.requests.labels(method, route, str(status)).observe(seconds)
        who: Principal | None = scope.get("state", {}).get("who")
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "method": method,
            "route": route,
            "status": status,
            "ms": round(1000 * seconds, 1),
            "study": who.study if who else None,
            "judge": who.judge if who else None,
        }
        log = self._log or sys.stderr
        with suppress(OSError):  # a log on a full disk must not take the answer away
            log.write(msgspec.json.encode(line).decode() + "\n")
