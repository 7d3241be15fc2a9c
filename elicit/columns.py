"""The columns that votes add to a covariance, shared by every belief that descends from the same votes."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

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

    def put(self, t: int, name: bytes, column: Tensor) -> Columns:
        """The columns with slot t filled."""
        k, i = divmod(t, CHUNK)
        with _WRITING:  # looking ahead runs beside the votes, in a thread of its own
            chunks, names = self._chunks[: k + 1], self._names[: k + 1]
            if k == len(chunks):
                fresh = column.new_empty(len(column), CHUNK, column.shape[1])
                chunks, names = (*chunks, fresh), (*names, [])
            elif i < len(names[k]) and names[k][i] == name:
                return self
            elif i < len(names[k]):
                chunks = (*chunks[:k], chunks[k].clone())
                names = (*names[:k], names[k][:i])
            chunks[k][:, i] = column
            names[k].append(name)
            return Columns(chunks, names)

    def combine(self, weights: Tensor) -> Tensor | float:
        """sum_t weights[:, t] c_t: (M, N)."""
        total: Tensor | float = 0.0
        for k, part in enumerate(torch.split(weights, CHUNK, 1)):
            total = total + torch.bmm(part[:, None], self._chunks[k][:, : part.shape[1]])[:, 0]
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

    def only(self, models: Tensor) -> Columns:
        """The columns of the chosen models (m,)."""
        return Columns(tuple(chunk[models] for chunk in self._chunks), tuple(list(names) for names in self._names))

    def at(self, rows: Tensor, count: int, models: Tensor) -> Tensor:
        """The first `count` columns at `rows` (S,) under `models` (m,): (m, count, S)."""
        parts = []
        for k in range(0, count, CHUNK):
            times = torch.arange(min(CHUNK, count - k), device=rows.device)
            parts.append(self._chunks[k // CHUNK][models[:, None, None], times[:, None], rows])
        return torch.cat(parts, 1)
