"""Laws of the leaderboard: what cannot matter does not, and what it says is as true as it says."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import elicit
from elicit.inference.posterior import Knowledge
from elicit.plugins import registry
from elicit.randomness import stream
from elicit.ranking import davidson
from elicit.ranking.leaderboard import PRIOR_SD, Leaderboard, leaderboard
from elicit.types import CHOICES, BadInputError, ChoiceOutcome, Vote
from tests.elicit.voting import N, Votes, cast, mirrored, votes


def same(one: Leaderboard, other: Leaderboard, tolerance: float = 1e-8) -> bool:
    return all(
        np.allclose(getattr(one, name), getattr(other, name), rtol=tolerance, atol=tolerance)
        for name in ("utilities", "covariance", "model_covariance", "nu", "votes", "components", "groups")
    )


def covers(board: Leaderboard, truth: NDArray[Any], level: float = 0.95) -> NDArray[np.bool_]:
    low, high = board.intervals(level).T
    return np.asarray((low <= truth) & (truth <= high))


# -- what cannot matter -----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(votes, st.randoms(use_true_random=False))
def test_the_order_of_the_votes_does_not_matter(given_votes: Votes, random: Any) -> None:
    order = list(range(len(given_votes[0])))
    random.shuffle(order)
    assert same(leaderboard(*given_votes, N), leaderboard(*(column[order] for column in given_votes), N), 0)


@settings(deadline=None)
@given(votes, st.integers(0, 2**60 - 1))
def test_exchanging_the_sides_of_a_vote_changes_nothing(given_votes: Votes, bits: int) -> None:
    a, b, outcomes = given_votes
    turn = np.array([bits >> i & 1 for i in range(len(a))], dtype=bool)
    turned = np.where(turn, b, a), np.where(turn, a, b), np.where(turn, mirrored(outcomes), outcomes)
    assert same(leaderboard(a, b, outcomes, N), leaderboard(*turned, N), 0)


@settings(deadline=None)
@given(votes, st.data())
def test_a_weight_stands_for_so_many_votes(given_votes: Votes, data: st.DataObject) -> None:
    size = len(given_votes[0])
    times = np.array(data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size).filter(any)))
    for clusters in (None, np.arange(size) % 2):
        if clusters is not None and len(set(clusters[times > 0])) < 2:
            continue
        copied = [np.repeat(column, times) for column in given_votes]
        whose = None if clusters is None else np.repeat(clusters, times)
        weighed = leaderboard(*given_votes, N, weights=times, clusters=clusters)
        assert same(weighed, leaderboard(*copied, N, clusters=whose))


@settings(deadline=None)
@given(votes, st.permutations(range(N)))
def test_the_names_of_the_items_do_not_matter(given_votes: Votes, order: list[int]) -> None:
    a, b, outcomes = given_votes
    to = np.array(order)
    here, there = leaderboard(a, b, outcomes, N), leaderboard(to[a], to[b], outcomes, N)
    assert np.allclose(here.utilities, there.utilities[to])
    assert np.allclose(here.covariance, there.covariance[np.ix_(to, to)])
    assert np.array_equal(here.votes, there.votes[to])
    for one, other in ((here.components, there.components[to]), (here.groups, there.groups[to])):
        assert np.array_equal(one[:, None] == one, other[:, None] == other)


@settings(deadline=None)
@given(votes)
def test_words_and_their_places_say_the_same_and_a_skip_says_nothing(given_votes: Votes) -> None:
    a, b, outcomes = given_votes
    words = [CHOICES[o] for o in outcomes]
    board = leaderboard(a, b, outcomes, N)
    assert same(board, leaderboard(a, b, words, N), 0)
    assert same(board, leaderboard(a, b, ["both_bad" if word == "tie" else word for word in words], N), 0)
    more = np.append(a, 0), np.append(b, 1), [*words, "skip"]
    assert same(board, leaderboard(*more, N), 0)


@settings(deadline=None)
@given(votes, st.floats(0.5, 0.9), st.floats(0.9, 0.99))
def test_more_certainty_leaves_more_ranks_open_and_the_estimate_is_among_them(
    given_votes: Votes, low: float, high: float
) -> None:
    board = leaderboard(*given_votes, N)
    narrow, wide = board.ranks(low), board.ranks(high)
    assert (wide[:, 0] <= narrow[:, 0]).all()
    assert (wide[:, 1] >= narrow[:, 1]).all()
    better = (board.utilities[:, None] > board.utilities + 1e-9).sum(0)
    worse = (board.utilities[:, None] < board.utilities - 1e-9).sum(0)
    assert (narrow[:, 0] <= 1 + better).all()
    assert (narrow[:, 1] >= N - worse).all()
    assert np.array_equal(narrow, board.ranks(low))


# -- the uncertainty --------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(votes, st.booleans())
def test_the_sandwich_never_claims_more_than_the_model(given_votes: Votes, by_cluster: bool) -> None:
    clusters = np.arange(len(given_votes[0])) % 3 if by_cluster and len(given_votes[0]) > 1 else None
    board = leaderboard(*given_votes, N, clusters=clusters)
    assert np.linalg.eigvalsh(board.covariance - board.model_covariance).min() > -1e-8
    assert np.allclose(board.covariance[board.reference].mean(0), 0, atol=1e-8), "what they are relative to is certain"


def test_votes_said_ten_times_over_by_the_same_judge_teach_nothing_more() -> None:
    given_votes = cast(np.linspace(-1, 1, N), 2000, 0.5, np.random.default_rng(1))
    ten_times = [np.repeat(column, 10) for column in given_votes]
    sd = [
        np.sqrt(np.diagonal(board.covariance))
        for board in (
            leaderboard(*given_votes, N),
            leaderboard(*ten_times, N, clusters=np.repeat(np.arange(2000), 10)),
            leaderboard(*ten_times, N),
        )
    ]
    assert np.allclose(sd[1] / sd[0], 1, atol=0.05)
    assert np.allclose(sd[2] / sd[0], 10**-0.5, atol=0.05)


def test_clusters_of_two_kinds_of_which_one_says_nothing_are_those_of_the_other() -> None:
    rng = np.random.default_rng(2)
    given_votes = cast(np.linspace(-1, 1, N), 3000, 0.5, rng)
    judges = rng.integers(0, 60, 3000)
    one = leaderboard(*given_votes, N, clusters=judges)
    two = leaderboard(*given_votes, N, clusters=np.stack([judges, np.arange(3000)], 1))
    assert np.allclose(one.covariance, two.covariance, rtol=1e-3, atol=1e-6)
    assert two.clusters == 60


@pytest.mark.parametrize(("n", "count"), [(5, 60), (12, 400)])
def test_intervals_and_ranks_are_as_often_true_as_they_say(n: int, count: int) -> None:
    inside, together, open_ranks, runs = 0, 0, 0.0, 200
    for seed in range(runs):
        rng = np.random.default_rng([n, seed])
        u = rng.normal(0, 1.5, n)
        u -= u.mean()
        board = leaderboard(*cast(u, count, 0.5, rng), n)
        inside += int(covers(board, u).sum())
        ranks, true = board.ranks(), 1 + (u[:, None] > u).sum(0)
        together += bool(((ranks[:, 0] <= true) & (true <= ranks[:, 1])).all())
        open_ranks += float((ranks[:, 1] - ranks[:, 0] + 1).mean()) / n
    # Utilities of one board are correlated: the standard error is that of the boards, not of the utilities.
    assert 0.95 - 3 * (0.05 * 0.95 / runs) ** 0.5 < inside / (runs * n) < 0.985
    assert together / runs > 0.95 - 3 * (0.05 * 0.95 / runs) ** 0.5
    assert open_ranks / runs < 0.85, "the sets of ranks say something"


def test_equals_are_told_apart_as_rarely_as_promised_and_not_more_rarely() -> None:
    """All utilities equal: every claim is false, and the family of all claims is used up to its level."""
    runs, level = 400, 0.9
    false = sum(
        bool((leaderboard(*cast(np.zeros(7), 1500, 0.5, np.random.default_rng(seed)), 7).ranks(level)[:, 0] > 1).any())
        for seed in range(runs)
    )
    assert abs(false / runs - (1 - level)) < 3 * (level * (1 - level) / runs) ** 0.5


def test_stepping_down_tells_at_least_as_much_apart_as_one_step_and_sometimes_more() -> None:
    """One step: all pairs asked at once, both ways. Once easy pairs are decided, the others meet a milder measure."""
    more = 0
    for seed in range(60):
        board = leaderboard(*cast(np.array([3.0, 0.25, 0.0, -3.0]), 3000, 0.5, np.random.default_rng(seed)), 4)
        variance = np.diagonal(board.covariance)
        sd = np.sqrt(variance[:, None] + variance - 2 * board.covariance + np.eye(4))
        draws = np.random.default_rng(0).multivariate_normal(np.zeros(4), board.covariance, 20_000, method="eigh")
        largest = np.abs((draws[:, :, None] - draws[:, None, :]) / sd).max((1, 2))
        certainty = (board.utilities[:, None] - board.utilities) / sd / np.quantile(largest, 0.95)
        ranks = board.ranks()
        # Both measures are simulated, so they may differ by a hundredth.
        assert (ranks[:, 0] >= 1 + (certainty > 1.01).sum(0)).all()
        assert (ranks[:, 1] <= 4 - (certainty > 1.01).sum(1)).all()
        more += bool((ranks[:, 0] > 1 + (certainty > 0.98).sum(0)).any())
    assert more > 0


def test_where_no_utilities_explain_the_votes_the_sandwich_still_covers_those_that_come_closest() -> None:
    """a beats b, b beats c, and in the rare votes on both c beats a: the model is wrong, and so is its variance."""
    pairs, win, share = np.array([[0, 1], [1, 2], [0, 2]]), np.array([0.95, 0.95, 0.05]), np.array([0.45, 0.45, 0.1])
    expected = np.stack([share * win, share * (1 - win)], 1).ravel()
    truth = leaderboard(
        np.repeat(pairs[:, 0], 2), np.repeat(pairs[:, 1], 2), [0, 1] * 3, 3, weights=expected * 1e8
    ).utilities
    runs, robust, model = 300, 0, 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        met = rng.choice(3, 2000, p=share)
        board = leaderboard(pairs[met, 0], pairs[met, 1], (rng.random(2000) > win[met]).astype(int), 3)
        robust += int(covers(board, truth)[0])
        model += int(covers(replace(board, covariance=board.model_covariance), truth)[0])
    assert robust / runs > 0.95 - 3 * (0.05 * 0.95 / runs) ** 0.5
    assert model / runs < 0.90


def test_judges_who_differ_need_clusters() -> None:
    """Everybody has utilities of their own around the common ones; by symmetry the votes' own centre is at zero."""
    runs, n, clustered, alone = 150, 5, 0, 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        own, judge = rng.normal(0, 0.8, (30, n)), rng.integers(0, 30, 1500)
        a = rng.integers(0, n, 1500)
        b = (a + rng.integers(1, n, 1500)) % n
        share = davidson.probabilities(own[judge, a] - own[judge, b], 0.5).cumsum(1)
        outcomes = (rng.random(1500)[:, None] > share[:, :2]).sum(1)
        clustered += int(covers(leaderboard(a, b, outcomes, n, clusters=judge), np.zeros(n)).sum())
        alone += int(covers(leaderboard(a, b, outcomes, n), np.zeros(n)).sum())
    assert 0.95 - 3 * (0.05 * 0.95 / runs) ** 0.5 < clustered / (runs * n) < 0.99
    assert alone / (runs * n) < 0.85


def test_few_clusters_widen_everything() -> None:
    board = leaderboard(*cast(np.linspace(-0.6, 0.6, N), 2000, 0.5, np.random.default_rng(9)), N)
    few = replace(board, clusters=5)
    sd = np.sqrt(np.diagonal(board.covariance))
    assert np.allclose(np.diff(few.intervals(0.95))[:, 0] / 2 / sd, 2.776, atol=0.01)
    assert np.allclose(np.diff(board.intervals(0.95))[:, 0] / 2 / sd, 1.960, atol=0.001)
    spread = [int(np.diff(b.ranks(0.95)).sum()) for b in (board, few)]
    assert spread[0] < spread[1]


# -- the corners ------------------------------------------------------------------------------------------------


def test_one_vote_is_a_beginning() -> None:
    board = leaderboard([1], [0], ["a"], 2)
    assert board.utilities[1] > 0 > board.utilities[0]
    assert board.ranks().tolist() == [[1, 2], [1, 2]]
    assert 0.5 < board.p_beats(1, 0) < 0.95
    assert board.components.tolist() == [0, 0]
    assert board.groups.tolist() == [0, 1]


@pytest.mark.parametrize("wins", [5000, 9000, 10_000])
def test_many_votes_on_one_pair_say_its_share(wins: int) -> None:
    board = leaderboard([0] * 10_000, [1] * 10_000, ["a"] * wins + ["b"] * (10_000 - wins), 2)
    assert abs(board.p_beats(0, 1) - wins / 10_000) < 1e-3
    assert np.isfinite(board.covariance).all()
    assert board.ranks().tolist() == ([[1, 2], [1, 2]] if wins == 5000 else [[1, 1], [2, 2]])


def test_nothing_but_ties_make_equals() -> None:
    board = leaderboard([0] * 10_000, [1] * 10_000, ["tie"] * 10_000, 3)
    assert np.allclose(board.utilities, 0)
    assert board.nu > 1000
    assert np.isfinite(board.covariance).all()
    assert board.p_beats(0, 1) == pytest.approx(0.5)


def test_who_always_wins_is_above_and_nobody_knows_how_far() -> None:
    a, b, outcomes = cast(np.zeros(4), 400, 0.5, np.random.default_rng(5))
    board = leaderboard(np.append(a, [4] * 60), np.append(b, [0, 1, 2, 3] * 15), [*outcomes, *[0] * 60], 5)
    assert board.groups.tolist() == [0, 0, 0, 0, 1]
    assert board.components.tolist() == [0] * 5
    assert board.ranks()[4].tolist() == [1, 1]
    sd = np.sqrt(np.diagonal(board.covariance))
    assert sd[4] > 3 * sd[:4].max()


def test_items_that_never_met_are_compared_by_the_prior_alone() -> None:
    a, b, outcomes = cast(np.array([1.0, 0.0, -1.0]), 3000, 0.5, np.random.default_rng(6))
    board = leaderboard(np.append(a, [3, 4] * 300), np.append(b, [4, 3] * 300), [*outcomes, *[0] * 600], 6)
    assert board.components.tolist() == [0, 0, 0, 1, 1, 2]
    assert board.votes[5] == 0
    apart = board.covariance[0, 0] + board.covariance[5, 5] - 2 * board.covariance[0, 5]
    within = board.covariance[0, 0] + board.covariance[1, 1] - 2 * board.covariance[0, 1]
    assert apart > PRIOR_SD**2 > 100 * within
    assert board.ranks()[:, 1].tolist() == [4, 5, 6, 6, 6, 6]
    assert board.p_beats(3, 5) == pytest.approx(0.5, abs=1e-6)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda p: p[0] != p[1]), min_size=1, max_size=20)
)
def test_groups_are_the_items_that_beat_each_other_along_chains(wins: list[tuple[int, int]]) -> None:
    board = leaderboard([a for a, _ in wins], [b for _, b in wins], ["a"] * len(wins), 8)
    reach = np.eye(8, dtype=bool)
    for a, b in wins:
        reach[a, b] = True
    for k in range(8):
        reach |= reach[:, [k]] & reach[k]
    assert np.array_equal(board.groups[:, None] == board.groups, reach & reach.T)
    either = reach | reach.T
    for k in range(8):
        either |= either[:, [k]] & either[k]
    assert np.array_equal(board.components[:, None] == board.components, either)
    sizes = np.bincount(board.groups)
    assert (np.diff(sizes) <= 0).all()


def test_preference_probabilities_are_coherent_in_any_shape() -> None:
    board = leaderboard(*cast(np.linspace(-2, 2, N), 500, 0.5, np.random.default_rng(7)), N)
    every = np.arange(N)
    p = board.p_beats(every[:, None], every)
    assert np.allclose(p + p.T, 1)
    assert np.array_equal(p > 0.5, board.utilities[:, None] > board.utilities)
    plain = 1 / (1 + np.exp(board.utilities - board.utilities[:, None]))
    assert (np.abs(p - 0.5) <= np.abs(plain - 0.5) + 1e-12).all(), "not knowing brings them closer to one half"


def test_the_online_belief_arrives_at_the_same_utilities() -> None:
    """By assumed density filtering, vote by vote. It assumes 2 % slips, which shows once thousands of votes are in."""
    rng = np.random.default_rng(8)
    n = 12
    a, b, outcomes = cast(rng.normal(0, 1, n), 800, 0.5, rng)
    board = leaderboard(a, b, outcomes, n)
    model = registry.model("bradley_terry")
    said = [Vote(int(i), int(j), ChoiceOutcome(CHOICES[o])) for i, j, o in zip(a, b, outcomes, strict=True)]
    belief = model.update(model.init(n, Knowledge(), "cpu"), said, stream(0, "update"))
    mean = belief.mean().numpy() - belief.mean().numpy().mean()
    sd = np.sqrt(np.diagonal(board.model_covariance))
    assert np.corrcoef(mean.argsort().argsort(), board.utilities.argsort().argsort())[0, 1] > 0.97
    assert np.sqrt(((mean - board.utilities) ** 2).mean()) < 0.5 * sd.mean()
    assert np.allclose(belief.sd(centred=True).numpy() / sd, 1, atol=0.15)


# -- bad input --------------------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {"a": [0, 1, 2], "b": [1, 2, 0], "outcomes": ["a", "b", "tie"], "n_items": 3}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "row too high": ({"a": [0, 1, 3]}, "a[2] is 3; give row numbers from 0 to 2"),
    "row below zero": ({"b": [1, -1, 0]}, "b[1] is -1"),
    "row nan": ({"a": [0, math.nan, 2]}, "a holds float64"),
    "row names": ({"a": ["x", "y", "z"]}, "give row numbers"),
    "with itself": ({"b": [1, 1, 0]}, "vote 1 is on item 1 and itself"),
    "unknown word": ({"outcomes": ["a", "left", "b"]}, "outcomes[1] is 'left'; use a, b, tie, both_bad, skip"),
    "unknown place": ({"outcomes": [0, 5, 1]}, "outcomes[1] is 5"),
    "outcome nan": ({"outcomes": [0.0, math.nan, 1.0]}, "outcomes[0] is 0.0"),
    "outcome missing": ({"outcomes": ["a", None, "b"]}, "outcomes[1] is None"),
    "lengths": ({"outcomes": ["a", "b"]}, "outcomes has 2 entries and a has 3"),
    "table of rows": ({"a": [[0], [1], [2]]}, "a has shape (3, 1)"),
    "no votes": ({"a": [], "b": [], "outcomes": []}, "there is no vote that tells anything"),
    "only skips": ({"outcomes": ["skip"] * 3}, "there is no vote that tells anything"),
    "one item": ({"n_items": 1}, "n_items is 1"),
    "half an item": ({"n_items": 2.5}, "n_items is 2.5"),
    "too many items": ({"n_items": 10**6}, "1000000 items are too many"),
    "weight nan": ({"weights": [1, math.nan, 1]}, "weights[1] is nan"),
    "weight below zero": ({"weights": [1, 1, -2]}, "weights[2] is -2.0"),
    "weight words": ({"weights": ["x", "y", "z"]}, "weights holds something that is no number"),
    "weights missing": ({"weights": [1, 1]}, "weights has 2 entries"),
    "one cluster": ({"clusters": ["me"] * 3}, "all votes are of one cluster"),
    "three kinds of clusters": ({"clusters": [[1, 2, 3]] * 3}, "clusters has shape (3, 3)"),
    "clusters of all sorts": (
        {"clusters": np.array(["me", 2, None], object)},
        "clusters holds entries of several kinds",
    ),
    "prior zero": ({"prior_sd": 0.0}, "prior_sd is 0.0"),
    "prior nan": ({"prior_sd": math.nan}, "prior_sd is nan"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_with_its_place(case: str) -> None:
    changed, expected = BAD[case]
    with pytest.raises(BadInputError) as caught:
        leaderboard(**(GOOD | changed))
    assert expected in str(caught.value)
    assert "; " in str(caught.value), "it says what to do"


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, math.nan])
def test_a_level_is_a_probability(level: float) -> None:
    board = leaderboard(**GOOD)
    for ask in (board.intervals, board.ranks):
        with pytest.raises(BadInputError, match="give a probability"):
            ask(level)


def test_it_stands_in_the_public_face() -> None:
    assert elicit.leaderboard is leaderboard
    assert isinstance(elicit.leaderboard(**GOOD), elicit.Leaderboard)
