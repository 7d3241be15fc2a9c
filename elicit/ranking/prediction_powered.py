"""Win rates and leaderboards from routed labels: each case has a machine's label or none, and a few have a person's.

Whoever routes sends the doubtful cases to people, so a plain average of the labels that came back is an average of
the wrong cases by the wrong judges; it is never returned. People's labels are weighed by one over the probability
that they would be asked (Hajek 1971: weights that sum to one vary less than those of Horvitz and Thompson). Machine
labels, of all cases, take away the part of the noise that they explain, and no more: the difference between person
and machine is measured on the cases that both labelled, and added (Angelopoulos, Bates, Fannjiang, Jordan and Zrnic
2023; with a tuned share, Angelopoulos, Duchi and Zrnic 2023; with unequal propensities, Zrnic and Candes 2024).

A few dozen labels hardly show how often the machine is wrong where it is seldom wrong, and the plain interval is then
far too short. So two cases are added that the machine got wrong, one each way, as Agresti and Coull (1998) add to a
proportion, and quantiles are Student's with the degrees of freedom of Kish's effective number of labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elicit.ranking import davidson
from elicit.ranking.davidson import Floats, Ints
from elicit.ranking.leaderboard import PRIOR_SD, Leaderboard, relative_to, strong_components
from elicit.stats import checked_level, student_quantile
from elicit.types import BadInputError

PASSES = 3
"""Fits of a leaderboard: the share of the machine is tuned at the utilities of the fit before."""


@dataclass(frozen=True)
class RateEstimate:
    """The mean label a person would give, over all cases, and what it rests on.

    The two added cases draw it towards one half, by less than its standard error.

    share: how much of the machine's label was used, from 0 to 1. freedom: degrees of freedom.
    """

    value: float
    standard_error: float
    freedom: float
    share: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Low and high end, true with probability `level`, within 0 and 1. Raises BadInputError."""
        half = student_quantile(0.5 + checked_level(level) / 2, self.freedom) * self.standard_error
        return max(0.0, self.value - half), min(1.0, self.value + half)


def win_rate(human: ArrayLike, propensity: ArrayLike, machine: ArrayLike | None = None) -> RateEstimate:
    """How often a would win over all T cases, had a person labelled each.

    human (T,): 1 where the person preferred a, 0 where b, 0.5 for a tie, NaN where nobody was asked. propensity (T,):
    the probability with which a person was asked, known before asking, above 0 for every case. machine (T,): the
    machine's label or its probability of a, for every case. Raises BadInputError.
    """
    y, p, f = _cases(human, propensity, machine)
    has_label = ~np.isnan(y)
    weight = 1 / p[has_label]
    extra = _typical_weight(weight)
    weight = np.append(weight, [extra, extra])
    label, guess = np.append(y[has_label], [0.0, 1.0]), np.append(f[has_label], [1.0, 0.0])
    g = weight / weight.sum()
    value, guessed, mean = float(g @ label), float(g @ guess), float(f.mean())
    # What each asked case adds to the error: through its label; through its guess, both as asked and as one of all.
    of_label, of_guess = g * (label - value), -g * (guess - guessed)
    of_guess[:-2] += (f[has_label] - mean) / len(f)
    rest = float(((f[~has_label] - mean) ** 2).sum()) / len(f) ** 2
    share = _share(-float(of_label @ of_guess), float(of_guess @ of_guess) + rest) if machine is not None else 0.0
    variance = float(((of_label + share * of_guess) ** 2).sum()) + share**2 * rest
    freedom = max(1.0, float(1 / (g @ g)) - (1 if machine is None else 2))
    return RateEstimate(
        value=value + share * (mean - guessed),
        standard_error=math.sqrt(variance * (freedom + 1) / freedom),
        freedom=freedom,
        share=share,
    )


def routed_leaderboard(
    a: ArrayLike,
    b: ArrayLike,
    human: ArrayLike,
    propensity: ArrayLike,
    n_items: int,
    machine: ArrayLike | None = None,
    *,
    prior_sd: float = PRIOR_SD,
) -> Leaderboard:
    """The Bradley-Terry utilities that people's votes on all T cases would give, with sandwich intervals.

    a, b (T,): rows of the two items; the rest as for `win_rate`, and a tie counts as half a win. With w = 1 /
    propensity where a person was asked, else 0, case t enters the likelihood as share f + w (y - share f) wins of a in
    share + w (1 - share) votes, whose mean is that of a person's vote whatever the machine says. All are scaled so
    that the scores vary as votes' would, which makes the prior and the floor of the sandwich bear on as many votes as
    were learnt from. `votes` of the result counts these; `clusters` is the effective number of people's labels. Raises
    BadInputError.
    """
    y, p, f = _cases(human, propensity, machine)
    rows_a, rows_b = (_items(name, rows, len(y), n_items) for name, rows in (("a", a), ("b", b)))
    if (same := rows_a == rows_b).any():
        raise BadInputError(f"case {int(same.argmax())} is on an item and itself; leave it out")
    has_label = ~np.isnan(y)
    w = np.where(has_label, 1 / p, 0.0)
    y = np.where(has_label, y, 0.0)
    extra, scale, share = _typical_weight(w[has_label]), w.sum() / has_label.sum(), 0.0
    for step in range(PASSES + 1):
        size = share + w * (1 - share)
        won = share * f + w * (y - share * f)
        counts = _counts(n_items, rows_a, rows_b, size / scale, won / scale)
        fitted = davidson.fit(counts, prior_sd)
        expected = davidson.probabilities(fitted.utilities[rows_a] - fitted.utilities[rows_b], 0.0)[:, 0]
        if step == PASSES:
            break
        of_label, of_guess = w * (y - expected), (1 - w) * (f - expected)
        if machine is not None:
            inverse = np.linalg.inv(fitted.precision)
            reach = ((inverse[rows_a] - inverse[rows_b]) ** 2).sum(1)
            added = float(reach.mean()) * extra**2 / 2
            share = _share(-float(reach @ (of_label * of_guess)) - added, float(reach @ of_guess**2) + added)
        unexplained = float(((of_label + share * of_guess) ** 2).sum()) + (extra * (1 + share)) ** 2 / 2
        scale = unexplained / float((share + w * (1 - share)) @ (expected * (1 - expected)))
    labels = float(w.sum() ** 2 / (w @ w))
    noise = ((won - size * expected) / scale) ** 2 + (extra * (1 + share) / scale) ** 2 / (2 * len(y))
    covariance = davidson.sandwich(fitted, _laplacian(n_items, rows_a, rows_b, noise))
    met = np.zeros((n_items, n_items), dtype=bool)
    met[counts.first, counts.second] = counts.ended[:, 0] > 0
    met[counts.second, counts.first] = counts.ended[:, 1] > 0
    groups = strong_components(met)
    reference = (groups == 0) | (2 * (groups == 0).sum() <= n_items)
    total = counts.ended.sum(1)
    return Leaderboard(
        utilities=fitted.utilities - fitted.utilities[reference].mean(),
        covariance=relative_to(covariance, reference),
        model_covariance=relative_to(davidson.model_covariance(fitted), reference),
        nu=0.0,
        votes=(np.bincount(counts.first, total, n_items) + np.bincount(counts.second, total, n_items)).astype(float),
        components=strong_components(met | met.T),
        groups=groups,
        reference=reference,
        clusters=max(2, round(labels)),
    )


def _share(gain: float, cost: float) -> float:
    """The share of the machine with the least variance, within 0 and 1 so that the likelihood stays concave."""
    return min(1.0, max(0.0, gain / cost)) if cost > 0 else 0.0


def _typical_weight(weight: Floats) -> float:
    """The weight of the label behind a typical unit of weight: what an unseen error would bring."""
    return float(weight @ weight / weight.sum())


def _counts(n: int, a: Ints, b: Ints, size: Floats, won: Floats) -> davidson.Counts:
    """Per pair, how many votes and how many for the first, of T cases with `won` (T,) of `size` (T,) votes for a."""
    turned = a > b
    pair = np.where(turned, b * n + a, a * n + b)
    pairs, place = np.unique(pair[size > 0], return_inverse=True)
    first = np.bincount(place, np.where(turned, size - won, won)[size > 0], len(pairs))
    total = np.bincount(place, size[size > 0], len(pairs))
    return davidson.Counts(n, pairs // n, pairs % n, np.stack([first, total - first, np.zeros(len(pairs))], 1))


def _laplacian(n: int, a: Ints, b: Ints, weight: Floats) -> Floats:
    """(n, n) sum over cases of weight (T,) times (e_a - e_b) (e_a - e_b)'."""
    off = np.bincount(a * n + b, weight, n * n).reshape(n, n)
    off = off + off.T
    return np.asarray(np.diag(off.sum(1)) - off)


def _cases(human: ArrayLike, propensity: ArrayLike, machine: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    y, p = np.asarray(human, float), np.asarray(propensity, float)
    f = np.full(y.shape, 0.5) if machine is None else np.asarray(machine, float)
    for name, column in (("propensity", p), ("machine", f)):
        if y.ndim != 1 or column.shape != y.shape:
            raise BadInputError(f"{name} has shape {column.shape} and human {y.shape}; give one entry for each case")
    for name, bad, want in (
        ("human", ~(np.isnan(y) | ((y >= 0) & (y <= 1))), "a label from 0 to 1, or NaN where nobody was asked"),
        ("propensity", ~((p > 0) & (p <= 1)), "a probability above 0: a kind of case no person sees cannot be judged"),
        ("machine", ~((f >= 0) & (f <= 1)), "a label or a probability from 0 to 1"),
    ):
        if bad.any():
            place = int(bad.argmax())
            value = {"human": y, "propensity": p, "machine": f}[name][place]
            raise BadInputError(f"{name}[{place}] is {value}; give {want}")
    if (~np.isnan(y)).sum() < 2:
        raise BadInputError("fewer than two cases have a person's label, which tells nothing of the others; ask more")
    return y, p, f


def _items(name: str, values: ArrayLike, size: int, n: int) -> NDArray[np.int64]:
    rows: NDArray[Any] = np.asarray(values)
    if rows.shape != (size,) or rows.dtype.kind not in "iu":
        raise BadInputError(f"{name} has shape {rows.shape} of {rows.dtype}; give a row number for each of {size}")
    if rows.min() < 0 or rows.max() >= n:
        place = int(((rows < 0) | (rows >= n)).argmax())
        raise BadInputError(f"{name}[{place}] is {rows[place]}; give row numbers from 0 to {n - 1}, as n_items is {n}")
    return rows.astype(np.int64, copy=False)
