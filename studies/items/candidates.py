"""What a study is made of: items, or pairs of responses whose texts become items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from adapters.files.formats import PairRow, items_of
from elicit.tuning.placeholders import checked_prompt
from elicit.tuning.protocol import Input
from elicit.types import BadInputError, Item


def candidates(
    items: Iterable[Item | str | Mapping[str, Any]] | None, pairs: Sequence[PairRow] | None
) -> tuple[list[Item], list[tuple[str, int, int]]]:
    """The items of a study and its listed pairs (id, row of a, row of b).

    Raises BadInputError where both or none are given, or the items do not belong together.
    """
    if (items is None) == (pairs is None):
        raise BadInputError("a study is made of items or of pairs; give one of them")
    if isinstance(items, str):
        raise BadInputError("items is a text; give a list of items (adapters.files.formats.read_items reads a file)")
    if pairs is None:
        rows = items_of(items or ())
        contexts = {item.context for item in rows}
        if len(contexts) > 1:
            raise BadInputError(
                f"the items have {len(contexts)} different contexts, but all are compared with each other; "
                "give them one context, or give pairs"
            )
        return rows, []
    rows, places, listed = [], {}, []
    for pair in pairs:
        ends = []
        for side, text in (("a", pair.response_a), ("b", pair.response_b)):
            content = (pair.prompt, text, pair.same_text and (pair.pair_id, side))
            if content not in places:
                places[content] = len(rows)
                rows.append(Item(f"{pair.pair_id}/{side}", text, context=pair.prompt, meta=pair.meta))
            ends.append(places[content])
        listed.append((pair.pair_id, ends[0], ends[1]))
    return rows, listed


def prompts(
    items: Iterable[Item | str | Mapping[str, Any]] | None, inputs: Sequence[Input]
) -> tuple[list[Item], list[tuple[str, int, int]]]:
    """The first prompts of a study that tunes them, none where proposers are to begin; and no pairs.

    Raises BadInputError where no input is left to vote on, or nothing would fill a place of a prompt.
    """
    if inputs and all(entry.held_out for entry in inputs):
        raise BadInputError("all inputs are held out; leave some to vote on")
    rows = []
    for number, item in enumerate(items or (), start=1):
        if not isinstance(item, Item):
            item = Item(f"p{number}", item) if isinstance(item, str) else items_of([item, "-"])[0]
        if not item.text.strip():
            raise BadInputError(f"prompt {number} is empty; write it, or leave it out")
        if inputs:
            text = checked_prompt(item.text, list(inputs[0].fields), f"prompt {number}")
            item = msgspec.structs.replace(item, text=text)
        rows.append(item)
    return rows, []
