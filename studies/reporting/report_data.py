"""Fills the report of a study from its log."""

from __future__ import annotations

import base64
import platform
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from adapters.files import images
from adapters.files.export import atomic_file
from elicit.log.state import LiveVote
from elicit.safe_text import full_stop
from elicit.types import BadInputError, Item
from studies.decisions import decides
from studies.reporting import status
from studies.reporting.report import OPEN_ROWS, CalibrationBin, Decisive, Recommendation, ReportData, render
from studies.reporting.report_people import people_of
from studies.reporting.trace import Trace, sentence, trace_of
from studies.routing.failures import failures_of, lines_of
from studies.spec import dumps
from studies.storage.outputs import check_output

if TYPE_CHECKING:
    from studies.study import Study

CURVES = 6
DECISIVE = 8
BINS = 10
PACKAGES = ("elicit-engine", "torch", "numpy", "textual", "sqlite-utils")


def write_report(study: Study, path: Path, notes: tuple[str, ...] = ()) -> None:
    """Write the study's report to `path`, whole or not at all. notes: more sentences for the answer.

    Raises BadInputError where the file cannot be written.
    """
    check_output(path)
    page = render(report_data(study, notes))
    with atomic_file(path) as file:
        file.write(page.encode())


def report_data(study: Study, notes: tuple[str, ...] = ()) -> ReportData:
    """Everything the report shows of a study."""
    state, spec, summary = study.state, study.spec, status.summarize(study)
    trace = trace_of(spec, state)
    past = status.past_votes(study)
    place = {item.id: row for row, item in enumerate(state.items)}
    taught = [i for i, live in enumerate(state.votes) if decides(state, live)]
    order = sorted(taught, key=lambda i: -trace.bits[i])[:DECISIVE]
    sides = {i: _sides(state.votes[i], state.items) for i in order}
    pictured = {row.item for row in summary.leaders[:OPEN_ROWS]} | {item for side in sides.values() for item in side}
    labelling = spec.goal == "label"
    curves = () if labelling else sorted(summary.leaders, key=lambda row: -row.p_best)[:CURVES]
    return ReportData(
        title=spec.title,
        goal=spec.goal,
        top=spec.top,
        question=spec.question,
        created=state.created,
        finished=state.votes[-1].time if summary.outlook.stop and state.votes else "",
        items=summary.items,
        retired=summary.retired,
        votes=summary.votes,
        judges={judge or "(no name)": votes for judge, votes in summary.judges.items()},
        recommendation=Recommendation(summary.best, summary.best.text) if summary.best else None,
        leaders=summary.leaders,
        expected=trace.per_vote(trace.expected),
        p_best_curves={row.item: trace.per_vote([float(p[place[row.item]]) for p in trace.p_best]) for row in curves},
        vote_times=tuple(live.time for live in state.votes),
        decisive=tuple(
            Decisive(
                past[i],
                trace.bits[i],
                sentence(trace.before[i], trace.after[i], state.votes[i].shown == "ba"),
                sides[i],
            )
            for i in order
        ),
        left_votes=summary.counts.get("left", 0),
        decided_votes=summary.counts.get("left", 0) + summary.counts.get("right", 0),
        counts=summary.counts,
        seconds_median=summary.seconds_median,
        votes_left=summary.outlook.votes_left,
        stop=summary.outlook.stop,
        ended=summary.outlook.ended,
        why=summary.outlook.why,
        stop_regret=spec.stop.regret,
        guessed=not summary.taught,
        stop_confidence=spec.stop.confidence,
        calibration=_calibration(study, trace),
        labels=summary.labels,
        pairs=summary.pairs,
        pictures=_pictures(study.folder, [state.items[place[item]] for item in sorted(pictured)]),
        people=people_of(study),
        notes=(*notes, *map(full_stop, lines_of(failures_of(state)))),
        replay_command=f"elicit replay {study.folder} --verify",
        versions={"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        seed=spec.seed,
        spec=dumps(spec),
    )


def _sides(live: LiveVote, items: Sequence[Item]) -> tuple[str, str]:
    """The ids of what stood left and right."""
    a, b = items[live.vote.a].id, items[live.vote.b].id
    return (a, b) if live.shown == "ab" else (b, a)


def _pictures(folder: Path, items: Sequence[Item]) -> dict[str, str]:
    """Small pictures of those items that have one, as addresses that hold them; one that is missing is left out."""
    pictures = {}
    for item in items:
        with suppress(BadInputError):
            if file := images.stored_picture(folder, item):
                small = base64.b64encode(images.small(file)).decode()
                pictures[item.id] = f"data:image/webp;base64,{small}"
    return pictures


def _calibration(study: Study, trace: Trace) -> tuple[CalibrationBin, ...]:
    """The engine's predictions one vote ahead against what was voted, in bins of equal width."""
    pairs = [
        (p, float(live.vote.outcome.choice == "a"))
        for p, live in zip(trace.before, study.state.votes, strict=True)
        if live.vote.outcome.choice in ("a", "b") and decides(study.state, live)
    ]
    bins: list[CalibrationBin] = []
    for k in range(BINS):
        inside = [(p, y) for p, y in pairs if int(min(p, 1 - 1e-9) * BINS) == k]
        if inside:
            predicted, observed = np.mean(inside, axis=0)
            bins.append(CalibrationBin(float(predicted), float(observed), len(inside)))
    return tuple(bins)
