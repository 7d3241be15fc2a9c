"""A pool of items by columns, for pools too large to make an object of every item."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adapters.files.tables import kind_of, quote
from elicit.types import BadInputError

if TYPE_CHECKING:
    import pyarrow as pa

FEATURE, META = "features.", "meta."
ROW_BY_ROW = ("features", "meta", "image", "payload", "context")
"""Columns that only reading row by row can make sense of."""


class ItemColumns(NamedTuple):
    """N items. texts: None where no item has one; vectors (N, e) float32: None where there are no embeddings; named:
    the other features by name, each (N,) float64; table: all columns as they stand in the file."""

    ids: list[str]
    texts: list[str] | None
    vectors: NDArray[np.float32] | None
    named: dict[str, NDArray[np.float64]]
    table: pa.Table


def read_pool(path: str | Path) -> ItemColumns | None:
    """The columns `id`, `text`, `embedding` and `features.NAME` of a `.parquet` file; unlike `read_items` it takes
    items that have vectors and no text, and does not compare their contents.

    None where the file is another kind, or needs reading row by row. Raises BadInputError for ids that are not there or
    not unique, numbers that are not, and an item that is alone.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if str(path) == "-" or kind_of(path) != "parquet":
        return None
    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        if len(set(names)) < len(names) or set(ROW_BY_ROW) & set(names):
            return None
        if "id" not in names and "text" not in names:
            raise BadInputError(f'{path}: there is no column "id" to call the items by; add it')
        if "id" not in names or ("embedding" in names and not _holds_lists(file.schema_arrow.field("embedding").type)):
            return None
        table = file.read()
    except (pa.ArrowException, OSError):
        return None
    ids = _ids(table.column("id"), path)
    if len(ids) == 1:
        raise BadInputError(f"{path}: there is only one item, and a comparison needs two; add another")
    texts = _texts(table.column("text")) if "text" in names else None
    vectors = _vectors(table.column("embedding"), path) if "embedding" in names else None
    features = [name for name in names if name.startswith(FEATURE)]
    named = {name.removeprefix(FEATURE): _numbers(table.column(name), path, name) for name in features}
    return ItemColumns(ids, texts, vectors, named, table) if ids else None


def _holds_lists(kind: Any) -> bool:
    """Whether a column of this type holds lists, and not their JSON."""
    import pyarrow as pa

    return any(is_one(kind) for is_one in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def _ids(column: Any, path: str | Path) -> list[str]:
    ids = [str(value) for value in column.to_pylist() if value is not None and value != ""]
    if len(ids) < len(column):
        raise BadInputError(f"{path}: {len(column) - len(ids)} items have no id; give each its own")
    if len(set(ids)) < len(ids):
        earlier: set[str] = set()
        twice = next(value for value in ids if value in earlier or earlier.add(value))  # type: ignore[func-returns-value]
        raise BadInputError(f"{path}: {quote(twice)} is the id of two items; give each its own")
    return ids


def _texts(column: Any) -> list[str] | None:
    texts: Sequence[Any] = column.to_pylist()
    return [text or "" for text in texts] if all(text is None or isinstance(text, str) for text in texts) else None


def _vectors(column: Any, path: str | Path) -> NDArray[np.float32]:
    """(N, e) of a column of lists of one length."""
    import pyarrow.compute as pc

    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    if len(lengths) != 1 or not lengths[0]:
        raise BadInputError(
            f"{path}: the embeddings differ in length or are missing; give every item one of one length"
        )
    flat = _numbers(pc.list_flatten(column), path, "embedding", np.float32)
    return flat.reshape(-1, lengths[0])


def _numbers(column: Any, path: str | Path, name: str, kind: Any = np.float64) -> NDArray[Any]:
    import pyarrow as pa

    whole = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    values = column.to_numpy().astype(kind, copy=False) if whole and not column.null_count else np.full(1, np.nan)
    if not np.isfinite(values).all():
        what = "has something that is no finite number"
        raise BadInputError(f"{path}: the column {quote(name)} {what}; give every item one, or leave it out")
    return values
