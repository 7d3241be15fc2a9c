"""Laws of people's names: however it is written, a name is one person's."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elicit import BadInputError
from elicit.service.names import alike, checked_name

LETTERS = "abcdikxyzßäéñçğıİşåøABCDIΩωσςжяШאבतम中名"
names = st.text(LETTERS, min_size=1, max_size=12)


@given(names, names)
def test_likeness_goes_both_ways(name: str, other: str) -> None:
    assert alike(name, name)
    assert alike(name, other) == alike(other, name)


@given(names)
def test_case_width_and_spelling_make_nobody_else(name: str) -> None:
    for written in (name.upper(), name.lower(), name.casefold(), unicodedata.normalize("NFD", name)):
        assert alike(name, written)
    assert alike("maya", "ｍａｙａ")
    assert alike("maya", "mаyа")  # two letters are Cyrillic


def test_other_names_are_other_people() -> None:
    people = ["maya", "mara", "José", "Jose", "ben", "Бен", "名"]
    assert not any(alike(one, other) for k, one in enumerate(people) for other in people[:k])


@given(names)
def test_a_name_is_checked_once(name: str) -> None:
    assert checked_name(checked_name(f"  {name} ")) == checked_name(name)


@pytest.mark.parametrize(("name", "why"), [("a/b", "cannot have '/'"), ("...", "needs a letter"), ("x" * 65, "65")])
def test_what_cannot_be_a_name_is_said(name: str, why: str) -> None:
    with pytest.raises(BadInputError, match=why):
        checked_name(name)
