"""What the engine demands of the arrays, rows and names that it is given; each raises BadInputError."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from elicit.types import BadInputError, UnknownNameError

LARGEST = 1e100
"""Features beyond this would overflow when they are squared."""


def pairs_of(pairs: ArrayLike, n: int, distinct: bool = True) -> torch.Tensor:
    """(M, 2) rows of n items; distinct: two in a pair differ, and (0, 1) and (1, 0) are one question, kept once."""
    array = np.asarray(pairs)
    if not array.size:
        return torch.zeros(0, 2, dtype=torch.long)
    if array.ndim != 2 or array.shape[1] != 2 or not np.issubdtype(array.dtype, np.integer):
        raise BadInputError(f"pairs must be whole numbers of shape (M, 2), not {array.dtype} of {array.shape}")
    if (array.min() < 0) or (array.max() >= n):
        wrong = int(array[(array < 0) | (array >= n)][0])
        raise BadInputError(f"pairs name row {wrong} but rows go from 0 to {n - 1}")
    if distinct and (array[:, 0] == array[:, 1]).any():
        row = int(np.flatnonzero(array[:, 0] == array[:, 1])[0])
        raise BadInputError(f"pair {row} compares row {int(array[row, 0])} with itself")
    array = array.astype(np.int64)
    if distinct:
        _, first = np.unique(array.min(1) * n + array.max(1), return_index=True)
        array = array[np.sort(first)]
    return torch.as_tensor(array)


def rows_of(inputs: ArrayLike, n: int) -> torch.Tensor:
    """(C,) rows of n inputs."""
    array = np.asarray(inputs)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise BadInputError(f"inputs are named by their rows, whole numbers in a list, not by {inputs!r}")
    if array.size and not n:
        raise BadInputError("this engine has no inputs; make it with inputs=, or name none")
    if array.size and (array.min() < 0 or array.max() >= n):
        wrong = int(array[(array < 0) | (array >= n)][0])
        raise BadInputError(f"there is no input {wrong}; their rows go from 0 to {n - 1}")
    return torch.as_tensor(array.astype(np.int64))


def as_column(scores: ArrayLike) -> ArrayLike:
    """Scores (N,) as (N, 1)."""
    return np.reshape(scores, (-1, 1)) if np.ndim(scores) == 1 else scores


def matrix(features: ArrayLike, name: str = "features") -> NDArray[np.floating[Any]]:
    """(N, d) finite numbers, float32 where they are given so and else float64."""
    try:
        array = np.asarray(features)
        if array.dtype != np.float32:  # single precision stays: a large matrix is not copied
            array = np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadInputError(f"{name} must be numbers of shape (N, d)") from None
    if array.ndim != 2 or array.shape[1] == 0:
        raise BadInputError(f"{name} must have shape (N, d), not {array.shape}")
    low, high = float(array.min(initial=0)), float(array.max(initial=0))
    if not (np.isfinite(low) and np.isfinite(high)):
        row, column = (int(x) for x in np.argwhere(~np.isfinite(array))[0])
        raise BadInputError(f"{name}[{row}, {column}] is {array[row, column]}; every one must be a finite number")
    if max(-low, high) > LARGEST:
        row, column = (int(x) for x in np.argwhere(np.abs(array) > LARGEST)[0])
        raise BadInputError(f"{name}[{row}, {column}] is {array[row, column]:.3g}; scale the {name} down")
    return array


def device_called(wanted: str) -> str:
    """The device of that name; "auto" is CUDA where there is one."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted not in ("cpu", "cuda"):
        raise UnknownNameError("device", wanted, ["auto", "cpu", "cuda"])
    if wanted == "cuda" and not torch.cuda.is_available():
        raise BadInputError("there is no CUDA device here; use device 'auto' or 'cpu'")
    return wanted


def row_of(row: Any, n: int) -> int:
    """The row of one of n items."""
    try:
        whole = int(row) if isinstance(row, float) and row.is_integer() else operator.index(row)
    except TypeError:
        raise BadInputError(f"rows are whole numbers, not {row!r}") from None
    if not 0 <= whole < n:
        raise BadInputError(f"there is no row {whole}; rows go from 0 to {n - 1}")
    return whole


def ordered_pair(pair: tuple[int, int], n: int) -> tuple[int, int]:
    """Two rows of n items, the smaller first."""
    a, b = (row_of(row, n) for row in pair)
    if a == b:
        raise BadInputError(f"pair {pair!r} compares row {a} with itself")
    return (a, b) if a < b else (b, a)


def share_of(value: Any, name: str) -> float:
    """A number between 0 and 1, neither of them."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise BadInputError(f"{name} is a share between 0 and 1, not {value!r}")
    return float(value)
