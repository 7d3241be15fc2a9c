"""Which queries an annotator is lent, as a function of the log: the stock in an order of their own, and checks by lot.

A check is a pair whose answer is known (gold), or one that the annotator has answered, with its sides swapped
(repeat). Neither looks different from any other query, and neither teaches the engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from zlib import crc32

from elicit.log.events import GOLD, REPEAT
from elicit.log.state import State
from elicit.randomness import stream
from elicit.types import Query, ShownOrder

APART = 5
"""Votes between one and its repeat, at least."""


def assign(
    state: State, judge: str, n: int, seed: int, busy: Mapping[int, int] | None = None, machine: bool = False
) -> list[int]:
    """Up to n queries for a judge: what the router gave to people first, then what others have begun, then the rest of
    the stock, each of these in an order of the judge's own; none on a pair it was lent before while there are others.

    busy: queries being lent this moment, with how often. machine: a script, to which what waits for people is not lent.
    """
    busy = busy or {}
    mine = state.enrolled.get(judge)
    pools = set(mine.pools) if mine else set()
    leased_pairs = state.had.get(judge, set())
    holds = {state.asked[state.leases[lease].query].query.pair for lease in state.held.get(judge, ())}
    waiting = [] if machine else [query for query in state.waiting if state.missing_judges(query) > busy.get(query, 0)]
    open_ = [query for query in state.stock if state.free_places(query) > busy.get(query, 0)]
    candidates = []
    for query in [*waiting, *open_]:
        question = state.asked[query]
        allowed = not pools or state.pool_of(question.query.a) in pools
        if allowed and judge not in state.taken.get(query, ()) and question.query.pair not in holds:
            first = query in state.waiting
            luck = crc32(f"{seed} {judge} {query}".encode())  # a stream for each of hundreds takes its time
            candidates.append((question.query.pair in leased_pairs, not first, not state.taken.get(query), luck, query))
    chosen: list[int] = []
    pairs = set()
    for *_, query in sorted(candidates):
        pair = state.asked[query].query.pair
        if len(chosen) < n and pair not in pairs:
            chosen.append(query)
            pairs.add(pair)
    return chosen


def shown_to(state: State, judge: str, query: int, seed: int) -> ShownOrder:
    """Which of the two stands on the left for this judge: by lot; in a repeat, the other one than before."""
    asked_query = state.asked[query].query
    if asked_query.selector == REPEAT:
        return asked_query.shown
    return "ab" if stream(seed, f"side {judge}", query).random() < 0.5 else "ba"


def check_for(
    state: State,
    judge: str,
    turn: int,
    shares: tuple[float, float],
    golds: Sequence[tuple[int, int, float]],
    seed: int,
) -> Query | None:
    """The check that falls to a judge's lease number `turn`, or None.

    shares: the probabilities of a gold and of a repeat. golds: rows a and b, and the answer: 1 for a, -1 for b, 0 for
    a tie.
    """
    rng = stream(seed, f"check {judge}", turn)
    luck = rng.random()
    checks = [state.asked[query].query for query in state.checks.get(judge, ())]
    if luck < shares[0]:
        past_golds = Counter(query.pair for query in checks if query.selector == GOLD)
        unused_golds = [gold for gold in golds if (min(gold[:2]), max(gold[:2])) not in past_golds]
        if unused_golds:
            a, b, answer = unused_golds[int(rng.integers(len(unused_golds)))]
            return Query(a, b, turn, 0.0, shares[0] / len(unused_golds), "ab", GOLD, {"answer": answer})
    elif luck < sum(shares):
        repeated = {query.pair for query in checks if query.selector == REPEAT}
        mine = [live for live in state.votes if live.vote.judge == judge and not live.check]
        fit = [v for v in mine[:-APART] if v.vote.outcome.choice in ("a", "b", "tie") and v.vote.pair not in repeated]
        if fit:
            first = fit[int(rng.integers(len(fit)))]
            other: ShownOrder = "ba" if first.shown == "ab" else "ab"
            return Query(first.vote.a, first.vote.b, turn, 0.0, shares[1] / len(fit), other, REPEAT)
    return None
