"""How places for an input's fields are spelled by other tools and by models that write, and what they mean here.

A place is `{name}`. Others write `{{name}}` (promptfoo, Langfuse, Jinja, Handlebars), `{ name }`, `${name}`, `{NAME}`,
`<name>` or `[name]`. Braces that hold anything else, such as a JSON example, are text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from elicit.types import BadInputError

_BRACES = re.compile(r"(?P<dollars>\$*)(?P<open>\{+)(?P<blank>\s*)\$?\s*(?P<name>\w+)\s*(?P<close>\}+)")
_BRACKETS = re.compile(r"<{1,2}[ \t]*(\w+)[ \t]*/?>{1,2}|\[{1,2}[ \t]*(\w+)[ \t]*\]{1,2}(?!\()")
# A filter, a field of a field, a call, a block; no example in JSON, which has a quote or a colon there.
_EXPRESSION = re.compile(
    r"\{\{[-~#/>^&!]?\s*[$.@]*[^\W\d][\w.$-]*(?:\s*[|(\[][^{}\n]*| +[^{}\n:,]*)?\s*-?\}\}|\{%[^{}\n]*%\}"
)


def with_places(text: str, names: Sequence[str], meant: Mapping[str, str] | None = None) -> str:
    """The text with each place for one of these names spelled `{name}`, however it was spelled.

    Angle and square brackets are markup more often than places: they are a place only where the name has no other, and
    nothing is closed by it as `</name>`. meant: names that stand for one of the names. Doing it twice is doing it once.
    """
    spellings = {name.casefold(): name for name in reversed(names)} | {name: name for name in names} | dict(meant or {})

    def name_of(word: str) -> str | None:
        return spellings.get(word) or spellings.get(word.casefold())

    def replace_braces(match: re.Match[str]) -> str:
        name = name_of(match["name"])
        depth = _depth(match)
        if name is None or (depth == 1 and "\n" in match[0]):  # such as a block of code
            return match[0]
        outer, inner = match["open"][depth:], match["close"][depth:]
        return f"{match['dollars'] if outer else ''}{outer}{{{name}}}{inner}"

    def replace_brackets(match: re.Match[str]) -> str:
        word = match[1] or match[2]
        name = name_of(word)
        if name is None or name in placed or f"</{word.casefold()}>" in closed:
            return match[0]
        return f"{{{name}}}"

    while True:  # what is taken off may lay bare another spelling
        spelled = _BRACES.sub(replace_braces, text)
        placed, closed = {name for name in names if f"{{{name}}}" in spelled}, spelled.casefold()
        spelled = _BRACKETS.sub(replace_brackets, spelled)
        if spelled == text:
            return text
        text = spelled


def checked_prompt(text: str, names: Sequence[str], what: str) -> str:
    """A prompt that a person wrote, with its places as `with_places` spells them.

    Raises BadInputError, which begins with `what`, where `why_not_filled` has a reason.
    """
    if why := why_not_filled(text, names):
        raise BadInputError(f"{what}: {why}")
    return with_places(text, names)


def strange_places(text: str, names: Sequence[str]) -> dict[str, int]:
    """What looks like a place and is none of the names: the word, and how many braces stand around it at most."""
    depths: dict[str, int] = {}
    for place in _BRACES.finditer(text):
        if place["name"] not in names and "\n" not in place[0]:
            depths[place["name"]] = max(_depth(place), depths.get(place["name"], 0))
    return depths


def without_places(text: str, words: Sequence[str]) -> str:
    """The text with what looks like a place for one of these words as the word alone."""
    return _BRACES.sub(lambda match: match["name"] if match["name"] in words else match[0], text)


def why_not_filled(text: str, names: Sequence[str]) -> str:
    """What in a text that a person wrote looks like a place and would not be filled; empty where that is nothing.

    While a name has no place, what looks like one is a slip, also in double braces and expressions where the text has
    its places in double braces; else it is text. An expression that speaks of a name is never text, and a word in
    single braces with blanks inside always is.
    """
    places = ", ".join(f"{{{name}}}" for name in names)
    lost = any(f"{{{name}}}" not in with_places(text, names) for name in names)
    slips = lost or any(_depth(match) > 1 and _is_filled(match, names) for match in _BRACES.finditer(text))
    for name in names:
        if not re.fullmatch(r"\w+", name) and re.search(rf"\{{\s*{re.escape(name)}\s*\}}", text):
            return f"it has the place {{{name}}}, and a field needs a name without blanks or marks; rename the field"
    for match in _BRACES.finditer(text):
        slip = slips if _depth(match) > 1 else lost and not match["blank"]
        if slip and not _is_filled(match, names):
            return (
                f"it has the place {match[0]}, and the inputs have {places}; "
                f"write that, or {{ {match['name']} }} with blanks where it is no place"
            )
    for name in names if lost else ():
        word = re.escape(name)
        spellings = rf"%\({word}\)[sr]|\{{{word}(?:![rsa]|:)[^{{}}\n\"\s]*\}}|\${word}(?!\w)"  # Python's, the shell's
        if foreign := re.search(spellings, text):
            return f"it has {foreign[0]}, and only places such as {places} are filled; write what it means"
    for match in _EXPRESSION.finditer(text):
        speaks = any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", match[0], re.IGNORECASE) for name in names)
        if (speaks or slips) and not _BRACES.fullmatch(match[0]):
            return f"it has the expression {match[0]}, and only places such as {places} are filled; write what it means"
    return ""


def _depth(match: re.Match[str]) -> int:
    return min(len(match["open"]), len(match["close"]))


def _is_filled(match: re.Match[str], names: Sequence[str]) -> bool:
    return match["name"].casefold() in {name.casefold() for name in names}
