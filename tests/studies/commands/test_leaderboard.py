"""`elicit leaderboard` as a person uses it: what it says, in which form, and what it says when the table is wrong."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from adapters.files.export import write_rows
from adapters.files.formats import PairRow, read_items
from adapters.files.tables import read_table
from elicit.cli import _code
from elicit.inference.noise import FixedNoise
from elicit.ranking.davidson import probabilities
from studies.commands.feature_leaderboard import learn_from_votes
from studies.reporting.routing import routed_cases
from studies.study import Study
from tests.studies import routed

Out = pytest.CaptureFixture[str]
NAMES = ["ant", "bee", "cat", "a-model-with-quite-a-long-name-2026-11-21", "\x1b[31mred", "猫"]


def battles(count: int = 3000, seed: int = 0) -> list[dict[str, Any]]:
    """Votes of sixty judges on six items, each better than the next."""
    rng = np.random.default_rng(seed)
    u = np.linspace(2, -2, len(NAMES))
    a = rng.integers(0, len(NAMES), count)
    b = (a + rng.integers(1, len(NAMES), count)) % len(NAMES)
    share = probabilities(u[a] - u[b], 0.5).cumsum(1)
    ended = (rng.random(count)[:, None] > share[:, :2]).sum(1)
    return [
        {"model_a": NAMES[i], "model_b": NAMES[j], "winner": ("model_a", "model_b", "tie")[o], "judge_id": f"j{k % 60}"}
        for k, (i, j, o) in enumerate(zip(a, b, ended, strict=True))
    ]


@pytest.fixture
def table(tmp_path: Path) -> str:
    """A file of votes."""
    path = tmp_path / "battles.csv"
    write_rows(path, battles())
    return str(path)


def said(out: Out, *arguments: str) -> str:
    """What a good call prints."""
    out.readouterr()
    assert _code(["leaderboard", *arguments]) == 0
    return out.readouterr().out


def test_items_stand_in_their_order_with_ranks_and_intervals(table: str, capsys: Out) -> None:
    head, *lines = said(capsys, table, "--cluster", "judge_id").splitlines()
    assert re.fullmatch(r"ranks  item +utility  -\d\.\d\d +\+\d\.\d\d +votes", head)
    firsts = ("ant", "bee", "cat", "a-model-with-quite-a-long-name-2026-11-21", "␛[31mred", "猫")
    for place, (name, line) in enumerate(zip(firsts, lines, strict=False), 1):
        assert re.match(rf" *{place}  {re.escape(name)} +[+-]\d\.\d\d ± 0\.\d\d .*─●─.* [\d,]+$", line), line
    notes = " ".join(lines[6:])
    assert "3,000 votes on 6 items" in notes
    assert "ant is the best" in notes
    assert "Votes with the same judge_id may depend on one another" in notes


def test_json_holds_everything_and_nothing_else(table: str, capsys: Out) -> None:
    found = json.loads(said(capsys, table, "--json", "--level", "0.9"))
    assert (found["level"], found["votes"], found["clusters"]) == (0.9, 3000, None)
    assert [row["item"] for row in found["items"]] == NAMES
    assert all(row["low"] < row["utility"] < row["high"] for row in found["items"])
    assert [row["rank_low"] for row in found["items"]] == [1, 2, 3, 4, 5, 6]
    assert any("--cluster judge_id" in note for note in found["notes"])
    clustered = json.loads(said(capsys, table, "--json", "--cluster", "judge_id"))
    assert clustered["clusters"] == 60
    assert [row["utility"] for row in clustered["items"]] == [row["utility"] for row in found["items"]]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_the_rows_leave_as_a_file_that_reads_back(table: str, tmp_path: Path, ending: str, capsys: Out) -> None:
    path = str(tmp_path / f"ranks.{ending}")
    shown = said(capsys, table, "-o", path)
    assert "ant" in shown
    rows = read_table(path).rows
    assert [row.values["item"] for row in rows] == NAMES
    assert float(rows[0].values["utility"]) == json.loads(said(capsys, table, "--json"))["items"][0]["utility"]
    piped = said(capsys, table, "-o", "-")
    assert [json.loads(line)["item"] for line in piped.splitlines()] == NAMES


def test_what_rests_on_the_prior_is_said(tmp_path: Path, capsys: Out) -> None:
    rows = [row for row in battles() if NAMES[0] not in (row["model_a"], row["model_b"])]
    wins = [{"model_a": "champion", "model_b": NAMES[i % 5 + 1], "winner": "a"} for i in range(40)]
    island = [{"model_a": "east", "model_b": "west", "winner": "ba"[i % 2]} for i in range(40)]
    path = tmp_path / "battles.jsonl"
    write_rows(path, rows + wins + island)
    shown = said(capsys, str(path))
    assert re.search(r"Never compared with the rest, not even through a third: (east, west|west, east)\.", shown)
    assert "All votes between these and the rest went one way: champion." in shown
    pictures = shown.split("\n\n")[0].splitlines()[1:]
    assert pictures[0].split()[1] == "champion", "who won all stands where the prior puts it"
    assert {line.split()[1] for line in pictures[-2:]} == {"east", "west"}
    assert ">" in pictures[-1], "what is not known runs off the picture"
    assert "0 is the mean of the 5 best connected" in shown
    assert len({len(line) for line in pictures}) <= 2, "wide characters apart, all lines are as long"


def test_two_items_and_one_vote_are_enough(tmp_path: Path, capsys: Out) -> None:
    path = tmp_path / "battles.csv"
    path.write_text("a,b,choice\ntea,coffee,b\n")
    shown = said(capsys, str(path))
    assert shown.index("coffee") < shown.index("tea")
    assert "the best is one of coffee, tea" in shown


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(
    table: str, width: int, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.cells import cell_len

    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("FORCE_COLOR", "1")
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in said(capsys, table).splitlines()]
    assert max(map(cell_len, lines)) <= width
    assert sum("●" in line for line in lines) == (6 if width >= 80 else 0)
    assert (width <= 80) == ("…" in "".join(lines[:7]))


def pool(path: Path, items: int = 60, votes: int = 400) -> tuple[str, list[float]]:
    """A file of votes on the first two thirds of the items, and one of the items beside it; returns its utilities."""
    rng = np.random.default_rng(1)
    u = rng.standard_normal(items)
    a = rng.integers(0, items * 2 // 3, votes)
    b = (a + rng.integers(1, items * 2 // 3, votes)) % (items * 2 // 3)
    won = rng.random(votes) < 1 / (1 + np.exp(2 * (u[b] - u[a])))
    rows = [
        {"a": f"i{i}", "b": f"i{j}", "winner": "a" if w else "b"} for i, j, w in zip(a, b, won.tolist(), strict=True)
    ]
    write_rows(path / "votes.csv", rows)
    known = [
        {
            "id": f"i{k}",
            "text": f"text {k}",
            "display": f"**text {k}**",
            "embedding": [float(u[k]), float(k % 7)],
            "meta.author": "maya",
            "features.length": float(k % 5),
        }
        for k in range(items)
    ]
    for ending in ("csv", "parquet"):
        write_rows(path / f"items.{ending}", known)
    write_rows(path / "items.jsonl", read_items(path / "items.csv"))
    return str(path / "votes.csv"), u.tolist()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little training."""
    from elicit.ranking import utilities

    monkeypatch.setattr(utilities, "STEPS", 40)


@pytest.mark.usefixtures("quick")
def test_features_give_every_item_a_utility(tmp_path: Path, capsys: Out) -> None:
    votes, u = pool(tmp_path)
    shown = said(capsys, votes, "--items", str(tmp_path / "items.jsonl"))
    table, notes = shown.split("\n\n")
    assert len(table.splitlines()) == 21
    assert "These are the 20 best of 60; -o FILE writes all." in notes
    assert "400 votes on 40 of 60 items." in notes
    assert re.search(r"Of \d+ votes held out, \d\d\.\d % are foretold, log loss 0\.\d+ .*; without the features", notes)
    assert re.search(r"Of \d+ votes on items of which no vote was learnt from, \d\d\.\d %", notes)
    found = json.loads(said(capsys, votes, "--items", str(tmp_path / "items.parquet"), "--json", "--level", "0.9"))
    rows = found["items"]
    assert (found["level"], found["votes"], len(rows)) == (0.9, 400, 60)
    assert set(rows[0]) == {"item", "utility", "low", "high", "votes"}
    assert [row["utility"] for row in rows] == sorted((row["utility"] for row in rows), reverse=True)
    truth = [u[int(row["item"][1:])] for row in rows]
    assert np.corrcoef([row["utility"] for row in rows], truth)[0, 1] > 0.8
    assert [line.split()[1] for line in table.splitlines()[1:]] == [row["item"] for row in rows[:20]]
    for name in ("held_out", "by_ids", "new_items"):
        assert 0.5 < found[name]["right"] <= 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("items", ["items.csv", "items.jsonl", "items.parquet"])
def test_what_is_written_starts_a_study(items: str, ending: str, tmp_path: Path, capsys: Out) -> None:
    votes, _ = pool(tmp_path)
    out = tmp_path / f"out.{ending}"
    told = said(capsys, votes, "--items", str(tmp_path / items), "--json", "-o", str(out))
    rows = json.loads(told)["items"]
    written = read_items(out)
    assert [item.features["utility"] for item in written] == [row["utility"] for row in rows]
    assert [float(item.meta["low"]) for item in written] == [row["low"] for row in rows]
    assert [float(item.meta["high"]) for item in written] == [row["high"] for row in rows]
    given = {item.id: item for item in read_items(tmp_path / items)}
    for item in written:
        kept = {name: value for name, value in item.meta.items() if name not in ("low", "high", "votes")}
        features = {name: value for name, value in item.features.items() if name != "utility"}
        assert replace(item, meta=kept, features=features) == given[item.id], "nothing that was given is lost"
    assert _code(["init", str(tmp_path / "study"), "--items", str(out), "--score", "utility"]) == 0


@pytest.mark.usefixtures("quick")
def test_an_interrupt_leaves_nothing_half_written(tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    from elicit.ranking import utilities

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    votes, _ = pool(tmp_path)
    monkeypatch.setattr(utilities, "hidden_components", interrupted)
    out = tmp_path / "out.csv"
    assert _code(["leaderboard", votes, "--items", str(tmp_path / "items.jsonl"), "-o", str(out)]) == 3
    assert [file for file in tmp_path.iterdir() if "out" in file.name or file.name.startswith(".")] == []
    assert "stopped; nothing was written" in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_what_was_learnt_before_is_replaced_and_not_learnt_from(ending: str, tmp_path: Path, capsys: Out) -> None:
    votes, _ = pool(tmp_path)
    write_rows(tmp_path / "votes.jsonl", [{"a": "i1", "b": "i2", "winner": "a"}])
    out, again = str(tmp_path / f"out.{ending}"), str(tmp_path / f"again.{ending}")
    said(capsys, votes, "--items", str(tmp_path / "items.csv"), "-o", out)
    shown = said(capsys, str(tmp_path / "votes.jsonl"), "--items", out, "-o", again)
    assert 'The items\' own feature "utility" was not learnt from, and is replaced.' in shown
    rest = json.loads(said(capsys, str(tmp_path / "votes.jsonl"), "--items", str(tmp_path / "items.csv"), "--json"))
    expected = {row["item"]: row["utility"] for row in rest["items"]}
    found = {item.id: item for item in read_items(again)}
    for name, item in found.items():
        assert item.features["utility"] == pytest.approx(expected[name], abs=0.02)
        assert int(item.meta["votes"]) == (name in ("i1", "i2"))


@pytest.mark.usefixtures("quick")
def test_columns_of_the_names_that_are_written_are_replaced(tmp_path: Path, capsys: Out) -> None:
    """They would stand for the same as those written, and the file could not be read again."""
    votes, _ = pool(tmp_path)
    rows = [dict(row.values) | {"votes": -1, "meta.low": -1.0} for row in read_table(tmp_path / "items.parquet").rows]
    write_rows(tmp_path / "more.parquet", rows)
    out = tmp_path / "out.parquet"
    said(capsys, votes, "--items", str(tmp_path / "more.parquet"), "-o", str(out))
    assert sum(item.meta["votes"] for item in read_items(out)) == 800
    assert all(item.meta["low"] != -1 for item in read_items(out))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("slips", "told"), [(0.1, False), (0.2, True)])
def test_too_many_votes_at_random_are_told(slips: float, told: bool, tmp_path: Path) -> None:
    votes, _ = pool(tmp_path)
    found = learn_from_votes(votes, None, str(tmp_path / "items.csv"), 0.9)
    noise = FixedNoise(slipped=slips)
    found.model = dataclasses.replace(found.model, posterior=dataclasses.replace(found.model.posterior, noise=noise))
    assert told == any("Some 20 % of the votes seem to be cast at random" in note for note in found.notes)


def test_only_ties_are_not_called_few(tmp_path: Path, capsys: Out) -> None:
    pool(tmp_path)
    write_rows(tmp_path / "ties.csv", [{"a": f"i{k % 50}", "b": f"i{k % 50 + 1}", "winner": "tie"} for k in range(500)])
    shown = said(capsys, str(tmp_path / "ties.csv"), "--items", str(tmp_path / "items.csv"))
    assert "Too few votes with a winner to hold any out" in shown


FEATURELESS = {
    "missing": ({"id": "x", "text": "one"}, [], '"i0" and 39 more are voted on but not in'),
    "clusters": ({"id": "x", "text": "one"}, ["--cluster", "judge"], "--cluster goes with the intervals"),
    "ending": ({"id": "x", "text": "one"}, ["-o", "out.doc"], '".doc" is not known'),
    "folder": ({"id": "x", "text": "one"}, ["-o", "there is none/out.csv"], "the folder for this file does not exist"),
}


@pytest.mark.parametrize("case", FEATURELESS)
def test_items_that_do_not_fit_are_one_sentence(case: str, tmp_path: Path, capsys: Out) -> None:
    item, more, expected = FEATURELESS[case]
    votes, _ = pool(tmp_path)
    write_rows(tmp_path / "other.jsonl", [item, {"id": "y", "text": "two"}])
    assert _code(["leaderboard", votes, "--items", str(tmp_path / "other.jsonl"), *more]) == 2
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err.count("\n") == 1
    assert expected in out.err


def test_items_of_which_nothing_is_known_are_refused(tmp_path: Path, capsys: Out) -> None:
    write_rows(tmp_path / "votes.csv", [{"a": "x", "b": "y", "winner": "a"}])
    write_rows(tmp_path / "items.parquet", [{"id": "x"}, {"id": "y"}])
    assert _code(["leaderboard", str(tmp_path / "votes.csv"), "--items", str(tmp_path / "items.parquet")]) == 2
    assert "there is nothing to learn from" in capsys.readouterr().err


BAD = {
    "word": (["{}"], "a,b,winner\nx,y,a\nx,y,z\n", "battles.csv, line 3, field"),
    "column": (["{}", "--cluster", "judge"], "a,b,winner\nx,y,a\n", 'there is no column "judge"'),
    "skips": (["{}"], "a,b,choice\nx,y,skip\n", "there is no vote that tells anything"),
    "one judge": (["{}", "--cluster", "judge"], "a,b,winner,judge\nx,y,a,me\n", "all votes are of one cluster"),
    "three clusters": (["{}", *["--cluster", "a"] * 3], "a,b,winner\nx,y,a\n", "at most two columns"),
    "two names": (["{}", "--columns", "a,b"], "a,b,winner\nx,y,a\n", "give three names"),
    "level": (["{}", "--level", "95"], "a,b,winner\nx,y,a\n", "95"),
    "both to stdout": (["{}", "--json", "-o", "-"], "a,b,winner\nx,y,a\n", "both write to stdout"),
    "ending": (["{}", "-o", "ranks.doc"], "a,b,winner\nx,y,a\n", '".doc" is not known'),
    "no file": (["none.csv"], "", "there is no such file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_code_2(case: str, tmp_path: Path, capsys: Out) -> None:
    arguments, data, expected = BAD[case]
    path = tmp_path / "battles.csv"
    path.write_text(data)
    assert _code(["leaderboard", *(one.format(path) for one in arguments)]) == 2
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err.count("\n") == 1
    assert expected in out.err


# -- a routed study -------------------------------------------------------------------------------------------


def routed_study(folder: Path, **meta: str) -> Study:
    """A study of 60 pairs by three systems, of which the later are better but for upsets, routed to its end: a machine
    that is always wrong heard all pairs, and a person who is not some of them."""
    rng = np.random.default_rng(0)
    rows = []
    for k in range(60):
        a, b = (int(system) for system in rng.permutation(3)[:2])
        worth = [10 * system + int(rng.integers(0, 25)) + side / 10 for side, system in enumerate((a, b))]
        texts = [f"answer {round(10 * value)}" for value in worth]
        rows.append(PairRow(f"p{k}", f"Task {k}", *texts, {"model_a": f"s{a}", "model_b": f"s{b}"} | meta))
    judges = [routed.judge(folder, temper="wrong"), routed.judge(folder, "maya", person=True, price=0.5)]
    plain: dict[str, Any] = {"selector": "random", "model": "bradley_terry", "embedder": "none", "votes": 1000}
    routing = {"router": "random", "budget": 15.0, "audits": 0.3}
    study = Study.create(folder / "study", pairs=rows, judges=judges, routing=routing, **plain)
    routed.go(study)
    return study


def test_the_systems_of_a_routed_study_are_ranked_as_people_would(tmp_path: Path, capsys: Out) -> None:
    study = routed_study(tmp_path)
    cases = routed_cases(study.spec, study.state)
    assert 5 < np.isfinite(cases.human).sum() < len(cases.human)
    study.close()
    found = json.loads(said(capsys, str(tmp_path / "study"), "--json"))
    assert [row["item"] for row in found["items"]] == ["s2", "s1", "s0"]
    assert all(row["low"] < row["utility"] < row["high"] for row in found["items"])
    assert 1 < found["clusters"] <= np.isfinite(cases.human).sum()
    shown = said(capsys, str(tmp_path / "study"))
    assert f"{np.isfinite(cases.human).sum()} pairs of 3 systems answered by people" in shown
    assert "all these ranks are right together" in shown


def test_what_a_study_lacks_for_a_leaderboard_is_told(tmp_path: Path, capsys: Out) -> None:
    Study.create(tmp_path / "items", items=["one", "two"]).close()
    routed_study(tmp_path, model_b="").close()
    for arguments, words in (
        ((tmp_path / "items",), "no routed labels"),
        ((tmp_path / "study",), "model_a and model_b"),
        ((tmp_path / "study", "--cluster", "judge"), "--cluster"),
    ):
        capsys.readouterr()
        assert _code(["leaderboard", *map(str, arguments)]) == 2
        assert words in capsys.readouterr().err
