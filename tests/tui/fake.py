"""A small study in memory that speaks the screens' protocol: a list of pairs, asked in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from statistics import median
from typing import Any, TypeVar

import msgspec

from elicit.log.events import Mark
from elicit.service.results import JudgeRow, LeaderRow, Lean, Overview, RoutingDecision, RoutingView
from elicit.service.views import View
from elicit.service.voting import Answer, Ballot, Board, BoardRow, PastVote, Progress, StudyCard, Turn
from elicit.types import EXPECTED, BadInputError, Goal

T = TypeVar("T")

SHORT = (
    "The cat sat on the mat and looked out of the window.",
    "The cat sat on the rug and looked out of the door.",
    "A dog slept.",
    "The cat lay on the mat and looked out of the window.",
)

ANSWER_A = """\
## Reading a large file

A file of several gigabytes should **not** be read into memory at once. Iterate over its lines instead:

```python
def count_errors(path: str) -> int:
    total = 0
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if "ERROR" in line:
                total += 1
    return total
```

Why this works:

- the file object is an *iterator*, so only one line is in memory at a time;
- `with` closes the file even when something fails;
- memory use stays flat, whatever the size of the file.

If the lines are very long, read in blocks of fixed size instead.
"""

ANSWER_B = """\
## Reading a large file

A file of several gigabytes should **never** be read into memory at once. Iterate over its lines instead:

```python
def count_errors(path: str) -> int:
    with open(path, encoding="utf-8") as lines:
        return sum("ERROR" in line for line in lines)
```

Why this works:

- the file object is an *iterator*, so only one line is in memory at a time;
- `with` closes the file even when an exception is raised;
- memory use stays constant, whatever the size of the file.

For more speed, open the file in binary mode and compare bytes: decoding is most of the work.
"""

PROMPT = (
    "I have a log file of about 12 GB. How do I count the lines with ERROR in Python without running out of memory?"
)

GUIDELINES = """\
# What makes an answer better

1. It is **correct**: the code runs and does what was asked.
2. It is complete, yet no longer than it has to be.
3. It says *why*, in words a beginner follows.

Ignore small matters of style. When both are equally good, say so: a tie teaches too.
"""


ROUTING = RoutingView(
    router="default",
    people=61,
    machines=314,
    waiting=12,
    nobody=3,
    audits_waiting=4,
    spent=68.4,
    budget=90.0,
    per_vote=0.182,
    per_bit=None,
    judges=(
        JudgeRow(
            "gpt-4o-mini",
            380,
            2,
            1.14,
            41,
            380,
            103,
            121,
            (Lean("position", 0.21, 0.12, 0.30, 380, 0), Lean("length", 0.42, 0.10, 0.74, 121, 121)),
        ),
        JudgeRow("smollm2", 390, 0, 0.0003, 160, 390, 64, 120, (Lean("length", -0.06, -0.29, 0.17, 390, 0),)),
    ),
    audits=61,
    wrong=5,
    epoch=40,
    target=0.15,
    threshold=0.813,
    accepted=203,
    certificate=(
        "Labels with confidence 0.813 or more, 65 % of cases, are accepted: 1 of 31 audits were wrong there, so with "
        "probability 97.0 % at most 14.4 % of them are, within the target of 15.0 % (epoch 1). 21 of 40 audits of "
        "epoch 2 are in."
    ),
    alarm=None,
    warning=None,
    decisions=(
        RoutingDecision(
            "people",
            0.94,
            "first better with 54 %, gpt-4o-mini says 61 %, gpt-4o-mini changes sides with the order, "
            "people would tell 0.31 bit at 3.20 a bit",
        ),
        RoutingDecision(
            "machines",
            0.97,
            "first better with 92 %, gpt-4o-mini says 88 %, smollm2 says 71 %, "
            "people would tell 0.06 bit at 16.67 a bit",
            "right",
        ),
        RoutingDecision(
            "machines", 1.0, "first better with 3 %, gpt-4o-mini says 7 %, no person can be asked", "wrong"
        ),
        RoutingDecision("nobody", 1.0, "first better with 50 %, no person can be asked"),
        RoutingDecision(
            "people",
            0.91,
            "first better with 47 %, gpt-4o-mini says 52 %, past votes say the contrary, "
            "people would tell 0.29 bit at 3.45 a bit",
        ),
        RoutingDecision(
            "machines", 0.9, "first better with 88 %, gpt-4o-mini says 81 %, people would tell 0.09 bit at 11.11 a bit"
        ),
    ),
)
"""A study under way, with a certificate."""


REVIEW = "Is this review positive or negative? Answer with one word.\n\nReview: {input}\nAnswer:"


def prompt(row: int, text: str, utility: float, p_best: float, votes: int, **more: object) -> BoardRow:
    """A row of the board, with what the tests do not care about."""
    known: dict[str, object] = {"maker": "", "parents": (), "why": "", "mark": "", "signals": {}, "born": 0} | more
    low, high = utility - 1.9 + 0.06 * votes, utility + 1.9 - 0.06 * votes
    known.setdefault("acceptable", None)
    return BoardRow(row, f"p{row + 1}", text, utility=utility, low=low, high=high, p_best=p_best, votes=votes, **known)  # type: ignore[arg-type]


BOARD = Board(
    progress=Progress(23, 23, 60, (9, 16, 25), False, "the recommended item is the best with 62 %, short of 95 %"),
    task="Say whether a film review is positive or negative.",
    rows=(
        prompt(
            4,
            "You are a film critic. Is this review positive or negative?\nIf it is both, say which outweighs.\n"
            "Answer with exactly one lower-case word.\n\nReview: {input}\nAnswer:",
            1.83,
            0.62,
            14,
            maker="rewrite",
            parents=(2,),
            why="Voters preferred single words, and were split on mixed reviews.",
            signals={"exact_match": 0.75, "json": 0.0},
            born=10,
        ),
        prompt(
            2,
            "Is this review positive or negative? Answer with one lower-case word.\n\nReview: {input}\nAnswer:",
            0.94,
            0.21,
            12,
            maker="slots",
            why="Changes style lower.",
            signals={"exact_match": 0.5, "json": 0.0},
        ),
        prompt(
            5,
            "Think about the whole review, then say positive or negative.\n\n{input}",
            0.61,
            0.11,
            2,
            maker="crossover",
            parents=(2, 1),
            why="The question of p3 and the care of p2.",
            signals={"exact_match": 0.75, "json": 0.0},
            born=20,
        ),
        prompt(6, "Label: {input}", 0.1, 0.05, 1, maker="maya", why="Written by hand.", born=20, mark="pinned"),
        prompt(0, REVIEW, -0.2, 0.01, 9, signals={"exact_match": 0.25, "json": 0.0}),
        prompt(
            3,
            "Sentiment?\n{input}",
            -1.4,
            0.0,
            6,
            maker="slots",
            mark="retired",
            why="Better than the best with less than 1.0 %.",
        ),
        prompt(1, "Read the review with care and judge it.\n\n{input}", -1.9, 0.0, 5, mark="retired", why="By hand."),
    ),
    best=4,
    guessed=False,
    seed=0,
    win_rate=(0.68, 0.55, 0.79),
    calls=312,
    most_calls=2000,
    cost=0.41,
    money=5.0,
    judge_cost=0.0,
    shortfalls="2 responses failed",
    idle="",
    doing="making responses, 3 of 6",
    next_prompts=7,
)
"""Seven prompts, two of them retired."""


class FakeService:
    """Pairs of texts in order. `fail` is raised by the next call that changes something."""

    def __init__(
        self,
        pairs: Sequence[tuple[str, str]] = (),
        *,
        context: str = "",
        reasons: tuple[str, ...] = ("clearer", "more correct", "shorter"),
        guidelines: str = GUIDELINES,
        left: tuple[int, int, int] | None = None,
        stop_at: int | None = None,
        target: int = 60,
        title: str = "Answers about Python",
        routing: RoutingView | None = None,
        board: Board | None = None,
        guarded: bool = False,
        making: Sequence[str] = (),
        goal: Goal = "best",
    ) -> None:
        self.pairs = list(pairs) or [(SHORT[i % 4], SHORT[(i + 1) % 4]) for i in range(12)]
        self.context = context
        self._card = StudyCard(
            title, goal, "Which answer is better?", guidelines, reasons, 4, board is not None, guarded
        )
        self.shown = board
        self.making = list(making)
        self.grown = 0
        self.left = left
        self.stop_at = stop_at
        self.target = target
        self.router = routing
        self.answers: list[Answer] = []
        self.undone: list[Answer] = []
        self.notes: dict[int, str] = {}
        self.fail: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.closed = False

    def _ballot(self, place: int) -> Ballot | None:
        if place >= len(self.pairs):
            return None
        return Ballot(100 + place, place + 1, *self.pairs[place], self.context)

    def _progress(self) -> Progress:
        votes = len(self.answers)
        stop = self.stop_at is not None and votes >= self.stop_at
        why = "The leader is the best with 96 %." if stop else "The two leaders are still close."
        return Progress(votes, votes, self.target, self.left, stop, why)

    async def _change(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.fail is not None:
            error, self.fail = self.fail, None
            raise error

    async def card(self) -> StudyCard:
        return self._card

    async def turn(self) -> Turn:
        if self.making:
            return Turn(None, self._progress(), again=0.05, doing=self.making.pop(0))
        return Turn(self._ballot(len(self.answers)), self._progress())

    async def vote(self, answer: Answer) -> Turn:
        await self._change()
        assert answer.query == 100 + len(self.answers), "a vote on a ballot that is not open"
        self.answers.append(answer)
        return await self.turn()

    async def undo(self) -> Turn | None:
        await self._change()
        if not self.answers:
            return None
        self.undone.append(self.answers.pop())
        return await self.turn()

    async def upcoming(self) -> tuple[Ballot, ...]:
        following = self._ballot(len(self.answers) + 1)
        return () if following is None else (following,)

    async def note(self, query: int, text: str) -> None:
        await self._change()
        self.notes[query] = text

    async def history(self, limit: int = 200) -> tuple[PastVote, ...]:
        past = [
            PastVote(
                query=answer.query,
                number=place + 1,
                left=self.pairs[place][0],
                right=self.pairs[place][1],
                context=self.context,
                choice=answer.choice,
                strength=answer.strength,
                judge="maya",
                seconds=answer.seconds,
                reasons=answer.reasons,
                note=self.notes.get(answer.query, answer.note),
                time="2025-03-01 10:30",
                why="Its answer was expected to raise the utility of the best by 0.31; P(left better) was 48 %.",
                unacceptable=answer.unacceptable,
            )
            for place, answer in enumerate(self.answers)
        ]
        return tuple(reversed(past))[:limit]

    async def show(self, view: View[Any, T]) -> T:
        shown: T = await getattr(self, view.name)()
        return shown

    async def overview(self) -> Overview:
        votes = len(self.answers)
        leaders = tuple(
            LeaderRow(i + 1, f"item-{i}", text, 2.4 - 0.9 * i, 1.1 - 0.8 * i, 3.4 - 0.7 * i, 0.71 / 3**i, 11 - 2 * i)
            for i, text in enumerate(SHORT)
        )
        curve = [0.9 * 0.93**i for i in range(votes + 1)]
        sides = [answer.choice for answer in self.answers]
        decided = sides.count("left") + sides.count("right")
        times = [answer.seconds for answer in self.answers if answer.seconds is not None]
        return Overview(
            progress=self._progress(),
            leaders=leaders,
            regret=tuple(curve),
            regret_name=EXPECTED[self._card.goal],
            p_best=tuple(1 - 0.8 * value for value in curve),
            left_share=sides.count("left") / decided if decided else 0.5,
            seconds_median=median(times) if times else None,
            counts={choice: sides.count(choice) for choice in ("left", "right", "tie", "both_bad", "skip")},
        )

    async def routing(self) -> RoutingView | None:
        return self.router

    async def board(self) -> Board:
        assert self.shown is not None
        return self.shown

    async def add(self, text: str, parent: int | None = None) -> Board:
        await self._change()
        board = await self.board()
        if "{input}" not in text:
            raise BadInputError("the prompt cannot join: it lacks '{input}'; change that")
        parents = () if parent is None else (parent,)
        made = prompt(len(board.rows), text, 0.0, 0.03, 0, maker="maya", parents=parents, born=23)
        self.shown = msgspec.structs.replace(board, rows=(*board.rows[:4], made, *board.rows[4:]))
        return self.shown

    async def mark(self, row: int, mark: Mark) -> Board:
        await self._change()
        board = await self.board()
        rows = [msgspec.structs.replace(one, mark=mark) if one.row == row else one for one in board.rows]
        rows.sort(key=lambda one: one.mark == "retired")
        self.shown = msgspec.structs.replace(board, rows=tuple(rows))
        return self.shown

    async def grow(self) -> Board:
        await self._change()
        self.grown += 1
        return await self.board()

    async def close(self) -> None:
        self.closed = True
