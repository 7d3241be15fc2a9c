"""What the report says of the people who voted: how far they agree, how each did, and what the checks found."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from elicit.log.state import LiveVote
from elicit.safe_text import percent
from elicit.service.http_schema import AgreementView
from elicit.service.voting import side_of

if TYPE_CHECKING:
    from studies.study import Study

CHOICES = ("left", "right", "tie", "both_bad", "skip")


class Annotator(msgspec.Struct, frozen=True):
    """One person. accuracy: the probability of naming the better side, its 95 % interval with it, None before votes
    overlap. shares: of this person's votes, by choice. repeated, repeats: hidden repeats answered alike, and all.
    weight: what the votes count now. flags: what the checks of conduct found, a sentence each."""

    judge: str
    votes: int
    accuracy: tuple[float, float, float] | None
    shares: dict[str, float]
    seconds: float | None
    repeats: int
    repeated: int
    weight: float
    flags: tuple[str, ...]


class People(msgspec.Struct, frozen=True):
    """Everybody who voted in person, the most votes first, and how far they agree."""

    annotators: tuple[Annotator, ...]
    agreement: AgreementView


def people_of(study: Study) -> People | None:
    """What a report tells of those who voted in person; None where nobody did."""
    # Loaded here, so that whoever only fills in a ReportData does not pay for them.
    from studies.decisions import by_people
    from studies.reporting.annotator_views import agreement_view, examination
    from studies.reporting.annotators import annotators

    votes: dict[str, list[LiveVote]] = {}
    for live in by_people(study.spec, study.state):
        votes.setdefault(live.vote.judge, []).append(live)
    if not votes:
        return None
    trust = {row["judge"]: row for row in annotators(study)}
    flags: dict[str, list[str]] = {}
    for finding in examination(study)():
        if finding.flag:
            flags.setdefault(finding.judge, []).append(finding.why)
    rows = []
    for name, cast in sorted(votes.items(), key=lambda named: (-len(named[1]), named[0])):
        choices = Counter(side_of(live.vote.outcome.choice, live.shown) for live in cast)
        seconds = [live.vote.seconds for live in cast if live.vote.seconds is not None]
        estimates = trust.get(name)
        rows.append(
            Annotator(
                judge=name,
                votes=len(cast),
                accuracy=(estimates["accuracy"], estimates["low"], estimates["high"]) if estimates else None,
                shares={choice: choices[choice] / len(cast) for choice in CHOICES if choices[choice]},
                seconds=statistics.median(seconds) if seconds else None,
                repeats=estimates["repeats"] if estimates else 0,
                repeated=estimates["repeated"] if estimates else 0,
                weight=study.state.weight(name),
                flags=tuple(flags.get(name, ())),
            )
        )
    return People(tuple(rows), agreement_view(study))


def agreement_in_words(people: People) -> str:
    """How far people agree, in a sentence or two."""
    n, view = len(people.annotators), people.agreement
    voted = f"{n} people voted" if n > 1 else "One person voted"
    if view.ceiling is None or view.alpha_nominal is None:
        return f"{voted}. How far people agree is not known: too few pairs have votes of several of them."
    (same, low, high), (alpha, least, most) = view.ceiling, view.alpha_nominal
    return (
        f"{voted}. On the {view.pairs} pairs that several voted on, one says what another said in {percent(same)} "
        f"({percent(low)} to {percent(high)}); Krippendorff\u2019s alpha is {alpha:.2f} ({least:.2f} to "
        f"{most:.2f}). No judge can agree with one of them more often than they agree with each other."
    )
