"""Replay: every decision of a study computed again from its log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elicit.arithmetic import VARIABLE, requested_code_path
from elicit.log.events import (
    CHECK,
    ENGINE,
    STOCK,
    Asked,
    EngineChanged,
    Event,
    InputsAdded,
    ItemsAdded,
    Marked,
    Measured,
    SpecChanged,
)
from elicit.log.state import State
from elicit.types import Query
from studies import spec as specs
from studies.decisions import choose, choose_batch, constraints_on, engine_for, sync_engine
from studies.prompt_inputs import AlikeError, MissingError, choose_inputs_for
from studies.study import Study

if TYPE_CHECKING:
    from elicit.engine import Engine

DRIFT = 1e-6
"""Relative difference of scores up to which another machine's rounding is the likely reason."""


@dataclass(frozen=True)
class Verification:
    """The outcome of recomputing a study's decisions.

    status: "same", "drift" (same pairs, scores differ by rounding), "divergence", or "different engine". event: the
    seq of the first decision that is not the same, or None. checked: decisions recomputed.
    """

    status: str
    checked: int
    event: int | None = None
    why: str = ""


def verify(study: Study, report: Callable[[int], None] = lambda _: None) -> Verification:
    """Recompute every decision of the log, in order, and compare. report: called with each event's seq."""
    state, engine, checked, revised = State(), None, 0, 0
    batches = {e.body.seen: e.body for e in study.events() if isinstance(e.body, Asked) and e.body.judge == STOCK}
    stock: list[Query] = []  # chosen again, and not yet met in the log
    overtaken: dict[int, list[Event]] = {}  # by what they had seen: other processes wrote before they were recorded
    for event in study.events():
        question = event.body if isinstance(event.body, Asked) and event.body.judge not in (STOCK, CHECK) else None
        if question is not None and 0 < question.seen < event.seq - 1:
            overtaken.setdefault(question.seen, []).append(event)
    early: dict[int, Query | None] = {}
    drift: Verification | None = None
    paths = ""
    for event in study.events():
        report(event.seq)
        body = event.body
        if isinstance(body, Asked) and body.judge != CHECK:
            if state.engine != ENGINE:
                return Verification(
                    "different engine",
                    checked,
                    event.seq,
                    f"decided by version {state.engine} of the algorithm, this release has {ENGINE}",
                )
            if body.judge == STOCK:
                again = stock.pop(0) if stock else None
            elif event.seq in early:
                again = early.pop(event.seq)
            else:
                engine = engine or engine_for(specs.convert(state.spec), state)
                revised = sync_engine(engine, state, revised)
                again = _choose_again(engine, state, specs.convert(state.spec), body.judge)
            checked += 1
            if (difference := _compare(event, body.query, again)) is not None:
                if difference.status == "divergence":
                    return Verification(difference.status, checked, difference.event, difference.why)
                drift = drift or difference
                paths = paths or _other_path(state)
        state.fold(event)
        if isinstance(body, SpecChanged | EngineChanged | ItemsAdded | InputsAdded | Measured | Marked):
            engine, revised = None, 0
        for later in overtaken.pop(event.seq, ()) if state.engine == ENGINE else ():
            assert isinstance(later.body, Asked)
            engine = engine or engine_for(specs.convert(state.spec), state)
            revised = sync_engine(engine, state, revised)
            early[later.seq] = _choose_again(engine, state, specs.convert(state.spec), later.body.judge)
        if (batch := batches.get(event.seq)) is not None and state.engine == ENGINE:
            engine = engine or engine_for(specs.convert(state.spec), state)
            folded = sum(live.seq <= batch.folded for live in state.votes)
            if len(engine.votes) > folded:
                revised = -1  # another decision had seen more
            revised = sync_engine(engine, state, revised, folded)
            stock = choose_batch(engine, state, batch.batch, batch.pool)
    if drift:
        return Verification(drift.status, checked, drift.event, drift.why + (paths and f"; {paths}"))
    return Verification("same", checked)


def _other_path(state: State) -> str:
    """How MKL computed when the decision was made, where that was not as it is now."""
    recorded, now = state.code_path, requested_code_path()
    return "" if recorded == now else f"it was made with {VARIABLE}={recorded or '(not set)'}, this is {VARIABLE}={now}"


def _choose_again(engine: Engine, state: State, spec: specs.Spec, judge: str) -> Query | None:
    query = choose(engine, constraints_on(state, judge))
    if query is None or spec.tuning is None or not state.inputs:
        return query
    try:
        return choose_inputs_for(engine, state, query, spec.tuning)
    except (AlikeError, MissingError):
        return None


def _compare(event: Event, recorded: Query, again: Query | None) -> Verification | None:
    if again is None:
        return Verification("divergence", 0, event.seq, "a query was asked where now none is left")
    decision = (recorded.a, recorded.b, recorded.shown, recorded.decision, recorded.inputs)
    if decision != (again.a, again.b, again.shown, again.decision, again.inputs):
        return Verification(
            "divergence",
            0,
            event.seq,
            f"decision {recorded.decision} asked rows {recorded.a} and {recorded.b} (shown {recorded.shown}), "
            f"now it is {again.a} and {again.b} (shown {again.shown})"
            + (f", on inputs {recorded.inputs} and {again.inputs}" if recorded.inputs else ""),
        )
    if recorded.score == again.score and recorded.propensity == again.propensity:
        return None
    off = abs(recorded.score - again.score) / max(abs(recorded.score), 1e-9)
    status = "drift" if off < DRIFT else "divergence"
    why = f"decision {recorded.decision} had score {recorded.score!r}, now {again.score!r}"
    return Verification(status, 0, event.seq, why)
