"""Tables of comparisons: reading by columns and reading by rows say the same, or the second says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.files.comparisons import WORDS, Comparisons, _by_column, _by_row, read_comparisons
from adapters.files.export import write_rows
from adapters.files.tables import read_table
from elicit.safe_text import one_line
from elicit.types import CHOICES, BadInputError

ROWS = [
    {"model_a": "x", "model_b": "y", "winner": "model_a", "judge_id": "me", "question": 7},
    {"model_a": "y", "model_b": "z", "winner": "tie", "judge_id": "you", "question": 8},
    {"model_a": "z", "model_b": "x", "winner": "tie (bothbad)", "judge_id": "me", "question": 7},
    {"model_a": "x", "model_b": "z", "winner": "b", "judge_id": "me", "question": 9},
]


def same(one: Comparisons, other: Comparisons) -> bool:
    """Whether two readings say the same; clusters may be numbered differently."""
    if one.items != other.items or one.judges != other.judges or one.clusters.shape != other.clusters.shape:
        return False
    alike = all(
        np.array_equal(x[:, None] == x, y[:, None] == y) for x, y in zip(one.clusters.T, other.clusters.T, strict=True)
    )
    return alike and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("a", "b", "outcomes"))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_every_kind_of_file_says_the_same(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"battles.{kind}"
    write_rows(path, ROWS)
    found = read_comparisons(path, clusters=["judge_id", "question"])
    assert found.items == ("x", "y", "z")
    assert (found.a.tolist(), found.b.tolist()) == ([0, 1, 2, 0], [1, 2, 0, 2])
    assert [CHOICES[code] for code in found.outcomes] == ["a", "tie", "both_bad", "b"]
    judge, question = found.clusters.T.tolist()
    assert (judge[0] == judge[2] == judge[3], judge[0] != judge[1]) == (True, True)
    assert (question[0] == question[2], len(set(question))) == (True, 3)
    assert found.judges == "judge_id"
    quick = _by_column(path, None, ["judge_id", "question"])
    # Whole numbers in jsonl are no text, so the careful reading takes over.
    assert quick is None if kind == "jsonl" else quick is not None and same(quick, found)


names = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@given(st.lists(st.tuples(names, names, st.sampled_from([*WORDS, "x", ""]), names), min_size=1, max_size=5))
def test_what_is_read_by_columns_is_what_rows_say(kind: str, tmp_path: Path, rows: list[tuple[str, ...]]) -> None:
    path = tmp_path / f"battles.{kind}"
    write_rows(path, [dict(zip(("a", "b", "choice", "judge"), row, strict=True)) for row in rows])
    quick = _by_column(path, None, ["judge"])
    try:
        careful = _by_row(read_table(path).rows, None, ["judge"])
    except BadInputError:
        assert quick is None
    else:
        assert quick is None or same(quick, careful)


def test_plain_files_are_read_by_columns(tmp_path: Path) -> None:
    """Else a table of two million rows takes ten seconds, and nobody would notice why."""
    for kind in ("csv", "jsonl", "parquet"):
        path = tmp_path / f"battles.{kind}"
        write_rows(path, [row | {"question": str(row["question"])} for row in ROWS])
        assert _by_column(path, None, ["judge_id", "question"]) is not None


TEXTS = {
    "mark first": "\ufeffa,b,winner\nx,y,a\n",
    "windows": "a,b,winner\r\nx,y,a\r\n\r\n",
    "blank cells": "a,b,winner\nx,y,a\n,,\n",
    "lines in cells": 'note,a,b,winner\n"one\ntwo",x,y,a\n',
    "commas in cells": 'note,a,b,winner\n"one, two",x,y,a\n',
    "spaces in the header": "a, b ,winner\nx,y,a\n",
    "other columns": "a,b,winner,judge,winner of all\nx,y,a,me,\n",
    "guarded names": "a,b,winner\n'=x,y,a\n",
}


@pytest.mark.parametrize("case", TEXTS)
def test_csv_as_programs_write_it(case: str, tmp_path: Path) -> None:
    path = tmp_path / "battles.csv"
    path.write_bytes(TEXTS[case].encode())
    found = read_comparisons(path)
    assert found.items == (("=x", "y") if case == "guarded names" else ("x", "y"))
    assert (found.a.tolist(), found.b.tolist(), found.outcomes.tolist()) == ([0], [1], [0])


def test_parquet_as_data_frames_write_it(tmp_path: Path) -> None:
    """Categories nobody uses, numbers for names, several chunks."""
    categories = pa.DictionaryArray.from_arrays([0, 0, 1], ["x", "y", "never"])
    table = pa.table({"a": categories, "b": ["z", "y", "x"], "winner": ["a", "b", "tie"], "judge": [3, 3, 4]})
    pq.write_table(pa.concat_tables([table, table]), tmp_path / "battles.parquet", row_group_size=2)
    found = read_comparisons(tmp_path / "battles.parquet", clusters=["judge"])
    assert found.items == ("x", "y", "z")
    assert found.a.tolist() == [0, 0, 1] * 2
    assert found.clusters[:, 0].tolist() == [0, 0, 1] * 2
    numbers = pa.table({"a": [1, 10], "b": [2, 1], "winner": ["a", "b"]})
    pq.write_table(numbers, tmp_path / "numbers.parquet")
    assert read_comparisons(tmp_path / "numbers.parquet").items == ("1", "10", "2")


def test_columns_may_be_called_anything(tmp_path: Path) -> None:
    path = tmp_path / "battles.csv"
    path.write_text("left,right,verdict,winner\nx,y,b,who\n")
    found = read_comparisons(path, ("left", "right", "verdict"))
    assert (found.items, found.outcomes.tolist(), found.judges) == (("x", "y"), [1], None)


BAD: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "unknown word": ("csv", "a,b,winner\nx,y,a\nx,y,left\n", {}, 'line 3, field "winner": expected a, b, tie'),
    "who instead of which": ("csv", "a,b,winner\nx,y,z\n", {}, 'got "z"; write one of them'),
    "no word": ("csv", "a,b,winner\nx,y,\n", {}, 'line 2, field "winner": it is empty; fill it in'),
    "no name": ("csv", "a,b,winner\n,y,a\n", {}, 'line 2, field "a": it is empty; fill it in'),
    "with itself": ("csv", "a,b,winner\nx,y,a\nx,x,a\n", {}, 'line 3, field "b": "x" is compared with itself'),
    "nan": ("jsonl", '{"a": "x", "b": "y", "winner": NaN}', {}, "NaN is not a number in JSON"),
    "number": ("jsonl", '{"a": "x", "b": "y", "winner": 1}', {}, 'line 1, field "winner": expected a, b, tie'),
    "missing": ("jsonl", '{"a": "x", "b": "y", "winner": "a"}\n{"a": "x"}', {}, 'line 2, field "b": it is missing'),
    "no items": ("csv", "left,right,winner\nx,y,a\n", {}, 'no column for each of the two items; call it "model_a" and'),
    "what there is": ("csv", "left,right\nx,y\n", {}, 'there are "left", "right"'),
    "no winner": ("csv", "a,b,won\nx,y,a\n", {}, 'no column that says who won; call it "winner" or "preference" or'),
    "no cluster": (
        "csv",
        "a,b,winner,judge\nx,y,a,me\n",
        {"clusters": ["juge"]},
        'battles.csv: there is no column "juge"; add it (did you mean "judge"?)',
    ),
    "empty cluster": (
        "csv",
        "a,b,winner,judge\nx,y,a,\n",
        {"clusters": ["judge"]},
        'line 2, field "judge": it is empty',
    ),
    "no such column": ("csv", "a,b,winner\nx,y,a\n", {"columns": ("a", "c", "winner")}, 'there is no column "c"'),
    "no rows": ("csv", "a,b,winner\n", {}, "there are no rows"),
    "no file": ("csv", "", {}, "the file is empty"),
    "no ending": ("xlsx", "a,b,winner\nx,y,a\n", {}, 'the ending ".xlsx" is not known'),
    "too few cells": ("csv", "a,b,winner\nx,y\n", {}, "line 2: 2 cells under a header of 3"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables(case: str, tmp_path: Path) -> None:
    ending, data, arguments, expected = BAD[case]
    path = tmp_path / f"battles.{ending}"
    path.write_text(data)
    with pytest.raises(BadInputError) as caught:
        read_comparisons(path, **arguments)
    said = str(caught.value).replace(str(path), path.name)
    assert expected in said
    assert said == one_line(said)
    assert "; " in said, "it says what to do"


def test_bad_values_in_parquet_have_their_row(tmp_path: Path) -> None:
    path = tmp_path / "battles.parquet"
    pq.write_table(pa.table({"a": ["x", "x"], "b": ["y", None], "winner": ["a", "a"]}), path)
    with pytest.raises(BadInputError, match='row 2, field "b": it is missing'):
        read_comparisons(path)
    pq.write_table(pa.table({"a": [0.5, 1.5], "b": [2.5, 0.5], "winner": ["a", "a"]}), path)
    with pytest.raises(BadInputError, match='row 1, field "a": expected text, got a number'):
        read_comparisons(path)


def test_there_must_be_a_file(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="there is no such file"):
        read_comparisons(tmp_path / "none.csv")
    with pytest.raises(BadInputError, match="this is a folder"):
        read_comparisons(tmp_path)


def test_the_words_of_an_export_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    path.write_text("".join(json.dumps({"a": "x", "b": "y", "choice": choice}) + "\n" for choice in CHOICES))
    assert read_comparisons(path).outcomes.tolist() == list(range(len(CHOICES)))
