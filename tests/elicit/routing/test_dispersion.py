"""Laws of what people's answers make of a prediction: every answer moves it its own way, and agreement is learnt."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elicit.routing.case import Case, Probabilities
from elicit.routing.dispersion import BANK, DECIDED, Concentration, Dispersion, DispersionBelief, Said
from elicit.routing.fusion import Fusion
from elicit.types import Choice, ChoiceOutcome, Verdict

TOLERANCE = 1e-12
choices: st.SearchStrategy[Choice] = st.sampled_from(DECIDED)
counts = st.builds(Said, st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
xs, ties = st.floats(-40, 40), st.floats(0.005, 0.995)


@st.composite
def concentrations(draw: Any) -> Concentration:
    logs = draw(st.lists(st.floats(-30, 30), min_size=len(BANK), max_size=len(BANK)))
    return Concentration(BANK, np.array(logs))


dispersions = st.builds(Dispersion, concentrations(), concentrations())
views = st.builds(DispersionBelief, xs, ties, dispersions, counts)


def answers(*said: Choice) -> list[ChoiceOutcome]:
    return [ChoiceOutcome(choice) for choice in said]


def learn(dispersion: Dispersion, view: DispersionBelief, choice: Choice) -> Dispersion:
    return dispersion.after(view.x, view.tie, view.said, DECIDED.index(choice))


def people(agreement: float, n: int, dispersion: Dispersion | None = None) -> Dispersion:
    """What is learnt from n queries on which two people named a side, a share `agreement` of them the same one."""
    found = dispersion or Dispersion()
    for k in range(n):
        alone = DispersionBelief(0.0, 0.2, found)
        found = learn(found, alone, "a")
        same = (k * 0.618) % 1 < agreement
        found = learn(found, alone.after(answers("a")), "a" if same else "b")
    return found


@settings(deadline=None)
@given(views, choices)
def test_an_answer_never_lowers_what_it_says(view: DispersionBelief, choice: Choice) -> None:
    before, after = view.probabilities, view.after(answers(choice)).probabilities
    place = DECIDED.index(choice)
    assert after[place] >= before[place] - TOLERANCE


@settings(deadline=None)
@given(views)
def test_the_three_sum_to_one_and_agree_with_the_log_odds(view: DispersionBelief) -> None:
    p = view.probabilities
    assert sum(p) == pytest.approx(1)
    assert min(p) >= 0
    if abs(view.logit) < 25:
        assert np.log(p.a / p.b) == pytest.approx(view.logit, abs=1e-6)


@settings(deadline=None)
@given(views)
def test_exchanging_a_and_b_exchanges_their_shares(view: DispersionBelief) -> None:
    a, tie, b = view.probabilities
    mirrored = view._replace(x=-view.x, said=Said(*reversed(view.said)))
    assert mirrored.probabilities == Probabilities(b, tie, a)
    assert mirrored.logit == -view.logit
    assert mirrored.bits == pytest.approx(view.bits, abs=1e-9)


@settings(deadline=None)
@given(views, st.lists(choices, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_answers_does_not_matter(view: DispersionBelief, said: list[Choice], random: Any) -> None:
    turned = list(said)
    random.shuffle(turned)
    assert view.after(answers(*turned)) == view.after(answers(*said))


@settings(deadline=None)
@given(views, st.sampled_from(["both_bad", "skip"]))
def test_what_names_neither_a_side_nor_a_tie_says_nothing(view: DispersionBelief, choice: Any) -> None:
    assert view.after([ChoiceOutcome(choice)]) == view


@settings(deadline=None)
@given(xs, ties, dispersions)
def test_without_answers_it_is_the_prediction(x: float, tie: float, dispersion: Dispersion) -> None:
    view = DispersionBelief(x, tie, dispersion)
    assert view.probabilities.tie == pytest.approx(tie)
    assert view.logit == x


@settings(deadline=None)
@given(xs, ties, dispersions)
def test_an_answer_heard_alone_tells_nothing_of_how_people_agree(x: float, tie: float, dispersion: Dispersion) -> None:
    view = DispersionBelief(x, tie, dispersion)
    for choice in DECIDED:
        learnt = learn(dispersion, view, choice)
        assert learnt.sides.weights == pytest.approx(dispersion.sides.weights)
        assert learnt.ties.weights == pytest.approx(dispersion.ties.weights)


@settings(deadline=None)
@given(views)
def test_an_answer_is_worth_no_less_than_nothing_and_no_more_than_there_is_to_know(view: DispersionBelief) -> None:
    assert 0 <= view.bits <= np.log2(3) + 1e-9


@settings(deadline=None)
@given(st.floats(0.05, 0.95))
def test_an_answer_is_worth_most_where_nothing_is_known(tie: float) -> None:
    bits = [DispersionBelief(x, tie, Dispersion()).bits for x in (0.0, 1.0, 2.0, 4.0, 8.0)]
    assert bits == sorted(bits, reverse=True)


def test_bits_are_the_mutual_information_of_an_answer_and_the_peoples_shares() -> None:
    rng = np.random.default_rng(0)
    view = DispersionBelief(
        0.8, 0.3, Dispersion(Concentration.constant(1.5), Concentration.constant(4.0)), Said(1, 0, 2)
    )
    tie = rng.beta(4 * 0.3, 4 * 0.7 + 3, 400_000)
    p = 1 / (1 + np.exp(-0.8))
    side = rng.beta(1.5 * p + 1, 1.5 * (1 - p) + 2, 400_000)
    shares = np.stack([(1 - tie) * side, tie, (1 - tie) * (1 - side)])
    mean = shares.mean(1)
    told = (shares * np.log2(np.maximum(shares, 1e-300))).sum(0).mean() - (mean * np.log2(mean)).sum()
    assert view.probabilities == pytest.approx(tuple(mean), abs=0.003)
    assert view.bits == pytest.approx(told, abs=0.005)


@pytest.mark.parametrize(("agreement", "low", "high"), [(0.97, 0.93, 1.0), (0.83, 0.78, 0.88), (0.5, 0.5, 0.56)])
def test_the_next_person_agrees_as_often_as_people_were_found_to(agreement: float, low: float, high: float) -> None:
    learnt = people(agreement, 300)
    a, _, b = DispersionBelief(0.0, 0.2, learnt).after(answers("a")).probabilities
    assert low < a / (a + b) < high


def test_where_people_agree_the_label_is_what_the_person_says_whatever_the_judges_say() -> None:
    judged = Case(verdicts={"one": Verdict({"ab": -3.5, "ba": -3.5}, tie=0.0)})
    fusion, unsure = Fusion(), Fusion()
    for k in range(100):
        case = Case(verdicts={"one": Verdict({"ab": 2.0, "ba": 2.0})})
        agree, choice = k % 20, "a" if k % 10 < 7 else "b"
        done = case.answered(ChoiceOutcome(choice), "maya")  # type: ignore[arg-type]
        other = choice if agree else "b" if choice == "a" else "a"
        both = done.answered(ChoiceOutcome(other), "noor")  # type: ignore[arg-type]
        fusion = fusion.after_answers(both)
        coin = done.answered(ChoiceOutcome("a" if k % 2 else "b"), "noor")
        unsure = unsure.after_answers(coin)
    asked = judged.answered(ChoiceOutcome("a"), "maya")
    assert fusion.label(asked).choice == "a"
    assert unsure.label(asked).choice == "b"


@settings(deadline=None)
@given(st.lists(st.tuples(xs, ties, counts, choices), max_size=6), dispersions)
def test_many_answers_teach_what_they_teach_one_by_one(
    votes: list[tuple[float, float, Said, Choice]], start: Dispersion
) -> None:
    one = start
    for x, tie, said, choice in votes:
        one = one.after(x, tie, said, DECIDED.index(choice))
    x, tie = np.array([v[0] for v in votes]), np.array([v[1] for v in votes])
    said = np.array([v[2] for v in votes]).reshape(-1, 3)
    together = start.after(x, tie, said, np.array([DECIDED.index(v[3]) for v in votes], int))
    assert together.sides.log_weights == pytest.approx(one.sides.log_weights)
    assert together.ties.log_weights == pytest.approx(one.ties.log_weights)


def test_ties_that_people_share_are_learnt() -> None:
    learnt = Dispersion()
    for k in range(100):
        view, said = DispersionBelief(0.0, 0.2, learnt), answers("tie" if k % 5 == 0 else "a")
        learnt = learn(learn(learnt, view, said[0].choice), view.after(said), said[0].choice)
    tied = DispersionBelief(0.0, 0.2, learnt).after(answers("tie")).probabilities
    assert tied.tie > 0.85
    assert DispersionBelief(0.0, 0.2, Dispersion()).after(answers("tie")).probabilities.tie < 0.6


def test_answers_told_one_by_one_teach_what_they_teach_together() -> None:
    case = Case(0.3, 1.0, verdicts={"one": Verdict({"ab": 1.0, "ba": 1.0})})
    first = case.answered(ChoiceOutcome("a"), "maya")
    both = first.answered(ChoiceOutcome("a"), "noor")
    later = Case(**{**vars(case.answered(ChoiceOutcome("a"), "noor")), "earlier": first.outcomes})
    together, apart = Fusion().after_answers(both), Fusion().after_answers(first).after_answers(later)
    assert apart.dispersion.sides.weights == pytest.approx(together.dispersion.sides.weights, abs=0.01)
    assert apart.label(case).logit == pytest.approx(together.label(case).logit)
    fresh = Fusion().after_answers(first).after_answers(case.answered(ChoiceOutcome("a"), "noor"))
    assert fresh.dispersion.sides.weights == pytest.approx(Dispersion().sides.weights)
