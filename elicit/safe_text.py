"""Making text from anywhere safe to show: nothing in it can move a cursor, hide itself or turn reading order.

What a terminal, a browser or a reader would obey or not see is replaced by something visible:
control characters by their picture (`␛`), invisible ones by their number (`⟨U+202E⟩`). What a language or an emoji is
written with stays as it is.
"""

from __future__ import annotations

import re

# Invisible or directing characters that belong to the writing of a language, where they stand as it has them. Each has
# a visible neighbour that it acts on, and only so many in a row as the script uses, so that none can carry what nobody
# sees: joiners shape letters, and a mark of direction only places what stands beside a letter written right to left.
_JOINED = (
    "\u0590-\u061b\u061d-\u08ff\u0900-\u0fff\u1000-\u109f\u1780-\u17b3\u17b6-\u180a\u1820-\u18af\u1900-\u1aff\u1b00-\u1bff"
    "\ufb1d-\ufdff\ufe70-\ufefc\U00011000-\U00011fff\U0001e900-\U0001e95f"
)
_RIGHT_TO_LEFT = "\u0590-\u05ff\u0620-\u06dc\u06de-\u08e1\u08e3-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U0001e900-\U0001e95f"
_UNSPACED = "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17b3\u17b6-\u17ff\u1950-\u19ff\u1a20-\u1aad"
_KHMER, _MONGOLIAN = "\u1780-\u17b3\u17b6-\u17ff", "\u1820-\u18af"
_EMOJI = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\U0001f000-\U0001faff"
)
_VARIED = (
    "\u1000-\u109f\u2200-\u22ff\u2a00-\u2aff\u3000-\u30ff"
    "\u3400-\u9fff\ua840-\ua87f\uf900-\ufaff\ufe30-\ufe4f\uff01-\uff60\U00020000-\U0003ffff"
)
_SELECTORS = "\ufe00-\ufe0d\U000e0100-\U000e01ef"
_WRITTEN = "|".join(
    (
        f"(?<=[{_JOINED}])[\u200c\u200d](?=[{_JOINED}])",
        f"(?<=[{_EMOJI}\ufe0f])\u200d(?=[{_EMOJI}])",
        "(?<=\U0001f3f4)[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f",  # the flag of a region
        f"(?<=[{_UNSPACED}])\u200b(?=[{_UNSPACED}])",  # between words
        f"(?<=[{_RIGHT_TO_LEFT}])[\u200e\u200f\u061c](?![\u200e\u200f\u061c])",
        f"(?<![\u200e\u200f\u061c])[\u200e\u200f\u061c](?=[{_RIGHT_TO_LEFT}])",
        "(?<=[\u0591-\u05c7])\u034f(?=[\u0591-\u05c7])",  # keeps Hebrew points in their order
        f"(?<=[{_KHMER}])[\u17b4\u17b5](?![\u17b4\u17b5])",
        f"(?<=[{_MONGOLIAN}])[\u180b-\u180f](?![\u180b-\u180f])",
        "\u115f(?=[\u1161-\u11a7])|(?<=[\u1100-\u115e])\u1160(?![\u1160\u115f])",  # half a Korean syllable
        f"(?<=[{_VARIED}])[{_SELECTORS}](?![{_SELECTORS}])",
    )
)

# Ranges are written out because deriving them from unicodedata takes a tenth of a second at import; a test
# compares them with unicodedata. All of: controls (Cc), formats (Cf), surrogates (Cs), line and paragraph
# separators, then blanks and selectors that have another category but can hide text just as well.
_UNSAFE = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164"
    "\ud800-\udfff\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb"
    "\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_PATTERN = re.compile(f"(?P<written>{_WRITTEN})|(?P<crlf>\r\n)|[{_UNSAFE}]")


def _visible(match: re.Match[str]) -> str:
    sign = match.group()
    if match["written"]:
        return sign
    if match["crlf"]:
        return "\n"
    code = ord(sign)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return f"⟨U+{code:04X}⟩"


LONGEST_REASON = 300
"""Characters of what an error says that are told."""


def harmless(text: str) -> str:
    """The text with every control, invisible and direction character made visible.

    Tabs and line ends stay (CRLF becomes one line end); all other text comes back unchanged, so applying
    this twice changes nothing more.
    """
    return _PATTERN.sub(_visible, text)


def one_line(text: str, empty: str = "(empty)") -> str:
    """The harmless text on one line, runs of white space as one blank; `empty` stands for nothing at all."""
    return " ".join(harmless(text).split()) or empty


def full_stop(text: str) -> str:
    """The text with a full stop at its end, where it has no end of its own."""
    return text if not text or text[-1] in ".!?…。！？" else f"{text}."


def describe_error(error: BaseException) -> str:
    """An error's class and what it says, on one line that can be encoded, of `LONGEST_REASON` characters at most."""
    try:
        text = one_line(str(error), empty="")
    except Exception:  # the class is somebody else's, and so is how it tells of itself
        text = ""
    if len(text) > LONGEST_REASON:
        text = text[:LONGEST_REASON] + "…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def quantity(number: int, noun: str) -> str:
    """A number with its noun: `1 vote`, `2 votes`, `3 queries`."""
    several = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{number} {noun if number == 1 else several}"


def percent(share: float, places: int = 0) -> str:
    """A share in per cent, that never says none or all where it is not."""
    least = 10.0**-places
    if 0 < share < least / 100:
        return f"<{least:.{places}f} %"
    if 1 - least / 100 < share < 1:
        return f">{100 - least:.{places}f} %"
    return f"{100 * share:.{places}f} %"


def limit_in_percent(share: float) -> str:
    """A share that was asked for, in per cent, as it was set."""
    return f"{100 * share:.6g} %"


def share_in_percent(share: float, limit: float) -> str:
    """A share in per cent, with as many decimals as show on which side of `limit` it is."""
    value, limit = round(100 * share, 9), round(100 * limit, 9)
    for places in range(4):
        rounded = round(value, places)
        if (rounded > limit, rounded < limit) == (value > limit, value < limit):
            return f"{value:.{places}f} %"
    return f"{value:.4f} %"
