"""What a tuning study has found: the best prompt, by how much it beats the one it began with, and why."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import torch

from elicit.randomness import stream
from elicit.safe_text import percent
from elicit.stats import Z90
from elicit.tuning.protocol import SEED
from elicit.types import Item
from studies.decisions import engine_for, engine_votes, votes_taught
from studies.outlook import outlook
from studies.prompt_inputs import directed_signals, signal_value
from studies.recommendation import acceptable, recommend
from studies.routing.failures import failures_of
from studies.tuning.bill import bill_of
from studies.tuning.board import shortfalls_of, win_rate
from studies.tuning.pool import idle_proposers
from studies.tuning.text.segments import segments, without

if TYPE_CHECKING:
    from collections.abc import Mapping

    from elicit.log.state import State
    from elicit.tuning.signals import Signal
    from studies.study import Study

RUNNERS = 5
DRAWS = 2000
Z95 = 1.96
WORDS = re.compile(r"\s+|[^\s]+")


class Margin(msgspec.Struct, frozen=True):
    """A signal of the best prompt and of the seed on the same held-out inputs, and the mean difference with a 95 %
    interval; nan where nothing was measured."""

    signal: str
    best: float
    seed: float
    margin: float
    low: float
    high: float
    inputs: int


class PartEffect(msgspec.Struct, frozen=True):
    """What a part of the best prompt is worth: logits of utility lost without it, with a 90 % interval."""

    text: str
    value: float
    low: float
    high: float


class Standing(msgspec.Struct, frozen=True):
    """A prompt with P(best) and its utility, in logits less the mean of all, with a 90 % interval."""

    row: int
    item: str
    text: str
    p_best: float
    utility: float
    low: float
    high: float
    votes: int


class Result(msgspec.Struct, frozen=True):
    """What was found. best: None where no prompt is acceptable; guessed: whether no vote speaks for it yet. win_rate:
    on which share of unseen inputs the best is preferred to the seed, with a 90 % interval. diff: the seed's words as
    they became the best's: kept " ", removed "-", added "+". parts: what matters in the best prompt. safety: what the
    limit on unacceptable responses says."""

    study: str
    task: str
    best: Standing | None
    guessed: bool
    seed: Standing
    win_rate: tuple[float, float, float] | None
    margins: tuple[Margin, ...]
    runners: tuple[Standing, ...]
    parts: tuple[PartEffect, ...]
    diff: tuple[tuple[str, str], ...]
    safety: str
    votes: int
    calls: int
    judge_calls: int
    cost: float
    judge_cost: float
    seconds: float
    prompts: int
    failures: int
    shortfalls: str
    stop: bool
    why: str


def held_out(study: Study) -> list[tuple[int, int]]:
    """The responses that the result is measured on: of the best prompt and the seed, on the inputs held out."""
    best = recommend(study.engine, study.spec, study.state)
    rows = [SEED] if best in (None, SEED) else [best, SEED]
    return [(row, input_row) for row in rows for input_row, input_ in enumerate(study.state.inputs) if input_.held_out]


def result_of(study: Study) -> Result:
    """What the study has found so far, from its log alone."""
    state, tuning, engine = study.state, study.spec.tuning, study.engine
    assert tuning is not None
    best = recommend(study.engine, study.spec, study.state)
    (mean, sd), p = engine.utilities(), engine.p_best()
    votes = state.tally()

    def standing(row: int) -> Standing:
        spread = Z90 * float(sd[row])
        figures = (float(p[row]), float(mean[row]), float(mean[row]) - spread, float(mean[row]) + spread, votes[row])
        return Standing(row, state.items[row].id, state.items[row].text, *figures)

    live = [row for row in state.live() if row != best]
    live.sort(key=lambda row: -mean[row])
    signals = directed_signals(tuning.signals)
    now, bill = outlook(study), bill_of(study)
    shortfalls = shortfalls_of(failures_of(state), state.responses.values())
    return Result(
        study=str(study.folder),
        task=tuning.task,
        best=None if best is None else standing(best),
        guessed=not votes_taught(state),
        seed=standing(SEED),
        win_rate=win_rate(study, best, SEED),
        margins=() if best is None else tuple(margins(state, signals, best)),
        runners=tuple(standing(row) for row in live[:RUNNERS]),
        parts=() if best is None or not state.votes else tuple(parts(study, best)),
        diff=() if best is None else tuple(word_changes(state.items[SEED].text, state.items[best].text)),
        safety=_safety(study, best),
        votes=len(state.votes),
        calls=bill.calls,
        judge_calls=bill.judge_calls,
        cost=bill.cost,
        judge_cost=bill.judge_cost,
        seconds=sum(live.vote.seconds or 0.0 for live in state.votes),
        prompts=len(state.items),
        failures=sum(bool(response.failure) for response in state.responses.values()),
        shortfalls=". ".join(part for part in (shortfalls, idle_proposers(state)) if part),
        stop=now.stop,
        why=now.why,
    )


def margins(state: State, signals: Mapping[str, Signal], best: int) -> list[Margin]:
    """Each signal on the held-out inputs to which both prompts have responded."""
    rows = []
    for name, signal in signals.items():
        scores = []
        for input_row, input_ in enumerate(state.inputs):
            if input_.held_out and all((row, input_row) in state.responses for row in (best, SEED)):
                values = [signal_value(state, name, signal, row, input_row) for row in (best, SEED)]
                scores += [] if None in values else [values]
        if scores:
            table = np.array(scores, dtype=np.float64)
            low, high = paired_interval(table[:, 0] - table[:, 1])
            means = table.mean(0).tolist()
            rows.append(Margin(name, means[0], means[1], means[0] - means[1], low, high, len(table)))
    return rows


def paired_interval(differences: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean of paired differences (n,) of shares between 0 and 1.

    Half a difference of 1, half one of -1 and one of 0 are added, so that a few inputs on which nothing differs do not
    look like certainty (Agresti and Min 2005, for paired proportions).
    """
    n = len(differences) + 2
    mean = float(differences.sum()) / n
    variance = (float((differences**2).sum()) + 1) / n - mean**2
    half = Z95 * (variance / n) ** 0.5
    return max(-1.0, mean - half), min(1.0, mean + half)


def parts(study: Study, row: int) -> list[PartEffect]:
    """What the parts of a prompt are worth by the votes: the choices at its slots where it is from a grid, against the
    other options that were tried; else its segments, against the same prompt without them."""
    slots = dict(study.state.items[row].meta.get("slots", {}))
    return _choices(study, slots) if slots else _segments(study, row)


def _segments(study: Study, row: int) -> list[PartEffect]:
    pieces = segments(study.state.items[row].text)
    if len(pieces) < 2:
        return []
    texts = [without(pieces, number) for number in range(len(pieces))]
    numbers = [number for number, text in enumerate(texts) if text]
    items = [Item(f"without {number}", texts[number]) for number in numbers]
    engine = engine_for(study.spec, study.state, items)
    engine.learn(engine_votes(study.state))
    n = len(study.state.items)
    pairs = torch.tensor([[row, n + place] for place in range(len(numbers))])
    with engine.limited_threads():
        value, variance, _ = engine.posterior.difference(pairs)
    spread = Z90 * variance.sqrt()
    return [
        PartEffect(pieces[number].strip(), float(v), float(v - s), float(v + s))
        for number, v, s in zip(numbers, value, spread, strict=True)
    ]


def _choices(study: Study, slots: Mapping[str, str]) -> list[PartEffect]:
    """Of each slot's choice, the least-squares effect on utility over the grid's prompts, drawn from the belief."""
    state = study.state
    rows = [row for row, item in enumerate(state.items) if item.meta.get("slots")]
    table = [dict(state.items[row].meta["slots"]) for row in rows]
    options_by_slot = {slot: sorted({row_slots.get(slot, "") for row_slots in table}) for slot in slots}
    columns = [(slot, option) for slot, options in options_by_slot.items() if len(options) > 1 for option in options]
    if not columns:
        return []
    design = np.array([[float(row_slots.get(slot, "") == option) for slot, option in columns] for row_slots in table])
    engine = study.engine
    with engine.limited_threads():
        draws = engine.posterior.sample(DRAWS, stream(0, "parts"), torch.tensor(rows)).numpy()
    # A ridge of one prompt's worth keeps options that always came together apart.
    centred = design - design.mean(0)
    solve = np.linalg.solve(centred.T @ centred + np.eye(len(columns)), centred.T)
    effects = (draws - draws.mean(1, keepdims=True)) @ solve.T  # (DRAWS, columns)
    part_effects = []
    for slot, option in slots.items():
        others = [k for k, (s, o) in enumerate(columns) if s == slot and o != option]
        if others:
            gain = effects[:, columns.index((slot, option))] - effects[:, others].mean(1)
            low, high = np.quantile(gain, [0.05, 0.95])
            part_effects.append(PartEffect(f"{slot}: {option}", float(gain.mean()), float(low), float(high)))
    return sorted(part_effects, key=lambda part: -abs(part.value))


def word_changes(before: str, after: str) -> list[tuple[str, str]]:
    """The words of one text as they became the other's: (" ", kept), ("-", removed), ("+", added)."""
    old, new = WORDS.findall(before), WORDS.findall(after)
    changes = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            changes.append((" ", "".join(old[a:b])))
            continue
        changes += [(mark, text) for mark, text in (("-", "".join(old[a:b])), ("+", "".join(new[c:d]))) if text]
    return changes


def _safety(study: Study, best: int | None) -> str:
    tuning = study.spec.tuning
    safe = acceptable(study.spec, study.state)
    if tuning is None or tuning.safety is None or safe is None:
        return ""
    limit, confidence = tuning.safety.limit, tuning.safety.confidence
    if best is not None:
        sure = f"{percent(safe[best])}, where {percent(confidence)} is asked for"
        return f"its responses are unacceptable at most {percent(limit)} of the time with {sure}"
    row = int(safe.argmax())
    return (
        f"no prompt is known to be unacceptable at most {percent(limit)} of the time with {percent(confidence)}; "
        f"nearest is {study.state.items[row].id} with {percent(safe[row])}; what people are shown in their votes may "
        "clear it, machine judges' votes do not"
    )
