"""How far to trust each annotator, from votes that overlap, cases with a known answer, and repeats.

Dawid and Skene (1979), held symmetric: a and b are names of an unordered pair, so an annotator has one probability of
naming the better side when not tying, or two where it is known which side was shown first, whose mean is free of the
side and whose half difference is the leaning to the first. A tie is a third answer to a case, and a third vote. The
answers and the annotators are fitted by EM with Beta priors.

Intervals are not those of EM's expected counts, which take the fitted answers for observed. Each accuracy gets its
posterior on a grid under the answers as all others tell them, so that an annotator who shares no case with anybody
keeps the prior; and as the others are only known from votes too, the likelihood counts for no more than the
information that this leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elicit.types import BadInputError

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

ACCURACY = (4.0, 2.0)
"""Beta prior of naming the better side, mean 2/3: most people do better than a coin, which tells a from b at all."""
TIE_DECIDED, TIE_TIED, TIED = (2.0, 8.0), (8.0, 4.0), (2.0, 8.0)
"""Beta priors of a tie voted on a case that is none, of one voted on a case that is, and of such a case."""

STEPS, CONVERGED = 500, 1e-9

GRID = np.linspace(0.0025, 0.9975, 200)
"""Accuracies at the middle of equal cells."""

TINY = 1e-300

A, B, TIE = 0, 1, 2


@dataclass(frozen=True, eq=False)
class ReliabilityBelief:
    """A posterior for each of J annotators: weights (J, G), that sum to 1, on equally spaced values grid (G,)."""

    grid: Floats
    weights: Floats

    @property
    def mean(self) -> Floats:
        """(J,) posterior mean."""
        return np.asarray(self.weights @ self.grid)

    def intervals(self, level: float = 0.95) -> Floats:
        """(J, 2) low and high end with equal tails outside. Raises BadInputError."""
        if not 0 < level < 1:
            raise BadInputError(f"the level is {level}; give a probability such as 0.95")
        step = self.grid[1] - self.grid[0]
        edges = np.append(self.grid - step / 2, self.grid[-1] + step / 2)
        below = np.concatenate([np.zeros((len(self.weights), 1)), np.cumsum(self.weights, 1)], 1)
        tails = [0.5 - level / 2, 0.5 + level / 2]
        return np.array([np.interp(tails, row, edges) for row in below]).reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class Reliability:
    """What votes tell of J annotators and K cases.

    accuracy: P(names the better side | does not tie), free of the side. leaning: how much likelier the better side is
    to be named for being shown first, half the difference; None where `first` was not given. ties (J, 2): fitted P(tie)
    on cases that are none and on those that are. answers (K, 3): P(a is better), P(b is better), P(tie) by all votes.
    votes (J,). repeats, repeated (J,): pairs of votes on the same case, and how many of them say the same.
    """

    accuracy: ReliabilityBelief
    leaning: ReliabilityBelief | None
    ties: Floats
    answers: Floats
    votes: Ints
    repeats: Ints
    repeated: Ints


def dawid_skene(
    annotator: ArrayLike,
    case: ArrayLike,
    outcome: ArrayLike,
    n_annotators: int,
    n_cases: int,
    *,
    first: ArrayLike | None = None,
    gold: ArrayLike | None = None,
) -> Reliability:
    """The reliability of n_annotators from V votes on n_cases.

    annotator, case (V,): row numbers. outcome (V,): 0 for a, 1 for b, 2 for a tie; leave skips out. first (V,): which
    of a (0) and b (1) was shown first. gold (n_cases,): the known answer, -1 where there is none. An annotator's m
    votes on one case are one source of error, so each counts 1/m. Raises BadInputError.
    """
    who, what = _rows("annotator", annotator, 0, n_annotators), _rows("case", case, 0, n_cases)
    choice = _rows("outcome", outcome, 0, 3)
    shown = None if first is None else _rows("first", first, 0, 2)
    gold_answers = np.full(n_cases, -1) if gold is None else _rows("gold", gold, -1, 3)
    for name, column, size in (
        ("case", what, len(who)),
        ("outcome", choice, len(who)),
        ("first", shown, len(who)),
        ("gold", gold_answers, n_cases),
    ):
        if column is not None and len(column) != size:
            raise BadInputError(f"{name} has {len(column)} entries; give {size}")
    pair, group, times = np.unique(who * n_cases + what, return_inverse=True, return_counts=True)
    weight = 1 / times[group]
    decided, right = choice != TIE, np.stack([choice == A, choice == B])
    # Which of an annotator's accuracies a vote bears on if a, or if b, is better: shown first (0) or second (1).
    side = np.zeros((2, len(who)), np.int64) if shown is None else np.stack([shown, 1 - shown])
    accuracy = np.full((n_annotators, 1 if shown is None else 2), _mode(ACCURACY))
    with_ties = bool((~decided).any() or (gold_answers == TIE).any())
    ties, tied = np.zeros((n_annotators, 2)), 0.0
    if with_ties:
        ties[:], tied = [_mode(TIE_DECIDED), _mode(TIE_TIED)], float(_mode(TIED))
    for _ in range(STEPS):
        hit = accuracy[who, side]
        named = np.where(right, hit, 1 - hit)
        of_decided, of_tied = ties[who].T
        likelihood = np.where(
            decided,
            [*((1 - of_decided) * named), (1 - of_tied) / 2],
            [of_decided, of_decided, of_tied],
        )
        logs = weight * np.log(likelihood)
        total = np.log(np.maximum([(1 - tied) / 2, (1 - tied) / 2, tied], TINY)) + _sums(what, logs, n_cases)
        answers = _normalize(total, gold_answers)
        mass, before = weight * answers[what].T, accuracy.copy()
        for place in range(accuracy.shape[1]):
            at = mass[:2] * (decided & (side == place))
            hits, trials = (_sums(who, part, n_annotators).sum(1) for part in (at * right, at))
            accuracy[:, place] = _mode(ACCURACY, hits, trials)
        if with_ties:
            tie, all_of = _sums(who, mass * ~decided, n_annotators), _sums(who, mass, n_annotators)
            ties[:, 0] = _mode(TIE_DECIDED, tie[:, :2].sum(1), all_of[:, :2].sum(1))
            ties[:, 1] = _mode(TIE_TIED, tie[:, TIE], all_of[:, TIE])
            tied = float(_mode(TIED, answers[:, TIE].sum(), n_cases))
        if np.abs(accuracy - before).max(initial=0) < CONVERGED:
            break
    # What an annotator said of a case is taken out of what all said of it.
    others = _normalize(total[pair % n_cases] - _sums(group, logs, len(pair)), gold_answers[pair % n_cases])[group].T
    information_left = _remaining_information(
        who, what, side, weight * decided, np.where(right, 1 - hit, -hit), answers, accuracy
    )
    sums: list[ReliabilityBelief] = []
    differences: list[ReliabilityBelief] = []
    for place in range(accuracy.shape[1]):
        at = side == place
        fixed = (1 - of_decided) * (others[:2] * np.where(at, ~right, named)).sum(0) + others[TIE] * (1 - of_tied) / 2
        slope = (1 - of_decided) * (others[:2] * at * np.where(right, 1, -1)).sum(0)
        for beliefs, share in ((sums, information_left[0]), (differences, information_left[1])):
            counted = weight * decided * share[who, place]
            beliefs.append(_posterior(who, counted, fixed, slope, n_annotators))
    repeats, repeated = _repeats(pair // n_cases, group, choice, n_annotators)
    return Reliability(
        accuracy=sums[0] if shown is None else _half_sum(*sums),
        leaning=None if shown is None else _half_difference(*differences),
        ties=ties,
        answers=answers,
        votes=np.bincount(who, minlength=n_annotators),
        repeats=repeats,
        repeated=repeated,
    )


def _repeats(annotator: Ints, group: Ints, choice: Ints, n_annotators: int) -> Ints:
    """(2, J) pairs of votes of one annotator on one case, and those that say the same; annotator: of each group."""
    by_outcome = np.zeros((len(annotator), 3), np.int64)
    np.add.at(by_outcome, (group, choice), 1)
    times = by_outcome.sum(1)
    pairs = np.stack([times * (times - 1) // 2, (by_outcome * (by_outcome - 1) // 2).sum(1)])
    return _sums(annotator, pairs, n_annotators).T.astype(np.int64)


def _mode(prior: tuple[float, float], hits: Any = 0.0, trials: Any = 0.0) -> Any:
    """The mode of a Beta posterior, as a density of the logit."""
    return (prior[0] + hits) / (prior[0] + prior[1] + trials)


def _sums(rows: Ints, values: Floats | Ints, size: int) -> Floats:
    """(size, R) sums of values (R, V) by row (V,)."""
    return np.stack([np.bincount(rows, value, size) for value in values], 1)


def _remaining_information(
    who: Ints, what: Ints, side: Ints, weight: Floats, score: Floats, answers: Floats, accuracy: Floats
) -> Floats:
    """(2, J, S) how much of what each annotator's votes tell of an accuracy is left if nobody's is known.

    score (2, V): of each vote in the logit of the accuracy it bears on, if a or if b is better. The information I is
    what would be told if the answers were seen, less what their doubt takes away (Louis 1982). The variance is then
    (I^-1)_jj, and 1 / I_jj if all but this one were known. First for the sum of the accuracies on the two sides, whose
    errors go together where the answers are in doubt, then for the difference.
    """
    (n_annotators, sides), size = accuracy.shape, accuracy.size
    scores, trials = np.zeros((2, len(answers), size)), np.zeros(size)
    for better in (A, B):
        column = who * sides + side[better]
        np.add.at(scores[better], (what, column), weight * score[better])
        trials += np.bincount(column, weight * answers[what, better], size)
    mean = np.einsum("kz,zkp->kp", answers[:, :2], scores)
    weighed = np.sqrt(answers[:, :2].T)[:, :, None] * scores
    doubt = weighed[A].T @ weighed[A] + weighed[B].T @ weighed[B] - mean.T @ mean
    complete = trials * (accuracy * (1 - accuracy)).ravel()
    prior = sum(ACCURACY) * (accuracy * (1 - accuracy))
    covariance = np.linalg.inv(np.diag(prior.ravel() + complete) - doubt).reshape(
        n_annotators, sides, n_annotators, sides
    )
    own = np.einsum("jsjr->jsr", covariance)
    spread = np.einsum("jss->js", own)
    together = own.sum((1, 2)) / spread.sum(1) - 1
    observed = np.maximum(complete - np.diagonal(doubt), TINY).reshape(accuracy.shape)
    return np.stack(
        [np.clip((1 / (spread * (1 + sign * together[:, None])) - prior) / observed, 0, 1) for sign in (1, -1)]
    )


def _normalize(logs: Floats, gold: Ints) -> Floats:
    """(K, 3) probabilities from their logs but for a constant; certainty where the answer is known (K,)."""
    out = np.exp(logs - logs.max(1, keepdims=True))
    out /= out.sum(1, keepdims=True)
    out[gold >= 0] = np.eye(3)[gold[gold >= 0]]
    return np.asarray(out)


def _posterior(who: Ints, weight: Floats, fixed: Floats, slope: Floats, size: int) -> ReliabilityBelief:
    """Beliefs in x, each vote having the likelihood (fixed + slope x)^weight."""
    logs = np.tile((ACCURACY[0] - 1) * np.log(GRID) + (ACCURACY[1] - 1) * np.log1p(-GRID), (size, 1))
    for row in range(size):
        its = who == row
        likelihood = np.maximum(fixed[its, None] + slope[its, None] * GRID, TINY)
        logs[row] += weight[its] @ np.log(likelihood)
    weights = np.exp(logs - logs.max(1, keepdims=True, initial=-np.inf))
    return ReliabilityBelief(GRID, weights / weights.sum(1, keepdims=True))


def _half_sum(first: ReliabilityBelief, second: ReliabilityBelief) -> ReliabilityBelief:
    """The belief in the mean of two independent quantities."""
    grid = np.linspace(first.grid[0], first.grid[-1], 2 * len(first.grid) - 1)
    rows = [np.convolve(x, y) for x, y in zip(first.weights, second.weights, strict=True)]
    return ReliabilityBelief(grid, np.array(rows).reshape(-1, len(grid)))


def _half_difference(first: ReliabilityBelief, second: ReliabilityBelief) -> ReliabilityBelief:
    """The belief in half of one less the other."""
    turned = _half_sum(first, ReliabilityBelief(second.grid, second.weights[:, ::-1]))
    return ReliabilityBelief(turned.grid - 0.5, turned.weights)


def _rows(name: str, values: ArrayLike, low: int, high: int) -> Ints:
    column: NDArray[Any] = np.asarray(values)
    if column.ndim != 1 or (len(column) and column.dtype.kind not in "iu"):
        raise BadInputError(f"{name} has shape {column.shape} of {column.dtype}; give whole numbers, one for each")
    if len(column) and (column.min() < low or column.max() >= high):
        place = int(((column < low) | (column >= high)).argmax())
        raise BadInputError(f"{name}[{place}] is {column[place]}; give numbers from {low} to {high - 1}")
    return column.astype(np.int64)
