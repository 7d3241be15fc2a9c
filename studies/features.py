"""From items to the feature matrix the utility model sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from elicit.types import BadInputError, Item

EMBEDDED = 100_000
"""Characters of a text that are embedded; what comes later moves a mean of token vectors little."""


def features_of(items: Sequence[Item], embedder: str) -> NDArray[np.float64] | None:
    """(N, d) features: the items' embeddings or those of their texts, beside their named features; None: ids only.

    Named features are standardised and together weigh as much as the embedding does.
    """
    parts = [part for part in (_embeddings(items, embedder), _named(items)) if part is not None]
    return np.concatenate(parts, axis=1) if parts else None


def _embeddings(items: Sequence[Item], embedder: str) -> NDArray[np.float64] | None:
    given = [item.embedding is not None for item in items]
    if all(given):
        return _unit_variance(np.array([item.embedding for item in items], dtype=np.float64))
    if any(given):
        raise BadInputError(
            f"item {items[given.index(False)].id!r} has no embedding but others do; give all of them one, or none"
        )
    if embedder == "none" or not all(item.text for item in items):
        return None
    from adapters.embedder import embed

    return _unit_variance(embed([item.text[:EMBEDDED] for item in items]).astype(np.float64))


def _named(items: Sequence[Item]) -> NDArray[np.float64] | None:
    names = sorted(items[0].features)
    if not names:
        return None
    x = np.array([[item.features[name] for name in names] for item in items], dtype=np.float64)
    spread = x.std(0)
    return _unit_variance((x - x.mean(0)) / np.where(spread > 0, spread, 1.0))


def _unit_variance(x: NDArray[np.float64]) -> NDArray[np.float64]:
    total = x.var(0).sum()
    return x / np.sqrt(total) if total > 0 else x
