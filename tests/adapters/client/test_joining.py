"""Joining by a link: from a terminal, on whatever address the server runs at, and thirty people behind one address."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from adapters.http.authenticator import TRIES
from adapters.server_address import ADDRESS, address_of_server
from tests.adapters.study_server import StudyServer

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudyServer]:
    server = StudyServer(tmp_path_factory.mktemp("joining"), author="Ada")
    yield server
    server.kill()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def elicit(*arguments: str, home: Path = Path(), lines: str = "") -> subprocess.CompletedProcess[str]:
    """A command as a person types it on a machine that keeps things in `home`."""
    env = {**os.environ, "XDG_STATE_HOME": str(home)}
    env.pop("ELICIT_TOKEN", None)
    asked = [sys.executable, "-m", "elicit.cli", *arguments]
    return subprocess.run(
        asked, input=lines, capture_output=True, text=True, cwd=ROOT, env=env, timeout=90, check=False
    )


def votes(server: StudyServer) -> Counter[str]:
    """How many votes each has given."""
    return Counter(vote["judge"] for vote in server.call("GET", "/votes?limit=200")["votes"])


def test_an_invite_lets_a_terminal_in_once_and_then_it_is_known(server: StudyServer, home: Path) -> None:
    made = elicit("invite", str(server.folder))
    link = made.stdout.strip()
    assert link.startswith(server.root + "/#study=answers&invite=")
    first = elicit("vote", link, "--judge", "Zoë O'Hara", "--plain", home=home, lines="left\nq\n")
    assert first.returncode == 0, first.stderr
    assert "by Ada: Which one is better?" in first.stderr
    assert f"You vote as Zoë O'Hara. Come back with: elicit vote {server.url}" in first.stderr
    for again in (link, server.url):  # the invite was for one, and the token is kept
        assert elicit("vote", again, "--plain", home=home, lines="left\nq\n").returncode == 0
    assert votes(server)["Zoë O'Hara"] == 3
    (kept,) = home.rglob("*.token")
    assert kept.stat().st_mode & 0o077 == 0
    other = elicit("vote", link, "--judge", "somebody else", "--plain", home=home / "other")
    assert other.returncode == 2
    assert "this invite is used up or over; ask for another link" in other.stderr
    assert not list((home / "other").rglob("*.token"))


@pytest.mark.parametrize(
    ("link", "judge", "why"),
    [
        ("#study=answers&invite={code}", "", "say yours with --judge NAME"),
        ("#study=answers&invite={code}", "..", "a name needs a letter or a digit"),
        ("#study=answers&invite={code}", "boss", "is taken in this study"),
        ("#study=answers&invite={code}", "Ьоss", "is taken in this study"),
        ("#study=answers&invite=made-up", "new", "ask for another link"),
        ("#invite={code}", "new", "copy the whole of it"),
        ("#study=answers&token=made-up", "", "does not take this token"),
    ],
)
def test_a_link_that_lets_nobody_in_is_one_sentence(
    server: StudyServer, home: Path, link: str, judge: str, why: str
) -> None:
    code = elicit("invite", str(server.folder)).stdout.partition("invite=")[2].strip()
    named = ("--judge", judge) if judge else ()
    done = elicit("vote", f"{server.root}/{link.format(code=code)}", *named, "--plain", home=home)
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    assert code not in done.stdout + done.stderr


def test_a_link_with_a_token_votes_under_its_name(server: StudyServer, home: Path) -> None:
    link = f"{server.root}/#study=answers&token={server.enrol('given a link')}"
    assert elicit("vote", link, "--plain", home=home, lines="left\nq\n").returncode == 0
    assert votes(server)["given a link"] == 1


def join(server: StudyServer, code: str, name: str, behind: str = "") -> int:
    headers = {"X-Forwarded-For": behind} if behind else {}
    return httpx.post(f"{server.root}/v1/invites/{code}/accept", json={"judge": name}, headers=headers).status_code


def test_a_class_behind_one_address_joins_whoever_guesses_there(tmp_path: Path) -> None:
    server = StudyServer(tmp_path, serving={"proxies": ["127.0.0.2"]})
    try:
        _join_beside_guesses(server)
    finally:
        server.kill()


def _join_beside_guesses(server: StudyServer) -> None:
    code = server.call("POST", "/invites", {"uses": 60})["code"]
    # That these come from elsewhere is said by nobody who is believed: all count as one.
    told = [join(server, f"guess-{n}", f"guess {n}", f"10.0.0.{n}") for n in range(TRIES + 5)]
    assert told == [410] * TRIES + [429] * 5
    wrong = [
        httpx.get(f"{server.root}/v1/studies", headers={"Authorization": f"Bearer {n}"}).status_code
        for n in range(TRIES + 5)
    ]
    assert wrong == [401] * TRIES + [429] * 5
    assert [join(server, code, f"pupil {n}") for n in range(45)] == [201] * 45


def test_a_configured_proxy_is_believed(tmp_path: Path) -> None:
    server = StudyServer(tmp_path, serving={"proxies": ["127.0.0.0/8"]})
    try:
        assert {join(server, f"guess-{n}", "x", f"10.0.{n // 200}.{n % 200}") for n in range(TRIES + 20)} == {410}
        # An address of IPv6 is one of a machine's many: those of a network count as one.
        told = [join(server, f"guess-{n}", "x", f"2001:db8::{n:x}") for n in range(TRIES + 3)]
        assert told == [410] * TRIES + [429] * 3
    finally:
        server.kill()


def test_no_proxy_of_that_name(tmp_path: Path) -> None:
    done = elicit("init", str(tmp_path / "s"), "--items", str(_items(tmp_path)), "--embedder", "none")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "s" / "study.toml").open("a") as toml:
        toml.write('\n[serving]\nproxies = ["my-proxy"]\n')
    done = elicit("serve", str(tmp_path / "s"), "--port", "0")
    assert done.returncode == 2
    assert "serving.proxies: 'my-proxy' does not appear to be" in done.stderr
    assert "like 127.0.0.1 or 10.0.0.0/8" in done.stderr


def _items(folder: Path) -> Path:
    file = folder / "items.jsonl"
    file.write_text('{"text": "one"}\n{"text": "two"}\n{"text": "three"}\n')
    return file


def test_links_lead_to_where_the_server_runs_and_to_nowhere_it_ran(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    elicit("init", str(folder), "--items", str(_items(tmp_path)), "--embedder", "none")
    for end in (signal.SIGTERM, signal.SIGKILL):
        asked = [sys.executable, "-m", "elicit.cli", "serve", str(folder), "--host", "0.0.0.0", "--port", "0"]
        with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert process.stderr
            said = process.stdout.readline()
            found = re.search(r"http://(\S+):(\d+)$", said.strip())
            assert found, said
            assert found[1] not in ("0.0.0.0", "::")
            assert found[2] != "0"
            assert "put a TLS proxy before it" in process.stderr.readline()
            try:
                assert httpx.get(f"{found[0]}/healthz", timeout=30).status_code == 200
                for command, path in (("invite", "/#study=s&invite="), ("admin", "/admin#token=")):
                    made = elicit(command, str(folder))
                    assert made.stdout.startswith(found[0] + path)
                    assert not made.stderr
                given = elicit("invite", str(folder), "--url", "https://vote.example.org/")
                assert given.stdout.startswith("https://vote.example.org/#study=s&invite=")
            finally:
                process.send_signal(end)
                process.communicate(timeout=30)
        assert (folder / ADDRESS).exists() == (end == signal.SIGKILL)
        assert address_of_server(folder) is None
        made = elicit("invite", str(folder))
        assert made.stdout.startswith("http://127.0.0.1:8321/#study=s&invite=")
        assert "Nobody serves" in made.stderr
        assert found[2] not in made.stdout
