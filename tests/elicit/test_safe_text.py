"""Text from anywhere becomes visible and harmless, and nothing else changes."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elicit.safe_text import harmless, one_line

# These format characters have a glyph of their own (signs written over or around digits and words).
WITH_GLYPH = {0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x600, 0x606)}
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
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert harmless(text) == shown


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
    shown = harmless(text)
    shown.encode("utf-8")
    for char in shown:
        if char in "\t\n\u200c\u200d" or ord(char) in WITH_GLYPH:
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
