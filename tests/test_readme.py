"""The README is true: its Python runs, its commands exist, its files are there."""

import builtins
import re
from pathlib import Path

import pytest

from elicit.cli import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_eight_lines_of_python_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.setattr(builtins, "input", lambda prompt: prompt.split()[0])
    exec(compile(code, "README.md", "exec"), {})
    assert "the recommended item is within 5% of the best" in capsys.readouterr().out


def test_every_command_it_shows_exists() -> None:
    shown = set(re.findall(r"^elicit (\w+)", README, re.MULTILINE)) | set(re.findall(r"`elicit (\w+)", README))
    assert shown <= COMMANDS.keys()
    assert {"init", "vote", "status", "report", "export", "replay"} <= shown


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_file_it_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    links = set(re.findall(r"\]\((?!http)([^)#]+)\)", text))
    named = set(re.findall(r"`((?:elicit|bandits|adapters|studies|tui|tests)/[\w/.]*[\w/])`", text))
    missing = [name for name in links | named if "NAME" not in name and not (ROOT / name).exists()]
    assert not missing
