"""The contract of utility models: every model in `elicit/models` is held to these laws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elicit import stopping
from elicit.inference.averaging import AveragedPosterior
from elicit.inference.columns import CHUNK
from elicit.inference.gaussian import DECIDED, KEPT, GridPosterior
from elicit.inference.outcomes import chance, likelihood
from elicit.inference.posterior import Knowledge, Posterior, UtilityModel
from elicit.plugins import registry
from elicit.randomness import stream
from elicit.types import BadInputError, ChoiceOutcome, Vote, mirror

LOW_RANK = "gp of low rank"
MODELS = [*registry.names("model"), LOW_RANK]
N, D = 9, 4
FEATURES = np.random.default_rng(1).standard_normal((N, D))

votes = st.lists(
    st.builds(
        lambda a, step, c, s: Vote(a, (a + step) % N, ChoiceOutcome(c, s if c in ("a", "b") else None)),
        st.integers(0, N - 1),
        st.integers(1, N - 1),
        st.sampled_from(["a", "b", "tie", "both_bad", "skip"]),
        st.sampled_from([None, 1, 2, 3]),
    ),
    max_size=12,
)
pairs = torch.tensor([(i, j) for i in range(N) for j in range(N) if i != j])


def model_called(name: str) -> UtilityModel:
    return registry.model("gp", {"exact": 1}) if name == LOW_RANK else registry.model(name)


def learn(name: str, given_votes: list[Vote], features: np.ndarray = FEATURES) -> Posterior:
    model = model_called(name)
    return model.update(model.init(len(features), Knowledge(features), "cpu"), given_votes, stream(0, "update"))


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=8)
@given(votes)
def test_exchanging_a_and_b_in_the_votes_changes_nothing(name: str, given_votes: list[Vote]) -> None:
    turned = [Vote(v.b, v.a, mirror(v.outcome)) for v in given_votes]
    assert torch.allclose(learn(name, given_votes).mean(), learn(name, turned).mean(), atol=1e-9)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=8)
@given(votes, st.permutations(range(N)))
def test_the_order_of_the_items_does_not_matter(name: str, given_votes: list[Vote], order: list[int]) -> None:
    place = {old: new for new, old in enumerate(order)}
    moved = [Vote(place[v.a], place[v.b], v.outcome) for v in given_votes]
    here, there = learn(name, given_votes), learn(name, moved, FEATURES[order])
    assert torch.allclose(here.mean()[list(order)], there.mean(), atol=1e-7)
    assert torch.allclose(here.sd()[list(order)], there.sd(), atol=1e-7)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=8)
@given(votes)
def test_beliefs_are_coherent(name: str, given_votes: list[Vote]) -> None:
    posterior = learn(name, given_votes)
    difference = posterior.difference(pairs)
    back = posterior.difference(pairs.flip(1))
    assert torch.allclose(difference.probability + back.probability, torch.ones(len(pairs), dtype=torch.float64))
    assert torch.allclose(difference.mean, -back.mean, atol=1e-9)
    assert torch.allclose(difference.mean, posterior.mean()[pairs[:, 0]] - posterior.mean()[pairs[:, 1]], atol=1e-4)
    assert (difference.variance >= 0).all()
    assert abs(float(stopping.p_best(posterior, len(given_votes)).sum()) - 1) < 1e-9
    mixture = posterior.mixture(pairs)
    assert abs(float(mixture.weights.sum()) - 1) < 1e-9


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=8)
@given(votes, st.integers(0, 12))
def test_votes_one_by_one_teach_what_they_teach_together(name: str, given_votes: list[Vote], cut: int) -> None:
    model = model_called(name)
    whole = learn(name, given_votes)
    parts = model.update(learn(name, given_votes[:cut]), given_votes[cut:], stream(0, "update"))
    assert torch.equal(whole.mean(), parts.mean())
    assert torch.equal(whole.sd(), parts.sd())


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=8)
@given(votes, st.lists(st.sampled_from(["a", "b", "tie", "skip"]), min_size=2, max_size=5))
def test_beliefs_that_branch_do_not_disturb_each_other(name: str, given_votes: list[Vote], answers: list[str]) -> None:
    """Looking ahead makes siblings that share their columns; each must be as if it were alone."""
    model, rng = model_called(name), stream(0, "update")
    parent = learn(name, given_votes)
    first = [Vote(0, 1, ChoiceOutcome(answer)) for answer in answers]  # type: ignore[arg-type]
    children = [model.update(parent, [vote], rng) for vote in first]
    grown = [model.update(child, [Vote(2, 3 + i % 3, ChoiceOutcome("a"))], rng) for i, child in enumerate(children)]
    for i, (vote, posterior) in enumerate(zip(first, grown, strict=True)):
        alone = learn(name, [*given_votes, vote, Vote(2, 3 + i % 3, ChoiceOutcome("a"))])
        assert torch.equal(alone.mean(), posterior.mean())
        assert torch.equal(alone.sd(), posterior.sd())


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=8)
@given(votes, st.integers(0, N - 1), st.integers(1, N - 1))
def test_a_vote_to_come_narrows_and_moves_nothing(name: str, given_votes: list[Vote], a: int, step: int) -> None:
    posterior = learn(name, given_votes)
    narrowed = posterior.fantasize(a, (a + step) % N)
    assert torch.equal(posterior.mean(), narrowed.mean())
    assert (narrowed.difference(pairs).variance <= posterior.difference(pairs).variance + 1e-9).all()
    if not isinstance(posterior, GridPosterior):
        return
    assert isinstance(narrowed, GridPosterior)
    b = (a + step) % N
    after = [posterior._after(Vote(a, b, o), compact=False) for o in DECIDED]  # the law of total expectation, per model
    z = [(child.evidence - posterior.evidence).exp()[:, None] for child in after]
    expected = sum(p * child.v for p, child in zip(z, after, strict=True))
    assert torch.allclose(torch.as_tensor(expected), narrowed.v, atol=1e-6)
    assert (narrowed.difference(pairs).variance <= posterior.difference(pairs).variance + 1e-9).all()


@pytest.mark.parametrize("name", MODELS)
def test_a_planted_order_is_recovered_and_intervals_cover(name: str) -> None:
    """90 % intervals of utilities drawn as the model believes them to be cover 85 to 95 %."""
    covered, total, alone, agreement = 0, 0, 0, []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n, features = 20, rng.standard_normal((20, 5))
        model = model_called(name)
        prior = model.init(n, Knowledge(features), "cpu")
        u = prior.sample(1, rng)[0].numpy()
        a = rng.integers(0, n, 300)
        b = (a + rng.integers(1, n, 300)) % n
        win = rng.random(300) < 1 / (1 + np.exp(u[b] - u[a]))
        cast = [Vote(int(i), int(j), ChoiceOutcome("a" if w else "b")) for i, j, w in zip(a, b, win, strict=True)]
        posterior = model.update(prior, cast, rng)
        centred = posterior.mean().numpy() - posterior.mean().numpy().mean()
        off = np.abs(u - u.mean() - centred)
        alone += int((off < 1.6449 * posterior.sd(centred=True).numpy()).sum())
        differences = posterior.difference(torch.tensor([(i, j) for i in range(n) for j in range(i)]))
        truth = np.array([u[i] - u[j] for i in range(n) for j in range(i)])
        inside = np.abs(truth - differences.mean.numpy()) < 1.6449 * differences.variance.sqrt().numpy()
        covered, total = covered + int(inside.sum()), total + len(inside)
        agreement.append(np.corrcoef(posterior.mean().numpy(), u)[0, 1])
    assert 0.85 <= covered / total <= 0.95, covered / total
    assert 0.85 <= alone / (20 * len(agreement)) <= 0.95, alone / (20 * len(agreement))
    assert np.median(agreement) > 0.9


@pytest.mark.parametrize("name", MODELS)
def test_moment_matching_agrees_with_exact_integration(name: str) -> None:
    """Two items, one utility difference: the exact posterior by brute force on a grid, over the same prior."""
    model = model_called(name)
    features = FEATURES[:2]
    cast = [Vote(0, 1, ChoiceOutcome(c)) for c in ("a", "a", "b", "a")]  # type: ignore[arg-type]
    begun = model.init(2, Knowledge(features), "cpu")
    prior = begun.parts[0] if isinstance(begun, AveragedPosterior) else begun
    assert isinstance(prior, GridPosterior)
    mixture = prior._mixture(torch.tensor([[0, 1]]), torch.arange(prior.base.models))
    x = torch.linspace(-40, 40, 8001, dtype=torch.float64)
    density = sum(
        w * torch.exp(-0.5 * (x - m) ** 2 / v) / v.sqrt()
        for w, m, v in zip(mixture.weights, mixture.mean[:, 0], mixture.variance[:, 0], strict=True)
    )
    assert isinstance(density, torch.Tensor)
    posterior = prior
    for vote in cast:
        lapse_rate = posterior.noise.lapse_rate("")
        clean = likelihood(vote.outcome, x, posterior.noise)
        density = density * ((1 - lapse_rate) * clean + lapse_rate * chance(vote.outcome, posterior.noise))
        posterior = posterior.update([vote])
    density /= density.sum()
    mean = (density * x).sum()
    sd = ((density * x**2).sum() - mean**2).sqrt()
    found = posterior.difference(torch.tensor([[0, 1]]))
    assert abs(found.mean - mean) < 0.05 * sd
    assert abs(found.variance.sqrt() / sd - 1) < 0.1


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "outcome", [ChoiceOutcome("tie"), ChoiceOutcome("a"), ChoiceOutcome("a", 3)], ids=["ties", "wins", "far"]
)
def test_many_votes_on_one_pair_stay_finite(name: str, outcome: ChoiceOutcome) -> None:
    cast = [Vote(0, 1, outcome)] * (3_000 if name == "bradley_terry" else 400)
    posterior = learn(name, cast, FEATURES[:3])
    assert torch.isfinite(posterior.mean()).all()
    assert (posterior.sd() >= 0).all()
    wanted = 0.5 if outcome.choice == "tie" else 0.95
    assert abs(float(posterior.difference(torch.tensor([[0, 1]])).probability) - wanted) <= 0.051


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("features", [np.ones((4, 3)), np.repeat(np.eye(2), 2, 0)], ids=["constant", "duplicates"])
def test_features_that_say_nothing_are_survived(name: str, features: np.ndarray) -> None:
    cast = [Vote(0, 1, ChoiceOutcome("a")), Vote(1, 2, ChoiceOutcome("b")), Vote(2, 3, ChoiceOutcome("tie"))] * 30
    posterior = learn(name, cast, features)
    assert torch.isfinite(posterior.mean()).all()
    assert int(posterior.mean().argmax()) in (0, 2, 3)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", [1, 3, N])
def test_a_shortlist_holds_the_recommended_item(name: str, size: int) -> None:
    cast = [Vote(0, b, ChoiceOutcome("a")) for b in range(1, N)] * 8
    posterior = learn(name, cast)
    rows = posterior.shortlist(size, 50.0)
    assert len(rows) == size
    assert int(posterior.mean().argmax()) in rows
    assert rows.tolist() == sorted(rows.tolist())


def test_folding_columns_into_a_dense_covariance_changes_no_belief() -> None:
    rng = np.random.default_rng(3)
    model = registry.model("gp")
    posterior = model.init(N, Knowledge(FEATURES), "cpu")
    compacted = 0
    for t in range(3 * CHUNK):
        a, b = rng.choice(N, 2, replace=False)
        before = posterior
        posterior = model.update(posterior, [Vote(int(a), int(b), ChoiceOutcome("a"))], rng)
        assert isinstance(before, GridPosterior)
        assert isinstance(posterior, GridPosterior)
        if posterior.beta2.shape[1] == 0:
            compacted += 1
            plain = before._after(Vote(int(a), int(b), ChoiceOutcome("a")), compact=False)
            kept = plain.heavy(plain.base.models, KEPT).sort().values
            assert torch.allclose(plain.mu[kept], posterior.mu)
            assert torch.allclose(plain.v[kept], posterior.v, atol=1e-9)
            assert torch.allclose(plain.sd(), posterior.sd(), atol=1e-3)
        assert t < 2 * CHUNK - 1 or compacted
    assert compacted


def test_the_process_refuses_items_without_features() -> None:
    with pytest.raises(BadInputError, match="bradley_terry"):
        registry.model("gp").init(3, Knowledge(), "cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("name", MODELS)
def test_a_gpu_believes_what_the_cpu_believes(name: str) -> None:
    cast = [Vote(i % N, (i * 5 + 1) % N, ChoiceOutcome("a")) for i in range(40) if i % N != (i * 5 + 1) % N]
    model = model_called(name)
    there = model.update(model.init(N, Knowledge(FEATURES), "cuda"), cast, stream(0, "update"))
    here = learn(name, cast)
    assert torch.allclose(here.mean(), there.mean(), atol=1e-6)
    assert torch.allclose(here.sd(centred=True), there.sd(centred=True), atol=1e-6)
    assert torch.allclose(here.difference(pairs).probability, there.difference(pairs).probability, atol=1e-6)
    assert torch.equal(here.shortlist(4, 1.5), there.shortlist(4, 1.5))
