"""`elicit bench votes`: methods side by side on pools of texts that people have compared, answered by their votes.

Every group of pairs, such as the responses to one prompt, is a pool. A query is answered by one of its recorded votes,
drawn at random and with replacement, so the noise is the crowd's own. The truth is Davidson's Bradley-Terry model of
all of a pool's votes; it has an error of its own, which is stated: no method can be told from a better one by less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.files.formats import PairRow, check_judgments, read_judgments, read_pairs
from elicit.inference.posterior import Knowledge
from elicit.randomness import stream
from elicit.ranking.davidson import Fit, count, fit, model_covariance
from elicit.types import BadInputError, Item
from studies.bench import methods as bench_methods
from studies.items.features import knowledge_of
from studies.simulation.jobs import Job, Row, RunPlan, fingerprint, measure, versions
from studies.simulation.simulate import Method, PairQuery, play
from studies.simulation.summaries import curve, marks_of, summary

MARKS = (10, 20, 40, 60, 80, 150, 300)
PRIOR_SD = 4.5
"""Of the truth's utilities in logits: wide, so that only items that always won or lost feel it."""
SMALLEST = 5
"""Items of a pool: of fewer, the best three say nothing."""
DRAWS = 1000
ENDED = {"a": 0, "b": 1, "tie": 2}
TURNED = {"a": "b", "b": "a", "tie": "tie"}


@dataclass(frozen=True)
class VotedPool:
    """Texts that people compared.

    known: what a study would know of them. votes: how each vote on rows a < b ended, by pair. u: (N,) the truth in
    logits. truth_regret: the regret that is to be expected of the item the truth calls best, for the truth's own error.
    """

    name: str
    texts: tuple[str, ...]
    known: Knowledge
    votes: dict[tuple[int, int], tuple[str, ...]]
    u: NDArray[np.float64]
    truth_regret: float

    @property
    def content(self) -> str:
        """Hash of all that decides a run on it."""
        known = [part for part in (self.known.features, self.known.scores) if part is not None]
        ended = [[a, b, *(ENDED[vote] for vote in votes)] for (a, b), votes in sorted(self.votes.items())]
        return fingerprint(self.u, *known, *map(np.array, ended))

    @property
    def complete(self) -> bool:
        """Whether every pair has a vote."""
        return len(self.votes) == len(self.texts) * (len(self.texts) - 1) // 2


def read_pools(pairs: Path, judgments: Path, group: str = "prompt", smallest: int = SMALLEST) -> list[VotedPool]:
    """The pools of two tables as `elicit init --pairs --judgments` takes them, in the order of their first pairs.

    group: the column of the pairs whose values are the pools. Votes of people alone count; texts that read the same are
    one item, and items that no chain of votes ties to a pool's most compared ones are left out, as are pools that then
    have fewer than `smallest` items.
    Raises BadInputError for files that are something else, a column that is not there, or where no pool is left.
    """
    rows, judged = read_pairs(pairs), read_judgments(judgments)
    check_judgments(rows, judged, judgments)
    by_pair: dict[str, list[str]] = {}
    for judgment in judged:
        if judgment.judge_kind == "human":
            by_pair.setdefault(judgment.pair_id, []).append(judgment.preference)
    if not by_pair:
        raise BadInputError(f"{judgments}: no vote is a person's (judge_kind human); give a file that has some")
    groups: dict[str, list[PairRow]] = {}
    for row in rows:
        if row.pair_id in by_pair and not row.same_text:
            groups.setdefault(_group_of(row, group, pairs), []).append(row)
    pools = [_pool(name, members, by_pair) for name, members in groups.items()]
    if not (large := [pool for pool in pools if pool is not None and len(pool.texts) >= smallest]):
        raise BadInputError(
            f"{pairs}: no value of {group!r} has {smallest} texts that people compared; give --group another column"
        )
    return large


def _group_of(row: PairRow, group: str, place: Path) -> str:
    if group == "prompt":
        return row.prompt
    if group not in row.meta:
        names = ", ".join(["prompt", *row.meta])
        raise BadInputError(f"{place}: the pairs have no column {group!r}; give --group one of: {names}")
    return str(row.meta[group])


def _pool(name: str, rows: Sequence[PairRow], by_pair: dict[str, list[str]]) -> VotedPool | None:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    texts = list(dict.fromkeys(text for row in rows for text in (row.response_a, row.response_b)))
    place = {text: i for i, text in enumerate(texts)}
    ends = np.array([(place[row.response_a], place[row.response_b]) for row in rows])
    links = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(texts), len(texts)))
    _, part = connected_components(links, directed=False)
    main = np.flatnonzero(part == np.bincount(part).argmax())
    number = {int(old): new for new, old in enumerate(main)}
    votes: dict[tuple[int, int], tuple[str, ...]] = {}
    for row, (a, b) in zip(rows, ends.tolist(), strict=True):
        if a not in number:
            continue
        low, high = sorted((number[a], number[b]))
        said = by_pair[row.pair_id] if number[a] == low else [TURNED[vote] for vote in by_pair[row.pair_id]]
        votes[low, high] = votes.get((low, high), ()) + tuple(said)
    if len(number) < 2:
        return None
    chosen = tuple(texts[row] for row in main)
    fitted = _fit(len(chosen), votes)
    u = np.asarray(fitted.utilities, dtype=np.float64)
    items = [Item(f"{i}", text) for i, text in enumerate(chosen)]
    return VotedPool(name, chosen, knowledge_of(items, "default"), votes, u, _truth_regret(fitted))


def _fit(n: int, votes: dict[tuple[int, int], tuple[str, ...]]) -> Fit:
    table = [(a, b, ENDED[vote]) for (a, b), of in votes.items() for vote in of]
    a, b, ended = np.array(table, dtype=np.int64).T
    return fit(count(n, a, b, ended), PRIOR_SD)


def _truth_regret(fitted: Fit) -> float:
    u = fitted.utilities
    draws = stream(0, "truth").multivariate_normal(u, model_covariance(fitted), DRAWS)
    best = draws.max(1)
    return float(((best - draws[:, int(u.argmax())]) / np.maximum(best - draws.mean(1), 1e-12)).mean())


def votes(pools: Sequence[VotedPool], methods: Sequence[str], votes: int, seeds: int, plan: RunPlan) -> dict[str, Any]:
    """Run every method on every pool with every seed, which draws the votes.

    Raises BadInputError for unknown methods, peers where some pairs have no votes, which they cannot leave out, or
    where `plan.out` does not fit.
    """
    lacking = next((pool for pool in pools if not pool.complete), None)
    missing = "" if lacking is None else f"leave out pairs, and some of {lacking.name[:40]!r} have no votes"
    chosen = bench_methods.check(methods, all(pool.known.features is not None for pool in pools), missing)
    jobs = [
        Job({"method": method, "pool": pool.name, "seed": seed, "content": content}, run, (pool, method, votes, seed))
        for pool in pools
        for content in [pool.content]
        for method in chosen
        for seed in range(seeds)
    ]
    fixed = {"votes": votes, "device": "cpu", **versions()}
    rows = measure("votes", fixed, jobs, plan)
    rows.sort(key=lambda row: chosen.index(row["method"]))
    means = ("found_top3", "cumulative_regret", "cpu_ms_per_vote", "wall_ms_p50", "wall_ms_p95")
    summaries = summary(rows, "simple_regret", means, ("votes_to_95",), "pool")
    told = [
        {"pool": pool.name, "items": len(pool.texts), "pairs": len(pool.votes),
         "votes": sum(map(len, pool.votes.values())), "utility_sd": float(pool.u.std()),
         "truth_regret": pool.truth_regret}
        for pool in pools
    ]  # fmt: skip
    setting = {**fixed, "methods": chosen, "seeds": seeds, "pools": told}
    return {"bench": "votes", "setting": setting, "rows": rows, "summary": summaries}


class _Once:
    """The engine as a study asks it: a pair that was asked comes again only when no other is left."""

    def __init__(self, engine: Any) -> None:
        self._engine, self._asked = engine, set[tuple[int, int]]()

    def ask(self) -> PairQuery:
        query: PairQuery = self._engine.ask(avoid=self._asked)
        return query

    def tell(self, a: int, b: int, outcome: str) -> None:
        self._asked.add((min(a, b), max(a, b)))
        self._engine.tell(a, b, outcome)

    def best(self) -> int:
        return int(self._engine.best())


def run(pool: VotedPool, method: str, votes: int, seed: int) -> list[Row]:
    """One method on one pool: a row per mark. Peers, which know no ties, are told a coin's fall for one."""
    options: dict[str, Any] = {"groups": pool.known.groups, "scores": pool.known.scores}
    if not pool.complete:
        options["pairs"] = sorted(pool.votes)
    n = len(pool.texts)
    peer = method in (*bench_methods.PEERS, *bench_methods.OUTSIDE)
    made = bench_methods.make(method, pool.known.features, n, seed, votes, engine_options=options)
    algorithm: Method = made if peer else _Once(made)

    def answer(t: int, low: int, high: int) -> str:
        rng = stream(seed, f"votes {pool.name}", t)
        drawn = pool.votes[low, high]
        vote = drawn[int(rng.random() * len(drawn))]
        return ("a" if rng.random() < 0.5 else "b") if peer and vote == "tie" else vote

    simulation = play(algorithm, answer, votes)
    common = {"method": method, "pool": pool.name, "seed": seed, "items": n}
    rows: list[Row] = [common | row for row in curve(simulation, pool.u, marks_of(MARKS, votes))]
    third = float(np.sort(pool.u)[-min(3, n)])
    for row in rows:
        row["found_top3"] = int(pool.u[simulation.recommended[row["votes"] - 1]] >= third)
    return rows
