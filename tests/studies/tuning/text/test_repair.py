"""What makes a text a prompt: its places, the phrases to keep, and no stray white space."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elicit.tuning.protocol import PLACE, Rules
from studies.tuning.text.repair import block, fields, repair
from tests.studies.tuning.pools import FILM, LATER, candidate

FREE = Rules()
PARENT = "Say it.\n\nReview: {input}\nAnswer:"
PIECES = ["{input}", "{text}", "{{input}}", "{other}", "Say it.", " ", "  ", "\n", "\n\n\n", "\t", "Answer:"]
TEXTS = st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@given(
    TEXTS,
    st.sampled_from(["", PARENT, "Is {input} good? Then say whether the film is worth an evening of anyone's time."]),
)
def test_a_text_with_anything_in_it_gets_its_places_and_phrases_once(text: str, parent: str) -> None:
    for names in (("input",), ("input", "text")):
        rules = Rules(keep=("Be honest.",))
        made = repair(text, names, rules, parent)
        if not text.strip():
            assert made == ""
            continue
        assert set(names) <= set(PLACE.findall(made))
        assert "Be honest." in made
        assert not re.search(r"\n{3}", made)
        assert not re.search(r"(?<=[^\s])[ \t]+$", made, re.MULTILINE)
        assert repair(made, names, rules, parent) == made


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("Name it.", "Name it.\n\nReview: {input}\nAnswer:"),
        ("Name {review}.", "Name {input}."),
        ("Name {{ input }}.", "Name {input}."),
        ("Name  {input} . \n\n\n\nSo.", "Name {input} .\n\nSo."),
        ("- {input}\n  - So", "- {input}\n  - So"),
    ],
)
def test_a_place_that_was_lost_comes_back_with_its_frame(text: str, made: str) -> None:
    assert repair(text, ("input",), FREE, PARENT) == made


def test_a_frame_that_is_a_long_sentence_is_not_taken_over() -> None:
    long = "Tell me in your own words and at some length what you make of {input} and why."
    assert repair("Name it.", ("input",), FREE, long) == "Name it.\n\n{input}"


def test_phrases_to_keep_stand_before_the_frame() -> None:
    assert (
        repair(PARENT, ("input",), Rules(keep=("Be honest.",))) == "Say it.\n\nBe honest.\n\nReview: {input}\nAnswer:"
    )
    assert repair("Say it.", (), Rules(keep=("Be honest.",))) == "Say it.\n\nBe honest."


def test_a_pool_s_places_are_those_its_prompts_use() -> None:
    assert fields(FILM) == fields(LATER) == ("input",)
    two = FILM.examples[0].__class__("0", {"context": "a", "question": "b", "id": "c"})
    pool = FILM.__class__("", (candidate(0, "{question} by {context}, {odd}"),), (), (two,))
    assert fields(pool) == ("question", "context")
    assert fields(FILM.__class__("", (), (), (two,))) == ("context", "question", "id")
    assert fields(FILM.__class__("", ())) == ("input",)
    assert block(("context", "my_question")) == "Context: {context}\nMy question: {my_question}"
