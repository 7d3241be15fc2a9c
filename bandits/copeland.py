"""Double Thompson sampling on the joint posterior, for Copeland winners.

As in Wu and Liu (2016) one draw names the item that is preferred to the most others, and a second draw its challenger;
but a draw is of the whole model, in which votes on one pair tell of others, and a pair is open where two draws
disagree about it instead of where a confidence bound allows it. Where utilities are all there is, this is top-two
Thompson sampling (Russo 2016).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from elicit.inference.posterior import Posterior
from elicit.inference.residuals import copeland_scores
from elicit.selection import Candidates, Pick, greedy_batch
from elicit.types import Vote


class CopelandThompson:
    """The Copeland winner of one draw against the item that most clearly turns the tables in another.

    draws: how many further draws are looked at for one that disagrees; where none does, the closest item is the
    challenger. size, breadth: only the items with the highest mean + breadth x sd are drawn. The score is the share of
    the others that the first beats in its draw; the propensity is 1, given the draws.
    """

    def __init__(self, draws: int = 8, size: int = 128, breadth: float = 2.0) -> None:
        self.draws, self.size, self.breadth = draws, size, breadth

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        def choose(posterior: Posterior, candidates: Candidates) -> Pick | None:
            pairs = candidates.near(posterior.shortlist(self.size, self.breadth))
            if not len(pairs):
                return None
            if len(torch.unique(pairs)) > self.size:
                pairs = pairs[: self.size // 2]
            rows, place = torch.unique(pairs, return_inverse=True)
            first, *others = posterior.preferences(1 + self.draws, rng, rows)
            a = int(copeland_scores(first[None]).argmax())
            partners = torch.zeros(len(rows), dtype=torch.bool)
            partners[place[(place == a).any(1)]] = True
            partners[a] = False
            b = _challenger(first[a], torch.stack(others)[:, a], partners)
            score = float((first[a] > 0).sum()) / max(1, len(rows) - 1)
            return Pick(int(rows[a]), int(rows[b]), score, 1.0)

        return greedy_batch(choose, posterior, candidates, k)


def _challenger(first: Tensor, others: Tensor, partners: Tensor) -> int:
    """The place of the challenger, from the margins of the champion over all in the draw that made it one (S,) and
    in others (draws, S)."""
    reversals = ((others > 0) != (first > 0)) & partners
    disagrees = torch.nonzero(reversals.any(1))[:, 0]
    if len(disagrees):
        d = disagrees[0]
        return int(torch.where(reversals[d], others[d], torch.inf).argmin())
    return int(torch.where(partners, others.mean(0).abs(), torch.inf).argmin())
