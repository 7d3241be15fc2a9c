"""Making text from anywhere safe to show: nothing in it can move a cursor, hide itself or turn reading order.

What a terminal, a browser or a reader would obey or not see is replaced by something visible:
control characters by their picture (`␛`), invisible ones by their number (`⟨U+202E⟩`).
"""

from __future__ import annotations

import re

# Invisible or directing characters that may be meant: a joiner inside Arabic or Indic words shapes letters.
_JOINERS = "\u200c\u200d"
_JOINED_SCRIPTS = "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\u0900-\u0dff\ufb50-\ufdff\ufe70-\ufefc"

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
_PATTERN = re.compile(
    f"(?P<joined>(?<=[{_JOINED_SCRIPTS}])[{_JOINERS}](?=[{_JOINED_SCRIPTS}]))|(?P<crlf>\r\n)|[{_UNSAFE}]"
)


def _visible(match: re.Match[str]) -> str:
    found = match.group()
    if match["joined"]:
        return found
    if match["crlf"]:
        return "\n"
    code = ord(found)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return f"⟨U+{code:04X}⟩"


def harmless(text: str) -> str:
    """The text with every control, invisible and direction character made visible.

    Tabs and line ends stay (CRLF becomes one line end); all other text comes back unchanged, so applying
    this twice changes nothing more.
    """
    return _PATTERN.sub(_visible, text)


def one_line(text: str, empty: str = "(empty)") -> str:
    """The harmless text on one line, runs of white space as one blank; `empty` stands for nothing at all."""
    return " ".join(harmless(text).split()) or empty
