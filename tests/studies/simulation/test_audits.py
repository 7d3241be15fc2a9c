"""What certificates, estimates and alarms are worth, on labels whose worth is known."""

import numpy as np

from elicit.routing.dispersion import Dispersion, DispersionBelief
from studies.simulation.audits import ALPHA, BEFORE, drift_delays, worth

RNG = np.random.default_rng(0)
SAID = RNG.choice(["a", "b"], 600)


def _labels(right: np.ndarray, sure: np.ndarray) -> list[DispersionBelief]:
    sides = np.where((np.array(SAID) == "a") == right, 1.0, -1.0)
    return [DispersionBelief(float(side * logit), 0.2, Dispersion()) for side, logit in zip(sides, sure, strict=True)]


def test_labels_that_are_right_are_accepted_and_labels_by_lot_are_not() -> None:
    sure = RNG.uniform(0.5, 3, 600)
    right = worth(_labels(np.ones(600, bool), sure), SAID.tolist(), 0)
    assert right["certified"] > 0.99
    lot = worth(_labels(RNG.random(600) < 0.5, sure), SAID.tolist(), 0)
    assert lot["certified"] == 0
    assert lot["violated"] == right["violated"] == 0
    assert min(right["covered"], lot["covered"]) >= 0.8  # of 25 splits at 95 %


def test_only_the_sure_part_is_accepted_where_only_that_is_right() -> None:
    sure = RNG.uniform(0, 3, 600)
    half = worth(_labels((sure > 1.5) | (RNG.random(600) < 0.5), sure), SAID.tolist(), 0)
    assert 0.3 < half["certified"] < 0.5 + ALPHA
    assert half["violated"] <= 0.2


def test_an_injected_drift_is_caught_and_the_warning_comes_before_the_alarm() -> None:
    for row in drift_delays():
        assert 0 <= row["warned"] <= row["alarmed"]
    assert drift_delays()[0]["warned"] < BEFORE
