"""How benches are watched and told: progress, tables, plots, and the lists that options hold."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elicit.types import BadInputError
from studies.commands.option_types import MOST
from studies.commands.options import progress, say

if TYPE_CHECKING:
    from studies.simulation.jobs import RunPlan


Row = dict[str, Any]
RunColumns = list[tuple[str, Callable[[Row], str]]]


@dataclass(frozen=True)
class BenchRun:
    """How a bench is run and told. workers: processes, None for one per core; out: keeps finished runs; plot: where the
    curves are drawn."""

    workers: int | None
    out: Path | None
    plot: Path | None
    as_json: bool

    def measured(self, measure: Callable[[RunPlan], Row], runs: int) -> Row:
        """What `measure` gives under a progress bar; leaves the command with 3 when interrupted, which is said."""
        from studies.simulation.jobs import RunPlan

        finished = 0
        try:
            with progress(max(1, runs), "runs") as step:

                def report(done: int) -> None:
                    nonlocal finished
                    finished = done
                    step(done)

                return measure(RunPlan(self.workers or 0, self.out, report))
        except KeyboardInterrupt:
            where = (
                f"in {self.out}; the same command goes on from there"
                if self.out
                else "lost; --out FILE would keep them"
            )
            say(f"\nelicit: stopped; {finished} of {runs} runs are {where}")
            raise click.exceptions.Exit(3) from None

    def show(self, result: Row, columns: Callable[[list[Row]], RunColumns], rows: str = "summary") -> None:
        """Print the result, as JSON or as a table of its `rows`."""
        from studies.simulation.summaries import table

        click.echo(json.dumps(result) if self.as_json else table(result[rows], columns(result[rows])))

    def show_methods(
        self, result: Row, value: str, columns: Callable[[list[Row]], RunColumns], over: str = "votes"
    ) -> None:
        """Print a row for every method, and draw `value` over `over` where a plot is wanted."""
        from studies.simulation.summaries import number, plot

        self.show(result, lambda s: [("method", number("method", "")), ("runs", number("runs", "")), *columns(s)])
        if self.plot:
            plot(self.plot, result["summary"], value, over)
            say(f"wrote {self.plot}")


def show_routing(run: BenchRun, result: Row) -> None:
    """The table of routers, and how soon a drift is caught."""
    from studies.simulation.routing import interval
    from studies.simulation.summaries import number, over_votes

    over = "human_share"
    run.show_methods(
        result,
        "label_accuracy",
        lambda s: [
            *over_votes(s, "label_accuracy", over=over),
            ("area", number("label_accuracy_area")),
            *([(f"over {s[0]['method']}", interval)] if len(s) > 1 else []),
            ("with ties", number("label_accuracy_ties")),
            ("log loss", number("label_log_loss")),
            ("model", number("model_accuracy")),
            ("humans", number("humans_asked", ".2f")),
            ("certified", number("certified", ".0%")),
            ("violated", number("violated", ".1%")),
            ("covered", number("covered", ".1%")),
            ("cost", number("cost", ".0f")),
            ("CPU ms", number("cpu_ms_per_pair", ".2f")),
        ],
        over,
    )
    if not run.as_json:
        delays = "; ".join(f"alpha {r['alpha']}: {r['warned']:g} and {r['alarmed']:g}" for r in result["drift"])
        click.echo(f"audits from 10 % wrong turning to 20 % until the warning and the alarm, medians: {delays}")


def names_of(text: str | None) -> list[str]:
    """The comma-separated names; none where there is no text."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def numbers_of(option: str, text: str | None) -> list[int]:
    """The comma-separated whole numbers; none where there is no text. Raises BadInputError."""
    try:
        numbers = [int(part) for part in (text or "").split(",") if part.strip()]
    except ValueError:
        raise BadInputError(f"{option} {text!r} is not a list of whole numbers; say for instance 200,2000") from None
    if odd := next((number for number in numbers if not 0 <= number <= MOST), None):
        raise BadInputError(f"{option} has {odd}, which is not between 0 and {MOST:,}; say less")
    return numbers


def shares_of(text: str) -> list[float]:
    """The comma-separated shares. Raises BadInputError."""
    try:
        shares = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        shares = [math.nan]
    if not all(map(math.isfinite, shares)):
        raise BadInputError(f"--human-share {text!r} is not a list of shares; say for instance 0.05,0.2")
    return shares
