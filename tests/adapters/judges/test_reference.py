"""The judge that goes by references: right beats wrong as surely as it is told, and equals are a tie."""

from pathlib import Path

import pytest

from adapters.judges.reference import Reference
from elicit.types import BadInputError, Item, JudgeFailure, Query, Vote


def side(*responses: str, references: tuple[str, ...] = ("yes", "no")) -> Item:
    meta = {"responses": list(responses), "references": list(references), "kinds": ["yes", "no"]}
    return Item(str(responses), " ".join(responses) or "-", meta=meta)


SIDES = [side("yes", "no"), side("yes", "yes"), side("no", "yes"), side("it is yes", "no!")]


@pytest.mark.parametrize(("a", "b", "choice"), [(0, 1, "a"), (2, 1, "b"), (0, 3, "tie"), (1, 0, "b")])
async def test_the_more_right_responses_the_better(a: int, b: int, choice: str) -> None:
    judge = Reference()
    judge.begin("person", SIDES, [], Path())
    vote = await judge.judge(Query(a, b, id=1))
    assert isinstance(vote, Vote)
    assert vote.outcome.choice == choice


async def test_it_slips_as_often_as_its_strength_says() -> None:
    judge = Reference(strength=1.0)
    judge.begin("person", [side("yes", references=("yes",)), side("no", references=("yes",))], [], Path())
    votes = [await judge.judge(Query(0, 1, id=k)) for k in range(1000)]
    right = sum(isinstance(vote, Vote) and vote.outcome.choice == "a" for vote in votes) / 1000
    assert abs(right - 0.731) < 0.05
    other = Reference(strength=1.0, seed=1)
    other.begin("person", [side("yes", references=("yes",)), side("no", references=("yes",))], [], Path())
    assert [await other.judge(Query(0, 1, id=k)) for k in range(1000)] != votes


async def test_without_references_it_says_nothing() -> None:
    judge = Reference()
    judge.begin("person", [side("a", references=("",)), side("b", references=("",))], [], Path())
    assert isinstance(await judge.judge(Query(0, 1)), JudgeFailure)
    with pytest.raises(BadInputError, match="there is no signal called 'best'"):
        Reference("best")
    with pytest.raises(BadInputError, match="votes by references"):
        judge.begin("person", [Item("a", "b")], [], Path())
