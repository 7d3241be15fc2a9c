"""Statistics that the core shares: exact tails of counts, their intervals, quantiles, quadrature, and what may be
called found when much was tested.

scipy is loaded when it is first needed, so that what is light to import stays so.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elicit.types import BadInputError

Floats = NDArray[np.floating[Any]]

Z90 = 1.6449
"""Standard deviations on either side of a normal's mean that hold 90 %."""


def sigmoid(x: ArrayLike) -> Floats:
    """1 / (1 + exp(-x)), of x's shape, without overflow."""
    from scipy.special import expit

    return np.asarray(expit(np.asarray(x, float)))


@functools.cache
def gauss_hermite(points: int) -> tuple[Floats, Floats]:
    """Nodes and weights (points,) by which the mean of f(z) over a standard normal z is weights @ f(nodes)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    weights = weights / weights.sum()
    nodes.setflags(write=False)
    weights.setflags(write=False)
    return nodes, weights


def student_quantile(p: float, freedom: float) -> float:
    """The p-quantile of Student's t; of the normal where freedom is infinite."""
    from scipy.special import ndtri, stdtrit

    return float(ndtri(p) if math.isinf(freedom) else stdtrit(freedom, p))


def checked_level(level: float) -> float:
    """The level of an interval, if it is one. Raises BadInputError."""
    if not 0 < level < 1:
        raise BadInputError(f"the level is {level}; give a probability such as 0.95")
    return level


def jeffreys(hits: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of a share with equal tails under the prior of Jeffreys, Beta(1/2, 1/2).

    It ends at 0 where there is no hit and at 1 where nothing else is (Brown, Cai and DasGupta 2001).
    """
    from scipy.special import betainccinv, betaincinv

    tail, a, b = 0.5 - level / 2, hits + 0.5, trials - hits + 0.5
    low = float(betaincinv(a, b, tail)) if hits else 0.0
    return low, float(betainccinv(a, b, tail)) if hits < trials else 1.0


def clopper_pearson(hits: int, trials: int, delta: float) -> float:
    """The share above which so few hits or fewer would be seen with probability delta or less (Clopper and Pearson
    1934)."""
    from scipy.special import betainccinv

    return 1.0 if hits >= trials else float(betainccinv(hits + 1, trials - hits, delta))


def binomial_at_most(hits: int, trials: int, p: float) -> float:
    """P(this many or fewer) of independent events of probability p; far tails keep their digits."""
    from scipy.special import betaincc

    if hits >= trials:
        return 1.0
    return float(betaincc(hits + 1, trials - hits, p)) if hits >= 0 else 0.0


def binomial_at_least(hits: int, trials: int, p: float) -> float:
    """P(this many or more) of independent events of probability p; far tails keep their digits."""
    from scipy.special import betainc

    if hits <= 0:
        return 1.0
    return float(betainc(hits, trials - hits + 1, p)) if hits <= trials else 0.0


def poisson_binomial_at_least(hits: int, probabilities: ArrayLike) -> float:
    """P(this many or more) of independent events with these probabilities (n,)."""
    p = np.asarray(probabilities, float)
    law = np.zeros(len(p) + 1)
    law[0] = 1.0
    for n, chance in enumerate(p.tolist()):
        law[1 : n + 2] = law[1 : n + 2] * (1 - chance) + law[: n + 1] * chance
        law[0] *= 1 - chance
    return float(min(1.0, law[max(hits, 0) :].sum()))


def coins_at_least(reached: int, terms: ArrayLike) -> float:
    """P(the sum is this or more) where a fair coin decides of each of the terms (n,), whole numbers, if it counts."""
    rest: NDArray[np.int64] = np.asarray(terms, np.int64)
    law = np.zeros(int(rest.sum()) + 1)
    law[0] = 1.0
    for term in rest.tolist():
        law[term:] += law[: len(law) - term].copy()
        law /= 2
    return float(min(1.0, law[max(reached, 0) :].sum()))


def two_sided(hits: int, trials: int) -> float:
    """The p-value of so many heads of a fair coin, either way."""
    return min(1.0, 2 * binomial_at_least(max(hits, trials - hits), trials, 0.5))


def run_at_least(length: int, trials: int, shares: ArrayLike, kinds: int | None = None) -> float:
    """P(some answer is given `length` times or more in a row) in so many independent answers with these shares (C,).

    kinds: only runs of the first so many answers count; None for all. By the chain of what was said last and how often
    in a row, stopped at the first such run.
    """
    p = np.asarray(shares, float)
    counted = len(p) if kinds is None else kinds
    if length <= 1:
        return float(1 - (1 - p[:counted].sum()) ** trials)
    lasting = np.zeros((counted, length - 1))  # [c, r]: c was said last, r + 1 times in a row
    apart = 1.0  # nothing was said yet, or last something whose runs do not count
    reached = 0.0
    for _ in range(trials):
        ended = lasting.sum(1)
        total = apart + ended.sum()
        reached += float(p[:counted] @ lasting[:, -1])
        lasting[:, 1:] = lasting[:, :-1] * p[:counted, None]
        lasting[:, 0] = p[:counted] * (total - ended)
        apart = total * float(p[counted:].sum())
    return min(1.0, reached)


def longest_run(values: ArrayLike, kinds: ArrayLike | None = None) -> int:
    """The length of the longest run of equal entries of values (n,); of those only that are in kinds, where given."""
    return int(run_lengths(values, kinds).max(initial=0))


def run_lengths(values: ArrayLike, kinds: ArrayLike | None = None) -> NDArray[np.int64]:
    """(n,) the length of the run each entry stands in; 0 for entries not in kinds, where given."""
    entries = np.asarray(values)
    run = np.concatenate([[0], np.cumsum(entries[1:] != entries[:-1])])[: len(entries)]
    size: NDArray[np.int64] = np.bincount(run)[run] if len(entries) else np.zeros(0, np.int64)
    return size if kinds is None else size * np.isin(entries, np.asarray(kinds))


def holm(p_values: ArrayLike, alpha: float) -> NDArray[np.bool_]:
    """Which of the hypotheses (n,) fall, none of them wrongly with probability 1 - alpha (Holm 1979)."""
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    stands = p[order] > alpha / np.arange(len(p), 0, -1)
    out = np.zeros(len(p), bool)
    out[order[: int(stands.argmax()) if stands.any() else len(p)]] = True
    return out


def spending(delta: float, epoch: int) -> float:
    """What epoch 1, 2, ... may spend of delta: 6 / (pi epoch)^2 of it, which sums to delta over all epochs.

    A power of the epoch, not of two: the bound's width grows with the logarithm of the share, and so with the
    logarithm of the epoch instead of the epoch, while the first epoch still has three fifths. Raises BadInputError.
    """
    if epoch < 1:
        raise BadInputError(f"epoch is {epoch}; give 1 for the first")
    return 6 * delta / (math.pi * epoch) ** 2
