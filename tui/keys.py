"""The keys and the words for them: what the screens, the help and the plain mode share."""

from __future__ import annotations

from typing import NamedTuple

from elicit.safe_text import full_stop, one_line

OPENING = "Starting the engine"
"""What is being done until the first pair comes, on this machine."""


class KeyVote(NamedTuple):
    """What a voting key says: which side, and how strongly."""

    choice: str
    strength: int | None = None


VOTES: dict[str, KeyVote] = {
    "left": KeyVote("left"),
    "h": KeyVote("left"),
    "right": KeyVote("right"),
    "l": KeyVote("right"),
    "1": KeyVote("left", 3),
    "2": KeyVote("left", 2),
    "3": KeyVote("left", 1),
    "4": KeyVote("tie"),
    "5": KeyVote("right", 1),
    "6": KeyVote("right", 2),
    "7": KeyVote("right", 3),
    "equals_sign": KeyVote("tie"),
    "0": KeyVote("both_bad"),
    "s": KeyVote("skip"),
}
"""Key name -> vote."""

_STRENGTH = {1: "slightly better", 2: "clearly better", 3: "far better"}
_CHOICE = {"left": "LEFT", "right": "RIGHT", "tie": "tie", "both_bad": "both bad", "skip": "skipped"}

Sections = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""Sections of (key, what it does)."""

HELP: Sections = (
    (
        "Vote",
        (
            ("← or h", "left is better"),
            ("→ or l", "right is better"),
            ("1  2  3", "left far, clearly, slightly better"),
            ("4 or =", "a tie: equally good"),
            ("5  6  7", "right slightly, clearly, far better"),
            ("0", "both are bad"),
            ("s", "skip this pair"),
            ("u", "undo the last vote, as often as you like"),
        ),
    ),
    (
        "Say more",
        (
            ("r", "reasons for the vote you are about to give"),
            ("n", "a note on this pair"),
            ("g", "the guidelines of this study"),
        ),
    ),
    (
        "Read",
        (
            ("j  k", "scroll both texts down, up (↓ ↑ too)"),
            ("J  K", "scroll the right text alone"),
            ("PgDn PgUp", "scroll both by a page"),
            ("d", "mark the differing words, or not"),
            ("z", "zoom: both, left alone, right alone"),
            ("Tab Space", "flip to the other text when one shows"),
            ("p", "the whole prompt"),
            ("o", "open the pictures, where there are any"),
        ),
    ),
    (
        "Go to",
        (
            ("F1 or ?", "this help"),
            ("F2", "overview: ranking and progress"),
            ("F3", "history: your votes, and why each pair"),
            ("F4 or Esc", "back to voting"),
            ("F5", "router: who answers, at what cost"),
            ("q", "quit; every vote is saved already"),
        ),
    ),
)
"""The keys of every study."""

TUNED_HELP = (
    "Prompts (F6)",
    (
        ("j  k", "the next, the previous prompt"),
        ("J  K", "scroll its text down, up"),
        ("d Enter", "what was changed in it, or its text"),
        ("t", "changed from what: parent, seed, best"),
        ("e", "edit it: the result joins as a new prompt"),
        ("n", "write a new prompt"),
        ("p", "pin it: it stays whatever comes; or unpin it"),
        ("x", "retire it, or bring it back"),
        ("g", "have new prompts made now"),
        ("c  z", "copy its text; zoom in on it"),
        ("v or Esc", "back to voting"),
    ),
)
TUNED_PLACE = ("F6", "prompts: how they stand, what changed in them")
GUARDED_HELP = (("[  ]", "the left, the right is unacceptable, or not"), ("b", "the same for one side after the other"))


def help_of(tuned: bool, guarded: bool) -> Sections:
    """The keys that a study has."""
    vote, more, read, places = HELP
    if guarded:
        more = (more[0], (*more[1], *GUARDED_HELP))
    if not tuned:
        return (vote, more, read, places)
    read = (read[0], tuple((key, "the whole input" if key == "p" else words) for key, words in read[1]))
    places = (places[0], (*places[1][:-1], TUNED_PLACE, places[1][-1]))
    return (vote, more, read, places, TUNED_HELP)


def vote_keys(
    tuned: bool, guarded: bool, wide: bool
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """What the bottom line of the voting screen names: keys, and places to go to."""
    vote, bad, skip, undo, keys = ("← →", "vote"), ("0", "both bad"), ("s", "skip"), ("u", "undo"), ("?", "keys")
    reasons, note, diff, zoom = ("r", "reasons"), ("n", "note"), ("d", "diff"), ("z", "zoom")
    refuse = ("[ ]", "unacceptable")
    places = with_board((("F2", "overview"), ("F3", "history"), ("q", "quit")), tuned, wide=False)
    if guarded:
        return (vote, bad, skip, undo, refuse, reasons, note, keys) if wide else (vote, undo, refuse, keys), places
    return (vote, bad, skip, undo, reasons, note, diff, zoom, keys) if wide else (vote, bad, skip, undo, keys), places


def with_board(places: tuple[tuple[str, str], ...], tuned: bool, wide: bool) -> tuple[tuple[str, str], ...]:
    """The places that a bottom line names, the board among them where there is one: beside the others, or, on a narrow
    line, instead of the last before quitting."""
    if not tuned:
        return places
    *others, last, leave = places
    return (*others, *((last,) if wide else ()), ("F6", "prompts"), leave)


def vote_in_words(choice: str, strength: int | None = None) -> str:
    """A vote in words: "LEFT, clearly better"."""
    words = _CHOICE.get(choice, choice)
    return f"{words}, {_STRENGTH[strength]}" if strength in _STRENGTH else words


def unacceptable_in_words(sides: tuple[str, ...]) -> str:
    """The sides that must not be, in words: "LEFT unacceptable"; nothing where there is none."""
    names = " and ".join(_CHOICE[side] for side in ("left", "right") if side in sides)
    return f"{names} unacceptable" if names else ""


def extras_in_words(reasons: tuple[str, ...], note: str, sides: tuple[str, ...]) -> str:
    """What goes with the vote to come."""
    parts = (", ".join(one_line(reason) for reason in reasons), "a note" if note else "", unacceptable_in_words(sides))
    return "; ".join(part for part in parts if part)


def sentence(text: str) -> str:
    """Words from elsewhere as one harmless sentence: a capital first, a full stop last; nothing stays nothing."""
    line = one_line(text, empty="")
    if not line:
        return ""
    return full_stop(line[0].upper() + line[1:])


def farewell(votes: int) -> str:
    """What is said on leaving."""
    count = "1 vote" if votes == 1 else f"{votes} votes"
    return f"Everything is saved: {count} in this session. The same command goes on from here."
