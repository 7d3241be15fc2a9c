"""Laws of lists of pairs that are too long to be looked at in one decision."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elicit import Engine
from elicit.inference.posterior import Knowledge, Posterior
from elicit.plugins import registry
from elicit.randomness import stream
from elicit.selection import LONG, Candidates, Pick
from elicit.stopping import pair_order
from elicit.types import ChoiceOutcome, Vote

N = 150
EVERY = torch.triu_indices(N, N, 1).T[torch.randperm(N * (N - 1) // 2, generator=torch.Generator().manual_seed(0))]
"""(11175, 2) pairs: three parts."""
FEATURES = np.random.default_rng(3).standard_normal((N, 3))
VOTES = [Vote(i, i + 1, ChoiceOutcome("a" if FEATURES[i, 0] > FEATURES[i + 1, 0] else "b")) for i in range(12)]


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    made = registry.model("gp")
    return made.update(made.init(N, Knowledge(FEATURES), "cpu"), VOTES, stream(0, "update"))


def rows(pairs: torch.Tensor) -> list[tuple[int, int]]:
    return [(min(a, b), max(a, b)) for a, b in pairs.tolist()]


@settings(deadline=None)
@given(st.integers(0, LONG), st.integers(0, 9), st.integers(0, 200))
def test_of_a_short_list_all_is_looked_at_in_every_turn(length: int, turn: int, gone: int) -> None:
    candidates = Candidates(N, EVERY[:length], frozenset(rows(EVERY[:gone])), turn)
    assert torch.equal(candidates.near(torch.arange(3)), EVERY[min(gone, length) : length])


@settings(max_examples=30, deadline=None)
@given(st.integers(LONG + 1, len(EVERY)), st.integers(0, 10**6), st.sets(st.integers(0, len(EVERY) - 1), max_size=300))
def test_turns_look_at_all_of_a_long_list_in_bounded_parts(length: int, turn: int, gone: set[int]) -> None:
    avoid = frozenset(rows(EVERY[sorted(gone)]))
    parts = -(-length // LONG)
    seen = [rows(Candidates(N, EVERY[:length], avoid, turn + i).near(torch.arange(3))) for i in range(parts)]
    assert max(map(len, seen)) <= LONG
    assert sorted(itertools.chain(*seen)) == sorted(set(rows(EVERY[:length])) - avoid)


@pytest.mark.parametrize("name", registry.names("selector"))
def test_the_last_pairs_of_a_long_list_are_found_by_every_selector(name: str, posterior: Posterior) -> None:
    last = set(rows(EVERY[[7, 8, 9, 5003, 11174]]))
    candidates = Candidates(N, EVERY, frozenset(rows(EVERY)) - last, turn=4)
    picks = registry.selector(name).select(posterior, VOTES, candidates, 9, stream(0, "select"))
    assert sorted((min(p.a, p.b), max(p.a, p.b)) for p in picks) == sorted(last)


@pytest.mark.parametrize("name", ["eig", "uncertainty", "d_optimal", "eubo", "swap", "max_in_p", "knowledge_gradient"])
def test_what_is_sure_to_be_chosen_of_a_long_list_says_so(name: str, posterior: Posterior) -> None:
    chosen = [
        registry.selector(name).select(posterior, VOTES, Candidates(N, EVERY, turn=turn), 2, stream(seed, "select"))
        for turn, seed in ((5, 0), (5, 1), (6, 0))
    ]
    assert chosen[0] == chosen[1] != chosen[2]
    assert {pick.propensity for picks in chosen for pick in picks} == {1.0}


def test_pairs_drawn_at_random_are_drawn_of_the_whole_list(posterior: Posterior) -> None:
    avoid = frozenset(rows(EVERY[:75]))
    (pick,) = registry.selector("random").select(posterior, [], Candidates(N, EVERY, avoid), 1, stream(0, "select"))
    assert pick.propensity == 1 / (len(EVERY) - 75)


@pytest.mark.parametrize("name", ["eig", "thompson", "max_in_p"])
def test_every_pick_of_a_batch_is_of_the_next_part(name: str, posterior: Posterior) -> None:
    picks = registry.selector(name).select(posterior, VOTES, Candidates(N, EVERY, turn=2), 7, stream(0, "select"))
    place = {pair: i for i, pair in enumerate(rows(EVERY))}
    assert [place[min(p.a, p.b), max(p.a, p.b)] % 3 for p in picks] == [2, 0, 1, 2, 0, 1, 2]


def test_what_is_avoided_is_so_after_picks_too() -> None:
    avoid = frozenset(rows(EVERY[:50]))
    picks = [Pick(a, b, 0.0, 1.0) for a, b in EVERY[50:60].tolist()]
    after = Candidates(N, EVERY, avoid).without(picks[:4]).without([]).without(picks[4:])
    fresh = Candidates(N, EVERY, frozenset(rows(EVERY[:60])), turn=10)
    assert after == fresh
    assert torch.equal(after.near(torch.arange(0)), fresh.near(torch.arange(0)))
    assert torch.equal(after.within(torch.arange(0)), EVERY[60:])


def test_no_pair_of_a_long_list_comes_again_while_others_are_left() -> None:
    engine, listed = Engine(FEATURES, goal="label", pairs=EVERY.numpy()), rows(EVERY)
    seen = set(listed[20:])
    for _ in range(4):
        batch = engine.ask(5, avoid=seen)
        for query in batch:
            assert query.pair not in seen
            seen.add(query.pair)
            engine.tell(query.a, query.b, "a")
    assert seen == set(listed)
    assert engine.ask(avoid=seen).pair in seen


def test_the_stop_rule_of_a_long_list_is_within_its_error_of_all_pairs(posterior: Posterior) -> None:
    same = EVERY[: 2 * LONG].reshape(2, LONG, 2)
    every = np.mean([pair_order(posterior, part, 12, 0.1).expected for part in same])
    drawn = pair_order(posterior, EVERY[: 2 * LONG], 12, 0.1)
    assert abs(drawn.expected - every) < 3 * 0.25 / LONG**0.5
    assert drawn == pair_order(posterior, EVERY[: 2 * LONG], 12, 0.1)
