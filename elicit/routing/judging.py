"""The protocol of judges: whoever or whatever answers a query without a screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from elicit.types import Item, JudgeFailure, Query, Vote


class Judge(Protocol):
    """Answers queries of one study. One file in `adapters/judges/`; its name is the file's name.

    A class of one's own is named "path/to/file.py:Class". Held to `tests/adapters/judges/test_judges.py`.

    Examples
    --------
    >>> import asyncio
    >>> from pathlib import Path
    >>> from elicit import ChoiceOutcome, Item, Query, Vote
    >>> class Shorter:
    ...     "Prefers the shorter text."
    ...
    ...     def begin(self, name, items, pairs, folder):
    ...         self.name, self.lengths = name, [len(item.text) for item in items]
    ...
    ...     async def judge(self, query):
    ...         lead = self.lengths[query.b] - self.lengths[query.a]
    ...         choice = "tie" if lead == 0 else "a" if lead > 0 else "b"
    ...         return Vote(query.a, query.b, ChoiceOutcome(choice), self.name)
    >>> judge = Shorter()
    >>> judge.begin("brief", [Item("long", "In other words, yes."), Item("short", "Yes.")], [], Path())
    >>> asyncio.run(judge.judge(Query(0, 1))).outcome.choice
    'b'
    """

    def begin(self, name: str, items: Sequence[Item], pairs: Sequence[tuple[str, int, int]], folder: Path) -> None:
        """Get to know the study.

        Parameters
        ----------
        name : str
            This judge's name in the log.
        items : sequence of Item
            By row.
        pairs : sequence of (id, row, row)
            The listed pairs, where the study labels pairs.
        folder : Path
            The study's.

        Raises
        ------
        BadInputError
            Where the judge cannot work on this study.
        """
        ...

    async def judge(self, query: Query) -> Vote | JudgeFailure:
        """The judge's vote on the query's own a and b, or why there is none."""
        ...


class CostEstimate(msgspec.Struct, frozen=True):
    """What answering queries would cost at most.

    Attributes
    ----------
    queries, calls : int
        Queries answered, and calls made for them.
    tokens_in, tokens_out : int
        Tokens read and written by all calls together.
    cost : float or None
        Money, in the unit of the judge's prices; None where it has none.
    """

    queries: int
    calls: int
    tokens_in: int
    tokens_out: int
    cost: float | None


@runtime_checkable
class ModelJudge(Judge, Protocol):
    """A judge that asks a model over a network: it may be down, and costs money.

    Examples
    --------
    >>> from elicit import ModelJudge
    >>> from adapters.judges.pairwise import Pairwise
    >>> from adapters.judges.simulated import Simulated
    >>> isinstance(Pairwise(endpoint="http://127.0.0.1:8080/v1", model="small"), ModelJudge)
    True
    >>> isinstance(Simulated(utility="meta.quality"), ModelJudge)
    False
    """

    async def check(self) -> None:
        """Make sure, at no cost, that it can answer.

        Raises
        ------
        BadInputError
            Where it cannot; says how to test it.
        """
        ...

    def estimate(self, queries: int) -> CostEstimate:
        """What answering so many queries of the study would cost at most, without asking anybody."""
        ...

    async def end(self) -> None:
        """Keep what calls under way bring, and close everything; the judge may be asked again."""
        ...


@runtime_checkable
class QuestionedJudge(Judge, Protocol):
    """A judge that can be put the question that people are asked.

    Examples
    --------
    >>> from adapters.judges.pairwise import Pairwise
    >>> from elicit.routing.judging import QuestionedJudge
    >>> judge = Pairwise(endpoint="http://127.0.0.1:8080/v1", model="small")
    >>> if isinstance(judge, QuestionedJudge):
    ...     judge.put("Which pun is funnier?")
    """

    def put(self, question: str) -> None:
        """Judge by this question, unless its own options have one; before it begins."""
        ...


@runtime_checkable
class TaughtJudge(Judge, Protocol):
    """A judge that can be shown how people voted.

    Examples
    --------
    >>> from adapters.judges.pairwise import Pairwise
    >>> from elicit import ChoiceOutcome, Vote
    >>> from elicit.routing.judging import TaughtJudge
    >>> judge = Pairwise(endpoint="http://127.0.0.1:8080/v1", model="small", examples=4)
    >>> if isinstance(judge, TaughtJudge):
    ...     judge.learn_from([Vote(0, 1, ChoiceOutcome("a"), "ann")])
    """

    def learn_from(self, votes: Sequence[Vote]) -> None:
        """Take people's votes as examples, oldest first; replaces those taken before."""
        ...
