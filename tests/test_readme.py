"""The README is true: its Python runs, its commands run as printed, its configuration is taken, its files are there."""

import builtins
import contextlib
import fcntl
import os
import pty
import re
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from elicit import cli
from elicit.cli import COMMANDS
from studies import spec
from studies.tuning.setup import setup_of

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
NOT_HERE = ("make ", "python -m venv", "pip install", "elicit doctor")
"""What installs the product, which whoever runs this test has done."""
SCREENS = ("vote", "tune")
SECONDS = 120
"""For a screen or a server to do what it is told; much more than it takes on a busy machine."""


def test_the_eight_lines_of_python_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.setattr(builtins, "input", lambda prompt: prompt.split()[0])
    exec(compile(code, "README.md", "exec"), {})
    assert "the recommended item is within 5 % of the best" in capsys.readouterr().out


def test_every_command_it_shows_exists() -> None:
    shown = set(re.findall(r"^elicit (\w+)", README, re.MULTILINE)) | set(re.findall(r"`elicit (\w+)", README))
    assert shown <= COMMANDS.keys()
    assert {"init", "vote", "status", "report", "export", "replay"} <= shown


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "examples/README.md"])
def test_every_file_it_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    links = set(re.findall(r"\]\((?!http)([^)#]+)\)", text))
    named = set(re.findall(r"`((?:elicit|bandits|adapters|studies|tui|tests|docs|examples)/[\w/.]*[\w/])`", text))
    named |= {f"examples/{name}" for name in re.findall(r"`(\w+\.\w+)`", text)} if "examples" in page else set()
    missing = [name for name in links | named if "NAME" not in name and not (ROOT / name).exists()]
    assert not missing


@pytest.mark.parametrize("table", re.findall(r"```toml\n(.*?)```", README, re.DOTALL), ids=lambda text: text[:12])
def test_the_configuration_it_shows_is_taken(table: str) -> None:
    values = tomllib.loads(table)
    if "task" in values:
        assert setup_of(values, ROOT / "examples", "README.md").inputs
    else:
        assert spec.convert({"title": "x", **values}).title == "x"


def commands() -> list[list[str]]:
    """The commands of the README, in order, one list a block."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [
        [line for line in block.splitlines() if line.strip() and not line.startswith(NOT_HERE)] for block in blocks
    ]
    return [block for block in lines if block]


def test_no_two_commands_make_the_same_study() -> None:
    """Also those in the text: whoever types them all is never told that a study is there already."""
    made = re.findall(r"^elicit init (\w+)|`elicit init (\w+)", README, re.MULTILINE)
    names = [block or line for block, line in made]
    assert len(names) >= 5
    assert len(set(names)) == len(names)


@pytest.mark.timeout(900)
def test_every_command_runs_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    ran: list[str] = []
    for block in commands():
        if any("serve" in line for line in block):
            with serving(block) as block_without_server:
                for line in block_without_server:
                    run(line)
                    ran.append(line)
            continue
        for line in block:
            run(line)
            ran.append(line)
    capfd.readouterr()
    assert len(ran) >= 20
    assert {"jokes.html", "votes.csv", "learnt.parquet", "labels.jsonl", "best.txt"} <= {
        path.name for path in tmp_path.iterdir()
    }


def run(line: str) -> None:
    """Run a command; those that open a screen are left with q."""
    program, name, *arguments = shlex.split(line, comments=True)
    assert program == "elicit"
    if name in SCREENS and not {"--auto", "--result", "--plain"} & set(arguments):
        on_screen([name, *arguments])
        return
    with pytest.raises(SystemExit) as end:
        cli.main([name, *arguments])
    # 3: stopped before the end, as a run is that nobody finishes.
    assert end.value.code in (0, 3), line


def on_screen(arguments: list[str]) -> None:
    """Run a command in a terminal, vote once, and leave."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", PYTHONPATH=str(ROOT), ELICIT_TOKEN="none")
        os.execv(sys.executable, [sys.executable, "-m", "elicit", *arguments])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 480, 640))
    seen, until, typed = b"", time.monotonic() + SECONDS, 0.0
    keys = [b"", b"l", b"l", b"l"]  # a vote must not come sooner than a pair can be read
    with contextlib.suppress(OSError):  # the other end is closed
        while time.monotonic() < until:
            if select.select([terminal], [], [], 0.2)[0]:
                data = os.read(terminal, 65536)
                if not data:
                    break
                seen += data
            if b"quit" in seen and time.monotonic() > typed + 1.5:
                # Whoever leaves tuning is asked whether to measure.
                os.write(terminal, keys.pop(0) if keys else b"n\r" if b"[Y/n]" in seen else b"q")
                typed = time.monotonic()
    os.close(terminal)
    pid, status = os.waitpid(child, os.WNOHANG)
    if not pid:
        time.sleep(2)
        pid, status = os.waitpid(child, os.WNOHANG)
    if not pid:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise AssertionError(f"{arguments} did not end; its screen: {seen[-2000:]!r}")
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 3), (arguments, seen[-2000:])


@contextlib.contextmanager
def serving(block: list[str]) -> Iterator[list[str]]:
    """The commands beside the server that the first one starts, where its port is free."""
    first, *others = block
    arguments = shlex.split(first, comments=True)[1:]
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 8321))
        except OSError:  # somebody serves there, whom this test must not disturb
            yield []
            return
    command, environment = [sys.executable, "-m", "elicit", *arguments], {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as server:
        try:
            assert server.stdout is not None
            assert b"Serving" in server.stdout.readline()
            yield [line for line in others if "http://" not in line]
        finally:
            server.terminate()
            assert server.wait(SECONDS) in (0, 3)
