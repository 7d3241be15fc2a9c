"""The benches: the same luck for all, the same rows from the same seed, interrupted or not, and sums that add up."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elicit import Engine
from elicit.cli import _code
from elicit.inference.posterior import Knowledge
from elicit.plugins import registry
from elicit.stats import sigmoid
from elicit.types import BadInputError, ChoiceOutcome, Vote
from studies.bench import apohf, dueling, methods, selection, tuning
from studies.bench.peers import PeerPair
from studies.simulation.jobs import Job, Row, RunPlan, measure
from studies.simulation.simulate import luck_of, regrets

Out = pytest.CaptureFixture[str]
TIMES = ("cpu_ms_per_vote", "wall_ms_p50", "wall_ms_p95")


def write(folder: Path, name: str, **changed: Any) -> Path:
    """An instance of twelve items in three features; `changed` arrays replace its own, None leaves one out."""
    rng = np.random.default_rng(int(name[-1]))
    X = rng.standard_normal((12, 3))
    arrays = {"X": X, "u": X @ np.array([2.0, 1.0, 0.0]), "U": rng.random(7)} | changed
    folder.mkdir(exist_ok=True)
    np.savez(folder / f"{name}.npz", **{k: v for k, v in arrays.items() if v is not None})
    return folder


@pytest.fixture
def instances(tmp_path: Path) -> Path:
    """A folder of two instances of family lin, seeds 1 and 2, and one of ids only, family ids, seed 3."""
    write(tmp_path / "instances", "lin_1")
    write(tmp_path / "instances", "lin_2", u=np.arange(12.0) / 3)
    return write(tmp_path / "instances", "ids_3", X=np.zeros((12, 0)))


def steady(rows: list[Row]) -> list[Row]:
    """The rows without what a clock says."""
    return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


def fails(out: Out, *arguments: str) -> str:
    """The one sentence a bad call ends with."""
    out.readouterr()
    assert _code(["bench", *arguments]) == 2
    said = out.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


class Scripted:
    """Asks given pairs, hears the outcomes, recommends the last winner."""

    def __init__(self, pairs: list[tuple[int, int]]) -> None:
        self.pairs: Iterator[tuple[int, int]] = iter([*pairs, (0, 1)])
        self.winners: list[int] = []

    def ask(self) -> PeerPair:
        return PeerPair(*next(self.pairs))

    def tell(self, a: int, b: int, outcome: str) -> None:
        self.winners.append(a if outcome == "a" else b)

    def best(self) -> int:
        return self.winners[-1]


def test_every_method_sees_the_same_luck(instances: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = selection.read_instances(instances, "1")[0]
    pairs = [(int(i), int(j)) for i, j in np.random.default_rng(0).integers(0, 12, (40, 2)) if i != j]
    heard = []
    for asked in (pairs, [(j, i) for i, j in pairs]):
        scripted = Scripted(asked)
        monkeypatch.setattr(methods, "make", lambda *_, scripted=scripted, **__: scripted)
        rows = selection.run(instance, "scripted", len(pairs), selection.Setting())
        heard.append(scripted.winners)
        of = regrets(instance.u)
        assert rows[-1]["simple_regret"] == of[scripted.winners[-1]]
        assert rows[-1]["cumulative_regret"] == pytest.approx(sum((of[i] + of[j]) / 2 for i, j in pairs))
    law = []
    for t, (i, j) in enumerate(pairs):
        a, b = min(i, j), max(i, j)
        law.append(a if instance.U[t % 7] < 1 / (1 + np.exp(instance.u[b] - instance.u[a])) else b)
    assert heard == [law, law]


def test_the_same_seed_gives_the_same_rows_and_resuming_changes_nothing(instances: Path, tmp_path: Path) -> None:
    found = selection.read_instances(instances, families=["lin"])
    names = ["random", "linear_eubo", "default"]

    def rows(plan: RunPlan, votes: int = 24) -> list[Row]:
        return steady(selection.selection(found, names, votes, plan, selection.Setting())["rows"])

    whole = rows(RunPlan(1))
    assert [(r["method"], r["seed"], r["votes"]) for r in whole] == [
        (m, s, v) for m in names for s in (1, 2) for v in (10, 20, 24)
    ]

    def interrupt(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    out = tmp_path / "runs.jsonl"
    with pytest.raises(KeyboardInterrupt):
        rows(RunPlan(1, out, interrupt))
    assert len(out.read_text().splitlines()) == 1 + 2
    with out.open("a") as file:
        file.write('{"run": {"method": "def')  # a crash in the middle of a line
    steps: list[int] = []
    assert rows(RunPlan(2, out, steps.append)) == whole  # the rest in two processes
    assert steps == [2, 3, 4, 5, 6]
    before = out.read_bytes()
    assert rows(RunPlan(1, out)) == whole
    with pytest.raises(BadInputError, match=r"votes = 24, and now it is 25"):
        rows(RunPlan(1, out), votes=25)
    assert out.read_bytes() == before


def test_more_luck_is_other_luck_and_an_instance_tried_again_is_no_other_instance(instances: Path) -> None:
    found = selection.read_instances(instances, families=["lin"])
    once = selection.selection(found, ["random"], 24, RunPlan(1), selection.Setting())
    thrice = selection.selection(found, ["random"], 24, RunPlan(1), selection.Setting(), lucks=3)
    assert steady(thrice["rows"])[: len(once["rows"])] == steady(once["rows"])
    for name in (i.name for i in found):
        of = [r["simple_regret"] for r in thrice["rows"] if r["instance"] == name]
        assert len(set(of)) > len(set(of[:2]))
    final = [r for r in thrice["rows"] if r["votes"] == 24]
    means = [np.mean([r["simple_regret"] for r in final if r["instance"] == i.name]) for i in found]
    assert thrice["summary"][0]["runs"] == 3 * len(found)
    assert thrice["summary"][0]["simple_regret_se"] == pytest.approx(np.std(means, ddof=1) / np.sqrt(len(found)))


@pytest.mark.parametrize("name", ["bradley_terry", "gp", "neural"])
def test_a_model_is_a_method_that_believes_as_the_model_does(name: str, instances: Path) -> None:
    instance = selection.read_instances(instances, "1", families=["lin"])[0]
    assert instance.X is not None
    features = instance.X.astype(np.float64)
    made = methods.make(name, features, len(instance.u), 1, 9)
    assert isinstance(made, Engine)
    model, votes = registry.model(name), [Vote(0, 1, ChoiceOutcome("a")), Vote(2, 0, ChoiceOutcome("b"))]
    for vote in votes:
        made.tell(vote.a, vote.b, vote.outcome.choice)
    begun = model.init(len(features), Knowledge(features), "cpu")
    believed = model.update(begun, votes, np.random.default_rng(0))
    assert np.allclose(made.utilities()[0], believed.mean().numpy() - believed.mean().numpy().mean())


@pytest.mark.parametrize("text", ['{"votes": 3}\n', "not JSON\n", "no line", '{"bench": "b", "setting": {}}\n[1]\n'])
def test_a_file_that_holds_something_else_is_left_alone(tmp_path: Path, text: str) -> None:
    out = tmp_path / "runs.jsonl"
    out.write_text(text)
    with pytest.raises(BadInputError, match="give --out another name"):
        measure("b", {}, [Job({"n": 1}, list, ())], RunPlan(1, out))
    assert out.read_text() == text


def test_summaries_are_means_of_rows(instances: Path, tmp_path: Path, capsys: Out) -> None:
    arguments = ["--instances", str(instances), "--methods", "random,linear_eubo", "--votes", "21", "--workers", "1"]
    assert _code(["bench", "selection", *arguments, "--plot", str(tmp_path / "curves.svg"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["bench"], result["setting"]["votes"], result["setting"]["instances"]) == ("selection", 21, 3)
    assert [s["method"] for s in result["summary"]] == ["random", "linear_eubo"]
    first = [r["simple_regret"] for r in result["rows"] if (r["method"], r["votes"]) == ("random", 21)]
    for entry in result["summary"]:
        mine = [r for r in result["rows"] if r["method"] == entry["method"]]
        last = [r for r in mine if r["votes"] == 21]
        assert entry["runs"] == len(last) == 3
        for name in ("simple_regret", "found_top1pct", "cumulative_regret", *TIMES):
            assert entry[name] == pytest.approx(np.mean([r[name] for r in last]))
        assert entry["votes_to_95_median"] == np.median([r["votes_to_95"] for r in last])
        assert all(1 <= r["votes_to_95"] <= 22 for r in mine)
        over = np.array([r["simple_regret"] for r in last]) - first
        assert entry["simple_regret_over_first"] == pytest.approx(over.mean())
        assert entry["simple_regret_over_first_se"] == pytest.approx(over.std(ddof=1) / 3**0.5)
        spread = np.std([r["simple_regret"] for r in last], ddof=1) / 3**0.5
        assert entry["simple_regret_se"] == pytest.approx(spread)
        at = {str(v): np.mean([r["simple_regret"] for r in mine if r["votes"] == v]) for v in (10, 20, 21)}
        assert entry["simple_regret_by_votes"] == pytest.approx(at)
        assert at["21"] == entry["simple_regret"]
        assert set(entry["simple_regret_by_family"]) == {"ids", "lin"}
    assert "<svg" in (tmp_path / "curves.svg").read_text()
    assert _code(["bench", "selection", *arguments, "--seeds", "odd"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["random", "2"], ["linear_eubo", "2"]]


def test_noise_rescales_and_leaves_the_regret(instances: Path) -> None:
    u = selection.read_instances(instances, "1")[0].u
    assert selection.with_noise(u, "sd2").std() == pytest.approx(2.0)
    scaled = selection.with_noise(u, "p90")
    assert sigmoid(scaled.max() - np.median(scaled)) == pytest.approx(0.9)
    assert regrets(scaled) == pytest.approx(regrets(u))
    assert selection.with_noise(np.zeros(3), "sd2").tolist() == [0, 0, 0]


@given(u=st.lists(st.integers(-3, 3), min_size=3, max_size=9), seed=st.integers(0, 99))
def test_an_order_is_compared_by_every_pair_and_by_the_best(u: list[int], seed: int) -> None:
    truth = np.array(u, dtype=np.float64)
    mean = np.random.default_rng(seed).standard_normal(len(u))
    engine = Engine(n_items=len(u))
    engine.utilities = lambda: (mean, mean)  # type: ignore[method-assign]
    found = selection.order(engine, truth, 2)
    pairs = [(i, j) for i in range(len(u)) for j in range(len(u)) if u[i] > u[j]]
    assert found["misordered"] == pytest.approx(np.mean([mean[i] < mean[j] for i, j in pairs] or [0]))
    mine = set(np.argsort(-mean)[:2])
    assert found["top_recall"] == len(mine & set(sorted(range(len(u)), key=lambda i: (-u[i], i))[:2])) / 2


@pytest.mark.parametrize("linear", [False, True])
def test_a_score_correlates_as_it_is_said_to(linear: bool) -> None:
    rng = np.random.default_rng(0)
    made = selection.Instance(
        "i", "f", 1, rng.standard_normal((400, 30)), 5 * rng.standard_normal(400) + 2, rng.random(9)
    )
    found = [np.corrcoef(made.u, selection.score_of(made, -0.4, linear, luck))[0, 1] for luck in range(30)]
    assert np.mean(found) == pytest.approx(-0.4, abs=4 * np.std(found) / 30**0.5 + 0.01)


def test_goals_and_scores_are_measured(instances: Path, capsys: Out) -> None:
    arguments = ["bench", "selection", "--instances", str(instances), "--families", "lin", "--workers", "1", "--json"]
    for goal, extra, first in (("rank", [], "misordered"), ("top", ["--top", "3"], "top_recall")):
        assert _code([*arguments, "--votes", "12", "--goal", goal, *extra, "--methods", "default,random"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert [list(s[f"{first}_by_votes"]) for s in result["summary"]] == [["10", "12"]] * 2
        assert all(0 <= row[name] <= 1 for row in result["rows"] for name in ("top_recall", "misordered"))
    assert _code([*arguments, "--votes", "3", "--score", "1", "--methods", "default"]) == 0
    by_votes = json.loads(capsys.readouterr().out)["summary"][0]["simple_regret_by_votes"]
    assert by_votes["0"] == 0  # a score that is the utility itself needs no vote


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"U": None}, "no array 'U'"),
        ({"X": np.zeros(12)}, "X must be numbers of 2 dimensions"),
        ({"u": np.full(12, np.nan)}, "u has a number that is not finite"),
        ({"u": np.zeros(11)}, "X has 12 rows and u 11"),
        ({"U": np.array([0.5, 1.5])}, "U must hold uniforms"),
        ({"u": np.array(["a"] * 12)}, "u must be numbers"),
        ({"seed": np.array([1, 2])}, "seed must be one whole number"),
    ],
)
def test_bad_instances_are_named(tmp_path: Path, changed: dict[str, Any], said: str, capsys: Out) -> None:
    folder = write(tmp_path / "bad", "one_1", **changed)
    found = fails(capsys, "selection", "--instances", str(folder))
    assert said in found
    assert "one_1.npz" in found


def test_bad_calls_are_one_sentence(instances: Path, tmp_path: Path, capsys: Out) -> None:
    here = ["selection", "--instances", str(instances)]
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "x.npz").write_text("no archive")
    assert "cannot be read" in fails(capsys, "selection", "--instances", str(tmp_path / "broken"))
    assert "there is nothing at" in fails(capsys, "selection", "--instances", str(tmp_path / "none"))
    assert "no .npz files" in fails(capsys, "selection", "--instances", str(tmp_path))
    assert "known are: aepsych" in fails(capsys, *here, "--methods", "defualt")
    assert "no method is named" in fails(capsys, *here, "--methods", ",")
    assert "ids only" in fails(capsys, *here, "--methods", "random,pairwise_gp_eubo")
    assert "seeds 1, 2, 3" in fails(capsys, *here, "--seeds", "8")
    assert "not understood" in fails(capsys, *here, "--seeds", "some")
    assert "not understood" in fails(capsys, *here, "--noise", "p30")
    assert "whole numbers" in fails(capsys, *here, "--items", "many")
    assert "cannot look for the goal top" in fails(capsys, *here, "--goal", "top", "--methods", "choix")
    assert "cannot be given a score" in fails(capsys, *here, "--score", ".5", "--methods", "linear_eubo")
    assert "give a smaller --top" in fails(capsys, *here, "--goal", "top", "--top", "12")
    assert "give --score too" in fails(capsys, *here, "--score-error", "linear")
    assert "leave --score-error out" in fails(capsys, *here, "--score", ".5", "--score-error", "linear")
    assert "cannot be drawn" in fails(capsys, *here, "--plot", str(tmp_path / "x.doc"))
    assert "cannot be drawn" in fails(capsys, *here, "--plot", str(tmp_path / "none" / "x.png"))
    assert "2 or more" in fails(capsys, "latency", "--items", "1")
    assert "1 or more" in fails(capsys, "latency", "--votes", "0")
    if not torch.cuda.is_available():
        assert "device 'cuda' is not available" in fails(capsys, "latency", "--device", "cuda")


def test_an_interrupted_bench_says_what_is_kept(
    instances: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    before = selection.run

    def run(instance: selection.Instance, *rest: Any) -> list[Row]:
        if instance.seed == 3:
            raise KeyboardInterrupt
        return before(instance, *rest)

    monkeypatch.setattr(selection, "run", run)
    arguments = ["--instances", str(instances), "--methods", "random", "--votes", "3", "--workers", "1"]
    out = tmp_path / "runs.jsonl"
    assert _code(["bench", "selection", *arguments, "--out", str(out)]) == 3
    assert "0 of 3 runs are in" in capsys.readouterr().err
    assert _code(["bench", "selection", *arguments]) == 3
    assert "--out FILE would keep them" in capsys.readouterr().err


def prompts(file: Path) -> Path:
    """Pools of tasks t0 to t3, one model: 12 prompts, the better the longer, the third and eighth one a default."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    words = list("abcdefghijklm")
    rows = [
        {
            "task": f"t{t}",
            "prompt": " ".join(words[: n + 2]),
            "model": "m",
            "method": "default" if n in (2, 7) else "other",
            "score": n / 12,
        }
        for t in range(4)
        for n in range(12)
    ]
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file


def test_tuning_tells_what_the_recommendation_is_over_the_default_prompts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = prompts(tmp_path / "pools.parquet")
    assert [p.task for p in tuning.read_pools(file, ["even"], None)] == ["t0", "t2"]
    assert [p.task for p in tuning.read_pools(file, ["odd"], None)] == ["t1", "t3"]
    pool = tuning.read_pools(file, ["t3"], None)[0]
    order = np.argsort(pool.scores).tolist()
    assert sorted(pool.scores[list(pool.defaults)]) == pytest.approx([2 / 12, 7 / 12])
    for place, beaten, tied in [(0, 0, 0), (2, 0, 0.5), (5, 0.5, 0), (7, 0.5, 0.5), (11, 1, 0)]:
        row = order[place]
        scripted = Scripted([(row, order[0]), (row, order[1])])
        monkeypatch.setattr(scripted, "best", lambda row=row: row)
        monkeypatch.setattr(methods, "make", lambda *_, scripted=scripted, **__: scripted)
        told = tuning.run(pool, "scripted", 0, 2, 2.0)[-1]
        assert (told["beats_default"], told["ties_default"]) == (beaten, tied)
        assert told["regrets"] == pytest.approx([told["simple_regret"]] * 2, abs=1e-6)


def test_tuning_counts_votes_to_the_rivals_regret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apohf, "STEPS", 20)
    pools = tuning.read_pools(prompts(tmp_path / "pools.parquet"), None, None)
    result = tuning.tuning(pools, ["apohf", "default", "random"], 12, 2, 2.0, RunPlan(1))
    level = next(s["simple_regret"] for s in result["summary"] if s["method"] == "apohf")
    for entry in result["summary"]:
        curve = np.mean([r["regrets"] for r in result["rows"] if r["method"] == entry["method"]], 0)
        votes = entry["votes_to_apohf"]
        assert (curve[: (votes or 13) - 1] > level - 1e-6).all()
        assert votes is None or curve[votes - 1] <= level + 1e-6
    assert tuning.first_reached(np.array([0.5, 0.2, 0.3]), 0.1) is None


ARITHMETIC = [[0.5 + 0.05 * (j - i) for j in range(6)] for i in range(6)]
CIRCLE = [[0.5, 0.9, 0.1], [0.1, 0.5, 0.8], [0.9, 0.2, 0.5]]  # 0 beats 1 beats 2 beats 0
HALF = [[0.5, 0.5, 0.7], [0.5, 0.5, 0.6], [0.3, 0.4, 0.5]]  # 0 and 1 are even


@pytest.fixture
def matrices(tmp_path: Path) -> Path:
    """A file of three matrices."""
    file = tmp_path / "matrices.json"
    named = {"arithmetic": ARITHMETIC, "circle": CIRCLE, "half": HALF}
    file.write_text(json.dumps({"matrices": [{"name": n, "p_win": p} for n, p in named.items()]}))
    return file


def test_the_winner_is_condorcets_or_else_copelands(matrices: Path) -> None:
    arithmetic, circle, half = dueling.read_matrices(matrices)
    assert arithmetic.winner == (0, "condorcet")
    assert arithmetic.deficits == pytest.approx([0, 0.05, 0.1, 0.15, 0.2, 0.25])
    assert circle.winner == (2, "copeland")  # all beat one other; row 2 wins most often
    assert circle.deficits.tolist() == [0, 0, 0]
    assert half.winner == (0, "copeland")
    assert half.deficits == pytest.approx([0, 0, 0.75])


def test_dueling_regret_is_what_the_pairs_shown_lose(matrices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = dueling.read_matrices(matrices, ["arithmetic"])[0]
    pairs = [(0, 1), (5, 2), (0, 0), (3, 4)]
    scripted = Scripted(pairs)
    monkeypatch.setattr(methods, "make", lambda *_: scripted)
    row = dueling.run(matrix, "scripted", 9, len(pairs))[-1]
    p, luck = matrix.p, luck_of(9)
    assert row["cumulative_regret"] == pytest.approx(sum((p[0, i] + p[0, j] - 1) / 2 for i, j in pairs))
    assert (row["winner_share"], row["self_share"]) == (0.5, 0.25)
    law = [min(i, j) if luck(t) < p[min(i, j), max(i, j)] else max(i, j) for t, (i, j) in enumerate(pairs)]
    assert scripted.winners == law
    assert row["simple_regret"] == pytest.approx(matrix.deficits[law[-1]] / matrix.deficits.mean())


def test_the_dueling_bench(matrices: Path, capsys: Out) -> None:
    arguments = ["--matrices", str(matrices), "--names", "arithmetic,circle", "--votes", "110", "--seeds", "1"]
    common = ["--methods", "default,linear_eubo", "--workers", "1"]
    assert _code(["bench", "dueling", *arguments, *common, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["setting"]["winners"]["circle"] == {"row": 2, "kind": "copeland", "least_regret": 0}
    assert result["setting"]["winners"]["arithmetic"]["least_regret"] == pytest.approx(110 * 0.025)
    assert all(r["cumulative_regret"] >= 0.025 * r["votes"] for r in result["rows"] if r["matrix"] == "arithmetic")
    assert {r["self_share"] for r in result["rows"]} == {0}
    assert len(result["rows"]) == 2 * 2 * 2
    for entry in result["summary"]:
        last = [r for r in result["rows"] if r["method"] == entry["method"] and r["votes"] == 110]
        assert entry["cumulative_regret"] == pytest.approx(np.mean([r["cumulative_regret"] for r in last]))
    assert "has no matrix 'square'" in fails(capsys, "dueling", "--matrices", str(matrices), "--names", "square")
    assert "needs features" in fails(capsys, "dueling", "--matrices", str(matrices), "--methods", "apohf")


@pytest.mark.parametrize(
    ("p", "said"),
    [
        ([[0.5, 0.7], [0.4, 0.5]], r"p_win\[0\]\[1\] is 0.7 and p_win\[1\]\[0\] is 0.4"),
        ([[0.5, 1.2], [-0.2, 0.5]], "add up to 1"),
        ([[0.5, None], [0.4, 0.5]], "add up to 1|rows of numbers"),
        ([[0.5, 0.7]], "square"),
        ([[0.5, 0.7], [0.4]], "rows of numbers"),
    ],
)
def test_bad_matrices_are_named(tmp_path: Path, p: Any, said: str) -> None:
    file = tmp_path / "m.json"
    file.write_text(json.dumps({"matrices": [{"name": "mine", "p_win": p}]}))
    with pytest.raises(BadInputError, match=said) as error:
        dueling.read_matrices(file)
    assert "'mine'" in str(error.value)


@pytest.mark.parametrize("text", ["[]", "{}", "{", '{"matrices": []}', '{"matrices": [{"p": 1}]}'])
def test_a_file_without_matrices_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "m.json"
    file.write_text(text)
    with pytest.raises(BadInputError, match=str(file)):
        dueling.read_matrices(file)


def test_the_latency_bench_carries_its_coordinates(capsys: Out) -> None:
    arguments = ["--items", "9", "--dim", "2", "--votes", "3,8", "--window", "4", "--json"]
    assert _code(["bench", "latency", *arguments]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [(r["items"], r["votes"], r["device"]) for r in result["rows"]] == [(9, 3, "cpu"), (9, 8, "cpu")]
    for row in result["rows"]:
        assert 0 < row["wall_ms_p50"] <= row["wall_ms_p95"] <= row["wall_ms_max"]
        assert 20 < row["base_memory_mb"] <= row["peak_memory_mb"] < 5000


@pytest.mark.parametrize("name", ["selection", "tuning", "dueling", "latency"])
def test_every_bench_shows_an_example_and_the_methods(name: str, capsys: Out) -> None:
    assert _code(["bench", name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Example: elicit bench {name}" in shown
    assert all(method in shown for method in methods.method_names())
