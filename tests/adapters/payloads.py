"""What a hostile annotator sends."""

import gzip
from typing import Any

NOTE, KEY = "PRIVATE-NOTE", "PRIVATE-KEY"
LARGE = b'{"note": "' + b"x" * 1_000_000 + b'"}'


def cast(**more: Any) -> dict[str, Any]:
    """A vote; capitals stand for what `test_hostile` puts in their place."""
    return {"lease": "LEASE", "token": "TOKEN", "choice": "left"} | more


OK, BAD = {200, 201, 204}, {400, 422}
VOTES, NOTES = "POST /v1/votes", "PUT /v1/studies/one/votes/VOTE/note"
LEASES, PAGE = "POST /v1/studies/one/leases", "GET /v1/studies/one/votes"
ACCEPT = "POST /v1/invites/CODE/accept"
# What is sent (a value is sent as JSON, bytes as they are), under which headers, and what may be answered.
ATTACKS: dict[str, tuple[str, Any, dict[str, str], set[int]]] = {
    "note of html": (VOTES, cast(note=f"{NOTE}<script>alert(1)</script><img src=x onerror=alert(1)>"), {}, OK),
    "note of escapes": (VOTES, cast(note=f"{NOTE}\x1b[2J\x1b]0;owned\x07\x9b31m"), {}, OK),
    "note with NUL": (VOTES, cast(note=f"{NOTE}\0after"), {}, OK),
    "note from right to left": (VOTES, cast(note=f"{NOTE}\u202egnp.exe\u2066"), {}, OK),
    "note of a formula": (VOTES, cast(note=f'=HYPERLINK("http://x";"{NOTE}")'), {}, OK),
    "note of 10,000 characters": (VOTES, cast(note=NOTE + "ä" * (10_000 - len(NOTE))), {}, OK),
    "note of 10,001 characters": (VOTES, cast(note="x" * 10_001), {}, BAD),
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
    "vote on another's lease": (VOTES, cast(lease="THEIRS", token="THEIR_TOKEN"), {}, {404}),
    "vote with another's token": (VOTES, cast(token="THEIR_TOKEN"), {}, {404}),
    "vote with a token that is no ASCII": (VOTES, cast(token="tökén"), {}, {404}),
    "vote again on a lease": (VOTES, cast(lease="GONE", token="PAST"), {}, {409}),
    "vote before a lease": (VOTES, cast(lease="0" * 24), {}, {404}),
    "vote without a key": (VOTES, cast(), {"Idempotency-Key": ""}, BAD),
    "key with blanks": (VOTES, cast(), {"Idempotency-Key": "a b"}, BAD),
    "key of 10 kB": (VOTES, cast(), {"Idempotency-Key": "k" * 10_000}, BAD),
    "key that is no ASCII": (VOTES, cast(), {"Idempotency-Key": "schlüssel".encode("latin-1").decode("latin-1")}, BAD),
    "choice of all": (VOTES, cast(choice="both"), {}, BAD),
    "strength of a tie": (VOTES, cast(choice="tie", strength=3), {}, BAD),
    "strength of 4": (VOTES, cast(strength=4), {}, BAD),
    "seconds below none": (VOTES, cast(seconds=-1), {}, BAD),
    "seconds without end": (VOTES, b'{"lease":"LEASE","token":"TOKEN","choice":"left","seconds":Infinity}', {}, BAD),
    "seconds that are no number": (VOTES, b'{"lease":"LEASE","token":"TOKEN","choice":"left","seconds":NaN}', {}, BAD),
    "seconds of 1e400": (VOTES, b'{"lease":"LEASE","token":"TOKEN","choice":"left","seconds":1e400}', {}, BAD),
    "21 reasons": (VOTES, cast(reasons=["why"] * 21), {}, BAD),
    "field that is not there": (VOTES, cast(judge="noor"), {}, BAD),
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
