"""A leaderboard from a table of votes: utilities with honest intervals, and the ranks the votes can tell apart.

The model and its uncertainty are those of `elicit.ranking.davidson`. The sets of ranks hold for all items at once: item
i takes a rank from 1 + the number of items surely above it to n - the number surely below it, where "surely" is the
family of all one-sided comparisons of two items, tested together (Mogstad, Romano, Shaikh and Wilhelm 2024, Review of
Economic Studies 91) by the largest studentised difference and its step-down (Romano and Wolf 2005).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elicit.randomness import stream
from elicit.ranking import davidson
from elicit.ranking.davidson import Floats, Ints
from elicit.stats import checked_level, gauss_hermite, sigmoid, student_quantile
from elicit.types import CHOICES, BadInputError

PRIOR_SD = 5.0
"""Weak: odds of 1000 to 1 between two items are one standard deviation of their difference."""

WIDEST_PRIOR = 100.0
MOST_ITEMS = 5_000

DRAWS = (1_000, 10_000)
"""Fewest and most simulated draws of the largest difference; between them as many as `WORK` allows."""
WORK = 500_000_000
"""Differences of two items simulated at one step."""


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """What votes tell of n items. All utilities are in logits, relative to the mean of the items of `reference`.

    Attributes
    ----------
    utilities : (n,) array
        Posterior mode.
    covariance : (n, n) array
        Robust (Huber 1967, White 1982), by clusters where there were such; intervals and ranks rest on it.
    model_covariance : (n, n) array
        The same if every vote were independent and followed the model; for its intervals use
        `dataclasses.replace(board, covariance=board.model_covariance, clusters=None)`.
    nu : float
        Davidson's tie parameter, 0 where no vote was a tie.
    votes : (n,) array
        How many each item took part in, by weight; skips are not counted.
    components : (n,) array of int
        Items with different numbers were never compared, not even along a chain of other items: their difference
        rests on the prior alone. Numbered from the largest, 0.
    groups : (n,) array of int
        Within a component, all votes between items of one number and the others went one way, so that the votes bound
        the difference on one side and the prior on the other (Ford 1957). Numbered from the largest, 0.
    reference : (n,) array of bool
        The largest group where it holds more than half of the items, so that what is not known of the others leaves
        its intervals alone; else all items.
    clusters : int, optional
        How many there were, the fewer where there were two kinds; None without.

    Examples
    --------
    >>> import elicit
    >>> board = elicit.leaderboard([0, 1, 2] * 30, [1, 2, 0] * 30, (["a"] * 3 + ["a", "a", "b"] * 9) * 3, n_items=3)
    >>> board.ranks(0.9).tolist()  # as sure as can be of the order of all three
    [[1, 1], [2, 2], [3, 3]]
    >>> board.groups.tolist()  # each has won and lost: no difference rests on the prior
    [0, 0, 0]
    >>> low, high = board.intervals(0.9)[0]
    >>> bool(low < board.utilities[0] < high), bool(board.p_beats(0, 2) > 0.8)
    (True, True)
    """

    utilities: Floats
    covariance: Floats
    model_covariance: Floats
    nu: float
    votes: Floats
    components: Ints
    groups: Ints
    reference: NDArray[np.bool_]
    clusters: int | None

    def intervals(self, level: float = 0.95) -> Floats:
        """The interval of each utility; with clusters by Student's t with one degree of freedom less than clusters.

        Parameters
        ----------
        level : float
            The probability with which each interval, by itself, holds its utility.

        Returns
        -------
        (n, 2) array
            Low and high ends in logits.

        Raises
        ------
        BadInputError
            Where the level is not between 0 and 1.
        """
        half = student_quantile(0.5 + checked_level(level) / 2, self._freedom) * np.sqrt(np.diagonal(self.covariance))
        return np.stack([self.utilities - half, self.utilities + half], 1)

    def ranks(self, level: float = 0.95) -> Ints:
        """The ranks that each item may have (Mogstad, Romano, Shaikh and Wilhelm 2024).

        Simulated, with a fixed stream: the same board gives the same ranks.

        Parameters
        ----------
        level : float
            The probability with which all n statements hold together.

        Returns
        -------
        (n, 2) array of int
            Lowest and highest rank, 1 the best.

        Raises
        ------
        BadInputError
            Where the level is not between 0 and 1.
        """
        order = np.argsort(-self.utilities, kind="stable")
        above = _surely_above(
            self.utilities[order], self.covariance[np.ix_(order, order)], checked_level(level), self._freedom
        )
        out = np.empty((len(order), 2), np.int64)
        out[order] = np.stack([1 + above.sum(0), len(order) - above.sum(1)], 1)
        return out

    def p_beats(self, i: ArrayLike, j: ArrayLike) -> Floats:
        """P(i is preferred to j in a vote that is no tie), the uncertainty integrated out.

        Parameters
        ----------
        i, j : array of int
            Rows, of any shapes that broadcast.

        Returns
        -------
        array
            Of their common shape.

        Raises
        ------
        BadInputError
            For rows that do not exist.
        """
        i, j = np.asarray(i), np.asarray(j)
        for rows in (i, j):
            if not np.issubdtype(rows.dtype, np.integer) or ((rows < 0) | (rows >= len(self.utilities))).any():
                raise BadInputError(f"rows go from 0 to {len(self.utilities) - 1}, and {rows!r} has others")
        mean = self.utilities[i] - self.utilities[j]
        variance = self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j]
        nodes, weights = gauss_hermite(41)
        return np.asarray(sigmoid(mean[..., None] + np.sqrt(np.maximum(variance, 0.0))[..., None] * nodes) @ weights)

    @property
    def _freedom(self) -> float:
        return math.inf if self.clusters is None else self.clusters - 1


def leaderboard(
    a: ArrayLike,
    b: ArrayLike,
    outcomes: Sequence[str] | ArrayLike,
    n_items: int,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    prior_sd: float = PRIOR_SD,
) -> Leaderboard:
    """Utilities of n items from T votes: the mode of Davidson's model (1970), with robust uncertainty.

    Parameters
    ----------
    a, b : (T,) array of int
        Rows of the two items.
    outcomes : (T,) sequence
        "a", "b", "tie", "both_bad" (a tie as far as the difference goes) or "skip" (says nothing), or their places 0 to
        4 in that order.
    n_items : int
        From 2 to 5,000.
    weights : (T,) array, optional
        How many equal votes each stands for.
    clusters : (T,) or (T, 2) array, optional
        Whose vote, or on which prompt; votes of one cluster may depend on one another in any way (Liang and Zeger
        1986). With two columns votes that share either may (Cameron, Gelbach and Miller 2011).
    prior_sd : float
        Of each utility before the votes, in logits; above 0 and up to 100.

    Returns
    -------
    Leaderboard

    Raises
    ------
    BadInputError
        With the name and the place of what is wrong; where no vote tells anything; where all are of one cluster.

    Examples
    --------
    >>> import elicit
    >>> board = elicit.leaderboard([0, 0, 1, 2, 0], [1, 1, 2, 1, 2], ["a", "tie", "a", "a", "a"], n_items=4)
    >>> board.utilities.argsort()[::-1].tolist()
    [0, 3, 1, 2]
    >>> board.votes.tolist(), board.components.tolist()  # nobody has voted on 3
    ([3.0, 4.0, 3.0, 0.0], [0, 0, 0, 1])
    >>> elicit.leaderboard([0, 1], [1, 7], ["a", "b"], n_items=4)
    Traceback (most recent call last):
        ...
    elicit.types.BadInputError: b[1] is 7; give row numbers from 0 to 3 for 4 items
    """
    if isinstance(n_items, bool) or not isinstance(n_items, int | np.integer) or n_items < 2:
        raise BadInputError(f"n_items is {n_items!r}, and a comparison needs two; give the number of items")
    if n_items > MOST_ITEMS:
        raise BadInputError(f"{n_items} items are too many to hold all covariances; give at most {MOST_ITEMS}")
    if not 0 < prior_sd <= WIDEST_PRIOR:
        raise BadInputError(f"prior_sd is {prior_sd}; give a number of logits above 0 and up to {WIDEST_PRIOR:g}")
    rows_a, rows_b, ended = checked_votes(a, b, outcomes, n_items)
    amount = None if weights is None else _weights(weights)
    whose = None if clusters is None else _clusters(clusters)
    for name, column in (("weights", amount), ("clusters", whose)):
        if column is not None and len(column) != len(rows_a):
            raise BadInputError(f"{name} has {len(column)} entries and a has {len(rows_a)}; give one for each vote")
    telling = ended != CHOICES.index("skip")
    if amount is not None:
        telling &= amount > 0
    if not telling.all():
        rows_a, rows_b, ended = rows_a[telling], rows_b[telling], ended[telling]
        amount = None if amount is None else amount[telling]
        whose = None if whose is None else whose[telling]
    if not len(rows_a):
        raise BadInputError("there is no vote that tells anything; give at least one that is no skip")
    ended = np.minimum(ended, CHOICES.index("tie"))
    counts = davidson.count(n_items, rows_a, rows_b, ended, amount)
    fitted = davidson.fit(counts, prior_sd)
    size = None
    if whose is None:
        middle = davidson.meat(counts, fitted)
    else:
        kinds = [_number_clusters(column) for column in whose.T]
        size = min(size for _, size in kinds)
        middle = np.sum([davidson.cluster_meat(fitted, rows_a, rows_b, ended, amount, *kind) for kind in kinds], 0)
        if len(kinds) == 2:
            (codes, _), (other, others) = kinds
            middle -= davidson.cluster_meat(
                fitted, rows_a, rows_b, ended, amount, *_number_clusters(codes * others + other)
            )
    met = np.zeros((n_items, n_items), dtype=bool)  # [i, j]: i did at least once not lose to j
    met[counts.first, counts.second] = counts.ended[:, [0, 2]].any(1)
    met[counts.second, counts.first] = counts.ended[:, [1, 2]].any(1)
    groups = strong_components(met)
    reference = (groups == 0) | (2 * (groups == 0).sum() <= n_items)
    total = counts.ended.sum(1)
    return Leaderboard(
        utilities=fitted.utilities - fitted.utilities[reference].mean(),
        covariance=relative_to(davidson.sandwich(fitted, middle), reference),
        model_covariance=relative_to(davidson.model_covariance(fitted), reference),
        nu=fitted.nu,
        votes=(np.bincount(counts.first, total, n_items) + np.bincount(counts.second, total, n_items)).astype(float),
        components=strong_components(met | met.T),
        groups=groups,
        reference=reference,
        clusters=size,
    )


def relative_to(covariance: Floats, reference: NDArray[np.bool_]) -> Floats:
    """(n, n) covariance of the utilities less the mean of those of `reference`."""
    rows = covariance - covariance[reference].mean(0)
    both = rows - rows[:, reference].mean(1)[:, None]
    return np.asarray(0.5 * (both + both.T))


def _surely_above(utilities: Floats, covariance: Floats, level: float, freedom: float) -> NDArray[np.bool_]:
    """(n, n) whether i is surely above j, for items sorted from the best; no entry is wrong with probability `level`.

    The hypotheses are u_i <= u_j for all ordered pairs. Those rejected leave the family, and the largest difference
    among the others is asked again, until nothing more is rejected. The reverse of a rejected one always stays.
    """
    n = len(utilities)
    variance = np.diagonal(covariance)
    sd = np.sqrt(np.where(np.eye(n, dtype=bool), 1.0, variance[:, None] + variance - 2 * covariance))
    certainty = (utilities[:, None] - utilities) / sd
    values, vectors = np.linalg.eigh(covariance)
    draws = int(np.clip(WORK // (n * n), *DRAWS))
    rng = stream(0, "ranks", n)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))).astype(np.float32)
    noise = root @ rng.standard_normal((n, draws), np.float32)
    if math.isfinite(freedom):
        noise /= np.sqrt(rng.chisquare(freedom, draws) / freedom).astype(np.float32)
    scale = (1 / sd).astype(np.float32)
    above = np.zeros((n, n), dtype=bool)
    while True:
        standing = np.triu(~above, 1)
        largest = np.concatenate(
            [_largest(part, scale, standing) for part in np.array_split(noise, max(1, draws // 2048), 1)]
        )
        place = min(draws - 1, math.ceil((draws + 1) * level) - 1)
        certain = np.triu(certainty > np.partition(largest, place)[place], 1)
        if not (certain & ~above).any():
            return above
        above |= certain


def _largest(
    noise: NDArray[np.float32], scale: NDArray[np.float32], standing: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """(D,) the largest studentised difference in noise (n, D), of worse less better items and of the standing pairs."""
    top = np.zeros(noise.shape[1], np.float32)
    for i in range(len(noise) - 1):
        difference = noise[i] - noise[i + 1 :]
        difference *= scale[i, i + 1 :, None]
        np.maximum(top, -difference.min(0), out=top)
        row = standing[i, i + 1 :]
        if row.any():
            np.maximum(top, (difference if row.all() else difference[row]).max(0), out=top)
    return top


def strong_components(edge: NDArray[np.bool_]) -> Ints:
    """(n,) the strongly connected component of each node of a graph (n, n), numbered from the largest (Kosaraju)."""
    n = len(edge)
    fresh, finished = np.ones(n, dtype=bool), []
    for source in range(n):
        stack = [source] if fresh[source] else []
        fresh[source] = False
        while stack:
            following = edge[stack[-1]] & fresh
            node = int(following.argmax())
            if following[node]:
                fresh[node] = False
                stack.append(node)
            else:
                finished.append(stack.pop())
    label = np.full(n, -1)
    for source in reversed(finished):
        if label[source] >= 0:
            continue
        frontier = np.zeros(n, dtype=bool)
        frontier[source] = True
        while frontier.any():
            label[frontier] = source
            frontier = edge[:, frontier].any(1) & (label < 0)
    names, first, place, size = np.unique(label, return_index=True, return_inverse=True, return_counts=True)
    number = np.empty(len(names), np.int64)
    number[np.lexsort((first, -size))] = np.arange(len(names))
    return number[place]


def _column(name: str, values: Any) -> NDArray[Any]:
    column = np.asarray(values)
    if column.ndim != 1:
        raise BadInputError(f"{name} has shape {column.shape}; give one entry for each vote")
    return column


def checked_votes(a: ArrayLike, b: ArrayLike, outcomes: Sequence[str] | ArrayLike, n: int) -> tuple[Ints, Ints, Ints]:
    """(T,) each: rows of n items, and places in `CHOICES`. Raises BadInputError."""
    rows_a, rows_b, ended = _rows("a", a, n), _rows("b", b, n), _outcomes(outcomes)
    for name, column in (("b", rows_b), ("outcomes", ended)):
        if len(column) != len(rows_a):
            raise BadInputError(f"{name} has {len(column)} entries and a has {len(rows_a)}; give one for each vote")
    if (same := rows_a == rows_b).any():
        place = int(same.argmax())
        raise BadInputError(f"vote {place} is on item {rows_a[place]} and itself; leave it out")
    return rows_a, rows_b, ended


def _rows(name: str, values: ArrayLike, n: int) -> Ints:
    rows = _column(name, values)
    if len(rows) and rows.dtype.kind not in "iu":
        raise BadInputError(
            f"{name} holds {rows.dtype} such as {rows[0]!r}; give row numbers, whole numbers from 0 to {n - 1}"
        )
    if len(rows) and (rows.min() < 0 or rows.max() >= n):
        place = int(((rows < 0) | (rows >= n)).argmax())
        raise BadInputError(f"{name}[{place}] is {rows[place]}; give row numbers from 0 to {n - 1} for {n} items")
    return rows.astype(np.int64, copy=False)


def _outcomes(values: Any) -> Ints:
    column = _column("outcomes", values)
    if column.dtype.kind in "iu":
        codes = np.where((column >= 0) & (column < len(CHOICES)), column, -1)
    else:
        codes = np.full(len(column), -1)
        for code, word in enumerate(CHOICES):
            codes[column == word] = code
    if (codes < 0).any():
        place = int((codes < 0).argmax())
        value = column[place].item() if isinstance(column[place], np.generic) else column[place]
        raise BadInputError(f"outcomes[{place}] is {value!r}; use {', '.join(CHOICES)}, or 0 to {len(CHOICES) - 1}")
    return codes.astype(np.int64, copy=False)


def _weights(values: ArrayLike) -> Floats:
    try:
        amounts = _column("weights", values).astype(np.float64)
    except (TypeError, ValueError):
        raise BadInputError("weights holds something that is no number; give how many votes each stands for") from None
    bad = ~(np.isfinite(amounts) & (amounts >= 0))
    if bad.any():
        place = int(bad.argmax())
        raise BadInputError(f"weights[{place}] is {amounts[place]}; give finite numbers, 0 or more")
    return amounts


def _clusters(values: ArrayLike) -> NDArray[Any]:
    columns = np.asarray(values)
    if columns.ndim == 1:
        columns = columns[:, None]
    if columns.ndim != 2 or not 1 <= columns.shape[1] <= 2:
        raise BadInputError(f"clusters has shape {columns.shape}; give one entry for each vote, or two in columns")
    return columns


def _number_clusters(clusters: NDArray[Any]) -> tuple[Ints, int]:
    """The clusters numbered from 0, and how many there are."""
    if clusters.dtype.kind in "iu" and clusters.min() >= 0 and clusters.max() <= 4 * len(clusters):
        there = np.bincount(clusters) > 0
        codes, size = (np.cumsum(there) - 1)[clusters], int(there.sum())
    else:
        try:
            names, codes = np.unique(clusters, return_inverse=True)
        except TypeError:
            raise BadInputError("clusters holds entries of several kinds; give names or whole numbers only") from None
        size = len(names)
    if size < 2:
        raise BadInputError(
            "all votes are of one cluster, which says nothing of how clusters differ; leave clusters out"
        )
    return codes.astype(np.int64, copy=False), size
