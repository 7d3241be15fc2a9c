"""Davidson's model on counts: the mode is one, and sums over votes, counts and clusters are the same sums."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from elicit.ranking import davidson
from elicit.ranking.leaderboard import PRIOR_SD, leaderboard
from tests.elicit.voting import N, Votes, cast, votes


@settings(deadline=None)
@given(votes)
def test_the_mode_is_where_the_log_posterior_is_flat(given_votes: Votes) -> None:
    """By the formula for one vote, differentiated by torch."""
    a, b, outcomes = given_votes
    board = leaderboard(a, b, outcomes, N)
    tied = 2 in outcomes
    u = torch.tensor(board.utilities - board.utilities.mean(), requires_grad=True)  # where the prior has them
    log_nu = torch.tensor(math.log(board.nu) if tied else -math.inf, dtype=torch.float64, requires_grad=tied)
    x = u[a] - u[b]
    logits = torch.stack([x / 2, -x / 2, log_nu.expand(len(x))], 1)
    value = torch.log_softmax(logits, 1)[torch.arange(len(x)), outcomes].sum() - u.square().sum() / (2 * PRIOR_SD**2)
    value = value - log_nu.square() / (2 * PRIOR_SD**2) if tied else value
    value.backward()  # type: ignore[no-untyped-call]
    assert u.grad is not None
    assert u.grad.abs().max() < 1e-6
    assert board.nu == 0 if log_nu.grad is None else abs(log_nu.grad) < 1e-6
    assert abs(board.utilities[board.reference].mean()) < 1e-9


@settings(deadline=None)
@given(votes.filter(lambda v: len(v[0]) > 1))
def test_votes_that_are_clusters_of_their_own_are_independent(given_votes: Votes) -> None:
    a, b, outcomes = given_votes
    size = len(a)
    counts = davidson.count(N, a, b, outcomes)
    fitted = davidson.fit(counts, PRIOR_SD)
    clustered = davidson.cluster_meat(fitted, a, b, outcomes, None, np.arange(size), size)
    assert np.allclose(davidson.meat(counts, fitted) * size / (size - 1), clustered)


def test_scores_of_clusters_are_summed_alike_in_one_block_and_in_many(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    given_votes, judges = cast(np.linspace(-1, 1, N), 3000, 0.5, rng), rng.integers(0, 500, 3000)
    weights = rng.random(3000)
    whole = leaderboard(*given_votes, N, weights=weights, clusters=judges)
    monkeypatch.setattr(davidson, "BLOCK", 40 * N)
    assert np.allclose(whole.covariance, leaderboard(*given_votes, N, weights=weights, clusters=judges).covariance)


def test_few_pairs_of_many_items_are_counted_like_many() -> None:
    rng = np.random.default_rng(4)
    a, b, outcomes = cast(np.linspace(-1, 1, N), 300, 0.5, rng)
    small = davidson.count(N, a, b, outcomes)
    large = davidson.count(4_000, a, b, outcomes)
    for here, there in zip(small[1:], large[1:], strict=True):
        assert np.array_equal(here, there)
