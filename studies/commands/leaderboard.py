"""`elicit leaderboard`: a table of votes or a routed study in, utilities with intervals and sets of ranks out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elicit.safe_text import full_stop, one_line, quantity
from elicit.types import CHOICES, BadInputError
from studies.commands.option_types import Real
from studies.commands.options import JSON, example, say
from studies.storage.outputs import check_output

if TYPE_CHECKING:
    from adapters.files.comparisons import Comparisons
    from elicit.ranking.leaderboard import Leaderboard

NAMED = 5
"""Items a sentence names before it counts them."""
PICTURE = (16, 60)
"""Narrowest and widest picture of an interval, in characters."""
NAME = 24
"""What long names keep so that there is room for the picture."""
SHOWN = 20
"""Rows on the screen where features give all items a utility."""
PIPED = 120
"""Width where there is no terminal to ask."""


def _parse_columns(context: click.Context, option: click.Parameter, text: str | None) -> tuple[str, str, str] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if len(names) != 3 or not all(names):
        raise BadInputError(f"--columns is {text!r}; give three names, such as model_a,model_b,winner")
    return names[0], names[1], names[2]


@click.command(epilog=example("elicit leaderboard battles.csv --cluster judge_id"))
@click.argument("file")
@click.option("--items", metavar="ITEMS", help="Candidates, as 'elicit init' takes them: learn from their features.")
@click.option("--level", type=Real(0.5, 0.999), default=0.95, show_default=True, help="Of all statements.")
@click.option(
    "--cluster",
    "clusters",
    metavar="COLUMN",
    multiple=True,
    help="A judge or a prompt, whose votes may depend on one another; at most twice, for both.",
)
@click.option(
    "--columns",
    metavar="A,B,WINNER",
    callback=_parse_columns,
    help="Default: model_a,model_b or a,b with winner, preference or choice.",
)
@click.option("-o", "--output", help="Also write the rows: .csv, .jsonl, .parquet, or - for stdout.")
@JSON
def leaderboard(
    file: str,
    items: str | None,
    level: float,
    clusters: tuple[str, ...],
    columns: tuple[str, str, str] | None,
    output: str | None,
    as_json: bool,
) -> None:
    """Rank the items of a table of votes: FILE is .csv, .jsonl, .parquet, or - for JSON lines on stdin.

    Each row is a vote on two items that ended with a (or model_a), b (model_b), tie, both_bad or skip. The intervals
    hold also where votes do not follow the model (Bradley-Terry with Davidson's ties), and each item has the ranks
    that the votes leave open to it, all of them true together.

    With --items the utilities come from the items' features (.parquet: vectors in a column 'embedding', or
    'features.NAME'; else texts are embedded), for items never voted on too, and from up to millions of votes. It is
    said how well that foretells votes held out. There are no sets of ranks then: these rest on the table alone, and
    what networks make of features has no such guarantee. What -o writes are candidates again, with the utility as a
    feature: elicit init STUDY --items OUT --score utility.

    Where FILE is the folder of a study of pairs with a router, the systems are ranked that its pairs name in model_a
    and model_b, as people would have it: what the machines said of all pairs, put right by what people said of some.
    """
    from adapters.files.comparisons import read_comparisons
    from adapters.files.export import check_place
    from elicit.ranking.leaderboard import leaderboard as fitted

    if output == "-" and as_json:
        raise BadInputError("--json and -o - both write to stdout; give a file to -o")
    if output is not None:
        check_place(output)
    if Path(file).is_dir():
        if items is not None or clusters or columns is not None:
            raise BadInputError("--items, --cluster and --columns go with a table of votes; leave them out for a study")
        _by_study(file, level, output, as_json)
        return
    if len(clusters) > 2 or len(set(clusters)) < len(clusters):
        raise BadInputError("--cluster is given too often; give at most two columns that differ")
    if items is not None and clusters:
        raise BadInputError("--cluster goes with the intervals of a table alone; leave it out, or --items")
    if items is not None:
        _by_features(file, columns, items, level, output, as_json)
        return
    votes = read_comparisons(file, columns, clusters)
    whose = votes.clusters if clusters else None
    board = fitted(votes.a, votes.b, votes.outcomes, len(votes.items), clusters=whose)
    rows = _rows(board, votes.items, level)
    _tell(board, rows, _notes(rows, votes, level, clusters), level, output, as_json)


def _by_study(folder: str, level: float, output: str | None, as_json: bool) -> None:
    """The same for the systems of a routed study."""
    from numpy import isfinite

    from studies.reporting.routing import system_leaderboard
    from studies.study import Study

    with Study.open(folder, writable=False) as study:
        names, board, cases = system_leaderboard(study)
    rows = _rows(board, names, level)
    answered = int(isfinite(cases.human).sum())
    first = (
        f"{quantity(answered, 'pair')} of {len(names)} systems answered by people, {len(cases.human):,} by machines."
    )
    _tell(board, rows, [first, *_statements(rows, level), *_warnings(rows)], level, output, as_json)


def _tell(
    board: Leaderboard, rows: list[dict[str, Any]], notes: list[str], level: float, output: str | None, as_json: bool
) -> None:
    """Write the rows where they are wanted, and show them."""
    from adapters.files.export import write_rows

    if output is not None:
        check_output(output)
        write_rows(output, rows)
        say(f"wrote {quantity(len(rows), 'row')} to {'stdout' if output == '-' else output}")
    if as_json:
        sums = {"votes": sum(row["votes"] for row in rows) // 2, "clusters": board.clusters, "nu": board.nu}
        click.echo(json.dumps({"level": level, **sums, "items": rows, "notes": notes}))
    elif output != "-":
        _show(rows, notes)


def _by_features(
    file: str, columns: tuple[str, str, str] | None, items: str, level: float, output: str | None, as_json: bool
) -> None:
    """The same from the features of the items in the file `items`."""
    from studies.commands.feature_leaderboard import learn_from_votes

    try:
        learnt = learn_from_votes(file, columns, items, level, output)
        if output is not None:
            learnt.write(output)
    except KeyboardInterrupt:
        raise click.Abort("nothing was written") from None
    notes, count = learnt.notes, len(learnt.order)
    if output is not None:
        say(f"wrote {count:,} candidates to {'stdout' if output == '-' else output}")
    if as_json:
        click.echo(json.dumps({"level": level, **learnt.counts, "items": learnt.rows(), "notes": notes}))
    elif output != "-":
        if count > SHOWN:
            notes.insert(0, f"These are the {SHOWN} best of {count:,}; -o FILE writes all.")
        _show(learnt.rows(SHOWN), notes)


def _rows(board: Leaderboard, items: Sequence[str], level: float) -> list[dict[str, Any]]:
    """One row for each item, the highest utility first; those that were never compared with the rest come last."""
    from numpy import lexsort

    intervals, ranks = board.intervals(level), board.ranks(level)
    return [
        {
            "item": items[i],
            "rank_low": int(ranks[i, 0]),
            "rank_high": int(ranks[i, 1]),
            "utility": float(board.utilities[i]),
            "low": float(intervals[i, 0]),
            "high": float(intervals[i, 1]),
            "votes": int(board.votes[i]),
            "component": int(board.components[i]),
            "group": int(board.groups[i]),
        }
        for i in lexsort((-board.utilities, board.components)).tolist()
    ]


def _notes(rows: list[dict[str, Any]], votes: Comparisons, level: float, clusters: Sequence[str]) -> list[str]:
    """What a reader of the rows should know, in sentences."""
    outcomes = votes.outcomes[votes.outcomes != CHOICES.index("skip")]
    tied = float((outcomes >= CHOICES.index("tie")).mean())
    notes = [
        f"{len(outcomes):,} votes on {len(rows)} items, {100 * tied:.0f} % of them ties.",
        *_statements(rows, level),
    ]
    if clusters:
        notes.append(f"Votes with the same {' or '.join(map(one_line, clusters))} may depend on one another.")
    elif votes.judges is not None:
        notes.append(f"Each vote counts as independent; --cluster {votes.judges} allows for judges who differ.")
    return notes + _warnings(rows)


def _statements(rows: list[dict[str, Any]], level: float) -> list[str]:
    """What the ranks and the intervals state."""
    best = [row["item"] for row in rows if row["rank_low"] == 1]
    firm = sum(row["group"] == 0 for row in rows)
    zero = "the items' mean" if firm == len(rows) or 2 * firm <= len(rows) else f"the mean of the {firm} best connected"
    return [
        f"With {100 * level:.4g} % all these ranks are right together: "
        + (f"{_names(best)} is the best." if len(best) == 1 else full_stop(f"the best is one of {_names(best)}")),
        f"Each ± is right by itself with {100 * level:.4g} %; utilities are in logits, 0 is {zero}.",
    ]


def _warnings(rows: list[dict[str, Any]]) -> list[str]:
    """What in the rows rests on the prior."""
    notes = []
    if apart := [row["item"] for row in rows if row["component"]]:
        notes.append(
            full_stop(f"Never compared with the rest, not even through a third: {_names(apart)}")
            + " Where they stand beside the rest is the prior's guess."
        )
    if sided := [row["item"] for row in rows if row["group"] and not row["component"]]:
        notes.append(
            full_stop(f"All votes between these and the rest went one way: {_names(sided)}")
            + " How far apart they stand is the prior's guess."
        )
    return notes


def _names(items: Sequence[str]) -> str:
    shown = ", ".join(one_line(item) for item in items[:NAMED])
    return shown if len(items) <= NAMED else f"{shown} and {len(items) - NAMED:,} more"


def _show(rows: list[dict[str, Any]], notes: list[str]) -> None:
    """The rows as a table with a picture of each interval, and the sentences under it."""
    from rich.cells import cell_len, set_cell_size
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPED
    plain = console.options.ascii_only
    to, about = ("-", "+/-") if plain else ("–", "±")
    table = [("ranks" if "rank_low" in rows[0] else "", "item", "utility", "votes")] + [
        (
            to.join(dict.fromkeys((str(row.get("rank_low", place)), str(row.get("rank_high", place))))),
            one_line(row["item"]),
            f"{round(row['utility'], 2) + 0.0:+.2f} {about} {(row['high'] - row['low']) / 2:.2f}",
            f"{row['votes']:,}",
        )
        for place, row in enumerate(rows, 1)
    ]
    ranks, items, utilities, votes = (max(map(cell_len, column)) for column in zip(*table, strict=True))
    room = max(console.width - ranks - utilities - votes - 2 * 3, 1)
    short = max(min(items, room - 2 - PICTURE[0]), min(items, NAME))
    width = min(room - 2 - short, PICTURE[1])
    pictures = _pictures(rows, width, plain) if width >= PICTURE[0] else None
    items = min(items, room) if pictures is None else short
    for place, (rank, item, utility, count) in enumerate(table):
        name = item if cell_len(item) <= items else set_cell_size(item, items - 1) + "…"
        picture = "" if pictures is None else pictures[place] + "  "
        line = f"{rank:>{ranks}}  {set_cell_size(name, items)}  {utility:>{utilities}}  {picture}{count:>{votes}}"
        console.print(Text(line, "" if place else "bold"), no_wrap=True, overflow="ellipsis")
    console.print()
    for note in notes:
        console.print(Text(note.replace("±", about)), soft_wrap=not console.is_terminal)


def _pictures(rows: list[dict[str, Any]], width: int, plain: bool) -> list[str]:
    """The ends of the scale, then each interval on it as a line with a dot; plain: in ASCII.

    What the prior alone stretches may run off the ends.
    """
    whisker, dot, zero = ("-", "o", "|") if plain else ("─", "●", "┊")
    firm = [row for row in rows if not row.get("group")]
    scale = firm if len(firm) > 1 else rows
    low, high = min(row["low"] for row in scale), max(row["high"] for row in scale)

    def place(value: float) -> int:
        return int(min(max(round((value - low) / (high - low) * (width - 1)), 0), width - 1))

    lines = [f"{low:<+{width // 2}.2f}{high:>+{width - width // 2}.2f}"]
    for row in rows:
        cells = [" "] * width
        cells[place(0.0)] = zero
        start, end = place(row["low"]), place(row["high"])
        cells[start : end + 1] = whisker * (end + 1 - start)
        if row["low"] < low:
            cells[0] = "<"
        if row["high"] > high:
            cells[-1] = ">"
        if low <= row["utility"] <= high:
            cells[place(row["utility"])] = dot
        lines.append("".join(cells))
    return lines
