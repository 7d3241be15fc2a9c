"""The contract of judges: every file in `adapters/judges/` is held to it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from elicit.plugins import registry
from elicit.routing.judging import Judge, ModelJudge
from elicit.types import BadInputError, Item, JudgeFailure, Query, Vote
from tests.adapters.serving import Server, honest, serving

TOLD = {"responses": ["yes"], "references": ["yes"], "kinds": ["yes", "no"]}
ITEMS = [Item(f"i{k}", f"text {k}", meta={"score": float(k), **TOLD}) for k in range(6)]
PAIRS = [("p0", 0, 1), ("p1", 3, 2), ("p2", 4, 5)]
MODELS = ("aspects", "pairwise", "pointwise", "rubric")
OPTIONS: dict[str, dict[str, Any]] = {
    "simulated": {"utility": "meta.score"},
    "replayed": {"file": "judgments.jsonl"},
    "reference": {"strength": 2.0},
} | {kind: {"endpoint": "http://127.0.0.1:9/v1", "model": "m", "backoff": 1e-3, "retries": 1} for kind in MODELS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study's folder with recorded judgments: a wins p0 and p1."""
    rows = [{"pair_id": p, "judge_id": "j", "judge_kind": "human", "preference": "a"} for p in ("p0", "p1")]
    (tmp_path / "judgments.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def make(kind: str, folder: Path, **options: Any) -> Judge:
    made: Judge = registry.plugin("judge", kind, OPTIONS[kind] | options)
    made.begin("judge", ITEMS, PAIRS, folder)
    return made


@asynccontextmanager
async def asking(kind: str, folder: Path, server: Server, **options: Any) -> AsyncIterator[Any]:
    """A judge that asks the server, if it asks any."""
    judge = make(kind, folder, **({"endpoint": server.url} if kind in MODELS else {}), **options)
    try:
        yield judge
    finally:
        if isinstance(judge, ModelJudge):
            await judge.end()


def unpaid(vote: Any) -> Vote:
    """The vote without what was paid for it: the second time, nothing is."""
    assert isinstance(vote, Vote)
    verdict = vote.verdict and msgspec.structs.replace(vote.verdict, cost=0.0, cached=0)
    return msgspec.structs.replace(vote, verdict=verdict)


@pytest.mark.parametrize("kind", registry.names("judge"))
async def test_a_judge_answers_the_pair_it_was_given_the_same_each_time(kind: str, folder: Path) -> None:
    async with serving(honest) as server, asking(kind, folder, server) as judge:
        for a, b in ((0, 1), (2, 3), (3, 2)):
            vote = await judge.judge(Query(a, b, decision=7))
            assert isinstance(vote, Vote)
            assert (vote.a, vote.b, vote.judge) == (a, b, "judge")
            assert unpaid(vote) == unpaid(await judge.judge(Query(a, b, decision=7)))


@pytest.mark.parametrize("kind", registry.names("judge"))
def test_options_it_does_not_take_are_refused(kind: str) -> None:
    with pytest.raises(BadInputError, match="does not take these options"):
        registry.plugin("judge", kind, OPTIONS[kind] | {"colour": "red"})


async def test_a_simulated_person_votes_with_the_probability_of_bradley_terry(folder: Path) -> None:
    judge = make("simulated", folder, sd=1.0)
    votes = [await judge.judge(Query(4, 2, decision=n)) for n in range(4000)]
    share = np.mean([isinstance(v, Vote) and v.outcome.choice == "a" for v in votes])
    gap = 2 / np.std(range(6))
    p = 1 / (1 + np.exp(-gap))
    assert abs(share - p) < 5 * np.sqrt(p * (1 - p) / 4000)


async def test_a_recorded_verdict_follows_the_pair_whichever_way_round(folder: Path) -> None:
    judge = make("replayed", folder)
    said = [await judge.judge(Query(*rows)) for rows in ((0, 1), (1, 0), (2, 3), (3, 2), (4, 5))]
    assert [v.outcome.choice for v in said if isinstance(v, Vote)] == ["a", "b", "b", "a"]
    assert isinstance(said[4], JudgeFailure)


def test_what_cannot_be_simulated_or_replayed_is_said(folder: Path) -> None:
    with pytest.raises(BadInputError, match=r"'i0' has no number in meta.none"):
        make("simulated", folder, utility="meta.none")
    with pytest.raises(BadInputError, match="is no place"):
        make("simulated", folder, utility="score")
    with pytest.raises(BadInputError, match="no judgment by the judges asked for"):
        make("replayed", folder, judge_id="nobody")
    (folder / "judgments.jsonl").write_text(
        '{"pair_id": "p9", "judge_id": "j", "judge_kind": "human", "preference": "a"}\n'
    )
    with pytest.raises(BadInputError, match="'p9'"):
        make("replayed", folder)


OWN = '''
from elicit.types import ChoiceOutcome, Vote


class Shorter:
    """Prefers the shorter text; margin: by how many characters at least."""

    def __init__(self, margin: int = 0) -> None:
        self.margin = margin

    def begin(self, name, items, pairs, folder):
        self.name, self.lengths = name, [len(item.text) for item in items]

    async def judge(self, query):
        lead = self.lengths[query.b] - self.lengths[query.a]
        choice = "tie" if abs(lead) <= self.margin else "a" if lead > 0 else "b"
        return Vote(query.a, query.b, ChoiceOutcome(choice), self.name)
'''


async def test_a_judge_of_one_s_own_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "shorter.py").write_text(OWN)
    judge: Judge = registry.plugin("judge", f"{tmp_path / 'shorter.py'}:Shorter", {"margin": 1})
    judge.begin("short", [Item("x", "long winded"), Item("y", "long"), Item("z", "short")], [], tmp_path)
    votes = [await judge.judge(query) for query in (Query(0, 1), Query(1, 0), Query(1, 2))]
    assert [vote.outcome.choice for vote in votes if isinstance(vote, Vote)] == ["b", "a", "tie"]
