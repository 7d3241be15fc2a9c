"""What a selector sees and gives: candidate pairs in, picks out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from elicit.inference.posterior import Posterior
    from elicit.types import Vote


class Pick(NamedTuple):
    """A chosen pair.

    Attributes
    ----------
    a, b : int
        Rows.
    score : float
        The selector's value of the pair, in the selector's own unit.
    propensity : float
        The probability, in (0, 1], with which it was chosen.

    Examples
    --------
    >>> from elicit import Pick
    >>> Pick(2, 5, score=0.13, propensity=1.0)
    Pick(a=2, b=5, score=0.13, propensity=1.0)
    """

    a: int
    b: int
    score: float
    propensity: float


LONG = 4096
"""Listed pairs that one decision looks at; of a longer list it looks at a part."""


@dataclass(frozen=True)
class Candidates:
    """The pairs that may be asked: all pairs of `n` items, or the listed `pairs`, less those in `avoid`.

    Attributes
    ----------
    n : int
        Number of items.
    pairs : (P, 2) tensor, optional
        The only pairs there are, as rows; None: all.
    avoid : frozenset
        Pairs with the smaller row first.
    turn : int
        The number of the decision, which says at which part of a long list it looks.

    Examples
    --------
    >>> import torch
    >>> from elicit import Candidates
    >>> candidates = Candidates(4, avoid=frozenset({(0, 1)}))
    >>> candidates.admits(1, 0), candidates.admits(3, 0)
    (False, True)
    >>> candidates.within(torch.tensor([0, 1, 3])).tolist()
    [[0, 3], [1, 3]]
    """

    n: int
    pairs: Tensor | None = None
    avoid: frozenset[tuple[int, int]] = field(default_factory=frozenset)
    turn: int = 0

    def admits(self, a: int, b: int) -> bool:
        """Whether the pair of these two rows may be asked."""
        low, high = min(a, b), max(a, b)
        if not 0 <= low < high < self.n or (low, high) in self.avoid:
            return False
        return self.pairs is None or bool((self.pairs.sort(1).values == torch.tensor([low, high])).all(1).any())

    def within(self, rows: Tensor) -> Tensor:
        """(P, 2) admissible pairs of rows: the listed ones, wherever they are, or else all whose two rows are both in
        `rows` (S,)."""
        if self.pairs is not None:
            return self._admissible_pairs(self.pairs)
        i, j = torch.triu_indices(len(rows), len(rows), 1)
        return self._admissible_pairs(torch.stack([rows[i], rows[j]], 1))

    def near(self, rows: Tensor) -> Tensor:
        """The admissible pairs to choose among.

        Of listed pairs all, or, of a list in several `parts`, those that stand at turn mod parts, which the next turns
        go on from; where none of these is admissible, the next part of which one is.

        Parameters
        ----------
        rows : (S,) tensor
            The items to look at; of listed pairs they decide nothing.

        Returns
        -------
        (P, 2) tensor
            Pairs within `rows`, or all there are where these have none; empty where no pair is admissible.
        """
        if self.pairs is None:
            pairs = self.within(rows)
            return pairs if len(pairs) else self.within(torch.arange(self.n))
        share = self._admissible_pairs(self.pairs[self.turn % self.parts :: self.parts])
        if len(share) or self.parts == 1:
            return share
        places = torch.nonzero(self._is_allowed(self.pairs))[:, 0]
        turns = (places - self.turn) % self.parts
        return self.pairs[places[turns == turns.min()]] if len(places) else share

    @property
    def parts(self) -> int:
        """In how many parts of at most 4,096 pairs the list is looked at; 1 where none is listed."""
        return 1 if self.pairs is None else max(1, -(-len(self.pairs) // LONG))

    def without(self, picks: Sequence[Pick]) -> Candidates:
        """The candidates for the turn after these picks, which are not among them."""
        if not picks:
            return self
        picked = {(min(p.a, p.b), max(p.a, p.b)) for p in picks}
        after = replace(self, avoid=self.avoid | picked, turn=self.turn + len(picks))
        numbers = torch.tensor([a * self.n + b for a, b in picked])
        after.__dict__["_avoided"] = torch.cat([self._avoided, numbers]).sort().values  # not made from all again
        return after

    @cached_property
    def _avoided(self) -> Tensor:
        """(A,) numbers of the pairs in `avoid`, ascending."""
        return torch.tensor([a * self.n + b for a, b in self.avoid], dtype=torch.long).sort().values

    def _is_allowed(self, pairs: Tensor) -> Tensor:
        """(P,) whether each of the pairs (P, 2) is not to be avoided."""
        numbers = pairs.min(1).values * self.n + pairs.max(1).values
        at = torch.searchsorted(self._avoided, numbers).clamp_max(len(self._avoided) - 1)
        return self._avoided[at] != numbers

    def _admissible_pairs(self, pairs: Tensor) -> Tensor:
        return pairs[self._is_allowed(pairs)] if self.avoid else pairs


class Selector(Protocol):
    """Chooses the next queries. One file in `bandits/`; its name is the file's name.

    A class of one's own is named "path/to/file.py:Class". Held to `tests/bandits/test_selectors.py`.

    Examples
    --------
    >>> from elicit import Engine, Pick, greedy_batch
    >>> class Closest:
    ...     "Asks the pair the model is least sure about."
    ...
    ...     def select(self, posterior, votes, candidates, k, rng):
    ...         def choose(posterior, candidates):
    ...             pairs = candidates.near(posterior.shortlist(100, 2.0))
    ...             if not len(pairs):
    ...                 return None
    ...             p = posterior.difference(pairs).probability
    ...             row = int((p - 0.5).abs().argmin())
    ...             return Pick(int(pairs[row, 0]), int(pairs[row, 1]), float(p[row]), 1.0)
    ...
    ...         return greedy_batch(choose, posterior, candidates, k)
    >>> import numpy as np
    >>> from elicit import Candidates
    >>> engine = Engine(n_items=3)
    >>> for better, worse in [(0, 1), (0, 2)]:
    ...     engine.tell(better, worse, "a")
    >>> [pick] = Closest().select(engine.posterior, engine.votes, Candidates(3), 1, np.random.default_rng(0))
    >>> pick.a, pick.b
    (1, 2)
    """

    def select(
        self,
        posterior: Posterior,
        votes: Sequence[Vote],
        candidates: Candidates,
        k: int,
        rng: np.random.Generator,
    ) -> list[Pick]:
        """The next queries.

        Parameters
        ----------
        posterior : Posterior
            The belief, pairs that are with somebody counted as coming.
        votes : sequence of Vote
            The votes behind it, oldest first.
        candidates : Candidates
            The pairs that may be asked.
        k : int
            How many are wanted, at least 1.
        rng : numpy.random.Generator
            A stream of the decision's own.

        Returns
        -------
        list of Pick
            Up to k, none repeated; fewer only where fewer pairs are admissible.
        """
        ...


class Acquisition(ABC):
    """A selector that asks the pair of the highest value, for which a derived class says what pairs are worth.

    Parameters
    ----------
    breadth : float
        Only pairs of the items with the highest mean + breadth x sd are looked at; of those with the largest standard
        deviation where breadth is infinite. Of listed pairs all are.
    size : int
        Of how many items.

    Examples
    --------
    >>> from elicit import Acquisition, Engine
    >>> class Closest(Acquisition):
    ...     "Asks the pair the model is least sure about."
    ...
    ...     def value(self, posterior, pairs):
    ...         return -(posterior.difference(pairs).probability - 0.5).abs()
    >>> import numpy as np
    >>> from elicit import Candidates
    >>> engine = Engine(n_items=3)
    >>> for better, worse in [(0, 1), (0, 2)]:
    ...     engine.tell(better, worse, "a")
    >>> [pick] = Closest().select(engine.posterior, engine.votes, Candidates(3), 1, np.random.default_rng(0))
    >>> pick.a, pick.b
    (1, 2)
    """

    def __init__(self, breadth: float = 1.5, size: int = 100) -> None:
        self.breadth, self.size = breadth, size

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        """See `Selector.select`; of the pairs that are looked at those of the highest values, one after another."""

        def choose(posterior: Posterior, candidates: Candidates) -> Pick | None:
            pairs = self.pairs(posterior, candidates)
            return argmax_pick(pairs, self.value(posterior, pairs)) if len(pairs) else None

        return greedy_batch(choose, posterior, candidates, k)

    def pairs(self, posterior: Posterior, candidates: Candidates) -> Tensor:
        """(P, 2) the admissible pairs that are looked at; none only where none is admissible."""
        if candidates.pairs is not None:
            return candidates.near(torch.arange(0))
        if math.isinf(self.breadth):
            return candidates.near(posterior.least_known(self.size))
        return candidates.near(posterior.shortlist(self.size, self.breadth))

    @abstractmethod
    def value(self, posterior: Posterior, pairs: Tensor) -> Tensor:
        """(P,) what asking each of the pairs (P, 2), one at least, is worth."""


def argmax_pick(pairs: Tensor, values: Tensor) -> Pick:
    """The pair of the highest value, chosen with certainty; the first of equal ones.

    Parameters
    ----------
    pairs : (P, 2) tensor
        Rows; at least one pair.
    values : (P,) tensor
        The selector's value of each.

    Returns
    -------
    Pick
        With propensity 1.

    Examples
    --------
    >>> import torch
    >>> from elicit import argmax_pick
    >>> argmax_pick(torch.tensor([[0, 1], [0, 2], [1, 2]]), torch.tensor([0.25, 0.5, 0.5]))
    Pick(a=0, b=2, score=0.5, propensity=1.0)
    """
    best = int(values.argmax())
    return Pick(int(pairs[best, 0]), int(pairs[best, 1]), float(values[best]), 1.0)


def mixture_variance(weights: Tensor, means: Tensor, variances: Tensor) -> Tensor:
    """(P,) variances of a mixture of M Gaussians: weights (M,), means and variances (M, P)."""
    variance: Tensor = weights @ (variances + means**2) - (weights @ means) ** 2
    return variance.clamp_min(1e-12)


def expected_improvement(mean: Tensor, sd: Tensor) -> Tensor:
    """E max(0, x) of x ~ N(mean, sd^2), elementwise: the expected improvement."""
    z = mean / sd
    gain: Tensor = mean * torch.special.ndtr(z) + sd * torch.exp(-0.5 * z * z) / (2 * torch.pi) ** 0.5
    return gain


def greedy_batch(
    choose: Callable[[Posterior, Candidates], Pick | None],
    posterior: Posterior,
    candidates: Candidates,
    k: int,
) -> list[Pick]:
    """Picks k pairs greedily: after each one the posterior is narrowed as if the vote had come, its mean unmoved.

    Parameters
    ----------
    choose : callable
        `choose(posterior, candidates)` gives the best `Pick`, or None where no pair is admissible.
    posterior : Posterior
        The belief before the first pick.
    candidates : Candidates
        The pairs that may be asked; each pick is taken out of them for the next.
    k : int
        How many are wanted.

    Returns
    -------
    list of Pick
        Up to k, none repeated.

    Examples
    --------
    >>> import torch
    >>> from elicit import Candidates, Engine, argmax_pick, greedy_batch
    >>> def most_uncertain(posterior, candidates):
    ...     pairs = candidates.near(torch.arange(posterior.n))
    ...     return argmax_pick(pairs, posterior.difference(pairs).variance) if len(pairs) else None
    >>> engine = Engine(n_items=4)
    >>> engine.tell(0, 1, "a")
    >>> first, second = greedy_batch(most_uncertain, engine.posterior, Candidates(4), 2)
    >>> (first.a, first.b), (second.a, second.b) != (2, 3)
    ((2, 3), True)
    """
    picks: list[Pick] = []
    while len(picks) < k:
        pick = choose(posterior, candidates.without(picks))
        if pick is None:
            break
        picks.append(pick)
        if len(picks) < k:
            posterior = posterior.fantasize(pick.a, pick.b)
    return picks
