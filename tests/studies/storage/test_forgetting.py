"""A forgotten judge's name is in no byte of the study's folder, whatever interrupted the forgetting."""

import html
import json
import os
import resource
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import markupsafe
import pytest

from adapters.access import Access
from adapters.llm.calls import CallBook, Prices
from adapters.llm.chat import Reply
from elicit.cli import _code
from elicit.log.events import Enrolled, Marked, Paused, Proposed, Undone, Weighed
from elicit.log.pseudonyms import rename_in_event
from elicit.types import BadInputError
from studies.storage import forgetting
from studies.study import Study
from tests.studies import making

NAME = "Zoë-Margu érite"
SECRET = "my telephone number is 555"
FORMS = [
    NAME.encode(),
    json.dumps(NAME).encode()[1:-1],
    json.dumps(NAME).upper().encode()[1:-1],
    NAME.encode("utf-16-le"),
    NAME.encode("latin-1"),
]


def make(folder: Path) -> Path:
    """A study in whose files the name is everywhere it can be."""
    with making.make(folder, title=f"Of {NAME}", guidelines=f"Ask {NAME} where in doubt.") as study:
        making.vote(study, NAME, times=2)
        query = study.ask(NAME)
        assert query is not None
        study.tell(query, "tie", NAME, note=SECRET, raw={"said by": NAME})
        study.note(query.id, "other", f"{NAME} told me so")
        study.note(query.id, NAME, SECRET + "2")
        making.vote(study, "other")
        judge = study.state.votes[0]
        study._append(
            Enrolled(NAME, "admin"),
            Marked((1,), "retired", NAME, f"{NAME} said so"),
            Proposed(NAME, (2,)),
            Weighed("other", 0.5, NAME, "by hand"),
            Weighed(NAME, 0.5, "rules", f"{NAME} is too fast"),
            Paused(True, NAME),
            Undone(judge.seq, NAME, NAME, f"{NAME} erred"),
        )
    path = folder / "study"
    with closing(Access(path)) as access:
        access.admit(NAME, "admin")
        access.admit("other", "annotator")
    book = CallBook(path, NAME, Prices(1, 1, 1, 1))
    book.settle(0.0, "key", Reply("a reply"))
    book.close()
    (path / "judgments.csv").write_text(f"pair_id,judge_id,preference\np1,{NAME},a\np2,other,b\n")
    (path / "golds.jsonl").write_text(json.dumps({"a": "i1", "b": "i2", "answer": "a", "by": NAME}) + "\n")
    toml = path / "study.toml"
    toml.write_text(
        f"# made by {NAME}\n"
        + toml.read_text()
        + f'\n[[judges]]  # {NAME}\nname = "{NAME}"\nkind = "simulated"\noptions = {{ utility = "meta.score" }}\n'
    )
    (path / "elicit.log").write_text(f"opened by {NAME}\nand {json.dumps(NAME)}\n")
    (path / ".elicit-0123.tmp").write_text(f"half an export of {NAME}")
    (path / ".older.part").mkdir()
    (path / ".older.part" / "study.toml").write_text(NAME)
    with Study.open(path) as study:  # the edit joins the log
        study.backup(folder / "copy")
    shutil.move(folder / "copy", path / "copy")
    return path


def traces(folder: Path) -> list[str]:
    """The files that hold the name or the note, in any encoding."""
    forms = [*FORMS, SECRET.encode()]
    return [str(f) for f in sorted(folder.rglob("*")) if f.is_file() and any(form in f.read_bytes() for form in forms)]


def check(folder: Path) -> None:
    """Nothing of the name is left, and the study is whole."""
    assert traces(folder) == []
    assert not (folder / forgetting.INTENT).exists()
    with Study.open(folder) as study:
        study._ledger.check()
        pseudonym = study.state.votes[0].vote.judge
        assert pseudonym.startswith("forgotten-")
        assert [live.vote.judge for live in study.state.votes] == [pseudonym, pseudonym, "other"]
        assert study.state.enrolled[pseudonym].scope == "admin"
        assert study.state.proposed[0].proposer == pseudonym
        assert study.state.undone[0].vote.judge == pseudonym
        assert study.spec.judges[0].name == pseudonym
        making.vote(study, "other")
    assert pseudonym in (folder / "judgments.csv").read_text()
    with closing(sqlite3.connect(folder / "calls.db")) as calls:
        assert calls.execute("SELECT judge FROM calls").fetchall() == [(pseudonym,)]
    with closing(sqlite3.connect(folder / "access.db")) as access:
        assert access.execute("SELECT judge FROM tokens").fetchall() == [("other",)]
    with Study.open(folder / "copy", writable=False) as copy:
        assert copy.state.votes[0].vote.judge == pseudonym


def test_the_name_is_everywhere_before_and_nowhere_after(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(tmp_path)
    assert {Path(file).relative_to(folder).as_posix() for file in traces(folder)} == {
        ".older.part/study.toml",
        ".elicit-0123.tmp",
        "access.db",
        "calls.db",
        "copy/calls.db",
        "copy/golds.jsonl",
        "copy/judgments.csv",
        "copy/study.db",
        "copy/study.toml",
        "elicit.log",
        "golds.jsonl",
        "judgments.csv",
        "study.db",
        "study.toml",
    }
    assert _code(["forget", str(folder), "--judge", NAME, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left"] == []
    check(folder)
    assert _code(["forget", str(folder), "--judge", NAME]) == 2
    assert "no judge called" in capsys.readouterr().err


@pytest.mark.parametrize(
    "spec",
    [
        {"title": NAME},
        {"author": f"{NAME}, of the club"},
        {"question": f"Would {NAME} laugh?"},
        {"guidelines": f"Ask {NAME}."},
        {"judges": [{"name": NAME, "kind": "simulated"}]},
        {"judges": [{"name": "other", "kind": "replayed", "options": {"judge_id": NAME}}]},
        {"tuning": {"signals": [f"judge:{NAME}"]}},
    ],
    ids=str,
)
def test_each_place_of_a_specification_is_renamed_also_where_it_is_the_only_one(spec: dict[str, Any]) -> None:
    """And what it is renamed in is not touched: that the two differ says that there is something to write."""
    event = {"type": "spec_changed", "spec": spec, "changed": []}
    before = json.dumps(event)
    renamed = rename_in_event(event, NAME, "forgotten-1")
    assert json.dumps(event) == before
    assert json.loads(before.replace(json.dumps(NAME)[1:-1], "forgotten-1")) == renamed


@pytest.mark.parametrize("escape", [html.escape, markupsafe.escape])
def test_a_page_with_a_name_is_named_however_it_escapes(escape: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(escape('Ann "O\'Hara" & <co>'))
    assert forgetting.files_with(tmp_path, 'Ann "O\'Hara" & <co>') == [tmp_path / "page.html"]


def test_what_cannot_be_rewritten_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(tmp_path)
    (folder / "report.html").write_text(f"<p>{NAME}</p>")
    assert _code(["forget", str(folder), "--judge", NAME, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left"] == ["report.html"]


def test_a_short_name_and_the_name_of_a_word_leave_prose_alone(tmp_path: Path) -> None:
    with making.make(tmp_path) as study:
        for judge in ("a", "tie", "maya"):
            query = study.ask(judge)
            assert query is not None
            study.tell(query, "tie", judge)
            study.note(query.id, "other", "a tie, says mayable maya")
        before = [live.vote.outcome for live in study.state.votes]
        for judge in ("a", "tie", "maya"):
            study.forget(judge)
        assert [live.vote.outcome for live in study.state.votes] == before
        judges = [live.vote.judge for live in study.state.votes]
        assert all(judge.startswith("forgotten-") for judge in judges)
        assert set(study.state.notes.values()) == {f"a tie, says mayable {judges[2]}"}


def kill_at(step: int) -> Callable[[], bool]:
    """Kill this process, for good, before its step with that number; whether that is still to come. Steps are the
    statements that SQLite is given and the files that are opened, renamed and removed."""
    left = [step]

    def count(*_: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    import sys

    events = {"open", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "sqlite3.connect"}
    sys.addaudithook(lambda event, _: count() if event in events else None)
    connect = sqlite3.connect

    def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(count)
        return connection

    sqlite3.connect = connected  # type: ignore[assignment]
    return lambda: left[0] > 0


def forget_until(step: int, folder: Path) -> int:
    """Forget in a process that is killed at a step; its exit status."""
    child = os.fork()
    if child == 0:
        try:
            unreached = kill_at(step)
            with Study.open(folder) as study:
                study.forget(NAME)
            os._exit(0 if unreached() else 1)
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_killed_at_any_step_and_run_again_it_finishes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original = make(tmp_path / "original")
    step, kills = 0, 0
    while True:
        step += 1 if step < 12 else 7
        folder = tmp_path / "study"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(original, folder)
        status = forget_until(step, folder)
        begun = forgetting.interrupted_forgetting(folder)
        if begun and step % 2:  # whoever opens it next finishes it
            with Study.open(folder):
                pass
        else:  # the same command again does, and says so
            code = _code(["forget", str(folder), "--judge", NAME])
            assert code == 0 or not traces(folder), capsys.readouterr().err
        check(folder)
        if status == 0:
            break
        assert os.WIFSIGNALED(status)
        kills += 1
    assert kills > 20


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_on_a_full_disk_it_says_so_and_finishes_when_there_is_room(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk, from nothing at all to nearly enough."""
    original = make(tmp_path / "original")
    refused = 0
    for room in (0, 100, 1000, 4096, 20_000, 40_000, 60_000, 100_000):
        folder = tmp_path / "study"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(original, folder)
        child = os.fork()
        if child == 0:
            try:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                with Study.open(folder) as study:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
                    study.forget(NAME)
                os._exit(0)
            except BadInputError as error:
                os._exit(3 if "\n" not in str(error) else 4)
            finally:
                os._exit(5)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, 3)
        refused += status == 3
        _code(["forget", str(folder), "--judge", NAME])
        check(folder)
    assert refused > 2
