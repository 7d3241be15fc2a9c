"""`elicit bench routing`: routers side by side on one stream of pairs, one budget, one set of humans.

A run labels the pairs of a stream one after the other. Its money is what every machine verdict costs and, on top, a
human's vote for the share `human_share` of the pairs. The utility model learns from what each pair brought, the humans'
votes and the judges' mean verdict, and foretells a pair before anything is said of it. Labels are handed out at the
stream's end, by all that was learnt, but for what the utility model has from the pair itself.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from elicit.engine import Engine
from elicit.plugins import registry
from elicit.randomness import stream
from elicit.routing.case import Budget, Case, Moments, Seat, cavity
from elicit.types import BadInputError, Choice, ChoiceOutcome, Vote
from studies.simulation import audits
from studies.simulation.jobs import Job, Row, RunPlan, measure, versions
from studies.simulation.recorded_streams import RecordedQuery, RecordedStream, stream_of

HUMAN = Seat("human", "human", 1.0)
RESAMPLED = 2000


class Scored(NamedTuple):
    """Of one question's pairs: how many labels name the others' side, an even label counting half, of how many; and
    how many name their majority, ties among it, of how many."""

    right: float = 0.0
    sides: int = 0
    same: int = 0
    majorities: int = 0


def routing(
    recorded: Sequence[RecordedStream],
    routers: Sequence[str],
    shares: Sequence[float],
    plan: RunPlan,
    description: dict[str, Any],
) -> dict[str, Any]:
    """Run every router at every share; recorded: one for each seed, often the same. description: the setting in words.

    Raises BadInputError for unknown routers, shares that are none, or where `plan.out` does not fit.
    """
    chosen = list(dict.fromkeys(routers))
    if not chosen:
        raise BadInputError(f"no router is named; give --routers some of: {', '.join(registry.names('router'))}")
    for name in chosen:
        registry.router(name)
    if not shares or not all(0 <= share <= 1 for share in shares):
        raise BadInputError(f"--human-share takes shares from 0 to 1, such as 0.05,0.2, not {list(shares)}")
    contents = {id(source): source.content for source in recorded}
    marks = sorted(set(shares))
    jobs = [
        Job(
            {"router": name, "seed": seed, "content": contents[id(source)], "shares": marks},
            run,
            (source, name, marks, seed),
        )
        for seed, source in enumerate(recorded)
        for name in chosen
    ]
    fixed = {**description, **versions()}
    rows = measure("routing", fixed, jobs, plan)
    rows.sort(key=lambda row: chosen.index(row["method"]))
    setting = {**fixed, "routers": chosen, "human_share": marks, "seeds": len(recorded)}
    drift = audits.drift_delays()
    return {"bench": "routing", "setting": setting, "rows": rows, "summary": summary(rows), "drift": drift}


def run(recorded: RecordedStream, router: str, shares: Sequence[float], seed: int) -> list[Row]:
    """One router on one stream: a row per share of humans."""
    return [_run(recorded, router, share, seed) for share in shares]


def _run(recorded: RecordedStream, name: str, share: float, seed: int) -> Row:
    queries, held_out = stream_of(recorded, seed)
    knowledge = recorded.knowledge
    engine = Engine(
        knowledge.features,
        n_items=None,
        groups=knowledge.groups,
        scores=knowledge.scores,
        model="gp",
        seed=seed,
        device="cpu",
    )
    router = registry.router(name)
    seats = [HUMAN, *(Seat(judge, "llm", price) for judge, price in recorded.prices.items())]
    money = full = len(queries) * (share * HUMAN.price + sum(recorded.prices.values()))
    cases, moments, humans, seconds = list[Case](), list[Moments](), 0, 0.0
    for n, query in enumerate(queries):
        case = Case(*_differences(engine, [query])[0], query.pair.gaps, query.pair.topic)
        rng = stream(seed, f"route/{share}", n)
        before = time.process_time()
        while (decision := router.route(case, seats, Budget(money, len(queries) - n), rng)).judge is not None:
            seat = next(seat for seat in seats if seat.name == decision.judge)
            if seat.kind == "human":
                case = case.answered(ChoiceOutcome(query.answer), seat.name)
                humans += 1
            elif seat.name in query.pair.verdicts:
                case = case.heard(seat.name, query.pair.verdicts[seat.name])
            else:
                case = case.without(seat.name)
                continue  # nothing is recorded, so nothing is paid
            money -= seat.price
        router.tell(case)
        seconds += time.process_time() - before
        engine.learn(_votes(query, case))
        moments.extend(_differences(engine, [query]))
        cases.append(case)
    final = [
        case.foretold(*cavity((case.mean, case.variance), after, now))
        for case, after, now in zip(cases, moments, _differences(engine, queries), strict=True)
    ]
    labels = [router.label(case) for case in final]
    unaided = [router.label(case.unanswered) for case in final]
    scores: dict[str, Scored] = {}
    for query, label in zip(queries, labels, strict=True):
        scores[query.pair.question] = _add(scores.get(query.pair.question, Scored()), query, label)
    total = Scored(*(sum(column) for column in zip(*scores.values(), strict=True)))
    rows = np.array([[a, b] for a, b, _ in held_out])
    p_first = engine.p_prefer(rows)
    first_won = np.array([first for _, _, first in held_out])
    return {
        "method": name,
        "human_share": share,
        "seed": seed,
        "pairs": len(queries),
        "label_accuracy": total.right / max(total.sides, 1),
        "label_accuracy_ties": total.same / max(total.majorities, 1),
        "label_log_loss": _log_loss(queries, labels),
        "model_accuracy": float(((p_first > 0.5) == first_won).mean()),
        "humans_asked": humans / len(queries),
        "cost": full - money,
        "cpu_ms_per_pair": 1e3 * seconds / len(queries),
        **audits.worth(unaided, [query.answer for query in queries], seed),
        "by_question": {question: list(score) for question, score in scores.items()},
    }


def _differences(engine: Engine, queries: Sequence[RecordedQuery]) -> list[Moments]:
    """Mean and variance of u_a - u_b, by pair."""
    difference = engine.posterior.difference(torch.tensor([[query.pair.a, query.pair.b] for query in queries]))
    return list(zip(difference.mean.tolist(), difference.variance.tolist(), strict=True))


def _votes(query: RecordedQuery, case: Case) -> list[Vote]:
    """What the utility model learns of a pair that is done."""
    a, b = query.pair.a, query.pair.b
    votes = [Vote(a, b, outcome, "human") for outcome in case.outcomes.values()]
    if case.verdicts:
        side: Choice = "a" if case.logit > 0 else "b" if case.logit < 0 else "tie"
        votes.append(Vote(a, b, ChoiceOutcome(side), "judges"))
    return votes


def _add(score: Scored, query: RecordedQuery, label: Any) -> Scored:
    right = 0.5 * (1 + float(np.sign(label.logit)) * query.side) if query.side else 0.0
    side = ("a", "tie", "b")[int(np.argmax(label.probabilities))]
    return Scored(
        score.right + right,
        score.sides + (query.side != 0),
        score.same + (query.majority is not None and side == query.majority),
        score.majorities + (query.majority is not None),
    )


def _log_loss(queries: Sequence[RecordedQuery], labels: Sequence[Any]) -> float:
    """Mean negative log-likelihood, in nats, of the others' side."""
    losses = [
        np.logaddexp(0, -query.side * label.logit) for query, label in zip(queries, labels, strict=True) if query.side
    ]
    return float(np.mean(losses)) if losses else 0.0


def summary(rows: Sequence[Row]) -> list[Row]:
    """One object per router: metrics averaged over seeds and shares, the curve over shares, its area, and the area over
    the first router's with a 95 % interval.

    The area is the integral of label_accuracy over human_share by trapezoids, divided by the shares' span: a mean
    accuracy. The interval resamples questions, the same for both routers (Efron 1979).
    """
    summaries: list[Row] = []
    first: NDArray[np.float64] | None = None
    questions = sorted({question for row in rows for question in row["by_question"]})
    draws = stream(0, "bench/routing/bootstrap").integers(len(questions), size=(RESAMPLED, len(questions)))
    times = np.stack([np.bincount(draw, minlength=len(questions)) for draw in draws]).astype(np.float64)
    for name in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == name]
        areas = area(mine, questions, np.vstack([np.ones(len(questions)), times]))
        first = areas if first is None else first
        over = areas - first
        low, high = np.quantile(over[1:], [0.025, 0.975])
        entry: Row = {"method": name, "runs": len(mine), "label_accuracy_area": float(areas[0])}
        entry |= {
            "label_accuracy_area_over_first": float(over[0]),
            "label_accuracy_area_over_first_low": float(low),
            "label_accuracy_area_over_first_high": float(high),
        }
        shares = sorted({row["human_share"] for row in mine})
        for metric in (
            "label_accuracy",
            "label_accuracy_ties",
            "model_accuracy",
            "label_log_loss",
            "humans_asked",
            "cost",
            "certified",
            "violated",
            "covered",
        ):
            by = {str(s): float(np.mean([row[metric] for row in mine if row["human_share"] == s])) for s in shares}
            entry |= {metric: float(np.mean(list(by.values()))), f"{metric}_by_human_share": by}
        entry["cpu_ms_per_pair"] = float(np.mean([row["cpu_ms_per_pair"] for row in mine]))
        summaries.append(entry)
    return summaries


def interval(row: Row) -> str:
    """A router's area over the first one's, with the interval; empty for the first."""
    over, low, high = (row[f"label_accuracy_area_over_first{end}"] for end in ("", "_low", "_high"))
    return f"{over:+.3f} [{low:+.3f}, {high:+.3f}]" if low < high else ""


def area(rows: Sequence[Row], questions: Sequence[str], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R,) mean label accuracies over the span of shares, questions (Q,) counted as often as times (R, Q) says."""
    shares = np.array(sorted({row["human_share"] for row in rows}))
    right, sides = np.zeros((2, len(shares), len(questions)))
    place = {question: k for k, question in enumerate(questions)}
    for row in rows:
        s = int(np.searchsorted(shares, row["human_share"]))
        for question, (hits, of, *_) in row["by_question"].items():
            right[s, place[question]] += hits
            sides[s, place[question]] += of
    accuracy = (times @ right.T) / np.maximum(times @ sides.T, 1)
    if len(shares) == 1:
        return np.asarray(accuracy[:, 0])
    return np.asarray(np.trapezoid(accuracy, shares, axis=1) / (shares[-1] - shares[0]))
