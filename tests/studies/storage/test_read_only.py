"""Reading a study needs no right to write: on read-only media, in folders of others, from a copy with its log."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.studies import making

READING = {
    "status": ["--json"],
    "report": ["-o", "{out}/r.html"],
    "export": ["-o", "{out}/v.jsonl"],
    "backup": ["{out}/copy"],
    "replay": ["--verify"],
    "plan": ["--votes", "3", "--studies", "5"],
}
WITHOUT_RIGHTS = ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search,-fowner,-chown"]
RUN = "import sys; from elicit.cli import _code; sys.exit(max(_code(one.split()) for one in sys.argv[1:]))"


def make(folder: Path, *, crashed: bool) -> Path:
    """A study of five votes; crashed: the newest of them are in the write-ahead log alone."""
    study = making.make(folder, n=6, model="bradley_terry", embedder="none")
    making.vote(study, "me", times=5)
    if crashed:
        shutil.copytree(folder / "study", folder / "copied")
        study.close()
        shutil.rmtree(folder / "study")
        (folder / "copied").rename(folder / "study")
        assert (folder / "study" / "study.db-wal").stat().st_size
        (folder / "study" / "study.db-shm").unlink(missing_ok=True)
    else:
        study.close()
    return folder / "study"


@contextlib.contextmanager
def read_only_folder(study: Path) -> Iterator[list[str]]:
    """What a command is to be run with, so that it may not write in the folder."""
    for path in [*study.rglob("*"), study]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root may write everywhere, and there is no setpriv to give that up")
    yield WITHOUT_RIGHTS if os.geteuid() == 0 else []
    study.chmod(0o755)


@contextlib.contextmanager
def read_only_medium(study: Path) -> Iterator[list[str]]:
    """The same of a file system that is mounted read-only."""
    aside = study.with_name("aside")
    study.rename(aside)
    study.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", str(study)], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        shutil.copytree(aside, study, dirs_exist_ok=True)
        subprocess.run(["mount", "-o", "remount,ro", str(study)], check=True)
        yield []
    finally:
        subprocess.run(["umount", str(study)], check=True)


@pytest.mark.parametrize("crashed", [False, True])
@pytest.mark.parametrize("place", [read_only_folder, read_only_medium])
def test_every_reading_command_works_where_nothing_can_be_written(
    tmp_path: Path, place: "type[contextlib.AbstractContextManager[list[str]]]", crashed: bool
) -> None:
    study, out = make(tmp_path, crashed=crashed), tmp_path / "out"
    out.mkdir()
    before = {file: file.read_bytes() for file in study.iterdir()}
    commands = [" ".join([name, str(study), *more]).format(out=out) for name, more in READING.items()]
    with place(study) as start:
        done = subprocess.run([*start, sys.executable, "-c", RUN, *commands], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[0])["votes"] == 5
        assert {file: file.read_bytes() for file in study.iterdir()} == before
        vote = subprocess.run([*start, sys.executable, "-c", RUN, f"run {study}"], capture_output=True, text=True)
        assert vote.returncode == 2
        assert "cannot be written" in vote.stderr
        assert vote.stderr.count("\n") == 1
    assert len((out / "v.jsonl").read_text().splitlines()) == 5
    copied = subprocess.run(
        [sys.executable, "-c", RUN, f"status {out / 'copy'} --json"], capture_output=True, text=True, check=True
    )
    assert json.loads(copied.stdout)["votes"] == 5
