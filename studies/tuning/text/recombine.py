"""Children of prompts by their parts alone, with no model that writes: sentences are dropped, moved and taken over.

Every function returns the child and what was done, in a sentence; two empty texts where it cannot be done.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from adapters import embedder
from elicit.tuning.protocol import PLACE
from studies.tuning.text.segments import instruction, instruction_rows, segments, without

_ALIKE = 0.45
"""Cosine from which two sentences are taken to do the same work in a prompt, so that one can stand for the other: in
the default embedder "Answer with one word." and "Answer in one full sentence." have .64, unrelated ones below .4."""
_ENOUGH = 2  # examples that show the task without a word about it
_BULLET = re.compile(r"\s*(?:[-*•]|\d+[.)])\s+")
_ROLE = re.compile(r"(?:You are|Act as|Imagine)\b")


class _Parts:
    """A prompt's parts; `rows` of those that say what to do, and `core`, the one that says the task, if any does."""

    def __init__(self, text: str, task: str) -> None:
        self.parts, self.rows = segments(text), instruction_rows(text)
        self.n_examples = sum(not PLACE.search(part) for row, part in enumerate(self.parts) if row not in self.rows)
        own = [row for row in self.rows if not _ROLE.match(self.body(row))]
        vectors = embedder.embed([task, *(self.parts[row] for row in own)])
        likeness = vectors[1:] @ vectors[0]
        best = int(likeness.argmax()) if own else -1
        says = bool(own) and (likeness[best] >= _ALIKE or self.n_examples < _ENOUGH)
        self.core = own[best] if says else None

    def body(self, row: int) -> str:
        return _body(self.parts[row])

    def likeness(self, other: _Parts) -> NDArray[np.float32]:
        """How alike the sentences of two prompts are, (len(rows), len(other.rows)): cosines, but a role is like a role
        and the task like the task, whatever their words."""
        mine = embedder.embed([self.parts[row] for row in self.rows])
        theirs = embedder.embed([other.parts[row] for row in other.rows])
        cosines: NDArray[np.float32] = mine @ theirs.T
        for i, row in enumerate(self.rows):
            for j, theirs_row in enumerate(other.rows):
                if self._kind(row) or other._kind(theirs_row):
                    cosines[i, j] = float(self._kind(row) == other._kind(theirs_row))
        return cosines

    def _kind(self, row: int) -> str:
        return "core" if row == self.core else "role" if _ROLE.match(self.body(row)) else ""


def exchange(a: str, b: str, task: str, rng: np.random.Generator) -> tuple[str, str]:
    """Prompt a with some of its sentences in the words of prompt b, each in the place of the one most like it."""
    mine, theirs = _Parts(a, task), _Parts(b, task)
    alike = mine.likeness(theirs)
    there = {mine.body(row) for row in mine.rows}
    pairs = [
        (row, theirs.rows[j])
        for i, row in enumerate(mine.rows)
        if theirs.rows
        for j in [int(alike[i].argmax())]
        if alike[i, j] >= _ALIKE and int(alike[:, j].argmax()) == i and theirs.body(theirs.rows[j]) not in there
    ]
    if not pairs:
        return "", ""
    chosen = [pair for pair in pairs if rng.random() < 0.5] or [pairs[int(rng.integers(len(pairs)))]]
    for row, other in chosen:
        mine.parts[row] = _in_place_of(mine.parts[row], theirs.body(other))
    return "".join(mine.parts), f"Says it as another prompt does: {theirs.body(chosen[0][1])}"


def adopt(a: str, b: str, task: str, rng: np.random.Generator) -> tuple[str, str]:
    """Prompt a with one more sentence, of prompt b, that does what none of its own does."""
    mine, theirs = _Parts(a, task), _Parts(b, task)
    rows = [row for row in mine.rows if mine.core is None or row >= mine.core]
    alike = theirs.likeness(mine)
    new = [
        row
        for i, row in enumerate(theirs.rows)
        if row != theirs.core and not (len(alike[i]) and alike[i].max() >= _ALIKE)
    ]
    if not rows or not new:
        return "", ""
    added = theirs.body(new[int(rng.integers(len(new)))])
    # A role opens the prompt.
    row = mine.rows[0] if _ROLE.match(added) else rows[int(rng.integers(len(rows)))]
    mark = _BULLET.match(mine.parts[row])
    both = (added, mine.body(row)) if _ROLE.match(added) else (mine.body(row), added)
    mine.parts[row] = _in_place_of(mine.parts[row], (f"\n{mark[0].lstrip()}" if mark else " ").join(both))
    return "".join(mine.parts), f"Takes over: {added}"


def reframe(a: str, b: str, task: str) -> tuple[str, str]:
    """What prompt a says to do, with the examples and the frame of prompt b."""
    mine, theirs = _Parts(a, task), _Parts(b, task)
    head = instruction(a)
    if not head or len(theirs.rows) == len(theirs.parts) or (mine.core is None and theirs.n_examples < _ENOUGH):
        return "", ""
    done = "Stands in another prompt's frame."
    if not theirs.rows:
        return f"{head}\n\n{b}", done
    first, last = theirs.parts[theirs.rows[0]], theirs.parts[theirs.rows[-1]]
    theirs.parts[theirs.rows[0]] = first[: len(first) - len(first.lstrip())] + head + last[len(last.rstrip()) :]
    return "".join(part for row, part in enumerate(theirs.parts) if row not in theirs.rows[1:]), done


def drop(a: str, task: str, rng: np.random.Generator) -> tuple[str, str]:
    """The prompt without one of its sentences, other than the one that says the task."""
    mine = _Parts(a, task)
    rows = [row for row in mine.rows if row != mine.core]
    if len(mine.rows) < 2:
        return "", ""
    row = rows[int(rng.integers(len(rows)))]
    return without(mine.parts, row), f"Leaves out: {mine.body(row)}"


def move(a: str, task: str, rng: np.random.Generator) -> tuple[str, str]:
    """The prompt with two of its sentences in each other's place, both points of a list or neither."""
    mine = _Parts(a, task)
    points = [row for row in mine.rows if _BULLET.match(mine.parts[row])]
    others = [row for row in mine.rows if row not in points and not _ROLE.match(mine.body(row))]
    able = [rows for rows in (points, others) if len(rows) > 1]
    if not able:
        return "", ""
    rows = able[int(rng.integers(len(able)))]
    first, second = (rows[int(i)] for i in sorted(rng.permutation(len(rows))[:2]))
    parts, earlier = mine.parts, mine.body(second)
    parts[first], parts[second] = _in_place_of(parts[first], earlier), _in_place_of(parts[second], mine.body(first))
    return "".join(parts), f"Says earlier: {earlier}"


def _in_place_of(old: str, new: str) -> str:
    """A sentence with the list mark and the white space of the one it stands for."""
    mark = _BULLET.match(old)
    return (mark[0] if mark else old[: len(old) - len(old.lstrip())]) + new + old[len(old.rstrip()) :]


def _body(part: str) -> str:
    mark = _BULLET.match(part)
    return part[mark.end() if mark else 0 :].strip()
