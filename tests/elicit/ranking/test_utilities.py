"""Utilities from recorded votes and features: what does not matter, what is found, what goes on from there."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import elicit
from elicit.inference.laplace import laplace
from elicit.inference.networks import History
from elicit.inference.noise import Noise
from elicit.inference.posterior import Knowledge
from elicit.models import neural
from elicit.models.neural import OWNS
from elicit.plugins import registry
from elicit.ranking import utilities
from elicit.types import CHOICES, BadInputError, ChoiceOutcome, Vote

N, D, T = 60, 4, 900
X = np.random.default_rng(0).standard_normal((N, D)).astype(np.float32)
BENT = 2 * np.abs(X[:, 0]) + X[:, 1] * (X[:, 2] > 0)
VOTED = 45
"""Only the first so many items are voted on."""
Table = tuple[np.ndarray, np.ndarray, np.ndarray]


def cast(votes: int = T, slips: float = 0.0, u: np.ndarray = BENT, voted: int = VOTED, undecided: float = 0.1) -> Table:
    """Rows of a and b, and outcomes as places in CHOICES; some undecided or skipped."""
    rng = np.random.default_rng(1)
    a = rng.integers(0, voted, votes)
    b = (a + rng.integers(1, voted, votes)) % voted
    won = rng.random(votes) < 1 / (1 + np.exp(u[b] - u[a]))
    won = np.where(rng.random(votes) < slips, rng.random(votes) < 0.5, won)
    return a, b, np.where(rng.random(votes) < undecided, rng.integers(2, 5, votes), np.where(won, 0, 1))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little training, for laws that hold however well trained."""
    monkeypatch.setattr(utilities, "STEPS", 30)
    monkeypatch.setattr(utilities, "EFFORT", 0.0)


@pytest.mark.usefixtures("quick")
def test_neither_the_order_of_the_votes_nor_of_the_two_items_matters_and_skips_say_nothing() -> None:
    a, b, ended = cast()
    found = elicit.utilities(a, b, ended, X)
    order, turned = np.random.default_rng(2).permutation(T), np.random.default_rng(3).random(T) < 0.5
    a, b = np.where(turned, b, a)[order], np.where(turned, a, b)[order]
    ended = np.where(turned & (ended < 2), 1 - ended, ended)[order]
    said = ended != 4
    words = np.array(["a", "b", "tie", "both_bad"])[ended[said]]
    again = elicit.utilities(a[said].astype(np.int32), b[said], words, X.astype(np.float64))
    assert torch.equal(found.posterior.mean(), again.posterior.mean())
    assert torch.equal(found.posterior.sd(), again.posterior.sd())
    assert (found.held_out, found.by_ids, found.new_items) == (again.held_out, again.by_ids, again.new_items)
    assert (found.votes == again.votes).all()
    assert found.votes.sum() == 2 * said.sum()


def test_items_never_voted_on_are_known_by_their_features_and_as_well_as_is_said() -> None:
    u = np.concatenate([BENT, BENT])
    x = np.concatenate([X, X + 0.01]).astype(np.float32)
    found = elicit.utilities(*cast(3000, u=u, voted=N, undecided=0.0), x)
    truth = u - u.mean()
    new = slice(N, 2 * N)
    assert np.corrcoef(found.utilities[new], truth[new])[0, 1] > 0.8
    intervals = found.intervals(0.9)
    assert ((intervals[:, 0] < truth) & (truth < intervals[:, 1])).mean() > 0.75
    assert (found.votes[new] == 0).all()
    for one in (found.held_out, found.new_items, found.by_ids):
        assert one is not None
        assert one.right > 0.6
        assert one.log_loss < np.log(2)
    sd = found.posterior.sd(centred=True)
    assert float(sd[new].mean()) > float(sd[:N].mean())


def test_it_believes_what_the_ensemble_does_that_learns_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Correlation .97, and the same uncertainty but for a third."""
    monkeypatch.setattr(neural, "EXACT", 0)
    a, b, ended = cast(600, voted=N)
    found = elicit.utilities(a, b, ended, X)
    votes = [Vote(int(i), int(j), ChoiceOutcome(CHOICES[o])) for i, j, o in zip(a, b, ended, strict=True)]
    model = registry.model("neural")
    one_by_one = model.update(model.init(N, Knowledge(X), "cpu"), votes, np.random.default_rng(0))
    assert np.corrcoef(found.utilities, one_by_one.mean().numpy())[0, 1] > 0.97
    ratio = found.posterior.sd(centred=True) / one_by_one.sd(centred=True)
    assert (ratio.log().abs() < 0.4).all(), ratio


@pytest.mark.usefixtures("quick")
def test_an_engine_goes_on_from_there() -> None:
    found = elicit.utilities(*cast(), X)
    engine = elicit.Engine(X, model=found)
    query = engine.ask()
    before = engine.p_prefer([query.pair])[0]
    for _ in range(3):
        engine.tell(query.a, query.b, "a" if query.a == query.pair[0] else "b")
    assert engine.p_prefer([query.pair])[0] > before
    assert np.allclose(engine.utilities()[0].mean(), 0)
    engine.follow([])
    assert torch.equal(torch.as_tensor(engine.utilities()[0]), torch.as_tensor(found.utilities))
    with pytest.raises(BadInputError, match=f"of {N} items, not of {N + 1}"):
        engine.extend(X[:1])


@pytest.mark.usefixtures("quick")
def test_the_networks_errors_are_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utilities, "STEPS", 200)
    rng = np.random.default_rng(5)
    x = rng.standard_normal((400, 3))
    u = 3 * np.sin(x[:, 0])
    own = rng.standard_normal(400)
    careful = elicit.utilities(*cast(20_000, u=u, voted=400, undecided=0.0), x)
    hidden = elicit.utilities(*cast(20_000, u=u + own, voted=400, undecided=0.0), x)
    assert careful.posterior.noise.lapse_rate() < 0.02
    last = [float(found.posterior.v[0, -1]) for found in (careful, hidden)]
    assert last[0] < 0.5
    assert 0.6 < last[1] < 1.8


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("slips", [0.1, 0.3])
def test_slips_are_told_from_small_differences(slips: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to a third of them are not, besides three standard errors of some .02; of intervals that are to cover .9 of
    400, a tenth fewer do, besides three standard errors."""
    monkeypatch.setattr(utilities, "STEPS", 200)
    rng = np.random.default_rng(6)
    x = rng.standard_normal((400, 3))
    u = 1.5 * np.sin(x[:, 0]) + 0.5 * rng.standard_normal(400)
    found = elicit.utilities(*cast(8_000, slips=slips, u=u, voted=400, undecided=0.0), x)
    assert slips * 2 / 3 - 0.06 < found.posterior.noise.lapse_rate() < slips + 0.06
    low, high = found.intervals(0.9).T
    truth = u - u.mean()
    assert ((low < truth) & (truth < high)).mean() > 0.8 - 3 * (0.9 * 0.1 / 400) ** 0.5


@given(st.floats(0.002, 0.6), st.floats(0.0, 0.7), st.floats(0.002, 0.6))
def test_the_share_of_slips_agreed_on_is_the_one_found_where_it_is_believed_in(
    fixed: float, steep: float, start: float
) -> None:
    """Where the share found is a power of the one believed in, the second guess is right."""

    def found(share: float) -> float:
        return float(fixed * (share / fixed) ** steep)

    assume(not 0 < abs((1 - steep) * np.log(fixed / start)) < 0.11)
    first = utilities._consistent_share([(start, found(start))])
    assert first == pytest.approx(found(start))
    assert utilities._consistent_share([(start, found(start)), (first, found(first))]) == pytest.approx(fixed)


def test_there_may_be_an_item_without_which_no_vote_is_left() -> None:
    """Whether or not it is among the items whose votes would all be held out."""
    for votes in range(100, 112):
        hub = utilities._split_votes(
            utilities._sort_votes(np.zeros(votes, int), 1 + np.arange(votes) % 39, np.zeros(votes), 40), 40
        )
        assert hub is None or len(hub.rest)


def test_from_a_mode_nearby_the_same_mode_is_found() -> None:
    keys = utilities._sort_votes(*cast(800, voted=N), N)
    noise, basis = utilities._noise(keys, N), torch.as_tensor(X).double() / 2
    whole = utilities._history(keys, N)
    most = neural.laplace_posterior(basis, utilities._history(keys[::2], N), noise, 0.3)
    from_nothing, from_there = (neural.laplace_posterior(basis, whole, noise, 0.3, near=near) for near in (None, most))
    assert torch.allclose(from_nothing.mean(), from_there.mean(), atol=1e-3)
    assert torch.allclose(from_nothing.sd(), from_there.sd(), atol=1e-3)


def test_the_posteriors_mode_is_a_mode() -> None:
    """The slope of the log posterior vanishes there, for shared weights and own effects alike."""
    a, b, ended = cast(300, voted=N)
    keys = utilities._sort_votes(a, b, ended, N)
    history, noise = utilities._history(keys, N), utilities._noise(keys, N)
    phi = torch.as_tensor(X).double()
    phi = (phi - phi.mean(0)) / 2
    amplitude2, own = torch.tensor([0.5, 1.0]).double(), torch.tensor([0.3, 0.6]).double()
    calls: list[int] = []
    mode, _, effects = laplace(phi, amplitude2, own, history, noise, lambda: calls.append(1))
    assert len(calls) == utilities.TURNS
    mode, e = mode.clone().requires_grad_(), torch.zeros(2, N).double()
    e[:, effects.rows] = effects.mean
    e.requires_grad_()
    u = mode @ phi.T + e
    of = history.sign(history.kinds)
    x = (u[:, history.rows[:, 0]] + of * u[:, history.rows[:, 1]]) * torch.where(of > 0, 0.5, 1.0)
    fit = history.log_likelihood(x, history.kinds, noise).sum(1)
    value = fit - 0.5 * (mode.square().sum(1) / amplitude2 + e.square().sum(1) / own)
    slopes = torch.autograd.grad(value.sum(), [mode, e])
    assert max(float(slope.abs().max()) for slope in slopes) < 0.01 * len(keys) / N


@pytest.mark.usefixtures("quick")
def test_progress_goes_up_to_the_end_and_may_stop_it() -> None:
    told: list[tuple[int, int]] = []
    elicit.utilities(*cast(), X, progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1][0] == told[-1][1]
    assert len({total for _, total in told}) == 1

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        elicit.utilities(*cast(), X, progress=stop)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("votes", [1, 2, 99])
def test_few_votes_hold_none_out(votes: int) -> None:
    found = elicit.utilities(np.arange(votes) % 3, np.full(votes, 5), ["a"] * votes, X)
    assert (found.held_out, found.by_ids, found.new_items) == (None, None, None)
    assert found.utilities[0] > found.utilities[5]
    assert np.isfinite(found.intervals()).all()
    assert float(found.posterior.v[0, -1]) == pytest.approx(OWNS[0])
    assert found.posterior.noise == Noise(votes)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "one item": ({"features": X[:1]}, "features has 1 rows"),
    "flat": ({"features": X[:, 0]}, r"features must have shape \(N, d\)"),
    "nan": ({"features": np.where(np.arange(N)[:, None] == 7, np.nan, X)}, r"features\[7, 0\] is nan"),
    "row": ({"a": [N]}, rf"a\[0\] is {N}; give row numbers from 0 to {N - 1} for {N} items"),
    "half a row": ({"b": [0.5]}, "b holds float64"),
    "word": ({"outcomes": ["left"]}, r"outcomes\[0\] is 'left'"),
    "length": ({"b": [1, 2]}, "b has 2 entries and a has 1"),
    "itself": ({"b": [0]}, "vote 0 is on item 0 and itself"),
    "skips": ({"outcomes": ["skip"]}, "no vote that tells anything"),
    "device": ({"device": "abacus"}, "no device called 'abacus'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case: str) -> None:
    given, expected = BAD[case]
    with pytest.raises(BadInputError, match=expected):
        elicit.utilities(**{"a": [0], "b": [1], "outcomes": ["a"], "features": X} | given)


@pytest.mark.usefixtures("quick")
def test_a_level_is_a_probability() -> None:
    with pytest.raises(BadInputError, match="the level is 95"):
        elicit.utilities([0], [1], ["a"], X).intervals(95)


def test_the_history_is_short_numbers() -> None:
    keys = utilities._sort_votes(*cast(), N)
    history = utilities._history(keys, N)
    assert isinstance(history, History)
    assert (history.rows.dtype, history.kinds.dtype) == (torch.int32, torch.uint8)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_a_gpu_believes_what_the_cpu_believes() -> None:
    here, there = (elicit.utilities(*cast(), X, device=device) for device in ("cpu", "cuda"))
    assert np.corrcoef(here.utilities, there.utilities)[0, 1] > 0.99


def test_a_coins_forecast_is_right_half_the_time() -> None:
    found = utilities._forecast_quality(np.array([0.5, 0.5 + 1e-16, 0.5 - 1e-16, 0.7]))
    assert found is not None
    assert found.right == (1.5 + 1) / 4
