"""The protocols of utility models and of what they believe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from elicit.types import Vote


class Knowledge(NamedTuple):
    """What is known of the items before any vote.

    features: (N, d), or None where items are ids only. groups: how many of the features' columns each group has, in
    order; each group may be all that matters, or none of it. scores: (N, k) that should go up with utility, such as
    an LLM judge's or last study's, standardised. inputs: (I, k) features of the inputs on which the items, prompts
    then, are compared; None where they are compared as they are.
    """

    features: np.ndarray | None = None
    groups: tuple[int, ...] = ()
    scores: np.ndarray | None = None
    inputs: np.ndarray | None = None

    def views(self) -> list[np.ndarray]:
        """The features, and where there are several groups each group by itself."""
        if self.features is None:
            return []
        ends = np.cumsum(self.groups)
        parts = np.split(self.features, ends[:-1], axis=1) if len(self.groups) > 1 else []
        return [self.features, *parts]


class Difference(NamedTuple):
    """Beliefs about u_a - u_b for P pairs: mean and variance in logits, and P(a beats b in a vote without tie)."""

    mean: Tensor
    variance: Tensor
    probability: Tensor


class Mixture(NamedTuple):
    """The same as M weighted Gaussians: weights (M,), mean (M, P) and variance (M, P) of u_a - u_b."""

    weights: Tensor
    mean: Tensor
    variance: Tensor


class Posterior(Protocol):
    """A belief about the utilities of n items. Immutable: every change gives a new one."""

    @property
    def n(self) -> int:
        """Number of items."""
        ...

    def mean(self) -> Tensor:
        """(N,) posterior mean utilities in logits, on CPU."""
        ...

    @property
    def transitive(self) -> bool:
        """Whether utilities explain the votes: it is likelier than not that preferences do not run in circles."""
        ...

    def best(self) -> int:
        """The row of the recommended item."""
        ...

    def sd(self, *, centred: bool = False) -> Tensor:
        """(N,) posterior standard deviations in logits, on CPU.

        centred: of the utility less the pool's mean utility, which is all that votes can tell of it.
        """
        ...

    def difference(self, pairs: Tensor) -> Difference:
        """Beliefs about pairs (P, 2) of rows."""
        ...

    def mixture(self, pairs: Tensor) -> Mixture:
        """What selectors integrate over: beliefs about pairs (P, 2), one Gaussian per heavy model."""
        ...

    def sample(self, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        """(n, S) joint draws of the utilities of `rows` (S,), or of all items (n, N)."""
        ...

    def preferences(self, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        """(n, S, S) joint draws of the logits of one of `rows` (S,) being preferred to another; antisymmetric."""
        ...

    def values(self, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        """(n, S) joint draws of what the best item has most of: utility, or, where preferences run in circles, other
        items that it is preferred to."""
        ...

    def shortlist(self, size: int, breadth: float) -> Tensor:
        """(S,) rows of the recommended item and of those with the highest mean + breadth x sd, in row order."""
        ...

    def least_known(self, size: int) -> Tensor:
        """(S,) rows of the `size` items of the largest standard deviation, in row order; of equal ones the first."""
        ...

    def fantasize(self, a: int, b: int) -> Self:
        """The belief narrowed as by a vote on (a, b) that is still to come, its mean unmoved."""
        ...


def least_known(sd: Tensor, size: int) -> Tensor:
    """(S,) places of the largest of sd (N,), in order; of equal ones the first."""
    return sd.sort(descending=True, stable=True).indices[:size].sort().values


class Transitive:
    """What a belief says of preferences where utilities are all there is: who has the higher one is preferred. And
    which items it knows least of, by the sd of all."""

    @property
    def transitive(self) -> bool:
        return True

    def best(self: Posterior) -> int:
        return int(self.mean().argmax())

    def preferences(self: Posterior, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        draws = self.sample(n, rng, rows)
        return draws[:, :, None] - draws[:, None, :]

    def values(self: Posterior, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        return self.sample(n, rng, rows)

    def least_known(self: Posterior, size: int) -> Tensor:
        return least_known(self.sd(), size)


class UtilityModel(Protocol):
    """Turns items and votes into a posterior. One file in `elicit/models/`; its name is the file's name."""

    def init(self, n_items: int, known: Knowledge, device: str) -> Posterior:
        """The prior over n_items.

        Raises BadInputError where the model needs features and there are none.
        """
        ...

    def update(self, posterior: Posterior, votes: Sequence[Vote], rng: np.random.Generator) -> Posterior:
        """The posterior after `votes`, in their order."""
        ...
