"""Davidson's model of paired comparisons, fitted to a table of votes by Newton's method on its counts.

With x = u_i - u_j in logits a vote on items i and j ends with i, tie or j in proportion to exp(x/2), nu, exp(-x/2)
(Davidson 1970; Bradley and Terry 1952 where nu = 0). That is an exponential family in (u, log nu), so the
log-likelihood is concave, and every vote speaks through the counts of its pair alone. A weak Gaussian prior on each
parameter makes the mode finite and unique where the votes leave something open.

The uncertainty is the sandwich of Huber (1967) and White (1982), by clusters of votes where there are such (Liang and
Zeger 1986): it holds for the utilities that describe the votes best, whether or not votes follow the model.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

STEPS = 200
"""Newton steps at most; a dozen are usual, and the step is halved wherever a whole one would not climb."""

CONVERGED = 1e-18
"""Squared length of the last step in units of the posterior's standard deviation."""

BLOCK = 1 << 20
"""Numbers held at once while the scores of clusters are summed (8 MB)."""

ENDS = np.array([0.5, -0.5, 0.0])
"""What a vote adds to x: that the first was preferred, the second, neither."""


class Counts(NamedTuple):
    """The votes of the P pairs that met: `first` < `second` (P,) rows of n items; `ended` (P, 3) how many votes ended
    with the first, with the second, and in a tie."""

    n: int
    first: Ints
    second: Ints
    ended: Floats


class Fit(NamedTuple):
    """The mode and the curvature there. utilities (n,) in logits; nu: 0 where no vote was a tie.

    precision (k, k): minus the Hessian of the log posterior in (u, log nu), k = n + 1, or n where nu is fixed at 0.
    """

    utilities: Floats
    nu: float
    precision: Floats


def count(n: int, a: Ints, b: Ints, outcomes: Ints, weights: Floats | None = None) -> Counts:
    """The counts of T votes on rows a, b (T,) that ended with a (0), with b (1) or in a tie (2)."""
    code = (a * n + b) * 3 + outcomes
    cells = 3 * n * n
    if cells <= max(8 * len(code), 1 << 20):
        total = np.bincount(code, weights, minlength=cells)
        used = np.flatnonzero(total)
        ended = total[used].astype(float)
    else:
        used, place = np.unique(code, return_inverse=True)
        ended = np.bincount(place, weights).astype(float)
    pair, outcome = np.divmod(used, 3)
    a, b = np.divmod(pair, n)
    turned = a > b
    outcome = np.where(turned & (outcome < 2), 1 - outcome, outcome)
    pairs, place = np.unique(np.where(turned, b * n + a, pair), return_inverse=True)
    table: Floats = np.bincount(place * 3 + outcome, ended, 3 * len(pairs)).astype(float)
    return Counts(n, pairs // n, pairs % n, table.reshape(-1, 3))


def fit(counts: Counts, prior_sd: float) -> Fit:
    """The mode of the posterior under independent N(0, prior_sd^2) utilities and log nu.

    Raises ArithmeticError where Newton's method does not arrive, which the concavity rules out but for rounding.
    """
    n, ties, votes = counts.n, counts.ended[:, 2].sum(), counts.ended.sum()
    theta = np.zeros(n + 1 if ties else n)
    if ties:
        theta[n] = np.log(2 * ties / (votes - ties + 0.5))
    value = _log_posterior(counts, theta, prior_sd)
    for _ in range(STEPS):
        gradient, precision = _derivatives(counts, theta, prior_sd)
        step = np.linalg.solve(precision, gradient)
        gain = float(gradient @ step)
        if gain < CONVERGED:
            return Fit(theta[:n], float(np.exp(theta[n])) if ties else 0.0, precision)
        size = 1.0
        while True:
            after = _log_posterior(counts, theta + size * step, prior_sd)
            # Within rounding of the value nothing can be told apart any more, and the whole step is the best guess.
            if after >= value + 1e-4 * size * gain or gain < 1e-12 * (1 + abs(value)):
                break
            size /= 2
        theta, value = theta + size * step, after
    raise ArithmeticError(f"no mode was found in {STEPS} Newton steps")


def model_covariance(fitted: Fit) -> Floats:
    """(n, n) covariance of the utilities if every vote is independent and follows the model (Laplace)."""
    n = len(fitted.utilities)
    return np.asarray(np.linalg.inv(fitted.precision)[:n, :n])


def meat(counts: Counts, fitted: Fit) -> Floats:
    """(k, k) sum over votes of score times score', each vote by itself."""
    share = probabilities(fitted.utilities[counts.first] - fitted.utilities[counts.second], fitted.nu)
    utility, tie = _scores(share)
    ended = counts.ended
    return _assemble_form(
        counts,
        (ended * utility**2).sum(1),
        (ended * utility * tie).sum(1),
        float((ended * tie**2).sum()),
        with_nu=fitted.nu > 0,
    )


def cluster_meat(
    fitted: Fit, a: Ints, b: Ints, outcomes: Ints, weights: Floats | None, clusters: Ints, size: int
) -> Floats:
    """(k, k) sum over clusters of score times score', a cluster's score being the sum over its votes.

    a, b, outcomes, clusters: (T,), clusters from 0 to size - 1. Scaled by size / (size - 1) for the finite number.
    """
    n, k = len(fitted.utilities), len(fitted.precision)
    total = np.zeros((k, k))
    step = max(1, BLOCK // k)
    for start in range(0, size, step):
        width = min(step, size - start)
        part = slice(None) if size <= step else np.flatnonzero((clusters >= start) & (clusters < start + width))
        first, second, ended = a[part], b[part], outcomes[part]
        share = probabilities(fitted.utilities[first] - fitted.utilities[second], fitted.nu)
        pull = ENDS[ended] - 0.5 * (share[:, 0] - share[:, 1])
        lift = (ended == 2) - share[:, 2]
        if weights is not None:
            pull, lift = pull * weights[part], lift * weights[part]
        at = (clusters[part] - start) * k
        places, parts = [at + first, at + second], [pull, -pull]
        if k > n:
            places, parts = [*places, at + n], [*parts, lift]
        score = np.bincount(np.concatenate(places), np.concatenate(parts), width * k).reshape(width, k)
        total += score.T @ score
    return total * (size / (size - 1))


def sandwich(fitted: Fit, middle: Floats) -> Floats:
    """(n, n) covariance of the utilities: precision^-1 middle precision^-1, and never under the model's.

    Where few votes bear on a direction, or all went one way, their scores hardly vary, and the bare sandwich would
    claim to know what nothing was learnt about. So in each principal direction relative to the model's covariance the
    larger of the two counts (for one coefficient: Angrist and Pischke 2009, section 8.1).
    """
    root = np.linalg.inv(np.linalg.cholesky(fitted.precision))
    values, vectors = np.linalg.eigh(root @ middle @ root.T)
    half = (vectors * np.sqrt(np.maximum(values, 1.0))).T @ root[:, : len(fitted.utilities)]
    return np.asarray(half.T @ half)


def probabilities(x: Floats, nu: float) -> Floats:
    """(..., 3) shares of votes that end with the first, with the second and in a tie; x (...): first minus second."""
    half = np.exp(-0.5 * np.abs(x))
    high, low, tie = np.ones_like(half), half * half, nu * half
    share = np.stack([np.where(x > 0, high, low), np.where(x > 0, low, high), tie], -1)
    return np.asarray(share / (high + low + tie)[..., None])


def _scores(share: Floats) -> tuple[Floats, Floats]:
    """(..., 3) derivatives of the log-likelihood in x and in log nu, for each way a vote may end."""
    mean = 0.5 * (share[..., 0] - share[..., 1])
    return ENDS - mean[..., None], np.array([0.0, 0.0, 1.0]) - share[..., 2:]


def _log_posterior(counts: Counts, theta: Floats, prior_sd: float) -> float:
    u, nu = theta[: counts.n], np.exp(theta[counts.n]) if len(theta) > counts.n else 0.0
    x = u[counts.first] - u[counts.second]
    ended = counts.ended
    half = np.exp(-0.5 * np.abs(x))
    normaliser = 0.5 * np.abs(x) + np.log1p(half * half + nu * half)
    value = (0.5 * x * (ended[:, 0] - ended[:, 1]) - normaliser * ended.sum(1)).sum()
    if nu:
        value += theta[counts.n] * ended[:, 2].sum()
    return float(value - 0.5 * (theta @ theta) / prior_sd**2)


def _derivatives(counts: Counts, theta: Floats, prior_sd: float) -> tuple[Floats, Floats]:
    """The gradient (k,) of the log posterior, and minus its Hessian (k, k)."""
    n, with_nu = counts.n, len(theta) > counts.n
    share = probabilities(theta[counts.first] - theta[counts.second], float(np.exp(theta[n])) if with_nu else 0.0)
    votes = counts.ended.sum(1)
    utility, tie = _scores(share)
    mean, tied = 0.5 * (share[:, 0] - share[:, 1]), share[:, 2]
    pull = (counts.ended * utility).sum(1)
    gradient = np.bincount(counts.first, pull, n) - np.bincount(counts.second, pull, n)
    if with_nu:
        gradient = np.append(gradient, (counts.ended * tie).sum())
    information = _assemble_form(
        counts,
        votes * (0.25 * (1 - tied) - mean**2),
        -votes * mean * tied,
        float((votes * tied * (1 - tied)).sum()),
        with_nu=with_nu,
    )
    return gradient - theta / prior_sd**2, information + np.eye(len(theta)) / prior_sd**2


def _assemble_form(counts: Counts, xx: Floats, xt: Floats, tt: float, *, with_nu: bool) -> Floats:
    """(k, k) the quadratic form in (u, log nu) of one in (x, log nu) for each pair: xx, xt (P,), and tt in all."""
    n, i, j = counts.n, counts.first, counts.second
    out = np.zeros((n + with_nu, n + with_nu))
    out[i, j] = out[j, i] = -xx
    out[np.arange(n), np.arange(n)] = np.bincount(i, xx, n) + np.bincount(j, xx, n)
    if with_nu:
        out[n, :n] = out[:n, n] = np.bincount(i, xt, n) - np.bincount(j, xt, n)
        out[n, n] = tt
    return out
