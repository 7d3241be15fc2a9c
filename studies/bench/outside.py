"""Outside peers: packages that clash with ours, each in an environment and a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from elicit.types import BadInputError
from studies.bench.environments import environment
from studies.bench.peers import PeerPair, unit_box
from studies.simulation.jobs import THREADS

DRIVERS = Path(__file__).parent / "drivers"
REQUIREMENTS = {
    "aepsych": (
        "aepsych==0.8.0",
        "botorch==0.12.0",
        "gpytorch==1.13",
        "numpy==1.26.4",
        "scipy==1.14.1",
        "torch==2.13.0",
    ),
    "choix": ("choix==0.4.1", "numpy==2.3.5", "scipy==1.16.3"),
    "duelpy": ("duelpy==1.0.0", "numpy==1.26.4", "scipy==1.14.1"),
}


def python_of(method: str) -> Path:
    """The Python of the environment that a method's package lives in, installed first where it is not.

    A method is named by its package, or by PACKAGE_ALGORITHM.
    Raises BadInputError where it cannot be installed.
    """
    package = method.partition("_")[0]
    return environment(package, REQUIREMENTS[package])


def make(method: str, features: NDArray[np.float64] | None, n_items: int, seed: int) -> Outside:
    """A fresh method over `n_items` ids, or over the principal components of features (N, d) in the unit box."""
    package, _, algorithm = method.partition("_")
    points = None if features is None else unit_box(features).tolist()
    setup = {"algorithm": algorithm, "n_items": n_items, "features": points, "seed": seed}
    return Outside(method, python_of(method), DRIVERS / f"{package}.py", setup)


class Outside:
    """A method played by a driver (see `drivers/exchange.py`) under another Python; it is told of the pair it asked.

    The process has one thread for its arithmetic and ends with this object, at the latest with this process.
    Raises BadInputError, with the last line the driver said, where the driver ends before its time.
    """

    def __init__(self, name: str, python: Path, driver: Path, setup: dict[str, Any]) -> None:
        self._name = name
        self._cpu = 0.0
        self._errors: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [str(python), "-I", str(DRIVERS / "exchange.py"), str(driver)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            cwd=python.parent.parent,  # where a package may leave its logs
            env=os.environ | dict.fromkeys(THREADS, "1"),
        )
        weakref.finalize(self, _end, self._process, self._errors)
        self._send(setup)
        self._pair = self._next_pair()

    @property
    def pid(self) -> int:
        """The process that computes."""
        return self._process.pid

    def process_time(self) -> float:
        """Seconds of CPU the driver has taken to learn votes and choose pairs."""
        return self._cpu

    def ask(self) -> PeerPair:
        """The pair the driver wants compared."""
        return self._pair

    def tell(self, a: int, b: int, outcome: str) -> None:
        """Pass one vote on the asked pair on."""
        assert (a, b) == self._pair
        self._send({"won": outcome == "a"})
        self._pair = self._next_pair()

    def best(self) -> int:
        """The row the driver recommends."""
        self._send("best")
        return int(self._receive())

    def _next_pair(self) -> PeerPair:
        reply = self._receive()
        self._cpu += reply["cpu"]
        return PeerPair(reply["a"], reply["b"])

    def _send(self, value: Any) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # said by `_receive`, which finds out why
            self._process.stdin.write(json.dumps(value) + "\n")
            self._process.stdin.flush()

    def _receive(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line.endswith("\n"):
            return json.loads(line)
        code = self._process.wait()
        self._errors.seek(0)
        last_line = self._errors.read().strip().rpartition("\n")[2] or f"exit code {code}"
        raise BadInputError(
            f"the process of method {self._name!r} ended in the middle of a run ({last_line}); leave it out"
        )


def _end(process: subprocess.Popen[str], errors: IO[str]) -> None:
    process.kill()
    with suppress(BrokenPipeError):  # a vote that the process did not live to hear
        process.__exit__(None, None, None)
    errors.close()
