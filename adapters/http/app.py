"""The study server's HTTP: routes, who may use which, and nothing else. Every decision is the `ServedStudy`'s."""

import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

import msgspec
from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from adapters.access import Access
from adapters.http.authenticator import RATE, Authenticator
from adapters.http.encoding import add_openapi, add_problems, describe_route, json_response, parse_body, problem
from adapters.http.observability import Metrics, RequestLog
from adapters.markup import render
from elicit.service.http_backend import ServedStudy
from elicit.service.http_schema import (
    Accepting,
    Admission,
    Amendment,
    AnnotatorRow,
    Enrolment,
    Invitation,
    Invited,
    ItemsPage,
    Lease,
    LeaseExtension,
    LeaseRequest,
    Leases,
    NoteRequest,
    Pane,
    Pausing,
    Principal,
    Receipt,
    Replaying,
    ReplayJob,
    ServedCard,
    ServiceError,
    Voided,
    VoidRequest,
    VoteRequest,
    VotesPage,
    Welcome,
)
from elicit.service.names import checked_name
from elicit.service.views import Page, View
from elicit.service.voting import Progress

MOST = 200
"""Rows of a page at the most."""
TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp"}
TABLES = {"csv": "text/csv", "jsonl": "application/x-ndjson", "parquet": "application/vnd.apache.parquet"}
PAGE = Path(__file__).parent / "page"
COMMENT = re.compile(rb"^ *(?://|/?\*+[ /]).*\n", re.MULTILINE)
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}

After = Annotated[int, Query(alias="cursor", ge=0, le=10**12, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=MOST)]
Key = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]


def app_for(
    served: Sequence[tuple[ServedStudy, Access]],
    views: Iterable[View[Any, Any]],
    *,
    rate: int = RATE,
    log: TextIO | None = None,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    """The server's application. views: what admins can see of a study; rate: requests a minute for one token; log:
    where a line per request goes (stderr)."""
    app = FastAPI(
        title="elicit",
        version="1",
        description="Studies that many annotators vote in at once.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        lifespan=lifespan,
    )
    authenticator, figures = Authenticator(served, rate), Metrics()
    app.add_middleware(RequestLog, figures=figures, log=log)
    add_problems(app)
    _health(app, authenticator, figures)
    _pages(app)
    _voting(app, authenticator, figures)
    _running(app, authenticator)
    _reading(app, authenticator, views)
    add_openapi(app)
    return app


def _health(app: FastAPI, authenticator: Authenticator, figures: Metrics) -> None:
    @app.get("/healthz", **describe_route(dict[str, str], to_all=True))
    async def healthz() -> Response:
        return json_response({"status": "ok"})

    @app.get("/readyz", **describe_route(dict[str, str], errors=(503,), to_all=True))
    async def readyz() -> Response:
        down = [f"{study.id}: {study.views.down}" for study in authenticator.studies.values() if study.views.down]
        return problem(503, "; ".join(down), 2.0) if down else json_response({"status": "ready"})

    @app.get("/metrics", **describe_route(str, errors=(403,), media=("text/plain",)))
    async def metrics(request: Request) -> Response:
        who = authenticator.who(request)
        return Response(figures.page([authenticator.admin(who.study, request)]), media_type="text/plain; version=0.0.4")


def _pages(app: FastAPI) -> None:
    """The two pages and what they load, read once; whole lines of comment stay here."""
    files = {path.name: COMMENT.sub(b"", path.read_bytes()) for path in PAGE.glob("*") if path.suffix in KINDS}

    def page(name: str) -> Response:
        if name not in files:
            raise ServiceError(404, "there is no such page")
        tag = f'"{hashlib.sha256(files[name]).hexdigest()[:16]}"'
        kind = KINDS[Path(name).suffix]
        return Response(files[name], media_type=kind, headers={"ETag": tag, "Cache-Control": "no-cache"})

    @app.get("/", include_in_schema=False)
    async def voting() -> Response:
        return page("index.html")

    @app.get("/admin", include_in_schema=False)
    async def admin() -> Response:
        return page("admin.html")

    @app.get("/page/{name}", include_in_schema=False)
    async def part(name: str) -> Response:
        return page(name)


def _voting(app: FastAPI, authenticator: Authenticator, figures: Metrics) -> None:
    """What annotators and scripts that judge use."""
    Token = Annotated[Principal, Depends(authenticator.who)]
    Study = Annotated[ServedStudy, Depends(authenticator.study)]

    @app.post("/v1/invites/{code}/accept", **describe_route(Admission, 201, Accepting, (409, 410), to_all=True))
    async def accept(
        code: str, request: Request, body: Annotated[Accepting, Depends(parse_body(Accepting))]
    ) -> Response:
        study, invite = authenticator.find_invite(code, request)
        name, access = checked_name(body.judge), authenticator.access[study]
        access.check_free(name)
        with access.use_invite(code):
            await authenticator.studies[study].enrol(
                Principal(name, "annotator", study), Enrolment(name, "annotator", invite.pools, invite.quota)
            )
        return json_response(access.admit(name, "annotator"), 201)

    @app.get("/v1/invites/{code}", **describe_route(Welcome, errors=(410,), to_all=True))
    async def welcome(code: str, request: Request) -> Response:
        study, invite = authenticator.find_invite(code, request)
        return json_response(await authenticator.studies[study].welcome(invite.quota))

    @app.get("/v1/studies", **describe_route(list[ServedCard]))
    async def studies(who: Token) -> Response:
        return json_response([await _card(authenticator.studies[who.study], who)])

    @app.get("/v1/studies/{study}", **describe_route(ServedCard))
    async def card(opened: Study, request: Request) -> Response:
        return json_response(await _card(opened, request.state.who))

    @app.get("/v1/studies/{study}/progress", **describe_route(Progress))
    async def progress(opened: Study, request: Request) -> Response:
        return json_response(await opened.progress(request.state.who))

    @app.post("/v1/studies/{study}/leases", **describe_route(Leases, 201, LeaseRequest, (403,)))
    async def lease(
        opened: Study,
        request: Request,
        body: Annotated[LeaseRequest, Depends(parse_body(LeaseRequest))],
        html: bool = False,
    ) -> Response:
        reply = await opened.leases.lease(request.state.who, body)
        if html:
            reply = msgspec.structs.replace(reply, leases=tuple(_as_html(lease) for lease in reply.leases))
        answer = json_response(reply, 201)
        if reply.retry_after is not None:
            answer.headers["Retry-After"] = str(max(1, round(reply.retry_after)))
        return answer

    @app.post("/v1/leases/{lease}/heartbeat", **describe_route(LeaseExtension, errors=(410,)))
    async def heartbeat(lease: str, who: Token) -> Response:
        return json_response(await authenticator.studies[who.study].leases.heartbeat(who, lease))

    @app.delete("/v1/leases/{lease}", **describe_route(None, 204, errors=(503, 507)))
    async def release(lease: str, who: Token) -> Response:
        await authenticator.studies[who.study].leases.release(who, lease)
        return Response(status_code=204)

    @app.get("/v1/leases/{lease}/images/{pane}", **describe_route(bytes, media=tuple(TYPES.values())))
    async def image(lease: str, pane: Pane, who: Token) -> Response:
        path = await authenticator.studies[who.study].leases.image(who, lease, pane)
        return FileResponse(path, media_type=TYPES.get(path.suffix, "application/octet-stream"))

    @app.post("/v1/votes", **describe_route(Receipt, 201, VoteRequest, (409,)))
    async def vote(who: Token, body: Annotated[VoteRequest, Depends(parse_body(VoteRequest))], key: Key) -> Response:
        digest = hashlib.sha256(msgspec.json.encode(body)).hexdigest()
        receipt = await authenticator.studies[who.study].vote(who, body, key, digest)
        figures.votes.labels(who.study).inc()
        return json_response(receipt, 201)

    @app.get("/v1/studies/{study}/votes", **describe_route(VotesPage))
    async def votes(
        opened: Study,
        request: Request,
        cursor: Annotated[int | None, Query(ge=0, le=10**12)] = None,
        limit: Limit = 50,
    ) -> Response:
        return json_response(await opened.votes(request.state.who, cursor, limit))

    @app.post("/v1/studies/{study}/votes/{vote}/void", **describe_route(Voided, 200, VoidRequest, (409,)))
    async def void(
        opened: Study,
        vote: int,
        request: Request,
        body: Annotated[VoidRequest, Depends(parse_body(VoidRequest))],
        html: bool = False,
    ) -> Response:
        done = await opened.void(request.state.who, vote, body)
        if html and done.lease:
            done = Voided(done.vote, _as_html(done.lease))
        return json_response(done)

    @app.put("/v1/studies/{study}/votes/{vote}/note", **describe_route(None, 204, NoteRequest, (409,)))
    async def note(
        opened: Study, vote: int, request: Request, body: Annotated[NoteRequest, Depends(parse_body(NoteRequest))]
    ) -> Response:
        await opened.note(request.state.who, vote, body.note)
        return Response(status_code=204)


def _running(app: FastAPI, authenticator: Authenticator) -> None:
    """What whoever runs a study uses to change it."""
    Admin = Annotated[ServedStudy, Depends(authenticator.admin)]

    @app.patch("/v1/studies/{study}", **describe_route(ServedCard, 200, Pausing, (403,)))
    async def pause(
        opened: Admin, request: Request, body: Annotated[Pausing, Depends(parse_body(Pausing))]
    ) -> Response:
        return json_response(await opened.pause(request.state.who, body.paused))

    @app.post("/v1/studies/{study}/annotators", **describe_route(Admission, 201, Enrolment, (403, 409)))
    async def enrol(
        study: str, opened: Admin, request: Request, body: Annotated[Enrolment, Depends(parse_body(Enrolment))]
    ) -> Response:
        enrolment = msgspec.structs.replace(body, judge=checked_name(body.judge))
        authenticator.access[study].check_free(enrolment.judge)
        await opened.enrol(request.state.who, enrolment)
        return json_response(authenticator.access[study].admit(enrolment.judge, body.scope), 201)

    # Browsers read some names in a path, like .., as a way to elsewhere: those stand behind a question mark (?judge=).
    @app.patch("/v1/studies/{study}/annotators", **describe_route(AnnotatorRow, 200, Amendment, (403,)))
    @app.patch("/v1/studies/{study}/annotators/{judge}", **describe_route(AnnotatorRow, 200, Amendment, (403,)))
    async def amend(
        opened: Admin, judge: str, request: Request, body: Annotated[Amendment, Depends(parse_body(Amendment))]
    ) -> Response:
        return json_response(await opened.amend(request.state.who, judge, body))

    @app.post("/v1/studies/{study}/tokens", **describe_route(Admission, 201, errors=(403, 503, 507)))
    @app.post("/v1/studies/{study}/annotators/{judge}/token", **describe_route(Admission, 201, errors=(403, 503, 507)))
    async def renew(study: str, opened: Admin, judge: str) -> Response:
        return json_response(authenticator.access[study].admit(judge, await opened.scope(judge)), 201)

    @app.post("/v1/studies/{study}/invites", **describe_route(Invited, 201, Invitation, (403,)))
    async def invite(
        study: str, opened: Admin, body: Annotated[Invitation, Depends(parse_body(Invitation))]
    ) -> Response:
        return json_response(authenticator.access[study].invite(body), 201)

    @app.post("/v1/studies/{study}/replays", **describe_route(ReplayJob, 202, Replaying, (403,)))
    async def replay(opened: Admin, body: Annotated[Replaying, Depends(parse_body(Replaying))]) -> Response:
        return json_response(await opened.views.replay(body), 202)


def _reading(app: FastAPI, authenticator: Authenticator, views: Iterable[View[Any, Any]]) -> None:
    """What whoever runs a study can see of it."""
    Admin = Annotated[ServedStudy, Depends(authenticator.admin)]
    away = (403, 503)

    @app.get("/v1/studies/{study}/items", **describe_route(ItemsPage, errors=(403,)))
    async def items(opened: Admin, cursor: After = 0, limit: Limit = 50) -> Response:
        return json_response(await opened.items(Page(cursor, limit)))

    def show(view: View[Any, Any]) -> None:
        async def whole(opened: Admin) -> Response:
            return json_response(await opened.views.show(view))

        async def page(opened: Admin, cursor: After = 0, limit: Limit = 50) -> Response:
            return json_response(await opened.views.show(view, Page(cursor, limit)))

        path = f"/v1/studies/{{study}}/{view.name}"
        app.get(path, name=view.name, **describe_route(view.kind, errors=away))(page if view.paged else whole)

    for view in views:
        show(view)

    @app.get(
        "/v1/studies/{study}/exports/{table}.{format}",
        **describe_route(bytes, errors=away, media=tuple(TABLES.values())),
    )
    async def export(
        study: str,
        opened: Admin,
        table: Literal["votes", "items", "labels"],
        format: Literal["csv", "jsonl", "parquet"],  # noqa: A002
    ) -> Response:
        path = await opened.views.export(table, format)
        name, gone = f"{study}-{table}.{format}", BackgroundTask(path.unlink, missing_ok=True)
        return FileResponse(path, media_type=TABLES[format], filename=name, background=gone)

    @app.get("/v1/studies/{study}/replays/{job}", **describe_route(ReplayJob, errors=(403,)))
    async def replayed(opened: Admin, job: str) -> Response:
        return json_response(await opened.views.replayed(job))

    @app.get(
        "/v1/studies/{study}/events",
        response_class=EventSourceResponse,
        responses=describe_route(errors=(403,))["responses"],
    )
    async def events(
        opened: Admin,
        request: Request,
        last: Annotated[int | None, Header(alias="Last-Event-ID", ge=0, le=10**12)] = None,
    ) -> AsyncIterator[ServerSentEvent]:
        since = 0 if last is None else last
        async for event in opened.tail(since):
            if authenticator.find_principal(request) is None:  # the token has ended in the meantime
                return
            yield ServerSentEvent(raw_data=msgspec.json.encode(event).decode(), event=event.type, id=str(event.seq))


async def _card(study: ServedStudy, who: Principal) -> ServedCard:
    card = await study.card(who)
    return msgspec.structs.replace(card, guidelines_html=render(card.guidelines))


def _as_html(lease: Lease) -> Lease:
    return msgspec.structs.replace(
        lease, left_html=render(lease.left), right_html=render(lease.right), context_html=render(lease.context)
    )
