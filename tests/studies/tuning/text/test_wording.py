"""A task in other words: right, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.tuning.text.wording import deed_of, question, thing

FILM = "Say whether a film review is positive or negative."


@pytest.mark.parametrize(
    ("task", "asked", "named"),
    [
        (FILM, "Is the film review positive or negative?", "film review"),
        ("Give the antonym of a word.", "What is the antonym of the word?", "word"),
        ("Give a synonym of a word.", "", "word"),
        ("Is this tweet hateful?", "Is this tweet hateful?", ""),
        ("Find the capitals of a country.", "What are the capitals of the country?", "country"),
        ("Write a headline for a news story.", "", "news story"),
        ("Summarise a news article in one sentence. Keep names.", "", "news article"),
        ("Translate a sentence into formal German", "", "sentence"),
        ("Write a poem.", "", ""),
        ("sentiment analysis", "", ""),
        ("情感分析。", "", ""),
        ("", "", ""),
    ],
)
def test_the_question_and_the_name_of_the_input(task: str, asked: str, named: str) -> None:
    assert question(task) == asked
    assert thing(task) == named


def test_what_is_to_be_done_is_told_of_one_imperative_sentence_alone() -> None:
    assert deed_of(FILM) == "say whether a film review is positive or negative"
    assert [deed_of(task) for task in ("Is it good?", "You are kind.", f"{FILM} Be brief.", "", "Food or sport")] == [
        ""
    ] * 5


@given(st.text())
def test_any_text_may_be_a_task(task: str) -> None:
    for put in (deed_of, question, thing):
        assert put(task) == put(task).strip()
