"""A damaged study is said to be one, in a sentence that names the way back, by every command."""

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from adapters.llm.calls import CallBook, Prices
from adapters.llm.chat import Reply
from elicit.cli import _code
from elicit.log.events import Paused
from elicit.types import BadInputError
from studies.replay.verify import verify
from studies.study import Study
from tests.studies import making

Out = pytest.CaptureFixture[str]
PLACES = 200
COMMANDS = {
    "status": ["--json"],
    "run": ["--votes", "1"],
    "report": ["-o", "{out}/r.html"],
    "export": ["-o", "{out}/v.csv"],
    "replay": ["--verify"],
    "plan": ["--votes", "2", "--studies", "2"],
    "backup": ["{out}/copy"],
    "forget": ["--judge", "maya"],
    "serve": ["--port", "0"],
    "vote": ["--plain"],
    "invite": [],
    "admin": [],
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose log has several dozen pages."""
    folder = tmp_path_factory.mktemp("original")
    with making.make(folder, n=8, selector="random", model="bradley_terry", embedder="none", votes=10_000) as study:
        making.vote(study, "maya", times=150)
        making.vote(study, "tom", times=50)
    return folder / "study"


def zero_a_sector(data: bytearray, at: int) -> bytearray:
    at -= at % 512
    data[at : at + 512] = bytes(512)
    return data


def zero_a_page(data: bytearray, at: int) -> bytearray:
    at -= at % 4096
    data[at : at + 4096] = bytes(4096)
    return data


def flip_a_bit(data: bytearray, at: int) -> bytearray:
    data[at] ^= 1 << at % 8
    return data


def cut(data: bytearray, at: int) -> bytearray:
    return data[:at]


def scribble(data: bytearray, at: int) -> bytearray:
    noise = random.Random(at).randbytes(64)
    data[at : at + 64] = noise[: len(data) - at]
    return data


DAMAGES: list[Callable[[bytearray, int], bytearray]] = [zero_a_sector, zero_a_page, flip_a_bit, cut, scribble]


def check_sentence(told: str) -> None:
    """One sentence that names the way back and promises nothing."""
    assert told.count("\n") == 1, told
    assert "damaged" in told or "newer release" in told, told
    assert "'elicit backup'" in told, told
    assert "is saved" not in told, told
    assert told.isprintable() or told[:-1].isprintable(), told


def test_damage_anywhere_is_a_sentence_or_does_no_harm(original: Path, tmp_path: Path, capsys: Out) -> None:
    """The same answer as before, where the damage is in bytes that nothing uses, or the sentence; of every kind, in
    `PLACES` places."""
    study = tmp_path / "study"
    shutil.copytree(original, study)
    assert _code(["status", str(study), "--json"]) == 0
    expected = capsys.readouterr().out
    good = (study / "study.db").read_bytes()
    luck = random.Random(15)
    told = 0
    for number in range(PLACES):
        damaged = DAMAGES[number % len(DAMAGES)](bytearray(good), luck.randrange(len(good)))
        (study / "study.db").write_bytes(damaged)
        code = _code(["status", str(study), "--json"])
        said = capsys.readouterr()
        if code == 0:
            assert said.out == expected
        else:
            assert (code, said.out) == (2, "")
            check_sentence(said.err)
            told += 1
    assert told > PLACES * 3 // 4


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_the_sentence(original: Path, tmp_path: Path, capsys: Out, command: str) -> None:
    study = tmp_path / "study"
    shutil.copytree(original, study)
    good = (study / "study.db").read_bytes()
    luck = random.Random(command)
    told = 0
    # What starts a process of its own takes seconds.
    for number in range(1 if command == "vote" else 10):
        damaged = DAMAGES[number % len(DAMAGES)](bytearray(good), luck.randrange(4096, len(good)))
        (study / "study.db").write_bytes(damaged)
        if command in ("serve", "vote") and not is_damaged(study):
            continue  # they would wait for people
        arguments = [command, str(study), *(one.format(out=tmp_path) for one in COMMANDS[command])]
        code, said = _code(arguments), capsys.readouterr().err
        if code == 2 and "configures no judge" not in said:  # else what it needed could be read
            check_sentence(said)
            told += 1
        (study / "study.db").write_bytes(good)
    assert told


def is_damaged(study: Path) -> bool:
    try:
        Study.open(study, writable=False).close()
    except BadInputError:
        return True
    return False


def change(study: Path, old: str, new: str) -> None:
    """Change one value in the log, as a program beside elicit would."""
    with closing(sqlite3.connect(study / "study.db")) as database, database:
        (seq, body) = database.execute("SELECT seq, body FROM events WHERE body LIKE ?", [f"%{old}%"]).fetchone()
        database.execute("UPDATE events SET body = ? WHERE seq = ?", [body.replace(old, new), seq])


def test_one_changed_value_is_found(original: Path, tmp_path: Path, capsys: Out) -> None:
    study = tmp_path / "study"
    shutil.copytree(original, study)
    change(study, '"seconds":1.5', '"seconds":2.5')
    assert _code(["status", str(study)]) == 2
    check_sentence(capsys.readouterr().err)


def test_a_removed_or_moved_event_is_found(original: Path, tmp_path: Path) -> None:
    for statement in (
        "DELETE FROM events WHERE seq = 40",
        "UPDATE events SET seq = -seq WHERE seq IN (40, 42)",
        "UPDATE events SET time = '2020-01-01T00:00:00.000+00:00' WHERE seq = 40",
    ):
        study = tmp_path / "study"
        shutil.rmtree(study, ignore_errors=True)
        shutil.copytree(original, study)
        with closing(sqlite3.connect(study / "study.db")) as database, database:
            database.execute(statement)
        with pytest.raises(BadInputError, match="elicit backup"):
            Study.open(study)


def test_a_log_from_before_digests_is_read_and_covered_from_its_next_event_on(original: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(original, study)
    with closing(sqlite3.connect(study / "study.db")) as database, database:
        database.execute("ALTER TABLE events DROP COLUMN digest")
    with Study.open(study, writable=False) as opened:
        assert len(opened.state.votes) == 200
        assert verify(opened).status == "same"
    change(study, '"seconds":1.5', '"seconds":2.5')  # nobody could know
    with Study.open(study) as opened:
        making.vote(opened, "maya", times=1)
    with closing(sqlite3.connect(study / "study.db")) as database, database:  # a release before digests goes on
        (last,) = database.execute("SELECT MAX(seq) FROM events").fetchone()
        row = (last + 1, "2026-01-01T00:00:00.000+00:00", "paused", '{"type":"paused","paused":true}')
        database.execute("INSERT INTO events (seq, time, type, body) VALUES (?, ?, ?, ?)", row)
    with Study.open(study) as opened:
        assert opened.state.paused
        opened._append(Paused(False))
    for value in ("1.5", "2.5"):
        change(study, f'"seconds":{value}', '"seconds":3.5')
        with pytest.raises(BadInputError, match="elicit backup"):
            Study.open(study)
        change(study, '"seconds":3.5', f'"seconds":{value}')
    Study.open(study).close()


def test_a_damaged_book_of_calls_holds_up_no_votes_and_says_what_it_is(original: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(original, study)
    book = CallBook(study, "gpt", Prices(1, 1, 1, 1))
    for number in range(300):
        book.settle(0.0, f"key {number}", Reply(f"reply {number}" * 9))
    book.close()
    file = study / "calls.db"
    good = file.read_bytes()
    luck, sentences, read = random.Random(3), list[str](), 0
    for number in range(60):
        file.write_bytes(DAMAGES[number % len(DAMAGES)](bytearray(good), luck.randrange(len(good))))
        for beside in ("-wal", "-shm"):
            file.with_name(file.name + beside).unlink(missing_ok=True)
        book = CallBook(study, "gpt", Prices(1, 1, 1, 1))
        try:
            for key in range(0, 300, 7):
                found = book.find(f"key {key}")
                read += found is not None
            book.settle(0.0, "another", Reply("text"))
        except BadInputError as error:
            sentences.append(str(error))
        finally:
            book.close()
        with Study.open(study, writable=False) as opened:
            assert len(opened.state.votes) == 200
    assert sentences
    assert all("damaged" in one and "elicit backup" in one and "no votes" in one for one in sentences)
    assert all("\n" not in one for one in sentences)
    assert read


def test_a_damaged_study_of_prompts_is_told_by_tune(tmp_path: Path, capsys: Out) -> None:
    study = tmp_path / "study"
    assert _code(["init", str(study), "--tune", "--task", "example"]) == 0
    data = bytearray((study / "study.db").read_bytes())
    (study / "study.db").write_bytes(zero_a_page(data, len(data) - 1))
    for more in ("--plain", "--auto"):
        capsys.readouterr()
        assert _code(["tune", str(study), more]) == 2
        check_sentence(capsys.readouterr().err)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_study_without_its_log_is_told_and_gets_no_empty_one(
    original: Path, tmp_path: Path, capsys: Out, command: str
) -> None:
    study = tmp_path / "study"
    shutil.copytree(original, study)
    for file in study.glob("study.db*"):
        file.unlink()
    assert _code([command, str(study), *(one.format(out=tmp_path) for one in COMMANDS[command])]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "has no study.db" in told
    assert "'elicit backup'" in told
    assert not list(study.glob("study.db*"))


def test_doctor_reads_every_byte_of_a_study(original: Path, tmp_path: Path, capsys: Out) -> None:
    study = tmp_path / "study"
    shutil.copytree(original, study)
    book = CallBook(study, "gpt", Prices(1, 1, 1, 1))
    book.settle(0.0, "key", Reply("reply"))
    book.close()
    assert _code(["doctor", str(study), "--json"]) == 0
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert "every digest fits" in checks["log"]["found"]
    for name, file in (("log", "study.db"), ("replies", "calls.db")):
        data = bytearray((study / file).read_bytes())
        (study / file).write_bytes(zero_a_page(data, 5000))
        assert _code(["doctor", str(study), "--json"]) == 2
        checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
        assert not checks[name]["ok"]
        assert "elicit backup" in checks[name]["do"]


def test_damaged_tokens_are_told_with_what_to_do(original: Path, tmp_path: Path, capsys: Out) -> None:
    study = tmp_path / "study"
    shutil.copytree(original, study)
    for command in ("invite", "admin", "serve"):
        (study / "access.db").write_bytes(b"x" * 8192)
        assert _code([command, str(study)]) == 2
        told = capsys.readouterr().err
        assert "access.db is damaged" in told
        assert "elicit admin" in told
        assert told.count("\n") == 1
