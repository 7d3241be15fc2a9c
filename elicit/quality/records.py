"""What annotators did, vote by vote."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elicit.types import BadInputError

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

A, TIE, B, BOTH_BAD, SKIP = -1, 0, 1, 2, 3
UNKNOWN = 9


@dataclass(frozen=True, eq=False)
class Records:
    """V votes in the order of time, each column (V,).

    who: number of the annotator. pair: number of the unordered pair, or of the case where the same items meet in
    several contexts. a, b: numbers of its items. said: -1 for a, 0 tie, 1 for b, 2 both bad, 3 skip. left: 1 where a
    stood left, -1 where b did. seconds: of active time, nan where it was not measured. length: characters there were
    to read, without texts that the annotator had read before where that is known. time: seconds since the epoch. gold:
    the known answer -1, 0 or 1; 9 where there is none. repeat: whether it is a hidden repeat of an earlier vote by the
    same annotator on the same pair. p_a: the model's probability that a is preferred, when it was asked; nan where
    there is none.

    Raises BadInputError.
    """

    who: Ints
    pair: Ints
    a: Ints
    b: Ints
    said: Ints
    left: Ints
    seconds: Floats
    length: Floats
    time: Floats
    gold: Ints
    repeat: NDArray[np.bool_]
    p_a: Floats

    def __post_init__(self) -> None:
        for field in fields(self):
            column = np.asarray(getattr(self, field.name))
            if column.shape != (len(self.who),):
                raise BadInputError(f"{field.name} has shape {column.shape}; give one entry for each of the votes")
        allowed: tuple[tuple[str, Any], ...] = (
            ("said", [A, TIE, B, BOTH_BAD, SKIP]),
            ("left", [-1, 1]),
            ("gold", [A, TIE, B, UNKNOWN]),
        )
        for name, codes in allowed:
            column = getattr(self, name)
            if (bad := ~np.isin(column, codes)).any():
                place = int(bad.argmax())
                raise BadInputError(f"{name}[{place}] is {column[place]}; give one of {', '.join(map(str, codes))}")
        for name in ("who", "pair", "a", "b"):
            if (getattr(self, name) < 0).any():
                raise BadInputError(f"{name} holds a number below 0; give numbers from 0 on")
        if (np.diff(self.time) < 0).any():
            raise BadInputError("time goes back between two votes; give the votes in the order of time")

    @cached_property
    def opinions(self) -> Ints:
        """Rows of the first vote of everybody on every pair, skips and hidden repeats left out, in order of time."""
        rows = np.flatnonzero((self.said != SKIP) & ~self.repeat)
        _, first = np.unique(self.who[rows] * (self.pair.max(initial=0) + 1) + self.pair[rows], return_index=True)
        return rows[np.sort(first)]

    @cached_property
    def answer(self) -> Ints:
        """(V,) a, tie or b; both bad says as much of the difference as a tie does."""
        return np.where(self.said == BOTH_BAD, TIE, self.said)

    @cached_property
    def screen(self) -> Ints:
        """(V,) what was pressed: -1 the left pane, 1 the right, else as in `said`."""
        return np.where(np.abs(self.said) == 1, self.said * self.left, self.said)
