"""What leaves a study: its votes, labels and items as plain rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapters.export import write_rows
from adapters.tables import Kind
from elicit.types import BadInputError
from studies.status import leaders, pair_labels

if TYPE_CHECKING:
    from studies.study import Study

TABLES = ("votes", "items", "labels")


def export(study: Study, path: str, table: str = "votes", format: Kind | None = None) -> int:  # noqa: A002
    """Write one table of the study to `path` ("-" is stdout); returns how many rows.

    Raises BadInputError for a format that does not fit the file's ending, or labels of a study without pairs.
    """
    if table == "labels" and not study.state.pairs:
        raise BadInputError("only studies of pairs have labels; export the votes or the items")
    rows = {"votes": vote_rows, "items": item_rows, "labels": pair_labels}[table](study)
    write_rows(path, rows, format)
    return len(rows)


def vote_rows(study: Study) -> list[dict[str, Any]]:
    """One row per live vote, in order. `choice` speaks of a and b, `shown` says which stood left."""
    items, rows = study.state.items, []
    for number, live in enumerate(study.state.votes, start=1):
        query, vote = study.state.asked[live.query].query, live.vote
        a, b = items[vote.a], items[vote.b]
        notes = [vote.note, *study.state.notes.get(live.query, [])]
        rows.append(
            {
                "vote": number,
                "seq": live.seq,
                "time": live.time,
                "judge": vote.judge,
                "a": a.id,
                "b": b.id,
                "choice": vote.outcome.choice,
                "strength": vote.outcome.strength,
                "preferred": {"a": a.id, "b": b.id}.get(vote.outcome.choice),
                "shown": query.shown,
                "seconds": vote.seconds,
                "reasons": list(vote.reasons),
                "note": "; ".join(n for n in notes if n),
                "context": a.context,
                "a_text": a.shown_text,
                "b_text": b.shown_text,
                "decision": query.decision,
                "selector": query.selector,
                "propensity": query.propensity,
                "p_a_before": query.why.get("p_a"),
            }
        )
    return rows


def item_rows(study: Study) -> list[dict[str, Any]]:
    """One row per item, best first: utility in logits with its 90 % interval, and P(best)."""
    return [
        {
            "rank": row.rank,
            "id": row.item,
            "utility": row.utility,
            "low": row.low,
            "high": row.high,
            "p_best": row.p_best,
            "votes": row.votes,
            "text": row.text,
        }
        for row in leaders(study)
    ]
