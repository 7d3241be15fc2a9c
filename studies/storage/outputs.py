"""Where a command's output may go: never over what a study is made of."""

from __future__ import annotations

import re
from pathlib import Path

from adapters import server_address
from adapters.access import FILE as ACCESS
from adapters.files import images
from adapters.ledger import LIVE, LOCK
from elicit import diagnostics
from elicit.types import BadInputError
from studies import spec as specs
from studies.storage import forgetting, kept_belief

OWN = (*LIVE, ACCESS, LOCK, specs.FILE, kept_belief.FILE, forgetting.INTENT, diagnostics.FILE, *server_address.FILES)
"""How the names of a study's own files begin; SQLite keeps more beside each database."""


def check_output(path: str | Path) -> None:
    """Raises BadInputError where writing to `path` would replace a file that a study is made of: its own, a picture,
    or one that its specification names, such as golds or a plug-in."""
    try:
        target = Path(path).resolve()
        pictures = target.parent.name == images.FOLDER
        folder = target.parent.parent if pictures else target.parent
        text = (folder / specs.FILE).read_text(encoding="utf-8", errors="replace")
    except (OSError, RuntimeError, ValueError):
        return  # no study, or a path that leads nowhere, of which writing it tells
    named = re.search(rf"[\"'/\\]{re.escape(target.name)}[\"':]", text) is not None and target.exists()
    if pictures or named or target.name.startswith(OWN):
        raise BadInputError(f"{path} is a file that the study in {folder} is made of; choose another name")
