"""Laws of prompts compared on inputs: a Gaussian over all cells is the yardstick, the plain model the limit."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elicit.gaussian import GridPosterior, moments_after
from elicit.interactions import InteractionPosterior, similarities
from elicit.models.gp import GaussianProcess
from elicit.posterior import Knowledge
from elicit.types import ChoiceOutcome, Vote

N, K = 6, 4
FEATURES = np.random.default_rng(1).standard_normal((N, 3))
INPUTS = np.random.default_rng(2).standard_normal((K, 2))
SIMILAR = similarities(INPUTS)
PAIRS = torch.tensor([(i, j) for i in range(N) for j in range(N) if i != j])
EVERY = torch.arange(K)


def votes_on(inputs: st.SearchStrategy[tuple[int, ...]], most: int = 14) -> st.SearchStrategy[list[Vote]]:
    vote = st.builds(
        lambda a, step, c, s, judge, weight, on: Vote(
            a, (a + step) % N, ChoiceOutcome(c, s if c in ("a", "b") else None), judge, weight=weight, inputs=on
        ),
        st.integers(0, N - 1),
        st.integers(1, N - 1),
        st.sampled_from(["a", "b", "tie", "both_bad", "skip"]),
        st.sampled_from([None, 1, 2, 3]),
        st.sampled_from(["maya", "noor"]),
        st.sampled_from([1.0, 0.6]),
        inputs,
    )
    return st.lists(vote, max_size=most)


some = st.sets(st.integers(0, K - 1), max_size=3).map(lambda on: tuple(sorted(on)))
votes = votes_on(some)
plain_votes = votes_on(st.just(()))


def utilities() -> GridPosterior:
    return GaussianProcess().init(N, Knowledge(FEATURES), "cpu")


def on_inputs(rhos: dict[float, float] | None = None, similar: Tensor = SIMILAR) -> InteractionPosterior:
    return InteractionPosterior.over(utilities(), similar, rhos)


def assert_same_belief(one: GridPosterior, other: GridPosterior, atol: float = 1e-8) -> None:
    assert torch.allclose(one.mean(), other.mean(), atol=atol)
    assert torch.allclose(one.sd(centred=True), other.sd(centred=True), atol=atol)
    assert torch.allclose(one.log_evidence, other.log_evidence, atol=atol)
    for here, there in zip(one.difference(PAIRS), other.difference(PAIRS), strict=True):
        assert torch.allclose(here, there, atol=atol)


def over_cells(prior: InteractionPosterior, given_votes: list[Vote]) -> tuple[Tensor, Tensor, Tensor]:
    """By brute force, of utilities and all cells under M models: mean (M, N + N K), covariance and evidence (M,)."""
    m = torch.arange(prior.base.models)
    k = prior.base.block(torch.arange(N), m)
    cells = torch.einsum("m,mpq,ij->mpiqj", prior.rho, k, prior.similar).reshape(len(m), N * K, N * K)
    covariance = torch.zeros(len(m), N + N * K, N + N * K, dtype=torch.float64)
    covariance[:, :N, :N], covariance[:, N:, N:] = k, cells
    mean, evidence, posterior = torch.zeros(len(m), N + N * K, dtype=torch.float64), prior.evidence.clone(), prior
    for vote in given_votes:
        if vote.outcome.choice == "skip":
            continue
        x = torch.zeros(N + N * K, dtype=torch.float64)
        ends = (0.5, 0.5) if vote.outcome.choice == "both_bad" else (1.0, -1.0)
        for row, sign in zip((vote.a, vote.b), ends, strict=True):
            x[row] += sign
            for i in vote.inputs:
                x[N + row * K + i] += sign / len(vote.inputs)
        c = covariance @ x
        d, s2 = mean @ x, c @ x
        noise = posterior.noise
        site = moments_after(vote.outcome, d, s2, noise, noise.slip(vote.judge, vote.weight))
        covariance = covariance - (1 - site.variance / s2).clamp_min(0)[:, None, None] * torch.einsum(
            "mi,mj,m->mij", c, c, 1 / s2
        )
        mean = mean + c * ((site.mean - d) / s2)[:, None]
        evidence = evidence + site.z.log()
        posterior = posterior._after(vote)
    return mean, covariance, evidence


@settings(max_examples=25, deadline=None)
@given(votes)
def test_it_is_the_gaussian_over_all_cells(given_votes: list[Vote]) -> None:
    prior = on_inputs()
    mean, covariance, evidence = over_cells(prior, given_votes)
    posterior = prior.update(given_votes)
    m = torch.arange(len(evidence))
    assert torch.allclose(posterior.mu, mean[:, :N], atol=1e-8)
    assert torch.allclose(posterior._block(torch.arange(N), m), covariance[:, :N, :N], atol=1e-8)
    assert torch.allclose(posterior.evidence, evidence, atol=1e-8)
    for a, b in [(0, 1), (4, 2)]:
        x = torch.zeros(1 + K, N + N * K, dtype=torch.float64)
        x[:, a], x[:, b] = 1, -1
        for i in range(K):
            x[1 + i, N + a * K + i], x[1 + i, N + b * K + i] = 1, -1
        belief, heavy = posterior.on(a, b, EVERY), posterior.heavy(12)
        assert torch.allclose(belief.mean, mean[heavy] @ x.T, atol=1e-8)
        assert torch.allclose(belief.covariance, x @ covariance[heavy] @ x.T, atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(plain_votes)
def test_votes_on_no_input_teach_what_they_teach_the_plain_model(given_votes: list[Vote]) -> None:
    plain, same = utilities().update(given_votes), on_inputs().update(given_votes)
    assert torch.allclose(plain.mean(), same.mean(), atol=1e-8)
    assert torch.allclose(plain.sd(centred=True), same.sd(centred=True), atol=1e-8)
    assert torch.allclose(plain.log_evidence, same.log_evidence, atol=1e-8)
    assert torch.allclose(plain.difference(PAIRS).variance, same.difference(PAIRS).variance, atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(votes)
def test_inputs_that_add_nothing_leave_the_plain_model(given_votes: list[Vote]) -> None:
    plain, same = utilities().update(given_votes), on_inputs({0.0: 1.0}).update(given_votes)
    assert_same_belief(plain, same)
    assert_same_belief(plain.anticipate(0, 1), same.anticipate(0, 1))
    assert torch.allclose(same.preferred_on(0, 1, EVERY), same.preferred_on(0, 1, EVERY[:1]).expand(K))
    little = on_inputs({1e-6: 1.0}).update(given_votes)
    assert_same_belief(plain, little, 1e-3)
