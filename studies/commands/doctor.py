"""`elicit doctor`: what is installed, what it runs on, and what to do where something is wrong."""

from __future__ import annotations

import platform
import sqlite3
import sys
from contextlib import closing
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

from adapters.llm import calls
from adapters.sqlite_files import find_fault, open_for_reading
from elicit.safe_text import one_line
from elicit.types import BadInputError
from studies.study import Study

OWN = ("elicit", "bandits", "tui", "adapters", "studies")
NEEDED = ("torch", "numpy", "textual", "sqlite-utils", "msgspec", "pyarrow", "tokenizers", "safetensors")


def examine() -> list[dict[str, Any]]:
    """The checks: name, found, ok, and what to do where it is not."""
    checks = [
        _check("python", platform.python_version(), sys.version_info >= (3, 11), "install Python 3.11 or newer"),
        _check(
            "sqlite",
            sqlite3.sqlite_version,
            sqlite3.sqlite_version_info >= (3, 35),
            "install a Python built with SQLite 3.35 or newer",
        ),
    ]
    for name in NEEDED:
        try:
            checks.append(_check(name, version(name), True, ""))
        except PackageNotFoundError:
            checks.append(_check(name, "missing", False, "run: pip install -c constraints.txt -e ."))
    checks.append(_names())
    checks.append(_device())
    checks.append(_embedder())
    return checks


def examine_study(folder: Path) -> list[dict[str, Any]]:
    """The checks of a study's files: its log, wholly, and the replies that were paid for."""
    checks = []
    try:
        with Study.open(folder, writable=False) as study:
            study.check()
            checks.append(_check("log", f"{study.state.seq} events, every digest fits", True, ""))
    except BadInputError as error:
        checks.append(_check("log", "it cannot be read", False, str(error)))
    if (book := folder / calls.FILE).exists():
        try:
            with closing(open_for_reading(book)) as connection:
                fault = find_fault(connection)
        except sqlite3.Error as error:
            fault = str(error)
        do = (
            f"restore {book} from a copy that 'elicit backup' made, or move it away: its replies will be paid for again"
        )
        checks.append(_check("replies", one_line(fault) if fault else "sound", not fault, do if fault else ""))
    return checks


def _check(name: str, value: str, ok: bool, do: str) -> dict[str, Any]:
    return {"name": name, "found": value, "ok": ok, "do": do}


def _names() -> dict[str, Any]:
    """Whether another distribution owns one of our import names; `adapters` is also a package of its own."""
    owners: dict[str, set[str]] = {name: set() for name in OWN}
    for distribution in distributions():
        top = {str(file).split("/")[0] for file in distribution.files or () if "/" in str(file)}
        for name in top & owners.keys():
            owners[name].add(distribution.metadata["Name"])
    clashes = {name: holders - {"elicit-engine"} for name, holders in owners.items() if holders - {"elicit-engine"}}
    if not clashes:
        return _check("import names", "no clash", True, "")
    name, others = next(iter(clashes.items()))
    other = ", ".join(sorted(others))
    do = f"install elicit in an environment of its own, or uninstall {other}"
    return _check("import names", f"{name!r} also belongs to {other}", False, do)


def _device() -> dict[str, Any]:
    import torch

    name = torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    return _check("device", name, True, "")


def _embedder() -> dict[str, Any]:
    from adapters.embedder import NAME, embed

    try:
        embed(["a short text"])
    except ValueError as error:
        return _check("embedder", "broken", False, str(error))
    return _check("embedder", NAME, True, "")
