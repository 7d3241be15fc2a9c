"""Laws of utilities with residuals of pairs: Bradley-Terry is their limit, and circles are told from noise."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elicit import Engine, stopping
from elicit.inference.gaussian import GridPosterior
from elicit.inference.kernels import OwnCovariance
from elicit.inference.outcomes import chance, likelihood
from elicit.inference.posterior import Knowledge
from elicit.inference.residuals import ResidualPosterior, copeland_scores
from elicit.models.bradley_terry import BradleyTerry
from elicit.models.intransitive import MOST_ITEMS, Intransitive
from elicit.randomness import stream
from elicit.types import ChoiceOutcome, Vote

N = 5
PAIRS = torch.tensor([(i, j) for i in range(N) for j in range(N) if i != j])

votes = st.lists(
    st.builds(
        lambda a, step, c, s: Vote(a, (a + step) % N, ChoiceOutcome(c, s if c in ("a", "b") else None), "maya"),
        st.integers(0, N - 1),
        st.integers(1, N - 1),
        st.sampled_from(["a", "b", "tie", "both_bad", "skip"]),
        st.sampled_from([None, 1, 2, 3]),
    ),
    max_size=80,
)


def bradley_terry(n: int = N) -> GridPosterior:
    return BradleyTerry().init(n, Knowledge(), "cpu")


def with_tau(tau: float, amplitude: float = 1.0, n: int = N) -> ResidualPosterior:
    """One model of one amplitude and one tau."""
    covariance = OwnCovariance(torch.full((1, n), amplitude**2, dtype=torch.float64))
    return ResidualPosterior.over(GridPosterior.prior(covariance, [0.0]), torch.tensor([tau**2], dtype=torch.float64))


def cast(*outcomes: tuple[int, int, str]) -> list[Vote]:
    return [Vote(a, b, ChoiceOutcome(c)) for a, b, c in outcomes]  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(votes)
def test_without_residuals_it_is_bradley_terry_to_the_bit(given_votes: list[Vote]) -> None:
    plain = bradley_terry()
    alone = ResidualPosterior.over(plain, torch.zeros(plain.base.models, dtype=torch.float64))
    plain, same = plain.update(given_votes), alone.update(given_votes)
    assert torch.equal(plain.mean(), same.mean())
    assert torch.equal(plain.sd(centred=True), same.sd(centred=True))
    assert torch.equal(plain.evidence, same.evidence)
    for one, other in zip(plain.difference(PAIRS), same.difference(PAIRS), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(plain.preferences(4, stream(0, "draw")), same.preferences(4, stream(0, "draw")))
    assert torch.equal(stopping.p_best(plain, 1), stopping.p_best(same, 1))
    assert plain.best() == same.best()
    assert same.transitive
    assert torch.equal(plain.fantasize(0, 1).sd(), same.fantasize(0, 1).sd())


@settings(max_examples=30, deadline=None)
@given(votes)
def test_small_residuals_are_close_to_none(given_votes: list[Vote]) -> None:
    """The limit is approached, not only reached."""
    none, little = with_tau(0.0).update(given_votes), with_tau(1e-4).update(given_votes)
    assert torch.allclose(none.mean(), little.mean(), atol=1e-5)
    assert torch.allclose(none.difference(PAIRS).probability, little.difference(PAIRS).probability, atol=1e-5)


@pytest.mark.parametrize("tau", [0.3, 1.5])
def test_moment_matching_agrees_with_exact_integration(tau: float) -> None:
    """Three items, votes that come back to a pair: against a grid over two utility differences and two residuals."""
    given_votes = cast((0, 1, "a"), (0, 1, "a"), (1, 2, "a"), (0, 1, "b"), (0, 1, "a"), (1, 2, "b"), (1, 2, "a"))
    rng = np.random.default_rng(0)
    u = rng.standard_normal((400_000, 3))
    e = tau * rng.standard_normal((400_000, 2))
    x = {(0, 1): u[:, 0] - u[:, 1] + e[:, 0], (1, 2): u[:, 1] - u[:, 2] + e[:, 1]}
    weight, posterior = np.ones(len(u)), with_tau(tau, n=3)
    for vote in given_votes:
        lapse_rate, noise = posterior.noise.lapse_rate(""), posterior.noise
        clean = likelihood(vote.outcome, torch.as_tensor(x[vote.a, vote.b]), noise).numpy()
        weight *= (1 - lapse_rate) * clean + lapse_rate * chance(vote.outcome, noise)
        posterior = posterior.update([vote])  # type: ignore[assignment]
    weight /= weight.sum()
    mean = weight @ u
    sd = np.sqrt(weight @ (u - mean) ** 2)
    assert np.allclose(posterior.mean().numpy(), mean, atol=0.03)
    assert np.allclose(posterior.sd().numpy(), sd, atol=0.02)
    wins = posterior.difference(torch.tensor([[0, 1], [1, 2]])).probability.numpy()
    assert np.allclose(wins, [weight @ (1 / (1 + np.exp(-x[pair]))) for pair in x], atol=0.02)


@pytest.mark.parametrize("tau", [0.3, 1.0, 2.0])
def test_a_pair_asked_for_ever_tells_utilities_only_up_to_its_residual(tau: float) -> None:
    posterior = with_tau(tau).update(cast((0, 1, "a"), (0, 1, "b")) * 2000)
    least = 1 / (1 / 2 + 1 / tau**2)  # prior variance 2 of u_0 - u_1, and x known
    variance = float(posterior.difference(torch.tensor([[0, 1]])).variance)
    assert least < variance < 1.02 * least
    left = posterior.mixture(torch.tensor([[0, 1], [2, 3]])).variance[0]
    assert left[0] < 0.02
    assert left[1] == pytest.approx(2 - least)


def played(beats: dict[tuple[int, int], float], matches: int) -> list[Vote]:
    """Each pair `matches` times, won by its first with the given share, in an order that says nothing."""
    found = []
    for (a, b), p in beats.items():
        wins = round(matches * p)
        found += cast(*[(a, b, "a")] * wins, *[(a, b, "b")] * (matches - wins))
    return [found[i] for i in np.random.default_rng(0).permutation(len(found))]


def test_circles_are_told_from_noise() -> None:
    model = Intransitive()
    prior = model.init(3, Knowledge(), "cpu")
    assert prior.transitive
    turning = model.update(prior, played({(0, 1): 0.85, (1, 2): 0.85, (2, 0): 0.85}, 40), stream(0, "update"))
    assert not turning.transitive
    seen = turning.difference(torch.tensor([[0, 1], [1, 2], [2, 0]])).probability
    assert torch.allclose(seen, torch.full((3,), 0.85, dtype=torch.float64), atol=0.03)
    ordered = model.update(prior, played({(0, 1): 0.85, (1, 2): 0.85, (0, 2): 0.97}, 40), stream(0, "update"))
    assert ordered.transitive


# 0 is preferred to 1, 3 and 4, but 2 to 0 by far; nobody else is preferred to three, though 1 is so by far to 3.
COPELAND = {(0, 1): 0.7, (0, 3): 0.7, (0, 4): 0.7, (2, 0): 0.95, (1, 2): 0.95, (1, 3): 0.95}
COPELAND |= {(4, 1): 0.75, (2, 3): 0.75, (4, 2): 0.75, (3, 4): 0.75}


def test_the_copeland_winner_is_recommended_where_there_are_circles() -> None:
    given_votes, winner = played(COPELAND, 60), 0
    model = Intransitive()
    posterior = model.update(model.init(N, Knowledge(), "cpu"), given_votes, stream(0, "update"))
    assert isinstance(posterior, ResidualPosterior)
    assert not posterior.transitive
    assert int(bradley_terry().update(given_votes).mean().argmax()) != winner
    assert posterior.best() == winner
    assert stopping.best(posterior, len(given_votes)) == winner
    assert winner in posterior.shortlist(1, 0.0)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(3, 7).flatmap(
        lambda n: st.tuples(
            st.just(n), st.lists(st.integers(-2, 2), min_size=n * n, max_size=n * n), st.integers(4, 20)
        )
    ),
    st.booleans(),
)
def test_the_recommended_item_is_the_likeliest_winner_of_any_circles(
    known: tuple[int, list[int], int], fewer: bool
) -> None:
    """`best`, `p_best`, `top` and the leader of the ranking are of one mind, also with an item retired."""
    n, logits, many = known
    chances = {(a, b): 1 / (1 + np.exp(-logits[a * n + b])) for a in range(n) for b in range(a)}
    engine = Engine(n_items=n, model="intransitive", goal="top", top=2)
    engine.learn(played({**chances, (0, 1): 0.9, (1, 2): 0.9, (2, 0): 0.9}, many))
    if fewer and n > 3:
        engine.retire([n - 1])
    best = engine.best()
    assert engine.ranking()[0] == engine.top()[0] == best
    assert sorted(engine.ranking()) == list(range(n - (fewer and n > 3)))
    if not engine.live.transitive:
        assert engine.p_best()[best] == engine.p_best().max()


def test_draws_agree_with_what_is_expected_of_them() -> None:
    given_votes = played(COPELAND, 6)
    model = Intransitive()
    posterior = model.update(model.init(N, Knowledge(), "cpu"), given_votes, stream(0, "update"))
    assert isinstance(posterior, ResidualPosterior)
    draws = posterior.preferences(4000, stream(0, "draws"))
    assert torch.equal(draws, -draws.mT)
    models = torch.arange(len(posterior.evidence))
    weights, mean, variance = posterior._mixture(PAIRS, models)
    mean, variance = posterior._vote_moments(PAIRS, models, mean, variance)
    preferred = weights @ torch.special.ndtr(mean / variance.sqrt())
    drawn = (draws > 0).double().mean(0)[PAIRS[:, 0], PAIRS[:, 1]]
    assert torch.allclose(drawn, preferred, atol=0.03)
    some = posterior.preferences(4000, stream(1, "draws"), torch.tensor([4, 1]))
    assert float((some[:, 0, 1] > 0).double().mean()) == pytest.approx(
        float((draws[:, 4, 1] > 0).double().mean()), abs=0.05
    )


def test_the_copeland_winner_of_a_draw_beats_the_most_and_then_by_the_most() -> None:
    one = torch.tensor([[0.0, 1, 1, -9], [-1, 0, 5, 5], [-1, -5, 0, 1], [9, -5, -1, 0]])
    scores = copeland_scores(torch.stack([one, -one]))
    assert scores.argmax(1).tolist() == [1, brute(-one)]
    assert torch.equal(scores.floor(), torch.tensor([[2.0, 2, 1, 1], [1, 1, 2, 2]]))


def brute(draw: Tensor) -> int:
    return max(range(len(draw)), key=lambda i: (int((draw[i] > 0).sum()), float(draw[i].sum())))


@settings(max_examples=30, deadline=None)
@given(votes)
def test_folding_drops_models_and_keeps_what_votes_said(given_votes: list[Vote]) -> None:
    """Beliefs do not jump when columns are folded and light models go."""
    posterior: GridPosterior = Intransitive().init(N, Knowledge(), "cpu")
    for vote in [*given_votes, *given_votes]:
        whole = posterior._after(vote, compact=False)
        posterior = posterior._after(vote)
        assert torch.allclose(whole.difference(PAIRS).probability, posterior.difference(PAIRS).probability, atol=1e-3)
        assert isinstance(posterior, ResidualPosterior)
        assert len(posterior.tau2) == posterior.factors.values.shape[1] == len(posterior.evidence)


def test_larger_pools_are_bradley_terry() -> None:
    assert isinstance(Intransitive().init(MOST_ITEMS, Knowledge(), "cpu"), ResidualPosterior)
    assert not isinstance(Intransitive().init(MOST_ITEMS + 1, Knowledge(), "cpu"), ResidualPosterior)


def test_ids_are_asked_by_champion_and_features_by_eubo() -> None:
    assert Engine(n_items=3).ask().selector == "champion"
    assert Engine(np.eye(3)).ask().selector == "eubo"
    assert Engine(n_items=3, goal="rank").ask().selector == "eig"


def test_a_study_of_circles_stops_once_the_copeland_winner_is_known() -> None:
    engine = Engine(n_items=N)
    engine.learn(played(COPELAND, 10))
    few = engine.should_stop()
    engine.learn(played(COPELAND, 60))
    many = engine.should_stop()
    assert not few.stop
    assert many.stop
    assert many.expected < few.expected
