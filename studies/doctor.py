"""`elicit doctor`: what is installed, what it runs on, and what to do where something is wrong."""

from __future__ import annotations

import platform
import sqlite3
import sys
from importlib.metadata import PackageNotFoundError, distributions, version
from typing import Any

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


def _check(name: str, found: str, ok: bool, do: str) -> dict[str, Any]:
    return {"name": name, "found": found, "ok": ok, "do": do}


def _names() -> dict[str, Any]:
    """Whether another distribution owns one of our import names; `adapters` is also a package of its own."""
    owners: dict[str, set[str]] = {name: set() for name in OWN}
    for distribution in distributions():
        top = {str(file).split("/")[0] for file in distribution.files or () if "/" in str(file)}
        for name in top & owners.keys():
            owners[name].add(distribution.metadata["Name"])
    clashes = {name: found - {"elicit-engine"} for name, found in owners.items() if found - {"elicit-engine"}}
    if not clashes:
        return _check("import names", "no clash", True, "")
    name, others = next(iter(clashes.items()))
    other = ", ".join(sorted(others))
    do = f"install elicit in an environment of its own, or uninstall {other}"
    return _check("import names", f"{name!r} also belongs to {other}", False, do)


def _device() -> dict[str, Any]:
    import torch

    found = torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    return _check("device", found, True, "")


def _embedder() -> dict[str, Any]:
    from adapters.embedder import NAME, embed

    try:
        embed(["a short text"])
    except ValueError as error:
        return _check("embedder", "broken", False, str(error))
    return _check("embedder", NAME, True, "")
