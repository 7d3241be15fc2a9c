"""The command line and the screens start light: no torch, and no textual before a screen is wanted."""

import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "textual", "gpytorch", "botorch", "pyarrow", "matplotlib", "scipy")


def loaded_by(code: str) -> tuple[set[str], float]:
    """Which heavy packages the code has loaded at its end, and its CPU seconds."""
    tail = (
        "import sys, json, resource; r = resource.getrusage(resource.RUSAGE_SELF); "
        f"print(json.dumps([[m for m in {HEAVY!r} if m in sys.modules], r.ru_utime + r.ru_stime]))"
    )
    done = subprocess.run([sys.executable, "-c", f"{code}\n{tail}"], capture_output=True, text=True, check=True)
    names, seconds = json.loads(done.stdout.splitlines()[-1])
    return set(names), seconds


HELP = "from elicit.cli import _code; assert _code(['--help']) == 0"


@pytest.mark.parametrize(
    "code",
    [
        "import elicit",
        HELP,
        "import studies.local.client",
        "import elicit.service.voting, elicit.log.events",
        "import elicit.ranking.leaderboard",
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    assert loaded_by(code)[0] == set()


def test_help_answers_in_under_half_a_second_of_cpu() -> None:
    assert min(loaded_by(HELP)[1] for _ in range(3)) < 0.5


DEMO = """
import pathlib, tempfile
from studies.demo.session import open_demo
import tui.app
folder = pathlib.Path(tempfile.mkdtemp()) / "demo"
open_demo(folder, auto=False, votes=None, seed=0).close()
"""


@pytest.mark.parametrize("code", ["import tui.app, tui.plain.voting", "import tui.commands", DEMO])
def test_screens_never_load_torch(code: str) -> None:
    assert "torch" not in loaded_by(code)[0]


def test_every_command_shows_an_example_without_torch() -> None:
    code = """
from elicit.cli import COMMANDS, _code
import io, contextlib
for name in COMMANDS:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert _code([name, '--help']) == 0
    assert name == 'bench' or f'Example: elicit {name}' in out.getvalue(), out.getvalue()
"""
    assert "torch" not in loaded_by(code)[0]


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "elicit", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: elicit ")
    assert subprocess.run([sys.executable, "-m", "elicit", "status", "nowhere"], capture_output=True).returncode == 2
