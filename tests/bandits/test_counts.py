"""Laws of the counts that selectors share, and of who may meet whom."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bandits._counts import REMEMBERED, Partners, Tally, counts, highest_rows, sampled_wins, upper_bounds
from elicit.randomness import stream
from elicit.selection import Candidates
from elicit.types import ChoiceOutcome, Vote

N = 5
votes = st.lists(
    st.builds(
        lambda a, step, c: Vote(a, (a + step) % N, ChoiceOutcome(c)),
        st.integers(0, N - 1),
        st.integers(1, N - 1),
        st.sampled_from(["a", "b", "tie", "both_bad", "skip"]),
    ),
    max_size=REMEMBERED + 20,
)


def wins_of(cast: list[Vote]) -> np.ndarray:
    """(N, N) by hand."""
    found = np.zeros((N, N))
    for vote in cast:
        if vote.outcome.choice != "skip":
            share = {"a": 1.0, "b": 0.0}.get(vote.outcome.choice, 0.5)
            found[vote.a, vote.b] += share
            found[vote.b, vote.a] += 1 - share
    return found


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, REMEMBERED + 20), votes), min_size=1, max_size=6))
def test_a_tally_follows_votes_that_grow_are_taken_back_and_are_replaced(changes: list[tuple[int, list[Vote]]]) -> None:
    seen: Tally[tuple[float, ...]] = Tally(lambda n: (), lambda tally, before: (*before, float(tally.wins.sum())))
    cast: list[Vote] = []
    for kept, more in changes:
        cast = cast[:kept] + more
        with seen.of(Candidates(N), cast) as tally:
            found = np.zeros((N, N))
            duels = tally.duels()
            found[duels.rows, duels.others] = duels.wins
            assert np.array_equal(found, wins_of(cast))
            assert np.array_equal(found + found.T, wins_of(cast) + wins_of(cast).T)
            assert tally.total == sum(vote.outcome.choice != "skip" for vote in cast)
            assert tally.state == tuple(float(t) for t in range(1, tally.total + 1))


def test_a_tally_of_other_items_starts_anew() -> None:
    seen, cast = counts(), [Vote(0, 1, ChoiceOutcome("a"))]
    with seen.of(Candidates(2), cast) as tally:
        assert tally.n == 2
    with seen.of(Candidates(4, pairs=torch.tensor([[0, 1], [2, 3]])), cast) as tally:
        assert (tally.n, tally.askable, tally.total) == (4, 2, 1)


@settings(max_examples=30, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 2), st.integers(3, 5)), max_size=9), st.booleans())
def test_partners_are_the_other_ends_of_admissible_pairs(some: set[tuple[int, int]], listed: bool) -> None:
    pairs = torch.tensor(sorted(some), dtype=torch.int64).reshape(-1, 2)
    candidates = Candidates(6, pairs=pairs) if listed else Candidates(6, avoid=frozenset(some))
    partners = Partners(candidates)
    admissible = {tuple(pair) for pair in candidates.within(torch.arange(6)).tolist()}
    for row in range(6):
        mine = {i + j - row for i, j in admissible if row in (i, j)}
        assert set(np.flatnonzero(partners.of(row))) == mine
        assert partners.count[row] == len(mine)
        assert partners.some[row] == bool(mine)


@settings(max_examples=30, deadline=None)
@given(votes)
def test_upper_bounds_are_those_of_the_paper(cast: list[Vote]) -> None:
    wins = wins_of(cast)
    with counts().of(Candidates(N), cast) as tally:
        for c in range(N):
            found = upper_bounds(tally, 0.51, c)
            for j in range(N):
                games = wins[j, c] + wins[c, j]
                mean, radius = (
                    (wins[j, c] / games, np.sqrt(0.51 * np.log(tally.total + 1) / games)) if games else (1, 1)
                )
                assert found[j] == pytest.approx(0.5 if j == c else mean + radius)


@settings(max_examples=30, deadline=None)
@given(votes, st.integers(0, 100))
def test_a_draw_of_all_pairs_gives_each_pair_to_one_of_the_two(cast: list[Vote], seed: int) -> None:
    with counts().of(Candidates(N), cast) as tally:
        score = sampled_wins(tally, stream(seed, "draw"))
    assert score.sum() == N * (N - 1) / 2
    assert ((score >= 0) & (score <= N - 1)).all()


def test_a_draw_beats_others_as_often_as_its_beta_says() -> None:
    """Three wins of 0 over 1, nothing else: P(theta > 1/2) = 15/16 for them and 1/2 for the rest."""
    with counts().of(Candidates(3), [Vote(0, 1, ChoiceOutcome("a"))] * 3) as tally:
        mean = np.mean([sampled_wins(tally, stream(seed, "draw")) for seed in range(4000)], axis=0)
    assert mean == pytest.approx([15 / 16 + 0.5, 1 / 16 + 0.5, 1.0], abs=0.05)


def test_the_highest_are_looked_for_among_the_allowed() -> None:
    value, among = np.array([3.0, 1.0, 1.0, 0.0]), np.array([False, True, True, True])
    assert highest_rows(value, among).tolist() == [False, True, True, False]
