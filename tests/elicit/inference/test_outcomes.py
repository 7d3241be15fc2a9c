"""Laws of the likelihoods: they are probabilities, and they do not care which side is called a."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from elicit.inference.gaussian import moments_after
from elicit.inference.noise import SLIPS, Noise
from elicit.inference.outcomes import chance, likelihood, strength_likelihood
from elicit.types import ChoiceOutcome, mirror

differences = st.floats(-60, 60).map(lambda x: torch.tensor([x], dtype=torch.float64))
noises = st.builds(Noise, st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
outcomes = st.one_of(
    st.builds(ChoiceOutcome, st.sampled_from(["a", "b"]), st.sampled_from([None, 1, 2, 3])),
    st.just(ChoiceOutcome("tie")),
)


def p(outcome: ChoiceOutcome, x: torch.Tensor, noise: Noise) -> float:
    return float(likelihood(outcome, x, noise))


@given(differences, noises)
def test_the_choices_are_a_distribution(x: torch.Tensor, noise: Noise) -> None:
    words = [ChoiceOutcome(c) for c in ("a", "b", "tie")]  # type: ignore[arg-type]
    assert abs(sum(p(word, x, noise) for word in words) - 1) < 1e-9
    assert abs(sum(chance(word, noise) for word in words) - 1) < 1e-9


@given(differences, noises)
def test_strengths_of_a_choice_sum_to_the_choice(x: torch.Tensor, noise: Noise) -> None:
    total = sum(p(ChoiceOutcome("a", s), x, noise) for s in (1, 2, 3))  # type: ignore[arg-type]
    assert abs(total - p(ChoiceOutcome("a"), x, noise)) < 1e-9


@given(outcomes, differences, noises)
def test_exchanging_the_sides_mirrors_the_outcome(outcome: ChoiceOutcome, x: torch.Tensor, noise: Noise) -> None:
    assert abs(p(outcome, x, noise) - p(mirror(outcome), -x, noise)) < 1e-12
    assert mirror(mirror(outcome)) == outcome


@given(outcomes, st.floats(12, 60), noises)
def test_one_contrary_vote_of_any_strength_can_only_do_so_much(
    outcome: ChoiceOutcome, gap: float, noise: Noise
) -> None:
    """Where a vote is more likely a slip than meant, it hardly moves the difference."""
    for x in (gap, -gap):
        d, s2 = torch.tensor([x], dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        site = moments_after(outcome, d, s2, noise, 0.02)
        assert 0 < float(site.z) <= 1
        if outcome.choice in ("a", "b") and (outcome.choice == "a") == (x < 0):
            assert abs(float(site.mean - d)) < 0.1


def test_without_ties_it_is_bradley_terry() -> None:
    x = torch.linspace(-5, 5, 11, dtype=torch.float64)
    none = Noise(decided=10**9)
    assert torch.allclose(likelihood(ChoiceOutcome("a"), x, none), torch.sigmoid(x), atol=1e-6)


def test_both_bad_says_that_the_two_are_low_and_more_so_where_it_is_seldom_said() -> None:
    x = torch.linspace(-5, 5, 11, dtype=torch.float64)
    often, seldom = Noise(decided=10, bad=10), Noise(decided=1000, bad=10)
    assert seldom.bar < often.bar
    for noise in (often, seldom):
        assert (likelihood(ChoiceOutcome("both_bad"), x, noise).diff() < 0).all()
    at_zero = torch.zeros(1, dtype=torch.float64)
    assert abs(p(ChoiceOutcome("both_bad"), at_zero, often) - chance(ChoiceOutcome("both_bad"), often)) < 1e-12


@given(st.sampled_from([0.02, 0.2, 0.7]), st.integers(0, 3))
def test_a_judges_slips_are_found_and_leave_the_others_alone(share: float, seed: int) -> None:
    """A judge that answers at random in `share` of the votes, on pairs where the better one wins 19 of 20."""
    rng, noise = np.random.default_rng(seed), Noise()
    for _ in range(600):
        right = rng.random() < (0.5 if rng.random() < share else 0.95)
        noise = noise.after(ChoiceOutcome("a"), "hasty", 0.95 if right else 0.05, 0.5)
    assert abs(noise.lapse_rate("hasty") - share) < 0.1
    assert noise.lapse_rate("maya") == Noise().lapse_rate("maya")
    assert SLIPS[0] <= noise.lapse_rate() <= SLIPS[-1]


def test_a_tie_is_likeliest_between_equals_and_has_davidsons_share_there() -> None:
    x = torch.linspace(-5, 5, 101, dtype=torch.float64)
    noise = Noise(decided=30, ties=20)
    value = likelihood(ChoiceOutcome("tie"), x, noise)
    assert int(value.argmax()) == 50
    assert abs(float(value[50]) - noise.nu / (2 + noise.nu)) < 1e-12


@given(st.floats(-20, 20), st.floats(0.1, 20))
def test_a_larger_difference_makes_far_likelier_and_slightly_less_likely(x: float, more: float) -> None:
    small, large = torch.tensor(x), torch.tensor(x + more)
    assert strength_likelihood(3, large) > strength_likelihood(3, small)
    assert strength_likelihood(1, large) < strength_likelihood(1, small)


def test_a_skip_says_nothing() -> None:
    assert likelihood(ChoiceOutcome("skip"), torch.zeros(3), Noise()).tolist() == [1, 1, 1]
