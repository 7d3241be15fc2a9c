"""Children of two good prompts, and variations of one: by a model that writes, or by their sentences without one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elicit.tuning.protocol import Candidate, Pool, Proposal, Writer
from studies.tuning.drafting import WAYS, Asking, critique, demands, gather_drafts, likely_best, marked_text
from studies.tuning.text import recombine
from studies.tuning.text.repair import fields, repair

_VARIED = 0.4  # how often one prompt is varied where two could be crossed
_TRIES = 20


class Crossover:
    """Crosses and varies good prompts (EvoPrompt, Guo et al. 2024); parents are drawn by Thompson sampling.

    Without a model that writes, sentences of one parent take the place of those most like them in the other, are taken
    over, dropped or moved, or stand in the other's frame. prompt: a TOML file of your own for the model instead of
    `studies/tuning/prompts/crossover.toml`.

    Raises BadInputError where the file is no prompt.
    """

    def __init__(self, prompt: str = "") -> None:
        self._asking = Asking("crossover", prompt)
        self._write: Writer | None = None

    @property
    def asks(self) -> bool:
        """Whether proposals cost calls of the model that writes."""
        return self._write is not None

    def begin(self, write: Writer | None) -> None:
        """A model that writes is used where there is one."""
        self._write = write

    async def propose(self, pool: Pool, k: int, rng: np.random.Generator) -> Sequence[Proposal]:
        """About k prompts, none where the pool has none; OSError where the model answers none of its questions."""
        if not pool.prompts:
            return []
        if self._write is None:
            return self._splice(pool, k, rng)
        tasks = []
        for _ in range(k):
            parents = _parents(pool, rng)
            tasks.append((parents, WAYS[int(rng.integers(len(WAYS)))], int(rng.integers(1, 2**31))))
        return await gather_drafts([self._draft(self._write, pool, *task) for task in tasks])

    async def _draft(
        self, write: Writer, pool: Pool, parents: list[Candidate], way: str, draft: int
    ) -> Proposal | None:
        texts = {"first": parents[0].text, "second": parents[1].text if len(parents) > 1 else ""}
        places = fields(pool)
        reply = await self._asking(write, texts, demands(pool, places) | {"way": way}, (), draft)
        draft_text = marked_text(reply, "prompt")
        if not draft_text or len(draft_text) > pool.rules.longest:
            return None
        why = critique(reply, "prompt") or ("Joins two prompts." if len(parents) > 1 else f"Put {way}.")
        text = repair(draft_text, places, pool.rules, parents[0].text)
        return Proposal(text, tuple(parent.row for parent in parents), why=why)

    def _splice(self, pool: Pool, k: int, rng: np.random.Generator) -> list[Proposal]:
        proposals, texts = list[Proposal](), {prompt.text for prompt in pool.prompts}
        for _ in range(_TRIES * k):
            if len(proposals) == k:
                break
            parents = _parents(pool, rng)
            text, why = _splice(parents, pool.task, rng)
            text = repair(text, fields(pool), pool.rules, parents[0].text)
            if text and text not in texts and not pool.rules.broken(text):
                texts.add(text)
                proposals.append(Proposal(text, tuple(parent.row for parent in parents), why=why))
        return proposals


def _parents(pool: Pool, rng: np.random.Generator) -> list[Candidate]:
    """One prompt to vary, or two to cross."""
    first = likely_best(pool.prompts, rng)
    second = likely_best([prompt for prompt in pool.prompts if prompt is not first], rng)
    varied = rng.random() < _VARIED
    return [parent for parent in (first, None if varied else second) if parent is not None]


def _splice(parents: Sequence[Candidate], task: str, rng: np.random.Generator) -> tuple[str, str]:
    a, way = parents[0].text, int(rng.integers(6))
    if len(parents) == 1:
        return recombine.drop(a, task, rng) if way % 2 else recombine.move(a, task, rng)
    b = parents[1].text
    if way % 3 == 0:
        return recombine.exchange(a, b, task, rng)
    return recombine.adopt(a, b, task, rng) if way % 3 == 1 else recombine.reframe(a, b, task)
