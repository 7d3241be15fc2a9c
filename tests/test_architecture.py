"""What is told of the house is true: the picture, the map in CONTRIBUTING.md, and each package's docstring."""

import ast
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PACKAGES = ["elicit", "bandits", "adapters", "studies", "tui"]
FOLDERS = sorted(init.parent.relative_to(ROOT) for name in PACKAGES for init in (ROOT / name).rglob("__init__.py"))
(COMMANDS,) = re.findall(r"## Run one test.*?```sh\n(.*?)```", CONTRIBUTING, re.DOTALL)
DRAW = "docs/architecture.py"


def test_the_picture_is_what_the_code_says() -> None:
    drawn = runpy.run_path(str(ROOT / DRAW))["draw"]()
    fresh = drawn == (ROOT / "docs/architecture.svg").read_text()
    assert fresh, f"docs/architecture.svg is out of date; draw it again with: .venv/bin/python {DRAW}"


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_a_package_tells_which_of_its_files_holds_what(folder: Path) -> None:
    """Of files that are alike it says that there is one for each, and need not name them."""
    docstring = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text()))
    assert docstring
    named = set(re.findall(r"`(\w+)`", docstring))
    assert named <= {path.stem for path in (ROOT / folder).iterdir()}
    untold = {path.stem for path in (ROOT / folder).glob("*.py")} - named - {"__init__", "__main__"}
    assert not untold or re.search(r"one (?:file|driver)\b|one file each", docstring, re.IGNORECASE)


def test_the_map_is_short_and_shows_every_room() -> None:
    (section,) = re.findall(r"## Where things are\n(.*?)\n## ", CONTRIBUTING, re.DOTALL)
    rows = [line for line in section.splitlines() if line.startswith("|")]
    rooms = {f"{folder.as_posix()}/" for folder in FOLDERS if len(folder.parts) <= 2}
    assert rooms <= set(re.findall(r"`([\w/]+/)`", "\n".join(rows)))
    assert len(rows) <= 35


@pytest.mark.parametrize("line", [line for line in COMMANDS.splitlines() if DRAW not in line])
def test_its_commands_run_as_printed(line: str) -> None:
    """But the one that draws, which the picture's test does without writing."""
    program, *arguments = shlex.split(line)
    command = [sys.executable, "-m", Path(program).name, *arguments]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
