"""What a machine judge favours beside quality: the answer shown first, the longer one, the better formatted one, its
own family's.

A bias is a difference of slopes. With z how much more of something a has than b, P(a is chosen) = sigmoid(z' beta) is
fitted to the judge's choices and, on the same queries, to the humans'; what the judge gives to z over what humans give
to it is the bias, in logits a unit of z. Both fits see the same queries, so the interval comes from the difference of
their influence functions (Huber 1967; each query one). A judge that chooses with less noise than humans has steeper
slopes all round: a small bias of the sign of the humans' own slope may be no more than that. Position needs no human,
as quality does not depend on the place. Where no human voted, the judge's own slope stands and `humans` is 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from elicit.stats import sigmoid
from elicit.types import Choice, Verdict

POSITION = "position"
Z95 = 1.959964
RIDGE = 1e-3
"""Keeps slopes finite where the votes are separable."""
SHARES: dict[str, float] = {"a": 1.0, "b": 0.0, "tie": 0.5, "both_bad": 0.5}


class Judged(NamedTuple):
    """One query: the judge's verdict, how much more a has of each thing than b, and the humans' votes."""

    verdict: Verdict
    gaps: Mapping[str, float] = {}
    votes: Sequence[Choice] = ()


class Bias(NamedTuple):
    """value: logits towards the answer that has one unit more (position: towards the first shown), with a 95 %
    interval. queries: how many it rests on, of them `humans` with human votes to compare with."""

    name: str
    value: float
    low: float
    high: float
    queries: int
    humans: int

    def __str__(self) -> str:
        """For a reader: "length +.42 [.10, .74] on 120 queries"."""
        alone = "" if self.humans or self.name == POSITION else ", no human votes to compare with"
        return f"{self.name} {self.value:+.2f} [{self.low:.2f}, {self.high:.2f}] on {self.queries} queries{alone}"


def biases(judged: Sequence[Judged]) -> list[Bias]:
    """Every bias of one judge that its queries tell of: position first, then the gaps by name.

    A gap is told of where it differs from 0 on two queries or more.
    """
    estimates = [] if (place := position(judged)) is None else [place]
    with_logits = [j for j in judged if j.verdict.logits]
    names = sorted({name for j in with_logits for name, gap in j.gaps.items() if gap})
    names = [name for name in names if sum(j.gaps.get(name, 0.0) != 0 for j in with_logits) > 1]
    if not names:
        return estimates
    compared = [j for j in with_logits if any(vote in SHARES for vote in j.votes)]
    used = compared if len(compared) > len(names) + 1 else with_logits
    z = np.array([[j.gaps.get(name, 0.0) for name in names] for j in used])
    slopes, influence = _slopes(z, np.array([_choice(j.verdict) for j in used]))
    if used is compared:
        human = np.array([np.mean([SHARES[v] for v in j.votes if v in SHARES]) for j in used])
        theirs, of_theirs = _slopes(z, human)
        slopes, influence = slopes - theirs, influence - of_theirs
    errors = np.sqrt((influence**2).sum(0))
    humans = len(used) if used is compared else 0
    estimates += [
        Bias(name, float(s), float(s - Z95 * e), float(s + Z95 * e), len(used), humans)
        for name, s, e in zip(names, slopes, errors, strict=True)
    ]
    return estimates


def position(judged: Sequence[Judged]) -> Bias | None:
    """How many logits the judge gives to the answer shown first; None where no two verdicts tell.

    A verdict in both orders tells by itself: half the difference of the two. Verdicts in one order tell together: half
    the difference of the means of those that showed a first and of those that showed b first.
    """
    both = np.array([(v.logits["ab"] - v.logits["ba"]) / 2 for j in judged if len((v := j.verdict).logits) == 2])
    alone = {
        order: np.array([v.logits[order] for j in judged if list((v := j.verdict).logits) == [order]])
        for order in ("ab", "ba")
    }
    parts = []
    if len(both) > 1:
        parts.append((both.mean(), both.var(ddof=1) / len(both), len(both)))
    if min(map(len, alone.values())) > 1:
        means, errors = zip(*((x.mean(), x.var(ddof=1) / len(x)) for x in alone.values()), strict=True)
        parts.append(((means[0] - means[1]) / 2, sum(errors) / 4, sum(map(len, alone.values()))))
    if not parts:
        return None
    # A judge that gives the same number every time has no spread, and its two parts weigh by their numbers alone.
    weights = np.array([1 / max(variance, 1e-9) for _, variance, _ in parts])
    value = float(weights @ [mean for mean, _, _ in parts] / weights.sum())
    error = Z95 * float(weights.sum() ** -0.5)
    return Bias(POSITION, value, value - error, value + error, sum(n for _, _, n in parts), 0)


@dataclass(frozen=True)
class PositionBias:
    """A running estimate of the position bias of one judge, shrunk to none: what `position` says, vote by vote.

    both: how many verdicts in both orders, and the sum of their half differences; ab, ba: how many in one order alone
    and the sum of their log-odds.
    """

    SHRINK = 4.0

    both: tuple[int, float] = (0, 0.0)
    alone: Mapping[str, tuple[int, float]] = field(default_factory=lambda: {"ab": (0, 0.0), "ba": (0, 0.0)})

    def after(self, verdict: Verdict) -> PositionBias:
        """With one more verdict."""
        if len(verdict.logits) == 2:
            n, total = self.both
            return replace(self, both=(n + 1, total + (verdict.logits["ab"] - verdict.logits["ba"]) / 2))
        return replace(
            self,
            alone={
                order: (n + (order in verdict.logits), total + verdict.logits.get(order, 0.0))  # type: ignore[call-overload]
                for order, (n, total) in self.alone.items()
            },
        )

    @property
    def value(self) -> float:
        """Logits towards the answer shown first."""
        n, total = self.both
        (n_ab, ab), (n_ba, ba) = self.alone["ab"], self.alone["ba"]
        m = 2 * min(n_ab, n_ba)
        if m:
            total += m * (ab / n_ab - ba / n_ba) / 2
        return total / (n + m + self.SHRINK)

    def correct(self, verdict: Verdict) -> float:
        """The verdict's log-odds that a is preferred without the bias; with both orders it cancels by itself."""
        if len(verdict.logits) != 1:
            return verdict.logit
        return verdict.logit - (self.value if "ab" in verdict.logits else -self.value)


def _choice(verdict: Verdict) -> float:
    """The share of the orders asked in which a was chosen, an even verdict counting half."""
    return float(np.mean([0.5 * (1 + np.sign(logit)) for logit in verdict.logits.values()]))


def _slopes(z: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slopes (k,) of a logistic regression without intercept of shares y (n,) on z (n, k), and the influence (n, k) of
    every query on them."""
    beta = np.zeros(z.shape[1])
    for _ in range(50):
        p = sigmoid(z @ beta)
        hessian = (z * (p * (1 - p))[:, None]).T @ z + RIDGE * np.eye(z.shape[1])
        step = np.linalg.solve(hessian, z.T @ (y - p) - RIDGE * beta)
        beta = beta + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-10:
            break
    p = sigmoid(z @ beta)
    hessian = (z * (p * (1 - p))[:, None]).T @ z + RIDGE * np.eye(z.shape[1])
    return beta, np.asarray(np.linalg.solve(hessian, (z * (y - p)[:, None]).T).T, dtype=np.float64)
