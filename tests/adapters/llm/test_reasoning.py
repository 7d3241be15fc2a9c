"""Laws of what a model thought: however it is marked, the answer alone is left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.llm.reasoning import is_empty, without_reasoning

plain = st.text("ab .\n<>/[]ü", max_size=12)
marks = st.sampled_from(["<think>{}</think>", "<THINK>{}</THINK>", "<thinking>\n{}\n</thinking>", "[THINK]{}[/THINK]"])


@given(st.lists(st.tuples(marks, plain), min_size=1, max_size=3), plain)
def test_the_answer_alone_is_left(thoughts: list[tuple[str, str]], answer: str) -> None:
    text = "".join(mark.format(thought) for mark, thought in thoughts)
    assert without_reasoning(text + answer) == answer.strip()
    assert without_reasoning(f"{text}\n\n{answer}") == answer.strip()
    assert without_reasoning(answer + text) == answer.strip()


@given(plain, plain)
def test_a_mark_opened_in_the_prompt_and_one_that_is_cut(thought: str, answer: str) -> None:
    assert without_reasoning(f"{thought}</think>{answer}") == answer.strip()
    assert without_reasoning(f"{answer}\n<think>{thought}") == answer.strip()
    assert without_reasoning(f"<think>{thought}") == ""


@given(st.text())
def test_a_text_without_marks_is_the_very_same(text: str) -> None:
    assert without_reasoning(text) == text or "think" in text.lower()


@pytest.mark.parametrize("text", ["The `<think>` tag.", "A <thinker> is", "<reason>because</reason>", "I think> so"])
def test_an_answer_may_speak_of_it(text: str) -> None:
    assert without_reasoning(text) == text


def test_what_cannot_be_seen_is_empty() -> None:
    for text in ("", " \t\r\n", "\u200b\u200d\ufeff", "\x00\x1b"):
        assert is_empty(text)
    for text in ("0", "é", "👩‍👩‍👧", "​.", "ខ្មែរ"):
        assert not is_empty(text)
