"""The belief of a study, kept beside its log so that a long one is not learnt again at every start.

It can be thrown away at any time: the log is the truth. What is kept names, by a digest, everything it is a function
of: the votes, the specification, what is known of the items, and the code and machine that computed it. Where any of it
differs, the file is ignored and written anew. Replays look at the log alone.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from adapters.files.export import atomic_file
from elicit.log.events import ENGINE
from elicit.types import BadInputError, Vote
from studies.spec import Spec

if TYPE_CHECKING:
    from elicit.engine import Engine

logger = logging.getLogger(__name__)

FILE = "study.belief"
DIGEST_SIZE = 32
CODE = ("elicit", "studies/decisions.py", "studies/items/features.py")
"""What decides how votes become a belief."""


class Heading(msgspec.Struct, frozen=True):
    """What is kept: so many votes of the study, and the digest of all that the belief is a function of."""

    votes: int
    digest: str
    structure: msgspec.Raw


def keep(folder: Path, engine: Engine, spec: Spec) -> None:
    """Write what the engine believes; where that is not possible the study goes on without."""
    from safetensors.torch import save

    from elicit.inference.snapshots import NoSnapshotError

    try:
        votes, snapshot = engine.snapshot()
        heading = Heading(votes, _digest(engine, spec, engine.votes[:votes]), msgspec.Raw(snapshot.structure))
        data = save(snapshot.tensors, {"heading": msgspec.json.encode(heading).decode()})
        with atomic_file(folder / FILE) as file:
            file.write(hashlib.blake2b(data, digest_size=DIGEST_SIZE).digest())
            file.write(data)
    except (NoSnapshotError, BadInputError, OSError) as error:
        logger.info("the belief is not kept: %s", error)


def resume(folder: Path, engine: Engine, spec: Spec, lessons: Sequence[Vote]) -> None:
    """Let a fresh engine hold the first of these votes, as far as the belief after them is kept."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    from elicit.inference.snapshots import NoSnapshotError, Snapshot

    try:
        data = (folder / FILE).read_bytes()
        digest, data = data[:DIGEST_SIZE], data[DIGEST_SIZE:]
        if hashlib.blake2b(data, digest_size=DIGEST_SIZE).digest() != digest:
            raise NoSnapshotError("the file is damaged")
        size = int.from_bytes(data[:8], "little")  # of the JSON with which safetensors begins
        header = msgspec.json.decode(data[8 : 8 + size])
        heading = msgspec.json.decode(header["__metadata__"]["heading"], type=Heading)
        if heading.votes > len(lessons) or heading.digest != _digest(engine, spec, lessons[: heading.votes]):
            raise NoSnapshotError("it is of another log, release or machine")
        engine.resume(lessons[: heading.votes], Snapshot(bytes(heading.structure), load(data)))
    except FileNotFoundError:
        pass
    except (NoSnapshotError, OSError, LookupError, msgspec.MsgspecError, SafetensorError) as error:
        logger.info("the kept belief is not used: %s", error)


def _digest(engine: Engine, spec: Spec, votes: Sequence[Vote]) -> str:
    """Of all that the belief after these votes is a function of. Raises NoSnapshotError with a user's own model, whose
    file may change at any time."""
    from elicit.inference.snapshots import NoSnapshotError

    if ":" in spec.model:
        raise NoSnapshotError("the model is a user's own")
    parts = (ENGINE, spec.model, spec.model_options, engine.digest(), _machine(), _code(), votes)
    data = msgspec.json.encode(parts, order="deterministic")
    return hashlib.blake2b(data, digest_size=DIGEST_SIZE).hexdigest()


def _machine() -> tuple[str, ...]:
    """What rounds in its own way."""
    import numpy as np
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    threads = str(torch.get_num_threads())
    modes = [f"{name}={os.environ.get(name)}" for name in ("MKL_CBWR", "ATEN_CPU_CAPABILITY")]
    return (
        str(torch.__version__),
        np.__version__,
        platform.machine(),
        platform.processor(),
        capability,
        threads,
        *modes,
    )


@cache
def _code() -> str:
    """The digest of the code that computes beliefs: a change of it need not be remembered by anybody."""
    root = Path(__file__).parents[2]
    digest = hashlib.blake2b(digest_size=DIGEST_SIZE)
    for part in CODE:
        for file in sorted((root / part).rglob("*.py")) if (root / part).is_dir() else [root / part]:
            digest.update(file.read_bytes())
    return digest.hexdigest()
