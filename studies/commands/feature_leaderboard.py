"""`elicit leaderboard --items`: what votes tell of candidates by their features, and the candidates with that."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from adapters.files.comparisons import Comparisons, read_comparisons
from adapters.files.export import write_rows, write_table
from adapters.files.formats import item_of, read_items
from adapters.files.pools import FEATURE, META, ItemColumns, read_pool
from adapters.files.tables import Row, kind_of, quote
from elicit.types import BadInputError, Item
from studies.commands.options import progress
from studies.items.features import knowledge_of, known_of_pool
from studies.storage.outputs import check_output

if TYPE_CHECKING:
    import pyarrow as pa

    from elicit.ranking.davidson import Floats, Ints
    from elicit.ranking.utilities import Foretold, Utilities

UTILITY = "utility"
"""The feature that is written. It rests on votes, perhaps on the same ones, so it is not learnt from."""
PARTS = 100
"""Of the work, on the progress bar."""
NOTHING = 0.68
"""Log loss from which a forecast is next to a coin's."""
CARELESS = 0.15
"""Share of slips from which it shows in the intervals that not all of them are told from small differences."""


class CandidateTable(NamedTuple):
    """N candidates in a file. features: (N, d). read: the file by columns or row by row. before: whether they have a
    feature `UTILITY` already."""

    ids: Sequence[str]
    features: Floats
    read: ItemColumns | Sequence[Item]
    before: bool


class Learnt:
    """What was found of candidates, the highest utility first."""

    def __init__(self, candidates: CandidateTable, model: Utilities, level: float) -> None:
        self.candidates, self.model, self.level = candidates, model, level

    @cached_property
    def order(self) -> Ints:
        """(N,) the candidates' rows."""
        return np.argsort(-self.model.utilities, kind="stable")

    def rows(self, most: int | None = None) -> list[dict[str, Any]]:
        """What was found, a row for each of the first so many."""
        columns = {"item": [self.candidates.ids[i] for i in self.order[:most].tolist()]}
        columns |= {name: values[:most].tolist() for name, values in self._columns.items()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    @cached_property
    def _columns(self) -> dict[str, Any]:
        low, high = self.model.intervals(self.level)[self.order].T
        return {
            UTILITY: self.model.utilities[self.order],
            "low": low,
            "high": high,
            "votes": self.model.votes[self.order],
        }

    @property
    def counts(self) -> dict[str, Any]:
        """The numbers that are not of single candidates."""
        model = self.model
        scores = {"held_out": model.held_out, "by_ids": model.by_ids, "new_items": model.new_items}
        return {
            "votes": int(model.votes.sum()) // 2,
            **{name: None if score is None else score._asdict() for name, score in scores.items()},
        }

    @property
    def notes(self) -> list[str]:
        """How far the utilities are to be believed, in sentences."""
        model = self.model
        n, voted, votes = len(model.votes), int((model.votes > 0).sum()), int(model.votes.sum()) // 2
        notes = [f"{votes:,} votes on {voted:,} of {n:,} items."]
        held, by_ids, new = model.held_out, model.by_ids, model.new_items
        if held is None:
            notes.append("Too few votes with a winner to hold any out: it is not known how well the features foretell.")
        else:
            sentence = f"Of {held.votes:,} votes held out, {_scores(held)} (by chance 50 %, 0.693)"
            notes.append(f"{sentence}." if by_ids is None else f"{sentence}; without the features {_scores(by_ids)}.")
            if by_ids is not None and by_ids.log_loss < held.log_loss:
                notes.append("The votes alone tell more of items voted on; leave out --items unless you need others.")
        if new is not None:
            notes.append(f"Of {new.votes:,} votes on items of which no vote was learnt from, {_scores(new)}.")
            if new.log_loss > NOTHING:
                notes.append("So the features tell next to nothing of items never voted on.")
        if (rate := model.posterior.noise.lapse_rate()) > CARELESS:
            notes.append(
                f"Some {100 * rate:.0f} % of the votes seem to be cast at random, perhaps more; with so many, the ± "
                "may come out too small."
            )
        if self.candidates.before:
            notes.append(f"The items' own feature {quote(UTILITY)} was not learnt from, and is replaced.")
        notes.append(
            f"Each ± is right by itself with {100 * self.level:.4g} %; utilities are in logits, "
            "0 is the mean of all items."
        )
        return notes

    def write(self, path: str) -> None:
        """The candidates as they are in their file, with the utility as a feature and the rest as `meta`."""
        check_output(path)
        read, nested = self.candidates.read, kind_of(path) == "jsonl"
        if isinstance(read, ItemColumns):
            write_table(path, self._table(read.table))
            return
        items = [read[i] for i in self.order.tolist()]
        write_rows(path, [_row(item, row, nested) for item, row in zip(items, self.rows(), strict=True)])

    def _table(self, table: pa.Table) -> pa.Table:
        named = {(FEATURE if name == UTILITY else META) + name: values for name, values in self._columns.items()}
        # A column of any other name is `meta` too.
        replaced = {*named, *self._columns} - {UTILITY}
        table = table.select([name for name in table.column_names if name not in replaced]).take(self.order)
        for name, values in named.items():
            table = table.append_column(name, [values])
        return table


def learn_from_votes(
    file: str, columns: tuple[str, str, str] | None, items: str, level: float, output: str | None = None
) -> Learnt:
    """What the votes in `file` tell of the candidates in `items`, which can then be written to `output`.

    Raises BadInputError.
    """
    from elicit.ranking.utilities import utilities

    votes, candidates = read_comparisons(file, columns), _candidates(items, output)
    rows = _rows(votes, candidates.ids, file, items)
    with progress(PARTS, "learning") as step:
        model = utilities(
            rows[votes.a],
            rows[votes.b],
            votes.outcomes,
            candidates.features,
            progress=lambda done, total: step(done * PARTS // total),
        )
    return Learnt(candidates, model, level)


def _rows(votes: Comparisons, ids: Sequence[str], file: str, items: str) -> NDArray[np.int32]:
    """The candidates' row of each item voted on."""
    place = {name: row for row, name in enumerate(ids)}
    rows = np.array([place.get(item, -1) for item in votes.items], np.int32)
    if missing := [votes.items[i] for i in np.flatnonzero(rows < 0).tolist()]:
        who, they, their = f"{quote(missing[0])} is", "it", "its"
        if len(missing) > 1:
            who, they, their = f"{quote(missing[0])} and {len(missing) - 1:,} more are", "them", "their"
        raise BadInputError(f"{file}: {who} voted on but not in {items}; add {they}, or leave {their} votes out")
    return rows


def _candidates(path: str, output: str | None) -> CandidateTable:
    read: ItemColumns | list[Item] | None = read_pool(path)
    if isinstance(read, ItemColumns):
        ids, before = read.ids, UTILITY in read.named
        named = {name: values for name, values in read.named.items() if name != UTILITY}
        features = known_of_pool(read._replace(named=named)).features
        if output is not None and kind_of(output) != "parquet":
            rows = enumerate(read.table.to_pylist(), 1)
            read = [item_of(Row(path, "parquet", number, values)) for number, values in rows]
    else:
        read = read_items(path)
        ids, before = [item.id for item in read], UTILITY in read[0].features
        features = knowledge_of([_without_utility(item) for item in read], "wordllama").features
    if features is None:
        raise BadInputError(
            f"{path}: there is nothing to learn from; give every item a text, a vector in a column 'embedding', or "
            "numbers in columns 'features.NAME'"
        )
    return CandidateTable(ids, features, read, before)


def _without_utility(item: Item) -> Item:
    features = {name: value for name, value in item.features.items() if name != UTILITY}
    return msgspec.structs.replace(item, features=features)


def _row(item: Item, estimate: dict[str, Any], nested: bool) -> dict[str, Any]:
    """A candidate to be written; not nested for csv and parquet."""
    features = {**item.features, UTILITY: estimate[UTILITY]}
    meta = {**item.meta, **{name: value for name, value in estimate.items() if name not in ("item", UTILITY)}}
    row = msgspec.to_builtins(item)
    if nested:
        return {**row, "features": features, "meta": meta}
    row = {name: value for name, value in row.items() if name not in ("features", "meta")}
    flat = {f"{FEATURE}{name}": value for name, value in features.items()}
    return {**row, **flat, **{f"{META}{name}": value for name, value in meta.items()}}


def _scores(score: Foretold) -> str:
    return f"{100 * score.right:.1f} % are foretold, log loss {score.log_loss:.3f}"
