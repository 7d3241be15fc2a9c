"""Text from anywhere becomes visible and harmless, and nothing else changes."""

from __future__ import annotations

import re
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elicit.safe_text import harmless, one_line, percent, quantity

# These format characters have a glyph of their own (signs written over or around digits and words).
WITH_GLYPH = {0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x600, 0x606)}
# These stay where a language is written with them, which the examples below say.
WRITTEN = {"\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u061c", *map(chr, range(0x180B, 0x1810)), "\u180e"}
WRITTEN |= set(map(chr, range(0xE0030, 0xE0080)))
ANY_TEXT = st.text(st.characters(exclude_categories=()) | st.sampled_from("\x1b\r\n\t\u202e\u200d\u200c\ufeff"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with ünïcode and 漢字", "plain, with ünïcode and 漢字"),
        ("a\tb\nc", "a\tb\nc"),
        ("a\r\nb\rc", "a\nb␍c"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("\x9b2J", "⟨U+009B⟩2J"),
        ("bell\x07 null\x00 del\x7f", "bell␇ null␀ del␡"),
        ("abc\u202efed", "abc⟨U+202E⟩fed"),
        ("zero\u200bwidth \ufeff", "zero⟨U+200B⟩width ⟨U+FEFF⟩"),
        ("tag \U000e0041", "tag ⟨U+E0041⟩"),
        ("half \ud83d", "half ⟨U+D83D⟩"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("a\u200cb", "a⟨U+200C⟩b"),
        ("👍\u200d", "👍⟨U+200D⟩"),
        ("\u200d👍", "⟨U+200D⟩👍"),
        ("🏴\U000e0041", "🏴⟨U+E0041⟩"),
        ("🏴\U000e0067\U000e0062", "🏴⟨U+E0067⟩⟨U+E0062⟩"),
        ("abc\u200f!", "abc⟨U+200F⟩!"),
        ("ขาย\u200b!", "ขาย⟨U+200B⟩!"),
        ("\u3402\ufe00\ufe01", "\u3402⟨U+FE00⟩⟨U+FE01⟩"),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert harmless(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "👩\u200d👩\u200d👧\u200d👦",
        "🏳\ufe0f\u200d🌈 ❤\ufe0f\u200d🔥",
        "👩🏽\u200d🚀 🧑\u200d⚕\ufe0f",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "ශ\u200d්\u200dරී ලංකාව",
        "क्\u200dष க்\u200cஷ",
        "ភាសា\u200bខ្មែរ កា\u17b4",
        "สวัสดี\u200bครับ ພາສາ\u200bລາວ မြန်မာ\u200bစာ",
        "שלום\u200f! (אבג)\u200f\u05d3 יְרוּשָׁלַ\u034f\u05b4ם",
        "سلام\u200e 123 ن\u200cمی",
        "ᠮᠣᠩᠭᠣᠯ\u180b",
        "葛\U000e0100城 〱\ufe00",
        "ᄀ\u1160 \u115fᅡ",
    ],
)
def test_what_a_language_or_an_emoji_is_written_with_stays(text: str) -> None:
    assert harmless(text) == text


def test_covers_every_control_and_format_character() -> None:
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        category = unicodedata.category(char)
        if char in "\t\n" or code in WITH_GLYPH:
            assert harmless(char) == char
        elif category in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            assert harmless(char) != char, f"U+{code:04X}"


@given(ANY_TEXT)
def test_nothing_unsafe_is_left(text: str) -> None:
    """Characters that stay have a visible neighbour that they act on; runs of them never do."""
    shown = harmless(text)
    shown.encode("utf-8")
    for char in shown:
        if char in "\t\n" or ord(char) in WITH_GLYPH or char in WRITTEN:
            continue
        assert unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(ANY_TEXT)
def test_twice_is_once(text: str) -> None:
    assert harmless(harmless(text)) == harmless(text)


@given(
    st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters="\u115f\u1160\u3164\uffa0\u2800"))
)
def test_visible_text_stays(text: str) -> None:
    assert harmless(text) == text


@given(ANY_TEXT)
def test_one_line_is_one_line(text: str) -> None:
    line = one_line(text)
    assert line
    assert len(line.splitlines()) == 1


def test_one_line_of_nothing() -> None:
    assert one_line(" \n\t ") == "(empty)"


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [(0, "vote", "0 votes"), (1, "row", "1 row"), (2, "row", "2 rows"), (3, "query", "3 queries")],
)
def test_a_number_agrees_with_its_noun(number: int, noun: str, said: str) -> None:
    assert quantity(number, noun) == said


@given(st.floats(0, 1), st.integers(0, 2))
def test_a_share_in_per_cent_says_none_or_all_only_where_it_is(share: float, places: int) -> None:
    told = percent(share, places)
    assert re.fullmatch(r"[<>]?\d+(\.\d+)? %", told)
    assert (float(told.strip("<> %")) == 0) == (share == 0)
    assert (told == percent(1.0, places)) == (share == 1)


def test_no_sentence_spells_a_share_by_itself() -> None:
    """People read one spelling; tables of numbers and the benches' are not sentences."""
    root = Path(__file__).parents[2]
    sources = [
        path
        for package in ("elicit", "studies", "tui", "adapters", "bandits")
        for path in (root / package).rglob("*.py")
    ]
    spelled = [
        path.name for path in sources if "bench" not in path.parts and re.search(r":[^{}\n]*%\}", path.read_text())
    ]
    assert not spelled
