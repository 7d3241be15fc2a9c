"""What a certificate, an honest estimate and an alarm are worth on recorded labels, split again and again.

The recorded pairs are the population: audits are drawn from it with replacement, so that its own risk is the truth that
a certificate may not exceed and its own mean the truth that an interval should cover.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elicit.randomness import stream
from elicit.ranking.prediction_powered import win_rate
from elicit.routing.case import Labelled
from elicit.routing.certificate import certify, plan
from elicit.routing.drift import watch
from studies.simulation.jobs import Row

Floats = NDArray[np.float64]

AUDITS, ALPHA, DELTA = 250, 0.15, 0.1
SPLITS = 25
"""Of one run; runs over seeds and shares make the thousand."""
ASKED = 0.2
"""Share of people's votes that an estimate rests on."""
BEFORE, WORSE, STREAMS = 100, 0.2, 200
"""Audits before a drift is injected, the error that follows 10 %, and how often that is tried."""


def worth(labels: Sequence[Labelled], answers: Sequence[str], seed: int) -> Row:
    """Of labels (T,) made without people, against one person's answers (T,), over SPLITS splits.

    certified: mean share of the labels accepted at risk ALPHA after AUDITS audits; violated: share of the splits in
    which more than ALPHA of the accepted were wrong; covered: share of the splits in which the 95 % interval of the win
    rate, from a share ASKED of the answers, held it. Pairs that the person called even are left out of the first two,
    and splits with fewer than two answers out of the last.
    """
    logit = np.array([label.logit for label in labels])
    value = np.array([{"a": 1.0, "b": 0.0}.get(answer, 0.5) for answer in answers])
    sided = value != 0.5
    confidence, wrong = np.abs(logit[sided]), (logit[sided] > 0) != (value[sided] == 1)
    p = np.array([label.probabilities for label in labels])
    machine = p[:, 0] + p[:, 1] / 2
    certified, violated, covered = list[float](), list[bool](), list[bool]()
    for split in range(SPLITS if sided.any() else 0):
        rng = stream(seed, "bench/routing/audits", split)
        sample = rng.integers(len(confidence), size=AUDITS)
        certificate = certify(plan(confidence, AUDITS, alpha=ALPHA, delta=DELTA), confidence[sample], wrong[sample])
        accepted = certificate.accepts(confidence)
        certified.append(float(accepted.mean()))
        violated.append(bool(accepted.any() and wrong[accepted].mean() > ALPHA))
        again = rng.integers(len(value), size=len(value))
        people = np.where(rng.random(len(value)) < ASKED, value[again], np.nan)
        if np.isfinite(people).sum() > 1:
            low, high = win_rate(people, np.full(len(value), ASKED), machine[again]).interval()
            covered.append(low <= value.mean() <= high)
    return {
        "certified": float(np.mean(certified or [0.0])),
        "violated": float(np.mean(violated or [False])),
        "covered": float(np.mean(covered or [True])),
    }


def drift_delays() -> list[dict[str, Any]]:
    """Audits from an error of 10 % turning to WORSE until the warning and the alarm, by alpha: medians over STREAMS."""
    rows = []
    for alpha in (0.1, 0.12, 0.15):
        delays: dict[str, list[float]] = {"warned": [], "alarmed": []}
        for number in range(STREAMS):
            rng = stream(number, "bench/routing/drift", int(1000 * alpha))
            state = watch(alpha, delta=0.05).after(rng.random(BEFORE) < 0.1)
            for _ in range(40):
                if state.alarmed is not None:
                    break
                state = state.after(rng.random(25) < WORSE)
            for name, values in delays.items():
                at = getattr(state, name)
                values.append(np.inf if at is None else max(at - BEFORE, 0))
        rows.append({"alpha": alpha} | {name: float(np.median(values)) for name, values in delays.items()})
    return rows
