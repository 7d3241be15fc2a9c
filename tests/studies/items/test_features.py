"""What items are known by: scores, groups of features, and how they differ within their context."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import elicit
from elicit.types import BadInputError, Item
from studies.items.features import knowledge_of
from studies.prior import PRIOR, expected_by


def item(number: int, context: str = "", **features: float) -> Item:
    rng = np.random.default_rng(number)
    return Item(str(number), f"text {number}", context=context, features=features, embedding=tuple(rng.normal(size=3)))


def test_scores_are_apart_from_the_named_features_and_each_group_is_a_view() -> None:
    known = knowledge_of([item(i, length=float(i), judged=float(-i)) for i in range(4)], "none", ["judged"])
    assert known.scores is not None
    assert known.scores[:, 0].tolist() == [0, -1, -2, -3]
    assert known.groups == (3, 1)
    assert [view.shape[1] for view in known.views()] == [4, 3, 1]


def test_a_score_that_no_item_has_is_refused_by_name() -> None:
    with pytest.raises(BadInputError, match=r"no feature 'judge'.*judged"):
        knowledge_of([item(1, judged=1.0), item(2, judged=2.0)], "none", ["judge"])


def test_a_score_under_a_column_that_is_no_feature_says_how_to_make_it_one() -> None:
    items = [Item("x", "one", meta={"laughs": 1}), Item("y", "two", meta={"laughs": 2})]
    with pytest.raises(BadInputError, match=r'call its column "features.laughs" to make it one'):
        knowledge_of(items, "none", ("laughs",))


@given(st.floats(-5, 5), st.permutations(range(6)))
def test_what_all_responses_to_a_prompt_share_decides_nothing(shift: float, order: list[int]) -> None:
    items = [item(i, context=f"prompt {i % 3}") for i in range(6)]
    moved = [
        Item(i.id, i.text, context=i.context, embedding=tuple(x + shift for x in i.embedding or ()))
        if i.context == "prompt 1"
        else i
        for i in items
    ]
    plain, other = knowledge_of(items, "none"), knowledge_of(moved, "none")
    assert plain.features is not None
    assert other.features is not None
    assert np.allclose(plain.features, other.features)
    shuffled = knowledge_of([items[i] for i in order], "none").features
    assert shuffled is not None
    assert np.allclose(plain.features[order], shuffled)


def test_an_earlier_studys_preferences_order_new_items(tmp_path) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    old = [
        Item(f"o{i}", f"old {i}", embedding=(float(x), float(y))) for i, (x, y) in enumerate(rng.normal(size=(30, 2)))
    ]
    with elicit.Study.create(tmp_path / "old", items=old, embedder="none") as study:
        for _ in range(40):
            query = study.ask(judge="maya")
            better = (old[query.a].embedding or (0,))[0] > (old[query.b].embedding or (0,))[0]
            study.tell(query, "a" if better else "b", judge="maya")
    new = [
        Item(f"n{i}", f"new {i}", embedding=(float(x), float(y))) for i, (x, y) in enumerate(rng.normal(size=(30, 2)))
    ]
    expected = [i.features[PRIOR] for i in expected_by(tmp_path / "old", new)]
    truth = [(i.embedding or (0,))[0] for i in new]
    assert np.corrcoef(expected, truth)[0, 1] > 0.7
    with elicit.Study.create(
        tmp_path / "new", items=expected_by(tmp_path / "old", new), embedder="none", scores=(PRIOR,)
    ) as study:
        best = study.best()
    assert truth[int(best.id[1:])] > np.quantile(truth, 0.8)


def test_a_study_of_bare_ids_expects_nothing_of_others(tmp_path) -> None:  # type: ignore[no-untyped-def]
    elicit.Study.create(tmp_path / "old", items=["a", "b"], embedder="none").close()
    with pytest.raises(BadInputError, match="by their ids only"):
        expected_by(tmp_path / "old", [Item("c", "c")])
    with pytest.raises(BadInputError, match="already"):
        expected_by(tmp_path / "old", [Item("a", "a", features={PRIOR: 1.0})])
