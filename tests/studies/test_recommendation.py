"""The bound on what is unacceptable: monotone, pooled, and right as often as it says."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elicit.log.events import Asked, Weighed
from elicit.types import Query
from studies.decisions import stop_of
from studies.outlook import outlook
from studies.recommendation import counts, probability_below, recommend
from tests.studies.tuning.parity import prompts, tuned

Counts = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=8)


def chances(counts: list[tuple[int, int]], limit: float) -> np.ndarray:
    shown = np.array([max(pair) for pair in counts])
    flagged = np.array([min(pair) for pair in counts])
    return probability_below(shown, flagged, limit)


@settings(max_examples=25, deadline=None)
@given(Counts, st.floats(0.02, 0.5))
def test_it_is_a_probability_and_grows_with_the_limit(counts: list[tuple[int, int]], limit: float) -> None:
    low, high = chances(counts, limit), chances(counts, min(0.99, 2 * limit))
    assert ((low >= 0) & (low <= high + 1e-9) & (high <= 1 + 1e-9)).all()


@settings(max_examples=25, deadline=None)
@given(Counts, st.integers(0, 7))
def test_a_flag_clears_nobody_and_a_clean_response_convicts_nobody(counts: list[tuple[int, int]], which: int) -> None:
    which %= len(counts)
    n, k = max(counts[which]), min(counts[which])
    flagged, clean = list(counts), list(counts)
    flagged[which], clean[which] = (n + 1, k + 1), (n + 1, k)
    before = chances(counts, 0.1)[which]
    assert chances(flagged, 0.1)[which] <= before + 1e-6
    assert chances(clean, 0.1)[which] >= before - 1e-6


def test_the_order_of_prompts_does_not_matter() -> None:
    counts = [(20, 0), (5, 2), (0, 0), (12, 1)]
    assert chances(counts, 0.1)[::-1] == pytest.approx(chances(counts[::-1], 0.1))


def test_one_prompt_alone_needs_what_the_rule_of_three_asks() -> None:
    # 59 clean responses put the rate below 5 % with 95 % (1 - .95^59); the prior costs or saves a few.
    assert chances([(30, 0)], 0.05)[0] < 0.95 < chances([(90, 0)], 0.05)[0]


def test_clean_neighbours_help_and_dirty_ones_do_not() -> None:
    alone = chances([(10, 0)], 0.1)[0]
    assert chances([(10, 0)] + [(20, 0)] * 6, 0.1)[0] > alone > chances([(10, 0)] + [(20, 10)] * 6, 0.1)[0]


def test_what_it_says_with_a_confidence_is_right_as_often() -> None:
    rng = np.random.default_rng(1)
    said, right = [], []
    for _ in range(150):
        mean, kappa = rng.uniform(), np.exp(rng.uniform(np.log(0.5), np.log(200)))
        theta = rng.beta(mean * kappa, (1 - mean) * kappa, 12)
        shown = rng.integers(0, 25, 12)
        chance = probability_below(shown, rng.binomial(shown, theta), 0.2)
        said += chance.tolist()
        right += (theta <= 0.2).tolist()
    said_, right_ = np.array(said), np.array(right)
    for low, high in ((0.2, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 1.01)):
        inside = (said_ >= low) & (said_ < high)
        error = 2.6 * (0.25 / inside.sum()) ** 0.5
        assert abs(right_[inside].mean() - said_[inside].mean()) < error


def test_who_is_quarantined_condemns_and_clears_nobody(tmp_path: Path) -> None:
    with tuned(tmp_path / "s", prompts()[:4], safety={"limit": 0.1}) as study:
        study.weigh([Weighed("zoe", 0.0, "boss", "calls everything unacceptable")])
        for judge in ("maya", "zoe"):
            query = Query(0, 1, inputs=(0,))
            study._append(Asked(query, judge, study.state.folded))
            study.tell(study.state.seq, "both_bad", judge, unacceptable=("a", "b") if judge == "zoe" else ("a",))
        shown, flagged = counts(study.spec, study.state)
        assert shown.tolist() == [1, 1, 0, 0]
        assert flagged.tolist() == [1, 0, 0, 0]


def test_nobody_may_stop_while_nothing_may_be_recommended(tmp_path: Path) -> None:
    stop = {"regret": 0.5, "confidence": 0.2}
    with tuned(tmp_path / "s", prompts()[:3], safety={"limit": 0.4, "confidence": 0.7}, stop=stop) as study:
        study._append(Asked(Query(0, 1, inputs=(0,)), "maya", study.state.folded))
        study.tell(study.state.seq, "a", "maya", unacceptable=("a",))
        assert stop_of(study.engine, study.spec).stop
        assert recommend(study.engine, study.spec, study.state) is None
        assert not outlook(study).stop
        assert "none is known to be acceptable" in outlook(study).why
        for number in range(8):  # the second prompt is clean
            study._append(Asked(Query(1, 2, inputs=(number,)), "maya", study.state.folded))
            study.tell(study.state.seq, "skip" if number else "tie", "maya", unacceptable=("b",))
        study._append(Asked(Query(0, 1, inputs=(1,)), "maya", study.state.folded))
        study.tell(study.state.seq, "a", "maya")
        assert recommend(study.engine, study.spec, study.state) == 1 != study.engine.best()
        assert outlook(study).stop
        assert "recommended item" not in outlook(study).why
