"""How far people differ on one query from what was predicted of it, and what one answer tells of the next person's.

Predicted are P(tie), and of those who name a side P(a). People's shares scatter around both from query to query: the
share of ties is Beta(c P(tie), c (1 - P(tie))), that of a among the sides Beta(d P(a), d P(b)): a tree of two
Beta-binomials (Dennis 1991). After answers the next person's are predicted by counts added to c or d predicted ones, so
that a concentration is the number of answers that a prediction is worth. Where people agree, both are small and the
label follows whoever was asked; where people are as uncertain as the prediction says, they are large.

A study learns its two concentrations by evidence over a bank of values, from queries that several people answered; the
first answer to a query is as probable under all values and tells nothing of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elicit.routing.case import Probabilities
from elicit.stats import sigmoid
from elicit.types import Choice, Outcome

Vector = NDArray[np.float64]

DECIDED: tuple[Choice, ...] = ("a", "tie", "b")
A, TIE, B = range(3)
FARTHEST = 30.0
"""Log-odds beyond which no prediction is surer."""
BANK: Vector = np.exp2(np.arange(-5.0, 8.0))
SIDES, TIES = (2.0, 3.0), (2.8, 3.0)
"""Prior of the concentrations: the median, and the factor of one standard deviation. The medians are MT-Bench's
people, two of whom agree on .83 of decided pairs and who call a tie what another called one half of the time."""


@dataclass(frozen=True, eq=False)
class Concentration:
    """A belief about a concentration: log_weights (M,), up to a constant, on values (M,)."""

    values: Vector
    log_weights: Vector

    @classmethod
    def around(cls, median: float, factor: float) -> Concentration:
        """A log-normal prior on BANK."""
        return cls(BANK, -0.5 * (np.log(BANK / median) / np.log(factor)) ** 2)

    @classmethod
    def constant(cls, value: float) -> Concentration:
        """One value, that no answer changes."""
        return cls(np.array([value]), np.zeros(1))

    @cached_property
    def weights(self) -> Vector:
        """(M,) that sum to 1."""
        w = np.exp(self.log_weights - self.log_weights.max())
        return np.asarray(w / w.sum())

    def predict(self, share: ArrayLike, same: ArrayLike, others: ArrayLike) -> Vector:
        """P(the next answer is one of a kind), any shape: share was predicted of it, and `same` answers were of that
        kind, `others` not."""
        return np.asarray(self._predict_by_value(share, same, others) @ self.weights)

    def after(self, share: ArrayLike, same: ArrayLike, others: ArrayLike) -> Concentration:
        """The belief after one more answer to a query, or to each of several; arguments as of `predict`, of the kind
        that was answered and before it was."""
        log_likelihood = np.log(self._predict_by_value(share, same, others))
        return replace(self, log_weights=self.log_weights + log_likelihood.reshape(-1, len(self.values)).sum(0))

    def bits(self, share: float, same: int, others: int) -> float:
        """Mutual information, in bits, of one more answer and the share of the people who would give it."""
        from scipy.special import entr, psi

        p, rest = self._predict_by_value(share, same, others), self._predict_by_value(1 - share, others, same)
        total = self.values + same + others
        noise = sum(q * (psi(total + 1) - psi(q * total + 1)) for q in (p, rest))
        mean = float(p @ self.weights)
        return max(float(entr(mean) + entr(1 - mean) - noise @ self.weights), 0.0) / float(np.log(2))

    def _predict_by_value(self, share: ArrayLike, same: ArrayLike, others: ArrayLike) -> Vector:
        p, k, n = (np.asarray(value, float)[..., None] for value in (share, same, others))
        return np.asarray((self.values * p + k) / (self.values + k + n))


@dataclass(frozen=True, eq=False)
class Dispersion:
    """What is believed of a study's people: the concentrations of sides and of ties."""

    sides: Concentration = field(default_factory=lambda: Concentration.around(*SIDES))
    ties: Concentration = field(default_factory=lambda: Concentration.around(*TIES))

    @classmethod
    def constant(cls, value: float) -> Dispersion:
        """One concentration of both, that no answer changes."""
        return cls(Concentration.constant(value), Concentration.constant(value))

    def after(self, x: ArrayLike, tie: ArrayLike, previous: ArrayLike, answer: ArrayLike) -> Dispersion:
        """The belief after V more answers. x, tie (V,): what was predicted of their queries; previous (V, 3): the
        answers to the same before them; answer (V,): places in DECIDED. Any of them without the axis where V is 1."""
        logits, tied, counts = np.atleast_1d(x), np.atleast_1d(tie), np.atleast_2d(previous)
        kind, side, ties = np.atleast_1d(answer), counts[:, 0] + counts[:, 2], counts[:, 1]
        even, first, names = kind == TIE, kind == A, kind != TIE
        for_a, a, b = _share(np.where(first, logits, -logits)), counts[:, A], counts[:, B]
        return Dispersion(
            self.sides.after(for_a[names], np.where(first, a, b)[names], np.where(first, b, a)[names]),
            self.ties.after(np.where(even, tied, 1 - tied), np.where(even, ties, side), np.where(even, side, ties)),
        )

    def probabilities(self, x: ArrayLike, tie: ArrayLike, previous: ArrayLike) -> Vector:
        """(..., 3) P(a), P(tie), P(b) of the next answer; x, tie (...), previous (..., 3) as of `after`."""
        logits, counts = np.asarray(x, float), np.asarray(previous, float)
        a = self.sides.predict(_share(logits), counts[..., A], counts[..., B])
        b = self.sides.predict(_share(-logits), counts[..., B], counts[..., A])
        even = self.ties.predict(tie, counts[..., TIE], counts[..., A] + counts[..., B])
        return np.stack([(1 - even) * (a / (a + b)), even, (1 - even) * (b / (a + b))], -1)


class Said(NamedTuple):
    """How many people answered what."""

    a: int = 0
    tie: int = 0
    b: int = 0


class DispersionBelief(NamedTuple):
    """What people say of one query. x: the predicted log-odds of a against b, ties aside; tie: the predicted P(tie),
    neither 0 nor 1; said: the answers so far."""

    x: float
    tie: float
    dispersion: Dispersion
    said: Said = Said()

    def after(self, outcomes: Iterable[Outcome]) -> DispersionBelief:
        """After people's answers, in any order; what is neither a, b nor tie says nothing."""
        choices = [outcome.choice for outcome in outcomes]
        more = (choices.count(choice) for choice in DECIDED)
        return self._replace(said=Said(*(n + m for n, m in zip(self.said, more, strict=True))))

    @property
    def probabilities(self) -> Probabilities:
        """Of the next person's answer."""
        return Probabilities(*self.dispersion.probabilities(self.x, self.tie, self.said).tolist())

    @property
    def logit(self) -> float:
        """Log-odds of a against b, ties aside."""
        if not self.said.a + self.said.b:
            return self.x
        sides, (a, _, b) = self.dispersion.sides, self.said
        for_a, for_b = sides.predict(_share(self.x), a, b), sides.predict(_share(-self.x), b, a)
        return float(np.log(for_a)) - float(np.log(for_b))

    @property
    def bits(self) -> float:
        """Mutual information of one person's answer and what all people would say, in bits."""
        a, tie, b = self.said
        on_side = self.dispersion.sides.bits(float(_share(self.x)), a, b)
        return self.dispersion.ties.bits(self.tie, tie, a + b) + (1 - self.probabilities.tie) * on_side


def _share(x: ArrayLike) -> Vector:
    return np.asarray(sigmoid(np.clip(x, -FARTHEST, FARTHEST)))
