"""`elicit serve` in a process of its own, on a port of this machine: to be killed, stopped and started again."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from adapters.access import Access
from studies.study import Study

TEXTS = [f"Answer {n}: {word}, **then** the rest." for n in range(3) for word in ("read", "write", "test", "plan")]


class StudyServer:
    """`url` is the study's address; `token` and `judge` are those of who sat down last, with `state` for what a client
    keeps. items: as `Study.create` takes them; spec: the study's."""

    def __init__(self, folder: Path, items: list[Any] | None = None, **spec: Any) -> None:
        self.folder = folder / "answers"
        Study.create(self.folder, items=items or TEXTS, **spec).close()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.root = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.root}/answers"
        with contextlib.closing(Access(self.folder)) as access:
            self.admin = access.admit("boss", "admin").token
        self._process: subprocess.Popen[bytes] | None = None
        self.judge = self.token = ""
        self.state = folder
        self.start()

    def sit(self, folder: Path) -> None:
        """Somebody new sits down, with a machine whose disk is `folder`."""
        self.judge, self.state = f"voter-{len(self.call('GET', '/annotators'))}", folder / "state"
        self.token = self.enrol(self.judge)

    def start(self) -> None:
        """Serve, unless it does already, and come back when it answers."""
        if self._process is not None and self._process.poll() is None:
            return
        command = [sys.executable, "-m", "elicit.cli", "serve", str(self.folder), "--port", str(self.port)]
        none = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdin=none, stdout=none, stderr=none)
        for _ in range(600):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.root}/healthz").status_code == 200:
                    return
            assert self._process.poll() is None, "the server did not start"
            time.sleep(0.05)
        raise AssertionError("the server does not answer")

    def kill(self) -> None:
        """End it at once, as the loss of its power does."""
        assert self._process
        self._process.kill()
        self._process.wait()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and answers nothing."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """What it answers under the study's path, to an admin or to whoever has the token; once its engine is there."""
        headers = {"Authorization": f"Bearer {token or self.admin}"}
        url = f"{self.root}/v1/studies/answers{path}"
        for _ in range(300):
            answer = httpx.request(method, url, json=body, headers=headers, timeout=30)
            if answer.status_code != 503:
                break
            time.sleep(0.1)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def enrol(self, judge: str) -> str:
        """A token for somebody new."""
        return str(self.call("POST", "/annotators", {"judge": judge})["token"])

    def votes(self) -> list[dict[str, Any]]:
        """The live votes of who sat down last, oldest first, as an admin sees them."""
        found = self.call("GET", "/votes?limit=200")["votes"]
        return [vote for vote in reversed(found) if vote["judge"] == self.judge and not vote.get("voided")]
