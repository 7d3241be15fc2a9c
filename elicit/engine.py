"""The engine in memory: ask for a comparison, tell its outcome, read the belief. No I/O, no clock."""

from __future__ import annotations

import copy
import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, TypeVar, cast, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from elicit import checks, stopping
from elicit.arithmetic import limited_threads
from elicit.inference import snapshots
from elicit.inference.interactions import InteractionPosterior
from elicit.inference.noise import Noise
from elicit.inference.posterior import Difference, Knowledge, Posterior, UtilityModel
from elicit.inference.snapshots import Snapshot
from elicit.inference.subset import SubsetPosterior
from elicit.plugins import registry
from elicit.randomness import stream
from elicit.selection import Candidates
from elicit.types import (
    CHOICES,
    BadInputError,
    ChoiceOutcome,
    Goal,
    NothingLeftError,
    Outcome,
    Query,
    ShownOrder,
    UnknownNameError,
    Vote,
)

REMEMBERED = 48
DEFAULT_SELECTOR: dict[Goal, str] = {"best": "eubo", "top": "swap", "rank": "eig", "label": "eig"}
IDS_ONLY_SELECTOR = "champion"
"""For goal best."""

Pairs = Iterable[tuple[int, int]]
Matrix = NDArray[np.floating[Any]]
F = TypeVar("F", bound=Callable[..., Any])


def _with_limited_threads(method: F) -> F:
    @wraps(method)
    def limited(self: Engine, *args: Any, **kwargs: Any) -> Any:
        with self.limited_threads():
            return method(self, *args, **kwargs)

    return cast(F, limited)


class Engine:
    """Asks the comparison that teaches most and learns from every answer. Decision n is a pure function of what the
    engine was made with and of the votes before n.

    Utilities are in logits: without ties and slips P(a over b) = sigmoid(u_a - u_b) (Bradley and Terry 1952), ties as
    in Davidson (1970). Items and inputs are named by their rows, from 0.

    Parameters
    ----------
    features : (N, d) array, optional
        Numbers per item.
    n_items : int, optional
        N, where items have no features.
    scores : (N,) or (N, k) array, optional
        Numbers that should go up with utility, such as an LLM judge's or last study's, in any unit; how far they are
        to be trusted is learnt from votes.
    groups : sequence of int
        How many columns of the features belong together (an embedding's, the named features'), in order; votes tell
        which groups matter.
    inputs : (I, k) array, optional
        Numbers per input where items, prompts then, are compared on inputs; beliefs are of the items in general, over
        the population of inputs.
    model : str or UtilityModel
        A built-in one's name, "path/to/file.py:Class", or an instance.
    selector : str
        A built-in one's name or "path/to/file.py:Class"; "default" goes by the goal.
    seed : int
        Of what selectors and models draw, and of which of two is shown on the left.
    device : {"auto", "cpu", "cuda"}
        "auto" takes CUDA where there is one.
    goal : {"best", "top", "rank", "label"}
        To find the best item or the `top` best ones, to order all, or to label the listed pairs.
    pairs : (P, 2) array of int, optional
        To ask about nothing else; a pair listed twice, in either order, counts once. Of more than 4,096 a decision
        looks at a part.
    top : int
        How many items goal "top" is to find.
    model_options, selector_options : dict, optional
        Constructor arguments of a model and a selector that are given by name.

    Attributes
    ----------
    posterior : Posterior
        The belief about all items.
    votes : tuple of Vote
        The votes behind it, oldest first.
    selector, device : str
        As found where "default" and "auto" were given.
    goal, seed
        As given.

    Raises
    ------
    BadInputError
        For fewer than two items; features, scores, inputs or pairs of another shape, or not finite; groups that do not
        add up to the features' columns; unknown names and options; a device that is not there; inputs where the model
        cannot do with them; and under goal "top" unless `top` is at least 1 and less than the number of items.

    Examples
    --------
    >>> import elicit
    >>> liking = [0.0, 2.0, -1.0, 0.5]  # of a person, unknown to the engine
    >>> engine = elicit.Engine(n_items=4, seed=1)
    >>> for _ in range(15):
    ...     query = engine.ask()
    ...     engine.tell(query.a, query.b, "a" if liking[query.a] > liking[query.b] else "b")
    >>> engine.best(), bool(engine.p_best()[1] > 0.7)
    (1, True)
    >>> bool(engine.p_prefer([[1, 2]])[0] > 0.8)
    True
    >>> engine.should_stop(regret=0.2, confidence=0.6).stop
    True

    Two people at once, who are not asked the same; and a vote taken back:

    >>> first = engine.ask()
    >>> second = engine.ask(pending=[first.pair])
    >>> first.pair == second.pair
    False
    >>> engine.tell(*first.pair, "tie", judge="ann")
    >>> engine.retract().judge, len(engine.votes)
    ('ann', 15)
    """

    def __init__(
        self,
        features: ArrayLike | None = None,
        *,
        n_items: int | None = None,
        scores: ArrayLike | None = None,
        groups: Sequence[int] = (),
        inputs: ArrayLike | None = None,
        model: str | UtilityModel = "default",
        selector: str = "default",
        seed: int = 0,
        device: str = "auto",
        goal: Goal = "best",
        pairs: ArrayLike | None = None,
        top: int = 10,
        model_options: dict[str, object] | None = None,
        selector_options: dict[str, object] | None = None,
    ) -> None:
        self._features = None if features is None else checks.matrix(features)
        self._scores = None if scores is None else checks.matrix(checks.as_column(scores), "scores")
        self._groups = tuple(groups)
        self._inputs = None if inputs is None else checks.matrix(inputs, "inputs")
        rows = n_items if self._features is None else len(self._features)
        if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int)):
            raise BadInputError(f"n_items must be a whole number, not {rows!r}")
        if rows is None:
            raise BadInputError("an engine needs features or n_items; give one of them")
        if self._features is not None and n_items not in (None, rows):
            raise BadInputError(f"features have {rows} rows but n_items is {n_items}; give one of them")
        if self._scores is not None and len(self._scores) != rows:
            raise BadInputError(f"there are {len(self._scores)} scores for {rows} items; give one to each")
        if self._groups and (self._features is None or sum(self._groups) != self._features.shape[1]):
            columns = 0 if self._features is None else self._features.shape[1]
            raise BadInputError(f"groups {self._groups} do not add up to the features' {columns} columns")
        if rows < 2:
            raise BadInputError(f"there is nothing to compare among {rows} items; give at least 2")
        if goal not in DEFAULT_SELECTOR:
            raise UnknownNameError("goal", goal, list(DEFAULT_SELECTOR))
        self.goal, self.seed, self._top = goal, seed, top
        if goal == "top" and (isinstance(top, bool) or not isinstance(top, int) or not 1 <= top < rows):
            raise BadInputError(f"the top {top!r} of {rows} items cannot be looked for; say 1 to {rows - 1}")
        self.device = checks.device_called(device)
        self._model = registry.model(model, model_options) if isinstance(model, str) else model
        default = IDS_ONLY_SELECTOR if self.ids_only and goal == "best" else DEFAULT_SELECTOR[goal]
        self.selector = default if selector == "default" else selector
        swaps = {"top": top} if goal == "top" and self.selector == "swap" else {}
        self._selector = registry.selector(self.selector, {**swaps, **(selector_options or {})})
        self._pairs = None if pairs is None else checks.pairs_of(pairs, rows)
        self._prior = self._prior_of(rows, self._features, self._scores)
        self.posterior: Posterior = self._prior
        self.votes: tuple[Vote, ...] = ()
        self._live: torch.Tensor | None = None
        self._past: tuple[Posterior, ...] = ()  # the posteriors before the newest votes, newest last

    @property
    def n(self) -> int:
        """Number of items."""
        return self.posterior.n

    @property
    def ids_only(self) -> bool:
        """Whether nothing is known of the items but their votes."""
        return self._features is None and self._scores is None

    @property
    def listed(self) -> torch.Tensor | None:
        """(P, 2) the only pairs that are asked about, in the order given; None: all."""
        return self._pairs

    @property
    def _taught(self) -> int:
        """Votes that speak for something: one that was skipped teaches nothing, so that it foretells nothing either."""
        return sum(vote.outcome.choice != "skip" for vote in self.votes)

    def retire(self, rows: Iterable[int]) -> None:
        """Ask about all items but these from here on, and recommend none of them; votes on them still teach.

        Parameters
        ----------
        rows : iterable of int
            The items; those retired before that are not named again come back.

        Raises
        ------
        BadInputError
            For rows that do not exist, where fewer than two items would be left, or pairs are listed.
        """
        out = {checks.row_of(row, self.n) for row in rows}
        if out and self._pairs is not None:
            raise BadInputError("listed pairs are asked as they are; items of theirs cannot be retired")
        if not out:
            self._live = None
            return
        remaining = [row for row in range(self.n) if row not in out]
        if len(remaining) < 2:
            raise BadInputError(f"there would be {len(remaining)} items left to compare; retire fewer")
        self._live = torch.tensor(remaining)

    @property
    def live(self) -> Posterior:
        """The belief about the items that are not retired."""
        return self.posterior if self._live is None else SubsetPosterior(self.posterior, self._live)

    def limited_threads(self) -> AbstractContextManager[None]:
        """For whoever computes with `posterior`: as many of torch's threads as the engine itself computes with."""
        return limited_threads(self.n)

    # -- ask and tell -----------------------------------------------------------------------------------------

    @overload
    def ask(self, k: None = None, *, pending: Pairs = (), avoid: Pairs = (), within: Pairs | None = None) -> Query: ...
    @overload
    def ask(self, k: int, *, pending: Pairs = (), avoid: Pairs = (), within: Pairs | None = None) -> list[Query]: ...
    def ask(
        self, k: int | None = None, *, pending: Pairs = (), avoid: Pairs = (), within: Pairs | None = None
    ) -> Query | list[Query]:
        """The next query; asking again without a vote gives the same.

        Parameters
        ----------
        k : int, optional
            How many, for a list of queries, none repeated; None: one query by itself.
        pending : iterable of (int, int)
            Pairs that are with somebody already; they are counted as coming and not asked again.
        avoid : iterable of (int, int)
            Pairs not to ask while there are others.
        within : iterable of (int, int), optional
            The only pairs that may be asked; None: those that the engine was made with.

        Returns
        -------
        Query or list of Query
            `a` is the smaller row; `decision` counts the votes, the pending pairs and the list's queries before it.

        Raises
        ------
        BadInputError
            When fewer pairs are left to ask than are wanted, or k is less than 1; for pairs of rows that do not exist.
        """
        with self.limited_threads():
            return self._ask(k, pending, avoid, within)

    def _ask(self, k: int | None, pending: Pairs, avoid: Pairs, within: Pairs | None) -> Query | list[Query]:
        pending = [checks.ordered_pair(p, self.n) for p in pending]
        decision = len(self.votes) + len(pending)
        posterior = self.posterior
        for a, b in pending:
            posterior = posterior.fantasize(a, b)
        pending_pairs = frozenset(pending)
        rng = stream(self.seed, "select", decision)
        wanted = 1 if k is None else k
        if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
            raise BadInputError(f"ask for 1 query or more, not {k!r}")
        pairs = self._pairs if within is None else checks.pairs_of(list(within), self.n)
        votes, avoided = self.votes, pending_pairs | {checks.ordered_pair(p, self.n) for p in avoid}
        if self._live is not None:
            posterior = live = SubsetPosterior(posterior, self._live)
            votes, pending_pairs, avoided = live.votes(votes), live.pairs(pending_pairs), live.pairs(avoided)
            if pairs is not None:
                pairs = torch.tensor(sorted(live.pairs((a, b) for a, b in pairs.tolist()))).reshape(-1, 2)
        candidates = Candidates(posterior.n, pairs, avoided, decision)
        picks = self._selector.select(posterior, votes, candidates, wanted, rng)
        if len(picks) < wanted:
            rest = Candidates(posterior.n, pairs, pending_pairs, decision).without(picks)
            picks += self._selector.select(posterior, votes, rest, wanted - len(picks), rng)
        if not picks or (k is not None and len(picks) < k):
            raise NothingLeftError(f"only {len(picks)} pairs are left to ask; ask for fewer")
        chosen_pairs = [(min(pick.a, pick.b), max(pick.a, pick.b)) for pick in picks]
        belief = posterior.difference(torch.tensor(chosen_pairs))
        if self._live is not None:
            chosen_pairs = [(int(self._live[a]), int(self._live[b])) for a, b in chosen_pairs]
        queries = []
        for i, ((a, b), pick) in enumerate(zip(chosen_pairs, picks, strict=True)):
            shown: ShownOrder = "ab" if stream(self.seed, "shown", decision + i).random() < 0.5 else "ba"
            why = {"p_a": round(float(belief.probability[i]), 6), "sd": round(float(belief.variance[i].sqrt()), 6)}
            queries.append(Query(a, b, decision + i, pick.score, pick.propensity, shown, self.selector, why))
        return queries[0] if k is None else queries

    def tell(
        self,
        a: int,
        b: int,
        outcome: str | Outcome,
        strength: int | None = None,
        judge: str | None = None,
        inputs: Sequence[int] = (),
    ) -> None:
        """Learn one vote.

        Parameters
        ----------
        a, b : int
            Rows, in either order.
        outcome : {"a", "b", "tie", "both_bad", "skip"} or ChoiceOutcome
            "a" is whatever row was given as a.
        strength : {1, 2, 3}, optional
            How much better the chosen one is: slightly, clearly, far. Part of a `ChoiceOutcome` where that is given.
        judge : str, optional
            Whose vote it is; how often each judge slips is learnt.
        inputs : sequence of int
            The rows of those that it was cast on, none where the items were compared as they are.

        Raises
        ------
        BadInputError
            For rows, outcomes, strengths or inputs that do not exist; nothing is learnt then.
        """
        if not isinstance(outcome, Outcome):
            if outcome not in CHOICES:
                raise BadInputError(f"{outcome!r} is not an outcome; say one of: {', '.join(CHOICES)}")
            if strength not in (None, 1, 2, 3):
                raise BadInputError(f"strength {strength!r} does not exist; say 1, 2, 3 or nothing")
            try:
                outcome = ChoiceOutcome(outcome, strength)  # type: ignore[arg-type]
            except ValueError as error:
                raise BadInputError(str(error)) from None
        a, b = checks.row_of(a, self.n), checks.row_of(b, self.n)
        on = tuple(int(i) for i in self._checked_inputs(inputs)) if len(inputs) else ()
        self.learn([Vote(a, b, outcome, judge or "", inputs=on)])

    @_with_limited_threads
    def learn(self, votes: Sequence[Vote]) -> None:
        """Learn several votes in their order. An engine without inputs takes no notice of theirs.

        Parameters
        ----------
        votes : sequence of Vote
            Whatever their judges are called and however much they weigh.

        Raises
        ------
        BadInputError
            For rows or inputs that do not exist, before anything is learnt.
        """
        for vote in votes:
            if vote.a == vote.b or not (0 <= vote.a < self.n and 0 <= vote.b < self.n):
                raise BadInputError(
                    f"a vote on rows {vote.a} and {vote.b} is not possible: "
                    f"rows go from 0 to {self.n - 1} and must differ"
                )
            if self._inputs is not None and vote.inputs:
                self._checked_inputs(vote.inputs)
        posterior, past = self.posterior, deque(self._past, REMEMBERED)
        for number, vote in enumerate(votes, len(self.votes)):
            past.append(posterior)
            posterior = self._model.update(posterior, [vote], stream(self.seed, "update", number))
        self.posterior, self.votes, self._past = posterior, (*self.votes, *votes), tuple(past)

    def retract(self, index: int = -1) -> Vote:
        """Take back one vote; the belief is as if it had never come.

        Parameters
        ----------
        index : int
            Its position among the votes, from the end where it is negative.

        Returns
        -------
        Vote

        Raises
        ------
        BadInputError
            Where there is no such vote.
        """
        if not -len(self.votes) <= index < len(self.votes):
            raise BadInputError(f"there is no vote {index} to take back among {len(self.votes)} votes")
        index = range(len(self.votes))[index]
        vote = self.votes[index]
        self.follow([*self.votes[:index], *self.votes[index + 1 :]])
        return vote

    def follow(self, votes: Sequence[Vote], most: int | None = None) -> None:
        """Hold exactly these votes, as if they alone had come in this order. Only what differs is learnt again, as far
        as the beliefs before it are remembered.

        Parameters
        ----------
        votes : sequence of Vote
        most : int, optional
            How many votes to learn now at most; the rest is left to the next call. None: all.

        Raises
        ------
        BadInputError
            For rows or inputs that do not exist.
        """
        both = zip(self.votes, votes, strict=False)
        same = next((i for i, (before, now) in enumerate(both) if before != now), min(len(self.votes), len(votes)))
        back = len(self.votes) - same
        if back > len(self._past):
            self.posterior, self._past, self.votes = self._prior, (), ()
        elif back:
            self.posterior, self._past = self._past[-back], self._past[:-back]
            self.votes = self.votes[:same]
        self.learn(votes[len(self.votes) :][:most])

    def fork(self) -> Engine:
        """A second engine in the same state; what one learns the other does not. Cheap: beliefs are immutable."""
        return copy.copy(self)

    def snapshot(self) -> tuple[int, Snapshot]:
        """The oldest belief that is remembered: from there, the newest votes are learnt again and can be taken back.

        Returns
        -------
        learnt : int
            How many of the votes it has learnt.
        snapshot : Snapshot
            The belief as plain values and tensors.

        Raises
        ------
        NoSnapshotError
            Where there can be none, as of a model with classes of its own.
        """
        oldest = self._past[0] if self._past else self.posterior
        return len(self.votes) - len(self._past), snapshots.take(oldest, self._prior)

    def resume(self, votes: Sequence[Vote], snapshot: Snapshot) -> None:
        """Hold these votes as if they were learnt here.

        Parameters
        ----------
        votes : sequence of Vote
            Those that the snapshot had learnt.
        snapshot : Snapshot
            Of an engine made alike.

        Raises
        ------
        NoSnapshotError
            Where it does not fit; then nothing is changed.
        """
        self.posterior = snapshots.restore(snapshot, self._prior)
        self.votes, self._past = tuple(votes), ()

    def digest(self) -> str:
        """Of all that the belief is a function of besides the model and the votes (32 hex digits)."""
        digest = hashlib.blake2b(repr((self.n, self.seed, self.device, self._groups)).encode(), digest_size=16)
        for array in (self._features, self._scores, self._inputs):
            digest.update(b"none" if array is None else f"{array.dtype}{array.shape}".encode())
            digest.update(b"" if array is None else np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def _prior_of(self, rows: int, features: Matrix | None, scores: Matrix | None) -> Posterior:
        """The belief about this many items before any vote."""
        if scores is not None:
            spread = scores.std(0)
            scores = (scores - scores.mean(0)) / np.where(spread > 0, spread, 1.0)
        knowledge = Knowledge(features, self._groups, scores, self._inputs)
        with limited_threads(rows):
            prior = self._model.init(rows, knowledge, self.device)
        if self._inputs is not None and not isinstance(prior, InteractionPosterior):
            raise BadInputError(
                f"this model does not compare {rows} items on inputs; "
                "use 'default', 'gp' or 'bradley_terry', and at most 4,000 items with features"
            )
        return prior

    def extend(self, features: ArrayLike | None = None, *, n_items: int = 0, scores: ArrayLike | None = None) -> None:
        """Add candidates mid-study. Votes are learnt again over the larger pool.

        Parameters
        ----------
        features : (n, d) array, optional
            Of the new items, where the pool has features.
        n_items : int
            n, where the pool is ids only.
        scores : (n,) or (n, k) array, optional
            Of the new items, where the pool has scores.

        Raises
        ------
        BadInputError
            Where the features or scores do not fit those of the pool.
        """
        if (scores is None) != (self._scores is None):
            raise BadInputError("new items need scores where the pool has them, and none where it has none")
        if self._features is None:
            if features is not None or n_items < 1:
                raise BadInputError("the pool is ids only, so give n_items, 1 or more, and no features")
            all_features = None
        else:
            if features is None or n_items:
                raise BadInputError("the pool has features, so give the new items' features and nothing else")
            more = checks.matrix(features)
            if more.shape[1] != self._features.shape[1]:
                raise BadInputError(f"new items have {more.shape[1]} features, the pool has {self._features.shape[1]}")
            n_items = len(more)
            all_features = np.concatenate([self._features, more])
        all_scores = self._scores
        if all_scores is not None and scores is not None:
            new = checks.matrix(checks.as_column(scores), "scores")
            if new.shape != (n_items, all_scores.shape[1]):
                raise BadInputError(f"new scores have shape {new.shape}, not {(n_items, all_scores.shape[1])}")
            all_scores = np.concatenate([all_scores, new])
        rows = self.n + n_items
        prior = self._prior_of(rows, all_features, all_scores)  # it may refuse them, and then nothing has changed
        self._prior, self._features, self._scores = prior, all_features, all_scores
        votes = self.votes
        if self._live is not None:
            self._live = torch.cat([self._live, torch.arange(self.n, rows)])
        self.posterior, self._past, self.votes = self._prior, (), ()
        self.learn(votes)

    # -- belief -----------------------------------------------------------------------------------------------

    @_with_limited_threads
    def best(self) -> int:
        """The row of the recommended item: of the highest posterior mean utility, or, where votes have shown that no
        utilities explain them, the one that is most probably the Copeland winner, which is what `p_best` speaks of."""
        best = stopping.best(self.live, self._taught)
        return best if self._live is None else int(self._live[best])

    @_with_limited_threads
    def ranking(self) -> list[int]:
        """The rows of the items that are not retired, in the order in which they are recommended: `best()`, then by
        posterior mean utility."""
        order = stopping.ranking(self.live, stopping.best(self.live, self._taught))
        return [int(row) for row in (order if self._live is None else self._live[order])]

    @_with_limited_threads
    def top(self) -> list[int]:
        """The rows of the `top` items that are recommended, the best first (goal "top"); retired ones are not among
        them, so that there are fewer where fewer are left."""
        return self.ranking()[: self._top]

    @_with_limited_threads
    def p_top(self) -> NDArray[np.float64]:
        """(N,) probabilities of being one of the best `top` items that are not retired."""
        rows, inside = stopping.top_draws(self.live, min(self._top, self.live.n), self._taught)
        share = torch.bincount(rows[inside].flatten(), minlength=self.live.n).double() / len(inside)
        return self._of_all(share)

    @_with_limited_threads
    def p_best(self) -> NDArray[np.float64]:
        """(N,) probabilities of being the best item that is not retired."""
        return self._of_all(stopping.p_best(self.live, self._taught))

    def _of_all(self, p: torch.Tensor) -> NDArray[np.float64]:
        """(N,) numbers of the items that are not retired, 0 for those that are."""
        if self._live is not None:
            p = torch.zeros(self.n, dtype=p.dtype).index_copy(0, self._live, p)
        return np.asarray(p.numpy(), dtype=np.float64)

    @_with_limited_threads
    def utilities(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Posterior means and standard deviations (N,) of the utilities less the pool's mean, in logits."""
        mean = self.posterior.mean().numpy()
        return np.asarray(mean - mean.mean()), np.asarray(self.posterior.sd(centred=True).numpy())

    @_with_limited_threads
    def p_prefer(self, pairs: ArrayLike) -> NDArray[np.float64]:
        """How likely one item is to be preferred to another in a vote that is no tie, slips included.

        Parameters
        ----------
        pairs : (M, 2) array of int
            Rows.

        Returns
        -------
        (M,) array
            P(first preferred to second).

        Raises
        ------
        BadInputError
            For rows that do not exist.
        """
        return np.asarray(self._difference(pairs).probability.numpy())

    @_with_limited_threads
    def p_better(self, pairs: ArrayLike) -> NDArray[np.float64]:
        """How likely the utility of one item is above that of another, the difference taken for Gaussian.

        Parameters
        ----------
        pairs : (M, 2) array of int
            Rows.

        Returns
        -------
        (M,) array
            P(utility of the first above that of the second).

        Raises
        ------
        BadInputError
            For rows that do not exist.
        """
        mean, variance, _ = self._difference(pairs)
        return np.asarray(torch.special.ndtr(mean / variance.sqrt().clamp_min(1e-9)).numpy())

    def _difference(self, pairs: ArrayLike) -> Difference:
        checked = checks.pairs_of(pairs, self.n, distinct=False)
        if not len(checked):
            return Difference(*torch.zeros(3, 0, dtype=torch.float64))
        return self.posterior.difference(checked)

    # -- inputs -----------------------------------------------------------------------------------------------

    @_with_limited_threads
    def choose_inputs(self, a: int, b: int, k: int = 1, among: Sequence[int] | None = None) -> list[int]:
        """The inputs on which a vote on (a, b) is expected to teach most of which is better in general.

        Parameters
        ----------
        a, b : int
            Rows of the items.
        k : int
            How many inputs.
        among : sequence of int, optional
            Rows of the inputs to choose from; None: all.

        Returns
        -------
        list of int
            k rows, one added after another; fewer where there are fewer.

        Raises
        ------
        BadInputError
            For rows or inputs that do not exist, for k less than 1, and where there is no input.
        """
        belief = self._on_inputs(a, b)
        among = range(len(belief.similar)) if among is None else among
        if isinstance(k, bool) or not isinstance(k, int) or k < 1 or not len(among):
            raise BadInputError(f"choose 1 input or more among some, not {k!r} among {len(among)}")
        return belief.most_telling(a, b, k, self._checked_inputs(among).tolist())

    @_with_limited_threads
    def p_prefer_on(self, a: int, b: int, inputs: Sequence[int]) -> NDArray[np.float64]:
        """How likely a is to be preferred to b on each of some inputs in a vote that is no tie, slips included.

        Parameters
        ----------
        a, b : int
            Rows of the items.
        inputs : (C,) sequence of int
            Rows of the inputs.

        Returns
        -------
        (C,) array

        Raises
        ------
        BadInputError
            For rows or inputs that do not exist, and without inputs.
        """
        belief = self._on_inputs(a, b)
        return np.asarray(belief.preferred_on(a, b, self._checked_inputs(inputs)).numpy())

    @_with_limited_threads
    def win_rate(self, a: int, b: int, share: float = 0.9) -> tuple[float, float, float]:
        """The share of inputs, of all there are, on which a is preferred to b in a vote without tie and slip.

        Parameters
        ----------
        a, b : int
            Rows of the items.
        share : float
            The probability that the interval is to hold.

        Returns
        -------
        mean, low, high : float
            The posterior mean of that share, and its central interval.

        Raises
        ------
        BadInputError
            For rows that do not exist, a share that is none, and without inputs.
        """
        if not 0 < share < 1:
            raise BadInputError(f"share is between 0 and 1, not {share!r}")
        return self._on_inputs(a, b).win_rate(a, b, share)

    def _on_inputs(self, a: int, b: int) -> InteractionPosterior:
        checks.pairs_of([[a, b]], self.n)
        if not isinstance(self.posterior, InteractionPosterior):
            raise BadInputError("this engine has no inputs to speak of; make it with inputs=")
        return self.posterior

    def _checked_inputs(self, inputs: Sequence[int]) -> torch.Tensor:
        return checks.rows_of(inputs, 0 if self._inputs is None else len(self._inputs))

    # -- stopping ---------------------------------------------------------------------------------------------

    @_with_limited_threads
    def should_stop(
        self, regret: float = 0.05, confidence: float = 0.95, rule: stopping.Rule = "posterior"
    ) -> stopping.Stop:
        """Whether more votes are worth asking for, why, and an 80 % interval of how many.

        Goal best: the recommended item's simple regret, 0 for the best and 1 for an average item, is at most `regret`
        with probability `confidence`. Goal top: at most a share `regret` of the recommended items is expected not to
        belong there. Goal rank: at most a share `regret` of the pairs is expected to be in the wrong order. Goal label:
        at most that share of the labels, which may be ties, is expected to be wrong.

        Parameters
        ----------
        regret, confidence : float
            Shares between 0 and 1; the confidence is for goal best alone.
        rule : {"posterior", "likelihood_ratio"}
            For goal best: to take the belief's word, or to test every rival (Garivier and Kaufmann 2016), which takes
            more votes.

        Returns
        -------
        Stop
            The decision, and what it rests on.

        Raises
        ------
        BadInputError
            For a share that is none and an unknown rule.
        """
        if rule not in stopping.RULES:
            raise UnknownNameError("stop rule", rule, list(stopping.RULES))
        regret, confidence = checks.share_of(regret, "regret"), checks.share_of(confidence, "confidence")
        if self.goal == "best":
            return stopping.RULES[rule](self.live, self._taught, regret, confidence)
        if self.goal == "top":
            return stopping.top_items(self.live, min(self._top, self.live.n), self._taught, regret)
        even = self._even() if self.goal == "label" else None
        return stopping.pair_order(self.live, self._pairs, self._taught, regret, even)

    def _even(self) -> float:
        """The difference in logits up to which a tie is likelier than either of a pair, by Davidson's model."""
        cast = Counter(vote.outcome.choice for vote in self.votes)
        return max(0.0, 2 * float(np.log(Noise(decided=cast["a"] + cast["b"], ties=cast["tie"]).nu)))
