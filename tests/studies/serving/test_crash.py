"""A study server that is killed, loses its engine, its disk or its clock: every vote it acknowledged is there, once."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.access import Access
from studies.bench.serving import under_load
from tests.adapters.attacked import Attacked, attacked, make, sound, until

FAKETIME = Path("/usr/lib") / f"{os.uname().machine}-linux-gnu" / "faketime" / "libfaketimeMT.so.1"
KILLS = 3


async def test_killed_under_load_it_loses_no_acknowledged_vote(tmp_path: Path) -> None:
    folder = make(tmp_path / "one", 60, votes=100_000, serving={"overlap": 2})
    with contextlib.closing(Access(folder)) as access:
        admin = access.admit("boss", "admin").token
    found = await under_load(folder, admin, 6, 90, 0.02, KILLS, 3, lambda _: None)
    assert found["resent"] > 0
    assert found["acknowledged"] >= 90
    assert (found["lost"], found["doubled"]) == (0, 0)
    assert len(_recorded(folder)) == found["in_the_log"]


def _votes(server: Attacked, token: str, times: int, name: str) -> dict[str, int]:
    """Votes by the keys under which they were acknowledged."""
    found = {}
    for n in range(times):
        (lease,) = server.lease(token, "one")
        answer = server.vote(token, lease, f"{name}{n}")
        assert answer.status_code == 201, answer.text
        found[f"{name}{n}"] = answer.json()["vote"]
    return found


def _recorded(folder: Path) -> list[str]:
    keys = [vote.key for vote in sound(folder)]
    assert len(set(keys)) == len(keys)
    return keys


def test_without_its_engine_it_takes_votes_and_starts_another(tmp_path: Path) -> None:
    folder = make(tmp_path / "one", model="default", selector="default")
    with attacked(folder, log=tmp_path / "log") as server:
        token = server.enrol("maya", "one")
        server.ready()
        given = _votes(server, token, 5, "before")
        held = server.lease(token, "one", 3)
        engine = server.engine()
        os.kill(engine, signal.SIGKILL)
        for n, lease in enumerate(held):
            answer = server.vote(token, lease, f"while{n}")
            assert answer.status_code == 201
            given[f"while{n}"] = answer.json()["vote"]
        until(lambda: server.ask("GET", "/readyz").status_code == 503)
        problem = server.ask("GET", "/v1/studies/one/leaderboard", server.admins["one"])
        assert (problem.status_code, int(problem.headers["Retry-After"]) > 0) == (503, True)
        server.ready()
        assert server.engine() not in (0, engine)
        given |= _votes(server, token, 3, "after")

        def learnt() -> bool:
            board = server.ask("GET", "/v1/studies/one/leaderboard", server.admins["one"])
            return bool(board.status_code == 200 and board.json()["model_version"] >= max(given.values()))

        until(learnt)
        server.stop()
        assert _recorded(folder) == list(given)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    with contextlib.suppress(OSError):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            try:
                yield disk
            finally:
                subprocess.run(["umount", str(disk)], check=True)
            return
    pytest.skip("no small disk can be mounted here, which takes root")


def test_a_full_disk_refuses_votes_and_takes_them_again_when_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    folder = make(small_disk / "one", votes=100_000)
    with attacked(folder, log=small_disk / "log") as server:
        token = server.enrol("maya", "one")
        server.ready()
        given = _votes(server, token, 3, "before")
        held = server.lease(token, "one", 20)
        full = small_disk / "full"
        with contextlib.suppress(OSError), full.open("wb") as file:
            while True:
                file.write(b"x" * 4096)
                file.flush()
        for n, lease in enumerate(held):
            refused = server.vote(token, lease, f"filling{n}", note="x" * 9000)
            if refused.status_code != 201:
                break
            given[f"filling{n}"] = refused.json()["vote"]
        assert refused.status_code == 507
        assert refused.headers["content-type"] == "application/problem+json"
        assert "when there is room" in refused.json()["detail"]
        assert str(small_disk) not in refused.text
        again = server.vote(token, lease, f"filling{n}", note="x" * 9000)
        assert again.status_code == 507
        assert (
            server.ask("POST", "/v1/studies/one/annotators", server.admins["one"], {"judge": "noor"}).status_code == 507
        )
        assert server.ask("GET", "/v1/studies/one/votes?limit=1", token).status_code == 200
        assert server.ask("GET", "/healthz").status_code == 200
        full.unlink()
        answer = server.vote(token, lease, f"filling{n}", note="x" * 9000)
        assert answer.status_code == 201, answer.text
        given[f"filling{n}"] = answer.json()["vote"]
        server.enrol("noor", "one")
        server.ready()
        given |= _votes(server, token, 2, "after")
        server.stop()
        assert _recorded(folder) == list(given)


@pytest.mark.skipif(not FAKETIME.exists(), reason="the clock is set by Debian's libfaketime, which is not installed")
def test_a_clock_that_jumps_ends_no_lease_early_and_lets_none_live_for_ever(tmp_path: Path) -> None:
    folder, clock = make(tmp_path / "one", votes=100_000, serving={"lease": 2.0}), tmp_path / "clock"
    clock.write_text("+0")
    faked = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
    }
    with attacked(folder, log=tmp_path / "log", **faked) as server:
        token = server.enrol("maya", "one")
        server.ready()
        given = {}
        for jump in ("+1h", "-1h"):
            kept, voted = server.lease(token, "one", 2)
            began = time.monotonic()
            clock.write_text(jump)
            time.sleep(0.6)
            for lease in (kept, voted):
                beat = server.ask("POST", f"/v1/leases/{lease['lease']}/heartbeat", token)
                assert (beat.status_code, beat.json()["seconds"]) == (200, 2.0)
            answer = server.vote(token, voted, jump)
            assert answer.status_code == 201
            given[jump] = answer.json()["vote"]
            until(lambda: server.lease(token, "one")[0]["lease"] != kept["lease"])  # noqa: B023
            assert time.monotonic() - began > 2.0
        rows = server.ask("GET", "/v1/studies/one/annotators", server.admins["one"])
        assert [row["votes"] for row in rows.json()] == [len(given)]
        server.stop()
    assert _recorded(folder) == list(given)
