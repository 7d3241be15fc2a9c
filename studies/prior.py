"""What an earlier study expects of other items: its utility model's prediction enters the new study as a score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from elicit.types import BadInputError, Item

PRIOR = "prior"
"""The name of the feature that holds the prediction."""


def expected_by(folder: Path, items: Sequence[Item]) -> list[Item]:
    """The items, each with the utility that the study in `folder` expects of it, in logits, as its feature "prior".

    Raises BadInputError where there is no such study, or its model knows nothing of items like these.
    """
    from studies.decisions import engine_for, engine_votes
    from studies.study import Study

    if any(PRIOR in item.features for item in items):
        raise BadInputError(f"the items have a feature {PRIOR!r} already; give it another name")
    with Study.open(folder, writable=False) as study:
        state, spec = study.state, study.spec
        names = state.items[0].features
        places = {item.text or item.content_hash: row for row, item in enumerate(state.items)}
        rows: list[int] = []
        more: list[Item] = []
        for item in items:
            row = places.get(item.text or item.content_hash, len(state.items) + len(more))
            rows.append(row)
            if row < len(state.items):
                continue
            if missing := [name for name in names if name not in item.features]:
                raise BadInputError(
                    f"item {item.id!r} has no feature {missing[0]!r}, by which {folder} knows its items"
                )
            more.append(msgspec.structs.replace(item, features={name: item.features[name] for name in names}))
        engine = engine_for(spec, state, more)
        if engine.ids_only and more:
            raise BadInputError(
                f"{folder} knows its items by their ids only and expects nothing of others, such as {more[0].id!r}; "
                "leave out --prior"
            )
        engine.learn(engine_votes(state))
    mean, _ = engine.utilities()
    return [
        msgspec.structs.replace(item, features={**item.features, PRIOR: round(float(mean[row]), 6)})
        for item, row in zip(items, rows, strict=True)
    ]
