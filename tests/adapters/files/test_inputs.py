"""Inputs from files: what they are, and what is said of those that cannot be used."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.files.inputs import hold_out, read_inputs
from elicit.tuning.protocol import Input, fill, quotes
from elicit.types import BadInputError


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    file = folder / "inputs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_fields_references_and_what_is_held_out(tmp_path: Path) -> None:
    first, second = read_inputs(
        written(
            tmp_path,
            {"question": "2 + 2?", "context": "sums", "reference": 4, "id": "a"},
            {"question": "3 + 3?", "context": "sums", "held_out": True},
        )
    )
    assert first == Input("a", {"question": "2 + 2?", "context": "sums"}, "4")
    assert (second.held_out, len(second.id)) == (True, 12)
    assert fill("{context}: {question} {other}", first) == "sums: 2 + 2? {other}"
    assert fill("Work it out.", first) == "Work it out.\n\nquestion: 2 + 2?\ncontext: sums"


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([{"reference": "x"}], r'line 1, field "input": it is missing or empty'),
        ([{"input": "a"}, {"text": "b"}], r'line 2, field "(input|text)": the inputs before have the fields input'),
        ([{"input": "a", "id": "x"}, {"input": "b", "id": "x"}], r'line 2: the input "x" is in line 1 already'),
        ([{"input": "a"}, {"input": "a"}], r"is in line 1 already"),
        ([{"input": 3}], r'line 1, field "input": expected text, got'),
        ([{"input": "a", "held_out": 3}], r'field "held_out": expected true or false'),
    ],
)
def test_bad_rows_are_said_where(tmp_path: Path, rows: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(BadInputError, match=why):
        read_inputs(written(tmp_path, *rows))


@given(st.integers(4, 200), st.floats(0.05, 0.9))
def test_about_the_share_is_held_out_evenly(n: int, share: float) -> None:
    found = hold_out([Input(str(k), {"input": str(k)}) for k in range(n)], share)
    assert abs(sum(one.held_out for one in found) - share * n) <= 1
    half = found[: n // 2]
    assert abs(sum(one.held_out for one in half) - share * len(half)) <= 1


def test_what_the_file_says_of_held_out_stands() -> None:
    told = [Input(str(k), {"input": str(k)}, held_out=k == 0) for k in range(9)]
    assert hold_out(told) == told


def test_a_prompt_that_quotes_an_input_is_known() -> None:
    one = Input("a", {"input": "a long enough text"})
    assert quotes("Example: a long enough text -> yes", one)
    assert not quotes("Another text", one)
    assert not quotes("hot -> cold", Input("b", {"input": "hot"}))
