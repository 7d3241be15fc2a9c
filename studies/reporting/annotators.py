"""How far each person who votes in a study is to be trusted, by the votes on pairs that several voted on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from elicit.quality.reliability import dawid_skene
from studies.decisions import by_people

if TYPE_CHECKING:
    from studies.study import Study

SAID = {"a": 0, "b": 1, "tie": 2}


def annotators(study: Study) -> list[dict[str, Any]]:
    """One row a person, the most votes first; empty where no pair has votes of two people.

    accuracy: the probability of naming the better side, with its 95 % interval (Dawid and Skene 1979, see
    `elicit.quality.reliability`); first: how much likelier the better side is named where it stood left, half the
    difference. repeats: pairs of own votes on one pair; repeated: those that say the same.
    """
    votes = [live for live in by_people(study.spec, study.state) if live.vote.outcome.choice in SAID]
    people = sorted({live.vote.judge for live in votes})
    pairs = sorted({live.vote.pair for live in votes})
    if len({(live.vote.pair, live.vote.judge) for live in votes}) == len(pairs):
        return []
    who, which, answers, first = [], [], [], []
    for live in votes:
        turned = live.vote.a > live.vote.b
        who.append(people.index(live.vote.judge))
        which.append(pairs.index(live.vote.pair))
        answers.append(SAID[live.vote.outcome_of_pair.choice])
        first.append(int((live.shown == "ab") == turned))
    model = dawid_skene(who, which, answers, len(people), len(pairs), first=first)
    accuracy, intervals = model.accuracy.mean, model.accuracy.intervals()
    rows = [
        {
            "judge": person,
            "votes": int(model.votes[j]),
            "accuracy": float(accuracy[j]),
            "low": float(intervals[j, 0]),
            "high": float(intervals[j, 1]),
            "first": float(model.leaning.mean[j]) if model.leaning else None,
            "repeats": int(model.repeats[j]),
            "repeated": int(model.repeated[j]),
        }
        for j, person in enumerate(people)
    ]
    return sorted(rows, key=lambda row: (-row["votes"], row["judge"]))
