"""What a person's name may stand in: the fields of events and of a specification, and how each is rewritten.

Candidates, inputs and responses are what a study is about, and stay as they are.
"""

from __future__ import annotations

import copy
import re
from collections.abc import MutableMapping
from typing import Any

from elicit.log.events import JOINED
from elicit.types import CHOICES

NAMES = ("judge", "by", "proposer")
"""Fields of events that hold a name, or several joined."""
WRITTEN = ("note", "text")
"""Fields that hold what a judge wrote in its own words."""
PROSE = ("note", "text", "why", "reason", "failure", "raw")
"""Fields that may speak of a judge."""
SPEC_PROSE = ("title", "author", "question", "guidelines")
SHORTEST = 3
"""Letters of a name that is looked for in prose: shorter ones are words of many languages."""
OF_JUDGE = "judge:"
"""How the signal of a judge is called."""


def rename(name: str, old: str, new: str) -> str:
    """A name, or names of several who voted together, with `old` replaced by `new`."""
    return JOINED.join(new if part == old else part for part in name.split(JOINED))


def rename_in_prose(text: str, old: str, new: str) -> str:
    """A text with `new` wherever `old` stands as a word of its own."""
    if len(old) < SHORTEST or old in CHOICES or old not in text:
        return text
    start, end = (r"(?<!\w)" if old[0].isalnum() else ""), (r"(?!\w)" if old[-1].isalnum() else "")
    return re.sub(start + re.escape(old) + end, lambda _: new, text)


def rename_in_event(values: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """The plain values of an event without this name, and without what its bearer wrote."""
    own = old in str(values.get("judge", "")).split(JOINED)
    changed = dict(values)
    for field, value in values.items():
        if field == "proposer" and values.get("generation"):
            continue  # a plug-in's
        if field in NAMES:
            changed[field] = rename(value, old, new)
        elif field in WRITTEN and own and value:
            changed[field] = ""
        elif field in PROSE:
            changed[field] = _rename_within(value, old, new)
        elif field == "signals" and isinstance(value, dict):
            changed[field] = {_rename_signal(key, old, new): score for key, score in value.items()}
        elif field == "spec":
            changed[field] = copy.deepcopy(value)  # what is nested in it is renamed in place
            rename_in_spec(changed[field], old, new)
    return changed


def rename_in_spec(spec: MutableMapping[str, Any], old: str, new: str) -> None:
    """Take a name out of a specification, in place: of judges, of the signals named after them, of what people read."""
    for key, value in list(spec.items()):
        if key == "judges":
            for judge in value:
                if judge.get("name") == old:
                    judge["name"] = new
                options = judge.get("options", {})
                if options.get("judge_id") == old:
                    options["judge_id"] = new
        elif key == "signals":
            for place, signal in enumerate(value):
                if (new_signal := _rename_signal(signal, old, new)) != signal:
                    value[place] = new_signal
        elif key in SPEC_PROSE:
            if (new_text := rename_in_prose(str(value), old, new)) != value:
                spec[key] = new_text
        elif isinstance(value, MutableMapping):
            rename_in_spec(value, old, new)


def _rename_within(value: Any, old: str, new: str) -> Any:
    """The same in every text that a plain value holds; keys are ours and stay."""
    if isinstance(value, str):
        return rename_in_prose(value, old, new)
    if isinstance(value, dict):
        return {key: _rename_within(element, old, new) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_rename_within(element, old, new) for element in value)
    return value


def _rename_signal(signal: Any, old: str, new: str) -> Any:
    return OF_JUDGE + new if signal == OF_JUDGE + old else signal
