"""A study server in a process of its own, on a port of this machine: to be killed, stopped and started again.

`python -m tests.adapters.study_server STUDY PORT` serves the study until it is told to end.
"""

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

from adapters.http.access import Access
from elicit.serving import Admission
from studies.study import Study

TEXTS = [f"Answer {n}: {word}, **then** the rest." for n, word in enumerate(("read", "write", "test", "plan", "ask"))]


class StudyServer:
    """`url` is the study's address, `token` maya's. items: as `Study.create` takes them; spec: the study's."""

    def __init__(self, folder: Path, items: list[Any] | None = None, **spec: Any) -> None:
        self.folder = folder / "answers"
        Study.create(self.folder, items=items or TEXTS, **spec).close()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.root = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.root}/answers"
        self.admin = Access(self.folder).admit("boss", "admin").token
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        self.token = self.enrol("maya")

    def start(self) -> None:
        """Serve, and come back when it answers."""
        command = [sys.executable, "-m", "tests.adapters.study_server", str(self.folder), str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.root}/healthz").status_code == 200:
                    return
            assert self._process.poll() is None, "the server did not start"
            time.sleep(0.05)
        raise AssertionError("the server does not answer")

    def kill(self) -> None:
        """End it at once, as a loss of power does."""
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
        """What it answers to an admin, or to whoever has the token."""
        headers = {"Authorization": f"Bearer {token or self.admin}"}
        answer = httpx.request(method, f"{self.root}/v1/studies/answers{path}", json=body, headers=headers, timeout=30)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def enrol(self, judge: str) -> str:
        """A token for somebody new."""
        return str(self.call("POST", "/annotators", {"judge": judge})["token"])

    def renew(self, judge: str) -> Admission:
        """Another token, which ends the one before."""
        return Access(self.folder).admit(judge, "annotator")

    def votes(self, judge: str = "maya") -> list[dict[str, Any]]:
        """The live votes of a judge as an admin sees them, oldest first."""
        found = self.call("GET", "/votes?limit=200")["votes"]
        return [vote for vote in reversed(found) if vote["judge"] == judge and not vote.get("voided")]


def main() -> None:
    """Serve the study named on the command line."""
    from collections.abc import AsyncIterator

    import uvicorn
    from fastapi import FastAPI

    from adapters.http.app import app_for
    from studies.served import Served

    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    access = Access(folder)
    study = Served(folder, access.secret)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        study.begin()
        yield
        await study.close()

    uvicorn.run(app_for([(study, access)], lifespan=lifespan), host="127.0.0.1", port=port, log_level="error")


if __name__ == "__main__":
    main()
