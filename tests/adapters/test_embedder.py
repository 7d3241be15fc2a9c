"""The default embedder: vectors of length one that depend on the text alone, out of files that are installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import embedder
from adapters.embedder import DIMENSIONS, embed, load
from elicit.types import BadInputError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which packages can be put for the import system to find."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    load.cache_clear()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=6))
def test_a_vector_depends_on_its_text_alone(texts: list[str]) -> None:
    together = embed(texts)
    assert together.shape == (len(texts), DIMENSIONS)
    assert together.dtype == np.float32
    for text, vector in zip(texts, together, strict=True):
        assert np.array_equal(vector, embed([text])[0])
        assert np.linalg.norm(vector) == pytest.approx(1.0 if text else 0.0, abs=1e-5)


def test_vectors_are_normalised_means_of_token_rows() -> None:
    text = "Write a short poem about the sea."
    vocabulary = load()
    ids = vocabulary.tokenizer.encode(text, add_special_tokens=False).ids
    mean = vocabulary.vectors[ids].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(embed([text])[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_batches_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"number {n} of many texts " * (n % 5) for n in range(50)]
    whole = embed(texts)
    monkeypatch.setattr(embedder, "_TEXTS_AT_ONCE", 7)
    assert np.array_equal(embed(texts), whole)
    monkeypatch.setattr(embedder, "_TOKENS_AT_ONCE", 11)
    np.testing.assert_allclose(embed(texts), whole, atol=1e-6)


def test_texts_longer_than_a_batch() -> None:
    first, second = embed(["the sea and " * 40_000, "the sea and "])
    assert float(first @ second) > 0.98


def test_close_texts_are_closer() -> None:
    near, also_near, far = embed(["a small dog barked", "the puppy was barking", "interest rates rose by a percent"])
    assert near @ also_near > near @ far + 0.2


def test_no_texts() -> None:
    assert embed([]).shape == (0, DIMENSIONS)


def test_the_package_itself_never_runs() -> None:
    program = "import sys; from adapters.embedder import embed; embed(['x']); print('wordllama' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=ROOT, check=True, text=True)
    assert done.stdout == "False\n"


def test_missing_package() -> None:
    with pytest.raises(BadInputError, match="needs the package no_such_vectors, which is not installed; install it"):
        load("no_such_vectors")


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, r"file weights/l2_supercat_256.safetensors is not in the package vectors_\w+; install it again"),
        (b"not weights", "file weights/l2_supercat_256.safetensors cannot be read"),
    ],
)
def test_damaged_package(weights: bytes | None, expected: str, packages: Path) -> None:
    name = "vectors_without" if weights is None else "vectors_damaged"
    folder = packages / name
    for inner in ("weights", "tokenizers"):
        (folder / inner).mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('this must not run')")
    (folder / "tokenizers" / "l2_supercat_tokenizer_config.json").write_text("{}")
    if weights is not None:
        (folder / "weights" / "l2_supercat_256.safetensors").write_bytes(weights)
    with pytest.raises(BadInputError, match=expected) as caught:
        load(name)
    assert "\n" not in str(caught.value)
