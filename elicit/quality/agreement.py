"""How far annotators agree, beyond chance, and how far a machine could agree with them at best.

Krippendorff's alpha (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability), Cohen's kappa (1960), Fleiss'
kappa (1971) and the human ceiling. All but Cohen's depend on a case through the numbers of its votes alone, so cases
with the same numbers are one row, and a resample of 10,000 cases is one multinomial draw over a few dozen rows.

Throughout, who (V,) and which (V,) are whole numbers naming the annotator and the case of each vote, and said (V,) is
-1 for a, 0 for a tie, 1 for b, so that a < tie < b; a missing vote is absent. Of one annotator's votes on one case the
first counts, since a later one is a repeat and not a second opinion.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from elicit.types import BadInputError

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Metric = Literal["nominal", "ordinal"]

RESAMPLES = 1_000
LEVEL = 0.95
SAID = 3
"""a, tie, b: columns 0, 1, 2 of every table here."""


class AgreementInterval(msgspec.Struct, frozen=True):
    """A number with its 95 % interval; `count`: the cases it rests on, or the comparisons where it is a ceiling."""

    value: float
    low: float
    high: float
    count: int


class Agreement(msgspec.Struct, frozen=True):
    """How far the annotators of some cases agree; None where the votes do not define a number.

    alpha_nominal, alpha_ordinal: Krippendorff's, 1 for perfect agreement, 0 for that of chance. fleiss: Fleiss' kappa.
    cohen: the mean of Cohen's kappa over pairs of annotators, weighted by the cases they share.

    The ceiling is what a machine that votes as people do would reach. one: P(the votes of two people on a case are the
    same), each comparison of two votes weighing the same. one_decided: the same with ties set aside.

    cases: with two votes or more; votes: on these; annotators: who gave them.
    """

    alpha_nominal: AgreementInterval | None
    alpha_ordinal: AgreementInterval | None
    fleiss: AgreementInterval | None
    cohen: float | None
    one: AgreementInterval | None
    one_decided: AgreementInterval | None
    cases: int
    votes: int
    annotators: int


def agreement(who: ArrayLike, which: ArrayLike, said: ArrayLike, rng: np.random.Generator) -> Agreement:
    """All of it, with percentile intervals from resampled cases (Efron 1979).

    Cases are drawn and not votes, for the votes on one case depend on one another through it: votes drawn by themselves
    would be taken for more information than they are. The annotators stay the same, so the intervals speak of these
    annotators on cases like these. Resamples that leave a number undefined are left out of its interval. Raises
    BadInputError.
    """
    annotator, case, answer = _first_votes(who, which, said)
    counts = _counts(case, answer)
    rows, times = np.unique(counts, axis=0, return_counts=True)
    if not len(rows):
        return Agreement(None, None, None, None, None, None, 0, 0, 0)
    draws = rng.multinomial(len(counts), times / times.sum(), RESAMPLES)

    def estimate(statistic: Any, size: float, *options: Any) -> AgreementInterval | None:
        value = float(statistic(rows, times[None], *options)[0])
        if np.isnan(value):
            return None
        resampled = statistic(rows, draws, *options)
        low, high = np.nanquantile(resampled, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
        return AgreementInterval(value, float(low), float(high), int(size))

    sizes, decided = rows.sum(1), rows[:, ::2].sum(1)
    outvoted = np.isin(case, np.unique(case)[np.bincount(_numbers(case)) > 1])
    return Agreement(
        alpha_nominal=estimate(_alpha, len(counts), "nominal"),
        alpha_ordinal=estimate(_alpha, len(counts), "ordinal"),
        fleiss=estimate(_fleiss, len(counts)),
        cohen=_mean_cohen(annotator, case, answer),
        one=estimate(_equal_answer_rate, times @ (sizes * (sizes - 1) // 2)),
        one_decided=estimate(_equal_answer_rate, times @ (decided * (decided - 1) // 2), False),
        cases=len(counts),
        votes=int(counts.sum()),
        annotators=len(np.unique(annotator[outvoted])),
    )


def meetings(who: Ints, which: Ints) -> tuple[Ints, Ints]:
    """Rows of the votes of two people on one case: (M,) each, the annotator of the first has the smaller number."""
    order = np.lexsort((who, which))
    case = which[order]
    first: list[Ints] = [np.zeros(0, np.int64)]
    second: list[Ints] = [np.zeros(0, np.int64)]
    for apart in range(1, int(np.bincount(_numbers(case)).max(initial=0))):
        at = np.flatnonzero(case[apart:] == case[:-apart])
        first.append(order[at])
        second.append(order[at + apart])
    return np.concatenate(first), np.concatenate(second)


# -- each statistic (R,) of rows (P, 3) of counts, every one of which stands for weights (R, P) cases ----------------


def _alpha(rows: Ints, weights: Ints, metric: Metric) -> Floats:
    pairs = rows[:, :, None] * rows[:, None] - rows[:, :, None] * np.eye(SAID)
    met = weights @ (pairs / (rows.sum(1) - 1)[:, None, None]).reshape(len(rows), SAID * SAID)
    met = met.reshape(-1, SAID, SAID)
    totals = met.sum(2)
    apart = np.broadcast_to(1 - np.eye(SAID), met.shape)
    if metric == "ordinal":
        middle = totals.cumsum(1) - totals / 2
        apart = (middle[:, :, None] - middle[:, None]) ** 2
    expected = np.einsum("rc,rd,rcd->r", totals, totals, apart)
    observed = np.einsum("rcd,rcd->r", met, apart)
    return np.asarray(1 - (totals.sum(1) - 1) * _ratio(observed, expected))


def _fleiss(rows: Ints, weights: Ints) -> Floats:
    size = rows.sum(1)
    cases = weights.sum(1)
    same = _ratio(weights @ ((rows * (rows - 1)).sum(1) / (size * (size - 1))), cases)
    chance = (_ratio(weights @ (rows / size[:, None]), cases[:, None]) ** 2).sum(1)
    return _ratio(same - chance, 1 - chance)


def _equal_answer_rate(rows: Ints, weights: Ints, ties: bool = True) -> Floats:
    rows = rows * np.array([1, ties, 1])
    size = rows.sum(1)
    return _ratio(weights @ (rows * (rows - 1)).sum(1), weights @ (size * (size - 1)))


# -- parts -----------------------------------------------------------------------------------------------------------


def _mean_cohen(annotator: Ints, case: Ints, answer: Ints) -> float | None:
    first, second = meetings(annotator, case)
    if not len(first):
        return None
    size = int(annotator.max()) + 1
    _, pair = np.unique(annotator[first] * size + annotator[second], return_inverse=True)
    tables = np.zeros((int(pair.max()) + 1, SAID, SAID))
    np.add.at(tables, (pair, answer[first], answer[second]), 1)
    kappa, shared = _cohen(tables), tables.sum((1, 2))
    defined = ~np.isnan(kappa)
    return float(np.average(kappa[defined], weights=shared[defined])) if defined.any() else None


def _cohen(tables: Floats) -> Floats:
    """(P,) from tables (P, 3, 3) of how often the first said the row's answer and the second the column's."""
    shares = tables / np.maximum(tables.sum((1, 2), keepdims=True), 1)
    chance = (shares.sum(1) * shares.sum(2)).sum(1)
    same = np.trace(shares, axis1=1, axis2=2)
    return np.where(tables.sum((1, 2)) > 0, _ratio(same - chance, 1 - chance), np.nan)


def _ratio(above: Floats, below: Floats) -> Floats:
    """above / below, nan where below is zero but for rounding."""
    none = np.abs(below) < 1e-12
    return np.where(none, np.nan, above / np.where(none, 1.0, below))


def _counts(case: Ints, answer: Ints) -> Ints:
    """(K, 3) votes of each kind on the cases with two or more."""
    place = _numbers(case)
    counts = np.zeros((int(place.max(initial=-1)) + 1, SAID), np.int64)
    np.add.at(counts, (place, answer), 1)
    return np.asarray(counts[counts.sum(1) > 1])


def _numbers(values: Ints) -> Ints:
    """The values numbered from 0 in their order."""
    return np.asarray(np.unique(values, return_inverse=True)[1], np.int64)


def _first_votes(who: ArrayLike, which: ArrayLike, said: ArrayLike) -> tuple[Ints, Ints, Ints]:
    """Annotators and cases numbered from 0, and columns of answers, of the first vote of everybody on every case."""
    annotator, case, answer = _whole_numbers("who", who), _whole_numbers("which", which), _answers("said", said)
    if not len(annotator) == len(case) == len(answer):
        raise BadInputError(
            f"who has {len(annotator)} entries, which {len(case)} and said {len(answer)}; give one of each a vote"
        )
    annotator, case = _numbers(annotator), _numbers(case)
    first = np.sort(np.unique(annotator * (case.max(initial=0) + 1) + case, return_index=True)[1])
    return annotator[first], case[first], answer[first]


def _answers(name: str, values: ArrayLike) -> Ints:
    codes = _whole_numbers(name, values)
    if (bad := np.abs(codes) > 1).any():
        place = int(bad.argmax())
        raise BadInputError(f"{name}[{place}] is {codes[place]}; give -1 for a, 0 for a tie, 1 for b")
    return codes + 1


def _whole_numbers(name: str, values: ArrayLike) -> Ints:
    column: NDArray[Any] = np.asarray(values)
    if column.ndim != 1 or (len(column) and column.dtype.kind not in "iu"):
        raise BadInputError(f"{name} has shape {column.shape} of {column.dtype}; give whole numbers, one for each vote")
    return column.astype(np.int64)
