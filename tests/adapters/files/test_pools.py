"""Pools by columns: the same as row by row, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.files.formats import read_items
from adapters.files.pools import read_pool
from elicit.types import BadInputError
from studies.items.features import knowledge_of, known_of_pool

COLUMNS: dict[str, Any] = {
    "id": ["x", "y", "z"],
    "text": ["one", "two", "three"],
    "embedding": [[1.0, 2.0], [0.0, 1.0], [3.0, -1.0]],
    "features.length": [3, 3, 5],
    "note": ["", None, "kept"],
}


def written(path: Path, **columns: Any) -> Path:
    """A parquet file of the columns, those that are None left out."""
    kept = {name: values for name, values in (COLUMNS | columns).items() if values is not None}
    pq.write_table(pa.table(kept), path / "items.parquet", row_group_size=2)
    return path / "items.parquet"


@pytest.mark.parametrize("without", [(), ("embedding",), ("features.length",), ("embedding", "features.length")])
def test_by_columns_as_much_is_known_as_row_by_row(without: tuple[str, ...], tmp_path: Path) -> None:
    path = written(tmp_path, **dict.fromkeys(without))
    pool, items = read_pool(path), read_items(path)
    assert pool is not None
    assert pool.ids == [item.id for item in items]
    assert pool.texts == [item.text for item in items]
    here, there = known_of_pool(pool), knowledge_of(items, "wordllama")
    assert here.groups == there.groups
    assert here.features is not None
    assert here.features.dtype == np.float32
    assert there.features is not None
    assert np.allclose(here.features, there.features, atol=1e-6)


def test_vectors_of_a_fixed_size_need_no_texts_and_ids_may_be_numbers(tmp_path: Path) -> None:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(6, dtype=np.float32)), 2)
    pool = read_pool(written(tmp_path, id=[7, 8, 9], text=None, embedding=vectors))
    assert pool is not None
    assert (pool.ids, pool.texts) == (["7", "8", "9"], None)
    assert pool.vectors is not None
    assert pool.vectors.tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize("column", ["context", "payload", "features", "meta", "embedding"])
def test_what_columns_cannot_say_is_left_to_reading_row_by_row(column: str, tmp_path: Path) -> None:
    assert read_pool(written(tmp_path, **{column: ["{}"] * 3})) is None
    assert read_pool(written(tmp_path, id=None)) is None
    (tmp_path / "items.csv").write_text("id,text\nx,one\ny,two\n")
    assert read_pool(tmp_path / "items.csv") is None


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no ids": ({"id": None, "text": None}, 'there is no column "id" to call the items by'),
    "alone": ({name: values[:1] for name, values in COLUMNS.items()}, "there is only one item"),
    "no id": ({"id": ["x", None, "z"]}, "1 items have no id"),
    "twice": ({"id": ["x", "y", "x"]}, '"x" is the id of two items'),
    "lengths": ({"embedding": [[1.0], [1.0, 2.0], [1.0]]}, "differ in length or are missing"),
    "missing": ({"embedding": [[1.0], None, [1.0]]}, "differ in length or are missing"),
    "nan": ({"embedding": [[1.0], [np.nan], [1.0]]}, '"embedding" has something that is no finite number'),
    "null": ({"features.length": [1.0, None, 2.0]}, '"features.length" has something that is no finite number'),
    "word": ({"features.length": ["1", "2", "3"]}, '"features.length" has something that is no finite number'),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_columns_are_named(case: str, tmp_path: Path) -> None:
    columns, expected = BAD[case]
    with pytest.raises(BadInputError, match=expected):
        read_pool(written(tmp_path, **columns))
