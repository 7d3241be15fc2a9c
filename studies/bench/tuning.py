"""`elicit bench tuning`: methods side by side on pools of prompts whose scores are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.judges.simulated import scaled
from elicit.types import BadInputError, UnknownNameError
from studies.bench import methods as known
from studies.bench.measuring import Job, Plan, Row, fingerprint, measure, versions
from studies.bench.summaries import curve, marks_of, summary
from studies.simulation import luck_of, simulate

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
    held = sorted({task for task, _ in table})
    for task in tasks or held:
        if task not in held:
            raise UnknownNameError("task", task, held)
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
    pools: Sequence[Pool], methods: Sequence[str], votes: int, seeds: int, sd: float, plan: Plan
) -> dict[str, Any]:
    """Run every method on every pool and seed.

    sd: standard deviation of the simulated person's logits over the pool.
    Raises BadInputError for unknown methods, or where `plan.out` does not fit.
    """
    chosen = known.check(methods, features=True)
    jobs = [
        Job(
            {"method": method, "task": pool.task, "model": pool.model, "seed": seed, "content": content},
            run,
            (pool, method, seed, votes, sd),
        )
        for pool in pools
        for content in [fingerprint(pool.features, pool.scores)]
        for method in chosen
        for seed in range(seeds)
    ]
    fixed = {"votes": votes, "utility_sd": sd, "device": "cpu", **versions()}
    rows = measure("tuning", fixed, jobs, plan)
    rows.sort(key=lambda row: chosen.index(row["method"]))
    setting = {**fixed, "methods": chosen, "seeds": seeds, "pools": len(pools)}
    means = ("found_top1pct", "cumulative_regret", "cpu_ms_per_vote", "wall_ms_p50", "wall_ms_p95")
    found = summary(rows, "simple_regret", means, ("votes_to_95",), "task")
    return {"bench": "tuning", "setting": setting, "rows": rows, "summary": found}


def run(pool: Pool, method: str, seed: int, votes: int, sd: float) -> list[Row]:
    """One method on one pool with one simulated person: a row per mark."""
    u = scaled(pool.scores, sd)
    made = known.make(method, pool.features, len(u), seed)
    ran = simulate(made, u, votes, luck_of(seed))
    common = {"method": method, "task": pool.task, "model": pool.model, "seed": seed, "items": len(u)}
    return [common | row for row in curve(ran, u, marks_of(MARKS, votes))]
