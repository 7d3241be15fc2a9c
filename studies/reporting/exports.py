"""What leaves a study: its votes, labels and items as plain rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapters.files.export import write_rows, write_text
from adapters.files.tables import Written
from elicit.types import BadInputError, UnknownNameError, mirror
from studies.items.presentation import presented_pair
from studies.reporting.labels import pair_labels
from studies.reporting.prompt_exports import preferences, prompt_text, promptfoo
from studies.reporting.status import leaders
from studies.storage.outputs import check_output

if TYPE_CHECKING:
    from studies.study import Study


def export(study: Study, path: str, table: str = "votes", format: Written | None = None) -> int:  # noqa: A002
    """Write one table of the study to `path` ("-" is stdout); returns how many rows, 1 for a text.

    Of a study that tunes prompts: the recommended prompt, a promptfoo configuration, and preferences for TRL.
    Raises BadInputError for a format that does not fit the file's ending, labels of a study without pairs, or a path of
    a file that a study is made of.
    """
    check_output(path)
    if table in ("prompt", "promptfoo"):
        write_text(path, prompt_text(study) if table == "prompt" else promptfoo(study))
        return 1
    if table == "trl":
        pairs = preferences(study)
        write_rows(path, pairs, format)
        return len(pairs)
    if table == "labels" and not study.state.pairs:
        raise BadInputError("only studies of pairs have labels; export the votes or the items")
    tables = {"votes": vote_rows, "items": item_rows, "labels": pair_labels}
    if table not in tables:
        raise UnknownNameError("table", table, [*tables, "prompt", "promptfoo", "trl"])
    rows = tables[table](study)
    write_rows(path, rows, format)
    return len(rows)


def vote_rows(study: Study) -> list[dict[str, Any]]:
    """One row per live vote, in order. `choice` speaks of a and b, `shown` says which stood left.

    In a study of pairs a and b are response_a and response_b of the pair. In one that was served, `check` says which
    votes were golds or hidden repeats, which teach nothing, and `weight` what the annotator's votes count.
    """
    items, rows = study.state.items, []
    listed = {(min(a, b), max(a, b)): (pair_id, a) for pair_id, a, b in study.state.pairs}
    for number, live in enumerate(study.state.votes, start=1):
        query, vote = study.state.asked[live.query].query, live.vote
        pair_id, first = listed.get(vote.pair, (None, vote.a))
        choice, shown, p_a = vote.outcome.choice, live.shown, query.why.get("p_a")
        a, b = items[vote.a], items[vote.b]
        shown_as = presented_pair(study.state, query)
        if first != vote.a:  # speak of the pair as it was listed
            a, b, p_a = b, a, None if p_a is None else round(1 - p_a, 6)
            choice, shown = mirror(vote.outcome).choice, "ba" if shown == "ab" else "ab"
        rows.append(
            {
                "vote": number,
                **({"pair_id": pair_id} if listed else {}),
                "seq": live.seq,
                "time": live.time,
                "judge": vote.judge,
                "a": a.id,
                "b": b.id,
                "choice": choice,
                "strength": vote.outcome.strength,
                "preferred": {"a": a.id, "b": b.id}.get(choice),
                **({"check": live.check, "weight": study.state.weight(vote.judge)} if study.state.enrolled else {}),
                "shown": shown,
                "seconds": vote.seconds,
                "reasons": list(vote.reasons),
                "note": study.state.note_of(live),
                "context": shown_as.context,
                "a_text": shown_as.a if first == vote.a else shown_as.b,
                "b_text": shown_as.b if first == vote.a else shown_as.a,
                "decision": query.decision,
                "selector": query.selector,
                "propensity": query.propensity,
                "p_a_before": p_a,
            }
        )
    return rows


def item_rows(study: Study) -> list[dict[str, Any]]:
    """One row per item, best first: utility in logits with its 90 % interval, and P(best). Of goal top with `p_top` and
    of goal rank with `p_above`, as of `elicit.service.results.LeaderRow`; where items are retired, `retired` says
    which."""
    goal, gone = study.spec.goal, {study.state.items[row].id for row in study.state.retired_rows()}
    return [
        {
            "rank": row.rank,
            "id": row.item,
            "utility": row.utility,
            "low": row.low,
            "high": row.high,
            "p_best": row.p_best,
            **({"p_top": row.p_top} if goal == "top" else {}),
            **({"p_above": row.p_above} if goal == "rank" else {}),
            **({"retired": row.item in gone} if gone else {}),
            "votes": row.votes,
            "text": row.text,
        }
        for row in leaders(study, retired=True)
    ]
