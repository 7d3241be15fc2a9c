"""`elicit leaderboard`: a table of votes in, utilities with intervals and sets of ranks out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from adapters.tables import quoted
from elicit.safe_text import one_line
from elicit.types import CHOICES, BadInputError
from studies.commands import JSON, example, progress, say

if TYPE_CHECKING:
    from adapters.comparisons import Comparisons
    from elicit.davidson import Floats
    from elicit.leaderboards import Leaderboard
    from elicit.recorded import Foretold, Utilities

NAMED = 5
"""Items a sentence names before it counts them."""
PICTURE = (16, 60)
"""Narrowest and widest picture of an interval, in characters."""
NAME = 24
"""What long names keep so that there is room for the picture."""
PARTS = 100
"""Of the work, on the progress bar."""
SHOWN = 20
"""Rows on the screen where features give all items a utility."""
NOTHING = 0.68
"""Log loss from which a forecast is next to a coin's."""
PIPED = 120
"""Width where there is no terminal to ask."""


def _three(context: click.Context, option: click.Parameter, given: str | None) -> tuple[str, str, str] | None:
    if given is None:
        return None
    names = [name.strip() for name in given.split(",")]
    if len(names) != 3 or not all(names):
        raise BadInputError(f"--columns is {given!r}; give three names, such as model_a,model_b,winner")
    return names[0], names[1], names[2]


@click.command(epilog=example("elicit leaderboard battles.csv --cluster judge_id"))
@click.argument("file")
@click.option("--items", metavar="ITEMS", help="Candidates, as 'elicit init' takes them: learn from their features.")
@click.option("--level", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True, help="Of all statements.")
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
    callback=_three,
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
    """
    from adapters.comparisons import read_comparisons
    from adapters.export import write_rows
    from elicit.leaderboards import leaderboard as fitted

    if output == "-" and as_json:
        raise BadInputError("--json and -o - both write to stdout; give a file to -o")
    if len(clusters) > 2 or len(set(clusters)) < len(clusters):
        raise BadInputError("--cluster is given too often; give at most two columns that differ")
    if items is not None and clusters:
        raise BadInputError("--cluster goes with the intervals of a table alone; leave it out, or --items")
    votes = read_comparisons(file, columns, clusters)
    if items is not None:
        _by_features(votes, file, items, level, output, as_json)
        return
    whose = votes.clusters if clusters else None
    board = fitted(votes.a, votes.b, votes.outcomes, len(votes.items), clusters=whose)
    rows = _rows(board, votes.items, level)
    notes = _notes(rows, votes, level, clusters)
    if output is not None:
        write_rows(output, rows)
        say(f"wrote {len(rows)} rows to {'stdout' if output == '-' else output}")
    if as_json:
        counted = {"votes": sum(row["votes"] for row in rows) // 2, "clusters": board.clusters, "nu": board.nu}
        click.echo(json.dumps({"level": level, **counted, "items": rows, "notes": notes}))
    elif output != "-":
        _show(rows, notes)


def _by_features(votes: Comparisons, file: str, items: str, level: float, output: str | None, as_json: bool) -> None:
    """The same from the features of the items in the file `items`."""
    import numpy as np

    from adapters.export import write_rows
    from adapters.tables import kind_of
    from elicit.recorded import utilities

    if output is not None:
        kind_of(output)  # an ending that is not known is said before the work
    ids, features, candidate = _candidates(items)
    place = {name: row for row, name in enumerate(ids)}
    rows = np.array([place.get(item, -1) for item in votes.items], np.int32)
    if missing := [item for item, row in zip(votes.items, rows.tolist(), strict=True) if row < 0]:
        few = "" if len(missing) == 1 else f" and {len(missing) - 1:,} other items voted on"
        raise BadInputError(
            f"{file}: {quoted(missing[0])}{few} are not in {items}; add them, or leave their votes out".replace(
                '" are', '" is'
            )
        )
    with progress(PARTS, "learning") as step:
        found = utilities(
            rows[votes.a],
            rows[votes.b],
            votes.outcomes,
            features,
            progress=lambda done, total: step(done * PARTS // total),
        )
    u, intervals = found.utilities, found.intervals(level)
    order = np.argsort(-u, kind="stable").tolist()

    def row(i: int) -> dict[str, Any]:
        low, high = intervals[i].tolist()
        return {"item": ids[i], "utility": float(u[i]), "low": low, "high": high, "votes": int(found.votes[i])}

    notes = _notes_on_features(found, level)
    if output is not None:
        nested = kind_of(output) == "jsonl"
        write_rows(output, [_candidate(candidate(i), row(i), nested) for i in order])
        say(f"wrote {len(order):,} candidates to {'stdout' if output == '-' else output}")
    if as_json:
        told = {name: None if one is None else one._asdict() for name, one in _measured(found).items()}
        counted = {"votes": int(found.votes.sum()) // 2}
        click.echo(json.dumps({"level": level, **counted, **told, "items": [row(i) for i in order], "notes": notes}))
    elif output != "-":
        if len(order) > SHOWN:
            notes.insert(0, f"These are the {SHOWN} best of {len(order):,}; -o FILE writes all.")
        _show([row(i) for i in order[:SHOWN]], notes)


def _candidates(path: str) -> tuple[list[str], Floats, Callable[[int], dict[str, Any]]]:
    """The ids in a file of candidates, their features (N, d), and what is to be written of each again."""
    import msgspec

    from adapters.formats import read_items
    from adapters.pools import read_pool
    from studies.features import knowledge_of, known_of_pool

    pool = read_pool(path)
    if pool is not None:
        ids, known = pool.ids, known_of_pool(pool)
        texts = pool.texts

        def plain(row: int) -> dict[str, Any]:
            return {"id": ids[row], **({} if texts is None else {"text": texts[row]})}
    else:
        items = read_items(path)
        ids, known = [item.id for item in items], knowledge_of(items, "wordllama")

        def plain(row: int) -> dict[str, Any]:
            found: dict[str, Any] = msgspec.to_builtins(items[row])
            return found

    if known.features is None:
        raise BadInputError(f"{path}: the items have neither texts nor vectors nor features; leave out --items")
    return ids, known.features, plain


def _candidate(item: dict[str, Any], row: dict[str, Any], nested: bool) -> dict[str, Any]:
    """An item with its utility as a feature and the rest of its row as `meta`; not nested for csv and parquet."""
    features = {**item.pop("features", {}), "utility": row["utility"]}
    meta = {**item.pop("meta", {}), **{name: row[name] for name in ("low", "high", "votes")}}
    if nested:
        return {**item, "features": features, "meta": meta}
    return {
        **item,
        **{f"features.{name}": value for name, value in features.items()},
        **{f"meta.{name}": value for name, value in meta.items()},
    }


def _measured(found: Utilities) -> dict[str, Foretold | None]:
    return {"held_out": found.held_out, "by_ids": found.by_ids, "new_items": found.new_items}


def _notes_on_features(found: Utilities, level: float) -> list[str]:
    """How far the utilities are to be believed, in sentences."""
    n, voted = len(found.votes), int((found.votes > 0).sum())
    notes = [f"{int(found.votes.sum()) // 2:,} votes on {voted:,} of {n:,} items."]
    held, by_ids, new = found.held_out, found.by_ids, found.new_items
    if held is None:
        notes.append("Too few votes to hold any out: nothing is known of how well the features foretell.")
    else:
        said = f"Of {held.votes:,} votes held out, {_scores(held)}"
        notes.append(f"{said}." if by_ids is None else f"{said}; by the ids alone {_scores(by_ids)}.")
        if by_ids is not None and by_ids.log_loss < held.log_loss:
            notes.append("The features add nothing to the table of votes; without --items it is told better.")
    if new is not None:
        notes.append(f"Of {new.votes:,} votes on items whose votes were all held out, {_scores(new)}.")
        if new.log_loss > NOTHING:
            notes.append("So the features tell next to nothing of items never voted on.")
    notes.append(
        f"Each ± is right by itself with {100 * level:.4g} %; utilities are in logits, 0 is the mean of all items."
    )
    return notes


def _scores(one: Foretold) -> str:
    return f"{100 * one.right:.1f} % are foretold, log loss {one.log_loss:.3f} (a coin: 50 %, 0.693)"


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
    said = votes.outcomes[votes.outcomes != CHOICES.index("skip")]
    tied = float((said >= CHOICES.index("tie")).mean())
    best = [row["item"] for row in rows if row["rank_low"] == 1]
    firm = sum(row["group"] == 0 for row in rows)
    zero = "the items' mean" if firm == len(rows) or 2 * firm <= len(rows) else f"the mean of the {firm} best connected"
    found = [
        f"{len(said):,} votes on {len(rows)} items, {100 * tied:.0f} % of them ties.",
        f"With {100 * level:.4g} % all these ranks are right together: "
        + (f"{_names(best)} is the best." if len(best) == 1 else f"the best is one of {_names(best)}."),
        f"Each ± is right by itself with {100 * level:.4g} %; utilities are in logits, 0 is {zero}.",
    ]
    if clusters:
        found.append(f"Votes with the same {' or '.join(map(one_line, clusters))} may depend on one another.")
    elif votes.judges is not None:
        found.append(f"Each vote counts as independent; --cluster {votes.judges} allows for judges who differ.")
    if apart := [row["item"] for row in rows if row["component"]]:
        found.append(
            f"Never compared with the rest, not even through a third: {_names(apart)}. "
            "Where they stand beside the rest is the prior's guess."
        )
    if sided := [row["item"] for row in rows if row["group"] and not row["component"]]:
        found.append(
            f"All votes between these and the rest went one way: {_names(sided)}. "
            "How far apart they stand is the prior's guess."
        )
    return found


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

    drawn = [f"{low:<+{width // 2}.2f}{high:>+{width - width // 2}.2f}"]
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
        drawn.append("".join(cells))
    return drawn
