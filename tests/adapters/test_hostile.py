"""A hostile annotator: whatever is sent, nothing breaks, nothing of anybody else comes back, no secret is logged."""

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from studies.study import Study
from tests.adapters.attacked import Attacked, attacked, lines, make, sound

NOTE, KEY = "PRIVATE-NOTE", "PRIVATE-KEY"
LARGE = b'{"note": "' + b"x" * 1_000_000 + b'"}'


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
    made = make(folder / "one", votes=100_000, serving={"lease": 600.0}), make(folder / "two")
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
        assert len(told) > 200
        assert not [line for line in told if line["status"] >= 500 and line["route"] != "/readyz"]
        for secret in (*stage.secrets, stage.maya, stage.code, stage.theirs["lease"], NOTE, KEY, "SECRET"):
            assert secret not in logged


def _cast(**more: Any) -> dict[str, Any]:
    return {"lease": "LEASE", "token": "TOKEN", "choice": "left"} | more


OK, BAD = {200, 201, 204}, {400, 422}
VOTES, NOTES = "POST /v1/votes", "PUT /v1/studies/one/votes/VOTE/note"
LEASES, PAGE = "POST /v1/studies/one/leases", "GET /v1/studies/one/votes"
ACCEPT = "POST /v1/invites/CODE/accept"
# What is sent (a value is sent as JSON, bytes as they are), under which headers, and what may be answered.
ATTACKS: dict[str, tuple[str, Any, dict[str, str], set[int]]] = {
    "note of html": (VOTES, _cast(note=f"{NOTE}<script>alert(1)</script><img src=x onerror=alert(1)>"), {}, OK),
    "note of escapes": (VOTES, _cast(note=f"{NOTE}\x1b[2J\x1b]0;owned\x07\x9b31m"), {}, OK),
    "note with NUL": (VOTES, _cast(note=f"{NOTE}\0after"), {}, OK),
    "note from right to left": (VOTES, _cast(note=f"{NOTE}\u202egnp.exe\u2066"), {}, OK),
    "note of a formula": (VOTES, _cast(note=f'=HYPERLINK("http://x";"{NOTE}")'), {}, OK),
    "note of 10,000 characters": (VOTES, _cast(note=NOTE + "ä" * (10_000 - len(NOTE))), {}, OK),
    "note of 10,001 characters": (VOTES, _cast(note="x" * 10_001), {}, BAD),
    "note with half a surrogate": (
        VOTES,
        b'{"lease":"LEASE","token":"TOKEN","choice":"left","note":"\\ud800"}',
        {},
        BAD,
    ),
    "note that is no UTF-8": (VOTES, b'{"lease":"LEASE","token":"TOKEN","choice":"left","note":"\xff\xfe"}', {}, BAD),
    "note of SQL": (NOTES, {"note": f"{NOTE}'); DROP TABLE events; --"}, {}, OK),
    "note of 10,001 later": (NOTES, {"note": "x" * 10_001}, {}, BAD),
    "note on another's vote": ("PUT /v1/studies/one/votes/THEIR_VOTE/note", {"note": NOTE}, {}, {404}),
    "name with a path": (ACCEPT, {"judge": "../../etc/passwd"}, {}, BAD),
    "name with a line end": (ACCEPT, {"judge": "olga\n"}, {}, BAD),
    "name with escapes": (ACCEPT, {"judge": "olga\x1b[2J"}, {}, BAD),
    "name with NUL": (ACCEPT, {"judge": "olga\0"}, {}, BAD),
    "name in other letters": (ACCEPT, {"judge": "Maya"}, {}, {409}),
    "name in wide letters": (ACCEPT, {"judge": "ｍａｙａ"}, {}, {409}),
    "name turned around": (ACCEPT, {"judge": "\u202eayam"}, {}, BAD),
    "name of the admin": (ACCEPT, {"judge": "BOSS"}, {}, {409}),
    "name of nobody": (ACCEPT, {"judge": "nobody"}, {}, {409}),
    "name of the stock": (ACCEPT, {"judge": "(stock)"}, {}, BAD),
    "name of two": (ACCEPT, {"judge": "maya + olga"}, {}, BAD),
    "name of a lane": (ACCEPT, {"judge": "router 0"}, {}, BAD),
    "name of 65 characters": (ACCEPT, {"judge": "m" * 65}, {}, BAD),
    "name of none": (ACCEPT, {"judge": ""}, {}, BAD),
    "invite made up": ("POST /v1/invites/%2e%2e%2fadmin/accept", {"judge": "olga"}, {}, {404, 410}),
    "invite of SQL": ("POST /v1/invites/'%20OR%201=1--/accept", {"judge": "olga"}, {}, {410}),
    "vote on another's lease": (VOTES, _cast(lease="THEIRS", token="THEIR_TOKEN"), {}, {404}),
    "vote with another's token": (VOTES, _cast(token="THEIR_TOKEN"), {}, {404}),
    "vote with a token that is no ASCII": (VOTES, _cast(token="tökén"), {}, {404}),
    "vote again on a lease": (VOTES, _cast(lease="GONE", token="PAST"), {}, {409}),
    "vote before a lease": (VOTES, _cast(lease="0" * 24), {}, {404}),
    "vote without a key": (VOTES, _cast(), {"Idempotency-Key": ""}, BAD),
    "key with blanks": (VOTES, _cast(), {"Idempotency-Key": "a b"}, BAD),
    "key of 10 kB": (VOTES, _cast(), {"Idempotency-Key": "k" * 10_000}, BAD),
    "key that is no ASCII": (VOTES, _cast(), {"Idempotency-Key": "schlüssel".encode("latin-1").decode("latin-1")}, BAD),
    "choice of all": (VOTES, _cast(choice="both"), {}, BAD),
    "strength of a tie": (VOTES, _cast(choice="tie", strength=3), {}, BAD),
    "strength of 4": (VOTES, _cast(strength=4), {}, BAD),
    "seconds below none": (VOTES, _cast(seconds=-1), {}, BAD),
    "seconds without end": (VOTES, b'{"lease":"LEASE","token":"TOKEN","choice":"left","seconds":Infinity}', {}, BAD),
    "seconds that are no number": (VOTES, b'{"lease":"LEASE","token":"TOKEN","choice":"left","seconds":NaN}', {}, BAD),
    "seconds of 1e400": (VOTES, b'{"lease":"LEASE","token":"TOKEN","choice":"left","seconds":1e400}', {}, BAD),
    "21 reasons": (VOTES, _cast(reasons=["why"] * 21), {}, BAD),
    "field that is not there": (VOTES, _cast(judge="noor"), {}, BAD),
    "judge twice": (LEASES, b'{"annotator":"noor","n":1,"annotator":"noor"}', {}, {403}),
    "leases for another": (LEASES, {"annotator": "noor"}, {}, {403}),
    "no leases": (LEASES, {"n": 0}, {}, BAD),
    "10**9 leases": (LEASES, {"n": 10**9}, {}, BAD),
    "2**70 leases": (LEASES, b'{"n": 1180591620717411303424}', {}, BAD),
    "half a lease": (LEASES, {"n": 0.5}, {}, BAD),
    "list for an object": (LEASES, [1, 2], {}, BAD),
    "nothing for an object": (LEASES, b"", {}, BAD),
    "100,000 brackets": (LEASES, b"[" * 100_000, {}, BAD),
    "deep below a field": (LEASES, b'{"x":' * 20_000 + b"1" + b"}" * 20_000, {}, BAD),
    "1 MB": (NOTES, LARGE, {}, {413}),
    "1 kB that unpacks to 1 MB": (NOTES, gzip.compress(LARGE), {"Content-Encoding": "gzip"}, BAD),
    "form": (LEASES, b"n=1&annotator=noor", {"Content-Type": "application/x-www-form-urlencoded"}, BAD),
    "page of 10**9": (f"{PAGE}?limit=1000000000", None, {}, BAD),
    "page before the first": (f"{PAGE}?cursor=-1", None, {}, BAD),
    "page after 2**70": (f"{PAGE}?cursor=1180591620717411303424", None, {}, BAD),
    "page of letters": (f"{PAGE}?limit=all%00", None, {}, BAD),
    "void of another's vote": ("POST /v1/studies/one/votes/THEIR_VOTE/void", {}, {}, {404}),
    "void of a vote below none": ("POST /v1/studies/one/votes/-1/void", {}, {}, {404}),
    "void of 2**70": ("POST /v1/studies/one/votes/1180591620717411303424/void", {}, {}, {404}),
    "void of 5000 digits": (f"POST /v1/studies/one/votes/{'9' * 5000}/void", {}, {}, BAD),
    "void of letters": ("POST /v1/studies/one/votes/all/void", {}, {}, BAD),
    "heart of another's lease": ("POST /v1/leases/THEIRS/heartbeat", None, {}, {404}),
    "release of another's lease": ("DELETE /v1/leases/THEIRS", None, {}, {404}),
    "picture of another's lease": ("GET /v1/leases/THEIRS/images/left", None, {}, {404}),
    "picture of a path": ("GET /v1/leases/LEASE/images/..%2f..%2fstudy.db", None, {}, {404, 422}),
    "page's file of a path": ("GET /page/..%2f..%2fapp.py", None, {}, {404}),
    "study of a path": ("GET /v1/studies/..%2ftwo", None, {}, {404}),
    "study of others": ("GET /v1/studies/two", None, {}, {404}),
    "another method": ("TRACE /v1/votes", None, {}, {405}),
    "another's export": ("GET /v1/studies/one/exports/votes.csv", None, {}, {403}),
    "another host": (LEASES, {"n": 1}, {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}, OK),
    "another token": (PAGE, None, {"Authorization": "Bearer null"}, {401}),
    "another scheme": (PAGE, None, {"Authorization": "Basic bWF5YTptYXlh"}, {401}),
    "empty token": (PAGE, None, {"Authorization": "Bearer"}, {401}),
    "token of 50 kB": (PAGE, None, {"Authorization": "Bearer " + "x" * 50_000}, {401}),
    "event that is none": ("GET /v1/studies/one/events", None, {"Last-Event-ID": "-1"}, {403, 422}),
}


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
    "GET /v1/studies/{study}": (None, ANY),
    "PATCH /v1/studies/{study}": ({"paused": False}, RUN),
    "GET /v1/studies/{study}/progress": (None, ANY),
    "POST /v1/studies/{study}/leases": ({"n": 1}, (401, 404, 201, 201, 422)),
    "POST /v1/leases/{lease}/heartbeat": (None, OWNED),
    "DELETE /v1/leases/{lease}": (None, (401, 404, 404, 204, 204)),
    "GET /v1/leases/{lease}/images/{pane}": (None, (401, 404, 404, 404, 404)),
    "POST /v1/votes": (_cast(), (401, 404, 404, 201, 201)),
    "GET /v1/studies/{study}/votes": (None, ANY),
    "POST /v1/studies/{study}/votes/{vote}/void": ({}, (401, 404, 404, 200, 409)),
    "PUT /v1/studies/{study}/votes/{vote}/note": ({"note": ""}, (401, 404, 404, 204, 204)),
    "GET /v1/studies/{study}/items": (None, RUN),
    "GET /v1/studies/{study}/annotators": (None, RUN),
    "POST /v1/studies/{study}/annotators": ({"judge": "NEW"}, (401, 404, 403, 403, 201)),
    "PATCH /v1/studies/{study}/annotators/{judge}": ({"weight": 1}, RUN),
    "POST /v1/studies/{study}/annotators/{judge}/token": (None, (401, 404, 403, 403, 201)),
    "POST /v1/studies/{study}/invites": ({}, (401, 404, 403, 403, 201)),
    "GET /v1/studies/{study}/judges": (None, RUN),
    "GET /v1/studies/{study}/leaderboard": (None, RUN),
    "GET /v1/studies/{study}/posterior": (None, RUN),
    "GET /v1/studies/{study}/overview": (None, RUN),
    "GET /v1/studies/{study}/agreement": (None, RUN),
    "GET /v1/studies/{study}/routing": (None, RUN),
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
    if "{judge}" in route and route.startswith("PATCH"):
        stage.ask("POST", "/v1/studies/one/annotators", stage.admin, {"judge": "ada"})
    method, path = route.format(**places).split(" ")
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


def test_an_export_runs_no_formula(stage: Stage, tmp_path: Path) -> None:
    (lease,) = stage.server.lease(stage.maya, "one")
    assert stage.server.vote(stage.maya, lease, f"{KEY}f", note=f"=cmd|' /C {NOTE}'!A0").status_code == 201
    table = stage.ask("GET", "/v1/studies/one/exports/votes.csv", stage.admin).text
    assert f"'=cmd|' /C {NOTE}" in table
    assert Study.open(stage.server.folders[0], writable=False).export(tmp_path / "votes.csv") > 0
