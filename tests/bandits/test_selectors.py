"""The contract of selectors: every file in `bandits/` is held to these laws."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elicit import Engine
from elicit.inference.posterior import Knowledge, Posterior
from elicit.plugins import registry
from elicit.randomness import stream
from elicit.selection import Acquisition, Candidates, Pick
from elicit.types import ChoiceOutcome, Vote

SELECTORS = registry.names("selector")
FEATURES = np.random.default_rng(2).standard_normal((12, 3))


def posterior_of(n: int, votes: Sequence[Vote] = (), model: str = "gp") -> Posterior:
    made = registry.model(model)
    return made.update(made.init(n, Knowledge(FEATURES[:n]), "cpu"), votes, stream(0, "update"))


def select(
    name: str, posterior: Posterior, candidates: Candidates, k: int = 1, seed: int = 0, cast: Sequence[Vote] = ()
) -> list[Pick]:
    return registry.selector(name).select(posterior, cast, candidates, k, stream(seed, "select"))


votes = st.lists(
    st.builds(
        lambda a, step, c: Vote(a, (a + step) % 12, ChoiceOutcome(c)),
        st.integers(0, 11),
        st.integers(1, 11),
        st.sampled_from(["a", "b", "tie", "skip"]),
    ),
    max_size=8,
)


@pytest.mark.parametrize("name", SELECTORS)
@settings(max_examples=8, deadline=None)
@given(votes, st.integers(1, 66), st.integers(0, 100))
def test_picks_are_admissible_distinct_and_reproducible(name: str, cast: list[Vote], k: int, seed: int) -> None:
    posterior = posterior_of(12, cast)
    picks = select(name, posterior, Candidates(12), k, seed, cast)
    pairs = {(min(p.a, p.b), max(p.a, p.b)) for p in picks}
    assert len(pairs) == len(picks) == k
    assert all(0 <= a < b < 12 for a, b in pairs)
    assert all(0 < p.propensity <= 1 and np.isfinite(p.score) for p in picks)
    assert picks == select(name, posterior, Candidates(12), k, seed, cast)


@pytest.mark.parametrize("name", SELECTORS)
@settings(max_examples=8, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 4), st.integers(5, 9)), max_size=20))
def test_what_is_to_be_avoided_is_avoided(name: str, avoid: set[tuple[int, int]]) -> None:
    candidates = Candidates(10, avoid=frozenset(avoid))
    picks = select(name, posterior_of(10), candidates, 45 - len(avoid))
    assert len(picks) == 45 - len(avoid)
    assert not {(min(p.a, p.b), max(p.a, p.b)) for p in picks} & avoid


@pytest.mark.parametrize("name", SELECTORS)
@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(votes, st.integers(0, 8)), min_size=2, max_size=5))
def test_what_was_asked_before_decides_nothing(name: str, asked: list[tuple[list[Vote], int]]) -> None:
    """One selector serves a study, what may come next in it, and what comes after an undo."""
    used, posterior, candidates = registry.selector(name), posterior_of(12), Candidates(12)
    whole = asked[0][0]
    for cast, kept in asked:
        told = tuple(whole[:kept] + cast)
        fresh = registry.selector(name).select(posterior, told, candidates, 2, stream(1, "select"))
        assert used.select(posterior, told, candidates, 2, stream(1, "select")) == fresh


@pytest.mark.parametrize("name", SELECTORS)
def test_nothing_left_gives_nothing(name: str) -> None:
    assert select(name, posterior_of(2), Candidates(2, avoid=frozenset({(0, 1)}))) == []


@pytest.mark.parametrize("name", SELECTORS)
def test_two_items_are_compared(name: str) -> None:
    (pick,) = select(name, posterior_of(2, model="bradley_terry"), Candidates(2))
    assert {pick.a, pick.b} == {0, 1}


@pytest.mark.parametrize("name", SELECTORS)
@settings(max_examples=8, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 4), st.integers(5, 9)), min_size=1, max_size=8), st.integers(0, 100))
def test_listed_pairs_are_the_only_ones(name: str, listed: set[tuple[int, int]], seed: int) -> None:
    candidates = Candidates(10, pairs=torch.tensor(sorted(listed)))
    picks = select(name, posterior_of(10), candidates, len(listed) + 3, seed)
    assert {(min(p.a, p.b), max(p.a, p.b)) for p in picks} == listed


@pytest.mark.parametrize("name", SELECTORS)
def test_it_finds_the_best_of_few(name: str) -> None:
    """A clear winner among eight is found in sixty noiseless votes by anything worth its name."""
    u = np.array([0, 1, 2, 3, 4, 5, 6, 9.0])
    engine = Engine(n_items=8, selector=name)
    for _ in range(60):
        query = engine.ask()
        engine.tell(query.a, query.b, "a" if u[query.a] > u[query.b] else "b")
    assert engine.best() == 7


@pytest.mark.parametrize("name", SELECTORS)
def test_items_in_thousands_are_no_trouble(name: str) -> None:
    features = np.random.default_rng(0).standard_normal((3000, 4))
    picks = select(name, registry.model("gp").init(3000, Knowledge(features), "cpu"), Candidates(3000), 3)
    assert len({(p.a, p.b) for p in picks}) == 3


class Near(Acquisition):
    """Asks the pair nearest to rows 3 and 7."""

    def value(self, posterior: Posterior, pairs: Tensor) -> Tensor:
        return -(pairs.double() - torch.tensor([3, 7])).abs().sum(1)


def test_an_acquisition_asks_pairs_in_the_order_of_their_value() -> None:
    picks = Near().select(posterior_of(12), [], Candidates(12), 66, stream(0, "select"))
    assert (picks[0].a, picks[0].b) == (3, 7)
    assert [p.score for p in picks] == sorted((p.score for p in picks), reverse=True)
    assert all(p.propensity == 1 for p in picks)


def test_an_acquisition_of_infinite_breadth_looks_at_the_least_known() -> None:
    posterior = posterior_of(12, [Vote(3, 7, ChoiceOutcome("a"))] * 20, "bradley_terry")
    (pick,) = Near(float("inf"), 4).select(posterior, [], Candidates(12), 1, stream(0, "select"))
    assert {pick.a, pick.b} <= set(posterior.least_known(4).tolist())
    assert not {pick.a, pick.b} & {3, 7}


def test_random_pairs_are_uniform_with_the_propensity_they_state() -> None:
    posterior, counts = posterior_of(5), np.zeros((5, 5))
    draws = 2000
    for seed in range(draws):
        (pick,) = select("random", posterior, Candidates(5), 1, seed)
        assert pick.propensity == 1 / 10
        counts[min(pick.a, pick.b), max(pick.a, pick.b)] += 1
    seen = counts[np.triu_indices(5, 1)]
    assert np.abs(seen - draws / 10).max() < 5 * np.sqrt(draws * 0.1 * 0.9)


def test_thompson_draws_pairs_as_often_as_it_says() -> None:
    cast = [Vote(0, 1, ChoiceOutcome("a")), Vote(2, 3, ChoiceOutcome("a"))]
    posterior = posterior_of(4, cast, "bradley_terry")
    seen: dict[tuple[int, int], int] = {}
    said: dict[tuple[int, int], list[float]] = {}
    draws = 400
    for seed in range(draws):
        (pick,) = select("thompson", posterior, Candidates(4), 1, seed)
        pair = (min(pick.a, pick.b), max(pick.a, pick.b))
        seen[pair] = seen.get(pair, 0) + 1
        said.setdefault(pair, []).append(pick.propensity)
    for pair, count in seen.items():
        p = float(np.mean(said[pair]))
        assert abs(count - draws * p) < 5 * np.sqrt(draws * p * (1 - p)) + 1


def test_eubo_prefers_the_pair_that_may_hold_the_best() -> None:
    """Between a settled bad pair and an open good one, EUBO asks the good one."""
    cast = [Vote(a, b, ChoiceOutcome("a")) for a in (0, 1) for b in (2, 3)] * 6
    (pick,) = select("eubo", posterior_of(4, cast, "bradley_terry"), Candidates(4))
    assert {pick.a, pick.b} == {0, 1}


def test_information_is_bounded_by_one_bit_and_is_least_where_the_answer_is_known() -> None:
    cast = [Vote(0, 1, ChoiceOutcome("a"))] * 60
    posterior = posterior_of(4, cast, "bradley_terry")
    picks = select("eig", posterior, Candidates(4), 6)
    assert all(0 <= p.score <= 1 for p in picks)
    assert {picks[-1].a, picks[-1].b} == {0, 1}


@settings(max_examples=20, deadline=None)
@given(votes, st.integers(1, 11))
def test_a_swap_is_asked_across_the_boundary_of_the_top(cast: list[Vote], top: int) -> None:
    posterior = posterior_of(12, cast)
    inside = set(posterior.mean().sort(descending=True, stable=True).indices[:top].tolist())
    for pick in registry.selector("swap", {"top": top}).select(posterior, [], Candidates(12), 1, stream(0, "select")):
        assert (pick.a in inside) != (pick.b in inside)


@settings(max_examples=20, deadline=None)
@given(votes)
def test_letting_one_in_is_letting_the_other_out(cast: list[Vote]) -> None:
    """The top k of utilities are the bottom k of their negatives: mirrored votes ask the same for the other side."""
    mirrored = [Vote(v.b, v.a, v.outcome) for v in cast]
    (one,) = registry.selector("swap", {"top": 5}).select(
        posterior_of(12, cast), [], Candidates(12), 1, stream(0, "select")
    )
    (other,) = registry.selector("swap", {"top": 7}).select(
        posterior_of(12, mirrored), [], Candidates(12), 1, stream(0, "select")
    )
    assert one.score == pytest.approx(other.score, rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(votes)
def test_the_value_of_more_votes_is_never_less_and_never_more_than_that_of_knowing(cast: list[Vote]) -> None:
    """E max of the means grows with the horizon, from the recommended item's mean at none."""
    posterior = posterior_of(12, cast)

    def value(horizon: float) -> float:
        made = registry.selector("knowledge_gradient", {"horizon": horizon})
        return made.select(posterior, [], Candidates(12), 1, stream(0, "select"))[0].score

    values = [value(h) for h in (0.0, 1.0, 4.0, 1e9)]
    assert values[0] == pytest.approx(float(posterior.mean().max()), abs=1e-9)
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(values))


def test_the_least_sure_pair_and_the_least_known_pair_differ() -> None:
    """Of two items fought even and two never seen, uncertainty may ask either; D-optimal asks what is unseen."""
    cast = [Vote(0, 1, ChoiceOutcome(c)) for c in ("a", "b") * 15]
    posterior = posterior_of(4, cast, "bradley_terry")
    (known,) = select("d_optimal", posterior, Candidates(4))
    assert {known.a, known.b} == {2, 3}
    lost = posterior_of(4, [*cast, *[Vote(2, 3, ChoiceOutcome("a"))] * 10], "bradley_terry")
    pairs = torch.tensor([[0, 1], [2, 3]])
    (even,) = select("uncertainty", lost, Candidates(4, pairs=pairs))
    assert {even.a, even.b} == {0, 1}


def test_max_in_p_leaves_out_who_is_surely_beaten() -> None:
    cast = [Vote(a, b, ChoiceOutcome("a")) for a in (0, 1) for b in (2, 3)] * 6
    (pick,) = select("max_in_p", posterior_of(4, cast, "bradley_terry"), Candidates(4))
    assert {pick.a, pick.b} == {0, 1}
