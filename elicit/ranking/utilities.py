"""Utilities of all items, also of those never voted on, from a table of recorded votes and the items' features.

The networks of `elicit.inference.networks` are trained on minibatches of the votes, and `elicit.models.neural` believes
what they see. How far the networks may be wrong about an item is learnt from items of which they see no vote; how many
votes are slips from all votes, each foretold without itself. Nothing of size N x N or T x d is held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from elicit import checks
from elicit.inference.gaussian import NODE_WEIGHTS, NODES
from elicit.inference.laplace import FEWER, TURNS, slopes
from elicit.inference.low_rank import LowRankPosterior
from elicit.inference.networks import BATCH, STEPS, Generation, History, principal
from elicit.inference.noise import SLIPS, FixedNoise, Noise
from elicit.inference.posterior import Knowledge, Posterior
from elicit.models.neural import OWNS, hidden_components, laplace_posterior
from elicit.randomness import stream
from elicit.ranking import davidson
from elicit.ranking.davidson import Floats, Ints
from elicit.ranking.leaderboard import MOST_ITEMS, PRIOR_SD, checked_votes
from elicit.stats import checked_level
from elicit.types import CHOICES, BadInputError, Choice, ChoiceOutcome, Vote

EFFORT, LARGE_BATCH = 0.8, 256
"""Steps of training over the number of votes to the power of 2/3, and the votes of a step, where that is more than the
usual steps: every vote is seen often among few, and among very many not all are."""
HELD_OUT = (0.02, 400, 0.1, 100_000)
"""Share of the votes that is held out, how many at least, but which share at most, and how many at most."""
FRESH = (0.02, 100, 0.1, 5_000)
"""The same of the items voted on whose votes the networks do not see."""
FEWEST = 100
"""Votes of which some are held out."""
AGAIN = 100_000
"""Votes from which the networks are not trained again on those held out, which would tell them little."""
SLICE = 50
"""Steps between two calls of `progress`."""
TURN = 2_000
"""Votes that cost as much in a turn of the last layer's posterior as a step of training does."""

VOTES_EACH, VOTES_IN_ALL = 64, 30_000
"""Of fresh items, on which the prior is calibrated."""
VOTES_LEFT_OUT = 20_000
"""Of the others, on which the share of slips and the tie parameter are calibrated, too."""
ROUNDS = 3
"""Of belief and calibration: who takes slips for meant believes in small differences, under which slips look meant."""
STEEPEST = 0.7
"""What is found rises by as much with what is believed, at most."""
EXPECTED_SD = np.array([1.0, 1.25, 0.5, 0.5])
"""Of the logarithms of what is calibrated: own variance, slips, tie parameter, scale."""
WORTH = 0.1
"""Of log posterior, for which it is worth going round once more."""

KINDS: tuple[Choice, ...] = ("a", "tie")
"""How votes end once they are turned so that the first item is not the worse one."""

OUTCOMES = tuple(ChoiceOutcome(choice) for choice in KINDS)

Keys = NDArray[np.int64]
"""(T,) one number for each vote: (place in KINDS x n + first item) x n + second."""
ReportProgress = Callable[[int, int], None]
"""Is told how much of how much work is done."""


class Foretold(NamedTuple):
    """How well votes that had ended in a or b were foretold without them.

    Attributes
    ----------
    votes : int
        How many.
    right : float
        The share of them whose better item was named; even odds count half.
    log_loss : float
        Mean negative log probability of what happened, in nats: 0.693 for one who knows nothing.
    """

    votes: int
    right: float
    log_loss: float


@dataclass(frozen=True, eq=False)
class Utilities:
    """What recorded votes tell of N items by their features.

    This is a utility model, too: with `Engine(features, model=found)` an engine goes on from here.

    Attributes
    ----------
    posterior : Posterior
        The belief, which goes on learning votes one by one (`posterior.update`).
    votes : (N,) array of int
        How many each item took part in; skips are not counted.
    held_out : Foretold, optional
        How well votes taken at random were foretold from the rest: how many, the share that was right, the log loss in
        nats. This and the next two are None where there are too few votes to hold any out.
    by_ids : Foretold, optional
        How well Bradley-Terry by ids alone foretells them from the same rest; None, too, where there are too many
        items for it.
    new_items : Foretold, optional
        How well votes on items of which all votes were held out.

    Examples
    --------
    >>> import elicit
    >>> features = [[row / 5, row % 2] for row in range(12)]
    >>> better, worse = [4, 6, 8, 10, 6, 8, 10, 10], [0, 2, 4, 6, 0, 2, 0, 2]
    >>> found = elicit.utilities(better * 4, worse * 4, ["a"] * 32, features)
    >>> int(found.votes[1]), bool(found.utilities[11] > found.utilities[1])  # nobody has voted on odd rows
    (0, True)
    >>> engine = elicit.Engine(features, model=found)
    >>> bool(engine.p_prefer([[9, 3]])[0] > 0.6)
    True
    """

    posterior: LowRankPosterior
    votes: Ints
    held_out: Foretold | None = None
    by_ids: Foretold | None = None
    new_items: Foretold | None = None

    @property
    def utilities(self) -> Floats:
        """(N,) posterior means in logits, relative to the mean of all items."""
        mean = self.posterior.mean().numpy()
        return np.asarray(mean - mean.mean())

    def intervals(self, level: float = 0.95) -> Floats:
        """The interval of each utility.

        Parameters
        ----------
        level : float
            The probability with which each interval, by itself, holds its utility.

        Returns
        -------
        (N, 2) array
            Low and high ends in logits, relative to the mean of all items.

        Raises
        ------
        BadInputError
            Where the level is not between 0 and 1.
        """
        half = NormalDist().inv_cdf(0.5 + checked_level(level) / 2) * self.posterior.sd(centred=True).numpy()
        mean = self.utilities
        return np.stack([mean - half, mean + half], 1)

    def init(self, n_items: int, known: Knowledge, device: str) -> Posterior:
        """See `UtilityModel.init`; the belief, as an engine's first.

        Raises
        ------
        BadInputError
            Where the engine's pool is not of N items.
        """
        if n_items != self.posterior.n:
            raise BadInputError(f"these utilities are of {self.posterior.n} items, not of {n_items}; learn them again")
        return self.posterior

    def update(self, posterior: LowRankPosterior, votes: Sequence[Vote], rng: np.random.Generator) -> LowRankPosterior:
        """See `UtilityModel.update`."""
        return posterior.update(votes)


def utilities(
    a: ArrayLike,
    b: ArrayLike,
    outcomes: Sequence[str] | ArrayLike,
    features: ArrayLike,
    *,
    progress: ReportProgress | None = None,
    device: str = "auto",
) -> Utilities:
    """Utilities of N items from T votes on some of them, by networks over the items' features.

    Up to 2 % of the votes, and all votes of up to 2 % of the items, more where these are few, are held out to learn how
    far the features are to be trusted. The posterior over what the networks see rests on all votes; the networks
    themselves, from AGAIN votes on, on the others. The order of the votes does not matter, nor which item of a vote is
    named first.

    Parameters
    ----------
    a, b : (T,) array of int
        Rows of the two items.
    outcomes : (T,) sequence
        "a", "b", "tie", "both_bad" (a tie as far as the difference goes) or "skip" (says nothing), or their places 0 to
        4 in that order.
    features : (N, d) array
        Finite numbers, best as float32.
    progress : callable, optional
        `progress(done, total)` is called all the while; what it raises ends the work.
    device : {"auto", "cpu", "cuda"}
        "auto" takes CUDA where there is one.

    Returns
    -------
    Utilities

    Raises
    ------
    BadInputError
        With the name and the place of what is wrong, and where no vote tells anything.

    Examples
    --------
    >>> import elicit
    >>> features = [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]]  # the first column is what matters
    >>> found = elicit.utilities([3, 2, 3, 1], [1, 0, 0, 0], ["a", "a", "a", "tie"], features)
    >>> int(found.utilities.argmax()), found.held_out  # too few votes to hold any out
    (3, None)
    >>> elicit.utilities([0], [1], ["skip"], features)
    Traceback (most recent call last):
        ...
    elicit.types.BadInputError: there is no vote that tells anything; give at least one that is no skip
    """
    checked = checks.matrix(features)
    n = len(checked)
    if n < 2:
        raise BadInputError(f"features has {n} rows, and a comparison needs two; give one for each item")
    device = checks.device_called(device)
    keys = _sort_votes(*checked_votes(a, b, outcomes, n), n)
    if not len(keys):
        raise BadInputError("there is no vote that tells anything; give at least one that is no skip")
    inputs = principal(torch.as_tensor(checked, device=device).float())
    parts = _split_votes(keys, n)
    again = parts is not None and len(keys) < AGAIN
    trained_on = [keys if parts is None else parts.rest, *([keys] if again else [])]
    turn = len(keys) // TURN + 1
    turns = TURNS if parts is None else TURNS + (ROUNDS - 1) * FEWER + (TURNS if again else FEWER)
    total = sum(_effort(len(part))[0] for part in trained_on) + turns * turn
    done = 0

    def report(more: int) -> None:
        nonlocal done
        done += more
        if progress is not None:
            progress(done, total)

    def believed_of(part: Keys, noise: Noise, own: float, near: LowRankPosterior | None = None) -> LowRankPosterior:
        return laplace_posterior(basis, _history(part, n), noise, own, lambda: report(turn), near)

    counted = np.bincount(keys // n % n, minlength=n) + np.bincount(keys % n, minlength=n)
    noise: Noise = _noise(keys, n)
    basis = _basis(inputs, trained_on[0], noise, report)
    if parts is None:
        return Utilities(believed_of(keys, noise, OWNS[0]), counted)
    noise = FixedNoise(**vars(noise), tied=noise.nu, slipped=noise.lapse_rate())
    expected, belief = _Prior(noise, OWNS[0], 1.0), None
    shares: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        belief = believed_of(parts.rest, noise, expected.own, belief)
        trial = _Trial(belief, expected.own, parts.fresh)
        prior = trial.calibrate(parts, expected)
        shares.append((noise.lapse_rate(), prior.noise.lapse_rate()))
        noise = replace(prior.noise, slipped=_consistent_share(shares))
    prior = prior._replace(noise=noise)
    held_out, new_items = (_forecast_quality(trial.p_won(part, prior)) for part in (parts.held, parts.new))
    del trial
    if again:
        basis, belief = _basis(inputs, keys, noise, report), None
    posterior = believed_of(keys, noise, prior.own, belief)
    return Utilities(posterior, counted, held_out, _forecast_quality(_p_won_by_ids(parts, n)), new_items)


def _sort_votes(a: Ints, b: Ints, ended: Ints, n: int) -> Keys:
    """The votes that say anything, ascending."""
    ended = np.where(ended == CHOICES.index("both_bad"), CHOICES.index("tie"), ended)
    keys = []
    for kind, choice in enumerate(KINDS):
        of_kind = ended == CHOICES.index(choice)
        first, second = a[of_kind], b[of_kind]
        if choice == "a":
            lost = ended == CHOICES.index("b")
            first, second = np.concatenate([first, b[lost]]), np.concatenate([second, a[lost]])
        else:
            first, second = np.minimum(first, second), np.maximum(first, second)
        keys.append((kind * n + first) * n + second)
    whole = np.concatenate(keys)
    whole.sort()
    return whole


class _Parts(NamedTuple):
    """The votes to learn from, votes held out, the votes of items of which all are held out, and these items (N,)."""

    rest: Keys
    held: Keys
    new: Keys
    fresh: Tensor


def _split_votes(keys: Keys, n: int) -> _Parts | None:
    if len(keys) < FEWEST:
        return None
    rng = stream(0, "held out", len(keys))
    first, second = keys // n % n, keys % n
    voted = np.zeros(n, dtype=bool)
    voted[first] = voted[second] = True
    fresh = np.zeros(n, dtype=bool)
    fresh[np.flatnonzero(voted)[_sample_numbers(int(voted.sum()), *FRESH, rng)]] = True
    held = np.zeros(len(keys), dtype=bool)
    held[_sample_numbers(len(keys), *HELD_OUT, rng)] = True
    new = fresh[first] | fresh[second]
    if (held | new).all():
        return None
    return _Parts(keys[~(held | new)], keys[held & ~new], keys[new], torch.as_tensor(fresh))


def _sample_numbers(n: int, share: float, least: int, most: float, cap: int, rng: np.random.Generator) -> Ints:
    return rng.choice(n, int(min(max(share * n, least), most * n, cap)), replace=False, shuffle=False)


def _history(keys: Keys, n: int) -> History:
    rows = np.empty((len(keys), 2), np.int32)
    rows[:, 0], rows[:, 1] = keys // n % n, keys % n
    kinds = (keys // (n * n)).astype(np.uint8)
    return History(torch.as_tensor(rows), torch.as_tensor(kinds), OUTCOMES)


def _noise(keys: Keys, n: int) -> Noise:
    decided = int((keys < n * n).sum())
    return Noise(decided, len(keys) - decided)


def _effort(votes: int) -> tuple[int, int]:
    """How many steps of training, each on how many votes."""
    steps = round(EFFORT * votes ** (2 / 3))
    return (steps, LARGE_BATCH) if steps > STEPS else (STEPS, BATCH)


def _basis(inputs: Tensor, keys: Keys, noise: Noise, report: Callable[[int], None]) -> Tensor:
    """(N, r) what networks trained on these votes see."""
    history = _history(keys, len(inputs))
    steps, batch = _effort(len(keys))
    training = Generation(len(keys), steps=steps, batch=batch)
    while training.done < steps:
        due = min(SLICE, steps - training.done)
        training = training.train(due, inputs, history, noise)
        report(due)
    return hidden_components(inputs, training.weights)


class _Prior(NamedTuple):
    """What is taken for granted of voters and items. own: variance of what the networks miss of an item; scale: by how
    much what was believed of differences without knowing all this is to be multiplied."""

    noise: FixedNoise
    own: float
    scale: float


@dataclass(frozen=True)
class _Trial:
    """A belief that rests on a part of the votes, and what it makes of the others.

    own: variance of own effects that it was made with. fresh: (N,) bool, items that neither it nor the networks saw.
    """

    belief: LowRankPosterior
    own: float
    fresh: Tensor

    def p_won(self, keys: Keys, prior: _Prior) -> Floats:
        """(K,) for the K votes that ended in a or b, how likely that was."""
        rows, _ = self._rows(keys, kinds=1)
        mean, variance = self._shared_moments(rows)
        alone = self.fresh[rows].sum(1) * prior.own
        x = prior.scale * mean + (prior.scale**2 * variance + alone).sqrt() * NODES[:, None]
        lapse_rate = prior.noise.lapse_rate()
        return np.asarray(((1 - lapse_rate) * (NODE_WEIGHTS @ torch.sigmoid(x)) + lapse_rate / 2).numpy())

    def calibrate(self, parts: _Parts, prior: _Prior) -> _Prior:
        """The prior under which votes are likeliest: those on single fresh items, all of an item's votes together, and
        those that the belief rests on, each without itself.

        Fresh items' own effects are integrated out exactly, all else by MacKay's approximation (1992).
        """
        # Sorted votes begin with an item's losses, and not all of them may be taken.
        rng = stream(0, "calibrated", len(parts.new))
        rows, kinds = self._rows(rng.permutation(parts.new), kinds=2)
        fresh = self.fresh[rows]
        single = fresh.sum(1) == 1
        rows, kinds, fresh = rows[single], kinds[single], fresh[single]
        item, order = torch.sort(rows[fresh], stable=True)
        _, item, count = torch.unique_consecutive(item, return_inverse=True, return_counts=True)
        within = torch.arange(len(item)) - (count.cumsum(0) - count)[item]
        kept = torch.nonzero(within < VOTES_EACH)[:, 0][:VOTES_IN_ALL]
        item, rows, kinds, fresh = item[kept], rows[order][kept], kinds[order][kept], fresh[order][kept]
        mean, variance = self._shared_moments(rows)
        side = torch.where(fresh[:, 0], 1.0, -1.0).double()
        history = History(rows, kinds, OUTCOMES)
        others, other_kinds = self._left_out(parts.rest[_sample_numbers(len(parts.rest), 1, 0, 1, VOTES_LEFT_OUT, rng)])

        def read(at: Floats) -> _Prior:
            own, lapse_rate, nu, scale = np.exp(at).tolist()
            return _Prior(replace(prior.noise, tied=nu, slipped=min(lapse_rate, SLIPS[-1])), own, scale)

        def value(at: Floats) -> float:
            trial = read(at)
            x = trial.scale * mean + side * trial.own**0.5 * NODES[:, None]
            x = x / (1 + np.pi / 8 * trial.scale**2 * variance).sqrt()
            each = torch.zeros(len(NODES), len(count), dtype=torch.float64)
            each.index_add_(1, item, history.log_likelihood(x, kinds, trial.noise))
            total = torch.logsumexp(each + NODE_WEIGHTS.log()[:, None], 0).sum()
            # Not under another scale: the belief is what it is, and a scale would stand in for slips.
            total += history.log_likelihood(others, other_kinds, trial.noise).sum()
            return float(total) - 0.5 * float((((at - expected) / EXPECTED_SD) ** 2).sum())

        expected = np.log([prior.own, prior.noise.lapse_rate(), prior.noise.nu, prior.scale])
        return read(_maximize(value, expected))

    def _left_out(self, keys: Keys) -> tuple[Tensor, Tensor]:
        """(K,) differences, by MacKay's approximation, as believed but for the vote itself, and (K,) kinds."""
        rows, kinds = self._rows(keys, kinds=2)
        mean, variance = self._shared_moments(rows)
        slope, bend = slopes(mean[None], History(rows, kinds, OUTCOMES), kinds, self.belief.noise)
        # Variances are a little large where own effects are taken for independent.
        variance = variance / (1 - bend[0].clamp_min(0) * variance).clamp_min(0.1)
        return (mean - variance * slope[0]) / (1 + np.pi / 8 * variance).sqrt(), kinds

    def _rows(self, keys: Keys, kinds: int) -> tuple[Tensor, Tensor]:
        """(K, 2) rows and (K,) kinds of the votes of the first `kinds` kinds."""
        history = _history(keys[keys < kinds * self.belief.n**2], self.belief.n)
        return history.rows.long(), history.kinds

    def _shared_moments(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(K,) mean and variance of differences, less what the own effects of fresh items add."""
        parts = [self.belief.difference(part) for part in torch.split(rows, 1 << 14)]
        alone = self.own * self.fresh[rows].sum(1)
        variance = torch.cat([part.variance for part in parts]) - alone
        return torch.cat([part.mean for part in parts]), variance.clamp_min(1e-12)


def _consistent_share(shares: Sequence[tuple[float, float]]) -> float:
    """The share of slips that is found where it is believed in, by the line through the logarithms of the last two
    shares believed in and found."""
    (x, y), (believed_share, found_share) = np.log(shares[-2:] if len(shares) > 1 else [shares[-1]] * 2)
    steep = min(max((found_share - y) / (believed_share - x), 0.0), STEEPEST) if abs(believed_share - x) > 0.1 else 0.0
    return float(min(np.exp(found_share + (found_share - believed_share) * steep / (1 - steep)), SLIPS[-1]))


def _maximize(value: Callable[[Floats], float], start: Floats) -> Floats:
    """Where `value` is highest, by steps along the axes that become smaller."""
    at, best = start, value(start)
    for step in (0.8, 0.4, 0.2, 0.1, 0.05):
        before = -np.inf
        while best > before + WORTH:
            before = best
            for move in (*np.eye(len(start)), *-np.eye(len(start))):
                while (after := value(there := at + step * move)) > best:
                    at, best = there, after
    return at


def _p_won_by_ids(parts: _Parts, n: int) -> Floats:
    """The same of the votes held out, by Davidson's model of the rest; none where there are too many items."""
    rest, held = parts.rest, parts.held[parts.held < n * n]
    rows, place = np.unique(np.concatenate([rest // n % n, rest % n, held // n, held % n]), return_inverse=True)
    if len(rows) > MOST_ITEMS or not len(held):
        return np.zeros(0)
    a, b, won, lost = np.split(place, np.cumsum([len(rest), len(rest), len(held)]))
    counts = davidson.count(len(rows), a, b, np.where(rest < n * n, 0, 2))
    fitted = davidson.fit(counts, PRIOR_SD)
    covariance, u = davidson.model_covariance(fitted), fitted.utilities
    variance = covariance[won, won] + covariance[lost, lost] - 2 * covariance[won, lost]
    x = torch.as_tensor(u[won] - u[lost] + np.sqrt(np.maximum(variance, 0.0)) * NODES.numpy()[:, None])
    return np.asarray((NODE_WEIGHTS @ torch.sigmoid(x)).numpy())


def _forecast_quality(p: NDArray[np.floating[Any]]) -> Foretold | None:
    even = np.abs(p - 0.5) < 1e-9
    right = ((p > 0.5) & ~even).sum() + even.sum() / 2
    return Foretold(len(p), float(right / len(p)), float(-np.log(p).mean())) if len(p) else None
