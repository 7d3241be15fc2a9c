"""Rows of files with their places: what cannot be read is refused in one sentence that says where."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.files.formats import read_items
from adapters.files.tables import Skipped
from elicit.safe_text import one_line
from elicit.types import BadInputError

ROOT = Path(__file__).parents[3]


def complaint(read: Any, path: Path | str, data: bytes | str | None = None) -> str:
    """What a reader says about a file it refuses: one sentence that starts with the file's name."""
    if data is not None:
        Path(path).write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(BadInputError) as caught:
        read(path)
    said = str(caught.value)
    assert said == one_line(said)
    assert not said.endswith(".")
    assert "; " in said, "it says what to do"
    return said.replace(str(path), Path(path).name)


CSV = {
    "empty": ("", "pool.csv: the file is empty"),
    "header only": ("id,text\n", "pool.csv: there are no rows in this file"),
    "more cells": ("id,text\na,x\nb,y,z\n", "line 3: 3 cells under a header of 2; quote cells that hold commas"),
    "fewer cells": ("id,text\na,x\nb\n", "line 3: 1 cell under a header of 2; fill up with commas"),
    "line after quoted newlines": ('text,context\n"a\nb\nc",\n"d\r\ne",\nf\n', "line 7: 1 cell under"),
    "CRLF": ("text,context\r\n\r\na,\r\nb\r\n", "line 4: 1 cell under"),
    "open quote": ('text\nx\n"y\nz\n', "line 3: a quoted cell in the row that starts here never ends"),
    "wrong quote": ('text\nx\n"y"z\n', "line 3: the quotes are wrong"),
    "semicolons": ("id;text\na;x;y\n", "line 2: 3 cells under a header of 2; quote cells that hold semicolons"),
    "tabs": ("id\ttext\na\n", "line 2: 1 cell under a header of 2; fill up with tabs"),
    "unnamed": ("text,,x\na,b,c\n", "line 1: column 2 has no name"),
    "named twice": ("text,text\na,b\n", 'line 1: two columns are called "text"; rename one of them'),
    "no text column": (
        "id,tex\na,b\n",
        'there is no column "text"; add it, or say with --columns which it is (did you',
    ),
    "nothing like a text": ("a,b\nx,y\n", 'add it, or say with --columns which it is (there are "a", "b")'),
    "empty text": ("id,text\na,\n", 'line 2, field "text": it is empty'),
    "number": ("text,features.f\na,one\n", 'line 2, field "features.f": expected a number, got "one"; write it like'),
    "nan": ("text,features.f\na,nan\n", 'line 2, field "features.f": expected a finite number, got nan'),
    "underscore": ("text,features.f\na,1_0\n", 'expected a number, got "1_0"'),
    "empty number": ("text,features.f\na,1\nb,\n", 'line 3, field "features": line 2 has the feature "f", and this'),
    "bad JSON": ('text,features\na,"{""f"": }"\n', 'line 2, field "features", column 7: invalid JSON'),
    "not an object": ("text,meta\na,7\n", 'line 2, field "meta": expected an object, got a number'),
    "given twice": ('text,meta,meta.x\na,"{""x"": 1}",2\n', 'field "meta.x": "x" is given twice'),
    "unknown and meta": ("text,x,meta.x\na,1,2\n", '"x" is given twice'),
}


@pytest.mark.parametrize("case", CSV)
def test_bad_csv(case: str, tmp_path: Path) -> None:
    data, expected = CSV[case]
    assert expected in complaint(read_items, tmp_path / "pool.csv", data)


def test_what_was_left_out_is_told_where_too_little_is_left(tmp_path: Path) -> None:
    path = tmp_path / "pool.csv"
    path.write_text("text,features.f\na,1\nb,one\n")
    skipped: Skipped = []
    with pytest.raises(BadInputError, match=r"only one item that can be used \(.*line 3.* and a comparison needs two"):
        read_items(path, skipped=skipped)


def test_csv_cell_longer_than_the_standard_limit(tmp_path: Path) -> None:
    path = tmp_path / "pool.csv"
    long = "word " * 60_000
    path.write_text(f'text\n"{long}"\nshort\n')
    assert read_items(path)[0].text == long


def test_damaged_parquet(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    pq.write_table(pa.table({"text": ["a", "b"]}), path)
    whole = path.read_bytes()
    for data in (b"PAR1", whole[:-9], whole[20:], b"text\na\n"):
        assert "this is not a readable parquet file" in complaint(read_items, path, data)


def test_places_that_are_no_files(tmp_path: Path) -> None:
    assert "none.csv: there is no such file; check the path" in complaint(read_items, tmp_path / "none.csv")
    assert ": this is a folder; name a file in it" in complaint(read_items, tmp_path)
    assert "there is no such file" in complaint(read_items, "a\0b.csv")
    assert "cannot be read (File name too long)" in complaint(read_items, "x" * 300 + ".csv")
    ending = 'pool.xlsx: the ending ".xlsx" is not known; use .jsonl, .json, .csv, .tsv or .parquet'
    assert complaint(read_items, tmp_path / "pool.xlsx", "x") == ending
    assert "pool: the name has no ending; use .jsonl" in complaint(read_items, tmp_path / "pool", "x")
    assert "⟨U+202E⟩" in complaint(read_items, "a\u202eb.csv")


def test_endings_in_capitals_and_a_mark_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "POOL.JSONL"
    path.write_bytes(b'\xef\xbb\xbf{"text": "a"}\r\n{"text": "b", "context": null}\r\n')
    assert [item.text for item in read_items(path)] == ["a", "b"]


def test_standard_input() -> None:
    program = "from adapters.files.formats import read_items; print(len(read_items('-')))"

    def run(data: bytes) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, cwd=ROOT, check=False)

    assert run(b'{"text": "a"}\n{"text": "b"}').stdout == b"2\n"
    assert b"BadInputError: standard input, line 1, column 2: invalid JSON" in run(b"{text}").stderr
    assert b"BadInputError: standard input: the file is empty" in run(b"").stderr


def test_importing_the_formats_is_light() -> None:
    program = "import sys, adapters.files.formats; print({'pyarrow', 'numpy', 'torch'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=ROOT, check=True, text=True)
    assert done.stdout == "set()\n"
