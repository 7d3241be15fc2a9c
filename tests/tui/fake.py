"""A small study in memory that speaks the screens' protocol: a list of pairs, asked in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from statistics import median

from elicit.service import (
    Answer,
    Ballot,
    JudgeRow,
    LeaderRow,
    Lean,
    Overview,
    PastVote,
    Progress,
    Routed,
    Routing,
    StudyCard,
    Turn,
)

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


ROUTING = Routing(
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
        "Labels with confidence 0.813 or more, 65% of cases, are accepted: 1 of 31 audits were wrong there, so with "
        "probability 97.0% at most 14.4% of them are, within the target of 15.0% (epoch 1). 21 of 40 audits of epoch "
        "2 are in."
    ),
    alarm=None,
    warning=None,
    decisions=(
        Routed(
            "people",
            0.94,
            "fused 0.54, gpt-4o-mini 0.61, gpt-4o-mini swap disagrees, worth 0.31 bit, people 3.20 a bit",
        ),
        Routed(
            "machines", 0.97, "fused 0.92, gpt-4o-mini 0.88, smollm2 0.71, worth 0.06 bit, people 16.67 a bit", "right"
        ),
        Routed("machines", 1.0, "fused 0.03, gpt-4o-mini 0.07, no human is to be had", "wrong"),
        Routed("nobody", 1.0, "fused 0.50, no human is to be had"),
        Routed("people", 0.91, "fused 0.47, gpt-4o-mini 0.52, model against judges, worth 0.29 bit, people 3.45 a bit"),
        Routed("machines", 0.9, "fused 0.88, gpt-4o-mini 0.81, worth 0.09 bit, people 11.11 a bit"),
    ),
)
"""A study under way, with a certificate."""


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
        routing: Routing | None = None,
    ) -> None:
        self.pairs = list(pairs) or [(SHORT[i % 4], SHORT[(i + 1) % 4]) for i in range(12)]
        self.context = context
        self._card = StudyCard(title, "best", "Which answer is better?", guidelines, reasons, 4)
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
            )
            for place, answer in enumerate(self.answers)
        ]
        return tuple(reversed(past))[:limit]

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
            p_best=tuple(1 - 0.8 * value for value in curve),
            left_share=sides.count("left") / decided if decided else 0.5,
            seconds_median=median(times) if times else None,
            counts={choice: sides.count(choice) for choice in ("left", "right", "tie", "both_bad", "skip")},
        )

    async def routing(self) -> Routing | None:
        return self.router

    async def close(self) -> None:
        self.closed = True
