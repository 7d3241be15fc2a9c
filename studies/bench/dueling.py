"""`elicit bench dueling`: methods side by side on preference matrices, items being ids only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elicit.types import BadInputError
from studies.bench import methods as bench_methods
from studies.simulation.jobs import Job, Row, RunPlan, fingerprint, measure, versions
from studies.simulation.simulate import duel, luck_of
from studies.simulation.summaries import marks_of, summary, timing

MARKS = (100, 200, 500, 1000, 2000, 5000, 10000, 20000)
SUM_WITHIN = 1e-3


@dataclass(frozen=True)
class Matrix:
    """p: (N, N) probabilities that the row's item beats the column's."""

    name: str
    p: NDArray[np.float64]

    @property
    def copeland(self) -> NDArray[np.float64]:
        """(N,) share of the other items that each beats; an even pair counts half."""
        beats = (self.p > 0.5) + 0.5 * (self.p == 0.5)
        np.fill_diagonal(beats, 0.0)
        share: NDArray[np.float64] = beats.sum(1) / (len(beats) - 1)
        return share

    @property
    def winner(self) -> tuple[int, str]:
        """The row that wins, and its kind: "condorcet" beats every other; where there is none, "copeland" beats most.

        Copeland winners that tie are told apart by their mean probability of winning, then by their row.
        """
        score = self.copeland
        mean = self.p.sum(1) - self.p.diagonal()
        row = max(range(len(score)), key=lambda i: (score[i], mean[i], -i))
        others = np.delete(self.p[row], row)
        return row, "condorcet" if (others > 0.5).all() else "copeland"

    @property
    def deficits(self) -> NDArray[np.float64]:
        """(N,) what is lost by showing an item instead of the winner: P(winner beats it) - 1/2 for a Condorcet
        winner, the Copeland share that it lacks for a Copeland winner."""
        row, kind = self.winner
        if kind == "condorcet":
            lost: NDArray[np.float64] = self.p[row] - 0.5
            lost[row] = 0.0
        else:
            lost = self.copeland[row] - self.copeland
        return lost

    @property
    def least(self) -> float:
        """The least regret a vote can cost, as no item meets itself: the winner against the next best, for ever."""
        return float(np.sort(self.deficits)[1] / 2)


def read_matrices(path: Path, names: Sequence[str] | None = None) -> list[Matrix]:
    """The matrices of a JSON file `{"matrices": [{"name", "p_win": [[...]]}]}`, or the named ones.

    Raises BadInputError naming the matrix and the field that cannot be used.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["matrices"]
        table = [(str(entry.get("name", f"matrix {k}")), entry["p_win"]) for k, entry in enumerate(entries)]
    except OSError as error:
        raise BadInputError(f"{path} cannot be read ({error.strerror}); give --matrices a JSON file") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInputError(
            f"{path} is not JSON of the form {{'matrices': [{{'name', 'p_win'}}]}}; see --help"
        ) from None
    if not table:
        raise BadInputError(f"{path}: matrices is empty; give at least one")
    if missing := [name for name in names or () if name not in dict(table)]:
        raise BadInputError(f"{path} has no matrix {missing[0]!r}; it has {', '.join(dict(table))}")
    return [_check_matrix(path, name, p) for name, p in table if not names or name in names]


def _check_matrix(path: Path, name: str, p_win: Any) -> Matrix:
    where = f"{path}: matrix {name!r}"
    try:
        p = np.array(p_win, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadInputError(f"{where}: p_win must be rows of numbers, all of one length") from None
    if p.ndim != 2 or p.shape[0] != p.shape[1] or len(p) < 2:
        raise BadInputError(f"{where}: p_win must be square, of 2 items or more, not {p.shape}")
    np.fill_diagonal(p, 0.5)
    bad = ~((p >= 0) & (p <= 1)) | ~(np.abs(p + p.T - 1) <= SUM_WITHIN)
    if bad.any():
        i, j = (int(x) for x in np.argwhere(bad)[0])
        raise BadInputError(
            f"{where}: p_win[{i}][{j}] is {p[i, j]} and p_win[{j}][{i}] is {p[j, i]}; "
            "they must be probabilities that add up to 1"
        )
    return Matrix(name, p)


def dueling(
    matrices: Sequence[Matrix], methods: Sequence[str], votes: int, seeds: int, plan: RunPlan
) -> dict[str, Any]:
    """Run every method on every matrix and seed.

    Raises BadInputError for unknown methods, or where `plan.out` does not fit.
    """
    chosen = bench_methods.check(methods, features=False)
    jobs = [
        Job(
            {"method": method, "matrix": matrix.name, "seed": seed, "content": fingerprint(matrix.p)},
            run,
            (matrix, method, seed, votes),
        )
        for matrix in matrices
        for method in chosen
        for seed in range(seeds)
    ]
    fixed = {"votes": votes, "device": "cpu", **versions()}
    rows = measure("dueling", fixed, jobs, plan)
    rows.sort(key=lambda row: chosen.index(row["method"]))
    winners = {m.name: {"row": m.winner[0], "kind": m.winner[1], "least_regret": m.least * votes} for m in matrices}
    setting = {**fixed, "methods": chosen, "seeds": seeds, "winners": winners}
    means = ("simple_regret", "found_winner", "winner_share", "self_share", "cpu_ms_per_vote")
    summaries = summary(rows, "cumulative_regret", (*means, "wall_ms_p50", "wall_ms_p95"), (), "matrix")
    return {"bench": "dueling", "setting": setting, "rows": rows, "summary": summaries}


def run(matrix: Matrix, method: str, seed: int, votes: int) -> list[Row]:
    """One method on one matrix: a row per mark.

    cumulative_regret: the mean deficit of the two items shown, summed over the votes; simple_regret: the deficit of
    the recommended item, 1 being an average one; winner_share: share of votes in which the winner stood;
    self_share: share of votes of an item against itself.
    """
    algorithm = bench_methods.make(method, None, len(matrix.p), seed, votes)
    simulation = duel(algorithm, lambda a, b: float(matrix.p[a, b]), votes, luck_of(seed))
    winner, kind = matrix.winner
    deficits = matrix.deficits
    pairs = np.array(simulation.pairs)
    cumulative_regret = deficits[pairs].mean(1).cumsum()
    on_winner, itself = (pairs == winner).any(1), pairs[:, 0] == pairs[:, 1]
    common = {
        "method": method,
        "matrix": matrix.name,
        "seed": seed,
        "items": len(matrix.p),
        "winner": winner,
        "winner_kind": kind,
    }
    return [
        {
            **common,
            "votes": mark,
            "cumulative_regret": float(cumulative_regret[mark - 1]),
            "simple_regret": float(deficits[simulation.recommended[mark - 1]] / max(deficits.mean(), 1e-12)),
            "found_winner": int(simulation.recommended[mark - 1] == winner),
            "winner_share": float(on_winner[:mark].mean()),
            "self_share": float(itself[:mark].mean()),
            **timing(simulation, mark),
        }
        for mark in marks_of(MARKS, votes)
    ]
