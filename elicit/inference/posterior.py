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

    Attributes
    ----------
    features : (N, d) array, optional
        None where items are ids only.
    groups : tuple of int
        How many of the features' columns each group has, in order; each group may be all that matters, or none of it.
    scores : (N, k) array, optional
        Numbers that should go up with utility, such as an LLM judge's or last study's, standardised by column.
    inputs : (I, k) array, optional
        Features of the inputs on which the items, prompts then, are compared; None where they are compared as they are.

    Examples
    --------
    >>> import numpy as np
    >>> from elicit import Knowledge
    >>> embedding, named = np.eye(4), np.ones((4, 2))
    >>> known = Knowledge(np.hstack([embedding, named]), groups=(4, 2))
    >>> [view.shape for view in known.views()]
    [(4, 6), (4, 4), (4, 2)]
    """

    features: np.ndarray | None = None
    groups: tuple[int, ...] = ()
    scores: np.ndarray | None = None
    inputs: np.ndarray | None = None

    def views(self) -> list[np.ndarray]:
        """The features (N, d), and where there are several groups each group's columns by themselves."""
        if self.features is None:
            return []
        ends = np.cumsum(self.groups)
        parts = np.split(self.features, ends[:-1], axis=1) if len(self.groups) > 1 else []
        return [self.features, *parts]


class Difference(NamedTuple):
    """Beliefs about u_a - u_b for P pairs.

    Attributes
    ----------
    mean : (P,) tensor
        In logits.
    variance : (P,) tensor
        In logits squared.
    probability : (P,) tensor
        P(a is preferred to b in a vote that is no tie); a slip of the voter may decide it, too.

    Examples
    --------
    >>> import elicit, torch
    >>> engine = elicit.Engine(n_items=3)
    >>> for _ in range(8):
    ...     engine.tell(0, 1, "a")
    >>> known, unknown = engine.posterior.difference(torch.tensor([[0, 1], [1, 2]])).probability.tolist()
    >>> known > 0.8, unknown < 0.5  # 1 lost, of 2 nothing is known
    (True, True)
    """

    mean: Tensor
    variance: Tensor
    probability: Tensor


class Mixture(NamedTuple):
    """Beliefs about u_a - u_b for P pairs as M weighted Gaussians, one per heavy model: what selectors integrate over.

    Attributes
    ----------
    weights : (M,) tensor
        They sum to 1.
    mean : (M, P) tensor
        In logits.
    variance : (M, P) tensor
        In logits squared; where a vote on a pair can take only a part of it away, that part.

    Examples
    --------
    >>> import elicit, torch
    >>> engine = elicit.Engine(n_items=3)
    >>> engine.tell(0, 1, "a")
    >>> weights, mean, variance = engine.posterior.mixture(torch.tensor([[0, 1], [1, 2]]))
    >>> round(float(weights.sum()), 6), bool((weights @ mean)[0] > 0)
    (1.0, True)
    """

    weights: Tensor
    mean: Tensor
    variance: Tensor


class Posterior(Protocol):
    """A belief about the utilities of N items, in logits. Immutable: every change gives a new one.

    All tensors are on CPU. Rows are the items' numbers, from 0 to N - 1.

    Examples
    --------
    >>> import elicit, numpy as np, torch
    >>> engine = elicit.Engine(n_items=4)
    >>> for loser in (0, 1, 3):
    ...     engine.tell(2, loser, "a")
    >>> belief = engine.posterior
    >>> belief.best(), belief.transitive
    (2, True)
    >>> belief.sample(1000, np.random.default_rng(0), rows=torch.tensor([0, 2])).shape
    torch.Size([1000, 2])
    >>> ahead = belief.fantasize(0, 1)  # a vote on 0 and 1 is under way
    >>> bool(ahead.sd()[0] < belief.sd()[0]), bool(torch.equal(ahead.mean(), belief.mean()))
    (True, True)
    """

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

        Parameters
        ----------
        centred : bool
            Of the utility less the pool's mean utility, which is all that votes can tell of it.

        Returns
        -------
        (N,) tensor
        """
        ...

    def difference(self, pairs: Tensor) -> Difference:
        """Beliefs about u_a - u_b for pairs (P, 2) of rows, the mixture's moments."""
        ...

    def mixture(self, pairs: Tensor) -> Mixture:
        """What selectors integrate over: beliefs about pairs (P, 2), one Gaussian per heavy model."""
        ...

    def sample(self, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        """Joint draws of utilities.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
        rows : (S,) tensor, optional
            Of these items, ascending; None: of all.

        Returns
        -------
        (n, S) tensor
            In logits.
        """
        ...

    def preferences(self, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        """Joint draws of the log-odds that one item is preferred to another in a vote without tie and slip.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
        rows : (S,) tensor, optional
            Among these items, ascending; None: among all.

        Returns
        -------
        (n, S, S) tensor
            Row against column; antisymmetric.
        """
        ...

    def values(self, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        """Joint draws of what the best item has most of: utility, or, where preferences run in circles, other items of
        the pool that it is preferred to.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
        rows : (S,) tensor, optional
            Of these items, ascending; None: of all.

        Returns
        -------
        (n, S) tensor
        """
        ...

    def shortlist(self, size: int, breadth: float) -> Tensor:
        """The items that may be the best.

        Parameters
        ----------
        size : int
            How many; all where there are no more.
        breadth : float
            How many standard deviations above its mean an item is given.

        Returns
        -------
        (S,) tensor
            Rows of the recommended item and of those with the highest mean + breadth x sd, in row order.
        """
        ...

    def least_known(self, size: int) -> Tensor:
        """(S,) rows of the `size` items of the largest standard deviation, in row order; of equal ones the first."""
        ...

    def fantasize(self, a: int, b: int) -> Self:
        """The belief narrowed as by a vote on rows (a, b) that is still to come, its mean unmoved."""
        ...


def least_known(sd: Tensor, size: int) -> Tensor:
    """(S,) places of the largest of sd (N,), in order; of equal ones the first."""
    return sd.sort(descending=True, stable=True).indices[:size].sort().values


class Transitive:
    """What a belief says of preferences where utilities are all there is: who has the higher one is preferred. And
    which items it knows least of, by the sd of all.

    A `Posterior` that derives from it has still to define `n`, `mean`, `sd`, `difference`, `mixture`, `sample`,
    `shortlist`, `p_best` and `fantasize`; the methods here rest on `mean`, `sd` and `sample`.

    Examples
    --------
    >>> import elicit, torch
    >>> class Measured(elicit.Transitive):
    ...     def __init__(self, utilities, sd):
    ...         self.u, self.own = torch.tensor(utilities), torch.tensor(sd)
    ...
    ...     def mean(self):
    ...         return self.u
    ...
    ...     def sd(self, *, centred=False):
    ...         return self.own
    ...
    ...     def sample(self, n, rng, rows=None):
    ...         noise = torch.as_tensor(rng.standard_normal((n, len(self.u))))
    ...         draws = self.u + self.own * noise
    ...         return draws if rows is None else draws[:, rows]
    >>> belief = Measured([0.5, 2.0, -1.0], sd=[0.1, 0.1, 3.0])
    >>> belief.best(), belief.least_known(1).tolist()
    (1, [2])
    """

    @property
    def transitive(self) -> bool:
        """True: utilities explain the votes."""
        return True

    def best(self: Posterior) -> int:
        """The row of the item of the highest mean utility; the first of equal ones."""
        return int(self.mean().argmax())

    def preferences(self: Posterior, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        """See `Posterior.preferences`; here differences of the draws of `sample`."""
        draws = self.sample(n, rng, rows)
        return draws[:, :, None] - draws[:, None, :]

    def values(self: Posterior, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        """See `Posterior.values`; here the draws of `sample`."""
        return self.sample(n, rng, rows)

    def least_known(self: Posterior, size: int) -> Tensor:
        """See `Posterior.least_known`."""
        return least_known(self.sd(), size)


class UtilityModel(Protocol):
    """Turns items and votes into a posterior. One file in `elicit/models/`; its name is the file's name.

    A class of one's own is given to an engine as an instance, to a study as "path/to/file.py:Class". Held to
    `tests/elicit/inference/test_models.py`.

    Examples
    --------
    >>> import elicit
    >>> from elicit.models.bradley_terry import BradleyTerry
    >>> class Certain(BradleyTerry):
    ...     "Learns from those votes alone whose choice is far the better one."
    ...
    ...     def update(self, posterior, votes, rng):
    ...         return super().update(posterior, [vote for vote in votes if vote.outcome.strength == 3], rng)
    >>> engine = elicit.Engine(n_items=3, model=Certain())
    >>> engine.tell(0, 1, "b")
    >>> round(float(engine.p_prefer([[0, 1]])[0]), 6)
    0.5
    >>> engine.tell(0, 1, "a", strength=3)
    >>> bool(engine.p_prefer([[0, 1]])[0] > 0.6)
    True
    """

    def init(self, n_items: int, known: Knowledge, device: str) -> Posterior:
        """The belief before any vote.

        Parameters
        ----------
        n_items : int
            N, at least 2.
        known : Knowledge
            What is known of the items.
        device : {"cpu", "cuda"}
            Where to compute; what a posterior returns is on CPU all the same.

        Returns
        -------
        Posterior

        Raises
        ------
        BadInputError
            Where the model needs features and there are none.
        """
        ...

    def update(self, posterior: Posterior, votes: Sequence[Vote], rng: np.random.Generator) -> Posterior:
        """The belief after more votes. Learning them one by one gives the same as learning all at once.

        Parameters
        ----------
        posterior : Posterior
            What `init` or `update` gave; it stays as it is.
        votes : sequence of Vote
            In their order; an engine gives one at a time.
        rng : numpy.random.Generator
            A stream of the vote's own.

        Returns
        -------
        Posterior
        """
        ...
