"""TOML as people write it is read, or refused with the file and the line or field."""

from pathlib import Path

import pytest

from adapters.files.toml_files import read_toml
from elicit.types import BadInputError


def test_a_byte_order_mark_and_times_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(b"\xef\xbb\xbf" + b"deadline = 2030-01-31T18:00:00+01:00\nday = 2030-01-31\n[x]\nat = 18:00:00\n")
    assert read_toml(file) == {
        "deadline": "2030-01-31T18:00:00+01:00",
        "day": "2030-01-31",
        "x": {"at": "18:00:00"},
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = nan", "field 'a'"),
        ("[t]\nb = [1.0, -inf]", r"field 't\.b\[1\]'"),
        ("votes = 99999999999999999999", "field 'votes'.* too large"),
        ("a = 1\nb = = 2", "line 2"),
        ("a = " + "[" * 5000 + "]" * 5000, r"a\.toml"),
        ("\udcff", "cannot be read"),
    ],
)
def test_what_cannot_be_kept_is_refused(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadInputError, match=said) as refusal:
        read_toml(file)
    assert str(file) in str(refusal.value)
