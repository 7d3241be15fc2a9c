"""What strangers who hold connections do to a study server.

`python -m tests.adapters.hold --connections 250 --files 256`

Each connection asks for something that needs no token, reads the answer, sends one byte, and says nothing more; where
it is closed, another takes its place. Told: how long an admin waits meanwhile, how many are held, and the memory.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from adapters.access import Access
from studies.study import Study
from tests.adapters.study_server import TEXTS

ASK = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


async def hold(port: int, opened: set[asyncio.StreamWriter]) -> None:
    """Hold a connection, and another one when it is closed."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            opened.add(writer)
            try:
                writer.write(ASK)
                await reader.readuntil(b"}")
                writer.write(b"\n")
                await reader.read()
            except asyncio.IncompleteReadError:
                pass
            finally:
                opened.discard(writer)
                writer.close()
        await asyncio.sleep(0.2)


def resident(process: int) -> float:
    """Megabytes of memory that a process has."""
    line = next(line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


async def measure(connections: int, seconds: float, files: int) -> dict[str, float | int | None]:
    """The figures of one server under so many connections, of which it may have `files` open."""
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "answers"
        Study.create(study, items=TEXTS, embedder="none").close()
        with contextlib.closing(Access(study)) as access:
            token = access.admit("boss", "admin").token
        command = [sys.executable, "-m", "elicit.cli", "serve", str(study), "--port", "0"]
        limited = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *command] if files else command
        with subprocess.Popen(limited, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout
            port = int(process.stdout.readline().rpartition(":")[2])
            try:
                return await _measure(process.pid, port, token, connections, seconds)
            finally:
                process.kill()


async def _measure(
    process: int, port: int, token: str, connections: int, seconds: float
) -> dict[str, float | int | None]:
    url, headers = f"http://127.0.0.1:{port}/v1/studies/answers", {"Authorization": f"Bearer {token}"}
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                break
        await asyncio.sleep(0.2)
    before, opened = resident(process), set[asyncio.StreamWriter]()
    tasks = [asyncio.create_task(hold(port, opened)) for _ in range(connections)]
    await asyncio.sleep(3)
    waits, shut_out, most = [], 0, 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            async with httpx.AsyncClient(headers=headers, timeout=5) as admin:
                (await admin.get(url)).raise_for_status()
            waits.append(time.monotonic() - began)
        except httpx.HTTPError:
            shut_out += 1
        most = max(most, len(opened))
        await asyncio.sleep(0.5)
    after = resident(process)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "connections": connections,
        "held_at_most": most,
        "admin_tries": len(waits) + shut_out,
        "admin_shut_out": shut_out,
        "admin_ms_worst": round(1000 * max(waits)) if waits else None,
        "megabytes_more": round(after - before, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.adapters.hold", description=__doc__)
    parser.add_argument("--connections", type=int, default=250)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument(
        "--files", type=int, default=0, help="Files that the server may have open; 0: as they are here."
    )
    options = parser.parse_args()
    print(json.dumps(asyncio.run(measure(options.connections, options.seconds, options.files))))


if __name__ == "__main__":
    main()
