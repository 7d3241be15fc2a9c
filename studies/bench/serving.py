"""`elicit bench serving`: many annotators at one server on this machine, which may be killed under them.

Server, engine and annotators share the machine. At the end every vote that was acknowledged must be in the log, once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from adapters.access import Access
from elicit.log.events import Voted
from elicit.types import BadInputError
from studies.spec import ServingSpec
from studies.study import Study

AGAIN = (429, 500, 502, 503, 507)
WAIT = 0.2
"""Seconds before a request is sent again."""
WORDS = (
    "river",
    "stone",
    "quiet",
    "bright",
    "copper",
    "garden",
    "window",
    "letter",
    "harbour",
    "winter",
    "signal",
    "paper",
)


@dataclass
class Load:
    """What the annotators saw. seconds: of requests that were answered, by kind."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {"vote": [], "lease": []})
    receipts: dict[str, int] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    resent: int = 0
    empty: int = 0


def serving(
    items: int,
    annotators: int,
    votes: int,
    think: float,
    overlap: int,
    kills: int,
    seed: int,
    report: Callable[[int], None],
) -> dict[str, Any]:
    """Let `annotators` cast `votes` votes on a study of so many items, each thinking for about `think` seconds (0: not
    at all), while the server is killed so many times; report: called with the votes acknowledged.

    Raises BadInputError where the server does not start.
    """
    with tempfile.TemporaryDirectory(prefix="elicit-serving-") as folder:
        study = Path(folder) / "load"
        rng = np.random.default_rng(seed)
        texts = [f"{i} " + " ".join(rng.choice(WORDS, 12)) for i in range(items)]
        Study.create(study, items=texts, votes=10**9, serving=ServingSpec(overlap=overlap, lease=120.0)).close()
        with closing(Access(study)) as access:
            admin = access.admit("admin", "admin").token
        return asyncio.run(under_load(study, admin, annotators, votes, think, kills, seed, report))


async def under_load(
    study: Path,
    admin: str,
    annotators: int,
    votes: int,
    think: float,
    kills: int,
    seed: int,
    report: Callable[[int], None],
) -> dict[str, Any]:
    """The same with a study that is there; admin: a token that runs it."""
    server = BenchServer(study)
    await server.start()
    load, began, cpu = Load(), time.monotonic(), time.process_time()
    try:
        async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {admin}"}) as client:
            names = [f"annotator-{i}" for i in range(annotators)]
            tokens = [
                (await client.post(f"/v1/studies/{study.name}/annotators", json={"judge": name})).json()["token"]
                for name in names
            ]
            tasks = [
                asyncio.create_task(
                    _annotate(server, study.name, token, votes, think, np.random.default_rng([seed, i]), load)
                )
                for i, token in enumerate(tokens)
            ]
            killing = asyncio.create_task(_kill(server, kills, votes, load))
            while not all(task.done() for task in tasks):
                await asyncio.sleep(0.5)
                report(min(len(load.receipts), votes))
            for task in tasks:
                task.result()
            await killing
            wall = time.monotonic() - began
            behind = await _votes_behind(client)
    finally:
        await server.stop()
    return {
        "bench": "serving",
        "setting": {"annotators": annotators, "votes": votes, "think": think, "kills": kills, "seed": seed},
        "wall_s": wall,
        "votes_per_s": len(load.receipts) / wall,
        "load_cpu_s": time.process_time() - cpu,
        **{
            f"{kind}_ms_{name}": 1000 * _quantile(seconds, q)
            for kind, seconds in load.seconds.items()
            for name, q in QUANTILES
        },
        "requests": dict(load.statuses),
        "resent": load.resent,
        "asked_in_vain": load.empty,
        "votes_behind_at_the_end": behind,
        **_check_log(study, load),
    }


QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


def _quantile(seconds: list[float], q: float) -> float:
    return float(np.quantile(seconds, q)) if seconds else float("nan")


def _check_log(study: Path, load: Load) -> dict[str, Any]:
    """Which acknowledged votes the log has not, or more than once; and those it has that nobody was told of."""
    with Study.open(study, writable=False) as opened:
        cast = Counter(event.body.key for event in opened.events() if isinstance(event.body, Voted))
        places = {event.body.key: event.seq for event in opened.events() if isinstance(event.body, Voted)}
        learnt = len(opened.state.votes)
    return {
        "acknowledged": len(load.receipts),
        "in_the_log": sum(cast.values()),
        "lost": sum(places.get(key) != vote for key, vote in load.receipts.items()),
        "doubled": sum(n > 1 for n in cast.values()),
        "never_acknowledged": len(cast.keys() - load.receipts.keys()),
        "live": learnt,
    }


async def _votes_behind(client: httpx.AsyncClient) -> int:
    text = (await client.get("/metrics")).text
    line = next((line for line in text.splitlines() if line.startswith("elicit_model_votes_behind{")), "x 0")
    return int(float(line.split()[-1]))


async def _kill(server: BenchServer, kills: int, votes: int, load: Load) -> None:
    for n in range(1, kills + 1):
        while len(load.receipts) < votes * n / (kills + 1):
            await asyncio.sleep(0.01)
        await server.kill()
        await server.start()


async def _annotate(
    server: BenchServer, study: str, token: str, votes: int, think: float, rng: np.random.Generator, load: Load
) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60.0) as client:
        await asyncio.sleep(rng.random() * think)
        while len(load.receipts) < votes:
            reply = await _send(client, load, "lease", f"/v1/studies/{study}/leases", {"n": 2}, {})
            leases = reply["leases"] if reply else []
            if not leases:
                load.empty += 1
                await asyncio.sleep(WAIT)
                continue
            lease = leases[0]
            await asyncio.sleep(float(rng.exponential(think)) if think else 0)
            choice = str(rng.choice(["left", "right", "tie"], p=[0.45, 0.45, 0.1]))
            body = {"lease": lease["lease"], "token": lease["token"], "choice": choice, "seconds": think}
            key = uuid.UUID(bytes=rng.bytes(16)).hex
            receipt = await _send(client, load, "vote", "/v1/votes", body, {"Idempotency-Key": key})
            if receipt:
                load.receipts[key] = receipt["vote"]


async def _send(
    client: httpx.AsyncClient, load: Load, kind: str, path: str, body: dict[str, Any], headers: dict[str, str]
) -> dict[str, Any] | None:
    """The answer, sent again under the same key until there is one; None for a final refusal."""
    while True:
        began = time.perf_counter()
        try:
            answer = await client.post(path, json=body, headers=headers)
        except httpx.TransportError:
            load.resent += 1
            await asyncio.sleep(WAIT)
            continue
        load.statuses[f"{kind} {answer.status_code}"] += 1
        if answer.status_code == 201:
            load.seconds[kind].append(time.perf_counter() - began)
            return answer.json()  # type: ignore[no-any-return]
        if answer.status_code not in AGAIN:
            return None
        load.resent += 1
        await asyncio.sleep(WAIT)


class BenchServer:
    """`elicit serve` in a process group of its own, on a port that stays the same."""

    def __init__(self, study: Path) -> None:
        self._study = study
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start it and wait until it answers. Raises BadInputError where it does not within a minute."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "elicit.cli", "serve", str(self._study), "--port", str(self._port), "--rate", "1000000"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        async with httpx.AsyncClient(base_url=self.url) as client:
            for _ in range(600):
                try:
                    if (await client.get("/healthz")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                if self._process.returncode is not None:
                    break
                await asyncio.sleep(0.1)
        raise BadInputError(f"the server for {self._study} does not start; try 'elicit serve' to see why")

    async def kill(self) -> None:
        """As a power cut would end it. The engine process loses its pipe and ends by itself."""
        os.kill(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def stop(self) -> None:
        """As Ctrl-C would end it."""
        if self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
