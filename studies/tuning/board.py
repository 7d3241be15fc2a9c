"""What the tuning board shows, and who is recommended."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from elicit.log.state import State
from elicit.safe_text import quantity
from elicit.service.voting import Board, BoardRow, Progress
from elicit.stats import Z90
from elicit.tuning.protocol import SEED, Response
from elicit.types import BadInputError
from studies.decisions import votes_taught
from studies.recommendation import acceptable, recommend
from studies.routing.failures import Failed, failures_of, lines_of
from studies.tuning.bill import bill_of
from studies.tuning.pool import idle_proposers, proposer_of

if TYPE_CHECKING:
    from studies.study import Study
    from studies.tuning.tuner import Tuner


def win_rate(study: Study, row: int | None, other: int) -> tuple[float, float, float] | None:
    """On which share of unseen inputs one prompt is preferred to another: mean and 90 % interval."""
    if row is None or row == other or not study.state.votes or not study.state.inputs:
        return None
    try:
        return study.engine.win_rate(row, other)
    except BadInputError:
        return None


def board_of(study: Study, tuner: Tuner, progress: Progress, doing: str) -> Board:
    """The board now."""
    state, tuning = study.state, tuner.tuning
    n = len(state.items)
    ready = len(state.live()) >= 2
    (mean, sd), p = (study.engine.utilities(), study.engine.p_best()) if ready else ((np.zeros(n),) * 2, np.zeros(n))
    best = recommend(study.engine, study.spec, study.state) if ready else None
    safe = acceptable(study.spec, study.state)
    makers, births = proposer_of(state), birth_votes(state)
    votes, since = state.tally(), state.since(state.grew)
    rows = [
        BoardRow(
            row=row,
            item=item.id,
            text=item.text,
            maker=makers.get(row, ""),
            parents=tuple(item.meta.get("parents", ())),
            why=state.whys.get(row, "") if state.marks.get(row) == "retired" else str(item.meta.get("why", "")),
            mark=state.marks.get(row, ""),
            utility=float(mean[row]),
            low=float(mean[row] - Z90 * sd[row]),
            high=float(mean[row] + Z90 * sd[row]),
            p_best=float(p[row]),
            votes=votes[row],
            signals={name: values[row] for name, values in state.signals.items() if row in values},
            born=births[row],
            acceptable=None if safe is None else float(safe[row]),
        )
        for row, item in enumerate(state.items)
    ]
    live = sorted((row for row in rows if row.mark != "retired"), key=lambda row: (row.row != best, -row.utility))
    retired = sorted((row for row in rows if row.mark == "retired"), key=lambda row: -row.row)
    more = tuning.grow > 0 and tuning.proposers and len(state.votes) + tuning.every - since < study.spec.votes
    more = more and tuner.calls_left() > 0
    return Board(
        progress=progress,
        task=tuning.task,
        rows=(*live, *retired),
        best=best,
        guessed=not votes_taught(state),
        seed=SEED,
        win_rate=win_rate(study, best, SEED),
        calls=state.calls,
        most_calls=tuning.calls,
        cost=state.cost,
        money=tuning.money,
        judge_cost=bill_of(study).judge_cost,
        shortfalls=shortfalls_of(failures_of(state), state.responses.values()),
        idle=idle_proposers(state),
        doing=doing,
        next_prompts=max(0, tuning.every - since) if more else None,
    )


def shortfalls_of(failures: dict[str, Failed], responses: Collection[Response]) -> str:
    """Who failed, how often and why, and how many responses were cut; empty where all are whole."""
    cut = sum(response.cut for response in responses)
    cut_ones = f"{quantity(cut, 'response')} {'was' if cut == 1 else 'were'} cut at max_tokens; raise it"
    return "; ".join([*lines_of(failures), *([cut_ones] if cut else [])])


def birth_votes(state: State) -> list[int]:
    """How many votes there were when each prompt joined."""
    seqs = [vote.seq for vote in state.votes]
    return [int(np.searchsorted(seqs, seq)) for seq in state.born]
