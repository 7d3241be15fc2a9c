"""`elicit bench selection`: methods side by side on instances with known utilities and shared luck."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from elicit.randomness import stream
from elicit.types import BadInputError, Goal
from studies.bench import methods as bench_methods
from studies.simulation.jobs import Job, Row, RunPlan, fingerprint, measure, versions
from studies.simulation.simulate import regrets, simulate
from studies.simulation.summaries import curve, marks_of, summary

if TYPE_CHECKING:
    from elicit.engine import Engine

MARKS = (10, 20, 40, 80, 150, 300, 600, 1000, 2000)
MEASURED: dict[Goal, str] = {"best": "simple_regret", "top": "top_recall", "rank": "misordered"}
"""What is looked at first, by goal: simple regret, the share of the true best items that is among the recommended ones,
the share of all pairs that the mean utilities put in the wrong order."""


@dataclass(frozen=True)
class Setting:
    """What is made of every instance.

    noise: see `with_noise`. goal, top: what the engine looks for, and how many under goal "top". score: correlation
    with the utilities of a score that the engine is given; None: it is given none. linear: whether that score's error
    is a linear function of the features, as that of a judge with tastes is, and not independent noise.
    """

    noise: str = "file"
    goal: Goal = "best"
    top: int = 10
    score: float | None = None
    linear: bool = False


@dataclass(frozen=True)
class Instance:
    """Items with features X (N, d), or None for ids only, utilities u (N,) in logits, and the luck U (T,)."""

    name: str
    family: str
    seed: int
    X: NDArray[np.floating[Any]] | None
    u: NDArray[np.float64]
    U: NDArray[np.float64]

    @property
    def content(self) -> str:
        """Hash of what is in it."""
        return fingerprint(self.u, self.U, *([] if self.X is None else [self.X]))


def read_instances(
    path: Path, seeds: str = "all", items: Sequence[int] | None = None, families: Sequence[str] | None = None
) -> list[Instance]:
    """The instances of a folder of .npz files, or of one file, in the order of their names.

    seeds: "even", "odd", "all" or a comma-separated list. items, families: only those of so many items, of these
    families. An instance without a seed or a family takes them from its name (FAMILY_SEED.npz).
    Raises BadInputError for files that are no instances, and where none is left.
    """
    wanted = _seeds(seeds)
    files = [path] if path.is_file() else sorted(path.glob("*.npz"))
    if not files:
        raise BadInputError(f"there are no .npz files in {path}; give --instances a folder of them")
    instances = [_read_instance(file) for file in files]
    chosen = [
        i
        for i in instances
        if wanted(i.seed) and (not items or len(i.u) in items) and (not families or i.family in families)
    ]
    if not chosen:
        sizes = sorted({len(i.u) for i in instances})
        names = ", ".join(sorted({i.family for i in instances}))
        raise BadInputError(
            f"no instance in {path} has these seeds, items and families; there are seeds "
            f"{_join_numbers(i.seed for i in instances)}, items {_join_numbers(sizes)}, families {names}"
        )
    return chosen


def _join_numbers(numbers: Any) -> str:
    return ", ".join(map(str, sorted(set(numbers))))


def _seeds(text: str) -> Any:
    if text == "all":
        return lambda seed: True
    if text in ("even", "odd"):
        return lambda seed: seed % 2 == (text == "odd")
    try:
        numbers = {int(part) for part in text.split(",") if part.strip()}
    except ValueError:
        raise BadInputError(f"--seeds {text!r} is not understood; say even, odd, all or a list such as 1,3,5") from None
    return lambda seed: seed in numbers


def _read_instance(file: Path) -> Instance:
    try:
        with np.load(file, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BadInputError(f"{file} cannot be read ({error}); give .npz files with X, u and U") from None
    for name, dimensions in (("X", 2), ("u", 1), ("U", 1)):
        if name not in arrays:
            raise BadInputError(f"{file} has no array {name!r}; it needs X (N, d), u (N,) and U (T,)")
        array = arrays[name]
        if array.ndim != dimensions or not np.issubdtype(array.dtype, np.number):
            raise BadInputError(f"{file}: {name} must be numbers of {dimensions} dimensions, not {array.shape}")
        if not np.isfinite(array).all():
            raise BadInputError(f"{file}: {name} has a number that is not finite; every one must be")
    X, u, U = arrays["X"], arrays["u"].astype(np.float64), arrays["U"].astype(np.float64)
    if len(u) < 2 or len(X) != len(u):
        raise BadInputError(f"{file}: X has {len(X)} rows and u {len(u)}; both need one per item, 2 items or more")
    if not len(U) or U.min() < 0 or U.max() > 1:
        raise BadInputError(f"{file}: U must hold uniforms between 0 and 1, at least one")
    match = re.fullmatch(r"(.+?)[_-]?(\d+)", file.stem)
    try:
        seed = int(arrays["seed"]) if "seed" in arrays else int(match[2]) if match else 0
        family = str(arrays["family"]) if "family" in arrays else match[1] if match else file.stem
    except (TypeError, ValueError):
        raise BadInputError(f"{file}: seed must be one whole number") from None
    return Instance(file.stem, family, seed, X if X.shape[1] else None, u, U)


def with_noise(u: NDArray[np.float64], noise: str) -> NDArray[np.float64]:
    """Utilities (N,) rescaled: "file" as they are; "sd2" to a standard deviation of 2 logits; "p90" so that the best
    item beats the median one 90 % of the time.

    Raises BadInputError for another word.
    """
    if noise == "file":
        return u
    match = re.fullmatch(r"(sd|p)(\d+(?:\.\d+)?)", noise)
    value = float(match[2]) if match else 0.0
    if match is None or value <= 0 or (match[1] == "p" and not 50 < value < 100):
        raise BadInputError(f"--noise {noise!r} is not understood; say file, or sd and logits (sd2), or p and % (p90)")
    if match[1] == "sd":
        spread, target = u.std(), value
    else:
        spread, target = u.max() - np.median(u), float(np.log(value / (100 - value)))
    scaled: NDArray[np.float64] = u * (target / spread if spread > 0 else 1.0)
    return scaled


def score_of(instance: Instance, correlation: float, linear: bool, luck: int) -> NDArray[np.float64]:
    """(N,) numbers that correlate with the utilities as much as said, on average over their errors; with few features
    a linear error may stand in for the utilities or against them, and they correlate less."""
    rng = stream(instance.seed, f"score {instance.name}", luck)
    if linear:
        assert instance.X is not None
        error = instance.X.astype(np.float64) @ rng.standard_normal(instance.X.shape[1])
    else:
        error = rng.standard_normal(len(instance.u))
    rest = float(np.sqrt(1 - correlation**2))
    return correlation * _standardise(instance.u) + rest * _standardise(error)


def _standardise(x: NDArray[np.float64]) -> NDArray[np.float64]:
    centred: NDArray[np.float64] = x - x.mean()
    return centred / max(float(x.std()), 1e-12)


def selection(
    instances: Sequence[Instance], methods: Sequence[str], votes: int, plan: RunPlan, setting: Setting, lucks: int = 1
) -> dict[str, Any]:
    """Run every method on every instance: vote t on rows a < b is won by a iff U[t mod T] < sigmoid(u_a - u_b).

    lucks: how often; the first time with the instance's own U, then with others, the same for every method; scores
    differ too.
    Raises BadInputError for unknown methods or noise, for more than the methods or instances can do, or where
    `plan.out` does not fit.
    """
    features = all(i.X is not None for i in instances)
    beyond = "be given a score" if setting.score is not None else ""
    chosen = bench_methods.check(
        methods, features, beyond if setting.goal == "best" else f"look for the goal {setting.goal}"
    )
    with_noise(instances[0].u, setting.noise)
    if setting.linear and setting.score is None:
        raise BadInputError("there is no score whose error could be linear; give --score too")
    if setting.linear and not features:
        raise BadInputError("items that are ids only have no features for a score to err by; leave --score-error out")
    small = min(instances, key=lambda i: len(i.u))
    if setting.goal == "top" and len(small.u) <= setting.top:
        raise BadInputError(f"{small.name} has {len(small.u)} items, so no top {setting.top}; give a smaller --top")
    jobs = [
        Job(
            {"method": method, "instance": i.name, "seed": i.seed, "content": i.content, "luck": luck},
            run,
            (i, method, votes, setting, luck),
        )
        for luck in range(lucks)
        for i in instances
        for method in chosen
    ]
    fixed = {"votes": votes, **asdict(setting), "device": "cpu", **versions()}
    rows = measure("selection", fixed, jobs, plan)
    rows.sort(key=lambda row: chosen.index(row["method"]))
    description = {**fixed, "methods": chosen, "instances": len(instances)}
    first = MEASURED[setting.goal]
    usual = ("simple_regret", "found_top1pct", "cumulative_regret", "cpu_ms_per_vote", "wall_ms_p50", "wall_ms_p95")
    of_order = () if setting.goal == "best" else ("top_recall", "misordered")
    means = [name for name in (*of_order, *usual) if name != first]
    summaries = summary(rows, first, means, ("votes_to_95",), "family")
    return {"bench": "selection", "setting": description, "rows": rows, "summary": summaries}


def run(instance: Instance, method: str, votes: int, setting: Setting, luck: int = 0) -> list[Row]:
    """One method on one instance: a row per mark, under goal best the first before any vote where there is a score. The
    method's own seed is the instance's."""
    u, U = with_noise(instance.u, setting.noise), instance.U
    if luck:
        U = stream(instance.seed, f"luck {instance.name}", luck).random(len(U))
    X = None if instance.X is None else instance.X.astype(np.float64)
    engine_options: dict[str, Any] = {} if setting.goal == "best" else {"goal": setting.goal, "top": setting.top}
    if setting.score is not None:
        engine_options["scores"] = score_of(instance, setting.score, setting.linear, luck)
    algorithm = bench_methods.make(method, X, len(u), instance.seed, votes, engine_options=engine_options)
    common = {
        "method": method,
        "instance": instance.name,
        "family": instance.family,
        "seed": instance.seed,
        "luck": luck,
        "items": len(u),
        "dim": 0 if X is None else X.shape[1],
    }
    marks = marks_of(MARKS, votes)
    guess = None if setting.score is None else algorithm.best()
    orders: dict[int, Row] = {}

    def look(done: int) -> None:
        if setting.goal != "best" and done in marks:
            orders[done] = order(cast("Engine", algorithm), u, setting.top)  # peers look for the best item only

    simulation = simulate(algorithm, u, votes, lambda t: float(U[t % len(U)]), look)
    rows = [common | row | orders.get(row["votes"], {}) for row in curve(simulation, u, marks)]
    if guess is not None and setting.goal == "best":
        rows.insert(0, common | {"votes": 0, "simple_regret": float(regrets(u)[guess])})
    return rows


def order(engine: Engine, u: NDArray[np.float64], top: int) -> Row:
    """How far the engine's order of the items is that of the utilities u (N,); equal utilities are in no order."""
    mean = engine.utilities()[0]
    best = np.argsort(-u, kind="stable")[:top]
    mine = np.argsort(-mean, kind="stable")[:top]
    wrong = pairs = 0
    for i in range(len(u)):
        apart = u[i] > u
        pairs += int(apart.sum())
        wrong += int((apart & (mean[i] < mean)).sum())
    return {"top_recall": len(np.intersect1d(best, mine)) / len(best), "misordered": wrong / max(pairs, 1)}
