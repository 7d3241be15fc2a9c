"""Items that are retired: as if they were not there, but for what votes on them taught."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elicit import stopping
from elicit.engine import Engine
from elicit.types import BadInputError, ChoiceOutcome, Goal, Vote


def engine(n: int = 9, features: bool = True, selector: str = "default") -> Engine:
    rng = np.random.default_rng(0)
    made = Engine(rng.normal(size=(n, 3))) if features else Engine(n_items=n)
    made = Engine(rng.normal(size=(n, 3)) if features else None, n_items=n, selector=selector)
    for _ in range(12):
        query = made.ask()
        made.tell(query.a, query.b, "a" if query.a > query.b else "b")
    return made


@pytest.mark.parametrize("selector", ["default", "thompson", "random", "rucb", "copeland", "swap", "eig"])
@pytest.mark.parametrize("features", [True, False])
@settings(max_examples=5, deadline=None)
@given(st.sets(st.integers(0, 8), max_size=7))
def test_retired_items_are_not_asked_nor_recommended(selector: str, features: bool, out: set[int]) -> None:
    made = engine(features=features, selector=selector)
    made.retire(out)
    asked = made.ask(min(3, (9 - len(out)) * (8 - len(out)) // 2), pending=[(0, 1)] if len(out) < 6 else [])
    assert not {row for query in asked for row in query.pair} & out
    assert made.best() not in out
    p = made.p_best()
    assert p.sum() == pytest.approx(1)
    assert all(p[row] == 0 for row in out)
    assert made.should_stop().expected >= 0
    assert made.utilities()[0].shape == (9,)


@pytest.mark.parametrize("features", [True, False])
@pytest.mark.parametrize("goal", ["best", "top", "rank"])
@settings(max_examples=10, deadline=None)
@given(st.sets(st.integers(0, 8), max_size=7))
def test_what_is_concluded_is_of_the_items_that_are_left(goal: Goal, features: bool, out: set[int]) -> None:
    """An engine with items retired concludes what it would of a belief about the others alone."""
    made = Engine(np.random.default_rng(0).normal(size=(9, 3)) if features else None, n_items=9, goal=goal, top=3)
    made.learn([Vote(a, b, ChoiceOutcome("b")) for a in range(9) for b in range(a + 1, 9) if (a + b) % 2])
    made.retire(out)
    left = [row for row in range(9) if row not in out]
    mean = made.posterior.mean().numpy()
    assert made.ranking() == sorted(left, key=lambda row: (row != made.best(), -mean[row]))
    assert made.top() == made.ranking()[:3]
    p = made.p_top()
    assert p.sum() == pytest.approx(min(3, len(left)))
    assert all(p[row] == 0 for row in out)
    told = {
        "best": stopping.best_item(made.live, len(made.votes), 0.05, 0.95),
        "top": stopping.top_items(made.live, min(3, len(left)), len(made.votes), 0.05),
        "rank": stopping.pair_order(made.live, None, len(made.votes), 0.05),
    }
    assert made.should_stop() == told[goal]
    if goal == "top" and len(left) <= 3:
        assert made.should_stop().stop


def test_what_retires_comes_back_as_it_was() -> None:
    made = engine()
    before = made.best(), made.ask(), made.p_best().tolist(), made.should_stop()
    made.retire([made.best()])
    assert made.best() != before[0]
    made.retire([])
    assert (made.best(), made.ask(), made.p_best().tolist(), made.should_stop()) == before


def test_votes_on_retired_items_still_teach_and_new_items_join() -> None:
    made = engine()
    made.retire([1])
    before = made.posterior.mean()
    made.tell(1, 2, "b")
    assert not np.allclose(before, made.posterior.mean())
    made.extend(np.ones((1, 3)))
    assert made.n == 10
    assert len(made.p_best()) == 10
    assert made.p_best()[1] == 0
    assert made.p_best()[9] > 0


def test_two_items_have_to_be_left_and_listed_pairs_stay() -> None:
    with pytest.raises(BadInputError, match="there would be 1 items left"):
        engine().retire(range(8))
    listed = Engine(n_items=4, goal="label", pairs=[(0, 1), (2, 3)])
    with pytest.raises(BadInputError, match="listed pairs"):
        listed.retire([0])
