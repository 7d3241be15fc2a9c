"""What a study amounts to now: the leaderboard, the progress and the status that commands and screens show."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, Any

import msgspec

from elicit.log.events import GOLD, REPEAT
from elicit.safe_text import percent
from elicit.service.results import LabelShares, LeaderRow, Overview, PairLabel
from elicit.service.voting import PastVote, Progress, side_of
from elicit.stats import Z90
from elicit.types import EXPECTED, Goal
from studies.decisions import votes_taught
from studies.items.presentation import presented_pair
from studies.outlook import Outlook, outlook
from studies.recommendation import recommend
from studies.reporting.annotators import annotators
from studies.reporting.labels import pair_labels
from studies.routing.failures import failures_of

if TYPE_CHECKING:
    from elicit.log.state import State
    from studies.study import Study

DRAWN = 200
"""Rows that a screen is given."""
CHECKED = {
    GOLD: "A check of the annotator: the answer is known.",
    REPEAT: "A check of the annotator: the pair was answered before, with its sides swapped.",
}
"""Why pairs were asked that teach the engine nothing."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Where a study stands. `elicit status`, the report, the overview and the admin page show these numbers and none of
    their own, so that they agree. Utilities in logits, shares from 0 to 1.

    leaders: the items that are not retired in the order of recommendation, with 90 % intervals; empty where pairs of
    items of their own are labelled. best: the recommended item; None for goal label, and where none is acceptable.
    taught: votes that speak for something, neither skipped, nor checks of an annotator, nor of who is quarantined.
    expected: what the stop rule measures, `elicit.types.EXPECTED` names it. The others are those of
    `studies.outlook.Outlook`, `elicit.service.voting.Progress` and `elicit.service.results.Overview`.
    """

    goal: Goal
    top: int
    items: int
    retired: int
    votes: int
    taught: int
    budget: int
    undone: int
    judges: dict[str, int]
    counts: dict[str, int]
    seconds_median: float | None
    outlook: Outlook
    expected: float
    leaders: tuple[LeaderRow, ...]
    best: LeaderRow | None
    pairs: tuple[PairLabel, ...]
    labels: LabelShares | None

    @property
    def left_share(self) -> float:
        """Share of decided votes that went to the left pane; a half where there are none."""
        left, right = self.counts.get("left", 0), self.counts.get("right", 0)
        return left / (left + right) if left + right else 0.5

    def overview(
        self, progress: Progress, regret: tuple[float, ...], p_best: tuple[float, ...], hidden: Set[str] = frozenset()
    ) -> Overview:
        """What screens draw. regret, p_best: the curves; hidden: the ids of items and pairs that are judged blind at
        the moment, of which the places alone are told."""
        return Overview(
            progress=progress,
            leaders=tuple(_blind(self.leaders[:DRAWN], hidden)),
            regret=regret,
            regret_name=EXPECTED[self.goal],
            p_best=p_best if self.goal != "label" else (),
            left_share=self.left_share,
            seconds_median=self.seconds_median,
            counts=self.counts,
            goal=self.goal,
            top=self.top,
            retired=self.retired,
            expected=self.expected,
            labels=self.labels,
            pairs=tuple(
                PairLabel("", "", "", "", 0.0, 0.0, 0, "") if pair.pair in hidden else pair
                for pair in self.pairs[:DRAWN]
            ),
        )


def _blind(rows: Sequence[LeaderRow], hidden: Set[str]) -> Iterator[LeaderRow]:
    """The rows; of hidden ones the place alone, and nothing that compares another with them."""
    for row, following in zip_longest(rows, rows[1:]):
        if row.item in hidden:
            yield LeaderRow(row.rank, "", "", 0.0, 0.0, 0.0, 0.0, 0)
        elif following is not None and following.item in hidden:
            yield msgspec.structs.replace(row, p_above=None)
        else:
            yield row


def summarize(study: Study) -> Summary:
    """Where the study stands now."""
    state, spec = study.state, study.spec
    rows = leaders(study) if not state.pairs or items_meet_again(state) else ()
    labelled = pair_labels(study) if state.pairs else []
    sources, labels = Counter(row["source"] for row in labelled), Counter(row["label"] for row in labelled)
    return Summary(
        goal=spec.goal,
        top=spec.top,
        items=len(state.items),
        retired=len(state.retired_rows()),
        votes=len(state.votes),
        taught=votes_taught(state),
        budget=spec.votes,
        undone=len(state.undone),
        judges=dict(Counter(live.vote.judge for live in state.votes)),
        counts=counts(study),
        seconds_median=seconds_median(study),
        outlook=outlook(study),
        expected=study.stop().expected,
        leaders=rows,
        best=None if spec.goal == "label" or recommend(study.engine, spec, state) is None else rows[0],
        pairs=tuple(
            PairLabel(
                row["pair_id"],
                state.items[a].shown_text or state.items[a].id,
                state.items[b].shown_text or state.items[b].id,
                row["label"],
                row["probability"],
                row["p_a"] + row["p_tie"] / 2,
                row["votes"],
                row["source"],
            )
            for row, (_, a, b) in zip(labelled, state.pairs, strict=True)
        ),
        labels=LabelShares(
            sources["votes"], sources["machines"], sources["model"], labels["a"], labels["tie"], labels["b"]
        )
        if state.pairs
        else None,
    )


def items_meet_again(state: State) -> bool:
    """Whether an item is in more than one of the listed pairs, so that items can be ranked at all."""
    pairs = state.listed_pairs()
    return len({row for pair in pairs for row in pair}) < 2 * len(pairs)


def leaders(study: Study, *, retired: bool = False) -> tuple[LeaderRow, ...]:
    """The items that are not retired, the recommended one first, then by posterior mean utility; retired: those that
    are come after them."""
    engine, state, goal = study.engine, study.state, study.spec.goal
    mean, sd = engine.utilities()
    order, best = engine.ranking(), recommend(study.engine, study.spec, study.state)
    if best is not None:
        order = [best, *(row for row in order if row != best)]
    p_best, votes = engine.p_best(), state.tally()
    p_top = engine.p_top() if goal == "top" else None
    above = engine.p_better(list(pairwise(order))).tolist() if goal == "rank" else []
    order += sorted(state.retired_rows(), key=lambda row: -mean[row]) if retired else []
    return tuple(
        LeaderRow(
            rank=rank,
            item=state.items[row].id,
            text=state.items[row].text or state.items[row].shown_text or state.items[row].id,
            utility=float(mean[row]),
            low=float(mean[row] - Z90 * sd[row]),
            high=float(mean[row] + Z90 * sd[row]),
            p_best=float(p_best[row]),
            votes=votes[row],
            p_top=None if p_top is None else float(p_top[row]),
            p_above=above[rank - 1] if rank <= len(above) else None,
        )
        for rank, row in enumerate(order, start=1)
    )


def past_votes(study: Study, judge: str | None = None, *, undone: bool = False) -> list[PastVote]:
    """The live votes in order, of one judge or of all, with the reason each pair was asked.

    undone: those taken back as well, in their place; they do not count in the numbering.
    """
    rows, number = list[PastVote](), 0
    live_seqs = {live.seq for live in study.state.votes}
    every = sorted([*study.state.votes, *(study.state.undone if undone else [])], key=lambda live: live.seq)
    for live in (live for live in every if judge is None or live.vote.judge == judge):
        vote = live.vote
        number += live.seq in live_seqs
        query = study.state.asked[live.query].query
        shown = presented_pair(study.state, query)
        left, right = (shown.a, shown.b) if live.shown == "ab" else (shown.b, shown.a)
        rows.append(
            PastVote(
                query=live.query,
                number=number,
                left=left,
                right=right,
                context=shown.context,
                choice=side_of(vote.outcome.choice, live.shown),
                strength=vote.outcome.strength,
                judge=vote.judge,
                seconds=vote.seconds,
                reasons=vote.reasons,
                note=study.state.note_of(live),
                time=live.time,
                why=explain_query(study, live.query),
                undone=live.seq not in live_seqs,
                unacceptable=tuple(
                    "left" if (side == "a") == (live.shown == "ab") else "right" for side in live.unacceptable
                ),
            )
        )
    return rows


def explain_query(study: Study, number: int) -> str:
    """One sentence: why this pair was asked."""
    query = study.state.asked[number].query
    if query.selector in CHECKED:
        return CHECKED[query.selector]
    if "p_a" not in query.why:
        return f"Chosen by {query.selector}."
    p = query.why["p_a"] if query.shown == "ab" else 1 - query.why["p_a"]
    so_far = "1 vote" if query.decision == 1 else f"{query.decision} votes"
    belief = f"after {so_far} the chance that the left one is better was put at {percent(p)}, the difference known to "
    belief += f"±{query.why['sd']:.1f} logits"
    reason = {
        "eubo": "the better of the two was expected to be the best there is",
        "champion": "one of the two was expected to be the best there is",
        "eig": f"the answer was expected to teach {query.score:.2f} bits",
        "thompson": f"both looked like the best in some draw (chance {percent(query.propensity, 1)})",
        "random": "drawn at random",
    }.get(query.selector, f"chosen by {query.selector}")
    return f"{reason[0].upper()}{reason[1:]}; {belief}."


def seconds_median(study: Study) -> float | None:
    """Median active seconds of a vote; None where no vote was timed."""
    seconds = [live.vote.seconds for live in study.state.votes if live.vote.seconds is not None]
    return statistics.median(seconds) if seconds else None


def counts(study: Study) -> dict[str, int]:
    """Live votes by what was chosen on screen."""
    return dict(Counter(vote.choice for vote in past_votes(study)))


def status_of(study: Study) -> dict[str, Any]:
    """The plain values behind `elicit status`."""
    summary = summarize(study)
    result: dict[str, Any] = {
        "study": str(study.folder),
        "title": study.spec.title,
        "goal": summary.goal,
        "items": summary.items,
        "retired": summary.retired,
        "votes": summary.votes,
        "taught": summary.taught,
        "budget": summary.budget,
        "undone": summary.undone,
        "judges": summary.judges,
        "choices": summary.counts,
        "left_share": summary.left_share,
        "seconds_median": summary.seconds_median,
        "stop": summary.outlook.stop,
        "met": summary.outlook.met,
        "ended": summary.outlook.ended,
        "why": summary.outlook.why,
        "expected_regret": summary.expected,
        "measured": EXPECTED[summary.goal],
        "votes_left": summary.outlook.votes_left,
    }
    result["failures"] = msgspec.to_builtins(failures_of(study.state))
    if rows_of_people := annotators(study):
        result["annotators"] = rows_of_people
    if study.state.routed:
        from studies.reporting.routing import routing_of

        result["routing"] = routing_of(study)
    if summary.labels is not None:
        result["pairs"] = summary.labels.pairs
        result["labelled_by_votes"], result["labelled_by_machines"] = (
            summary.labels.by_votes,
            summary.labels.by_machines,
        )
        result["labelled_by_model"] = summary.labels.by_model
        result["labels"] = {"a": summary.labels.a, "tie": summary.labels.tie, "b": summary.labels.b}
    if (best := summary.best) is not None:
        result["best"] = {
            "id": best.item,
            "text": best.text,
            "p_best": best.p_best,
            "utility": best.utility,
            "interval": [best.low, best.high],
        }
    if summary.goal == "top":
        result["top"] = [
            {"rank": row.rank, "id": row.item, "text": row.text, "p_top": row.p_top}
            for row in summary.leaders[: summary.top]
        ]
    if summary.goal == "rank":
        result["order"] = [
            {"rank": row.rank, "id": row.item, "text": row.text, "p_above": row.p_above} for row in summary.leaders
        ]
    if summary.leaders:
        result["leaders"] = [
            {"rank": r.rank, "id": r.item, "utility": r.utility, "low": r.low, "high": r.high, "p_best": r.p_best}
            for r in summary.leaders[:10]
        ]
    return result
