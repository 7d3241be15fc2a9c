"""Automatic signals: between 0 and 1, blind to capitals and marks, and not to other labels."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elicit.tuning.signals import SIGNALS, UNDIRECTED, contains, exact_match, f1, kinds_of, parses

KINDS = frozenset({"positive", "negative", "not sure"})


@given(st.text(), st.text())
def test_every_signal_with_a_direction_is_a_share(response: str, reference: str) -> None:
    for name, signal in SIGNALS.items():
        assert signal(response, reference, KINDS) >= 0
        assert name in UNDIRECTED or signal(response, reference, KINDS) <= 1


@given(st.text(min_size=1))
def test_the_reference_itself_is_right(reference: str) -> None:
    assert exact_match(reference, reference, KINDS) == 1
    assert exact_match(f"  {reference.upper().lower()}.", reference.lower(), KINDS) in (0, 1)


@pytest.mark.parametrize(
    ("response", "reference", "right"),
    [
        ("The review is Positive.", "positive", 1),
        ("positive or negative", "positive", 0),
        ("It is negative", "positive", 0),
        ("positively", "positive", 0),
        ("I am not sure!", "not sure", 1),
        ("", "positive", 0),
    ],
)
def test_a_label_is_named_alone(response: str, reference: str, right: int) -> None:
    assert contains(response, reference, KINDS) == right


def test_words_that_overlap_count_in_part() -> None:
    assert f1("the cat sat", "the cat", frozenset()) == pytest.approx(0.8)
    assert f1("nothing", "the cat", frozenset()) == 0


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner)))
def test_json_parses_in_a_fence_too(value: object) -> None:
    text = json.dumps(value)
    assert parses(text, "", frozenset()) == 1
    assert parses(f"```json\n{text}\n```", "", frozenset()) == 1
    assert parses(text + "}", "", frozenset()) == 0


def test_many_references_are_no_labels() -> None:
    assert kinds_of({str(k) for k in range(20)})
    assert not kinds_of({str(k) for k in range(21)})
