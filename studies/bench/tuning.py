"""`elicit bench tuning`: methods side by side on pools of prompts whose scores are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.files import fields
from adapters.files.tables import read_table
from adapters.judges.simulated import scale_utilities
from elicit.types import UnknownNameError
from studies.bench import methods as bench_methods
from studies.simulation.jobs import Job, Row, RunPlan, fingerprint, measure, versions
from studies.simulation.simulate import luck_of, regrets, simulate
from studies.simulation.summaries import curve, marks_of, summary

WIDEST = 3
MARKS = (20, 40, 60, 80, 150)
RIVAL = "apohf"


@dataclass(frozen=True)
class PromptPool:
    """One task measured with one model: prompts, their embeddings (N, d) and scores (N,); the rows of the task's own
    prompts, written before any other was tried."""

    task: str
    model: str
    features: NDArray[np.float64]
    scores: NDArray[np.float64]
    defaults: tuple[int, ...] = ()


def read_pools(path: Path, tasks: Sequence[str] | None, models: Sequence[str] | None) -> list[PromptPool]:
    """The pools of a table with columns task, prompt, model, score; duplicate prompts are averaged.

    A column `method` says "default" of the prompts that a task came with. tasks: their names, or "even" or "odd" for
    every second one in the order of their names; None takes all. models: None takes the three with the widest spread
    of scores per task.
    Raises BadInputError for a file without these columns, or names it does not have.
    """
    from adapters.embedder import embed

    wanted = ["task", "prompt", "model", "score"]
    table: dict[tuple[str, str], dict[str, list[float]]] = {}
    default_prompts: dict[str, set[str]] = {}
    for row in read_table(path).rows:
        fields.need_all(row, wanted)
        if fields.is_blank(row.values.get("score", "")):
            if "score" not in row.values:
                raise fields.missing(row, "score")
            continue
        task, prompt, model = (fields.needed_text(row, name) for name in ("task", "prompt", "model"))
        pool = table.setdefault((task, model), {})
        pool.setdefault(prompt, []).append(fields.number(row, "score", row.values["score"]))
        if row.values.get("method") == "default":
            default_prompts.setdefault(task, set()).add(prompt)
    pools = []
    task_names = sorted({task for task, _ in table})
    if tasks in (["even"], ["odd"]):
        tasks = task_names[tasks == ["odd"] :: 2]
    for task in tasks or task_names:
        if task not in task_names:
            raise UnknownNameError("task", task, task_names)
        scores_by_model = {
            m: {p: float(np.mean(s)) for p, s in pool.items()} for (t, m), pool in table.items() if t == task
        }
        widest = sorted(scores_by_model, key=lambda m: (-float(np.std(list(scores_by_model[m].values()))), m))[:WIDEST]
        for model in models or widest:
            if model not in scores_by_model:
                raise UnknownNameError("model", model, sorted(scores_by_model))
            prompts = sorted(scores_by_model[model])
            features = embed(prompts).astype(np.float64)
            defaults = tuple(row for row, prompt in enumerate(prompts) if prompt in default_prompts.get(task, ()))
            pools.append(
                PromptPool(task, model, features, np.array([scores_by_model[model][p] for p in prompts]), defaults)
            )
    return pools


def tuning(
    pools: Sequence[PromptPool], methods: Sequence[str], votes: int, seeds: int, sd: float, plan: RunPlan
) -> dict[str, Any]:
    """Run every method on every pool and seed.

    sd: standard deviation of the simulated person's logits over the pool. The summary's `votes_to_apohf` counts the
    votes until a method's mean regret is first as low as APOHF's at the end, where it is among the methods.
    Raises BadInputError for unknown methods, or where `plan.out` does not fit.
    """
    chosen = bench_methods.check(methods, features=True)
    jobs = [
        Job(
            {"method": method, "task": pool.task, "model": pool.model, "seed": seed, "content": content},
            run,
            (pool, method, seed, votes, sd),
        )
        for pool in pools
        for content in [fingerprint(pool.features, pool.scores, np.array(pool.defaults))]
        for method in chosen
        for seed in range(seeds)
    ]
    fixed = {"votes": votes, "utility_sd": sd, "device": "cpu", **versions()}
    rows = measure("tuning", fixed, jobs, plan)
    rows.sort(key=lambda row: chosen.index(row["method"]))
    setting = {**fixed, "methods": chosen, "seeds": seeds, "pools": len(pools)}
    means = ("found_top1pct", "cumulative_regret", "cpu_ms_per_vote", "wall_ms_p50", "wall_ms_p95")
    summaries = summary(rows, "simple_regret", means, ("votes_to_95",), "task")
    for entry in summaries:
        entry |= _over_defaults([r for r in rows if (r["method"], r["votes"]) == (entry["method"], votes)])
    if RIVAL in chosen:
        curves = {m: np.mean([r["regrets"] for r in rows if r["method"] == m and "regrets" in r], 0) for m in chosen}
        for entry in summaries:
            entry[f"votes_to_{RIVAL}"] = first_reached(curves[entry["method"]], float(curves[RIVAL][-1]))
    return {"bench": "tuning", "setting": setting, "rows": rows, "summary": summaries}


def run(pool: PromptPool, method: str, seed: int, votes: int, sd: float) -> list[Row]:
    """One method on one pool with one simulated person: a row per mark.

    beats_default, ties_default: the share of the task's own prompts than which the recommendation's score is higher,
    and to which it is equal; None where the file does not tell. regrets: in the last row, after every vote.
    """
    u = scale_utilities(pool.scores, sd)
    algorithm = bench_methods.make(method, pool.features, len(u), seed, votes)
    simulation = simulate(algorithm, u, votes, luck_of(seed))
    common = {"method": method, "task": pool.task, "model": pool.model, "seed": seed, "items": len(u)}
    rows: list[Row] = [common | row for row in curve(simulation, u, marks_of(MARKS, votes))]
    for row in rows:
        lead = u[simulation.recommended[row["votes"] - 1]] - u[list(pool.defaults)]
        row["beats_default"] = float((lead > 0).mean()) if len(lead) else None
        row["ties_default"] = float((lead == 0).mean()) if len(lead) else None
    rows[-1]["regrets"] = regrets(u)[simulation.recommended].round(6).tolist()
    return rows


def first_reached(curve: NDArray[np.float64], level: float) -> int | None:
    """The first number of votes after which a curve (T,) is at `level` or below it; None where it never is."""
    below = np.flatnonzero(curve <= level)
    return int(below[0]) + 1 if len(below) else None


def _over_defaults(last: Sequence[Row]) -> Row:
    """How often the recommendation beats the prompts its task came with, and how often it ties, where they are told."""
    comparable = [row for row in last if row["beats_default"] is not None]
    names = ("beats_default", "ties_default")
    return {name: float(np.mean([row[name] for row in comparable])) if comparable else None for name in names}
