"""`elicit bench latency`: how long tell + ask takes, and how much memory, as items and votes grow."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from elicit.stats import sigmoid
from elicit.types import BadInputError
from studies.bench import methods as bench_methods
from studies.simulation.jobs import Job, Row, RunPlan, measure, versions
from studies.simulation.simulate import clock, luck_of

SD = 2.0


def latency(
    items: Sequence[int],
    dim: int,
    votes: Sequence[int],
    device: str,
    methods: Sequence[str],
    window: int,
    seed: int,
    plan: RunPlan,
) -> dict[str, Any]:
    """Measure every method on made-up items, one fresh process of one thread at a time.

    dim: features an item, 0 for ids only. votes: where to measure; the figures are of the last `window` votes up to
    there, or of all since the place before if those are fewer.
    Raises BadInputError for a device that is not there, unknown methods, fewer than 2 items.
    """
    chosen = bench_methods.check(methods, features=dim > 0)
    _available(device, chosen)
    marks = sorted(set(votes))
    if not marks or marks[0] < 1:
        raise BadInputError("--votes must name numbers of 1 or more")
    if not items or min(items) < 2:
        raise BadInputError("--items must name numbers of 2 or more")
    jobs = [
        Job({"method": method, "items": n, "votes": marks}, run, (method, n, dim, marks, device, window, seed))
        for n in sorted(set(items))
        for method in chosen
    ]
    fixed = {"dim": dim, "device": device, "window": window, "seed": seed, "threads": 1, **versions()}
    rows = measure("latency", fixed, jobs, plan, fresh=True)
    rows.sort(key=lambda row: (chosen.index(row["method"]), row["items"], row["votes"]))
    setting = {**fixed, "items": sorted(set(items)), "votes": marks, "methods": chosen}
    return {"bench": "latency", "setting": setting, "rows": rows, "summary": summary(rows)}


def _available(device: str, methods: Sequence[str]) -> None:
    if device == "cpu":
        return
    import torch

    if not torch.cuda.is_available():
        raise BadInputError(f"device {device!r} is not available: torch finds no GPU here; use --device cpu")
    if peers := [m for m in methods if m in bench_methods.PEERS + bench_methods.OUTSIDE]:
        raise BadInputError(f"method {peers[0]!r} computes on the CPU only; use --device cpu, or leave it out")


def run(method: str, items: int, dim: int, marks: Sequence[int], device: str, window: int, seed: int) -> list[Row]:
    """One method on `items` made-up items: features and a linear utility drawn at random; a row per mark.

    memory: peak_memory_mb is the most the process has held so far, base_memory_mb what it held with its libraries
    and the features before the method began, peak_device_mb the most on the GPU. Of a peer in a process of its own,
    peak_memory_mb is that process's and base_memory_mb what it held when it had asked its first pair.
    """
    rng = np.random.default_rng([seed, items, dim])
    # Single precision, as embeddings are: a million items of 256 features are a gigabyte.
    X = rng.standard_normal((items, dim), dtype=np.float32) if dim else None
    u = rng.standard_normal(items) if X is None else X @ rng.standard_normal(dim, dtype=np.float32)
    u = u.astype(np.float64) * (SD / u.std())
    if method not in bench_methods.PEERS + bench_methods.OUTSIDE:
        import elicit.engine  # noqa: F401  (its memory is the libraries')
    base, luck = _memory("VmRSS"), luck_of(seed)
    start_time = time.perf_counter()
    algorithm = bench_methods.make(method, X, items, seed, marks[-1], device)
    query = algorithm.ask()
    start = time.perf_counter() - start_time
    process_time, pid = clock(algorithm), getattr(algorithm, "pid", "self")
    if pid != "self":
        base = _memory("VmRSS", pid)
    wall, cpu, rows = np.empty(marks[-1]), np.empty(marks[-1]), list[Row]()
    for t in range(marks[-1]):
        first = luck(t) < sigmoid(u[query.a] - u[query.b])
        c, w = process_time(), time.perf_counter()
        algorithm.tell(query.a, query.b, "a" if first else "b")
        query = algorithm.ask()
        cpu[t], wall[t] = process_time() - c, time.perf_counter() - w
        if t + 1 in marks:
            before = max((m for m in marks if m <= t), default=0)
            part = slice(max(before, t + 1 - window), t + 1)
            rows.append(
                {
                    "method": method,
                    "items": items,
                    "votes": t + 1,
                    "device": device,
                    "dim": dim,
                    "seed": seed,
                    "wall_ms_p50": 1e3 * float(np.percentile(wall[part], 50)),
                    "wall_ms_p95": 1e3 * float(np.percentile(wall[part], 95)),
                    "wall_ms_max": 1e3 * float(wall[part].max()),
                    "cpu_ms_per_vote": 1e3 * float(cpu[part].mean()),
                    "start_ms": 1e3 * start,
                    "base_memory_mb": base,
                    "peak_memory_mb": _memory("VmHWM", pid),
                    "peak_device_mb": _device_memory() if device != "cpu" else 0.0,
                }
            )
    return rows


def _memory(field: str, pid: int | str = "self") -> float:
    """Resident memory of a process in MB, now (VmRSS) or at its peak (VmHWM); elsewhere than on Linux the peak of
    this process."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith(field))
        return int(line.split()[1]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _device_memory() -> float:
    import torch

    return torch.cuda.max_memory_allocated() / (1 << 20)


def summary(rows: Sequence[Row]) -> list[Row]:
    """One object per method: means over its rows, and the worst of them."""
    summaries = []
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        means = {n: float(np.mean([r[n] for r in mine])) for n in ("wall_ms_p50", "wall_ms_p95", "cpu_ms_per_vote")}
        worst = {f"{n}_worst": max(r[n] for r in mine) for n in ("wall_ms_p95", "peak_memory_mb")}
        summaries.append({"method": method, "runs": len(mine), **means, **worst})
    return summaries
