"""How the core's structs cross HTTP: bodies read within limits, answers, problem details, and the OpenAPI of both."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Route

from elicit.service.http_schema import ServiceError
from elicit.types import BadInputError

T = TypeVar("T")
LARGEST = 256 * 1024
"""Bytes of a request's body."""
PATIENCE = 30
"""Seconds in which it must have come."""
PROBLEM = "application/problem+json"
JSON = "application/json"


class Problem(msgspec.Struct, frozen=True):
    """Problem details (RFC 9457)."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"


def json_response(value: Any, status: int = 200) -> Response:
    """The answer: a struct as JSON."""
    return Response(msgspec.json.encode(value), status, media_type=JSON)


def parse_body(kind: type[T]) -> Callable[[Request], Awaitable[T]]:
    """A dependency that reads a body of this kind.

    Raises ServiceError: 408 for one that comes too slowly, 413 for more than LARGEST bytes, 400 for what is no JSON,
    422 for a field at fault.
    """
    decoder = msgspec.json.Decoder(kind)

    async def read(request: Request) -> T:
        body = bytearray()
        try:
            async with asyncio.timeout(PATIENCE):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > LARGEST:
                        raise ServiceError(413, f"a body may have {LARGEST} bytes; send less")
        except ClientDisconnect:
            raise ServiceError(400, "the body broke off; send it again") from None
        except TimeoutError:
            raise ServiceError(408, f"the body did not arrive within {PATIENCE} seconds; send it again") from None
        try:
            return decoder.decode(bytes(body))
        except msgspec.ValidationError as error:
            raise ServiceError(422, f"the body cannot be used: {_readable(str(error))}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ServiceError(400, f"the body is no JSON: {error}") from None

    return read


def problem(status: int, detail: str, retry_after: float | None = None) -> Response:
    """Problem details as a response."""
    title = HTTPStatus(status).phrase
    headers = {} if retry_after is None else {"Retry-After": str(max(1, round(retry_after)))}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="elicit"'
    body = msgspec.json.encode(Problem(title, status, detail))
    return Response(body, status, headers, media_type=PROBLEM)


def add_problems(app: FastAPI) -> None:
    """Answer every error with problem details."""

    @app.exception_handler(BadInputError)
    async def report_refusal(_: Request, error: BadInputError) -> Response:
        if isinstance(error, ServiceError):
            return problem(error.status, str(error), error.retry_after)
        return problem(422, str(error))

    @app.exception_handler(HTTPException)
    async def report_http_error(request: Request, error: HTTPException) -> Response:
        answer = problem(error.status_code, str(error.detail))
        answer.headers.update(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:  # of several routes it names but the first's
            routes = (route for route in app.routes if isinstance(route, Route))
            fit = (route.methods or () for route in routes if route.matches(request.scope)[0] != Match.NONE)
            answer.headers["Allow"] = ", ".join(sorted({method for methods in fit for method in methods}))
        return answer

    @app.exception_handler(RequestValidationError)
    async def report_invalid_request(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = " ".join(str(part) for part in first["loc"])
        return problem(422, f"{place}: {_readable(first['msg'])}")

    @app.exception_handler(Exception)
    async def report_unforeseen(_: Request, error: Exception) -> Response:
        return problem(
            500, f"the server could not do this ({type(error).__name__}); votes that were confirmed are saved"
        )


def _readable(error: str) -> str:
    """A library's words without the pattern that people cannot read."""
    return re.sub(
        r"(Expected `str`|String should) match\S* (regex|pattern) '.*'", "it has characters that it cannot have", error
    )


def describe_route(
    answer: Any = None,
    status: int = 200,
    body: Any = None,
    errors: Iterable[int] = (),
    media: Sequence[str] = (JSON,),
    to_all: bool = False,
) -> dict[str, Any]:
    """What a route tells the OpenAPI: the kinds of its body and answer, and the errors it may give beside those that
    every body or every token can bring; to_all: whether it needs no token."""
    content = {kind: {"schema": _reference(answer)} for kind in media} if answer is not None else {}
    responses: dict[int | str, Any] = {status: {"description": HTTPStatus(status).phrase}}
    if content:
        responses[status]["content"] = content
    for code in sorted({401, 404, 422, 429, *errors, *((400, 408, 413, 503, 507) if body is not None else ())}):
        schema = {"$ref": "#/components/schemas/Problem"}
        responses[code] = {"description": HTTPStatus(code).phrase, "content": {PROBLEM: {"schema": schema}}}
    more: dict[str, Any] = {"security": []} if to_all else {}
    if body is not None:
        more["requestBody"] = {"required": True, "content": {JSON: {"schema": _reference(body)}}}
    # FastAPI would add JSON to whatever else a route answers with.
    return {"responses": responses, "status_code": status, "openapi_extra": more, "response_class": Response}


_kinds: list[Any] = [Problem]


def _reference(kind: Any) -> Mapping[str, Any]:
    if kind is str:
        return {"type": "string"}
    if kind is bytes:
        return {"type": "string", "format": "binary"}
    _kinds.append(kind)
    return msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")[0][0]


def add_openapi(app: FastAPI) -> None:
    """Serve an OpenAPI 3.1 document with the core's structs as its schemas."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            _, schemas = msgspec.json.schema_components(_kinds, ref_template="#/components/schemas/{name}")
            parts = schema.setdefault("components", {})
            parts.setdefault("schemas", {}).update(schemas)
            parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
            schema["security"] = [{"bearer": []}]
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
