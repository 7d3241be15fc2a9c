"""What a study amounts to now: the leaderboard, the progress and the status that commands and screens show."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from elicit.service import LeaderRow, PastVote, Progress, side_of
from elicit.types import EXPECTED
from studies.annotators import annotators
from studies.labels import pair_labels
from studies.sides import sides
from studies.tuning.safety import acceptable

if TYPE_CHECKING:
    from studies.study import Study

Z90 = 1.6449


def recommended(study: Study) -> int | None:
    """The row of the recommended item: of a study that tunes prompts under a limit, the best that keeps to it, or
    None."""
    if study.spec.tuning is None or study.spec.tuning.safety is None:
        return study.engine.best()
    safe, confidence = acceptable(study), study.spec.tuning.safety.confidence
    assert safe is not None
    fit = [row for row in study.state.live() if safe[row] >= confidence]
    mean = study.engine.posterior.mean()
    return max(fit, key=lambda row: float(mean[row])) if fit else None


def leaders(study: Study) -> tuple[LeaderRow, ...]:
    """All items, the recommended one first, then the highest posterior mean utility."""
    engine, state = study.engine, study.state
    mean, sd = engine.utilities()
    best = recommended(study)
    order = mean if best is None else np.where(np.arange(len(mean)) == best, np.inf, mean)
    p_best = engine.p_best()
    votes = state.tally()
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
        )
        for rank, row in enumerate((int(r) for r in np.argsort(-order, kind="stable")), start=1)
    )


def progress(study: Study, judge: str) -> Progress:
    """What a voter's header shows."""
    votes = len(study.state.votes)
    stop, spent = study.stop(), study.exhausted(judge)
    left = votes_left(study)
    mine = sum(live.vote.judge == judge for live in study.state.votes)
    return Progress(votes, mine, study.spec.votes, left, stop.stop or bool(spent), spent or stop.why)


def votes_left(study: Study) -> tuple[int, int, int] | None:
    """The forecast of the stop rule; None where nothing is known yet."""
    return within_budget(study, study.stop().votes_left)


def within_budget(study: Study, forecast: tuple[int, int] | None) -> tuple[int, int, int] | None:
    """A forecast's low, middle and high end, none of them beyond the study's budget of votes."""
    if forecast is None:
        return None
    budget = max(0, study.spec.votes - len(study.state.votes))
    low, high = (min(v, budget) for v in forecast)
    return low, round((low * high) ** 0.5), high


def past_votes(study: Study, judge: str | None = None, *, undone: bool = False) -> list[PastVote]:
    """The live votes in order, of one judge or of all, with the reason each pair was asked.

    undone: those taken back as well, in their place; they do not count in the numbering.
    """
    found, number = list[PastVote](), 0
    live_seqs = {live.seq for live in study.state.votes}
    every = sorted([*study.state.votes, *(study.state.undone if undone else [])], key=lambda live: live.seq)
    for live in (live for live in every if judge is None or live.vote.judge == judge):
        vote = live.vote
        number += live.seq in live_seqs
        query = study.state.asked[live.query].query
        shown = sides(study.state, query)
        left, right = (shown.a, shown.b) if live.shown == "ab" else (shown.b, shown.a)
        found.append(
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
                why=why(study, live.query),
                undone=live.seq not in live_seqs,
                unacceptable=tuple(
                    "left" if (side == "a") == (live.shown == "ab") else "right" for side in live.unacceptable
                ),
            )
        )
    return found


def why(study: Study, number: int) -> str:
    """One sentence: why this pair was asked."""
    query = study.state.asked[number].query
    if not query.why:
        return f"Chosen by {query.selector}."
    p = query.why["p_a"] if query.shown == "ab" else 1 - query.why["p_a"]
    so_far = "1 vote" if query.decision == 1 else f"{query.decision} votes"
    belief = f"after {so_far} the chance that the left one is better was put at {p:.0%}, the difference known to "
    belief += f"±{query.why['sd']:.1f} logits"
    reason = {
        "eubo": "the better of the two was expected to be the best there is",
        "champion": "one of the two was expected to be the best there is",
        "eig": f"the answer was expected to teach {query.score:.2f} bits",
        "thompson": f"both looked like the best in some draw (chance {query.propensity:.1%})",
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
    state, spec, stop = study.state, study.spec, study.stop()
    result: dict[str, Any] = {
        "study": str(study.folder),
        "title": spec.title,
        "goal": spec.goal,
        "items": len(state.items),
        "votes": len(state.votes),
        "budget": spec.votes,
        "undone": len(state.undone),
        "judges": dict(Counter(live.vote.judge for live in state.votes)),
        "choices": counts(study),
        "seconds_median": seconds_median(study),
        "stop": stop.stop,
        "why": study.exhausted("") or stop.why,
        "expected_regret": stop.expected,
        "measured": EXPECTED[spec.goal],
        "votes_left": votes_left(study),
    }
    if rows_of_people := annotators(study):
        result["annotators"] = rows_of_people
    if state.routed:
        from studies.certifying import routing_of

        result["routing"] = routing_of(study)
    if spec.goal == "label":
        labels = pair_labels(study)
        result["pairs"] = len(labels)
        sources = Counter(row["source"] for row in labels)
        result["labelled_by_votes"], result["labelled_by_machines"] = sources["votes"], sources["machines"]
        return result
    rows = leaders(study)
    if recommended(study) is not None:
        result["best"] = {
            "id": rows[0].item,
            "text": rows[0].text,
            "p_best": rows[0].p_best,
            "utility": rows[0].utility,
            "interval": [rows[0].low, rows[0].high],
        }
    result["leaders"] = [
        {"rank": r.rank, "id": r.item, "utility": r.utility, "low": r.low, "high": r.high, "p_best": r.p_best}
        for r in rows[:10]
    ]
    return result
