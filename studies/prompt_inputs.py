"""On which inputs two prompts are compared, and what is known of prompts and inputs; functions of the log alone."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence, Set
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from adapters.llm.target import function_at
from elicit.log.state import State
from elicit.plugins.user_files import guard
from elicit.tuning.protocol import quotes
from elicit.tuning.signals import SIGNALS, UNDIRECTED, UNREFERENCED, Signal
from elicit.types import Item, Query, UnknownNameError
from studies.tuning_spec import TuningSpec

if TYPE_CHECKING:
    from elicit.engine import Engine

LOOK = 3
"""Inputs, those that would teach most, on which both responses are wanted before one of them is chosen."""
ALIKE = 12
"""Inputs after which two prompts whose responses are the same on all of them are taken for one."""
JUDGE = "judge:"
"""How the names of signals begin that a configured judge gives."""
SIGNAL = "signal "
"""How the features begin that hold automatic signals."""


class MissingError(Exception):
    """A query cannot be put before there are responses: rows of prompts and inputs."""

    def __init__(self, wanted: Sequence[tuple[int, int]]) -> None:
        super().__init__(f"{len(wanted)} responses are missing")
        self.wanted = tuple(wanted)


class AlikeError(Exception):
    """Two prompts brought forth the same on all of these inputs: no vote can tell them apart."""

    def __init__(self, pair: tuple[int, int], inputs: Sequence[int]) -> None:
        super().__init__(f"rows {pair[0]} and {pair[1]} respond alike on {len(inputs)} inputs")
        self.pair, self.inputs = pair, tuple(inputs)


def choose_inputs_for(engine: Engine, state: State, query: Query, tuning: TuningSpec) -> Query:
    """The query with up to `tuning.batch` inputs to compare the two prompts on: those on which an answer teaches most,
    of those where the responses differ, and where there are automatic signals, of those where one of these differs, for
    else a tie is likely.

    Raises MissingError where responses have to be made first, AlikeError where none of them differ.
    """
    batch = tuning.batch
    a, b = query.pair
    fresh = sorted(set(usable_inputs(state, a, b)) - used_inputs(state).get((a, b), set()))
    both = [i for i in fresh if (a, i) in state.responses and (b, i) in state.responses]
    differ = [i for i in both if response_key(state, a, i) != response_key(state, b, i)]
    signals = directed_signals(tuning.signals)
    telling = [
        i
        for i in differ
        if any(signal_value(state, *s, a, i) != signal_value(state, *s, b, i) for s in signals.items())
    ]
    wanted = max(LOOK, batch)
    first = engine.choose_inputs(a, b, min(wanted, len(fresh)), among=fresh)
    missing = [i for i in first if i not in both]
    if not missing and len(telling if signals else differ) < batch and len(both) < min(ALIKE, len(fresh)):
        rest = [i for i in fresh if i not in both]
        missing = engine.choose_inputs(a, b, min(wanted, len(rest)), among=rest)
    if missing:
        raise MissingError([(row, i) for i in missing for row in (a, b) if (row, i) not in state.responses])
    if not differ:
        raise AlikeError((a, b), both)
    among = telling if len(telling) >= batch else differ
    chosen = engine.choose_inputs(a, b, min(batch, len(among)), among=among)
    return msgspec.structs.replace(query, inputs=tuple(sorted(chosen)))


@cache
def signals_of(names: tuple[str, ...]) -> dict[str, Signal]:
    """The signals of those names that are functions, built-in or a person's own,
    `path/to/file.py:function(response, reference)`; what a judge says of a response is none.

    Raises BadInputError where there is none of a name.
    """
    signals: dict[str, Signal] = {}
    for name in names:
        if name.startswith(JUDGE):
            continue
        if ":" in name:
            signals[name] = _load_signal(name)
        elif name in SIGNALS:
            signals[name] = SIGNALS[name]
        else:
            raise UnknownNameError("signal", name, [*SIGNALS, f"{JUDGE}NAME", "path/to/file.py:function"])
    return signals


def directed_signals(names: tuple[str, ...]) -> dict[str, Signal]:
    """Those of `signals_of` of which more is better."""
    return {name: signal for name, signal in signals_of(names).items() if name not in UNDIRECTED}


def _load_signal(name: str) -> Signal:
    function = function_at(name)

    def call(response: str, reference: str) -> Any:  # for what can be called and is no function
        return function(response, reference)

    own = guard(function if inspect.isfunction(function) else call, "signal", name, _check_number)

    def signal(response: str, reference: str, kinds: Set[str]) -> float:
        return float(own(response, reference))

    return signal


def _check_number(_: tuple[Any, ...], value: Any) -> str:
    return "" if math.isfinite(float(value)) else f"returned {value}, which is no finite number"


def signal_value(state: State, name: str, signal: Signal, row: int, input_row: int) -> float | None:
    """A signal of the response of a prompt to an input, 0 where it failed; None where the input has no reference and
    the signal needs one."""
    entry, response = state.inputs[input_row], state.responses[row, input_row]
    if not entry.reference and name in SIGNALS and name not in UNREFERENCED:
        return None
    return 0.0 if response.failure else signal(response.text, entry.reference, state.kinds)


def response_key(state: State, row: int, input_row: int) -> tuple[str, ...]:
    """What tells responses apart: their words, spaces aside, or that there is none, for whatever reason."""
    response = state.responses[row, input_row]
    return ("",) if response.failure else tuple(response.text.split())


def usable_inputs(state: State, a: int, b: int) -> list[int]:
    """The inputs that two prompts may be compared on: not those held out, nor what one of them quotes."""
    texts = state.items[a].text, state.items[b].text
    return [i for i, entry in enumerate(state.inputs) if not (entry.held_out or any(quotes(t, entry) for t in texts))]


def used_inputs(state: State) -> dict[tuple[int, int], set[int]]:
    """The inputs that each pair was asked on."""
    used: dict[tuple[int, int], set[int]] = {}
    for question in state.asked.values():
        used.setdefault(question.query.pair, set()).update(question.query.inputs)
    return used


def describe_items(
    items: Sequence[Item], signals: Mapping[str, Mapping[int, float]]
) -> tuple[Sequence[Item], tuple[str, ...]]:
    """The items with what tuning knows of them as named features: the option chosen at each slot, and the automatic
    signals, whose names are returned; one that was not measured of an item is at the mean of the others."""
    slots = [dict(item.meta.get("slots", {})) for item in items]
    options = sorted({f"{slot}={option}" for options_by_slot in slots for slot, option in options_by_slot.items()})
    means = {
        f"{SIGNAL}{name}": (values, float(np.mean(list(values.values())))) for name, values in signals.items() if values
    }
    if not options and not means:
        return items, ()
    described = []
    for row, (item, options_by_slot) in enumerate(zip(items, slots, strict=True)):
        chosen = {f"{slot}={option}" for slot, option in options_by_slot.items()}
        features = {option: float(option in chosen) for option in options}
        features |= {name: values.get(row, mean) for name, (values, mean) in means.items()}
        described.append(msgspec.structs.replace(item, features={**item.features, **features}))
    return described, tuple(name for name in means if name.removeprefix(SIGNAL) not in UNDIRECTED)
