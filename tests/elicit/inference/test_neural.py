"""The networks: what they are trained towards, and how they are weighed in."""

import numpy as np
import pytest
import torch

from elicit.inference.averaging import AveragedPosterior
from elicit.inference.gaussian import GridPosterior
from elicit.inference.kernels import FeatureCovariance, Kernel, Prior
from elicit.inference.laplace import slopes
from elicit.inference.networks import History
from elicit.inference.noise import Noise
from elicit.inference.outcomes import likelihood
from elicit.inference.posterior import Knowledge, Posterior
from elicit.models import default, neural
from elicit.models.neural import Joined, Neural, NeuralPosterior
from elicit.plugins import registry
from elicit.types import ChoiceOutcome, Vote

N, D = 40, 6
X = np.random.default_rng(0).standard_normal((N, D))
BENT = 2 * np.abs(X[:, 0]) + X[:, 1] * (X[:, 2] > 0)
PAIRS = torch.tensor([(i, j) for i in range(N) for j in range(i)])


def cast(votes: int, u: np.ndarray = BENT, seed: int = 1) -> list[Vote]:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, N, votes)
    b = (a + rng.integers(1, N, votes)) % N
    won = rng.random(votes) < 1 / (1 + np.exp(u[b] - u[a]))
    return [Vote(int(i), int(j), ChoiceOutcome("a" if w else "b")) for i, j, w in zip(a, b, won, strict=True)]


def learn(name: str, votes: list[Vote], x: np.ndarray = X) -> Posterior:
    model = registry.model(name)
    return model.update(model.init(len(x), Knowledge(x), "cpu"), votes, np.random.default_rng(0))


def test_a_bent_utility_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neural, "TRAIN", 170)
    posterior = learn("neural", cast(600))
    assert isinstance(posterior, AveragedPosterior)
    assert np.corrcoef(posterior.mean().numpy(), BENT)[0, 1] > 0.9
    trained = posterior.parts[-1]
    assert isinstance(trained, NeuralPosterior)
    assert trained.training.generation.until > 600


def test_networks_that_grow_wide_have_the_kernel_that_is_computed() -> None:
    inputs = torch.as_tensor(X - X.mean(0)).float()
    rng, width = np.random.default_rng(3), 100_000
    first = torch.relu(inputs @ torch.as_tensor(rng.standard_normal((D, width))).float() * 2**0.5)
    drawn = (first @ first.T / width).double()
    maps = [inputs.double()]
    kernels = [Kernel("relu", 0, 1.0)]
    base = FeatureCovariance(maps, kernels, [Prior((1.0,), 1.0, 0.0, 0.0)])
    drawn = drawn - drawn.mean(0) - drawn.mean(1, keepdim=True) + drawn.mean()
    computed = base.block(torch.arange(N), torch.arange(1))[0]
    assert torch.allclose(computed, drawn / drawn.diagonal().mean(), atol=0.03, rtol=0.03)
    assert torch.allclose(base.diagonal()[0], computed.diagonal())
    between = computed.diagonal()[PAIRS].sum(1) - 2 * computed[PAIRS[:, 0], PAIRS[:, 1]]
    assert torch.allclose(base.pair_variance(PAIRS, torch.arange(1))[0], between)


def test_the_same_votes_train_the_same_networks_and_the_items_order_does_not_matter() -> None:
    votes, order = cast(60), np.random.default_rng(2).permutation(N)
    here = learn("neural", votes)
    assert torch.equal(here.mean(), learn("neural", votes).mean())
    place = {int(old): new for new, old in enumerate(order)}
    moved = [Vote(place[v.a], place[v.b], v.outcome) for v in votes]
    assert torch.allclose(here.mean()[order.tolist()], learn("neural", moved, X[order]).mean(), atol=5e-3)


def test_turning_a_vote_round_changes_nothing() -> None:
    votes = cast(40)
    turned = [Vote(v.b, v.a, ChoiceOutcome("b" if v.outcome.choice == "a" else "a")) for v in votes]
    assert torch.allclose(learn("neural", votes).mean(), learn("neural", turned).mean(), atol=1e-6)


def test_every_outcome_trains() -> None:
    words = [ChoiceOutcome("a", 3), ChoiceOutcome("tie"), ChoiceOutcome("both_bad"), ChoiceOutcome("skip")]
    votes = [Vote(v.a, v.b, words[i % 4]) for i, v in enumerate(cast(60))]
    posterior = learn("neural", votes)
    assert torch.isfinite(posterior.mean()).all()
    assert isinstance(posterior, Joined)
    assert posterior.waiting is not None
    assert len(posterior.waiting.history.rows) == 45  # a skip says nothing


def test_the_slopes_are_the_derivatives_of_the_votes_likelihood() -> None:
    history = History(torch.zeros(0, 2, dtype=torch.long), torch.zeros(0, dtype=torch.long))
    for word in (ChoiceOutcome("a"), ChoiceOutcome("tie"), ChoiceOutcome("both_bad")):
        history = history.with_vote(Vote(0, 1, word))
    x, step = torch.tensor([[0.3, -0.8, 0.1]], dtype=torch.float64), 1e-4
    first, second = slopes(x, history, history.kinds, Noise())
    up, down = (history.log_likelihood(x + d, history.kinds, Noise()) for d in (step, -step))
    middle = history.log_likelihood(x, history.kinds, Noise())
    assert torch.allclose(first, (up - down) / (2 * step), atol=1e-6)
    assert torch.allclose(second, -(up - 2 * middle + down) / step**2, atol=1e-4)
    assert float(likelihood(ChoiceOutcome("a"), x[0, 0], Noise())) < 1


def test_a_network_joins_the_default_and_counts_by_how_well_it_foretells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default, "TRAIN", 32)
    joined = learn("default", cast(200))
    assert isinstance(joined, AveragedPosterior)
    assert len(joined.parts) == 2
    assert abs(float(joined.weights.sum()) - 1) < 1e-9
    low, high = (torch.stack([getattr(part.mean(), w)() for part in joined.parts]) for w in ("min", "max"))
    assert low.min() - 1e-9 <= float(joined.mean().min()) <= float(joined.mean().max()) <= high.max() + 1e-9
    there, back = joined.difference(PAIRS), joined.difference(PAIRS.flip(1))
    assert torch.allclose(there.probability + back.probability, torch.ones(len(PAIRS), dtype=torch.float64))
    mixture = joined.mixture(PAIRS)
    assert torch.corrcoef(torch.stack([mixture.weights @ mixture.mean, there.mean]))[0, 1] > 0.999
    draws = joined.sample(4000, np.random.default_rng(0))
    assert torch.allclose(draws.mean(0), joined.mean(), atol=0.2)
    assert torch.allclose(draws.std(0), joined.sd(), rtol=0.2)
    narrowed = joined.fantasize(0, 1)
    assert torch.equal(narrowed.mean(), joined.mean())
    worse = AveragedPosterior((joined.parts[0], _doubtful(joined.parts[1])))
    assert float(worse.weights[1]) < float(joined.weights[1])


def test_nothing_is_made_for_networks_before_the_first_one_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default, "TRAIN", 32)
    for votes, trains in ((31, False), (40, True)):
        joined = learn("default", cast(votes))
        assert isinstance(joined, default.Joined)
        assert joined.waiting is not None
        assert ("components" in vars(joined.waiting.inputs)) == bool(joined.waiting.generation.weights) == trains


def _doubtful(part: GridPosterior) -> GridPosterior:
    from dataclasses import replace

    return replace(part, evidence=part.evidence - 5.0)


def test_large_pools_and_bare_ids_are_left_to_the_other_models() -> None:
    rng = np.random.default_rng(0)
    assert isinstance(default.Default().init(20_001, Knowledge(rng.standard_normal((20_001, 3))), "cpu"), GridPosterior)
    assert isinstance(default.Default().init(5, Knowledge(), "cpu"), GridPosterior)
    assert isinstance(Neural().init(4001, Knowledge(rng.standard_normal((4001, 3))), "cpu"), NeuralPosterior)
