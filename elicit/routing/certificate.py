"""A certificate that machine labels above a threshold are wrong at most so often.

Before any audit is read, a `AuditPlan` freezes the cuts of the confidence that will be tried. Then a person labels
cases drawn uniformly at random, blind to the machine's label. Given how many of the audits fall above a cut, the number
wrong among them is binomial, so the upper bound of Clopper and Pearson (1934) is exact there. The cuts are tested in
their fixed order, from the most confident down, each at the full error probability, and the first that fails ends the
test (Maurer, Hothorn and Lehmacher 1995; for risks: Angelopoulos, Bates, Candes, Jordan and Lei 2021). An error would
have to begin with the first cut whose risk is over the target, so P(risk of the accepted > alpha) <= delta.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elicit.safe_text import percent
from elicit.stats import binomial_at_most, clopper_pearson, spending
from elicit.types import BadInputError

Floats = NDArray[np.floating[Any]]

STEP = 0.05
"""Coverage from one cut to the next. The tests are nested, so finer steps cost next to nothing."""

FIRST_COVERAGE = 0.3
FIRST_WRONG = 2
"""The first cut keeps this share of cases, or more where that is needed for it to pass with so many wrong: a smaller
one ends too many good judges by bad luck, a larger one ends those that are good on part of the cases only."""

MOST_AUDITS = 1 << 50


@dataclass(frozen=True)
class AuditPlan:
    """What was fixed before the audits of one epoch: read nothing of them first.

    alpha: the risk to be certified. delta: what this epoch may spend of the probability of a false certificate.
    audits: how many will be read. cuts: thresholds of the confidence, in the order of the tests; coverages: the shares
    of cases with at least that confidence.
    """

    epoch: int
    alpha: float
    delta: float
    audits: int
    cuts: tuple[float, ...]
    coverages: tuple[float, ...]


@dataclass(frozen=True)
class Certificate:
    """What one epoch's audits allow. `str` puts it in one sentence.

    threshold: the least confidence that is accepted, None where nothing is. coverage: the share of cases accepted.
    audits: how many were read. kept, wrong, bound: of the last cut that passed, or of the first where none did: the
    audits above it, those wrong among them, and the upper bound of the risk at the plan's delta.
    """

    plan: AuditPlan
    threshold: float | None
    coverage: float
    audits: int
    kept: int
    wrong: int
    bound: float

    def accepts(self, confidence: ArrayLike) -> NDArray[np.bool_]:
        """Whether the labels with these confidences, any shape, are accepted unseen."""
        confidences = np.asarray(confidence, float)
        return np.zeros(confidences.shape, bool) if self.threshold is None else confidences >= self.threshold

    def __str__(self) -> str:
        plan, sure = self.plan, f"with probability {percent(1 - self.plan.delta, 1)}"
        if self.audits < plan.audits:
            return f"No label is accepted yet: {self.audits} of the {plan.audits} audits of epoch {plan.epoch} are in."
        audited = f"{self.wrong} of {self.kept} audits were wrong"
        if self.threshold is None:
            return (
                f"No label is accepted: among the most confident {percent(plan.coverages[0])} of cases {audited}, "
                f"so the risk could be {percent(self.bound, 1)}, over the target of "
                f"{percent(plan.alpha, 1)} (epoch {plan.epoch})."
            )
        return (
            f"Labels with confidence {self.threshold:.3g} or more, {percent(self.coverage)} of cases, are accepted: "
            f"{audited} there, so {sure} at most {percent(self.bound, 1)} of them are, within the target of "
            f"{percent(plan.alpha, 1)} (epoch {plan.epoch})."
        )


def plan(
    confidence: ArrayLike,
    audits: int,
    *,
    alpha: float,
    delta: float,
    epoch: int = 1,
    agreement: float | None = None,
    votes: int = 1,
) -> AuditPlan:
    """The cuts that `audits` audits will be tried on, from the confidences (T,) of cases that are not audited.

    delta: the probability of a false certificate in all epochs together. agreement: how often two independent human
    votes on a case agree, where that was measured; votes: how many, odd, make up the label a machine label is audited
    against. Raises BadInputError; also where no judge could reach the target, or no audits could show it.
    """
    confidences = _confidences(confidence)
    if not len(confidences):
        raise BadInputError("there is no confidence to place cuts on; give those of cases that are not audited")
    _check_probabilities(alpha, delta)
    if agreement is not None and 1 - alpha > (most := ceiling(agreement, votes)):
        label = "one vote" if votes == 1 else f"the majority of {votes} votes"
        raise BadInputError(
            f"alpha {alpha} asks for {percent(1 - alpha, 1)} agreement with {label}, and where two people agree on "
            f"{percent(agreement, 1)} no judge can reach more than {percent(most, 1)}; give an alpha of "
            f"{1 - most:.3f} or more, or audit against the majority of more votes"
        )
    part = spending(delta, epoch)
    fewest = audits_needed(alpha, delta, epoch=epoch)
    if audits < fewest:
        raise BadInputError(
            f"{audits} audits cannot show a risk of {alpha} or less in epoch {epoch}; plan at least {fewest}"
        )
    first = min(1.0, max(FIRST_COVERAGE, audits_needed(alpha, delta, epoch=epoch, wrong=FIRST_WRONG) / audits))
    wanted = np.append(np.arange(first, 1 - STEP / 2, STEP), 1.0)
    falling = np.sort(confidences)[::-1]
    places = np.maximum(np.ceil(wanted * len(confidences) - 1e-9).astype(int) - 1, 0)
    cuts = np.unique(falling[places])[::-1]
    coverages = (confidences >= cuts[:, None]).mean(1)
    return AuditPlan(epoch, alpha, part, audits, tuple(cuts.tolist()), tuple(coverages.tolist()))


def certify(plan: AuditPlan, confidence: ArrayLike, wrong: ArrayLike) -> Certificate:
    """What the audits of an epoch allow; nothing before all that were planned are in, so that peeking gains nothing.

    confidence (n,): the machine's, of each audited case. wrong (n,) bool: whether its label differed from the
    person's. The cases must be drawn uniformly at random, and the person must not have seen the machine's label.
    Raises BadInputError.
    """
    confidences, missed = _confidences(confidence), np.asarray(wrong)
    if missed.shape != confidences.shape or (missed.size and missed.dtype.kind not in "biu"):
        raise BadInputError(
            f"wrong has shape {missed.shape} of {missed.dtype}; give a bool for each of {len(confidences)}"
        )
    if len(confidences) > plan.audits:
        raise BadInputError(
            f"{len(confidences)} audits were given and epoch {plan.epoch} planned {plan.audits}; give the first that "
            "were drawn and keep the others for the next epoch"
        )
    if len(confidences) < plan.audits:
        return Certificate(plan, None, 0.0, len(confidences), 0, 0, 1.0)
    passed: Certificate | None = None
    for cut, coverage in zip(plan.cuts, plan.coverages, strict=True):
        above = confidences >= cut
        n_accepted, errors = int(above.sum()), int(missed[above].astype(bool).sum())
        bound = clopper_pearson(errors, n_accepted, plan.delta)
        if bound > plan.alpha:
            return passed or Certificate(plan, None, 0.0, len(confidences), n_accepted, errors, bound)
        passed = Certificate(plan, cut, coverage, len(confidences), n_accepted, errors, bound)
    assert passed is not None
    return passed


def audits_needed(alpha: float, delta: float, *, epoch: int = 1, wrong: int = 0) -> int:
    """The fewest audits that can certify the risk alpha in an epoch, with so many wrong among them.

    delta: the probability of a false certificate in all epochs together. With fewer, not even audits that are all right
    would bring the upper bound down to alpha: it is their number that the bound and delta ask for, so an epoch that
    is shorter can certify nothing, and one as short as this certifies only all labels together. Raises BadInputError.
    """
    _check_probabilities(alpha, delta)
    part = spending(delta, epoch)
    numbers = range(wrong + 1, MOST_AUDITS)
    return wrong + 1 + bisect_left(numbers, True, key=lambda n: binomial_at_most(wrong, n, alpha) <= part)


def ceiling(agreement: float, votes: int = 1) -> float:
    """The agreement with a label of so many votes, odd, that no judge can exceed on all cases.

    agreement: how often two independent votes on a case, a or b, agree: the mean of p^2 + (1 - p)^2 where p is the
    share of people who would say a. With x = |2p - 1| a perfect judge agrees with one vote at the mean of (1 + x) / 2,
    and x^2 has the mean 2 agreement - 1. The chance that a majority says what most people would is a concave function
    of x^2, so by Jensen's inequality it is largest if all cases are equally hard: the figure returned. Raises
    BadInputError.
    """
    if not 0.5 <= agreement <= 1:
        raise BadInputError(f"the agreement of two votes is {agreement}; give a share from 0.5, chance, to 1")
    if votes < 1 or votes % 2 == 0:
        raise BadInputError(f"a label of {votes} votes has no sure majority; give an odd number of votes")
    return 1 - binomial_at_most(votes // 2, votes, 0.5 + 0.5 * math.sqrt(2 * agreement - 1))


def _check_probabilities(alpha: float, delta: float) -> None:
    for name, value in (("alpha", alpha), ("delta", delta)):
        if not 0 < value < 1:
            raise BadInputError(f"{name} is {value}; give a probability above 0 and below 1")


def _confidences(values: ArrayLike) -> Floats:
    confidences = np.asarray(values, float)
    if confidences.ndim != 1:
        raise BadInputError(f"confidence has shape {confidences.shape}; give one number for each case")
    if not np.isfinite(confidences).all():
        place = int((~np.isfinite(confidences)).argmax())
        raise BadInputError(f"confidence[{place}] is {confidences[place]}; give a finite number")
    return confidences
