"""Names of people in a study: which may be one, and which look alike, so that nobody is taken for somebody else."""

from __future__ import annotations

import unicodedata
from functools import cache

from elicit.types import BadInputError

LONGEST = 64
"""Characters of a name."""
SIGNS = " .,'’-‐_@+&·・"
"""What a name may have beside letters, their marks, and digits; parentheses are the log's own."""
JOINERS = "\u200c\u200d"
"""What stands between letters in Persian and Indic names and is not seen itself."""


def checked_name(name: str) -> str:
    """The name in one spelling: composed, with single blanks and none around it.

    Raises BadInputError for what cannot be one.
    """
    blank = (" " if unicodedata.category(sign) == "Zs" else sign for sign in unicodedata.normalize("NFC", name))
    name = " ".join(part for part in "".join(blank).split(" ") if part)
    for sign in name:
        if not (unicodedata.category(sign)[0] in "LMN" or sign in SIGNS or sign in JOINERS):
            description = f"{sign!r}" if sign.isprintable() else f"U+{ord(sign):04X}, which is not seen"
            raise BadInputError(
                f"a name cannot have {description}; use letters, digits, blanks, and . , ' - _ @ + & between them"
            )
    if not any(unicodedata.category(sign)[0] in "LN" for sign in name):
        raise BadInputError("a name needs a letter or a digit; say under which you want to vote")
    if len(name) > LONGEST:
        raise BadInputError(f"a name may have {LONGEST} characters, and this one has {len(name)}; shorten it")
    return name


def alike(name: str, other: str) -> bool:
    """Whether people may take one for the other: other case, width or script, unseen signs."""
    return not _looks(name).isdisjoint(_looks(other))


@cache
def _looks(name: str) -> frozenset[str]:
    """What a name looks like as it is written, and in small letters: of the two, scripts share other signs."""
    return frozenset({_skeleton(name.casefold()), _skeleton(_skeleton(name).casefold())})


def _skeleton(name: str) -> str:
    """The signs that others are like, in place of these (UTS #39, with compatible signs taken together)."""
    decomposed = unicodedata.normalize("NFKD", name)
    visible = (sign for sign in decomposed if unicodedata.category(sign) != "Cf")
    likened = unicodedata.normalize("NFKD", "".join(_prototype(sign) for sign in visible)).casefold()
    return likened.replace("i\u0307", "i")  # the dot that a Turkish capital keeps in small letters


def _prototype(sign: str) -> str:
    """What a sign is like; itself where it is like nothing, or others are like it."""
    from confusable_homoglyphs.confusables import confusables_data

    likes = confusables_data.get(sign, ())
    if len(likes) != 1:
        return sign
    other: str = likes[0]["c"].strip("\u200e")
    return other if len(other) > 1 or len(confusables_data.get(other, ())) > 1 else min(sign, other)
