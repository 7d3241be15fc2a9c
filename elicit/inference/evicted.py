"""What is kept of items whose own effects have no seat in a belief of low rank (`elicit.inference.low_rank`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class EvictedEffects:
    """Own effects of items that gave up their seats: rows (L,) ascending; mean, variance (M, L).

    Of an item that has a seat again, what stands here is out of date.
    """

    rows: Tensor
    mean: Tensor
    variance: Tensor

    def __contains__(self, row: int) -> bool:
        at = self.place(row)
        return at < len(self.rows) and int(self.rows[at]) == row

    def place(self, row: int) -> int:
        """Where the row stands, or would."""
        return int(torch.searchsorted(self.rows, row))

    def under(self, models: Tensor) -> EvictedEffects:
        """The same under the chosen `models` (m,)."""
        return EvictedEffects(self.rows, self.mean[models], self.variance[models])

    def with_rows(self, rows: Sequence[int], mean: Tensor, variance: Tensor) -> EvictedEffects:
        """These and more of them, in any order; mean, variance: (M, len(rows))."""
        both = torch.cat([self.rows, torch.tensor(rows, device=self.rows.device)])
        # Of an item that had given up its seat before, the new entry comes last and counts.
        both, last = torch.sort(both, stable=True)
        last = last[torch.cat([both[1:] != both[:-1], both[:1] == both[:1]])]
        means, variances = torch.cat([self.mean, mean], 1), torch.cat([self.variance, variance], 1)
        return EvictedEffects(torch.unique_consecutive(both), means[:, last], variances[:, last])


def places(rows: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Where in ascending `rows` those of `wanted` stand that are among them, and which of `wanted` these are."""
    at = torch.searchsorted(rows, wanted).clamp_max(len(rows) - 1)
    hit = rows[at] == wanted
    return at[hit], hit
