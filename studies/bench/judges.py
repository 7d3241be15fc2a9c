"""`elicit bench judges`: how often machine judges are wrong, and what they lean to, on pairs whose label is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from adapters.files.formats import JudgmentRow, check_judgments, read_judgments, read_pairs
from elicit.routing.bias import Judged, biases
from elicit.stats import clopper_pearson
from elicit.types import BadInputError, Choice
from studies.items.features import gaps
from studies.simulation.recorded_streams import verdict_of


def judges(files: Sequence[tuple[Path, Path]]) -> dict[str, Any]:
    """One row a machine judge over all the files (pairs, judgments) pooled, the most often right first.

    The label of a pair is the majority of its human judgments; pairs that it calls even are left out, and a verdict
    that names no side is half wrong. error: with its 95 % interval (Clopper and Pearson 1934, half errors rounded up).
    flips: share of the pairs seen in both orders whose orders name different sides. Raises BadInputError.
    """
    results_by_judge: dict[str, list[tuple[Judged, float]]] = {}
    for pairs, judgments in files:
        rows, votes = read_pairs(pairs), read_judgments(judgments)
        check_judgments(rows, votes, judgments)
        by_pair: dict[str, dict[str, list[JudgmentRow]]] = {}
        people: dict[str, Counter[Choice]] = {}
        for vote in votes:
            if vote.judge_kind == "human":
                people.setdefault(vote.pair_id, Counter())[vote.preference] += 1
            else:
                by_pair.setdefault(vote.pair_id, {}).setdefault(vote.judge_id, []).append(vote)
        for row in rows:
            counts = people.get(row.pair_id, Counter())
            lead = counts["a"] - counts["b"]
            if not lead:
                continue
            label: Choice = "a" if lead > 0 else "b"
            for judge, several in by_pair.get(row.pair_id, {}).items():
                if (verdict := verdict_of(several)) is not None:
                    wrong = 0.5 if not verdict.logit else float((verdict.logit > 0) != (label == "a"))
                    judged = Judged(verdict, gaps(row.response_a, row.response_b), [label])
                    results_by_judge.setdefault(judge, []).append((judged, wrong))
    if not results_by_judge:
        raise BadInputError("no machine judge judged a pair that people decided; give files with judgments of both")
    summary = [_row(judge, results) for judge, results in results_by_judge.items()]
    summary.sort(key=lambda row: row["error"])
    return {"bench": "judges", "setting": {"files": [str(path) for pair in files for path in pair]}, "summary": summary}


def _row(judge: str, results: Sequence[tuple[Judged, float]]) -> dict[str, Any]:
    n, wrong = len(results), sum(loss for _, loss in results)
    most = -int(-wrong // 1)
    both = [judged.verdict.flips for judged, _ in results if len(judged.verdict.logits) == 2]
    return {
        "method": judge,
        "pairs": n,
        "error": wrong / n,
        "error_low": 1 - clopper_pearson(n - most, n, 0.025),
        "error_high": clopper_pearson(most, n, 0.025),
        "flips": sum(both) / len(both) if both else None,
        "biases": [msgspec.to_builtins(bias._asdict()) for bias in biases([judged for judged, _ in results])],
    }
