"""From items to what the utility model knows of them before any vote."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elicit.inference.posterior import Knowledge
from elicit.types import BadInputError, Item

if TYPE_CHECKING:
    from adapters.files.pools import ItemColumns

EMBEDDED = 100_000
"""Characters of a text that are embedded; what comes later moves a mean of token vectors little."""

MARKUP = re.compile(r"^\s*(?:[-*•#>|]|\d+[.)]|```)", re.MULTILINE)


def gaps(first: str, second: str) -> dict[str, float]:
    """How much more the first text has than the second of what judges may lean to: differences of log(1 + characters)
    ("length") and of log(1 + lines that begin with a mark of Markdown) ("format")."""
    counts = np.log1p([[len(text), len(MARKUP.findall(text))] for text in (first, second)])
    length, form = (counts[0] - counts[1]).tolist()
    return {"length": length, "format": form}


def knowledge_of(items: Sequence[Item], embedder: str, scores: Sequence[str] = ()) -> Knowledge:
    """What is known of the items: their embeddings or those of their texts, their named features, their scores.

    Named features are standardised and together weigh as much as the embedding does; scores: the names of those that
    should go up with utility. Items with different contexts are known by how they differ from the others of their
    context, because only those are compared with each other, and by their length, which people reward.
    Raises BadInputError where some items have what others have not, or no item has a score of that name.
    """
    if unknown := [name for name in scores if name not in items[0].features]:
        names = ", ".join(sorted(items[0].features)) or "none"
        called = f'; call its column "features.{unknown[0]}" to make it one' if unknown[0] in items[0].meta else ""
        raise BadInputError(f"the items have no feature {unknown[0]!r} to take as a score; they have: {names}{called}")
    parts = [_embeddings(items, embedder), _named_features(items, sorted(set(items[0].features) - set(scores)))]
    contexts = np.unique([item.context for item in items], return_inverse=True)[1]
    if contexts.any() and parts[0] is not None:
        lengths = np.log1p([[float(len(item.text))] for item in items])
        parts = [
            None if part is None else _unit_variance(_centre_by_context(contexts, part)) for part in (*parts, lengths)
        ]
    present = [part for part in parts if part is not None]
    return Knowledge(
        np.concatenate(present, axis=1) if present else None,
        tuple(part.shape[1] for part in present),
        np.array([[item.features[name] for name in scores] for item in items], dtype=np.float64) if scores else None,
    )


def known_of_pool(pool: ItemColumns) -> Knowledge:
    """The same of a pool read by columns, in single precision."""
    vectors = pool.vectors
    if vectors is None and pool.texts is not None and all(pool.texts):
        vectors = embed_texts(pool.texts).astype(np.float32)
    x = np.stack(list(pool.named.values()), 1) if pool.named else None
    parts = [None if vectors is None else _unit_variance(vectors), None if x is None else _standardise(x)]
    present = [part.astype(np.float32, copy=False) for part in parts if part is not None]
    if not present:
        return Knowledge()
    whole = present[0] if len(present) == 1 else np.concatenate(present, axis=1)
    return Knowledge(whole, tuple(part.shape[1] for part in present))


def _embeddings(items: Sequence[Item], embedder: str) -> NDArray[np.float64] | None:
    present = [item.embedding is not None for item in items]
    if all(present):
        return _unit_variance(np.array([item.embedding for item in items], dtype=np.float64))
    if any(present):
        raise BadInputError(
            f"item {items[present.index(False)].id!r} has no embedding but others do; give all of them one, or none"
        )
    if embedder == "none" or not all(item.text for item in items):
        return None
    return embed_texts([item.text for item in items])


def embed_texts(texts: Sequence[str]) -> NDArray[np.float64]:
    """(N, d) embeddings of texts, of unit variance together."""
    from adapters.embedder import embed

    return _unit_variance(embed([text[:EMBEDDED] for text in texts]).astype(np.float64))


def _named_features(items: Sequence[Item], names: Sequence[str]) -> NDArray[np.float64] | None:
    if not names:
        return None
    x = np.array([[item.features[name] for name in names] for item in items], dtype=np.float64)
    return _standardise(x)


def _standardise(x: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = x.std(0)
    return _unit_variance((x - x.mean(0)) / np.where(spread > 0, spread, 1.0))


def _centre_by_context(contexts: NDArray[np.intp], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """x (N, d) less the mean over the items of the same context; contexts: (N,) numbers from 0."""
    total = np.zeros((contexts.max() + 1, x.shape[1]))
    np.add.at(total, contexts, x)
    return x - (total / np.bincount(contexts)[:, None])[contexts]


def _unit_variance(x: NDArray[Any]) -> NDArray[Any]:
    total = x.var(0).sum()
    return x / np.sqrt(total) if total > 0 else x
