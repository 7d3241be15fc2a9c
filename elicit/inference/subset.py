"""The belief about some of the items, as if there were no others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import msgspec
import torch

from elicit.inference.posterior import least_known
from elicit.inference.residuals import copeland_draws, copeland_winners
from elicit.randomness import stream

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from elicit.inference.posterior import Difference, Mixture, Posterior
    from elicit.types import Vote


@dataclass(frozen=True)
class SubsetPosterior:
    """What `whole` believes of its `rows` (S,), ascending; as a `Posterior` over S items.

    Utilities are centred on these, and the best item is the best of these.
    """

    whole: Posterior
    rows: Tensor

    @property
    def n(self) -> int:
        return len(self.rows)

    @cached_property
    def _place(self) -> dict[int, int]:
        return {row: k for k, row in enumerate(self.rows.tolist())}

    def pairs(self, pairs: Iterable[tuple[int, int]]) -> frozenset[tuple[int, int]]:
        """Pairs of rows of the whole as pairs of places among these items, less those with one that is not here."""
        place = self._place
        return frozenset((place[a], place[b]) for a, b in pairs if a in place and b in place)

    def votes(self, votes: Iterable[Vote]) -> tuple[Vote, ...]:
        """The votes on these items alone, as of their places among them."""
        place = self._place
        kept = [vote for vote in votes if vote.a in place and vote.b in place]
        return tuple(msgspec.structs.replace(vote, a=place[vote.a], b=place[vote.b]) for vote in kept)

    @property
    def transitive(self) -> bool:
        return self.whole.transitive

    def mean(self) -> Tensor:
        return self.whole.mean()[self.rows]

    def best(self) -> int:
        return int((self.mean() if self.transitive else self._p_winner).argmax())

    def sd(self, *, centred: bool = False) -> Tensor:
        return self.whole.sd(centred=centred)[self.rows]

    def difference(self, pairs: Tensor) -> Difference:
        return self.whole.difference(self.rows[pairs])

    def mixture(self, pairs: Tensor) -> Mixture:
        return self.whole.mixture(self.rows[pairs])

    def _rows_in_whole(self, rows: Tensor | None) -> Tensor:
        return self.rows if rows is None else self.rows[rows]

    def sample(self, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        return self.whole.sample(n, rng, self._rows_in_whole(rows))

    def preferences(self, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        return self.whole.preferences(n, rng, self._rows_in_whole(rows))

    def values(self, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        if self.transitive:
            return self.whole.values(n, rng, self._rows_in_whole(rows))
        draws = copeland_draws(self, n, rng)
        return draws if rows is None else draws[:, rows]

    def shortlist(self, size: int, breadth: float) -> Tensor:
        if size >= self.n:
            return torch.arange(self.n)
        bound = self.mean() + breadth * self.sd()
        bound[self.best()] = torch.inf
        return torch.sort(bound, descending=True, stable=True).indices[:size].sort().values

    def least_known(self, size: int) -> Tensor:
        return least_known(self.sd(), size)

    @cached_property
    def _p_winner(self) -> Tensor:
        return copeland_winners(self, stream(0, "p_best", self.n))

    def fantasize(self, a: int, b: int) -> Self:
        return replace(self, whole=self.whole.fantasize(int(self.rows[a]), int(self.rows[b])))
