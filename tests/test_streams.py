"""What the command line does when the streams around it are closed, full, or lead nowhere."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from elicit.cli import _code
from tests.studies import making

ELICIT = shlex.join([sys.executable, "-m", "elicit"])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streams")
    with making.make(folder, n=6, model="bradley_terry", embedder="none") as made:
        making.vote(made, times=3)
    return folder / "study"


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line of bash; its exit status is that of the first command of a pipe."""
    script = line.replace("elicit", ELICIT) + "\nexit ${PIPESTATUS[0]}"
    return subprocess.run(["bash", "-c", script], cwd=folder.parent, capture_output=True, text=True)


@pytest.mark.parametrize("what", ["status study", "status study --json", "export study -o - --format jsonl"])
def test_a_reader_that_goes_away_ends_it_in_silence(study: Path, what: str) -> None:
    done = run(f"elicit {what} | (exec 0<&-; sleep 0.1)", study)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_fault_and_nothing_is_written_into_the_log(study: Path, closed: str) -> None:
    before = (study / "study.db").read_bytes()
    assert run(f"elicit status study {closed}", study).returncode == 0
    assert (study / "study.db").read_bytes() == before


def test_a_voter_without_a_keyboard_ends_well(study: Path) -> None:
    done = run("elicit vote study --plain <&-", study)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_paths_that_lead_in_a_circle_are_said(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    items = tmp_path / "items.jsonl"
    items.write_text('{"text": "one"}\n{"text": "two"}\n')
    for line in (
        "status A",
        "init A --items ITEMS",
        "init A/x --items ITEMS",
        "init new --items A",
        "report STUDY -o A",
        "report STUDY -o A/x.html",
        "backup STUDY A",
        "backup STUDY A/x",
        "serve A",
        "run A",
        "vote A --plain",
        "leaderboard A",
    ):
        places = {"A": str(tmp_path / "a"), "ITEMS": str(items), "STUDY": str(study)}
        words = ["/".join(places.get(part, part) for part in word.split("/")) for word in line.split()]
        assert _code(words) == 2, line
        told = capsys.readouterr().err
        assert told.count("\n") == 1, told
        assert "fault of elicit" not in told


def test_a_backup_into_the_study_itself_is_refused(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in (study / "copy", study / "images" / "copy"):
        assert _code(["backup", str(study), str(place)]) == 2
        assert "inside the study itself" in capsys.readouterr().err
        assert not place.exists()
