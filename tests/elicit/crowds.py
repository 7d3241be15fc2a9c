"""Annotators for tests: honest ones of all sorts, and frauds planted among them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elicit.quality.records import Records

ITEMS = 8
DAY = 86_400.0


def crowd(
    rng: np.random.Generator,
    people: int = 16,
    votes: int = 60,
    pairs: int = 120,
    minority: float = 0.25,
    golds: float = 0.1,
    repeats: float = 0.1,
    loved: float = 0.0,
) -> Records:
    """Honest people of varied care. A minority holds the opposite opinion on half of the pairs, and loves item 0."""
    a = rng.integers(0, ITEMS, pairs)
    b = (a + rng.integers(1, ITEMS, pairs)) % ITEMS
    difference, contested = rng.normal(0, 2, pairs), rng.random(pairs) < 0.5
    length = rng.lognormal(7, 0.5, pairs)
    is_gold = rng.random(pairs) < golds
    difference[is_gold], contested[is_gold] = rng.choice([-5.0, 5.0], int(is_gold.sum())), False
    parts = []
    for person in range(people):
        other = person < minority * people
        pair = rng.permutation(pairs)[: min(votes, pairs)]
        again = rng.permutation(pair)[: int(repeats * votes)]
        repeat = np.repeat([False, True], [len(pair), len(again)])
        pair = np.concatenate([pair, again])
        wanted = np.where(other & contested[pair], -1, 1) * difference[pair] * rng.uniform(0.5, 1.5)
        wanted += other * loved * (1 * (b[pair] == 0) - (a[pair] == 0))
        felt = wanted + rng.logistic(size=len(pair))
        said = np.where(np.abs(felt) < rng.uniform(0, 0.8), 0, np.sign(felt)).astype(np.int64)
        side = rng.choice([-1, 1], pairs)
        left = np.where(repeat, -side[pair], side[pair])
        seconds = length[pair] / 25 * rng.lognormal(0, 0.3) * rng.lognormal(0, 0.5, len(pair))
        parts.append(
            Records(
                who=np.full(len(pair), person),
                pair=pair,
                a=a[pair],
                b=b[pair],
                said=said,
                left=left,
                seconds=seconds,
                length=length[pair],
                time=rng.uniform(0, DAY) + np.cumsum(seconds + 2),
                gold=np.where(is_gold[pair], np.sign(difference[pair]), 9).astype(np.int64),
                repeat=repeat,
                p_a=np.full(len(pair), np.nan),
            )
        )
    return together(*parts)


def together(*parts: Records) -> Records:
    """All of these records in the order of time."""
    columns = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Records)}
    order = np.argsort(columns["time"], kind="stable")
    return Records(**{name: column[order] for name, column in columns.items()})


def taken(records: Records, rows: NDArray[Any]) -> Records:
    return Records(**{f.name: getattr(records, f.name)[rows] for f in fields(Records)})


def voting(records: Records, person: int, **columns: NDArray[Any]) -> Records:
    """The same but for what this person did."""
    own = records.who == person
    changed: dict[str, Any] = {}
    for name, values in columns.items():
        column = np.array(getattr(records, name))
        column[own] = values
        changed[name] = column
    return replace(records, **changed)


def second_account(records: Records, person: int, slips: float, later: float, rng: np.random.Generator) -> Records:
    """The same with this person's votes cast again under a new number, some of them otherwise, some time later."""
    copy = taken(records, np.flatnonzero(records.who == person))
    said = np.where(rng.random(len(copy.said)) < slips, rng.integers(-1, 2, len(copy.said)), copy.said)
    number = np.full(len(said), int(records.who.max()) + 1)
    return together(records, replace(copy, who=number, said=said, time=copy.time + later))
