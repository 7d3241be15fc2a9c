"""Both ends of the pipe to a real process that hangs: every wait has an end."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from adapters import rpc
from adapters.rpc import Caller

ENGINE = "tests.studies.engine_that_blocks"


@pytest.mark.parametrize("method", ["block", "sleep"])
async def test_an_engine_that_does_not_answer_is_ended(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = await Caller.start(ENGINE, tmp_path)
    assert await caller.call(int, "add", 1, 2) == 3
    monkeypatch.setattr(rpc, "PATIENCE", 0.5)
    with pytest.raises(ConnectionError, match="did not answer for"):
        await caller.call(type(None), method)
    async with asyncio.timeout(60):
        await caller.close()
    assert caller.gone


async def test_whoever_waits_hears_that_the_engine_is_gone(tmp_path: Path) -> None:
    caller = await Caller.start(ENGINE, tmp_path)
    waiting = asyncio.gather(*(caller.call(type(None), "sleep") for _ in range(3)), return_exceptions=True)
    await caller.call(int, "add", 1, 2)
    await caller.close()
    async with asyncio.timeout(60):
        assert {type(error) for error in await waiting} == {ConnectionError}
    with pytest.raises(ConnectionError):
        await caller.call(int, "add", 1, 2)


@pytest.mark.parametrize("method", ["block", "sleep"])
def test_an_engine_ends_when_nobody_is_left_to_ask_it(tmp_path: Path, method: str) -> None:
    command = [sys.executable, "-m", ENGINE, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as engine:  # type: ignore[call-overload]
        engine.stdin.write(json.dumps({"id": 1, "method": method, "arguments": []}).encode() + b"\n")
        engine.stdin.flush()
        engine.stdout.readline()
        _, said = engine.communicate(timeout=120)
    assert engine.returncode == 1
    assert b"engine_that_blocks.py" in said if method == "block" else b"Timeout" in said


def test_an_engine_ends_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    starter = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom adapters.rpc import Caller\n"
        "async def start():\n"
        "    caller = await Caller.start(sys.argv[1], Path(sys.argv[2]))\n"
        "    print(caller._process.pid, flush=True)\n"
        "    await caller.call(type(None), 'block')\n"
        "asyncio.run(start())"
    )
    command = [sys.executable, "-c", starter, ENGINE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        engine = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)
    engine.wait(timeout=120)
