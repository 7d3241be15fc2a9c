"""Virtual environments for packages that cannot live beside ours, each made once and kept in the user's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import platformdirs
from filelock import FileLock

from elicit.types import BadInputError
from studies.commands.options import say

PYTHON = ">=3.11,<3.13"  # what the peers' wheels exist for


def environment(name: str, requirements: Sequence[str]) -> Path:
    """The Python of the environment `name`; the environment is made first where it is not there, not whole, or made
    for other requirements. Only wheels are installed, with uv where there is one, else with this Python's venv and pip,
    from where their own settings say.

    Raises BadInputError where the cache cannot be written or a package cannot be installed.
    """
    folder = platformdirs.user_cache_path("elicit", appauthor=False) / "peers" / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    mark, wanted = folder / "ready", "\n".join(requirements)

    def ready() -> bool:
        return python.exists() and mark.is_file() and mark.read_text() == wanted

    if not ready():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_suffix(".lock")):
                if not ready():
                    say(f"\nelicit: installing {', '.join(requirements)} into {folder}, once")
                    shutil.rmtree(folder, ignore_errors=True)
                    _make(folder, python, requirements)
                    mark.write_text(wanted)
        except OSError as error:
            raise BadInputError(
                f"{folder} cannot be made ({error.strerror}); set XDG_CACHE_HOME to a folder that can be written"
            ) from None
    return python


def _make(folder: Path, python: Path, requirements: Sequence[str]) -> None:
    settings = dict(os.environ)
    wheels = ["--only-binary", ":all:"]
    if uv := shutil.which("uv"):
        # uv does not read pip's settings, and a machine may keep its wheels where only pip is told of.
        settings.setdefault("UV_FIND_LINKS", settings.get("PIP_FIND_LINKS", ""))
        create_command = [uv, "venv", "--quiet", "--python", PYTHON, str(folder)]
        install_command = [uv, "pip", "install", "--quiet", "--python", str(python), *wheels, *requirements]
    else:
        create_command = [sys.executable, "-m", "venv", str(folder)]
        install_command = [str(python), "-m", "pip", "install", "--quiet", *wheels, *requirements]
    for command in (create_command, install_command):
        process = subprocess.run(command, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if process.returncode:
            output = " ".join(
                (process.stderr.strip() or process.stdout.strip() or f"exit code {process.returncode}").split()
            )
            raise BadInputError(
                f"{requirements[0]} could not be installed into {folder} ({output}); "
                "see to the network and the package tool's settings, or leave its methods out"
            )
