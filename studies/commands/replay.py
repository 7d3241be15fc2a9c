"""The commands that go through a study again: as it was, as it would have gone otherwise, and as it may go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from elicit.types import BadInputError
from studies.commands.option_types import IntegerRange
from studies.commands.options import JSON, STUDY, example, progress

if TYPE_CHECKING:
    from studies.commands.runs import BenchRun
    from studies.study import Study


@click.command(epilog=example("elicit replay jokes --selector thompson,random --seeds 10"))
@STUDY
@click.option(
    "--verify", is_flag=True, help="Recompute every decision and report the first that differs (the default)."
)
@click.option("--selector", help="Replay the recorded votes under these selectors instead; comma-separated.")
@click.option("--router", help="Replay the recorded verdicts and votes under these routers instead; comma-separated.")
@click.option("--human-share", default="0.1,0.2,0.5", show_default=True, help="People for such shares of the queries.")
@click.option("--seeds", type=IntegerRange(1), default=10, show_default=True, help="Replays of each.")
@click.option("--votes", type=IntegerRange(1), help="At most so many votes a replay of a selector; default all.")
@click.option("--workers", type=IntegerRange(1), help="Processes; default one per core.")
@click.option("--out", type=click.Path(path_type=Path), help="Finished replays are kept here (.jsonl).")
@JSON
def replay(
    study: Path,
    verify: bool,
    selector: str | None,
    router: str | None,
    human_share: str,
    seeds: int,
    votes: int | None,
    workers: int | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """Recompute every decision of STUDY from its log (exit code 1: divergence), or ask how it would have gone under
    another selector or router. Never asks anybody anything."""
    from studies.study import Study

    if sum(map(bool, (verify, selector, router))) > 1:
        raise BadInputError("--verify, --selector and --router are three different replays; give one of them")
    with Study.open(study, writable=False) as opened:
        if not (selector or router):
            return _verify_decisions(opened, as_json)
        from studies.commands.runs import BenchRun

        run = BenchRun(workers, out, None, as_json)
        if selector:
            _replay_selectors(opened, selector, votes, seeds, run)
        elif router:
            _replay_routers(opened, router, human_share, seeds, run)
        return 0


def _verify_decisions(study: Study, as_json: bool) -> int:
    from studies.replay.verify import verify

    study.check()
    with progress(study.state.seq, "events") as step:
        verification = verify(study, step)
    values = {
        "status": verification.status,
        "checked": verification.checked,
        "event": verification.event,
        "why": verification.why,
    }
    if as_json:
        click.echo(json.dumps(values))
    elif verification.status == "same":
        click.echo(f"same: all {verification.checked} decisions come out as recorded")
    else:
        where = f"{verification.status} at event {verification.event}"
        click.echo(f"{where}: {verification.why} ({verification.checked} decisions recomputed)")
    return 1 if verification.status == "divergence" else 0


def _replay_routers(study: Study, router: str, human_share: str, seeds: int, run: BenchRun) -> None:
    from studies.commands.runs import names_of, shares_of, show_routing
    from studies.replay.counterfactual import routers

    names, shares = list(dict.fromkeys(names_of(router))), shares_of(human_share)
    show_routing(run, run.measured(lambda plan: routers(study, names, shares, seeds, plan), len(names) * seeds))


def _replay_selectors(study: Study, selector: str, votes: int | None, seeds: int, run: BenchRun) -> None:
    from studies.commands.runs import names_of
    from studies.replay.counterfactual import counterfactual
    from studies.simulation.summaries import number, over_votes

    names = list(dict.fromkeys(names_of(selector)))
    run.show_methods(
        run.measured(lambda plan: counterfactual(study, names, votes, seeds, plan), len(names) * seeds + 1),
        "simple_regret",
        lambda s: [
            *over_votes(s, "simple_regret"),
            ("± se", number("simple_regret_se")),
            ("same best", number("same_best", ".0%")),
            ("coverage", number("coverage", ".0%")),
        ],
    )


@click.command(epilog=example("elicit plan jokes --votes 100"))
@STUDY
@click.option("--votes", type=IntegerRange(1, 10_000), default=100, show_default=True, help="Votes more.")
@click.option(
    "--studies", type=IntegerRange(1, 1_000_000), default=1000, show_default=True, help="How many are simulated."
)
@JSON
def plan(study: Path, votes: int, studies: int, as_json: bool) -> None:
    """Foretell what more votes will bring towards STUDY's goal: simulate many studies like it from what is believed.

    How many votes the stop rule will take is told as 'elicit status' tells it. In the simulations the truth is known:
    there the result is often right before the stop rule can be sure of it.
    """
    import numpy as np

    from elicit.safe_text import limit_in_percent, percent
    from elicit.types import EXPECTED
    from studies.outlook import outlook
    from studies.reporting.status_lines import verdict
    from studies.simulation.planning import plan as simulate
    from studies.simulation.summaries import marks_of
    from studies.study import Study

    with Study.open(study, writable=False) as opened, progress(studies, "studies") as step:
        wanted, goal, now = opened.spec.stop.regret, opened.spec.goal, outlook(opened)
        trials = simulate(opened.engine, votes, studies, step)
    low, middle, high = (
        int(q) for q in np.quantile(trials.votes_needed(wanted), (0.1, 0.5, 0.9), method="inverted_cdf")
    )
    rows = [
        {
            "votes": mark,
            **({"simple_regret": float(trials.regret[:, mark].mean())} if goal == "best" else {}),
            "expected": float(trials.regret[:, mark].mean()),
            "within": float((trials.regret[:, mark] <= wanted).mean()),
        }
        for mark in (0, *marks_of((10, 20, 40, 80, 150, 300, 600), votes))
    ]
    if as_json:
        values = {
            "rows": rows,
            "goal": goal,
            "measured": EXPECTED[goal],
            "stop": now.stop,
            "why": now.why,
            "votes_left": now.votes_left,
            "votes_to_stop": now.votes_left,
            "votes_to_settle": [low, middle, high],
            "seconds": trials.seconds,
            "bytes_per_second": trials.bytes_moved / trials.seconds,
        }
        click.echo(json.dumps({"study": str(study), "studies": studies, "regret": wanted, **values}))
        return
    measured = EXPECTED[goal][0].lower() + EXPECTED[goal][1:]
    width = max(22, len(measured))
    click.echo(f"{'votes more':>10}  {measured:>{width}}  {f'at most {limit_in_percent(wanted)} in':>22}")
    for row in rows:
        click.echo(f"{row['votes']:>10}  {row['expected']:>{width}.3f}  {percent(row['within']):>14} of them")
    many = {v: f"over {votes}" if v > votes else str(v) for v in (low, middle, high)}
    settle = f"{many[middle] if middle else 'no'} more {'vote' if middle == 1 else 'votes'}"
    within = f"80 % after {many[low]} to {many[high]}"
    click.echo(f"simulated: half are at most {limit_in_percent(wanted)} off for good after {settle}, {within}")
    click.echo(f"status: {verdict(now)}")
