"""A study's folder: how it is made, read and copied."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from adapters import server_address
from adapters.access import FILE as ACCESS
from adapters.files import images
from adapters.files.export import TEMPORARY
from adapters.files.formats import PairRow
from adapters.ledger import FILE, LIVE, LOCK, MISSING, RESTORE, SqliteLedger
from elicit import diagnostics
from elicit.arithmetic import requested_code_path
from elicit.log.events import (
    ENGINE,
    SCHEMA,
    AnyBody,
    Created,
    EngineChanged,
    Event,
    InputsAdded,
    ItemsAdded,
    PairsAdded,
    SpecChanged,
)
from elicit.log.ledger import Ledger
from elicit.log.state import State
from elicit.tuning.protocol import Input
from elicit.types import BadInputError, Item
from studies import spec as specs
from studies.items.candidates import candidates, prompts
from studies.items.features import knowledge_of
from studies.spec import Spec
from studies.storage import forgetting
from studies.storage.atomic_folder import atomic_folder

logger = logging.getLogger(__name__)


def make(
    folder: Path,
    items: Iterable[Item | str | Mapping[str, Any]] | None,
    pairs: Sequence[PairRow] | None,
    inputs: Sequence[Input],
    spec: Mapping[str, Any],
) -> None:
    """Write the specification and the log of a new study; as `studies.study.Study.create`."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        hint = ", or vote in it with 'elicit vote'" if (folder / specs.FILE).is_file() else ""
        raise BadInputError(f"{folder} already exists; choose another name" + hint)
    rows, listed = prompts(items, inputs) if spec.get("tuning") else candidates(items, pairs)
    fields = {"title": folder.resolve().name, "goal": "label" if listed else "best", **msgspec.to_builtins(spec)}
    if (fields["goal"] == "label") != bool(listed):
        raise BadInputError("goal 'label' goes with pairs, goals 'best', 'top' and 'rank' go with items")
    try:
        checked = specs.convert(fields, len(rows))
    except msgspec.ValidationError as error:
        raise BadInputError(f"a study cannot be made with this: {error}") from None
    specs.load_plugins(checked, ("judges", "tuning"))
    if checked.tuning is not None and checked.tuning.input:
        rows = [msgspec.structs.replace(row, context=checked.tuning.input) for row in rows]
    if len(rows) > 1:
        knowledge_of(rows, checked.embedder, checked.scores)
    with atomic_folder(folder) as part:
        stored_items = tuple(images.keep(rows, part))
        created = Created(SCHEMA, ENGINE, msgspec.to_builtins(checked), requested_code_path())
        bodies: list[AnyBody] = [created, ItemsAdded(stored_items)]
        (part / specs.FILE).write_text(specs.dumps(checked), encoding="utf-8")
        ledger = SqliteLedger(part, writable=True)
        bodies += [PairsAdded(tuple(listed))] if listed else []
        ledger.append([*bodies, InputsAdded(tuple(inputs))] if inputs else bodies)
        ledger.close()


def load(folder: Path, writable: bool, beside: bool) -> tuple[Ledger, State, Spec]:
    """The open log, what it comes to, and the specification, an edit of it recorded; as `studies.study.Study.open`."""
    if not (folder / specs.FILE).is_file():
        raise BadInputError(f"{folder} is not a study: it has no {specs.FILE}; make one with 'elicit init'")
    if not (folder / FILE).is_file():  # an empty log in its place would hide what is missing
        raise BadInputError(f"{folder} has no {FILE}, {MISSING}")
    ledger = SqliteLedger(folder, writable=writable, beside=beside)
    try:
        if writable and not beside:
            forgetting.finish(folder, ledger)
        state = State()
        for event in ledger.read():
            _fold(state, event, folder)
        if not state.items and not state.spec.get("tuning"):
            raise BadInputError(f"{folder / LIVE[0]} is damaged: the log has no items; {RESTORE}")
        before = specs.convert(state.spec)
        if not writable:
            return ledger, state, specs.for_reading(before, folder / specs.FILE)
        if beside:  # an edit takes effect when the writer opens the study again
            return ledger, state, before
        spec = specs.read(folder / specs.FILE)
        bodies: list[AnyBody] = []
        if changed := specs.changes(before, spec, len(state.votes)):
            specs.load_plugins(spec, changed)
            bodies.append(SpecChanged(msgspec.to_builtins(spec), changed))
        if (state.engine, state.code_path) != (ENGINE, requested_code_path()):
            bodies.append(EngineChanged(ENGINE, requested_code_path()))
        if bodies:
            ledger.append(bodies)
        logger.info(
            "opened: elicit %s, engine %s, %d votes, process %s",
            diagnostics.VERSION,
            ENGINE,
            len(state.votes),
            sys.argv[0],
        )
        for event in ledger.read(state.seq):  # another process of this study may have written in between
            state.fold(event)
    except BaseException:
        ledger.close()
        raise
    return ledger, state, spec


def _fold(state: State, event: Event, folder: Path) -> None:
    """Take in the next event. Raises BadInputError where it does not follow from those before it."""
    try:
        state.fold(event)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, BadInputError):
            raise
        place = f"{folder / LIVE[0]} is damaged at event {event.seq} ({type(error).__name__}: {error})"
        raise BadInputError(f"{place}; {RESTORE}") from error


def copy(folder: Path, ledger: Ledger, target: Path) -> None:
    """Copy a study that may be in use, but for who has access to it; as `studies.study.Study.backup`."""
    if target.exists():
        raise BadInputError(f"{target} already exists; choose another name for the backup")
    if folder.resolve() in target.resolve().parents:
        raise BadInputError(f"{target} is inside the study itself; choose a place elsewhere for the backup")
    with atomic_folder(target) as part:
        ledger.backup(part)
        for file in folder.iterdir():
            passed = (*LIVE, ACCESS, LOCK, TEMPORARY, diagnostics.FILE, *server_address.FILES)
            if file.is_file() and not file.name.startswith(passed):
                shutil.copyfile(file, part / file.name)
        if (pictures := folder / images.FOLDER).is_dir():
            shutil.copytree(pictures, part / images.FOLDER)
