"""Forgetting a judge: the name leaves every file of a study's folder, and what stays is known by a pseudonym.

What is to be done stands in a file of its own before anything else happens, and is taken away last. Every step can be
done again, so that whoever opens the study next finishes what a kill or a full disk interrupted.
"""

from __future__ import annotations

import html
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import msgspec
import tomlkit
from tomlkit.container import Container
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Null, Whitespace

from adapters.access import FILE as ACCESS
from adapters.access import Access
from adapters.files import images
from adapters.files.export import TEMPORARY, atomic_file, write_rows
from adapters.files.tables import KINDS, read_table
from adapters.ledger import LIVE, LOCK, SqliteLedger
from adapters.llm import calls
from elicit import diagnostics
from elicit.log.ledger import Ledger
from elicit.log.pseudonyms import rename_in_prose, rename_in_spec
from elicit.types import BadInputError
from studies import spec as specs
from studies.storage import kept_belief
from studies.storage.atomic_folder import PART

INTENT = "study.forget"
AGAIN = "run the same command again when that is mended, and it goes on where it stopped"
JUDGE_COLUMNS = ("judge", "judge_id", "annotator", "by")


class Intent(msgspec.Struct, frozen=True):
    """Who is being forgotten, and the pseudonym, which cannot be computed from the name."""

    judge: str
    pseudonym: str


def forget(folder: Path, ledger: Ledger, judge: str) -> str:
    """Take a judge's name and notes out of the study in `folder`; returns the pseudonym.

    Raises BadInputError where nobody of that name is in the study, or it could not be done to the end.
    """
    intent = Intent(judge, f"forgotten-{secrets.token_hex(4)}")
    _write(folder / INTENT, msgspec.json.encode(intent))
    if not finish(folder, ledger):
        raise BadInputError(f"no judge called {judge!r} has voted in {folder}; nothing was changed")
    return intent.pseudonym


def interrupted_forgetting(folder: Path) -> Intent | None:
    """The forgetting that was begun in this folder and not finished."""
    try:
        return msgspec.json.decode((folder / INTENT).read_bytes(), type=Intent)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def finish(folder: Path, ledger: Ledger) -> int:
    """Do what is still to be done of a forgetting that was begun, if any; in how many places the name was found now."""
    intent = interrupted_forgetting(folder)
    if intent is None:
        return 0
    try:
        places = _forget_in(folder, ledger, intent)
        for log in sorted(folder.rglob(f"*/{LIVE[0]}")):  # copies that were made into this folder
            with closing(SqliteLedger(log.parent, writable=True)) as nested:
                places += _forget_in(log.parent, nested, intent)
        (folder / INTENT).unlink()
        _sync(folder)
    except OSError as error:
        raise BadInputError(f"{error.filename or folder} cannot be written ({error.strerror}); {AGAIN}") from error
    except BadInputError as error:
        raise BadInputError(f"{error}; {AGAIN}") from error
    return places


def files_with(folder: Path, name: str) -> list[Path]:
    """The files of a folder whose bytes hold a name, in any form that text files give it."""
    forms = {form.encode() for form in _forms(name)} | {name.encode("utf-16-le"), name.encode("utf-16-be")}
    return [path for path in _files(folder) if any(map(path.read_bytes().__contains__, forms))]


def _forget_in(folder: Path, ledger: Ledger, intent: Intent) -> int:
    judge, pseudonym = intent.judge, intent.pseudonym
    for path in list(_leftovers(folder)):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    (folder / kept_belief.FILE).unlink(missing_ok=True)  # it knows judges by their names
    places = ledger.forget(judge, pseudonym)
    calls.forget(folder, judge, pseudonym)
    if (folder / ACCESS).exists():
        with closing(Access(folder)) as access:
            places += access.forget(judge)
    places += _rewrite_specification(folder / specs.FILE, intent)
    for path in _files(folder, deep=False):
        if path.suffix.lstrip(".") in KINDS:
            places += _rewrite_table(path, intent)
        elif path.name.startswith(diagnostics.FILE):
            _rewrite_text(path, intent)
    return places


def _leftovers(folder: Path) -> Iterator[Path]:
    """What commands that were killed have left half-written."""
    yield from folder.glob(f"{TEMPORARY}*")
    yield from folder.glob(f".*{PART}")


def _rewrite_specification(path: Path, intent: Intent) -> int:
    try:
        text = path.read_text(encoding="utf-8")
        document = tomlkit.parse(text)
    except (UnicodeDecodeError, TOMLKitError):
        return 0  # whoever opens the study is told about it
    except FileNotFoundError:
        return 0
    rename_in_spec(document, intent.judge, intent.pseudonym)
    _rename_in_comments(document, intent)
    now = tomlkit.dumps(document)
    if now == text:
        return 0
    _write(path, now.encode())
    return 1


def _rename_in_comments(container: Container, intent: Intent) -> None:
    for _, entry in container.body:
        for item in entry.body if isinstance(entry, AoT) else (entry,):
            if isinstance(item, Null | Whitespace):
                continue
            item.trivia.comment = rename_in_prose(item.trivia.comment, intent.judge, intent.pseudonym)
            if isinstance(item.value, Container):
                _rename_in_comments(item.value, intent)


def _rewrite_table(path: Path, intent: Intent) -> int:
    """Judgments that were recorded elsewhere and are replayed here."""
    try:
        rows = [row.values for row in read_table(path).rows]
    except BadInputError:
        return 0
    places = 0
    for row in rows:
        for column in JUDGE_COLUMNS:
            if row.get(column) == intent.judge:
                row[column] = intent.pseudonym
                places += 1
    if places:
        write_rows(path, rows)
    return places


def _rewrite_text(path: Path, intent: Intent) -> None:
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    before = text
    for form in _forms(intent.judge):
        text = rename_in_prose(text, form, intent.pseudonym)
    if text != before:
        _write(path, text.encode("utf-8", "surrogateescape"))


def _write(path: Path, data: bytes) -> None:
    try:
        with atomic_file(path) as file:
            file.write(data)
    except BadInputError as error:
        why = getattr(error.__cause__, "strerror", None) or error
        raise BadInputError(f"{path} cannot be written ({why}); make room or check the disk") from error


def _files(folder: Path, *, deep: bool = True) -> list[Path]:
    """The study's own files, but for pictures and what locks and plans this very work."""
    paths = folder.rglob("*") if deep else folder.glob("*")
    return sorted(
        path
        for path in paths
        if path.is_file() and not path.name.startswith((INTENT, LOCK)) and images.FOLDER not in path.parts
    )


def _forms(name: str) -> set[str]:
    """What a name may be in a text file."""
    escaped = "".join(c if c.isascii() else "".join(_units(c)) for c in name)
    # Of the two that escape for HTML, templates write numbers where Python's own function writes names.
    shown = html.escape(name).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
    return {
        name,
        html.escape(name),
        shown,
        quote(name),
        msgspec.json.encode(name).decode()[1:-1],
        escaped,
        ascii(name)[1:-1],
    }


def _units(character: str) -> Iterator[str]:
    """JSON's escapes of a character."""
    data = character.encode("utf-16-be")
    for i in range(0, len(data), 2):
        yield f"\\u{data[i]:02x}{data[i + 1]:02x}"


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
