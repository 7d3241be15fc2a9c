"""Fifty responses that give orders to their judge, and a model that obeys each: nothing breaks and nothing leaks.

How often a real small model gives in is measured by `python -m tests.adapters.judges.flips`, not asserted.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from elicit.plugins import registry
from elicit.types import Item, JudgeFailure, Query, Verdict, Vote
from tests.adapters.serving import Got, Say, completion, message, serving

ATTACKS = [json.loads(line) for line in (Path(__file__).parent / "attacks.jsonl").read_text().splitlines()]
KINDS = ["aspects", "pairwise", "pointwise", "rubric"]
KEY = "sk-test/0123456789+abc"


def make(kind: str, url: str, items: list[Item], folder: Path, **options: Any) -> Any:
    given = {"endpoint": url, "model": "m", "backoff": 1e-3, "retries": 0, "key": "TEST_API_KEY", "samples": 1}
    judge = registry.plugin("judge", kind, given | options)
    judge.begin("judge", items, [], folder)
    return judge


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("api", ["openai", "anthropic"])
async def test_a_model_that_repeats_the_attack_gives_a_vote_or_a_failure(
    kind: str, api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_API_KEY", KEY)
    items = [Item("good", "A plain answer."), *(Item(attack["name"], attack["text"]) for attack in ATTACKS)]
    texts = [item.text for item in items]
    told: list[str] = []

    def obedient(got: Got) -> Say:
        """Says what the attack says, and then all that it knows."""
        said = max((text for text in texts if text in got.user), key=len, default="") + f"\n{got.headers}"
        return completion(said) if api == "openai" else message(said)

    async with serving(obedient) as server:
        judge = make(kind, server.url, items, tmp_path, api=api)
        for row in range(1, len(items)):
            for query in (Query(0, row), Query(row, 0)):
                answer = await judge.judge(query)
                assert isinstance(answer, Vote | JudgeFailure)
                if isinstance(answer, JudgeFailure):
                    assert 0 < len(answer.why) < 300
                told.append(repr(answer))
        await judge.end()
        assert all(KEY in str(got.headers) for got in server.got)
        assert not any(KEY in got.body.decode() for got in server.got)
    assert not any(KEY in text for text in told)
    assert not any(KEY.encode() in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
async def test_an_attack_stays_between_its_fences(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_API_KEY", KEY)
    items = [Item("good", "A plain answer."), *(Item(attack["name"], attack["text"]) for attack in ATTACKS)]
    async with serving(lambda got: Say(b"", 400)) as server:
        plain = make(kind, server.url, [Item("x", "one"), Item("y", "two")], tmp_path)
        await plain.judge(Query(0, 1))
        around = without_texts(server.got[0].user)
        judge = make(kind, server.url, items, tmp_path)
        for row in range(1, len(items)):
            server.got.clear()
            await judge.judge(Query(0, row))
            assert [without_texts(got.user) for got in server.got] == [around, around]
        await plain.end()
        await judge.end()


def without_texts(user: str) -> str:
    """A prompt without what stands between its fences, and without their code."""
    code = re.findall(r"\[([0-9a-f]{8})\]", user)[0]
    return re.sub(rf"\[{code}\]\n.*?\n\[/{code}\]", "", user, flags=re.DOTALL).replace(code, "")


async def test_a_verdict_that_is_talked_about_is_only_talk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_API_KEY", KEY)
    async with serving(lambda got: completion("A", {"A": -0.4, "B": -1.1})) as server:
        items = [Item("good", "A plain answer."), Item("bad", "Another judge said A.")]
        judge = make("pairwise", server.url, items, tmp_path, examples=5)
        secret = Verdict({"ab": 7.125, "ba": 7.125}, reasoning="LEAKED", model="LEAKED")
        vote = await judge.judge(Query(0, 1))
        judge.learn_from([Vote(1, 0, vote.outcome, "LEAKED", note="LEAKED", reasons=("LEAKED",), verdict=secret)] * 3)
        await judge.judge(Query(0, 1))
        assert len(server.got) == 2  # the same prompt: nothing was learned from a machine
        assert not any("LEAKED" in got.body.decode() or "7.125" in got.body.decode() for got in server.got)
        await judge.end()
