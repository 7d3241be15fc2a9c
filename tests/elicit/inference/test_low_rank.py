"""The posterior of low rank: the exact one in other coordinates, and what it leaves out where seats run out."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elicit.engine import Engine
from elicit.inference import low_rank
from elicit.inference.basis import basis_of, diagonal_priors
from elicit.inference.gaussian import GridPosterior
from elicit.inference.kernels import DenseCovariance, FeatureCovariance, Kernel, Prior
from elicit.inference.low_rank import FOLD, LowRankPosterior
from elicit.inference.posterior import Knowledge
from elicit.models.gp import FORMS
from elicit.plugins import registry
from elicit.randomness import stream
from elicit.types import ChoiceOutcome, Vote

N, R = 12, 5
KERNELS = [Kernel(form, which, scale) for form, which, scale in FORMS]
ONE_EACH = [Prior(tuple(0.9 * (j == k) for j in range(4)), 2.0, 0.1, 0.0) for k in range(4)]
RNG = np.random.default_rng(4)
BASIS = torch.as_tensor(RNG.standard_normal((N, R)))
VARIANCES = torch.as_tensor(RNG.uniform(0.2, 2.0, (3, R)))
OWN = torch.tensor([0.1, 0.6, 1.5], dtype=torch.float64)
LOG_WEIGHTS = [0.0, -0.5, -1.0]
PAIRS = torch.tensor([(i, j) for i in range(N) for j in range(N)])

votes = st.lists(
    st.builds(
        lambda a, step, c: Vote(a, (a + step) % N, ChoiceOutcome(c)),
        st.integers(0, N - 1),
        st.integers(1, N - 1),
        st.sampled_from(["a", "b", "tie", "both_bad", "skip"]),
    ),
    max_size=15,
)


def low(means: torch.Tensor | None = None) -> LowRankPosterior:
    return LowRankPosterior.of(
        BASIS, torch.zeros_like(VARIANCES) if means is None else means, VARIANCES, OWN, LOG_WEIGHTS
    )


def exact() -> GridPosterior:
    """The same prior over the items themselves."""
    covariance = (BASIS * VARIANCES[:, None]) @ BASIS.T + OWN[:, None, None] * torch.eye(N, dtype=torch.float64)
    return GridPosterior.prior(DenseCovariance(covariance), LOG_WEIGHTS)


def assert_equal_beliefs(one: GridPosterior, other: GridPosterior, atol: float = 1e-8) -> None:
    assert torch.allclose(one.mean(), other.mean(), atol=atol)
    assert torch.allclose(one.sd(), other.sd(), atol=atol)
    assert torch.allclose(one.sd(centred=True), other.sd(centred=True), atol=atol)
    here, there = one.difference(PAIRS), other.difference(PAIRS)
    assert torch.allclose(here.mean, there.mean, atol=atol)
    assert torch.allclose(here.variance, there.variance, atol=atol)
    assert torch.allclose(here.probability, there.probability, atol=atol)
    few = torch.tensor([[0, 1], [2, N - 1]])  # without a block of all rows
    assert torch.allclose(one.difference(few).variance, other.difference(few).variance, atol=atol)


@settings(max_examples=25, deadline=None)
@given(votes)
def test_it_is_the_exact_posterior_in_other_coordinates(cast: list[Vote]) -> None:
    assert_equal_beliefs(low().update(cast), exact().update(cast))


def test_folding_changes_no_belief_but_of_the_lightest_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(low_rank, "KEPT", 1.0)
    cast = [
        Vote(int(a), int((a + s) % N), ChoiceOutcome("a"))
        for a, s in np.random.default_rng(7).integers(1, N, (2 * FOLD + 9, 2))
    ]
    folded = low().update(cast)
    assert isinstance(folded.base, DenseCovariance)
    plain = exact()
    for vote in cast:
        plain = plain._after(vote, compact=False)
    assert_equal_beliefs(folded, plain, 1e-6)


def test_a_prior_mean_is_believed_until_votes_speak() -> None:
    means = torch.zeros_like(VARIANCES)
    means[:, 0] = 3.0  # a judge's score that is trusted
    assert torch.allclose(low(means).mean(), 3.0 * BASIS[:, 0])
    best, worst = int(BASIS[:, 0].argmax()), int(BASIS[:, 0].argmin())
    against = low(means).update([Vote(worst, best, ChoiceOutcome("a"))] * 20)
    assert float(against.difference(torch.tensor([[worst, best]])).probability) > 0.5


def test_items_that_lose_their_seats_keep_what_is_known_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 4 seats for 12 items the beliefs stay near those with a seat for everyone, and coming back is exact."""
    cast = [
        Vote(int(a), int((a + s) % N), ChoiceOutcome("a" if a > s else "b"))
        for a, s in np.random.default_rng(8).integers(1, N, (60, 2))
    ]
    whole = low().update(cast)
    monkeypatch.setattr(low_rank, "SEATS", 4)
    narrow = low().update(cast)
    assert len(narrow.seats) <= 4
    assert len(narrow.retired.rows) > 4
    assert np.corrcoef(whole.mean().numpy(), narrow.mean().numpy())[0, 1] > 0.9
    assert (narrow.sd(centred=True) / whole.sd(centred=True)).log().abs().max() < 0.5
    gone = next(row for row in narrow.retired.rows.tolist() if row not in narrow.seats)
    seated = next(iter(narrow.seats))
    back = narrow._give_seats(gone, seated)
    assert gone in back.seats
    assert torch.allclose(back.mean(), narrow.mean(), atol=1e-2)
    assert torch.allclose(back.sd(), narrow.sd(), atol=1e-2)


def test_draws_and_widths_do_not_depend_on_how_many_rows_are_worked_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(low_rank, "SEATS", 4)
    cast = [
        Vote(int(a), int((a + s) % N), ChoiceOutcome("a")) for a, s in np.random.default_rng(9).integers(1, N, (30, 2))
    ]
    posterior = low().update(cast)
    draws, sd = posterior.sample(50, stream(0, "test")), posterior.sd(centred=True)
    monkeypatch.setattr(low_rank, "CHUNK_ROWS", 5)
    assert torch.allclose(posterior.sample(50, stream(0, "test")), draws)
    assert torch.allclose(posterior.sd(centred=True), sd)
    many = posterior.sample(20_000, stream(1, "test"))
    assert torch.allclose(many.mean(0), posterior.mean(), atol=0.1)
    assert torch.allclose(many.std(0), posterior.sd(), rtol=0.1)


@settings(max_examples=25, deadline=None)
@given(votes, st.integers(0, N - 1), st.integers(1, N - 1))
def test_a_vote_never_widens_a_models_variance(cast: list[Vote], a: int, step: int) -> None:
    before = low().update(cast)
    after = before.update([Vote(a, (a + step) % N, ChoiceOutcome("b"))])
    everyone = torch.arange(3)
    assert (after._mixture(PAIRS, everyone).variance <= before._mixture(PAIRS, everyone).variance + 1e-9).all()
    narrowed = before.fantasize(a, (a + step) % N)
    assert torch.equal(narrowed.mean(), before.mean())
    assert (narrowed.difference(PAIRS).variance <= before.difference(PAIRS).variance + 1e-9).all()


def test_a_shortlist_is_the_same_from_preselected_rows_and_from_all(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).standard_normal((3000, 6))
    engine = Engine(X, model="gp", model_options={"exact": 100})
    for _ in range(30):
        query = engine.ask()
        engine.tell(query.a, query.b, "a" if X[query.a].sum() > X[query.b].sum() else "b")
    some = engine.posterior.shortlist(50, 1.5)
    monkeypatch.setattr(low_rank, "EXACT_ROWS", 3000)
    assert len(set(some.tolist()) & set(engine.posterior.shortlist(50, 1.5).tolist())) >= 48


@pytest.mark.parametrize("seats", [128, 16])
def test_the_least_known_of_many_items_are_those_of_the_largest_sd(monkeypatch: pytest.MonkeyPatch, seats: int) -> None:
    """Whether votes have been folded or not, and whether items have lost their seats or not."""
    monkeypatch.setattr(low_rank, "SEATS", seats)
    rng = np.random.default_rng(1)
    X = rng.standard_normal((3000, 40)) * np.arange(1, 41) ** -0.5
    engine = Engine(X, model="gp", model_options={"exact": 100}, goal="rank")
    for votes in range(151):
        if votes % 50 == 0:
            exact = engine.posterior.least_known(60)
            sd = engine.posterior.sd()
            assert sd[exact].min() >= sd.index_fill(0, exact, 0.0).max()
            with monkeypatch.context() as patched:
                patched.setattr(low_rank, "SCANNED", 100)
                patched.setattr(low_rank, "NEARLY", 400)
                assert engine.posterior.least_known(60).tolist() == exact.tolist()
        a, b = rng.choice(len(X), 2, replace=False)
        engine.tell(int(a), int(b), "a" if X[a].sum() > X[b].sum() else "b")


def test_equal_items_are_shortlisted_in_the_order_of_their_rows() -> None:
    posterior = registry.model("gp", {"exact": 1}).init(3000, Knowledge(np.ones((3000, 2))), "cpu")
    assert posterior.shortlist(5, 1.5).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("d", [2, 40])
def test_the_coordinates_keep_the_priors_covariances(d: int) -> None:
    """Nearly, and every kernel's total variance but for rounding."""
    X = np.random.default_rng(d).standard_normal((300, d)) * np.arange(1, d + 1) ** -0.5
    basis = basis_of(X, 200, "cpu")
    prior = FeatureCovariance(basis.maps, KERNELS, ONE_EACH)
    variances, own = diagonal_priors(basis, prior)
    phi = basis.table(X, torch.float64)
    for k, kernel in enumerate(KERNELS):
        wanted = prior.block(torch.arange(300), torch.tensor([k]))[0]
        found = (phi * variances[k]) @ phi.T + own[k] * torch.eye(300, dtype=torch.float64)
        apart = ~torch.eye(300, dtype=torch.bool)
        error = (wanted - found)[apart].square().mean().sqrt() / wanted[apart].square().mean().sqrt()
        assert error < (0.15 if kernel == Kernel("rbf", 2, 0.7) else 0.1), (kernel, float(error))
        assert abs(float(found.trace() / wanted.trace()) - 1) < 1e-6
    assert (variances >= 0).all()


def test_single_precision_believes_what_double_does() -> None:
    X = np.random.default_rng(2).standard_normal((1500, 20))
    basis = basis_of(X, 64, "cpu")
    prior = FeatureCovariance(basis.maps, KERNELS, ONE_EACH)
    variances, own = diagonal_priors(basis, prior)
    rng = np.random.default_rng(3)
    cast = [Vote(int(a), int(a + b) % 1500, ChoiceOutcome("a")) for a, b in rng.integers(1, 1500, (200, 2))]
    one, two = (
        LowRankPosterior.of(basis.table(X, kind), torch.zeros_like(variances), variances, own, [0.0] * 4).update(cast)
        for kind in (torch.float32, torch.float64)
    )
    assert torch.allclose(one.mean(), two.mean(), atol=1e-4)
    assert torch.allclose(one.sd(), two.sd(), atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_a_gpu_believes_what_the_cpu_believes() -> None:
    X = np.random.default_rng(5).standard_normal((3000, 10))
    rng = np.random.default_rng(6)
    cast = [Vote(int(a), int(a + b) % 3000, ChoiceOutcome("a")) for a, b in rng.integers(1, 3000, (300, 2))]
    here, there = (
        registry.model("gp", {"exact": 1}).init(3000, Knowledge(X), device).update(cast) for device in ("cpu", "cuda")
    )
    assert torch.allclose(here.mean(), there.mean(), atol=1e-3)
    assert torch.allclose(here.sd(centred=True), there.sd(centred=True), atol=1e-3)
    assert len(set(here.shortlist(100, 1.5).tolist()) & set(there.shortlist(100, 1.5).tolist())) > 95
    draws = there.sample(4, stream(0, "test"), torch.arange(10))
    assert draws.shape == (4, 10)
