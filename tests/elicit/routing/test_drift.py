"""Laws of the drift alarm: silent while labels are as good as promised, soon heard when they are not."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elicit.randomness import stream
from elicit.routing.drift import EVERY, Drift, watch
from elicit.types import BadInputError

ALPHA, DELTA = 0.1, 0.1

alphas = st.floats(0.01, 0.6)
audits = st.lists(st.booleans(), min_size=1, max_size=60)


def mean_over_outcomes(state: Drift, rate: float) -> float:
    """The mean of the next e-value if a label is wrong with probability `rate`."""
    return rate * state.after(True).e_value + (1 - rate) * state.after(False).e_value


@given(alphas, audits)
def test_the_evidence_is_fair_at_alpha_and_loses_below(alpha: float, seen: list[bool]) -> None:
    state = watch(alpha, delta=DELTA).after(seen)
    assert math.isclose(mean_over_outcomes(state, alpha), state.e_value, rel_tol=1e-9)
    assert mean_over_outcomes(state, alpha / 2) <= state.e_value


@given(alphas, audits)
def test_the_detector_grows_by_its_fresh_stakes_alone(alpha: float, seen: list[bool]) -> None:
    state = watch(alpha, delta=DELTA).after(seen)
    fresh = state.audits % EVERY == 0
    following = alpha * sum(state.after(True).detector) + (1 - alpha) * sum(state.after(False).detector)
    assert math.isclose(following, sum(state.detector) + fresh, rel_tol=1e-9)


@given(alphas, audits, st.data())
def test_audits_may_come_one_by_one_or_at_once(alpha: float, seen: list[bool], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(seen)))
    state = watch(alpha, delta=DELTA)
    assert state.after(seen) == state.after(seen[:place]).after(seen[place:])


@given(alphas, audits)
def test_a_right_label_in_place_of_a_wrong_one_never_adds_evidence(alpha: float, seen: list[bool]) -> None:
    state = watch(alpha, delta=DELTA)
    assert state.after([*seen, False]).e_value <= state.after([*seen, True]).e_value
    assert state.after(np.zeros(len(seen))).e_value <= 1


def test_before_any_audit_there_is_no_evidence() -> None:
    assert watch(ALPHA, delta=DELTA).e_value == 1


def test_false_alarms_stay_within_delta_and_false_warnings_within_their_run_length() -> None:
    rng, runs, length = stream(0, "no drift"), 150, 600
    ends = [watch(ALPHA, delta=DELTA, run_length=length).after(rng.random(length) < ALPHA) for _ in range(runs)]
    alarms = np.mean([end.alarmed is not None for end in ends])
    assert alarms <= DELTA + 3 * math.sqrt(DELTA / runs)
    times = np.array([length if end.warned is None else end.warned for end in ends])
    # Cut off at `length`, the mean of a memoryless time with mean `length` is (1 - 1/e) of it.
    assert times.mean() >= (1 - 1 / math.e) * length - 3 * times.std() / math.sqrt(runs)


@pytest.mark.parametrize(("before", "within", "lead"), [(0, 120, -10), (200, 150, 30)])
def test_a_doubled_error_is_found_soon_and_late_in_a_stream_the_warning_comes_first(
    before: int, within: int, lead: int
) -> None:
    rng, delays, leads = stream(0, "drift", before), [], []
    for _ in range(60):
        state = watch(ALPHA, delta=DELTA).after(rng.random(before) < ALPHA).after(rng.random(700) < 2 * ALPHA)
        assert state.alarmed is not None
        assert state.warned is not None
        delays.append(state.alarmed - before)
        leads.append(state.alarmed - state.warned)
    assert np.median(delays) <= within
    assert np.median(leads) >= lead


def test_an_alarm_stays_on_and_nothing_overflows() -> None:
    state = watch(0.01, delta=DELTA).after(np.ones(500))
    assert state.alarmed is not None
    assert np.isfinite(state.e_value)
    assert state.after(np.zeros(100)).alarmed == state.alarmed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"alpha": 1.0, "delta": 0.1}, "alpha is 1.0"),
        ({"alpha": 0.1, "delta": 0.0}, "delta is 0.0"),
        ({"alpha": 0.1, "delta": 0.1, "run_length": 3}, "run_length is 3"),
    ],
)
def test_what_cannot_be_watched_is_told_in_one_sentence(arguments: dict[str, float], words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        watch(**arguments)


@pytest.mark.parametrize("wrong", [[2.0], [math.nan], [[0.0]], [-1]])
def test_an_audit_that_is_neither_right_nor_wrong_is_refused(wrong: object) -> None:
    with pytest.raises(BadInputError, match="neither right nor wrong"):
        watch(0.1, delta=0.1).after(wrong)  # type: ignore[arg-type]
