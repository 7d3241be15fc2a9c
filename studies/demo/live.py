"""The live demo: prompt tuning with a small language model on this machine, on the built-in sentiment task."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from elicit.types import BadInputError
from studies import spec as specs
from studies.study import Study
from studies.tuning.setup import EXAMPLE, setup_of

VOTES = 40
# The model is too small to rewrite prompts, so a grid and splicing propose them. It reads slowly: one call at a time.
CHANGES = {"start": 16, "grow": 4, "screen": 3, "proposers": ["slots", "crossover"], "writer": "none"}
HOW = {"model": "smollm2-135m", "max_tokens": 16, "concurrency": 1}
JUDGE = {"name": "simulated", "kind": "reference", "options": {"strength": 3.0}, "person": True}


def open_live(folder: Path, url: str, votes: int | None, seed: int) -> None:
    """Make the study, or let the one that is there ask the model at its new address.

    Raises BadInputError where the folder holds something else.
    """
    file = folder / specs.FILE
    if file.exists():
        text = file.read_text(encoding="utf-8")
        if specs.read(file).tuning is None:
            raise BadInputError(f"{folder} holds another study; give the demo another --folder")
        file.write_text(re.sub(r'"http://127\.0\.0\.1:\d+/v1"', f'"{url}"', text), encoding="utf-8")
        return
    values = tomllib.loads(EXAMPLE.read_text(encoding="utf-8")) | CHANGES
    values["target"] |= HOW | {"endpoint": url}
    values |= {"votes": votes or VOTES, "seed": seed, "judges": [JUDGE], "title": "Demo: the sentiment of film reviews"}
    setup = setup_of(values, EXAMPLE.parent, str(EXAMPLE))
    Study.create(folder, items=setup.items, inputs=setup.inputs, **setup.spec).close()
