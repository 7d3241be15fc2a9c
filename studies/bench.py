"""`elicit bench tuning`: methods side by side on pools of prompts whose scores are known."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.judges.simulated import scaled
from elicit.types import BadInputError, UnknownNameError

METHODS = {"default": "default", "random": "random", "eubo": "eubo", "thompson": "thompson", "eig": "eig"}
"""Each method is the default model under a selector."""
WIDEST = 3
MARKS = (20, 40, 60, 80, 150)


@dataclass(frozen=True)
class Pool:
    """One task measured with one model: prompts, their embeddings (N, d) and scores (N,)."""

    task: str
    model: str
    features: NDArray[np.float64]
    scores: NDArray[np.float64]


def read_pools(path: Path, tasks: Sequence[str] | None, models: Sequence[str] | None) -> list[Pool]:
    """The pools of a parquet file with columns task, prompt, model, score; duplicate prompts are averaged.

    models: None takes the three with the widest spread of scores per task.
    Raises BadInputError for a file without these columns, or names it does not have.
    """
    import pyarrow.parquet as pq

    from adapters.embedder import embed

    wanted = ["task", "prompt", "model", "score"]
    try:
        columns = pq.read_schema(path).names
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path} cannot be read as parquet ({error}); give a pool file") from None
    if missing := [c for c in wanted if c not in columns]:
        raise BadInputError(f"{path} has no column {missing[0]!r}; it needs {', '.join(wanted)}")
    table: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in pq.read_table(path, columns=wanted).to_pylist():
        if row["score"] is not None:
            pool = table.setdefault((row["task"], row["model"]), {})
            pool.setdefault(row["prompt"], []).append(float(row["score"]))
    pools = []
    known = sorted({task for task, _ in table})
    for task in tasks or known:
        if task not in known:
            raise UnknownNameError("task", task, known)
        averaged = {m: {p: float(np.mean(s)) for p, s in pool.items()} for (t, m), pool in table.items() if t == task}
        widest = sorted(averaged, key=lambda m: (-float(np.std(list(averaged[m].values()))), m))[:WIDEST]
        for model in models or widest:
            if model not in averaged:
                raise UnknownNameError("model", model, sorted(averaged))
            prompts = sorted(averaged[model])
            features = embed(prompts).astype(np.float64)
            pools.append(Pool(task, model, features, np.array([averaged[model][p] for p in prompts])))
    return pools


def tuning(
    pools: Sequence[Pool],
    methods: Sequence[str],
    votes: int,
    seeds: int,
    sd: float,
    workers: int,
    report: Callable[[int, int], None],
) -> dict[str, Any]:
    """Run every method on every pool and seed; report(done, total) is called as runs finish.

    sd: standard deviation of the simulated person's logits over the pool.
    """
    for method in methods:
        if method not in METHODS:
            raise UnknownNameError("method", method, list(METHODS))
    jobs = [(pool, method, seed) for pool in pools for method in methods for seed in range(seeds)]
    rows: list[dict[str, Any]] = []
    for done, found in enumerate(_parallel(jobs, votes, sd, workers), start=1):
        rows.extend(found)
        report(done, len(jobs))
    rows.sort(key=lambda r: (r["method"], r["task"], r["model"], r["seed"], r["votes"]))
    setting = {"votes": votes, "seeds": seeds, "utility_sd": sd, "pools": len(pools)}
    return {"bench": "tuning", "setting": setting, "rows": rows, "summary": summary(rows, votes)}


def _parallel(jobs: list[tuple[Pool, str, int]], votes: int, sd: float, workers: int) -> Iterator[list[dict[str, Any]]]:
    with ProcessPoolExecutor(workers or os.cpu_count(), initializer=_one_thread) as executor:
        futures = [executor.submit(_run, *job, votes, sd) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _run(pool: Pool, method: str, seed: int, votes: int, sd: float) -> list[dict[str, Any]]:
    from elicit.engine import Engine
    from studies.simulation import luck_of, simple_regret, simulate, votes_to_95

    u = scaled(pool.scores, sd)
    run = simulate(Engine(pool.features, seed=seed, selector=METHODS[method]), u, votes, luck_of(seed))
    top = np.sort(u)[-max(1, -(-len(u) // 100))]
    common = {
        "method": method,
        "task": pool.task,
        "model": pool.model,
        "seed": seed,
        "items": len(u),
        "votes_to_95": votes_to_95(u, run.recommended),
        "cpu_ms_per_vote": 1e3 * float(np.mean(run.cpu)),
        "wall_ms_p50": 1e3 * float(np.percentile(run.wall, 50)),
        "wall_ms_p95": 1e3 * float(np.percentile(run.wall, 95)),
    }
    rows = []
    for mark in sorted({m for m in MARKS if m < votes} | {votes}):
        row = run.recommended[mark - 1]
        regret = simple_regret(u, row)
        rows.append({**common, "votes": mark, "simple_regret": regret, "found_top1pct": int(u[row] >= top)})
    return rows


def summary(rows: Sequence[dict[str, Any]], votes: int) -> list[dict[str, Any]]:
    """One object per method: means over all runs, with the standard error of the final simple regret."""
    found = []
    for method in dict.fromkeys(r["method"] for r in rows):
        mine = [r for r in rows if r["method"] == method]
        last = [r for r in mine if r["votes"] == votes]
        regret = [r["simple_regret"] for r in last]
        curve = {
            str(v): float(np.mean([r["simple_regret"] for r in mine if r["votes"] == v]))
            for v in sorted({r["votes"] for r in mine})
        }
        found.append(
            {
                "method": method,
                "runs": len(last),
                "simple_regret": float(np.mean(regret)),
                "simple_regret_median": float(np.median(regret)),
                "simple_regret_se": float(np.std(regret) / np.sqrt(len(regret))),
                "simple_regret_by_votes": curve,
                "found_top1pct": float(np.mean([r["found_top1pct"] for r in last])),
                "votes_to_95_median": float(np.median([r["votes_to_95"] for r in last])),
                "cpu_ms_per_vote": float(np.mean([r["cpu_ms_per_vote"] for r in last])),
                "wall_ms_p50": float(np.median([r["wall_ms_p50"] for r in last])),
                "wall_ms_p95": float(np.median([r["wall_ms_p95"] for r in last])),
            }
        )
    return found
