"""Better prompts by critique: a model sees which votes a prompt lost, says why, and writes it anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elicit.tuning.protocol import Candidate, Loss, Pool, Proposal, Writer
from elicit.types import BadInputError
from studies.tuning.drafting import (
    WAYS,
    Asking,
    cases,
    critique,
    demands,
    gather_drafts,
    likely_best,
    marked_text,
    sample_losses,
)
from studies.tuning.text.repair import fields, repair


class Rewrite:
    """Rewrites good prompts by the votes they lost (ProTeGi, Pryzant et al. 2023; GEPA, Agrawal et al. 2025).

    Which prompt is rewritten is drawn by Thompson sampling. One that has lost nothing yet is put another way, and
    where there is no prompt at all, one is written from the task. losses: how many lost votes the model is shown;
    prompt: a TOML file of your own instead of `studies/tuning/prompts/rewrite.toml`.

    Raises BadInputError where the file is no prompt.
    """

    asks = True

    def __init__(self, losses: int = 4, prompt: str = "") -> None:
        self._asking, self._losses = Asking("rewrite", prompt), losses
        self._write: Writer | None = None

    def begin(self, write: Writer | None) -> None:
        """Raises BadInputError where no model writes."""
        if write is None:
            raise BadInputError("proposer rewrite needs a model that writes; name one, or leave rewrite out")
        self._write = write

    async def propose(self, pool: Pool, k: int, rng: np.random.Generator) -> Sequence[Proposal]:
        """About k prompts; OSError where the model answers none of its questions."""
        # All that is drawn is drawn first: answers come in any order.
        tasks = []
        for _ in range(k):
            parent = likely_best(pool.prompts, rng)
            lost = [loss for loss in pool.losses if parent is not None and loss.row == parent.row]
            way, draft = WAYS[int(rng.integers(len(WAYS)))], int(rng.integers(1, 2**31))
            tasks.append((parent, sample_losses(lost, self._losses, rng), way, draft))
        return await gather_drafts([self._draft(pool, *task) for task in tasks])

    async def _draft(
        self, pool: Pool, parent: Candidate | None, lost: list[Loss], way: str, draft: int
    ) -> Proposal | None:
        assert self._write is not None, "begin comes first"
        places, before = fields(pool), parent.text if parent else ""
        words = demands(pool, places) | {"way": way}
        reply = await self._asking(self._write, {"prompt": before}, words, cases(lost), draft)
        draft_text = marked_text(reply, "prompt")
        if not draft_text or len(draft_text) > pool.rules.longest:
            return None
        why = critique(reply, "prompt") or (f"Rewritten after {len(lost)} lost votes." if lost else f"Put {way}.")
        return Proposal(repair(draft_text, places, pool.rules, before), (parent.row,) if parent else (), why=why)
