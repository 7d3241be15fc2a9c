"""One calibrated label out of a utility model, machine judges and human votes.

Judges err together, so their log-odds are stacked (Wolpert 1992) and not multiplied: x = f'w, where the features f
change sign when a and b are exchanged and w ~ N(mean, covariance) is learnt from human votes only. Outcomes follow
Davidson (1970): P(a), P(tie), P(b) proportional to exp(x/2), nu, exp(-x/2), and nu has a regression of its own on what
does not change sign (orders that disagree, ties the judges gave). Both are updated vote by vote by matching moments
along the one direction the vote speaks of (assumed density filtering, Minka 2001), so a vote costs O(d^2), nothing is
fitted again, and every label has a standard deviation.

The prior is the label without human votes: the model's log-odds at its word, the judges' shrunk as correlated judges
must be. What one human says of this very query moves its label by more than the stack, as far as humans are found to
agree on a query beyond what was predicted of it (`elicit.routing.dispersion`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from elicit.routing.bias import PositionBias
from elicit.routing.case import Case, Probabilities
from elicit.routing.dispersion import DECIDED, Dispersion, DispersionBelief
from elicit.stats import gauss_hermite
from elicit.types import Choice

Vector = NDArray[np.float64]

PRIOR: dict[str, tuple[float, float]] = {
    "model": (0.8, 0.4),
    "alone": (0.0, 0.3),
    "judges": (0.6, 0.3),
    "judge": (0.0, 0.6),
    "gap": (0.0, 0.4),
    "topic": (0.0, 0.25),
}
"""Mean and sd of the weights by the kind of term: the first word of its name."""
TIE_PRIOR: dict[str, tuple[float, float]] = {
    "even": (-0.5, 0.5),
    "flips": (0.7, 0.5),
    "ties": (0.7, 0.5),
    "absent": (0.0, 0.5),
}
"""The same for log nu."""
CORRELATION = 0.6
"""Of two judges' errors, as the verdicts of several are weighed."""
LOUDEST = 4.0
"""Log-odds a single verdict may state: models that judge are surer than right."""
LAPSE_RATE = 0.02


class Label(NamedTuple):
    """probabilities: of a vote by one more human. logit: log-odds of a against b, ties aside, with its sd. terms: what
    made it, in logits; they sum to it."""

    probabilities: Probabilities
    logit: float
    sd: float
    terms: Mapping[str, float]

    @property
    def choice(self) -> Choice:
        """The most probable outcome."""
        return DECIDED[int(np.argmax(self.probabilities))]

    def __str__(self) -> str:
        """For a reader: "a .81 (model +0.90, judges +0.70, human -0.15)"."""
        parts = sorted(self.terms.items(), key=lambda term: -abs(term[1]))
        text = ", ".join(f"{name} {value:+.2f}" for name, value in parts if abs(value) >= 0.005)
        return f"{self.choice} {max(self.probabilities):.2f} ({text or 'nothing known'})"


@dataclass(frozen=True, eq=False)
class FusionWeights:
    """A Gaussian belief about named weights; a name not met before comes with its prior, independent of the rest."""

    prior: Mapping[str, tuple[float, float]]
    names: tuple[str, ...] = ()
    mean: Vector = field(default_factory=lambda: np.zeros(0))
    covariance: Vector = field(default_factory=lambda: np.zeros((0, 0)))

    def knowing(self, names: Sequence[str]) -> FusionWeights:
        """The belief with these names in it."""
        fresh = [name for name in names if name not in self._places]
        if not fresh:
            return self
        priors = np.array([self.prior[name.split(" ")[0]] for name in fresh])
        n = len(self.names)
        covariance = np.zeros((n + len(fresh),) * 2)
        covariance[:n, :n] = self.covariance
        covariance[range(n, len(covariance)), range(n, len(covariance))] = priors[:, 1] ** 2
        return FusionWeights(self.prior, (*self.names, *fresh), np.append(self.mean, priors[:, 0]), covariance)

    def row(self, features: Mapping[str, float]) -> Vector:
        """The features (d,) in the names' order; every name is known."""
        row = np.zeros(len(self.names))
        for name, value in features.items():
            row[self._places[name]] = value
        return row

    def with_projection(self, row: Vector, mean: float, variance: float) -> FusionWeights:
        """The belief after row'w, Gaussian before, has come to this mean and variance."""
        c = self.covariance @ row
        before, m = float(row @ c), float(row @ self.mean)
        if before < np.finfo(float).tiny:  # over less there is no dividing
            return self
        shrink = max(1 - variance / before, 0.0) / before
        return replace(
            self, mean=self.mean + c * ((mean - m) / before), covariance=self.covariance - shrink * np.outer(c, c)
        )

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}


@dataclass(frozen=True, eq=False)
class Fusion:
    """The stack. Immutable: what it learns gives a new one. votes: human votes learnt from."""

    weights: FusionWeights = field(default_factory=lambda: FusionWeights(PRIOR))
    evenness: FusionWeights = field(default_factory=lambda: FusionWeights(TIE_PRIOR))
    places: Mapping[str, PositionBias] = field(default_factory=dict)
    dispersion: Dispersion = field(default_factory=Dispersion)
    votes: int = 0

    # -- features ---------------------------------------------------------------------------------------------

    def features(self, case: Case) -> dict[str, float]:
        """What changes sign with a and b, by the name of its weight.

        "model": the utility model's log-odds, moderated by its variance. "alone": the same where no judge was heard.
        "judges": the sum of the judges' log-odds, debiased, each divided by 1 + (n - 1) CORRELATION, n being how many
        were heard. "judge NAME": what one of them adds over what all have in common. "topic NAME": the judges' sum on
        that topic alone. "gap NAME".
        """
        logits = {
            judge: float(np.clip(self._place(judge).correct(verdict), -LOUDEST, LOUDEST))
            for judge, verdict in case.verdicts.items()
            if verdict.logits
        }
        share = 1 + (len(logits) - 1) * CORRELATION
        values = {"model": case.moderated}
        if not logits:
            values["alone"] = values["model"]
        else:
            values["judges"] = sum(logits.values()) / share
            values |= {f"judge {judge}": logit / share for judge, logit in logits.items()}
            if case.topic:
                values[f"topic {case.topic}"] = values["judges"]
        return values | {f"gap {name}": gap for name, gap in case.gaps.items()}

    @staticmethod
    def symmetric(case: Case) -> dict[str, float]:
        """What does not change sign: 1, the share of the judges whose orders disagree, the mean tie they gave, and the
        share of those asked who could not answer."""
        verdicts = list(case.verdicts.values())
        absent = sum(name not in case.verdicts and name not in case.outcomes for name in case.asked)
        values = {"even": 1.0} | ({"absent": absent / len(case.asked)} if absent else {})
        if not verdicts:
            return values
        return values | {
            "flips": float(np.mean([verdict.flips for verdict in verdicts])),
            "ties": float(np.mean([verdict.tie or 0.0 for verdict in verdicts])),
        }

    def _place(self, judge: str) -> PositionBias:
        return self.places.get(judge, PositionBias())

    # -- learning ---------------------------------------------------------------------------------------------

    def after_verdicts(self, case: Case) -> Fusion:
        """The stack that has seen the judges' verdicts on a case, which tell of their leaning to a place."""
        with_projection = {judge: self._place(judge).after(verdict) for judge, verdict in case.verdicts.items()}
        return replace(self, places={**self.places, **with_projection}) if with_projection else self

    def after_answers(self, case: Case) -> Fusion:
        """The stack after the humans' answers to a case; what is neither a, b nor tie says nothing, and what was told
        earlier is only compared with."""
        fusion, dispersion = self, self.dispersion
        view = self.view(case.unanswered).after(case.earlier.values())
        for outcome in case.outcomes.values():
            if outcome.choice in DECIDED:
                fusion, answer = fusion._after(case, outcome.choice), DECIDED.index(outcome.choice)
                dispersion = dispersion.after(view.x, view.tie, view.said, answer)
                view = view.after([outcome])
        return fusion if fusion is self else replace(fusion, dispersion=dispersion)

    def _after(self, case: Case, choice: Choice) -> Fusion:
        features, even = self.features(case), self.symmetric(case)
        weights, evenness = self.weights.knowing(list(features)), self.evenness.knowing(list(even))
        row, level = weights.row(features), evenness.row(even)
        x, variance = float(row @ weights.mean), float(row @ weights.covariance @ row)
        t, spread = float(level @ evenness.mean), float(level @ evenness.covariance @ level)
        mean, after = _match(x, variance, lambda nodes: outcomes(nodes, t)[DECIDED.index(choice)])
        even_mean, even_after = _match(t, spread, lambda nodes: outcomes(np.array(x), nodes)[DECIDED.index(choice)])
        return replace(
            self,
            weights=weights.with_projection(row, mean, after),
            evenness=evenness.with_projection(level, even_mean, even_after),
            votes=self.votes + 1,
        )

    # -- labels -----------------------------------------------------------------------------------------------

    def label(self, case: Case) -> Label:
        """The label of a case by all that is known of it, the humans' answers to it among that."""
        features = self.features(case)
        weights = self.weights.knowing(list(features))
        row = weights.row(features)
        x, variance = float(row @ weights.mean), float(row @ weights.covariance @ row)
        terms = dict(zip(weights.names, (row * weights.mean).tolist(), strict=True))
        view = self._view(x, case)
        terms["human"] = view.logit - x
        return Label(view.probabilities, view.logit, float(np.sqrt(variance)), {k: v for k, v in terms.items() if v})

    def view(self, case: Case) -> DispersionBelief:
        """What is believed about what humans would say of a case."""
        features = self.features(case)
        weights = self.weights.knowing(list(features))
        return self._view(float(weights.row(features) @ weights.mean), case)

    def _view(self, x: float, case: Case) -> DispersionBelief:
        tie = float(outcomes(np.array(x), self._log_nu(case))[1])
        return DispersionBelief(x, tie, self.dispersion).after([*case.earlier.values(), *case.outcomes.values()])

    def _log_nu(self, case: Case) -> float:
        even = self.symmetric(case)
        evenness = self.evenness.knowing(list(even))
        return float(evenness.row(even) @ evenness.mean)

    def weight(self, judge: str, n_others: int) -> tuple[float, float]:
        """Mean and variance of what one logit of a judge would add to x where `n_others` others are known."""
        weights = self.weights.knowing(["judges", f"judge {judge}"])
        row = weights.row({"judges": 1.0, f"judge {judge}": 1.0}) / (1 + n_others * CORRELATION)
        return float(row @ weights.mean), float(row @ weights.covariance @ row)


def outcomes(x: Vector, log_nu: Vector | float, lapse_rate: float = LAPSE_RATE) -> Vector:
    """P(a), P(tie), P(b) at log-odds x, of x's or log_nu's shape behind a first axis of 3; a share of slips is even
    among the three."""
    x, t = np.broadcast_arrays(x, log_nu)
    logits = np.stack([x / 2, t, -x / 2])
    p = np.exp(logits - logits.max(0))
    return np.asarray((1 - lapse_rate) * p / p.sum(0) + lapse_rate / 3)


def _match(mean: float, variance: float, likelihood: Callable[[Vector], Vector]) -> tuple[float, float]:
    """Mean and variance of x ~ N(mean, variance) after a vote of this likelihood."""
    if variance <= 0:
        return mean, variance
    nodes, weights = gauss_hermite(31)
    x = mean + variance**0.5 * nodes
    mass = weights * likelihood(x)
    mass = mass / mass.sum()
    after = float(mass @ x)
    return after, float(mass @ (x - after) ** 2)
