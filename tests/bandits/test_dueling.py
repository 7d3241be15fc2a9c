"""Laws of the algorithms for dueling bandits, each from its paper."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandits.double_thompson import DoubleThompsonSampling
from elicit import Engine
from elicit.inference.posterior import Knowledge
from elicit.plugins import registry
from elicit.randomness import stream
from elicit.selection import Candidates
from elicit.types import ChoiceOutcome, Vote

N = 6
CONDORCET = np.full((N, N), 0.5)
CONDORCET[2] = 0.9
CONDORCET[:, 2] = 0.1
CONDORCET[2, 2] = 0.5
# 0 is preferred to all but 2, which is preferred to few others: a Copeland winner and no Condorcet winner.
BEATS = {0: (1, 3, 4, 5), 1: (2, 3, 4), 2: (0, 5), 3: (2, 5), 4: (2, 3), 5: (1, 4)}
COPELAND = np.full((N, N), 0.5)
for i, losers in BEATS.items():
    for j in losers:
        COPELAND[i, j], COPELAND[j, i] = 0.85, 0.15

CONVERGE = ["rucb", "rmed1", "double_thompson", "relative_confidence", "copeland", "winner_stays", "borda", "champion"]
PRIOR = registry.model("bradley_terry").init(N, Knowledge(), "cpu")

votes = st.lists(
    st.builds(
        lambda a, step, c: Vote(a, (a + step) % N, ChoiceOutcome(c)),
        st.integers(0, N - 1),
        st.integers(1, N - 1),
        st.sampled_from(["a", "a", "b", "tie"]),
    ),
    max_size=60,
)


def duels(matrix: np.ndarray, selector: str, count: int, **options: object) -> tuple[Engine, list[tuple[int, int]]]:
    engine, rng, met = Engine(n_items=len(matrix), selector=selector, selector_options=options), stream(1, "duels"), []
    for _ in range(count):
        query = engine.ask()
        met.append(query.pair)
        engine.tell(query.a, query.b, "a" if rng.random() < matrix[query.a, query.b] else "b")
    return engine, met


@pytest.mark.parametrize("name", CONVERGE)
def test_a_clear_condorcet_winner_ends_up_in_most_duels(name: str) -> None:
    engine, met = duels(CONDORCET, name, 300)
    assert engine.best() == 2
    assert np.mean([2 in pair for pair in met[-100:]]) >= 0.8


@pytest.mark.parametrize("plus", [False, True])
def test_double_thompson_sampling_concentrates(plus: bool) -> None:
    _, met = duels(CONDORCET, "double_thompson", 300, plus=plus)
    assert np.mean([2 in pair for pair in met[-100:]]) >= 0.9


@pytest.mark.parametrize("name", ["default", "copeland", "double_thompson"])
def test_the_copeland_winner_is_recommended_where_preferences_run_in_circles(name: str) -> None:
    assert (COPELAND > 0.5).sum(1).argmax() == 0
    engine, _ = duels(COPELAND, name, 500)
    assert not engine.posterior.transitive
    assert engine.best() == 0


def bounds(cast: list[Vote], sign: float) -> np.ndarray:
    """(N, N) mean wins + sign x radius, by hand; 1 + sign where a pair never met."""
    wins = np.zeros((N, N))
    for vote in cast:
        share = {"a": 1.0, "b": 0.0}.get(vote.outcome.choice, 0.5)
        wins[vote.a, vote.b] += share
        wins[vote.b, vote.a] += 1 - share
    games = wins + wins.T
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(games > 0, wins / games + sign * np.sqrt(0.51 * np.log(len(cast) + 1) / games), 1 + sign)
    np.fill_diagonal(found, 0.5)
    return found


@settings(max_examples=60, deadline=None)
@given(votes, st.integers(0, 100))
def test_rucb_plays_an_optimistic_champion_against_its_likeliest_conqueror(cast: list[Vote], seed: int) -> None:
    (pick,) = registry.selector("rucb").select(PRIOR, cast, Candidates(N), 1, stream(seed, "select"))
    upper = bounds(cast, 1.0)
    champions = np.flatnonzero((upper >= 0.5).all(1))
    assert pick.a in champions or not len(champions)
    others = np.delete(upper[:, pick.a], pick.a)
    assert upper[pick.b, pick.a] == pytest.approx(others.max())
    assert pick.score == pytest.approx(others.max())


def test_rucb_plays_the_only_champion_it_had_half_the_time() -> None:
    """Once 2 was the only champion; 0 has become one again, and nobody else."""
    cast = [Vote(2, j, ChoiceOutcome("a")) for j in (0, 1, 3, 4, 5)] * 8
    selector = registry.selector("rucb")
    again = [*cast, *[Vote(0, 2, ChoiceOutcome("a"))] * 9]
    champions = np.flatnonzero((bounds(again, 1.0) >= 0.5).all(1)).tolist()
    assert champions == [0, 2]
    played = [selector.select(PRIOR, again, Candidates(N), 1, stream(seed, "select"))[0] for seed in range(400)]
    assert abs(np.mean([pick.a == 2 for pick in played]) - 0.5) < 0.125
    assert {pick.a for pick in played} == {0, 2}


@settings(max_examples=60, deadline=None)
@given(votes, st.integers(0, 100), st.booleans())
def test_double_thompson_plays_hopeful_first_and_open_second(cast: list[Vote], seed: int, plus: bool) -> None:
    selector = DoubleThompsonSampling(plus=plus)
    (pick,) = selector.select(PRIOR, cast, Candidates(N), 1, stream(seed, "select"))
    hopeful = (bounds(cast, 1.0) > 0.5).sum(1)
    assert hopeful[pick.a] == hopeful.max()
    lower = np.delete(bounds(cast, -1.0)[:, pick.a], pick.a)
    assert bounds(cast, -1.0)[pick.b, pick.a] <= 0.5 or (lower > 0.5).all()


def test_rmed_lets_all_pairs_meet_before_any_meets_again() -> None:
    _, met = duels(CONDORCET, "rmed1", N * (N - 1) // 2)
    assert len(set(met)) == len(met)


def test_rmed_gives_everybody_a_turn_who_may_still_be_the_winner() -> None:
    """A whole round follows the first meetings, and each item has its turn in it."""
    engine, met = duels(CONDORCET, "rmed1", N * (N - 1) // 2 + N)
    assert len(engine.votes) == len(met)
    for item, pair in enumerate(met[-N:]):
        assert item in pair


def test_relative_confidence_tries_the_least_used_where_a_draw_has_no_champion() -> None:
    """A circle with no champion in nearly any draw, and an item 5 that met nobody."""
    circle = [Vote(i, (i + 1) % 5, ChoiceOutcome("a")) for i in range(5)] * 30
    across = [Vote(i, (i + 2) % 5, ChoiceOutcome(c)) for i in range(5) for c in ("a", "b")] * 10  # type: ignore[arg-type]
    selector = registry.selector("relative_confidence")
    played = [
        selector.select(PRIOR, circle + across, Candidates(N), 1, stream(seed, "select"))[0].a for seed in range(50)
    ]
    assert np.mean([a == 5 for a in played]) > 0.9


def test_the_winner_stays() -> None:
    cast = [Vote(0, 1, ChoiceOutcome("b")), Vote(1, 2, ChoiceOutcome("a")), Vote(1, 3, ChoiceOutcome("tie"))]
    (pick,) = registry.selector("winner_stays").select(PRIOR, cast, Candidates(N), 1, stream(0, "select"))
    assert (pick.a, pick.b) == (1, 3)


def test_borda_prefers_who_wins_most() -> None:
    cast = [Vote(0, j, ChoiceOutcome("a")) for j in range(1, N)] * 20
    cast += [Vote(1, j, ChoiceOutcome("a")) for j in range(2, N)] * 20
    selector = registry.selector("borda")
    played = [selector.select(PRIOR, cast, Candidates(N), 1, stream(seed, "select"))[0] for seed in range(50)]
    assert np.mean([{pick.a, pick.b} == {0, 1} for pick in played]) > 0.9
