"""What a study amounts to now: the leaderboard, the progress and the status that commands and screens show."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from elicit.service import LeaderRow, PastVote, Progress, side_of

if TYPE_CHECKING:
    from studies.study import Study

Z90 = 1.6449


def leaders(study: Study) -> tuple[LeaderRow, ...]:
    """All items, the highest posterior mean utility first."""
    engine, state = study.engine, study.state
    mean, sd = engine.utilities()
    p_best = engine.p_best()
    votes: Counter[int] = Counter()
    for live in state.votes:
        votes[live.vote.a] += 1
        votes[live.vote.b] += 1
    return tuple(
        LeaderRow(
            rank=rank,
            item=state.items[row].id,
            text=state.items[row].text or state.items[row].shown_text,
            utility=float(mean[row]),
            low=float(mean[row] - Z90 * sd[row]),
            high=float(mean[row] + Z90 * sd[row]),
            p_best=float(p_best[row]),
            votes=votes[row],
        )
        for rank, row in enumerate((int(r) for r in np.argsort(-mean, kind="stable")), start=1)
    )


def progress(study: Study, judge: str) -> Progress:
    """What a voter's header shows."""
    votes = len(study.state.votes)
    stop, spent = study.stop(), study.exhausted(judge)
    left = None
    if stop.votes_left is not None:
        low, high = (min(v, study.spec.votes - votes) for v in stop.votes_left)
        left = (low, round((low * high) ** 0.5), high)
    mine = sum(live.vote.judge == judge for live in study.state.votes)
    return Progress(votes, mine, study.spec.votes, left, stop.stop or bool(spent), spent or stop.why)


def past_votes(study: Study, judge: str | None = None) -> list[PastVote]:
    """The live votes in order, of one judge or of all, with the reason each pair was asked."""
    items, found = study.state.items, []
    for number, live in enumerate(study.state.votes, start=1):
        vote = live.vote
        if judge is not None and vote.judge != judge:
            continue
        query = study.state.asked[live.query].query
        left, right = (query.a, query.b) if query.shown == "ab" else (query.b, query.a)
        notes = [vote.note, *study.state.notes.get(live.query, [])]
        found.append(
            PastVote(
                query=live.query,
                number=number,
                left=items[left].shown_text,
                right=items[right].shown_text,
                context=items[left].context,
                choice=side_of(vote.outcome.choice, query.shown),
                strength=vote.outcome.strength,
                judge=vote.judge,
                seconds=vote.seconds,
                reasons=vote.reasons,
                note="; ".join(note for note in notes if note),
                time=live.time,
                why=why(study, live.query),
            )
        )
    return found


def why(study: Study, number: int) -> str:
    """One sentence: why this pair was asked."""
    query = study.state.asked[number].query
    if not query.why:
        return f"Chosen by {query.selector}."
    p = query.why["p_a"] if query.shown == "ab" else 1 - query.why["p_a"]
    belief = f"after {query.decision} votes the left one was thought better with {p:.0%}, give or take "
    belief += f"{query.why['sd']:.1f} logits"
    reason = {
        "eubo": "the better of the two was expected to be the best there is",
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
        "votes_left": list(stop.votes_left) if stop.votes_left else None,
    }
    if spec.goal == "label":
        labels = pair_labels(study)
        result["pairs"] = len(labels)
        result["labelled_by_votes"] = sum(row["source"] == "votes" for row in labels)
        return result
    rows = leaders(study)
    result["best"] = {
        "id": rows[0].item,
        "text": rows[0].text,
        "p_best": max(row.p_best for row in rows[:1]),
        "utility": rows[0].utility,
        "interval": [rows[0].low, rows[0].high],
    }
    result["leaders"] = [
        {"rank": r.rank, "id": r.item, "utility": r.utility, "low": r.low, "high": r.high, "p_best": r.p_best}
        for r in rows[:10]
    ]
    return result


def pair_labels(study: Study) -> list[dict[str, Any]]:
    """Every listed pair with its label: the votes' majority where there are votes, else the model's belief.

    `probability` is P(response a preferred).
    """
    state = study.state
    votes: dict[tuple[int, int], list[str]] = {}
    for live in state.votes:
        if live.vote.outcome.choice != "skip":
            flip = live.vote.a > live.vote.b
            choice = live.vote.outcome.choice
            votes.setdefault(live.vote.pair, []).append({"a": "b", "b": "a"}.get(choice, choice) if flip else choice)
    p = study.engine.p_prefer([(a, b) for _, a, b in state.pairs])
    rows = []
    for (pair_id, a, b), probability in zip(state.pairs, p, strict=True):
        cast = votes.get((min(a, b), max(a, b)), [])
        first, second = ("a", "b") if a < b else ("b", "a")
        score = cast.count(first) - cast.count(second)
        label = "tie" if cast and score == 0 else "a" if (score or probability - 0.5) > 0 else "b"
        rows.append(
            {
                "pair_id": pair_id,
                "a": state.items[a].id,
                "b": state.items[b].id,
                "label": label,
                "probability": float(probability),
                "votes": len(cast),
                "source": "votes" if cast else "model",
            }
        )
    return rows
