"""A hostile annotator: whatever is sent, nothing breaks, nothing of anybody else comes back, no secret is logged."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import httpx
import pytest

from adapters.access import Access
from studies.reporting.views import ADMIN_VIEWS
from tests.adapters.attacked import Attacked, attacked, lines, make, sound, until
from tests.adapters.payloads import ATTACKS, KEY, NOTE, cast

TWO = "/v1/studies/two"


class Stage:
    """A server with two studies, and who is in them: maya, who attacks, and noor, who must not notice."""

    def __init__(self, server: Attacked) -> None:
        self.server = server
        self.admin, self.stranger = server.admins["one"], server.admins["two"]
        self.maya, self.noor = server.enrol("maya", "one"), server.enrol("noor", "one")
        self.bot = self.ask(
            "POST", "/v1/studies/one/annotators", self.admin, {"judge": "bot", "scope": "judge"}
        ).json()["token"]
        self.theirs = server.lease(self.noor, "one")[0]
        (given,) = server.lease(self.bot, "one")
        self.their_vote = server.vote(self.bot, given, "bots", note="SECRET-NOTE").json()["vote"]
        answer = self.ask("POST", "/v1/studies/one/invites", self.admin, {"uses": 1000})
        self.code = answer.json()["code"]
        self.secrets = {self.admin, self.stranger, self.noor, self.bot, self.theirs["token"]}
        self.ask = server.ask  # type: ignore[method-assign]

    def ask(self, *arguments: Any, **more: Any) -> httpx.Response:
        return self.server.ask(*arguments, **more)

    def fresh(self) -> dict[str, str]:
        """A lease of maya's and a vote of hers, by the names that attacks have for them."""
        given, kept = self.server.lease(self.maya, "one", 2)
        vote = self.server.vote(self.maya, given, f"{KEY}-{given['lease']}").json()["vote"]
        return {
            "LEASE": kept["lease"],
            "TOKEN": kept["token"],
            "VOTE": str(vote),
            "GONE": given["lease"],
            "PAST": given["token"],
            "THEIRS": self.theirs["lease"],
            "THEIR_TOKEN": self.theirs["token"],
            "THEIR_VOTE": str(self.their_vote),
            "CODE": self.code,
        }

    def harmless(self, answer: httpx.Response) -> None:
        """Nothing of anybody else, no item's id, model's name, or place on the disk; a problem where it is one."""
        said = answer.text + str(answer.headers)
        for secret in (*self.secrets, "SECRET", "noor", str(self.server.log.parent), "Traceback", "sqlite"):
            assert secret not in said
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            found = answer.json()
            assert found["status"] == answer.status_code
            assert len(found["detail"]) > 10 or answer.status_code in (404, 405)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("hostile")
    made = (
        make(folder / "one", votes=100_000, serving={"lease": 600.0, "proxies": ["127.0.0.1"]}),
        make(folder / "two", 2, serving={"lease": 1.0}),
    )
    with attacked(*made, log=folder / "log") as server:
        server.ready()
        stage = Stage(server)
        yield stage
        # The study goes on as if nothing had happened.
        (lease,) = server.lease(stage.noor, "one")
        assert lease["lease"] == stage.theirs["lease"]
        assert server.vote(stage.noor, lease, "last").status_code == 201
        server.stop()
        votes = sound(folder / "one")
        assert len({vote.lease for vote in votes}) == len(votes)
        assert [vote.judge for vote in votes].count("noor") == 1
        logged = server.log.read_text()
        told = lines(server.log)
        assert told
        assert not [line for line in told if line["status"] >= 500 and line["route"] != "/readyz"]
        for secret in (*stage.secrets, stage.maya, stage.code, stage.theirs["lease"], NOTE, KEY, "SECRET"):
            assert secret not in logged


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_or_does_no_harm(stage: Stage, name: str) -> None:
    what, body, headers, allowed = ATTACKS[name]
    names = stage.fresh()
    sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    for placeholder in sorted(names, key=len, reverse=True):
        what = what.replace(placeholder, names[placeholder])
        if len(sent) < 100_000:
            sent = sent.replace(f'"{placeholder}"'.encode(), f'"{names[placeholder]}"'.encode())
    method, path = what.split(" ", 1)
    headers = {"Idempotency-Key": f"{KEY}-{names['LEASE']}", "Authorization": f"Bearer {stage.maya}"} | headers
    raw = {name: value.encode("latin-1") for name, value in headers.items() if value != "" or name != "Idempotency-Key"}
    answer = stage.ask(method, path, headers=raw, content=sent)
    assert answer.status_code in allowed, answer.text
    stage.harmless(answer)


def test_what_is_answered_after_an_attack_is_the_annotators_own(stage: Stage) -> None:
    given = stage.fresh()
    found = stage.ask("GET", "/v1/studies/one/votes?limit=200", stage.maya)
    stage.harmless(found)
    votes = found.json()["votes"]
    assert {vote["judge"] for vote in votes} == {"maya"}
    assert int(given["VOTE"]) in {vote["vote"] for vote in votes}
    assert not {"a", "b", "shown", "check", "why"} & {name for vote in votes for name in vote}
    for path in ("/v1/studies", "/v1/studies/one", "/v1/studies/one/progress"):
        stage.harmless(stage.ask("GET", path, stage.maya))
    stage.harmless(stage.ask("POST", "/v1/studies/one/leases?html=true", stage.maya, {"n": 20}))


def _together(*calls: Any) -> list[httpx.Response]:
    found: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda call=call: found.append(call())) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_a_lease_voted_on_at_the_same_instant_counts_once(stage: Stage) -> None:
    for n in range(10):
        (lease,) = stage.server.lease(stage.maya, "one")
        twice = [lambda key=key: stage.server.vote(stage.maya, lease, key) for key in (f"{KEY}a{n}", f"{KEY}b{n}")]  # noqa: B023
        assert sorted(answer.status_code for answer in _together(*twice)) == [201, 409]
        (lease,) = stage.server.lease(stage.maya, "one")
        same = [lambda: stage.server.vote(stage.maya, lease, f"{KEY}c{n}")] * 3  # noqa: B023
        answers = _together(*same)
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.text for answer in answers}) == 1


def test_a_vote_and_the_release_of_its_lease_at_the_same_instant(stage: Stage) -> None:
    for n in range(10):
        (lease,) = stage.server.lease(stage.maya, "one")
        voted, gone = (
            lambda: stage.server.vote(stage.maya, lease, f"{KEY}d{n}"),  # noqa: B023
            lambda: stage.ask("DELETE", f"/v1/leases/{lease['lease']}", stage.maya),  # noqa: B023
        )
        statuses = {answer.status_code for answer in _together(voted, gone)}
        assert statuses <= {201, 204, 409}
        page = stage.ask("GET", "/v1/studies/one/votes?limit=1", stage.maya).json()["votes"]
        counted = stage.server.vote(stage.maya, lease, f"{KEY}d{n}")
        assert (201 in statuses) == (counted.status_code == 201)
        assert 201 not in statuses or counted.json()["vote"] == page[0]["vote"]


def test_everything_out_of_order(stage: Stage) -> None:
    ask, vote, maya = stage.ask, stage.server.vote, stage.maya
    first, second = stage.server.lease(maya, "one", 2)
    receipt = vote(maya, first, f"{KEY}1")
    assert vote(maya, first, f"{KEY}1").json() == receipt.json()
    assert vote(maya, first, f"{KEY}1", choice="right").status_code == 422
    assert vote(maya, second, f"{KEY}1").status_code == 422
    assert vote(maya, first, f"{KEY}2").status_code == 409
    void = f"/v1/studies/one/votes/{receipt.json()['vote']}/void"
    assert ask("POST", void, maya, {}).status_code == 200
    assert ask("POST", void, maya, {}).status_code == 409
    assert ask("POST", void, maya, {"again": True}).status_code == 409
    assert ask("PUT", void.replace("void", "note"), maya, {"note": NOTE}).status_code == 409
    assert vote(maya, first, f"{KEY}3").status_code == 409
    assert ask("DELETE", f"/v1/leases/{second['lease']}", maya).status_code == 204
    assert ask("DELETE", f"/v1/leases/{second['lease']}", maya).status_code == 204
    assert ask("POST", f"/v1/leases/{second['lease']}/heartbeat", maya).status_code == 410
    assert vote(maya, second, f"{KEY}4").status_code == 409


def test_of_two_leases_on_one_query_the_first_vote_counts(stage: Stage) -> None:
    server = stage.server
    ida = server.enrol("ida", "two")
    (first,) = server.lease(ida, "two")
    until(lambda: server.lease(ida, "two")[0]["lease"] != first["lease"])
    (second,) = server.lease(ida, "two")
    assert server.vote(ida, first, "late").status_code == 201
    assert server.vote(ida, second, "in-time").status_code == 409
    assert server.vote(ida, first, "late").status_code == 201
    (third,) = server.lease(ida, "two")
    until(lambda: not any(row["leases"] for row in stage.ask("GET", f"{TWO}/annotators", stage.stranger).json()))
    assert server.vote(ida, third, "later").status_code == 201


def test_a_token_that_was_renewed_opens_nothing(stage: Stage) -> None:
    old = stage.server.enrol("otto", "one")
    (lease,) = stage.server.lease(old, "one")
    assert stage.ask("POST", "/v1/studies/one/annotators/otto/token", stage.maya).status_code == 403
    new = stage.ask("POST", "/v1/studies/one/annotators/otto/token", stage.admin).json()["token"]
    assert stage.server.vote(old, lease, "key").status_code == 401
    assert stage.server.vote(new, lease, "key").status_code == 201


def test_a_vote_that_an_admin_casts_is_its_annotators(stage: Stage) -> None:
    assert stage.ask("POST", "/v1/studies/one/leases", stage.admin, {"n": 1}).status_code == 422
    stage.server.enrol("ines", "one")
    answer = stage.ask("POST", "/v1/studies/one/leases", stage.admin, {"annotator": "ines"})
    (lease,) = answer.json()["leases"]
    vote = stage.server.vote(stage.admin, lease, "hers").json()["vote"]
    assert stage.ask("GET", "/v1/studies/one/votes?limit=1", stage.admin).json()["votes"][0]["judge"] == "ines"
    back = stage.ask("POST", f"/v1/studies/one/votes/{vote}/void", stage.admin, {"again": True}).json()["lease"]
    assert (back["left"], back["right"]) == (lease["left"], lease["right"])
    assert stage.server.vote(stage.admin, back, "again").status_code == 201


def _raw(stage: Stage, *parts: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", stage.server.port), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
        said = b""
        with suppress(ConnectionResetError):  # it need not take in what it has refused
            while chunk := connection.recv(65536):
                said += chunk
        return said


def test_requests_that_are_none(stage: Stage) -> None:
    head = (
        "POST /v1/studies/one/leases HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {stage.maya}\r\n"
    ).encode()
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    assert b" 400 " in _raw(stage, head + b"Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert b" 400 " in _raw(stage, head + b"Content-Length: -1\r\n\r\n{}")
    assert b" 201 " in _raw(stage, head + b'Content-Length: 7\r\n\r\n{"n":1}{"n":2}')
    assert b" 413 " in _raw(stage, head + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 5, b"0\r\n\r\n")
    assert b" 400 " in _raw(stage, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20)
    assert b" 400 " in _raw(stage, b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n")
    with socket.create_connection(("127.0.0.1", stage.server.port)) as connection:
        connection.sendall(head + b"Content-Length: 100\r\n\r\n{")  # and hangs up
    assert b" 431 " in _raw(stage, head + b"X: " + b"x" * 70_000)


def test_fifty_who_hang_up_leave_nothing_behind(stage: Stage) -> None:
    body = b'{"n": 20}'
    request = (
        f"POST /v1/studies/one/leases HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {stage.maya}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", stage.server.port)) as connection:
            connection.sendall(request)
    assert len(stage.server.lease(stage.maya, "one", 20)) == 20


NONE, STRANGER, JUDGE, ANNOTATOR, ADMIN = range(5)
OPEN, ANY, OWNED, RUN = (200,) * 5, (401, 404, 200, 200, 200), (401, 404, 404, 200, 200), (401, 404, 403, 403, 200)
# What each route answers to nobody, another study's admin, a script that judges, the annotator whose the lease or the
# vote is, and the study's admin.
MATRIX: dict[str, tuple[Any, tuple[int, ...]]] = {
    "GET /healthz": (None, OPEN),
    "GET /readyz": (None, OPEN),
    "GET /metrics": (None, (401, 200, 403, 403, 200)),
    "POST /v1/invites/{code}/accept": ({"judge": "NEW"}, (201,) * 5),
    "GET /v1/studies": (None, (401, 200, 200, 200, 200)),
    "GET /v1/invites/{code}": (None, (200, 200, 200, 200, 200)),
    "GET /v1/studies/{study}": (None, ANY),
    "PATCH /v1/studies/{study}": ({"paused": False}, RUN),
    "GET /v1/studies/{study}/progress": (None, ANY),
    "POST /v1/studies/{study}/leases": ({"n": 1}, (401, 404, 201, 201, 422)),
    "POST /v1/leases/{lease}/heartbeat": (None, OWNED),
    "DELETE /v1/leases/{lease}": (None, (401, 404, 404, 204, 204)),
    "GET /v1/leases/{lease}/images/{pane}": (None, (401, 404, 404, 404, 404)),
    "POST /v1/votes": (cast(), (401, 404, 404, 201, 201)),
    "GET /v1/studies/{study}/votes": (None, ANY),
    "POST /v1/studies/{study}/votes/{vote}/void": ({}, (401, 404, 404, 200, 409)),
    "PUT /v1/studies/{study}/votes/{vote}/note": ({"note": ""}, (401, 404, 404, 204, 204)),
    "GET /v1/studies/{study}/items": (None, RUN),
    **{f"GET /v1/studies/{{study}}/{name}": (None, RUN) for name in ADMIN_VIEWS},
    "POST /v1/studies/{study}/annotators": ({"judge": "NEW"}, (401, 404, 403, 403, 201)),
    "PATCH /v1/studies/{study}/annotators": ({"weight": 1}, RUN),
    "PATCH /v1/studies/{study}/annotators/{judge}": ({"weight": 1}, RUN),
    "POST /v1/studies/{study}/tokens": (None, (401, 404, 403, 403, 201)),
    "POST /v1/studies/{study}/annotators/{judge}/token": (None, (401, 404, 403, 403, 201)),
    "POST /v1/studies/{study}/invites": ({}, (401, 404, 403, 403, 201)),
    "GET /v1/studies/{study}/exports/{table}.{format}": (None, RUN),
    "POST /v1/studies/{study}/replays": ({}, (401, 404, 403, 403, 202)),
    "GET /v1/studies/{study}/replays/{job}": (None, (401, 404, 403, 403, 404)),
    "GET /v1/studies/{study}/events": (None, RUN),
}


def test_the_matrix_has_every_route(stage: Stage) -> None:
    paths = stage.ask("GET", "/v1/openapi.json").json()["paths"]
    assert {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods} == set(MATRIX)


@pytest.mark.parametrize("route", MATRIX)
def test_each_route_opens_to_whom_it_should(stage: Stage, route: str) -> None:
    body, statuses = MATRIX[route]
    names = stage.fresh()
    places = {"study": "one", "lease": names["LEASE"], "vote": names["VOTE"], "judge": "ada", "code": names["CODE"]}
    places |= {"pane": "left", "table": "votes", "format": "csv", "job": "none"}
    if "{judge}" in route:
        stage.ask("POST", "/v1/studies/one/annotators", stage.admin, {"judge": "ada"})
    method, path = route.format(**places).split(" ")
    if path.endswith(("/annotators", "/tokens")) and "NEW" not in str(body):
        stage.ask("POST", "/v1/studies/one/annotators", stage.admin, {"judge": "ada"})
        path += "?judge=ada"
    tokens = ("", stage.stranger, stage.bot, stage.maya, stage.admin)
    for scope, (token, status) in enumerate(zip(tokens, statuses, strict=True)):
        sent = json.dumps(body).replace("NEW", f"new {scope} {len(route)}") if body is not None else ""
        for name in ("LEASE", "TOKEN"):
            sent = sent.replace(f'"{name}"', f'"{names[name]}"')
        # The key is the annotator's own; the proxy's word for the address keeps tries without a token few.
        headers = {"Idempotency-Key": f"{KEY}{route}".replace(" ", ""), "X-Forwarded-For": f"10.0.0.{len(path)}"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        with httpx.stream(method, stage.server.url + path, headers=headers, content=sent, timeout=30) as answer:
            assert answer.status_code == status, (scope, answer.headers)
            if status >= 400:
                assert answer.headers["content-type"] == "application/problem+json"


def test_a_name_in_use_ends_nobodys_token(stage: Stage) -> None:
    for name in ("boss", "Boss", "maya", "noor"):
        assert stage.ask("POST", f"/v1/invites/{stage.code}/accept", "", {"judge": name}).status_code == 409
        assert stage.ask("POST", "/v1/studies/one/annotators", stage.admin, {"judge": name}).status_code == 409
    assert stage.ask("GET", "/v1/studies/one/items", stage.admin).status_code == 200


def test_an_invite_for_one_lets_one_in(stage: Stage) -> None:
    code = stage.ask("POST", "/v1/studies/one/invites", stage.admin, {"uses": 1}).json()["code"]
    accept = [
        lambda name=name: stage.ask(
            "POST", f"/v1/invites/{code}/accept", "", {"judge": name}, headers={"X-Forwarded-For": "10.0.1.1"}
        )
        for name in ("maya", "uma", "una", "udo")
    ]
    assert accept[0]().status_code == 409
    assert sorted(answer.status_code for answer in _together(*accept[1:])) == [201, 410, 410]


def test_a_listener_that_never_reads_stops_nobody(stage: Stage) -> None:
    request = f"GET /v1/studies/one/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {stage.admin}\r\n\r\n".encode()
    listeners = [socket.create_connection(("127.0.0.1", stage.server.port)) for _ in range(20)]
    try:
        for listener in listeners:
            listener.sendall(request)
        for _ in range(5):
            stage.fresh()
    finally:
        for listener in listeners:
            listener.close()


def test_a_listener_whose_token_has_ended_hears_nothing_more(stage: Stage) -> None:
    with closing(Access(stage.server.folders[0])) as access:
        token = access.admit("second boss", "admin").token
        request = f"GET /v1/studies/one/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", stage.server.port), timeout=10) as connection:
            connection.sendall(request)
            said = b""
            while b"event: vote" not in said:
                said += connection.recv(65536)
            access.admit("second boss", "admin")
            stage.fresh()
            while chunk := connection.recv(65536):
                said += chunk
                if said.endswith(b"0\r\n\r\n"):
                    break
    for secret in (KEY, NOTE, "SECRET", token):
        assert secret.encode() not in said


def test_an_export_runs_no_formula(stage: Stage) -> None:
    (lease,) = stage.server.lease(stage.maya, "one")
    assert stage.server.vote(stage.maya, lease, f"{KEY}f", note=f"=cmd|' /C {NOTE}'!A0").status_code == 201
    table = stage.ask("GET", "/v1/studies/one/exports/votes.csv", stage.admin).text
    assert f"'=cmd|' /C {NOTE}" in table
