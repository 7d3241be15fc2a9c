"""How benches are watched and told: progress, tables, plots, and the lists that options hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from elicit.types import BadInputError
from studies.commands import progress, say


def measured(
    measure: Callable[[Any], dict[str, Any]], runs: int, workers: int | None, out: Path | None
) -> dict[str, Any] | None:
    """What `measure` gives under a progress bar, or None when it was interrupted and that has been said."""
    from studies.bench.measuring import Plan

    finished = 0
    try:
        with progress(max(1, runs), "runs") as step:

            def report(done: int) -> None:
                nonlocal finished
                finished = done
                step(done)

            return measure(Plan(workers or 0, out, report))
    except KeyboardInterrupt:
        kept = f"in {out}; the same command goes on from there" if out else "lost; --out FILE would keep them"
        say(f"\nelicit: stopped; {finished} of {runs} runs are {kept}")
        return None


def show(
    result: dict[str, Any],
    as_json: bool,
    plot: Path | None,
    value: str,
    columns: Callable[[list[dict[str, Any]]], list[tuple[str, Callable[[dict[str, Any]], str]]]],
    over: str = "votes",
) -> None:
    """Print the result, as JSON or as a table of these columns, and draw `value` over `over` where a plot is wanted."""
    from studies.bench.summaries import number, table
    from studies.bench.summaries import plot as draw

    summary = result["summary"]
    if as_json:
        click.echo(json.dumps(result))
    else:
        first = [("method", number("method", "")), ("runs", number("runs", ""))]
        click.echo(table(summary, [*first, *columns(summary)]))
    if plot:
        draw(plot, summary, value, over)
        say(f"wrote {plot}")


def show_routing(result: dict[str, Any], as_json: bool, plot: Path | None) -> None:
    """The table of routers, and how soon a drift is caught."""
    from studies.bench.routing import interval
    from studies.bench.summaries import number, over_votes

    over = "human_share"
    show(
        result,
        as_json,
        plot,
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
    if not as_json:
        delays = "; ".join(f"alpha {r['alpha']}: {r['warned']:g} and {r['alarmed']:g}" for r in result["drift"])
        click.echo(f"audits from 10 % wrong turning to 20 % until the warning and the alarm, medians: {delays}")


def names_of(text: str | None) -> list[str] | None:
    """The comma-separated names; None where there is no text."""
    return [name.strip() for name in text.split(",") if name.strip()] if text else None


def shares_of(text: str) -> list[float]:
    """The comma-separated shares. Raises BadInputError."""
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise BadInputError(f"--human-share {text!r} is not a list of shares; say for instance 0.05,0.2") from None
