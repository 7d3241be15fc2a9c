"""What only several annotators together can show: votes against the rest, second accounts, and pushed items.

None of it is proof, and none of it may fall on somebody for having a taste of their own. So each test is made valid
for a wider range of honest people than those who vote like everybody else, and says for which.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elicit.quality.agreement import meetings
from elicit.quality.findings import Finding
from elicit.quality.records import B, Floats, Ints, Records
from elicit.stats import binomial_at_least, coins_at_least, holm, jeffreys, poisson_binomial_at_least, sigmoid, spending

QUARANTINED = 0.0

SURELY = 1e-3
"""No vote and no agreement is taken for rarer than this, or for more certain."""

HISTORY = 3
"""Other decided votes on a pair that say what their majority is; with fewer, the model is asked."""
STEP = 0.02
"""The logarithm of a p-value is rounded to this, so that the law of their sum is exact on a grid."""
LOOKS, BLOCK = 5, 100
"""So often, at places drawn by lot, it is looked at the sum within so many votes."""

TOGETHER = 60.0
"""Seconds between two votes on one pair that are in lockstep."""
SHARED = 10
"""Pairs that two accounts must share before they are compared."""
KINDRED = 0.5
"""Two people of one mind may agree this much of the way from what is expected of two people to always."""

FAR = 0.5
"""An honest lover of an item lets it win this much of the way from the others' share of wins to all."""
SUSPECT = 0.01
PRIOR_VOTES = 2.0
"""What the others say of an item in general counts for so many of their votes on each of its pairs."""


def against(records: Records, names: Sequence[str], rng: np.random.Generator, alpha: float) -> list[Finding]:
    """The share of decided votes against the majority of the others; sequential, as public arenas test their users.

    Where N others voted on the pair and n of them alike, a vote of the lesser side has the p-value (1 + n) / (1 + N),
    and one of the greater side 1: valid if the vote could change places with any of theirs. After a few votes, drawn by
    lot, Fisher's sum of -log p so far is tested at a share of alpha (Chiang et al. 2024, Chatbot Arena, on anomalous
    users). Where others have hardly voted, the p-value is the probability that the model gave the vote.

    There the sum is held against chi-squared, which p-values as coarse as those of a few others hardly ever reach. Here
    it is held against its exact law for somebody who tosses a coin, and that lies above the law of whoever is with the
    majority of each pair at least half of the time, however many the others are: dissent is not fraud. Who truly sees
    most pairs the other way round is not told from a saboteur.

    The test begins anew every `BLOCK` votes, at a falling share of alpha, so as to see accounts that turn; and is
    corrected for the number of annotators (Holm 1979). Looking again as the others' votes come in is not corrected for.
    """
    rows = records.opinions
    rows = rows[records.answer[rows] != 0]
    said_b = records.answer[rows] == B
    count = _counts(records, rows)[records.pair[rows]]
    alike, others = count[np.arange(len(rows)), np.int64(said_b)] - 1, count.sum(1) - 1
    by_others, share = others >= HISTORY, alike / np.maximum(others, 1)
    share = np.where(by_others, share, np.where(said_b, 1 - records.p_a[rows], records.p_a[rows]))
    decisive = np.isfinite(share) & (share != 0.5)
    rows, share, by_others, alike, others = (x[decisive] for x in (rows, share, by_others, alike, others))
    lesser = share < 0.5
    p_value = np.where(by_others, (1 + np.minimum(alike, others - alike)) / (1 + others), np.minimum(share, 1 - share))
    surprise = np.maximum(1, np.rint(-np.log(np.maximum(p_value, SURELY)) / STEP)).astype(np.int64)
    looks = np.arange(LOOKS) * (BLOCK // LOOKS) + rng.integers(1, BLOCK // LOOKS + 1, LOOKS)
    tests = []
    for judge in np.unique(records.who[rows]):
        own = records.who[rows] == judge
        smallest, after = 1.0, 0
        for block, start in enumerate(range(0, int(own.sum()), BLOCK)):
            terms, against_it = surprise[own][start : start + BLOCK], lesser[own][start : start + BLOCK]
            for look in looks[looks <= len(terms)]:
                tail = coins_at_least(int(terms[:look][against_it[:look]].sum()), terms[:look])
                corrected = tail * LOOKS / spending(1.0, block + 1)
                if corrected < smallest:
                    smallest, after = corrected, start + int(look)
        tests.append((int(judge), lesser[own], smallest, after))
    out = []
    for (judge, hits, p, after), flag in zip(tests, holm([p for _, _, p, _ in tests], alpha), strict=True):
        why = f"{hits.sum()} of {len(hits)} decided votes are against the majority of the others or the model"
        why += f"; after {after} of them they were more than a coin's, with p = {p:.1g}" if flag else ""
        out.append(_finding(names[judge], "against", int(hits.sum()), len(hits), bool(flag), why))
    return out


def duplicates(records: Records, names: Sequence[str], alpha: float) -> list[Finding]:
    """The agreement with the account that is most alike, of each that shares `SHARED` pairs with another.

    How often two people would agree on a pair is what the others' votes on it tell, under a Dirichlet prior that gives
    the agreement and the shares of answers found in general, moved in logits by how much each of the two agrees with
    everybody else. People of one mind agree more than that, so it is raised half way to certainty (`KINDRED`); then the
    agreements are independent events, whose exact tail is taken. Half of alpha is spent on all pairs of accounts and
    half on those that vote in lockstep, which is settled by the times and not by the answers (independent filtering:
    Bourgon, Gentleman and Huber 2010); both by Holm (1979).

    The account that voted first is kept, the later ones are quarantined.
    """
    rows = records.opinions
    who, pair, answer = records.who[rows], records.pair[rows], records.answer[rows]
    first, second = meetings(who, pair)
    if not len(first):
        return []
    size = len(names)
    same = (answer[first] == answer[second]).astype(float)
    expected = _expected_agreement(pair, answer, first, second, same)
    two = who[first] * size + who[second]
    keys, group, shared = np.unique(two, return_inverse=True, return_counts=True)
    j, k = np.divmod(keys, size)
    agreed, usual = np.bincount(group, same), np.bincount(group, expected)
    lean = _leanings(j, k, (np.asarray(agreed, float), np.asarray(usual, float), np.asarray(shared, float)), size)
    logits = np.log(expected) - np.log1p(-expected) + lean[group]
    chance = np.clip(sigmoid(logits), SURELY, 1 - SURELY)
    chance += KINDRED * (1 - chance)
    kept = np.flatnonzero(shared >= SHARED)
    if not len(kept):
        return []
    lockstep = np.bincount(group, np.abs(np.diff(records.time[rows][np.stack([first, second])], axis=0)[0]) <= TOGETHER)
    together = (2 * lockstep >= shared)[kept]
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(shared)
    p = np.ones(len(kept))
    for n in np.flatnonzero(agreed[kept] > np.bincount(group, chance)[kept]):
        its = order[ends[kept[n]] - shared[kept[n]] : ends[kept[n]]]
        p[n] = poisson_binomial_at_least(int(agreed[kept[n]]), chance[its])
    flags = holm(p, alpha / 2)
    flags[together] |= holm(p[together], alpha / 2)
    start = np.full(size, np.inf)
    np.minimum.at(start, who, np.arange(len(who)))
    out = []
    for judge in np.unique(np.concatenate([j[kept], k[kept]])):
        at = np.flatnonzero((j[kept] == judge) | (k[kept] == judge))
        other = np.where(j[kept] == judge, k[kept], j[kept])[at]
        later = flags[at] & (start[judge] > start[other])
        pick = int(np.lexsort((-shared[kept[at]], -agreed[kept[at]] / shared[kept[at]], p[at], ~later))[0])
        n, account = kept[at[pick]], names[other[pick]]
        why = f"agrees with {account} on {agreed[n]:.0f} of {shared[n]} pairs, where {chance[group == n].sum():.0f}"
        why += " would be expected of two people of one mind"
        if flags[at[pick]]:
            why += ", in lockstep" if together[at[pick]] else ""
            why += f"; p = {p[at[pick]]:.1g}" + ("" if later[pick] else ": the later account is quarantined")
        out.append(_finding(names[judge], "duplicate", int(agreed[n]), int(shared[n]), bool(later[pick]), why))
    return out


def check_promotion(records: Records, names: Sequence[str], items: Sequence[str], alpha: float) -> list[Finding]:
    """The share of decided votes that go to the item which someone pushes most, flagged where several push one item.

    The p-value of an annotator and an item is the exact tail of its wins in their votes, if the item won each with a
    probability half way from the others' share to certainty (`FAR`): loving an item is no fraud. The others are those
    who do not push it themselves, by p-values of a first pass. One alone is never flagged: of the m smallest of the M
    p-values on an item it is asked how probable m so small ones are, and the smallest such probability, times the
    number of m's tried, is that of the item (Berk and Jones 1979); items are corrected for by Holm (1979).
    """
    rows = records.opinions
    rows = rows[records.answer[rows] != 0]
    for_b = records.answer[rows] == B
    pushes: dict[int, list[tuple[float, float, int, int, int]]] = {}
    by_item: dict[int, tuple[Ints, Floats]] = {}
    for item in np.unique(np.concatenate([records.a[rows], records.b[rows]])).tolist():
        on = (records.a[rows] == item) | (records.b[rows] == item)
        who, pair = records.who[rows][on], records.pair[rows][on]
        won = np.where(records.b[rows] == item, for_b, ~for_b)[on]
        judges, tails = _pushing(who, pair, won, np.zeros(0, np.int64))
        judges, tails = by_item[item] = _pushing(who, pair, won, judges[tails <= SUSPECT])
        for judge, tail in zip(judges.tolist(), tails.tolist(), strict=True):
            wins, votes = int(won[who == judge].sum()), int((who == judge).sum())
            pushes.setdefault(judge, []).append((tail, -wins / votes, -votes, wins, item))
    groups = [_cluster(judges, tails) for judges, tails in by_item.values()]
    pushed = holm([p for p, _ in groups], alpha)
    clusters = {item: group for item, (_, group), flag in zip(by_item, groups, pushed, strict=True) if flag}
    out = []
    for judge, own in sorted(pushes.items()):
        mine = [push for push in own if judge in clusters.get(push[-1], ())]
        tail, _, less, wins, item = min(mine or own)
        why = f"{wins} of {-less} decided votes on {items[item]} are for it"
        if mine:
            why += f", far more than the others give it, and {len(clusters[item]) - 1} other accounts do the same"
            why += f"; p = {tail:.1g}"
        out.append(_finding(names[judge], "coordinated", wins, -less, bool(mine), why))
    return out


def _pushing(who: Ints, pair: Ints, won: Ints, suspects: Ints) -> tuple[Ints, Floats]:
    """The annotators (J,) with votes on an item, and the p-value (J,) of its wins, by those who are no suspects."""
    judges = np.unique(who)
    pairs, place = np.unique(pair, return_inverse=True)
    honest = ~np.isin(who, suspects)
    tails = np.ones(len(judges))
    for n, judge in enumerate(judges):
        own, theirs = who == judge, honest & (who != judge)
        in_general = (won[theirs].sum() + 1) / (theirs.sum() + 2)
        wins = np.bincount(place[theirs], won[theirs], len(pairs))[place[own]]
        votes = np.bincount(place[theirs], minlength=len(pairs))[place[own]]
        share = (wins + PRIOR_VOTES * in_general) / (votes + PRIOR_VOTES)
        most = share + FAR * (1 - share)
        if won[own].sum() > most.sum():
            tails[n] = poisson_binomial_at_least(int(won[own].sum()), most)
    return judges, tails


def _cluster(judges: Ints, tails: Floats) -> tuple[float, Ints]:
    """How probable so many so small p-values are, and whose they are: two at least."""
    order = np.argsort(tails, kind="stable")
    best, size = 1.0, 0
    for m in range(2, int((tails <= SUSPECT).sum()) + 1):
        p = binomial_at_least(m, len(tails), float(tails[order[m - 1]])) * (len(tails) - 1)
        if p < best:
            best, size = p, m
    return best, judges[order[:size]]


def _expected_agreement(pair: Ints, answer: Ints, first: Ints, second: Ints, same: Floats) -> Floats:
    """(M,) the probability that two people agree on the pair where they met, by what the others said of it."""
    shares = np.array([(answer == kind).mean() for kind in (-1, 0, 1)])
    shares[[0, 2]] = shares[[0, 2]].mean()  # a and b are names
    chance, observed = float((shares**2).sum()), float(same.mean())
    # Two draws from Dirichlet shares of this concentration agree as often as two people do.
    strength = np.clip((1 - observed) / max(observed - chance, SURELY), SURELY, 1 / SURELY)
    count = np.zeros((int(pair.max()) + 1, 3))
    np.add.at(count, (pair, answer + 1), 1)
    mass = strength * shares + count[pair[first]] - np.eye(3)[answer[first] + 1] - np.eye(3)[answer[second] + 1]
    total = mass.sum(1)
    return np.asarray(np.clip((mass * (mass + 1)).sum(1) / (total * (total + 1)), SURELY, 1 - SURELY))


def _leanings(j: Ints, k: Ints, met: tuple[Floats, Floats, Floats], size: int) -> Floats:
    """(P,) by how many logits two accounts should agree more than people do, as each agrees with everybody else.

    met: how often two accounts agreed, by how much they should have, and on how many pairs.
    """
    sums = [np.bincount(j, x, size) + np.bincount(k, x, size) for x in met]
    lean = np.zeros(len(j))
    for account in (j, k):
        same, expected, votes = (total[account] - x for total, x in zip(sums, met, strict=True))
        # Two more votes of the expected kind: who has met nobody else leans nowhere.
        share = (expected + 1e-9) / (votes + 2e-9)
        observed = (same + 2 * share) / (votes + 2)
        lean += np.log(observed / (1 - observed)) - np.log(share / (1 - share))
    return lean


def _counts(records: Records, rows: Ints) -> Ints:
    """(K, 2) votes of these for a and for b on each pair."""
    count = np.zeros((int(records.pair.max(initial=-1)) + 1, 2), np.int64)
    np.add.at(count, (records.pair[rows], np.int64(records.answer[rows] == B)), 1)
    return count


def _finding(judge: str, check: str, hits: int, votes: int, flag: bool, why: str) -> Finding:
    return Finding(judge, check, hits / votes, *jeffreys(hits, votes), votes, flag, QUARANTINED if flag else 1.0, why)
