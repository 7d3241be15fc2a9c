"""Responses to one input, for studies whose candidates are responses: drafts at first, then better ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elicit.tuning.protocol import Candidate, Loss, Pool, Proposal, Writer
from elicit.types import BadInputError
from studies.tuning.drafting import (
    Asking,
    cases,
    critique,
    demands,
    gather_drafts,
    likely_best,
    marked_text,
    sample_losses,
)


class Sample:
    """Asks for responses to the study's one input, and improves the best by what was said of the votes they lost.

    The task is the instruction, the first of the pool's examples the input. Until votes were cast all are drafts; then
    one in three still is, so that the pool is not made of one ancestor's children. losses: how many lost votes the
    model is shown; prompt: a TOML file of your own instead of `studies/tuning/prompts/sample.toml`.

    Raises BadInputError where the file is no prompt.
    """

    asks = True

    def __init__(self, losses: int = 4, prompt: str = "") -> None:
        self._asking, self._losses = Asking("sample", prompt), losses
        self._write: Writer | None = None

    def begin(self, write: Writer | None) -> None:
        """Raises BadInputError where no model writes."""
        if write is None:
            raise BadInputError("proposer sample needs a model that writes; name one, or leave sample out")
        self._write = write

    async def propose(self, pool: Pool, k: int, rng: np.random.Generator) -> Sequence[Proposal]:
        """About k responses; OSError where the model answers none of its questions."""
        voted = [response for response in pool.prompts if response.votes]
        tasks = []
        for place in range(k):
            parent = likely_best(voted, rng) if place % 3 != 2 else None
            lost = [loss for loss in pool.losses if parent is not None and loss.row == parent.row]
            tasks.append((parent, sample_losses(lost, self._losses, rng), int(rng.integers(1, 2**31))))
        return await gather_drafts([self._draft(pool, *task) for task in tasks])

    async def _draft(self, pool: Pool, parent: Candidate | None, lost: list[Loss], draft: int) -> Proposal | None:
        assert self._write is not None, "begin comes first"
        texts = {"input": pool.examples[0].text if pool.examples else "", "response": parent.text if parent else ""}
        reply = await self._asking(self._write, texts, demands(pool, ()), cases(lost), draft)
        draft_text = marked_text(reply, "response") if parent else reply.strip()
        if not draft_text or len(draft_text) > pool.rules.longest:
            return None
        if parent is None:
            return Proposal(draft_text, why="A draft of its own.")
        return Proposal(draft_text, (parent.row,), why=critique(reply, "response") or "Improved by the votes it lost.")
