"""`elicit serve` in a process of its own, to be attacked: what it says and logs, and what is left of its studies."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from msgspec.json import decode

from adapters.access import Access
from elicit.log.events import Voted
from elicit.types import Item
from studies.replay.verify import verify
from studies.study import Study

ROUNDS = 600
"""Looks at what is waited for, a tenth of a second apart."""


class Attacked:
    """A server of one study or several. `log` is its stderr; `admins` maps a study's id to a token that runs it."""

    def __init__(self, *folders: Path, log: Path, rate: int = 1_000_000, **environment: str) -> None:
        self.folders, self.log, self._environment, self._rate = folders, log, environment, rate
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.admins = {}
        for folder in folders:
            with contextlib.closing(Access(folder)) as access:
                self.admins[folder.name] = access.admit("boss", "admin").token
        self._client = httpx.Client(base_url=self.url, timeout=30, verify=False, trust_env=False)  # what slows it down
        self.start()

    def start(self) -> None:
        """Serve, and come back when it answers."""
        command = [sys.executable, "-m", "elicit.cli", "serve", *map(str, self.folders)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), "--rate", str(self._rate)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=os.environ | self._environment,
            )
        until(lambda: self._answers("/healthz"))

    def ready(self) -> None:
        """Wait until its engines are there."""
        until(lambda: self._answers("/readyz"))

    def _answers(self, path: str) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(httpx.TransportError):
            return self._client.get(path).status_code == 200
        return False

    def engine(self) -> int:
        """The process id of its (first) engine; 0 while there is none."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for child in children:
            with contextlib.suppress(OSError):
                if b"studies.serving.engine_process" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
        return 0

    def kill(self) -> None:
        """As a power cut would end it; its engine ends by itself."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """As Ctrl-C would end it."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)

    def close(self) -> None:
        """Stop it where it still runs."""
        self._client.close()
        if self.process.poll() is None:
            self.stop()

    def ask(self, method: str, path: str, token: str = "", body: Any = None, **more: Any) -> httpx.Response:
        """Its answer to one request."""
        headers = more.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        if body is not None:
            more["json"] = body
        return self._client.request(method, path, headers=headers, **more)

    def enrol(self, judge: str, study: str) -> str:
        """A token for somebody new."""
        answer = self.ask("POST", f"/v1/studies/{study}/annotators", self.admins[study], {"judge": judge})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    def lease(self, token: str, study: str, n: int = 1) -> list[dict[str, Any]]:
        """Leases, waited for."""
        found: list[dict[str, Any]] = []

        def lent() -> bool:
            answer = self.ask("POST", f"/v1/studies/{study}/leases", token, {"n": n})
            if answer.status_code == 201:
                found[:] = answer.json()["leases"]
            return len(found) == n

        until(lent)
        return found

    def vote(self, token: str, lease: dict[str, Any], key: str, **more: Any) -> httpx.Response:
        """A vote on a lease."""
        body = {"lease": lease["lease"], "token": lease["token"], "choice": "left", "seconds": 1.0} | more
        return self.ask("POST", "/v1/votes", token, body, headers={"Idempotency-Key": key})


@contextlib.contextmanager
def attacked(*folders: Path, log: Path, **more: Any) -> Iterator[Attacked]:
    """A server that is stopped in the end."""
    server = Attacked(*folders, log=log, **more)
    try:
        yield server
    finally:
        server.close()


def until(there: Callable[[], bool]) -> None:
    """Wait until something is so."""
    for _ in range(ROUNDS):
        if there():
            return
        time.sleep(0.1)
    raise AssertionError("it never came")


def make(folder: Path, n: int = 24, **spec: Any) -> Path:
    """A study whose items' ids and models' names are secret."""
    words = ("river", "stone", "quiet", "bright", "copper", "garden")
    rows = [
        Item(f"SECRET-ITEM-{i}", f"{words[i % 6]} text number {i}", meta={"model": "SECRET-MODEL"}) for i in range(n)
    ]
    Study.create(
        folder, items=rows, **{"embedder": "none", "model": "bradley_terry", "selector": "random", **spec}
    ).close()
    return folder


def sound(folder: Path) -> list[Voted]:
    """The votes in the log of a study that nobody serves, after every decision in it was computed again."""
    with Study.open(folder) as study:
        found = verify(study)
        assert found.status == "same", found
        events = list(study.events())
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return [event.body for event in events if isinstance(event.body, Voted)]


def lines(log: Path) -> list[dict[str, Any]]:
    """What the server told of its requests."""
    return [decode(line) for line in log.read_bytes().splitlines() if line.startswith(b"{")]
