"""What rows add up to: curves over votes, one summary a method, tables and plots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elicit.types import BadInputError
from studies.simulation.jobs import Row
from studies.simulation.simulate import SimulatedRun, regrets, votes_to_95


def marks_of(marks: Iterable[int], votes: int) -> list[int]:
    """The numbers of votes at which a run is looked at: those below the budget, and the budget."""
    return sorted({m for m in marks if m < votes} | {votes})


def curve(run: SimulatedRun, u: NDArray[np.float64], marks: Sequence[int]) -> list[Row]:
    """One row per mark of a run against utilities u (N,): the metrics after that many votes."""
    of = regrets(u)
    shown = of[np.array(run.pairs)].mean(1).cumsum()
    top = np.sort(u)[-max(1, -(-len(u) // 100))]
    needed = votes_to_95(u, run.recommended)
    return [
        {
            "votes": mark,
            "simple_regret": float(of[run.recommended[mark - 1]]),
            "found_top1pct": int(u[run.recommended[mark - 1]] >= top),
            "votes_to_95": needed,
            "cumulative_regret": float(shown[mark - 1]),
            **timing(run, mark),
        }
        for mark in marks
    ]


def timing(run: SimulatedRun, mark: int) -> Row:
    """Milliseconds of tell + ask over the first `mark` votes."""
    wall = 1e3 * np.array(run.wall[:mark])
    return {
        "cpu_ms_per_vote": 1e3 * float(np.mean(run.cpu[:mark])),
        "wall_ms_p50": float(np.percentile(wall, 50)),
        "wall_ms_p95": float(np.percentile(wall, 95)),
    }


def summary(
    rows: Sequence[Row], regret: str, means: Sequence[str], medians: Sequence[str], group: str | None = None
) -> list[Row]:
    """One object per method: `regret` at the last mark with its standard error, over the marks, and over the first
    method's (`REGRET_over_first`: the mean difference on the same runs, as each run has the same luck for all).

    rows: those of every method stand in the same order.
    means, medians: metrics averaged over the rows of the last mark (a median is named `NAME_median`). group: the
    field by whose values the regret is also given.
    """
    summaries: list[Row] = []
    first: list[float] = []
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        budget = max(row["votes"] for row in mine)
        last = [row for row in mine if row["votes"] == budget]
        final = [row[regret] for row in last]
        first = first or final
        over = np.subtract(final, first)
        entry = {
            "method": method,
            "runs": len(last),
            regret: float(np.mean(final)),
            f"{regret}_median": float(np.median(final)),
            f"{regret}_se": _standard_error(final, last),
            f"{regret}_over_first": float(over.mean()),
            f"{regret}_over_first_se": _standard_error(over.tolist(), last),
            f"{regret}_by_votes": _by(mine, "votes", regret),
        }
        if group:
            entry[f"{regret}_by_{group}"] = _by(last, group, regret)
        entry |= {name: float(np.mean([row[name] for row in last])) for name in means}
        entry |= {f"{name}_median": float(np.median([row[name] for row in last])) for name in medians}
        summaries.append(entry)
    return summaries


def _standard_error(values: Sequence[float], rows: Sequence[Row]) -> float:
    """Of the mean over as many instances as the rows are of: an instance tried again is no other instance."""
    instances = [row.get("instance", i) for i, row in enumerate(rows)]
    of = [
        np.mean([v for v, i in zip(values, instances, strict=True) if i == instance])
        for instance in dict.fromkeys(instances)
    ]
    return float(np.std(of, ddof=len(of) > 1) / np.sqrt(len(of)))


def _by(rows: Sequence[Row], name: str, value: str) -> dict[str, float]:
    values = sorted({row[name] for row in rows})
    return {str(v): float(np.mean([row[value] for row in rows if row[name] == v])) for v in values}


def table(rows: Sequence[Row], columns: Sequence[tuple[str, Callable[[Row], str]]]) -> str:
    """Plain text: a line of headings, then one line a row; the first column is set left, the others right."""
    cells = [[heading for heading, _ in columns], *([show(row) for _, show in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join(
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        for line in cells
    )


def number(name: str, form: str = ".3f") -> Callable[[Row], str]:
    """Shows the field `name` of a summary."""
    return lambda row: format(row[name], form)


def optional(heading: str, name: str, summary: Sequence[Row], form: str) -> list[tuple[str, Callable[[Row], str]]]:
    """A column of the field `name` where some method has it, "-" for those that have none."""
    if all(row.get(name) is None for row in summary):
        return []
    return [(heading, lambda row: "-" if row[name] is None else format(row[name], form))]


def difference(summary: Sequence[Row], regret: str, form: str = ".3f") -> list[tuple[str, Callable[[Row], str]]]:
    """A column of the paired difference to the first method with its standard error, where there is a second."""
    if len(summary) < 2:
        return []

    def show(row: Row) -> str:
        over, error = row[f"{regret}_over_first"], row[f"{regret}_over_first_se"]
        return "" if row is summary[0] else f"{over:+{form}} ± {error:{form}}"

    return [(f"over {summary[0]['method']}", show)]


def over_votes(
    summary: Sequence[Row], value: str, form: str = ".3f", over: str = "votes"
) -> list[tuple[str, Callable[[Row], str]]]:
    """One column per mark of `value`; over: what the marks count."""

    def at(mark: str) -> Callable[[Row], str]:
        return lambda row: format(row[f"{value}_by_{over}"][mark], form)

    marks: list[str] = list(summary[0][f"{value}_by_{over}"]) if summary else []
    return [(f"at {mark}", at(mark)) for mark in marks]


def plot(path: Path, summary: Sequence[Row], value: str, over: str = "votes") -> None:
    """Draw `value` over votes, or what else its marks count, one line a method, to a file (.png, .svg or .pdf).

    A regret is drawn from 0 on, anything else where it is.

    Raises BadInputError where the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for entry in summary:
        points: dict[str, Any] = entry[f"{value}_by_{over}"]
        axes.plot([float(v) for v in points], list(points.values()), marker="o", label=entry["method"])
    axes.set(xlabel=over.replace("_", " "), ylabel=value.replace("_", " "))
    if value.endswith("regret"):
        axes.set_ylim(0, None)
    axes.legend(frameon=False)
    try:
        figure.savefig(path)
    except OSError as error:
        raise BadInputError(f"{path} cannot be written ({error.strerror}); give --plot another name") from None
