"""From replies to probabilities: laws of what is read."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.llm.answers import chances, log_odds, read_object, reasoning
from adapters.llm.chat import Reply, ReplyToken
from adapters.llm.verdicts import ParseError

LABELS = ("A", "B")
SCORES = ("1", "2", "3", "4", "5")


def said(text: str, top: dict[str, float] | None = None) -> Reply:
    """A reply whose last word has these alternatives."""
    start = text.rfind(" ") + 1
    return Reply(text, () if top is None else (ReplyToken(text[start:], start, top),))


def test_variants_of_a_label_are_added_up() -> None:
    top = {"A": math.log(0.3), " A": math.log(0.2), "**A": math.log(0.1), "B": math.log(0.2), "An": math.log(0.2)}
    assert chances([said("A", top)], LABELS) == pytest.approx((0.75, 0.25))
    yes = {"Yes": math.log(0.3), "yes": math.log(0.3), " YES.": math.log(0.2), "No": math.log(0.2)}
    assert chances([said("Yes", yes)], ("Yes", "No")) == pytest.approx((0.8, 0.2))


def test_a_label_that_is_not_among_the_alternatives_is_no_likelier_than_the_least_of_them() -> None:
    a, b = chances([said("A", {"A": -0.1, "The": -3.0})], LABELS)
    left = 1 - math.exp(-0.1) - math.exp(-3.0)
    assert b / a == pytest.approx(left / math.exp(-0.1))  # nor than what they leave
    a, b = chances([said("A", {"A": -1.0, "The": -3.0})], LABELS)
    assert b / a == pytest.approx(math.exp(-3.0 + 1.0))
    assert all(0 < p < 1 for p in chances([said("A", {"A": 0.0})], LABELS))


def test_exchanging_the_labels_exchanges_the_chances() -> None:
    top, other = {"A": -0.2, "B": -1.9}, {"B": -0.2, "A": -1.9}
    assert chances([said("A", top)], LABELS) == chances([said("B", other)], LABELS)[::-1]


def test_without_log_probabilities_answers_are_counted() -> None:
    assert chances([said("A")], LABELS) == (0.75, 0.25)
    assert chances([said("A"), said("B")], LABELS) == (0.5, 0.5)
    assert chances([said("A"), said("what?"), said("A.")], LABELS) == (5 / 6, 1 / 6)
    assert chances([said("Score: 4")], SCORES, "Score:") == pytest.approx((0.1, 0.1, 0.1, 0.6, 0.1))


WAYS = ["A", " A", "**A**", "(A)", "[[A]]", "A.", "A: because it is clear", "Response A", "The better response is A."]


@pytest.mark.parametrize("text", [*WAYS, "A is better", "<think>B is good</think>\nA"])
def test_the_ways_models_say_a(text: str) -> None:
    assert chances([Reply(text)], LABELS) == (0.75, 0.25)


@pytest.mark.parametrize("text", ["", " ", "A good one", "Apple", "neither", "a.", "C", "AB", "I choose none"])
def test_what_is_no_answer_is_none(text: str) -> None:
    with pytest.raises(ParseError):
        chances([Reply(text)], LABELS)


def test_the_answer_stands_after_the_last_mark() -> None:
    text = "Score: 1 would be unfair. It explains itself.\nScore: 4"
    assert chances([Reply(text)], SCORES, "Score:")[3] == pytest.approx(0.6)
    assert reasoning(Reply(text), "Score:") == "Score: 1 would be unfair. It explains itself."
    with pytest.raises(ParseError, match="names none of"):
        chances([Reply("Score: 4\nScore: 9")], SCORES, "Score:")
    with pytest.raises(ParseError, match="cut at max_tokens; raise it"):
        chances([Reply("It is", cut=True)], SCORES, "Score:")


def test_a_label_in_the_reasons_is_not_the_answer() -> None:
    early = ReplyToken("A", 0, {"A": -0.01, "B": -5.0})
    late = ReplyToken(" B", 20, {" A": -3.0, " B": -0.05})
    text = "A is short. Better: B"
    assert text.index(" B", 15) == 19
    late = ReplyToken(" B", 19, late.top)
    a, b = chances([Reply(text, (early, late))], LABELS, "Better:")
    assert a / b == pytest.approx(math.exp(-3.0 + 0.05))


@given(st.text(max_size=60), st.sampled_from(["", "Score:", "Answer:"]), st.booleans())
def test_any_text_is_an_answer_or_a_named_failure(text: str, after: str, cut: bool) -> None:
    try:
        found = chances([Reply(text, cut=cut)], LABELS, after)
    except ParseError as error:
        why = str(error)
    else:
        why = "two in three"
        assert sum(found) == pytest.approx(1)
    assert 0 < len(why) < 200


@given(st.dictionaries(st.text(max_size=3), st.floats(-1e4, 0), max_size=20), st.sampled_from(SCORES))
def test_chances_are_positive_and_sum_to_one_whatever_the_alternatives(top: dict[str, float], answer: str) -> None:
    found = chances([said(f"Score: {answer}", top)], SCORES, "Score:")
    assert sum(found) == pytest.approx(1)
    assert min(found) > 0
    assert math.isfinite(log_odds(found[0], found[1]))


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_log_odds_are_antisymmetric_and_finite(first: float, second: float, tie: float) -> None:
    assert log_odds(first, second, tie) == pytest.approx(-log_odds(second, first, tie))


@given(st.text(max_size=80) | st.just("{" * 100_000))
def test_any_text_is_an_object_or_a_named_failure(text: str) -> None:
    try:
        found = str(type(read_object(Reply(text), lambda value: value)))
    except ParseError as error:
        found = str(error)
    assert found.startswith(("<class 'dict'>", "the reply is"))
    assert len(found) < 300


def test_an_object_is_found_however_it_is_wrapped() -> None:
    for text in ('{"a": 1}', '```json\n{"a": 1}\n```', 'Sure! {"a": 1} Bye.', '<think>{</think>{"a": 1}'):
        assert read_object(Reply(text), lambda value: value) == {"a": 1}
