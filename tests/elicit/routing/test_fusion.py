"""Fusion: exchanging a and b flips the label, the prior is sensible, judges are known by their votes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elicit.routing.case import Case, mirror_verdict
from elicit.routing.fusion import PRIOR, Fusion
from elicit.types import Choice, ChoiceOutcome, Verdict, mirror

logits = st.floats(-8, 8)
verdicts = st.builds(
    lambda ab, ba, tie, orders: Verdict(logits={o: {"ab": ab, "ba": ba}[o] for o in orders}, tie=tie),
    logits,
    logits,
    st.none() | st.floats(0, 1),
    st.sampled_from([("ab",), ("ba",), ("ab", "ba"), ()]),
)
cases = st.builds(
    Case,
    st.floats(-5, 5),
    st.floats(0.01, 20),
    st.dictionaries(st.sampled_from(["length", "format"]), st.floats(-3, 3)),
    st.sampled_from(["", "math", "writing"]),
    st.dictionaries(st.sampled_from(["one", "two", "three"]), verdicts),
)
answers = st.sampled_from(["a", "b", "tie", "both_bad", "skip"])
histories = st.lists(st.tuples(cases, answers), max_size=6)


def exchanged(case: Case) -> Case:
    """The same case with a and b exchanged."""
    return replace(
        case,
        mean=-case.mean,
        gaps={name: -gap for name, gap in case.gaps.items()},
        verdicts={name: mirror_verdict(verdict) for name, verdict in case.verdicts.items()},
        outcomes={name: mirror(outcome) for name, outcome in case.outcomes.items()},
    )


def taught(history: Sequence[tuple[Case, Any]], mirrored: bool = False) -> Fusion:
    fusion = Fusion()
    for case, choice in history:
        done = case.answered(ChoiceOutcome(choice))
        done = exchanged(done) if mirrored else done
        fusion = fusion.after_verdicts(done).after_answers(done)
    return fusion


def judged(logit: float, judge: str = "one") -> Case:
    """A case on which the model knows nothing and a judge said `logit` in both orders."""
    return Case(0.0, 1.0, verdicts={judge: Verdict(logits={"ab": logit, "ba": logit})})


def after(n: int, right: float, judge: str = "one") -> Fusion:
    """A stack taught by n votes on verdicts of +-2, the first share `right` of which the human confirms."""
    fusion, rng = Fusion(), np.random.default_rng(0)
    for k in range(n):
        side = int(rng.integers(2)) * 2 - 1
        choice: Choice = "a" if (side > 0) == ((k * 0.618) % 1 < right) else "b"
        fusion = fusion.after_answers(judged(2.0 * side, judge).answered(ChoiceOutcome(choice)))
    return fusion


@settings(max_examples=60, deadline=None)
@given(histories, cases)
def test_exchanging_a_and_b_flips_the_log_odds_exactly(history: list[tuple[Case, Any]], case: Case) -> None:
    fusion = taught(history)
    label, turned = fusion.label(case), fusion.label(exchanged(case))
    assert turned.logit == -label.logit
    assert turned.sd == label.sd
    assert turned.probabilities == pytest.approx(label.probabilities[::-1], abs=1e-12)
    assert turned.terms == {name: -value for name, value in label.terms.items()}


@settings(max_examples=40, deadline=None)
@given(histories, cases)
def test_what_is_learnt_does_not_depend_on_which_is_called_a(history: list[tuple[Case, Any]], case: Case) -> None:
    label, other = taught(history).label(case), taught(history, mirrored=True).label(case)
    assert other.logit == pytest.approx(label.logit, abs=1e-9)
    assert other.probabilities == pytest.approx(label.probabilities, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(histories, cases, st.lists(answers, max_size=3))
def test_a_label_is_a_distribution_and_its_terms_add_up(history: Any, case: Case, said: list[Any]) -> None:
    for n, choice in enumerate(said):
        case = case.answered(ChoiceOutcome(choice), f"human {n}")
    label = taught(history).label(case)
    assert sum(label.probabilities) == pytest.approx(1)
    assert min(label.probabilities) > 0
    assert sum(label.terms.values()) == pytest.approx(label.logit, abs=1e-9)
    assert label.sd >= 0


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_without_votes_it_is_the_model_and_the_shrunk_judge(mean: float, logit: float) -> None:
    case = Case(mean, 1e-9, verdicts={"one": Verdict(logits={"ab": logit, "ba": logit})})
    assert Fusion().label(case).logit == pytest.approx(PRIOR["model"][0] * mean + PRIOR["judges"][0] * logit)


def test_judges_that_agree_count_for_more_than_one_and_less_than_their_number() -> None:
    two = Case(0.0, 1.0, verdicts={name: Verdict(logits={"ab": 1.0, "ba": 1.0}) for name in ("one", "two")})
    one = Fusion().label(judged(1.0)).logit
    assert one < Fusion().label(two).logit < 2 * one


def test_a_judge_that_is_always_wrong_is_believed_the_other_way_round_after_few_votes() -> None:
    fusion = after(8, right=0.0)
    assert fusion.weight("one", 0)[0] < 0
    assert fusion.label(judged(2.0)).choice == "b"
    assert fusion.weight("two", 0)[0] > fusion.weight("one", 0)[0]


def test_a_judge_that_says_a_whatever_comes_loses_its_weight() -> None:
    fusion = Fusion()
    for k in range(60):
        fusion = fusion.after_answers(judged(2.0).answered(ChoiceOutcome("a" if k % 2 else "b")))
    assert abs(fusion.weight("one", 0)[0]) < 0.15
    assert fusion.weight("one", 0)[0] < after(60, right=0.9).weight("one", 0)[0] / 4


def test_a_leaning_to_the_first_place_is_taken_off_verdicts_in_one_order() -> None:
    fusion = Fusion()
    for k in range(100):
        order: Any = "ab" if k % 2 else "ba"
        fusion = fusion.after_verdicts(Case(verdicts={"one": Verdict(logits={order: 2.0 if k % 2 else -2.0})}))
    leaning = Case(0.0, 1.0, verdicts={"one": Verdict(logits={"ab": 2.0})})
    assert abs(fusion.label(leaning).logit) < 0.1
    assert Fusion().label(leaning).logit > 1


def test_votes_make_it_surer() -> None:
    sd = [after(n, right=0.8).label(judged(2.0)).sd for n in (0, 10, 100)]
    assert sd[0] > sd[1] > sd[2]


@given(cases)
def test_a_human_moves_the_label_and_a_second_one_moves_it_further(case: Case) -> None:
    none, once = Fusion().label(case), Fusion().label(case.answered(ChoiceOutcome("a")))
    twice = Fusion().label(case.answered(ChoiceOutcome("a")).answered(ChoiceOutcome("a"), "other"))
    assert none.logit < once.logit < twice.logit
    tied = Fusion().label(case.answered(ChoiceOutcome("tie")))
    assert tied.probabilities.tie > none.probabilities.tie
    assert abs(tied.logit) <= abs(none.logit) + 1e-9


@given(cases, st.sampled_from(["skip", "both_bad"]))
def test_what_speaks_of_no_side_says_nothing(case: Case, choice: Any) -> None:
    done = case.answered(ChoiceOutcome(choice))
    fusion = Fusion()
    assert fusion.after_answers(done) is fusion
    assert fusion.label(done).logit == pytest.approx(Fusion().label(case).logit, abs=1e-6)


def test_it_is_calibrated_on_judges_that_err_together() -> None:
    rng = np.random.default_rng(1)
    fusion, said, came = Fusion(), [], []
    for k in range(1500):
        theta = 2 * rng.standard_normal()
        error = 1.5 * rng.standard_normal()
        heard = {n: theta + error + 0.5 * rng.standard_normal() for n in ("one", "two", "three")}
        case = Case(0.3 * theta, 1.0, verdicts={n: Verdict(logits={"ab": x, "ba": x}) for n, x in heard.items()})
        won = rng.random() < 1 / (1 + np.exp(-theta))
        if k >= 300:
            said.append(1 / (1 + np.exp(-fusion.label(case).logit)))
            came.append(float(won))
        fusion = fusion.after_answers(case.answered(ChoiceOutcome("a" if won else "b")))
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = [k for k, p in enumerate(said) if low <= p < low + 0.2]
        p, won = np.array(said)[inside], np.array(came)[inside]
        assert abs(p.mean() - won.mean()) < 4 * np.sqrt((p * (1 - p)).mean() / len(p)) + 0.02


def test_ties_become_as_frequent_as_they_are() -> None:
    fusion = Fusion()
    for k in range(200):
        fusion = fusion.after_answers(judged(1.0 if k % 2 else -1.0).answered(ChoiceOutcome("tie" if k % 2 else "b")))
    assert fusion.label(judged(0.0)).probabilities.tie > 0.4
    assert Fusion().label(judged(0.0)).probabilities.tie < 0.4


@pytest.mark.parametrize("gap", [1e-161, 1e-159, 1e-158])
def test_a_gap_of_next_to_nothing_breaks_nothing(gap: float) -> None:
    fusion, done = Fusion(), Case(0.0, 1.0, gaps={"length": gap}).answered(ChoiceOutcome("a"))
    for _ in range(3):
        fusion = fusion.after_answers(done)
    label = fusion.label(done)
    assert np.isfinite([label.logit, label.sd]).all()
