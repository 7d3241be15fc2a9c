"""A prompt's parts: joined they are the prompt, and no place, example or sentence is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elicit.tuning.protocol import PLACE
from studies.tuning.text.segments import instruction, segments, without

TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.sampled_from(
            [
                "Say it. ",
                "Now, e.g. so",
                "\n",
                "\n\n",
                " ",
                "{input}",
                "{a b}",
                "Answer:",
                "Review: ",
                "->",
                "- ",
                "?",
                "これ。",
                *('"""', "<input>", "</input>", "1. ", "\r\n", "\u2028"),
            ]
        ),
        max_size=25,
    ).map("".join),
)


@given(TEXTS)
def test_joined_they_are_the_text_and_none_is_empty(text: str) -> None:
    parts = segments(text)
    assert "".join(parts) == text
    assert all(parts)
    # Only a text of white space alone is a part without a word.
    assert len(parts) == 1 or all(part.strip() for part in parts)


@given(TEXTS)
def test_no_place_is_cut(text: str) -> None:
    assert [place for part in segments(text) for place in PLACE.findall(part)] == PLACE.findall(text)


@given(TEXTS, st.integers(0, 30))
def test_without_a_part_the_words_of_the_others_are_left(text: str, dropped: int) -> None:
    parts = segments(text)
    if not parts:
        return
    dropped %= len(parts)
    left = "".join(parts[:dropped] + parts[dropped + 1 :])
    # Line breaks are not lost with the part that had them, so white space may come between.
    assert "".join(without(parts, dropped).split()) == "".join(left.split())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Be brief. Say yes or no, e.g. Yes.\n\n{input}", ["Be brief. ", "Say yes or no, e.g. Yes.\n\n", "{input}"]),
        (
            "Say it.\n\nReview: Nice. Really.\nAnswer: yes\n\nReview: {input}\nAnswer:",
            ["Say it.\n\n", "Review: Nice. Really.\nAnswer: yes\n\n", "Review: {input}\nAnswer:"],
        ),
        ("Say it.\ngood. film -> yes\n{input} ->", ["Say it.\n", "good. film -> yes\n", "{input} ->"]),
        ("So. Good\nTopic: food\n\n{input}\nTopic:", ["So. Good\nTopic: food\n\n", "{input}\nTopic:"]),
        ("Rules:\n- Be brief.\n- No lists.", ["Rules:\n", "- Be brief.\n", "- No lists."]),
        ("<input>\n{input}\n</input>\n\nSay it.", ["<input>\n{input}\n</input>\n\n", "Say it."]),
        ("A: {a}\nB: {b}\nWhich? Say.\nAnswer:", ["A: {a}\nB: {b}\n", "Which? ", "Say.\n", "Answer:"]),
        ("これは。いい！", ["これは。", "いい！"]),
    ],
)
def test_parts_are_what_a_person_would_cut_out(text: str, parts: list[str]) -> None:
    assert segments(text) == parts


def test_what_stood_apart_stands_apart_without_the_part_between() -> None:
    parts = segments("Be brief. Be kind.\n\n{input}")
    assert without(parts, 1) == "Be brief.\n\n{input}"
    assert without(parts, 0) == "Be kind.\n\n{input}"
    assert without(parts, 2) == "Be brief. Be kind."


@given(
    st.sampled_from(["Review: {input}\nAnswer:", "{input}\nTopic:", "{input} ->", "<t>\n{input}\n</t>", "Q: {input}"])
)
def test_an_instruction_is_what_is_left_without_frame_and_examples(frame: str) -> None:
    shot = frame.replace("{input}", "It was fine.") + " yes"
    assert instruction(f"Say it. Be brief.\n\n{frame}") == "Say it. Be brief."
    if "<t>" not in frame:
        assert instruction(f"Say it.\n\n{shot}\n\n{frame}") == "Say it."
