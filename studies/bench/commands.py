"""`elicit bench ...`: each command is a thin skin on one bench."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from elicit.types import BadInputError, Goal
from studies.bench.options import PATH, names, numbers, options
from studies.commands.option_types import SEED, IntegerRange, Real
from studies.commands.options import JSON, example
from studies.commands.runs import BenchRun, shares_of, show_routing

ROUTERS = ("default", "random_fusion", "confidence", "swap", "cse", "scope", "hyper", "random", "all_llm", "all_human")


@click.group(epilog=example("elicit bench tuning --pool pools.parquet --methods default,random --votes 60"))
def bench() -> None:
    """Measure methods side by side on known truth."""


@bench.command(
    epilog=example("elicit bench selection --instances instances --seeds odd --methods default,linear_eubo --votes 80")
)
@click.option("--instances", type=PATH, required=True, help="A folder of .npz: X (N, d), u (N,), U (T,).")
@click.option("--votes", type=IntegerRange(1), default=80, show_default=True)
@click.option("--seeds", default="all", show_default=True, help="even, odd, all, or a list of the instances' seeds.")
@click.option("--items", callback=numbers, help="Only instances of so many items; comma-separated.")
@click.option("--families", callback=names, help="Only instances of these families; comma-separated.")
@click.option(
    "--noise",
    default="file",
    show_default=True,
    help="file: as they are; sd2: utilities of sd 2 logits; p90: the best beats the median item 90 % of the time.",
)
@click.option(
    "--lucks",
    type=IntegerRange(1),
    default=1,
    show_default=True,
    help="Times that every instance is tried; first with the luck in its file, then with others.",
)
@click.option("--goal", type=click.Choice(["best", "top", "rank"]), default="best", show_default=True)
@click.option("--top", type=IntegerRange(1), default=10, show_default=True, help="Items that goal top looks for.")
@click.option(
    "--score",
    type=Real(-1, 1),
    help="Give the engine a score of every item that correlates about so much with its utility.",
)
@click.option(
    "--score-error",
    type=click.Choice(["independent", "linear"]),
    default="independent",
    show_default=True,
    help="linear: a linear function of the features, as that of a judge with tastes.",
)
@options("what the goal is measured by over votes")
def selection(
    instances: Path,
    votes: int,
    seeds: str,
    items: list[int],
    families: list[str],
    noise: str,
    lucks: int,
    goal: Goal,
    top: int,
    score: float | None,
    score_error: str,
    methods: list[str],
    run: BenchRun,
) -> None:
    """Find the best item of instances whose utilities are known, or the best ones or their order, every method with the
    same luck."""
    from studies.bench import selection as bench_
    from studies.simulation.summaries import difference, number, over_votes

    if not instances.exists():
        raise BadInputError(f"there is nothing at {instances}; give --instances a folder of .npz files")
    instance_list = bench_.read_instances(instances, seeds, items, families)
    setting = bench_.Setting(noise, goal, top, score, score_error == "linear")
    first = bench_.MEASURED[goal]
    others = [
        (name, number(field))
        for name, field in (("recall", "top_recall"), ("misordered", "misordered"), ("regret", "simple_regret"))
        if field != first and goal != "best"
    ]
    run.show_methods(
        run.measured(
            lambda plan: bench_.selection(instance_list, methods, votes, plan, setting, lucks),
            len(instance_list) * len(set(methods)) * lucks,
        ),
        first,
        lambda s: [
            *over_votes(s, first),
            ("± se", number(f"{first}_se")),
            *difference(s, first),
            *others,
            ("top 1 %", number("found_top1pct", ".0%")),
            ("votes to 95 %", _show_votes_to_95(votes)),
            ("regret shown", lambda row: f"{row['cumulative_regret'] / votes:.2f}"),
            ("CPU ms", number("cpu_ms_per_vote", ".1f")),
        ],
    )


@bench.command(
    epilog=example("elicit bench votes --pairs pairs.parquet --judgments judgments.parquet --votes 80 --seeds 6")
)
@click.option("--pairs", type=PATH, required=True, help="Pairs of texts, as `elicit init --pairs` takes them.")
@click.option("--judgments", type=PATH, required=True, help="Recorded votes on them; those of people answer.")
@click.option("--group", default="prompt", show_default=True, help="Column of the pairs; each of its values is a pool.")
@click.option("--votes", type=IntegerRange(1), default=80, show_default=True)
@click.option("--seeds", type=IntegerRange(1), default=6, show_default=True)
@options("simple regret over votes")
def votes(pairs: Path, judgments: Path, group: str, votes: int, seeds: int, methods: list[str], run: BenchRun) -> None:
    """Find the best text of pools that people have compared, answered by their recorded votes."""
    from studies.bench import votes as bench_
    from studies.simulation.summaries import difference, number, over_votes

    pools = bench_.read_pools(pairs, judgments, group)
    run.show_methods(
        run.measured(
            lambda plan: bench_.votes(pools, methods, votes, seeds, plan), len(pools) * len(set(methods)) * seeds
        ),
        "simple_regret",
        lambda s: [
            *over_votes(s, "simple_regret"),
            ("± se", number("simple_regret_se")),
            *difference(s, "simple_regret"),
            ("best 3", number("found_top3", ".0%")),
            ("regret shown", lambda row: f"{row['cumulative_regret'] / votes:.2f}"),
            ("CPU ms", number("cpu_ms_per_vote", ".1f")),
        ],
    )


@bench.command(epilog=example("elicit bench tuning --pool pools.parquet --methods default,random --votes 60 --seeds 5"))
@click.option("--pool", type=PATH, required=True, help="Parquet: task, prompt, model, score, method.")
@click.option("--tasks", callback=names, help="Comma-separated, or even or odd for every second one; default all.")
@click.option("--models", callback=names, help="Comma-separated; default the three with the widest spread per task.")
@click.option("--votes", type=IntegerRange(1), default=60, show_default=True)
@click.option("--seeds", type=IntegerRange(1), default=20, show_default=True)
@click.option("--utility-sd", type=Real(0, min_open=True), default=2.0, show_default=True)
@options("simple regret over votes")
def tuning(
    pool: Path,
    tasks: list[str],
    models: list[str],
    votes: int,
    seeds: int,
    utility_sd: float,
    methods: list[str],
    run: BenchRun,
) -> None:
    """Prompt tuning with a simulated person whose logits are the pool's scores."""
    from studies.bench import tuning as bench_
    from studies.simulation.summaries import difference, number, optional, over_votes

    if not pool.is_file():
        raise BadInputError(f"there is no file {pool}; give --pool a parquet file with task, prompt, model, score")
    pools = bench_.read_pools(pool, tasks, models)
    run.show_methods(
        run.measured(
            lambda plan: bench_.tuning(pools, methods, votes, seeds, utility_sd, plan),
            len(pools) * len(set(methods)) * seeds,
        ),
        "simple_regret",
        lambda s: [
            *over_votes(s, "simple_regret"),
            ("± se", number("simple_regret_se")),
            *difference(s, "simple_regret"),
            ("median", number("simple_regret_median")),
            ("top 1 %", number("found_top1pct", ".0%")),
            ("votes to 95 %", _show_votes_to_95(votes)),
            *optional("beats default", "beats_default", s, ".0%"),
            *optional("votes to apohf", "votes_to_apohf", s, ""),
            ("CPU ms", number("cpu_ms_per_vote", ".1f")),
        ],
    )


@bench.command(epilog=example("elicit bench prompts --task task.toml --folder measured --votes 40 --seeds 20"))
@click.option("--task", "tasks", multiple=True, required=True, help="A task file, as for 'elicit init --tune'.")
@click.option("--folder", type=PATH, required=True, help="Keeps the prompts and every response of the model.")
@click.option("--prompts", "size", type=IntegerRange(2, 10_000), default=32, show_default=True, help="Of the pool.")
@click.option("--votes", type=IntegerRange(1, 100_000), default=40, show_default=True)
@click.option("--seeds", type=IntegerRange(1, 100_000), default=20, show_default=True)
@options("the gap to the best prompt over votes", None)
def prompts(
    tasks: tuple[str, ...],
    folder: Path,
    size: int,
    votes: int,
    seeds: int,
    run: BenchRun,
) -> None:
    """Find the best of a pool of prompts for a real model, a simulated person going by the inputs' references; beside
    it random search, successive halving and measuring everything."""
    from studies.bench import prompts as bench_
    from studies.commands.options import progress, say
    from studies.simulation.summaries import number, over_votes
    from studies.tuning.setup import EXAMPLE, read_task

    pools = []
    for task in tasks:
        setup = read_task(EXAMPLE if task == "example" else Path(task))
        with progress(size * len(setup.inputs), f"responses, {setup.spec['title']}") as step:
            name = Path(task).stem
            pools.append(bench_.measure_pool(setup, size, folder / name, name, lambda done, _, step=step: step(done)))  # type: ignore[misc]
        if shortfalls := pools[-1].shortfalls:
            say(f"{name}: {shortfalls}")
    run.show_methods(
        run.measured(
            lambda plan: bench_.prompts(pools, bench_.METHODS, votes, seeds, plan),
            len(pools) * len(bench_.METHODS) * seeds,
        ),
        "gap",
        lambda s: [
            *over_votes(s, "gap"),
            ("± se", number("gap_se")),
            ("within 5 points", number("within_5", ".0%")),
            ("accuracy", number("accuracy")),
            ("calls", number("calls", ".0f")),
        ],
    )


@bench.command(epilog=example("elicit bench dueling --matrices matrices.json --methods default,thompson --seeds 5"))
@click.option("--matrices", type=PATH, required=True, help="JSON: matrices[].name and p_win[i][j] = P(i beats j).")
@click.option("--names", callback=names, help="Only these matrices; comma-separated.")
@click.option("--votes", type=IntegerRange(1), default=2000, show_default=True)
@click.option("--seeds", type=IntegerRange(1), default=20, show_default=True)
@options("cumulative regret over votes", "default,thompson,random")
def dueling(
    matrices: Path,
    names: list[str],
    votes: int,
    seeds: int,
    methods: list[str],
    run: BenchRun,
) -> None:
    """Find the winner of preference matrices, the items being ids only."""
    from studies.bench import dueling as bench_
    from studies.simulation.summaries import difference, number, over_votes

    matrix_list = bench_.read_matrices(matrices, names)
    run.show_methods(
        run.measured(
            lambda plan: bench_.dueling(matrix_list, methods, votes, seeds, plan),
            len(matrix_list) * len(set(methods)) * seeds,
        ),
        "cumulative_regret",
        lambda s: [
            *over_votes(s, "cumulative_regret", ".1f"),
            ("± se", number("cumulative_regret_se", ".1f")),
            *difference(s, "cumulative_regret", ".1f"),
            ("simple", number("simple_regret")),
            ("winner found", number("found_winner", ".0%")),
            ("winner shown", number("winner_share", ".0%")),
            ("itself", number("self_share", ".0%")),
            ("CPU ms", number("cpu_ms_per_vote", ".1f")),
        ],
    )


@bench.command(
    epilog=example("elicit bench routing --pairs synthetic --routers default,random_fusion,confidence --seeds 5")
)
@click.option("--pairs", required=True, help="File of pairs (pair_id, prompt, response_a, response_b); or synthetic.")
@click.option("--judgments", type=PATH, help="File of votes: pair_id, judge_id, judge_kind, preference, order.")
@click.option(
    "--routers",
    default=",".join(ROUTERS),
    callback=names,
    help="Comma-separated; default all. The first is compared with.",
)
@click.option("--human-share", default="0.05,0.1,0.2,0.5", show_default=True, help="Human votes that are paid, a pair.")
@click.option("--seeds", type=IntegerRange(1), default=20, show_default=True)
@click.option("--questions", type=click.Choice(["even", "odd", "all"]), default="all", help="Every second question.")
@click.option(
    "--judges", callback=names, help="Machine judges who have a seat; default those who judged half of the pairs."
)
@click.option("--judge-price", type=Real(0), default=0.02, help="Of a verdict; a human's vote is 1.")
@options("label accuracy over the share of humans", None)
def routing(
    pairs: str,
    judgments: Path | None,
    routers: list[str],
    human_share: str,
    seeds: int,
    questions: Any,
    judges: list[str],
    judge_price: float,
    run: BenchRun,
) -> None:
    """Label a stream of pairs with judges and a few humans, every router with the same stream, humans and money."""
    from studies.simulation import recorded_streams
    from studies.simulation import routing as bench_

    if pairs not in recorded_streams.SYNTHETIC and judgments is None:
        raise BadInputError("recorded pairs need the votes on them; give --judgments, or --pairs synthetic")
    description: dict[str, Any] = {"pairs": pairs, "questions": questions, "judge_price": judge_price}
    if judgments is None:
        recorded = [
            recorded_streams.synthetic(seed, questions, recorded_streams.SYNTHETIC[pairs]) for seed in range(seeds)
        ]
    else:
        recorded = [recorded_streams.read(Path(pairs), judgments, questions, judges, judge_price)] * seeds
    shares = shares_of(human_share)
    result = run.measured(
        lambda plan: bench_.routing(recorded, routers, shares, plan, description), len(set(routers)) * seeds
    )
    show_routing(run, result)


@bench.command(epilog=example("elicit bench judges --pairs llmbar.parquet --judgments verdicts.parquet"))
@click.option("--pairs", required=True, callback=names, help="Files of pairs; comma-separated.")
@click.option("--judgments", required=True, callback=names, help="Files of judgments on them, in the same order.")
@JSON
def judges(pairs: list[str], judgments: list[str], as_json: bool) -> None:
    """How often machine judges are wrong where people decided, and what they lean to, over all files pooled."""
    from studies.bench import judges as bench_

    if len(pairs) != len(judgments):
        raise BadInputError(f"--pairs names {len(pairs)} files and --judgments {len(judgments)}; give as many of both")
    result = bench_.judges([(Path(a), Path(b)) for a, b in zip(pairs, judgments, strict=True)])
    if as_json:
        click.echo(json.dumps(result))
        return
    for row in result["summary"]:
        flips = "" if row["flips"] is None else f", orders disagree on {row['flips']:.0%}"
        error = f"wrong on {row['error']:.1%} [{row['error_low']:.1%}, {row['error_high']:.1%}]"
        click.echo(f"{row['method']}: {error} of {row['pairs']} pairs{flips}")
        for bias in row["biases"]:
            if bias["low"] > 0 or bias["high"] < 0:
                click.echo(f"  {bias['name']} {bias['value']:+.2f} [{bias['low']:.2f}, {bias['high']:.2f}]")


@bench.command(epilog=example("elicit bench latency --items 200,10000 --dim 384 --votes 100,1000 --device cpu"))
@click.option("--items", default="200,2000", show_default=True, callback=numbers, help="Comma-separated.")
@click.option("--dim", type=IntegerRange(0), default=384, show_default=True, help="Features an item; 0: ids only.")
@click.option(
    "--votes", default="20,100,300", show_default=True, callback=numbers, help="Where to measure; comma-separated."
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--window", type=IntegerRange(1), default=30, show_default=True, help="Votes measured up to each place.")
@click.option("--seed", type=IntegerRange(0, SEED), default=0, show_default=True)
@options(None, "default")
def latency(
    items: list[int], dim: int, votes: list[int], device: str, window: int, seed: int, methods: list[str], run: BenchRun
) -> None:
    """How long tell + ask takes and how much memory, each in a fresh process of one thread."""
    from studies.bench import latency as bench_
    from studies.simulation.summaries import number

    result = run.measured(
        lambda plan: bench_.latency(items, dim, votes, device, methods, window, seed, plan),
        len(set(items)) * len(set(methods)),
    )
    columns = [
        ("method", number("method", "")),
        ("items", number("items", "")),
        ("votes", number("votes", "")),
        ("p50 ms", number("wall_ms_p50", ".1f")),
        ("p95 ms", number("wall_ms_p95", ".1f")),
        ("CPU ms", number("cpu_ms_per_vote", ".1f")),
        ("start ms", number("start_ms", ".0f")),
        ("memory MB", number("peak_memory_mb", ".0f")),
        ("of it before", number("base_memory_mb", ".0f")),
    ]
    run.show(result, lambda _: columns, "rows")


@bench.command(epilog=example("elicit bench serving --annotators 200 --votes 20000 --think 2 --kills 10"))
@click.option("--items", type=IntegerRange(2), default=2000, show_default=True)
@click.option("--annotators", type=IntegerRange(1), default=200, show_default=True)
@click.option("--votes", type=IntegerRange(1), default=20_000, show_default=True, help="All together.")
@click.option("--think", type=Real(0), default=2.0, show_default=True, help="Mean seconds before a vote.")
@click.option("--overlap", type=IntegerRange(1), default=1, show_default=True, help="Votes a query is to get.")
@click.option("--kills", type=IntegerRange(0), default=0, show_default=True, help="Times the server is killed.")
@click.option("--seed", type=IntegerRange(0, SEED), default=0, show_default=True)
@JSON
def serving(
    items: int, annotators: int, votes: int, think: float, overlap: int, kills: int, seed: int, as_json: bool
) -> int:
    """Many annotators at one server: how long votes and leases take, and whether one was lost or doubled."""
    from studies.bench import serving as bench_

    with click.progressbar(length=votes, label="votes", file=sys.stderr) as bar:
        result = bench_.serving(
            items, annotators, votes, think, overlap, kills, seed, lambda n: bar.update(n - bar.pos)
        )
    if as_json:
        click.echo(json.dumps(result))
    else:
        for name, value in result.items():
            click.echo(f"{name}: {value:.1f}" if isinstance(value, float) else f"{name}: {value}")
    return 1 if result["lost"] or result["doubled"] else 0


def _show_votes_to_95(votes: int) -> Callable[[dict[str, Any]], str]:
    """Shows the median number of votes until the recommendation stayed; more than were cast is said so."""
    return lambda row: f"> {votes}" if (median := row["votes_to_95_median"]) > votes else f"{median:.0f}"
