"""How each annotator votes: on golds, on hidden repeats, by side, by speed, in runs; and against or with the others.

A check gives every annotator it bears on a number with its 95 % interval, and flags by a rule that says what the
number would have to be by chance or among the others. What is flagged weighs less, or is quarantined at weight 0; no
vote is deleted, and everything follows from the records and the generator handed in, so it can be replayed.

Rules test all annotators together: with probability 99 % a rule flags nobody who keeps it (Holm 1979). Golds are the
exception: an honest person does far better than their rule asks, and there the whole interval has to lie below it.
Checks of several annotators together are in `elicit.quality.collusion`.
"""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Callable, Sequence

import numpy as np

from elicit.quality.collusion import against, check_promotion, duplicates
from elicit.quality.findings import Finding
from elicit.quality.records import BOTH_BAD, SKIP, TIE, UNKNOWN, Floats, Ints, Records
from elicit.safe_text import percent
from elicit.stats import binomial_at_least, holm, jeffreys, longest_run, run_at_least, run_lengths, two_sided
from elicit.types import BadInputError

FAMILY_WISE = 0.01
DOWN, OUT = 0.5, 0.0
"""Weights of what is flagged: counted half, and quarantined."""

GOLD = 0.7
"""Who gets fewer golds right has not read them: they are chosen to have no doubt."""

CHARACTERS = 100.0
"""Read in a second at the very most: 1,000 words a minute, six characters each with the space, and no one reads so
fast and still understands (Rayner, Schotter, Masson, Potter and Treiman 2016; most people read 175 to 300 words a
minute, Brysbaert 2019)."""
REACTION = 0.5
"""Seconds to see a screen and press one of a few keys, however little there is to read."""
FASTER = 0.25
"""Speeders are too fast this much of the way from the others' share of such votes to all votes."""

ALIKE = 0.5
"""Nobody honest gives one answer in more than this much of the way from the others' share of it to all votes."""
RARE = 0.01
"""Runs that would come up so rarely in all of an annotator's votes are straight-lining."""


def conduct(
    records: Records, names: Sequence[str], rng: np.random.Generator, items: Sequence[str] = ()
) -> tuple[Finding, ...]:
    """What the checks find of the annotators `names`, in their order, and of each in the order of the checks.

    names: by number. items: names of the items, for the sentences. rng: draws after which votes `against` looks, so
    that nobody can count on it; hand in the same stream and the findings are the same. A check that none of
    someone's votes bear on gives no finding of them. Raises BadInputError.
    """
    if len(names) <= (most := int(records.who.max(initial=-1))):
        raise BadInputError(f"there are {len(names)} names and an annotator with number {most}; give a name for each")
    if items and len(items) <= (most := int(max(records.a.max(initial=-1), records.b.max(initial=-1)))):
        raise BadInputError(f"there are {len(items)} items and one with number {most}; give a name for each or none")
    called = items or [f"item {i}" for i in range(int(max(records.a.max(initial=-1), records.b.max(initial=-1))) + 1)]
    checks: tuple[list[Finding], ...] = (
        check_golds(records, names),
        repeats(records, names),
        check_sides(records, names),
        check_speed(records, names),
        check_runs(records, names),
        against(records, names, rng, FAMILY_WISE),
        duplicates(records, names, FAMILY_WISE),
        check_promotion(records, names, called, FAMILY_WISE),
    )
    place = {name: number for number, name in enumerate(names)}
    return tuple(sorted((finding for check in checks for finding in check), key=lambda finding: place[finding.judge]))


def check_golds(records: Records, names: Sequence[str]) -> list[Finding]:
    """The share of golds answered right. Quarantined: who names the wrong side more often than the right one."""
    out = []
    rows = np.flatnonzero((records.gold != UNKNOWN) & (records.said != SKIP) & ~records.repeat)
    for judge, own in _by_judge(records, rows):
        right = records.answer[own] == records.gold[own]
        named = (records.answer[own] != TIE) & (records.gold[own] != TIE)
        low, high = jeffreys(int(right.sum()), len(own))
        wrong_way = bool(named.any()) and jeffreys(int(right[named].sum()), int(named.sum()))[1] < 0.5
        flag = wrong_way or high < GOLD
        why = f"{right.sum()} of {len(own)} gold answers right"
        if wrong_way:
            why += ", fewer than by chance where a side was named"
        elif flag:
            why += f"; the interval ends below {percent(GOLD)}"
        out.append(_finding(names[judge], "gold", right, flag, OUT if wrong_way else DOWN, why, (low, high)))
    return out


def repeats(records: Records, names: Sequence[str]) -> list[Finding]:
    """The share of hidden repeats, sides swapped, that name the side named before; ties set aside.

    Tested against the middle between a coin and what half of the others reach, for pairs may be so close that nobody
    repeats himself.
    """
    first = {(int(records.who[v]), int(records.pair[v])): int(v) for v in records.opinions}
    rows = np.flatnonzero(records.repeat & (np.abs(records.answer) == 1))
    before = np.array([first.get((int(records.who[v]), int(records.pair[v])), -1) for v in rows], np.int64)
    both_decided = (before >= 0) & (np.abs(records.answer[before]) == 1)
    rows, before = rows[both_decided], before[both_decided]
    same = np.zeros(len(records.who), bool)
    same[rows] = records.answer[rows] == records.answer[before]
    usual = _median_of_others(same, _by_judge(records, rows), 0.5)

    def measure(own: Ints) -> tuple[Floats, float, str]:
        bar = 0.5 + max(0.0, usual[int(records.who[own[0]])] - 0.5) / 2
        p = binomial_at_least(int((~same[own]).sum()), len(own), 1 - bar)
        return same[own], p, f"{same[own].sum()} of {len(own)} hidden repeats name the side named before"

    return _test_annotators("repeats", records, names, rows, measure)


def check_sides(records: Records, names: Sequence[str]) -> list[Finding]:
    """The share of decided votes for the left pane, which is half of them, as sides are drawn by lot."""

    def measure(own: Ints) -> tuple[Floats, float, str]:
        left = records.screen[own] == -1
        p = two_sided(int(left.sum()), len(own))
        return left, p, f"{left.sum()} of {len(own)} decided votes went to the left pane; by chance with p = {p:.1g}"

    rows = np.flatnonzero((np.abs(records.said) == 1) & ~records.repeat)
    return _test_annotators("side", records, names, rows, measure)


def check_speed(records: Records, names: Sequence[str]) -> list[Finding]:
    """The share of timed votes that were cast before the texts could be read.

    The others set what is usual, for where texts need not be read to the end all are fast.
    """
    rows = np.flatnonzero(np.isfinite(records.seconds) & (records.said != SKIP))
    fast = records.seconds < np.maximum(REACTION, np.nan_to_num(records.length) / CHARACTERS)
    usual = _median_of_others(fast, _by_judge(records, rows), 0.0)

    def measure(own: Ints) -> tuple[Floats, float, str]:
        median = usual[int(records.who[own[0]])]
        p = binomial_at_least(int(fast[own].sum()), len(own), median + FASTER * (1 - median))
        return fast[own], p, f"{fast[own].sum()} of {len(own)} votes came sooner than the texts can be read"

    return _test_annotators("speed", records, names, rows, measure)


def check_runs(records: Records, names: Sequence[str]) -> list[Finding]:
    """The share of votes inside runs of one answer on the screen, or of left and right in turn, too long for chance.

    Chance is independent answers with the annotator's own shares of decided votes, ties and both bad; but a decided
    vote goes to either side with probability 1/2, and a share may be no larger than `ALIKE` allows, or those who
    always answer the same would be excused by it. The longest run of both kinds is tested by its exact law, at half
    the level each.
    """
    kinds = (-1, 1, TIE, BOTH_BAD)
    rows = np.flatnonzero(records.said != SKIP)
    groups = _by_judge(records, rows)
    usual = {kind: _median_of_others(records.said == kind, groups, 0.0) for kind in kinds[2:]}

    def measure(own: Ints) -> tuple[Floats, float, str]:
        same = records.screen[own]
        turned = np.where(np.abs(same) == 1, same * (1 - 2 * (np.arange(len(own)) % 2)), same)
        most_of = [usual[kind][int(records.who[own[0]])] for kind in kinds[2:]]
        rest = [
            min((same == kind).mean(), other + ALIKE * (1 - other))
            for kind, other in zip(kinds[2:], most_of, strict=True)
        ]
        shares = np.array([(1 - sum(rest)) / 2, (1 - sum(rest)) / 2, *rest])
        longest, swinging = longest_run(same), longest_run(turned, kinds[:2])
        p_run = run_at_least(longest, len(own), shares)
        p_turn = run_at_least(swinging, len(own), shares, 2) if swinging else 1.0
        inside = np.zeros(len(own), bool)
        for lengths, most, counted in ((run_lengths(same), longest, 4), (run_lengths(turned, kinds[:2]), swinging, 2)):
            tail = functools.partial(run_at_least, trials=len(own), shares=shares, kinds=counted)
            inside |= lengths >= 2 + bisect_left(range(2, most + 1), True, key=lambda n: tail(n) < RARE)
        p = min(1.0, 2 * min(p_run, p_turn))
        why = f"the longest run of one answer is {longest} of {len(own)} votes, of left and right in turn {swinging}"
        return inside, p, f"{why}; by chance with p = {p:.1g}"

    return _test_annotators("straight", records, names, rows, measure)


def _test_annotators(
    check: str,
    records: Records,
    names: Sequence[str],
    rows: Ints,
    measure: Callable[[Ints], tuple[Floats, float, str]],
) -> list[Finding]:
    """Findings whose flags are tests; measure: of an annotator's rows, which count, the p-value, and the sentence."""
    groups = _by_judge(records, rows)
    measures = [measure(own) for _, own in groups]
    flags = holm([p for _, p, _ in measures], FAMILY_WISE)
    return [
        _finding(names[judge], check, hits, bool(flag), DOWN, why, jeffreys(int(hits.sum()), len(hits)))
        for (judge, _), (hits, _, why), flag in zip(groups, measures, flags, strict=True)
    ]


def _finding(
    judge: str, check: str, hits: Floats, flag: bool, weight: float, why: str, interval: tuple[float, float]
) -> Finding:
    return Finding(judge, check, float(hits.mean()), *interval, len(hits), flag, weight if flag else 1.0, why)


def _by_judge(records: Records, rows: Ints) -> list[tuple[int, Ints]]:
    """Each annotator among these votes, and their rows."""
    return [(int(judge), rows[records.who[rows] == judge]) for judge in np.unique(records.who[rows])]


def _median_of_others(hits: Floats, groups: list[tuple[int, Ints]], alone: float) -> dict[int, float]:
    """For each annotator the median of all others' shares of hits; `alone` where there is no other."""
    shares = np.array([hits[own].mean() for _, own in groups])
    others = [np.delete(shares, place) for place in range(len(shares))]
    return {
        judge: float(np.median(rest)) if len(rest) else alone for (judge, _), rest in zip(groups, others, strict=True)
    }
