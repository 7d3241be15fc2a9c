"""The columns that votes add to a covariance, shared by every belief that descends from the same votes."""

from __future__ import annotations

import threading
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import pad

CHUNK = 32

_WRITING = threading.Lock()


class Columns:
    """The columns c_t (M, N), in chunks shared by every posterior that descends from the same votes.

    A slot is named by what determines its content (the votes before it and the pair), so two answers to one
    question share the slot, and a different history gets a copy of the last chunk instead of a wrong column.
    """

    def __init__(self, chunks: tuple[Tensor, ...] = (), names: tuple[list[bytes], ...] = ()) -> None:
        self._chunks, self._names = chunks, names

    def find(self, t: int, name: bytes) -> Tensor | None:
        """Column t (M, N) if it is already there under this name."""
        k, i = divmod(t, CHUNK)
        if k < len(self._chunks) and i < len(self._names[k]) and self._names[k][i] == name:
            return self._chunks[k][:, i]
        return None

    def put(self, t: int, name: bytes, column: Tensor) -> Self:
        """The columns with slot t filled."""
        k, i = divmod(t, CHUNK)
        with _WRITING:  # looking ahead runs beside the votes, in a thread of its own
            chunks, names = self._chunks[: k + 1], self._names[: k + 1]
            if k == len(chunks):
                fresh = column.new_zeros(len(column), CHUNK, column.shape[1])  # it may be kept on disk
                chunks, names = (*chunks, fresh), (*names, [])
            elif i < len(names[k]) and names[k][i] == name:
                return self
            elif i < len(names[k]):
                chunks = (*chunks[:k], chunks[k].clone())
                names = (*names[:k], names[k][:i])
            chunks[k][:, i] = column
            names[k].append(name)
            return type(self)(chunks, names)

    def combine(self, weights: Tensor) -> Tensor | float:
        """sum_t weights[:, t] c_t: (M, N)."""
        total: Tensor | float = 0.0
        for chunk, part in zip(self._chunks, torch.split(weights, CHUNK, 1), strict=False):
            total = total + torch.bmm(part[:, None], chunk[:, : part.shape[1]])[:, 0]
        return total

    def dot(self, x: Tensor, count: int, models: Tensor | None = None) -> Tensor:
        """The products of the first `count` columns with x (N, S), under all models or the chosen: (m, count, S)."""
        parts = []
        for k in range(0, count, CHUNK):
            chunk = self._chunks[k // CHUNK][:, : count - k]
            parts.append((chunk if models is None else chunk[models]) @ x)
        return torch.cat(parts, 1)

    def mean(self, count: int) -> Tensor:
        """(M, count) the mean of each of the first `count` columns over the items."""
        means = [chunk[:, : min(CHUNK, count - CHUNK * k)].mean(2) for k, chunk in enumerate(self._chunks)]
        return torch.cat(means, 1)[:, :count]

    def only(self, models: Tensor) -> Self:
        """The columns of the chosen models (m,)."""
        return type(self)(tuple(chunk[models] for chunk in self._chunks), tuple(list(names) for names in self._names))

    def at(self, rows: Tensor, count: int, models: Tensor) -> Tensor:
        """The first `count` columns at `rows` (S,) under `models` (m,): (m, count, S)."""
        parts = []
        for k in range(0, count, CHUNK):
            times = torch.arange(min(CHUNK, count - k), device=rows.device)
            parts.append(self._chunks[k // CHUNK][models[:, None, None], times[:, None], rows])
        return torch.cat(parts, 1)


class Triangle(Columns):
    """The same store for the rows of lower triangular matrices (M, T, T): row t is given as its first t + 1 entries."""

    def put(self, t: int, name: bytes, column: Tensor) -> Self:
        width = CHUNK * (t // CHUNK + 1)
        return super().put(t, name, pad(column, (0, width - t - 1)))

    def row(self, t: int) -> Tensor:
        """(M, t + 1) row t."""
        return self._chunks[t // CHUNK][:, t % CHUNK, : t + 1]

    def combine(self, weights: Tensor) -> Tensor:
        """weights (M, T) times the matrices: (M, T)."""
        total = torch.zeros_like(weights)
        for chunk, part in zip(self._chunks, torch.split(weights, CHUNK, 1), strict=False):
            rows = chunk[:, : part.shape[1], : weights.shape[1]]
            total[:, : rows.shape[2]] += torch.bmm(part[:, None], rows)[:, 0]
        return total

    def times(self, x: Tensor) -> Tensor:
        """The matrices times x (M, T, S), under the models of this store: (M, T, S)."""
        count = x.shape[1]
        rows = [chunk[:, : count - CHUNK * k, :count] for k, chunk in enumerate(self._chunks) if CHUNK * k < count]
        return torch.cat([torch.bmm(part, x[:, : part.shape[2]]) for part in rows], 1) if rows else x
