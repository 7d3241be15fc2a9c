"""How the pool of prompts grows and shrinks: who proposes, which proposals join, and which prompts retire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch

from elicit.log.events import ItemsAdded, Marked, Proposed
from elicit.log.state import State
from elicit.randomness import stream
from elicit.safe_text import percent
from elicit.tuning.protocol import INPUT, Candidate, Input, Loss, Pool, Proposal
from elicit.tuning.signals import Signal
from elicit.types import Item
from studies.decisions import engine_for, engine_votes
from studies.items.presentation import response_text
from studies.prompt_inputs import signal_value
from studies.tuning.allocation import Record

if TYPE_CHECKING:
    from elicit.engine import Engine
    from studies.spec import Spec
    from studies.study import Study

LOSSES = 12
EXAMPLES = 24
HOPELESS = 0.005
"""Chance of being better than the recommended prompt below which a prompt is retired."""
DRAWS = 512
SHRINK = 2.0
"""Inputs' worth of the pool's mean in a prompt's measured signal."""


def pool_view(study: Study) -> Pool:
    """What proposers are shown."""
    state, tuning = study.state, study.spec.tuning
    assert tuning is not None
    live = state.live()
    if len(live) > 1:
        engine = study.engine
        (mean, sd), p_best = engine.utilities(), engine.p_best()
    else:
        mean, sd, p_best = np.zeros(len(state.items)), np.ones(len(state.items)), np.ones(len(state.items))
    votes = state.tally()
    live.sort(key=lambda row: -mean[row])
    makers = proposer_of(state)
    prompts = tuple(
        Candidate(
            row,
            state.items[row].text,
            float(mean[row]),
            float(sd[row]),
            float(p_best[row]),
            votes[row],
            dict(state.items[row].meta.get("slots", {})),
            makers.get(row, ""),
        )
        for row in live
    )
    examples = [input_ for input_ in state.inputs if not input_.held_out][:EXAMPLES]
    if tuning.optimises == "response":
        examples = [Input("input", {INPUT: tuning.input})]
    return Pool(tuning.task, prompts, losses(state), tuple(examples), tuning.rules)


def losses(state: State) -> tuple[Loss, ...]:
    """The newest votes that a prompt lost, with what was said of them."""
    lost_votes: list[Loss] = []
    for live in reversed(state.votes):
        vote = live.vote
        if vote.outcome.choice not in ("a", "b") or len(lost_votes) == LOSSES:
            continue
        row, better = (vote.b, vote.a) if vote.outcome.choice == "a" else (vote.a, vote.b)
        input_row = vote.inputs[0] if vote.inputs else None
        if input_row is None:
            context, response, preferred = state.items[row].context, state.items[row].text, state.items[better].text
        else:
            context = state.inputs[input_row].text
            response, preferred = (
                response_text(state.responses[row, input_row]),
                response_text(state.responses[better, input_row]),
            )
        reference = "" if input_row is None else state.inputs[input_row].reference
        remarks = (reference, vote.reasons, state.note_of(live))
        lost_votes.append(Loss(row, better, context, response, preferred, *remarks))
    return tuple(lost_votes)


def proposer_of(state: State) -> dict[int, str]:
    """Who made the prompt in each row that somebody proposed."""
    return {row: event.proposer for event in state.proposed for row in event.items}


def proposer_records(study: Study, names: Sequence[str]) -> dict[str, Record]:
    """What has become of each proposer's children, generation by generation; those that did not join have lost."""
    state = study.state
    engine = study.engine if len(state.items) > 1 and state.votes else None
    generations = max((event.generation for event in state.proposed), default=0)
    records = {}
    for name in names:
        chances: list[tuple[float, ...]] = [()] * generations
        cost = 0.0
        for event in state.proposed:
            if event.proposer == name and event.generation:
                lost = min(sum(event.dropped.values()), max(1, len(event.items)))  # an idea dropped is seldom paid for
                joined = [chance_to_beat(engine, row, min(event.items)) for row in event.items]
                chances[event.generation - 1] = (*joined, *[0.0] * lost)
                cost += event.cost
        records[name] = Record(tuple(chances), cost)
    return records


def chance_to_beat(engine: Engine | None, row: int, born: int) -> float:
    """The probability that a prompt is better than the best of those before row `born`; unknown is one in three."""
    if engine is None or born == 0:
        return 1 / 3
    with engine.limited_threads():
        older = int(engine.posterior.mean()[:born].argmax())
        mean, variance, _ = engine.posterior.difference(torch.tensor([[row, older]]))
    return float(torch.special.ndtr(mean / variance.sqrt().clamp_min(1e-9))[0])


def choose_promising(spec: Spec, state: State, proposals: Sequence[Proposal], k: int) -> list[Proposal]:
    """k of the proposals: each the best of all in a draw from what the votes lead to expect of them (Thompson)."""
    if len(proposals) <= k or not state.votes:
        return list(proposals[:k])
    items = [item_of(proposal, f"new {n}", "") for n, proposal in enumerate(proposals)]
    engine = engine_for(spec, state, items)
    engine.learn(engine_votes(state))
    rows = torch.arange(len(state.items), len(state.items) + len(items))
    with engine.limited_threads():
        draws = engine.posterior.sample(DRAWS, stream(spec.seed, "promising", state.seq), rows)
    order = dict.fromkeys(int(best) for best in draws.argmax(1))
    rest = (n for n in torch.sort(draws.mean(0), descending=True, stable=True).indices.tolist() if n not in order)
    chosen = [*order, *rest][:k]
    return [proposals[n] for n in sorted(chosen)]


def item_of(proposal: Proposal, name: str, context: str) -> Item:
    """A proposal as an item."""
    meta: dict[str, Any] = {"why": proposal.why} if proposal.why else {}
    if proposal.slots:
        meta["slots"] = proposal.slots
    if proposal.parents:
        meta["parents"] = list(proposal.parents)
    return Item(name, proposal.text, context=context, meta=meta)


def joining_events(
    state: State, events: Mapping[str, Proposed], proposals: Mapping[str, Sequence[Proposal]], context: str = ""
) -> list[Any]:
    """The events by which proposals join, numbered on from the prompts there are; context: of responses, the input."""
    bodies: list[Any] = []
    row = len(state.items)
    names = {item.id for item in state.items}
    number = row
    generation = 1 + max((event.generation for event in state.proposed), default=0)
    for name, proposed in events.items():
        items = []
        for proposal in proposals.get(name, ()):
            number += 1
            while f"p{number}" in names:
                number += 1
            items.append(item_of(proposal, f"p{number}", context))
        if items:
            bodies.append(ItemsAdded(tuple(items)))
        rows = tuple(range(row, row + len(items)))
        row += len(items)
        joined = {"items": rows, "generation": generation if proposed.generation else 0}
        bodies.append(msgspec.structs.replace(proposed, **joined))
    return bodies


def retirements(study: Study) -> list[Marked]:
    """The prompts to retire: those that are hopeless, then the least promising beyond the pool's size."""
    state, tuning = study.state, study.spec.tuning
    assert tuning is not None
    live = [row for row in range(len(state.items)) if not state.marks.get(row)]
    if len(live) < 4 or not state.votes:
        return []
    engine = study.engine
    best = engine.best()
    others = [row for row in live if row != best]
    with engine.limited_threads():
        mean, variance, _ = engine.posterior.difference(torch.tensor([[row, best] for row in others]))
    chance = torch.special.ndtr(mean / variance.sqrt().clamp_min(1e-9)).tolist()
    hopeless = [row for row, p in zip(others, chance, strict=True) if p < HOPELESS]
    hopeless = hopeless[: max(0, len(others) - 3)]
    marks = [Marked(tuple(hopeless), "retired", why=f"better than the best with less than {percent(HOPELESS, 1)}")]
    remaining = [(p, row) for row, p in zip(others, chance, strict=True) if row not in hopeless]
    pinned = sum(mark == "pinned" for mark in state.marks.values())
    crowd = len(remaining) + 1 + pinned - tuning.pool
    if crowd > 0:
        out = tuple(row for _, row in sorted(remaining)[:crowd])
        marks.append(Marked(out, "retired", why=f"the least promising of more than {tuning.pool}"))
    return [mark for mark in marks if mark.items]


Cells = dict[tuple[int, int], float]
"""A signal of the response of a prompt, by row, to an input, by row."""


def response_signals(state: State, signals: Mapping[str, Signal]) -> dict[str, Cells]:
    """The signals of all responses to inputs that are not held out."""
    cells_by_signal: dict[str, Cells] = {}
    for name, signal in signals.items():
        cells_by_signal[name] = {}
        for row, input_row in state.responses:
            value = None if state.inputs[input_row].held_out else signal_value(state, name, signal, row, input_row)
            if value is not None:
                cells_by_signal[name][row, input_row] = value
    return cells_by_signal


def measure_signals(signals: Mapping[str, Cells]) -> dict[str, dict[int, float]]:
    """Each prompt's signals over what it brought forth, each input's difficulty taken off, and drawn to the pool's mean
    as far as it was measured on few."""
    scores: dict[str, dict[int, float]] = {}
    for name, cells in signals.items():
        if not cells:
            continue
        overall = float(np.mean(list(cells.values())))
        by_input: dict[int, list[float]] = {}
        for (_, input_row), value in cells.items():
            by_input.setdefault(input_row, []).append(value)
        ease = {input_row: (sum(values) + overall) / (len(values) + 1) for input_row, values in by_input.items()}
        by_row: dict[int, list[float]] = {}
        for (row, input_row), value in cells.items():
            by_row.setdefault(row, []).append(value - ease[input_row])
        scores[name] = {row: round(overall + sum(off) / (len(off) + SHRINK), 6) for row, off in sorted(by_row.items())}
    return scores


def idle_proposers(state: State) -> str:
    """Why proposers brought nothing the last time, each with its cause; empty where all did."""
    last = max((event.generation for event in state.proposed), default=0)
    sentences = []
    for event in state.proposed if last else ():
        if event.generation == last and not event.items:
            dropped = "; ".join(f"{why} ({number} times)" for why, number in event.dropped.items())
            sentences.append(f"{event.proposer} made no prompt: {event.failure or dropped or 'it had no idea'}")
    return ". ".join(sentences)
