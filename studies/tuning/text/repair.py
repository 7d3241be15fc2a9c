"""What makes a text a prompt of this study: its places are there, the phrases to keep too, and no stray white space."""

from __future__ import annotations

import re

from elicit.tuning.placeholders import strange_places, with_places, without_places
from elicit.tuning.protocol import INPUT, PLACE, Pool, Rules
from studies.tuning.text.segments import segments


def fields(pool: Pool) -> tuple[str, ...]:
    """The places a prompt of this pool has: those its live prompts use, else all that its inputs could fill."""
    names = tuple(pool.examples[0].fields) if pool.examples else ()
    used = dict.fromkeys(name for prompt in pool.prompts for name in PLACE.findall(prompt.text))
    return tuple(name for name in used if not names or name in names) or names or (INPUT,)


def block(names: tuple[str, ...]) -> str:
    """The places for these fields: one as it is, several with their labels."""
    if len(names) == 1:
        return "{" + names[0] + "}"
    return "\n".join(f"{name.replace('_', ' ').capitalize()}: {{{name}}}" for name in names)


def repair(text: str, names: tuple[str, ...], rules: Rules, parent: str = "") -> str:
    """The text as a prompt with a place for each of the fields, and with the phrases that are to be kept.

    A place is spelled as `with_places` has it. One under another name is renamed where it is the only one that was
    lost; others under strange names become words, unless the parent has them as text. A place that was lost is taken
    over from the parent, its frame with it, or stands at the end. Phrases to keep stand before the part that has the
    first place.
    """
    lines = (re.sub(r"(?<=\S)[ \t]+", " ", line).rstrip() for line in text.replace("\r\n", "\n").split("\n"))
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    if not text:
        return ""
    text = with_places(text, names)
    lost = [name for name in names if f"{{{name}}}" not in text]
    strange = {word: depth for word, depth in strange_places(text, names).items() if f"{{{word}}}" not in parent}
    doubled = [word for word, depth in strange.items() if depth > 1]
    renamable = doubled or list(strange)
    if len(lost) == len(renamable) == 1:
        text = with_places(text, names, {renamable[0]: lost[0]})
        lost, doubled = [], []
    text = without_places(text, list(strange) if lost else doubled)
    if lost:
        frame = [part.strip() for part in segments(parent) if any(f"{{{name}}}" in part for name in lost)]
        whole = "\n".join(frame)
        if any(f"{{{name}}}" not in whole for name in lost) or any(len(part.split()) > 12 for part in frame):
            whole = block(tuple(lost))
        text = f"{text}\n\n{whole}"
    if missing := [phrase for phrase in rules.keep if phrase not in text]:
        parts = segments(text)
        row = next((row for row, part in enumerate(parts) if PLACE.search(part)), len(parts))
        head = "".join(parts[:row]).rstrip()
        text = "\n\n".join(part for part in (head, "\n".join(missing), "".join(parts[row:])) if part)
    return text
