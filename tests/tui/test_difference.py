"""The difference of two texts, and its marks on rendered lines."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.difference import DIFFERENT, SHARED, Span, difference, mark, plain_text
from tui.render import RenderJob, lay_out, spread

WORDS = st.lists(st.sampled_from(["the", "cat", "Dog", "sat,", "on", "漢字", "a-b", "it's", "\n", "**x**", "`y`"])).map(
    " ".join
)
TEXTS = WORDS | st.text()


def cut(text: str, spans: tuple[Span, ...]) -> list[str]:
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize(
    ("left", "right", "only_left", "only_right"),
    [
        ("the cat sat down there", "the dog sat down there", ["cat"], ["dog"]),
        ("one two three four", "one two three four", [], []),
        ("one two three four", "one two brand new three four", [], ["brand new"]),
        ("keep it simple, please", "keep it simple please", [","], []),
        ("今日は晴れです", "今日は雨です", ["晴れ"], ["雨"]),
        ("", "new", [], ["new"]),
        # an "of the" between sentences that differ throughout is no common ground
        (
            "begin: large apples of green trees",
            "begin: small pears of yellow bushes",
            None,
            ["small pears of yellow bushes"],
        ),
    ],
)
def test_examples(left: str, right: str, only_left: list[str] | None, only_right: list[str]) -> None:
    found = difference(left, right)
    assert cut(right, found.right) == only_right
    if only_left is not None:
        assert cut(left, found.left) == only_left


@given(TEXTS, TEXTS)
def test_spans_are_in_order_and_inside(left: str, right: str) -> None:
    found = difference(left, right)
    assert 0 <= found.shared <= 1
    for text, spans in ((left, found.left), (right, found.right)):
        edges = [edge for span in spans for edge in span]
        assert edges == sorted(edges)
        assert all(start < end <= len(text) for start, end in spans)


@given(TEXTS)
def test_a_text_does_not_differ_from_itself(text: str) -> None:
    assert difference(text, text) == ((), (), 1.0)


@given(WORDS, WORDS)
def test_what_is_left_unmarked_is_common(left: str, right: str) -> None:
    """Without the marked words, both texts have the same words in the same order."""
    found = difference(left, right)

    def rest(text: str, spans: tuple[Span, ...]) -> str:
        for start, end in reversed(spans):
            text = text[:start] + text[end:]
        return "".join(text.split())

    assert rest(left, found.left) == rest(right, found.right)


@given(TEXTS, TEXTS, st.integers(10, 60))
def test_marks_change_no_character_of_rendered_markdown(left: str, right: str, width: int) -> None:
    for text, other in ((left, right), (right, left)):
        lines = lay_out(text, width)
        spans = difference(plain_text(lines), plain_text(lay_out(other, width))).left
        marked = mark(lines, spans)
        assert plain_text(marked) == plain_text(lines)
        offset = 0
        inside = {place for start, end in spans for place in range(start, end)}
        for line in marked:
            for piece, style, _ in line:
                for place in range(offset, offset + len(piece)):
                    assert style is not None
                    assert bool(style.underline and style.bold) == (place in inside) or style.color == SHARED.color
                offset += len(piece)
            offset += 1


def test_marks_are_more_than_colour() -> None:
    assert DIFFERENT.bold
    assert DIFFERENT.underline


def test_unlike_texts_stay_unmarked() -> None:
    done = spread(RenderJob("alpha beta gamma", "delta epsilon zeta", 40))
    assert done.alike is False
    assert not any(style and style.underline for strip in done.left for _, style, _ in strip)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("a " * 50_000, "b a " * 25_000),
        (". " * 50_000, "! " * 50_000),
        (" ".join(map(str, range(20_000))), " ".join(map(str, range(1, 20_000)))),
        ("one. two. " * 5_000, "two. one. " * 5_000),
    ],
)
def test_long_texts_take_no_long_time(left: str, right: str) -> None:
    begin = time.process_time()
    difference(left, right)
    assert time.process_time() - begin < 2.0
