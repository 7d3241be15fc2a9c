"""Recorded votes answer: what is drawn is what people said, the truth is theirs, and what cannot be asked is not."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elicit.cli import _code
from elicit.types import BadInputError
from studies.bench import votes as bench
from studies.simulation.jobs import RunPlan

Votes = Mapping[tuple[int, int], str]
"""Rows a < b -> how its votes ended, a letter each: a, b or t."""

ALL = {(a, b): "bbbba" for b in range(6) for a in range(b)}
"""Six texts, the last of which is the best."""


def write(folder: Path, votes: Votes, kind: str = "human", prompt: str = "Why?") -> tuple[Path, Path]:
    """Two tables of the votes on texts that differ in their last letter."""
    pairs, judgments = folder / "pairs.jsonl", folder / "judgments.jsonl"
    with pairs.open("a") as first, judgments.open("a") as second:
        for (a, b), ended in votes.items():
            name = f"{prompt} {a} {b}"
            row = {"pair_id": name, "prompt": prompt, "response_a": f"Text {'abcdefghij'[a]}"}
            first.write(json.dumps({**row, "response_b": f"Text {'abcdefghij'[b]}", "topic": "x"}) + "\n")
            for n, letter in enumerate(ended):
                preference = "tie" if letter == "t" else letter
                vote = {"pair_id": name, "judge_id": f"j{n}", "judge_kind": kind, "preference": preference}
                second.write(json.dumps(vote) + "\n")
    return pairs, judgments


def test_the_truth_is_what_the_votes_say(tmp_path: Path) -> None:
    (pool,) = bench.read_pools(*write(tmp_path, ALL))
    assert pool.complete
    assert np.argsort(pool.u).tolist() == list(range(6))


def test_more_votes_make_the_truth_surer(tmp_path: Path) -> None:
    regrets = []
    for times in (1, 3, 9):
        folder = tmp_path / str(times)
        folder.mkdir()
        (pool,) = bench.read_pools(*write(folder, dict.fromkeys(ALL, "bba" * times)))
        regrets.append(pool.truth_regret)
    assert regrets[0] > regrets[1] > regrets[2] > 0


@given(
    st.dictionaries(st.sampled_from(list(ALL)), st.text("abt", min_size=1, max_size=5), min_size=3), st.integers(0, 9)
)
def test_only_what_was_said_is_answered(recorded: dict[tuple[int, int], str], seed: int) -> None:
    """Pairs without votes are not asked, and a pair of one opinion always gets it, whichever side is shown first."""
    with tempfile.TemporaryDirectory() as place:
        try:
            (pool,) = bench.read_pools(*write(Path(place), recorded), smallest=2)
        except BadInputError:
            return
    said = {"a": "a", "b": "b", "t": "tie"}
    whole = {pair: [said[letter] for letter in ended] for pair, ended in recorded.items()}
    number = {text: "abcdef".index(text[-1]) for text in pool.texts}
    of = [number[text] for text in pool.texts]
    for (a, b), votes in pool.votes.items():
        low, high = sorted((of[a], of[b]))
        turned = {"a": "b", "b": "a", "tie": "tie"}
        assert list(votes) == [vote if of[a] == low else turned[vote] for vote in whole[low, high]]
    asked = bench.run(pool, "ids", min(4, len(pool.votes)), seed)
    assert asked[-1]["votes"] == min(4, len(pool.votes))


def test_the_best_is_found_and_a_seed_is_a_run(tmp_path: Path) -> None:
    pools = bench.read_pools(*write(tmp_path, dict.fromkeys(ALL, "bbbbb")))
    first, again = (bench.votes(pools, ["default", "ids", "random"], 40, 2, RunPlan(workers=1)) for _ in range(2))
    timed = {"cpu_ms_per_vote", "wall_ms_p50", "wall_ms_p95"}
    rows = [[{k: v for k, v in row.items() if k not in timed} for row in result["rows"]] for result in (first, again)]
    assert rows[0] == rows[1]
    last = [row for row in first["rows"] if row["votes"] == 40]
    assert {(row["method"], row["seed"]) for row in last} == {
        (m, s) for m in ("default", "ids", "random") for s in (0, 1)
    }
    assert all(row["simple_regret"] == 0 and row["found_top3"] == 1 for row in last)
    assert first["setting"]["pools"][0]["votes"] == 75


def test_peers_are_told_a_coin_for_a_tie(tmp_path: Path) -> None:
    (pool,) = bench.read_pools(*write(tmp_path, dict.fromkeys(ALL, "t")))
    assert [row["votes"] for row in bench.run(pool, "linear_eubo", 12, 0)] == [10, 12]


def test_texts_that_read_the_same_are_one_and_strays_are_left_out(tmp_path: Path) -> None:
    chain = {(0, 1): "a", (1, 2): "a", (2, 3): "a", (3, 4): "a", (6, 7): "a"}
    (pool,) = bench.read_pools(*write(tmp_path, chain))
    assert [text[-1] for text in pool.texts] == list("abcde")
    with (tmp_path / "pairs.jsonl").open("a") as file:
        same = {"pair_id": "same", "prompt": "Why?", "response_a": "Text a", "response_b": "Text a", "a": 1, "b": 2}
        file.write(json.dumps(same) + "\n")
    with (tmp_path / "judgments.jsonl").open("a") as file:
        file.write(json.dumps({"pair_id": "same", "judge_id": "j", "judge_kind": "human", "preference": "a"}) + "\n")
    (again,) = bench.read_pools(tmp_path / "pairs.jsonl", tmp_path / "judgments.jsonl")
    assert again.texts == pool.texts
    assert np.array_equal(again.u, pool.u)


def test_groups_are_pools(tmp_path: Path) -> None:
    write(tmp_path, ALL)
    files = write(tmp_path, ALL, prompt="How?")
    assert [pool.name for pool in bench.read_pools(*files)] == ["Why?", "How?"]
    assert [pool.name for pool in bench.read_pools(*files, group="topic")] == ["x"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--group": "colour"}, "the pairs have no column 'colour'; give --group one of: prompt, topic"),
        ({"--methods": "default,apohf"}, "method 'apohf' cannot leave out pairs, and some of 'Why?' have no votes"),
        ({"kind": "llm"}, "no vote is a person's"),
        ({"few": "yes"}, "no value of 'prompt' has 5 texts that people compared"),
    ],
)
def test_bad_input_is_one_sentence(
    change: dict[str, str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, few = change.pop("kind", "human"), change.pop("few", "")
    some = {pair: ended for pair, ended in ALL.items() if not few or pair[1] < 4}
    some.pop((0, 1))
    pairs, judgments = write(tmp_path, some, kind)
    options = [part for option in change.items() for part in option]
    assert _code(["bench", "votes", "--pairs", str(pairs), "--judgments", str(judgments), *options]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert said.err.count("\n") == 1


def test_the_command_prints_a_row_for_every_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs, judgments = write(tmp_path, ALL)
    files = ["--pairs", str(pairs), "--judgments", str(judgments), "--votes", "12", "--seeds", "2", "--workers", "1"]
    assert _code(["bench", "votes", *files, "--methods", "ids,random", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(r["method"], r["pool"], r["seed"], r["votes"]) for r in rows] == [
        (method, "Why?", seed, mark) for method in ("ids", "random") for seed in (0, 1) for mark in (10, 12)
    ]
    assert _code(["bench", "votes", *files, "--methods", "ids,random"]) == 0
    assert "best 3" in capsys.readouterr().out
