"""The default text embedder: the mean of static token vectors, from files that are installed, never downloaded.

The vectors and the tokenizer are the 256-dimensional ones that the package `wordllama` carries. They are read as
files; none of that package's code runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from elicit.types import BadInputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NAME = "wordllama-l2-256"
"""Names the embedding; whoever stores vectors stores this beside them."""
DIMENSIONS = 256

_WEIGHTS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_INSTALL = "install it again with: pip install wordllama==0.4.0.post1"
# Rows gathered at a time: 32 MB, small enough for every machine and large enough to pay for the call.
_TOKENS_AT_ONCE = 32_768
_TEXTS_AT_ONCE = 2_048


class Vocabulary(NamedTuple):
    """A tokenizer and its vectors, (V, 256) float32, one row for each token id."""

    tokenizer: Tokenizer
    vectors: NDArray[np.float32]


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """The vectors of N texts, (N, 256) float32, each of length 1; a text without a token gets zeros.

    A text's vector depends on the text alone, to the bit: not on the texts beside it. About 0.1 ms for each hundred
    tokens. Raises `BadInputError` when the files are not there or not what they should be.
    """
    vocabulary = load()
    vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for rows, ids, starts in _batches(vocabulary.tokenizer, texts):
        # Summed token by token, so that a text's neighbours cannot change the order of its additions.
        vectors[rows] += np.add.reduceat(vocabulary.vectors[ids], starts, axis=0)
    # The length of the sum is the length of the mean but for a factor, which normalising takes out.
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, lengths, out=vectors, where=lengths > 0)
    return vectors


@lru_cache(maxsize=2)
def load(package: str = "wordllama") -> Vocabulary:
    """The tokenizer and vectors out of an installed package's files; read once in a process.

    Raises `BadInputError` when the package is missing, its files moved, or their contents changed.
    """
    # Imported here: most commands embed nothing.
    from safetensors import SafetensorError
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    folder = _folder(package)
    for file in (_WEIGHTS, _TOKENIZER):
        if not (folder / file).is_file():
            raise BadInputError(f"the text embedder's file {file} is not in the package {package}; {_INSTALL}")
    try:
        tables = load_file(folder / _WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise BadInputError(f"the text embedder's file {_WEIGHTS} cannot be read ({error}); {_INSTALL}") from error
    try:
        tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
    except Exception as error:  # tokenizers raises nothing more precise
        raise BadInputError(f"the text embedder's file {_TOKENIZER} cannot be read ({error}); {_INSTALL}") from error
    vectors = tables.get("embedding.weight")
    if vectors is None or vectors.shape != (tokenizer.get_vocab_size(), DIMENSIONS):
        raise BadInputError(f"the text embedder's file {_WEIGHTS} holds other vectors than its tokens need; {_INSTALL}")
    return Vocabulary(tokenizer, vectors.astype(np.float32))


def _folder(package: str) -> Path:
    # For a package at the top, this looks for its folder and runs none of its code.
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise BadInputError(f"the text embedder needs the package {package}, which is not installed; {_INSTALL}")
    return Path(spec.submodule_search_locations[0])


def _batches(
    tokenizer: Tokenizer, texts: Sequence[str]
) -> Iterator[tuple[list[int], NDArray[np.int64], NDArray[np.int64]]]:
    """Row numbers of texts with tokens, their token ids in a row, and where each text's ids start.

    A text of more than `_TOKENS_AT_ONCE` tokens comes in pieces, each a batch of its own.
    """
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        encoded = tokenizer.encode_batch_fast(list(texts[first : first + _TEXTS_AT_ONCE]), add_special_tokens=False)
        rows: list[int] = []
        ids: list[int] = []
        starts: list[int] = []
        for row, encoding in enumerate(encoded, first):
            own = encoding.ids
            if not own:
                continue  # adding up over nothing would give the next text's first token
            if ids and len(ids) + len(own) > _TOKENS_AT_ONCE:
                yield rows, np.array(ids, dtype=np.int64), np.array(starts, dtype=np.int64)
                rows, ids, starts = [], [], []
            while len(own) > _TOKENS_AT_ONCE:
                yield [row], np.array(own[:_TOKENS_AT_ONCE], dtype=np.int64), np.zeros(1, dtype=np.int64)
                own = own[_TOKENS_AT_ONCE:]
            rows.append(row)
            starts.append(len(ids))
            ids.extend(own)
        if ids:
            yield rows, np.array(ids, dtype=np.int64), np.array(starts, dtype=np.int64)
