"""Written files are whole, replace only on success, and are safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from adapters.files.export import write_rows
from elicit.types import BadInputError, Item

ROOT = Path(__file__).parents[3]
KINDS = ("jsonl", "csv", "parquet")
ROWS: list[dict[str, Any]] = [{"id": "a", "n": 1, "deep": {"x": [1]}}, {"id": "b", "n": -2.5, "note": "line\nend"}]


def complaint(path: str | Path, rows: list[dict[str, Any]] | None = None) -> str:
    with pytest.raises(BadInputError) as caught:
        write_rows(path, ROWS if rows is None else rows)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_jsonl(tmp_path: Path) -> None:
    write_rows(tmp_path / "x.jsonl", ROWS)
    assert [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()] == ROWS


def test_csv(tmp_path: Path) -> None:
    write_rows(tmp_path / "x.csv", ROWS)
    assert (tmp_path / "x.csv").read_text() == 'id,n,deep,note\na,1,"{""x"":[1]}",\nb,-2.5,,"line\nend"\n'


def test_parquet_keeps_types_and_falls_back_to_json(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    rows = [
        {"n": 1, "x": 1, "same": {"k": 1}, "other": {"k": 1}, "list": [1, 2], "mixed": "a", "big": 1},
        {"n": 2, "x": 0.5, "same": {"k": 2}, "other": {"j": 1}, "list": [], "mixed": 1, "big": 2**70},
    ]
    write_rows(path, rows)
    table = pq.read_table(path)
    assert {f.name: str(f.type) for f in table.schema} == {
        "n": "int64",
        "x": "double",
        "same": "struct<k: int64>",
        "other": "string",
        "list": "list<element: int64>",
        "mixed": "string",
        "big": "string",
    }
    assert table.column("other").to_pylist() == ['{"k":1}', '{"j":1}']
    assert table.column("mixed").to_pylist() == ["a", "1"]


SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b\u2212"
BLANKS = [" ", "   ", "\u00a0", "\u3000", "\u200b", "\ufeff", "\u2060", "\t ", " \x0b"]
HIDDEN = [*SIGNS, *(blank + sign + "1" for blank in BLANKS for sign in "=\uff1d@")]
"""Formulas behind blanks, and signs that programs read as the plain ones."""


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", *HIDDEN])
def test_no_text_becomes_a_formula(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    write_rows(path, [{text: text, "number": -1.5, "whole": -3, "list": [-1]}])
    with path.open(newline="") as file:
        header, cells = csv.reader(file)
    assert header == ["'" + text, "number", "whole", "list"]
    assert cells == ["'" + text, "-1.5", "-3", "[-1]"]


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_every_origin(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    write_rows(path, [{"a": np.float32(0.5), "b": np.arange(2), "c": float("nan"), "d": [float("inf"), 1.0]}])
    if kind == "jsonl":
        assert json.loads(path.read_text()) == {"a": 0.5, "b": [0, 1], "c": None, "d": [None, 1.0]}
    elif kind == "csv":
        assert path.read_text() == 'a,b,c,d\n0.5,"[0,1]",,"[null,1.0]"\n'
    else:
        assert pq.read_table(path).to_pylist() == [{"a": 0.5, "b": [0, 1], "c": None, "d": [None, 1.0]}]


@pytest.mark.parametrize("kind", KINDS)
def test_structs_and_no_rows(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    write_rows(path, [Item(id="a", text="x")])
    assert path.stat().st_size > 0
    write_rows(path, [])
    if kind == "parquet":
        assert pq.read_metadata(path).num_rows == 0
    else:
        assert path.read_bytes() == b""


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_leaves_the_old_file_and_nothing_else(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    write_rows(path, ROWS)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_rows(path, [{"id": "a"}, {"id": object()}])
    assert "half a character, so nothing was written" in complaint(path, [{"id": "fine"}, {"id": "\ud800"}])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are those of POSIX")
def test_permissions(tmp_path: Path) -> None:
    new, old = tmp_path / "new.csv", tmp_path / "old.csv"
    umask = os.umask(0o027)
    try:
        write_rows(new, ROWS)
        old.touch()
        old.chmod(0o604)
        write_rows(old, ROWS)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(new.stat().st_mode) == 0o640
    assert stat.S_IMODE(old.stat().st_mode) == 0o604


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.touch()
    link.symlink_to(real)
    write_rows(link, ROWS)
    assert link.is_symlink()
    assert real.stat().st_size > 0


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    assert "the folder for this file does not exist; make it first" in complaint(tmp_path / "none" / "x.csv")
    (tmp_path / "folder.csv").mkdir()
    assert "this is a folder; name a file in it" in complaint(tmp_path / "folder.csv")
    (tmp_path / "file").touch()
    assert "this cannot be written (Not a directory); choose another place" in complaint(tmp_path / "file" / "x.csv")
    assert "cannot be written" in complaint("a\0b.csv")
    assert 'the ending ".xlsx" is not known; use .jsonl, .csv or .parquet' in complaint(tmp_path / "x.xlsx")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.csv")
        assert "this is a device or a pipe" in complaint(tmp_path / "pipe.csv")
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        locked = tmp_path / "locked.csv"
        locked.touch(mode=0o400)
        assert "the file is there and may not be changed" in complaint(locked)


def test_standard_output() -> None:
    program = "from adapters.files.export import write_rows; print('first'); write_rows('-', [{'a': 'é'}])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=ROOT, check=True)
    assert done.stdout == 'first\n{"a":"é"}\n'.encode()
