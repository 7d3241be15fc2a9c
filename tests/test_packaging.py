"""The wheel holds the five packages, their types, and every file they read at run time."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in the wheel."""
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (file,) = target.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("package", ["elicit", "bandits", "tui", "adapters", "studies"])
def test_each_package_is_there_with_its_types(wheel: set[str], package: str) -> None:
    assert {f"{package}/__init__.py", f"{package}/py.typed"} <= wheel


@pytest.mark.parametrize(
    "file",
    [
        "tui/app.tcss",
        "studies/reporting/report.html.jinja",
        "studies/demo/pool.jsonl",
        "studies/demo/inputs.jsonl",
        "studies/demo/grid.toml",
        "adapters/llm/prompts/pairwise.toml",
    ],
)
def test_files_read_at_run_time_are_there(wheel: set[str], file: str) -> None:
    assert file in wheel


def test_nothing_else_is_there(wheel: set[str]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"elicit", "bandits", "tui", "adapters", "studies"}
