"""Laws of the likelihoods: they are probabilities, and they do not care which side is called a."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from elicit.outcomes import SLIP, likelihood, strength_likelihood
from elicit.types import ChoiceOutcome, mirror

differences = st.floats(-60, 60).map(lambda x: torch.tensor([x], dtype=torch.float64))
nus = st.floats(0, 10)
outcomes = st.one_of(
    st.builds(ChoiceOutcome, st.sampled_from(["a", "b"]), st.sampled_from([None, 1, 2, 3])),
    st.sampled_from([ChoiceOutcome("tie"), ChoiceOutcome("both_bad")]),
)


def p(outcome: ChoiceOutcome, x: torch.Tensor, nu: float) -> float:
    value = likelihood(outcome, x, nu)
    assert value is not None
    return float(value)


@given(differences, nus)
def test_the_choices_are_a_distribution(x: torch.Tensor, nu: float) -> None:
    total = sum(p(ChoiceOutcome(c), x, nu) for c in ("a", "b", "tie"))  # type: ignore[arg-type]
    assert abs(total - 1) < 1e-9


@given(differences, nus)
def test_strengths_of_a_choice_sum_to_the_choice(x: torch.Tensor, nu: float) -> None:
    total = sum(p(ChoiceOutcome("a", s), x, nu) for s in (1, 2, 3))  # type: ignore[arg-type]
    assert abs(total - p(ChoiceOutcome("a"), x, nu)) < 1e-9


@given(outcomes, differences, nus)
def test_exchanging_the_sides_mirrors_the_outcome(outcome: ChoiceOutcome, x: torch.Tensor, nu: float) -> None:
    assert abs(p(outcome, x, nu) - p(mirror(outcome), -x, nu)) < 1e-12
    assert mirror(mirror(outcome)) == outcome


@given(differences, nus)
def test_no_vote_is_impossible(x: torch.Tensor, nu: float) -> None:
    share = nu / (2 + nu)
    assert p(ChoiceOutcome("a"), x, nu) >= SLIP * (1 - share) / 2 - 1e-12


@given(outcomes, st.floats(12, 60), nus)
def test_one_contrary_vote_of_any_strength_can_only_do_so_much(outcome: ChoiceOutcome, gap: float, nu: float) -> None:
    """The pull on the difference, d log p / dx, fades where the vote is more likely a slip."""
    for x in (gap, -gap):
        at = torch.tensor([x], dtype=torch.float64, requires_grad=True)
        value = likelihood(outcome, at, nu)
        assert value is not None
        (pull,) = torch.autograd.grad(value.log().sum(), at)
        contrary = (outcome.choice == "a") == (x < 0)
        if outcome.choice in ("a", "b") and contrary:
            assert abs(float(pull)) < 0.1


def test_without_ties_it_is_bradley_terry_but_for_slips() -> None:
    x = torch.linspace(-5, 5, 11, dtype=torch.float64)
    value = likelihood(ChoiceOutcome("a"), x, 0.0)
    assert value is not None
    assert torch.allclose(value, (1 - SLIP) * torch.sigmoid(x) + SLIP / 2)


def test_a_tie_is_likeliest_between_equals_and_has_davidsons_share_there() -> None:
    x = torch.linspace(-5, 5, 101, dtype=torch.float64)
    value = likelihood(ChoiceOutcome("tie"), x, 0.5)
    assert value is not None
    assert int(value.argmax()) == 50
    assert abs(float(value[50]) - 0.5 / 2.5) < 1e-12


@given(st.floats(-20, 20), st.floats(0.1, 20))
def test_a_larger_difference_makes_far_likelier_and_slightly_less_likely(x: float, more: float) -> None:
    small, large = torch.tensor(x), torch.tensor(x + more)
    assert strength_likelihood(3, large) > strength_likelihood(3, small)
    assert strength_likelihood(1, large) < strength_likelihood(1, small)


def test_a_skip_says_nothing() -> None:
    assert likelihood(ChoiceOutcome("skip"), torch.zeros(1), 0.5) is None
