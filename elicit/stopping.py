"""When to stop: how much better the best item may still be than the recommended one, and how many votes that takes.

Regret is (best - recommended) / (best - mean of the pool), as in the benchmarks: 0 is perfect, 1 is a random item.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import torch

from elicit.randomness import stream
from elicit.safe_text import limit_in_percent, share_in_percent
from elicit.selection import LONG

if TYPE_CHECKING:
    from torch import Tensor

    from elicit.inference.posterior import Posterior

SAMPLES = 1024
ROWS = 256
PAIRS = 2000
# Fitted to simulated studies of 6 to 120 items: the rule is met when the expected regret is a fifth of the regret asked
# for; the votes until then grow with the votes so far and with the root of what is missing. Studies differ so much
# that 80 % of them lie within this factor either way.
AT_STOP = 0.2
FORECAST_SCALE, FORECAST_POWER, FORECAST_FACTOR = 1.3, 0.85, 4.7


Rule = Literal["posterior", "likelihood_ratio"]


class Stop(msgspec.Struct, frozen=True):
    """A stopping decision.

    Attributes
    ----------
    stop : bool
        Whether the rule is met.
    why : str
        The same for a reader, in a sentence.
    expected : float
        Posterior expected regret, or share of wrong items among the top, or of wrongly ordered pairs; named in
        `elicit.types.EXPECTED`.
    reached : float
        The probability that the regret is at most what was asked for; of rules that know none, 1 or the confidence
        where they are met and 0 where not.
    votes_left : (int, int) or None
        80 % interval of the votes still needed; None before the first vote.
    """

    stop: bool
    why: str
    expected: float
    reached: float
    votes_left: tuple[int, int] | None


def best_item(posterior: Posterior, votes: int, regret: float, confidence: float) -> Stop:
    """Stop once P(regret of the recommended item <= regret) >= confidence.

    votes: how many votes the posterior has seen. regret and confidence are shares between 0 and 1.
    """
    draws = regret_draws(posterior, votes)
    expected, reached = float(draws.mean()), float((draws <= regret).double().mean())
    chance = f"the recommended item is within {limit_in_percent(regret)} of the best with probability "
    chance += share_in_percent(reached, confidence)
    if reached >= confidence:
        return Stop(True, f"{chance}, at least the {limit_in_percent(confidence)} asked for", expected, reached, (0, 0))
    votes_left = forecast(expected, votes, regret)
    return Stop(False, f"{chance}, short of {limit_in_percent(confidence)}", expected, reached, votes_left)


def likelihood_ratio(posterior: Posterior, votes: int, regret: float, confidence: float) -> Stop:
    """The fixed-confidence rule: stop once every rival is ruled out by a generalised likelihood ratio test.

    The ratio of "the recommended item is at most `regret` worse than j" against its opposite is that of the posterior
    of u_best - u_j taken as Gaussian; its threshold is log((1 + log t)(N - 1) / (1 - confidence)) (Garivier and
    Kaufmann 2016). It does not lean on the prior's word for what was never compared, and takes more votes for that.
    """
    mean = posterior.mean()
    leader = int(mean.argmax())
    rivals = posterior.shortlist(ROWS, 2.5)
    rivals = rivals[rivals != leader]
    difference = posterior.difference(torch.stack([torch.full_like(rivals, leader), rivals], 1))
    slack = regret * float(mean[leader] - mean.mean())
    lead = (difference.mean + slack).clamp_min(0)
    ratio = float((lead**2 / (2 * difference.variance.clamp_min(1e-12))).min())
    threshold = float(np.log((1 + np.log(max(votes, 1))) * (posterior.n - 1) / (1 - confidence)))
    expected = float(regret_draws(posterior, votes).mean())
    places = next(places for places in (1, 2, 3, 4) if places == 4 or round(ratio, places) != round(threshold, places))
    ratio_text = f"the closest rival is ruled out by a log likelihood ratio of {ratio:.{places}f}"
    if votes and ratio >= threshold:
        return Stop(True, f"{ratio_text}, above the threshold of {threshold:.{places}f}", expected, confidence, (0, 0))
    votes_left = None
    if votes:  # the ratio grows in proportion to the votes
        middle = votes * min(max(threshold / max(ratio, 1e-3) - 1, 0.1), 100.0)
        votes_left = max(1, round(middle / FORECAST_FACTOR)), max(2, round(middle * FORECAST_FACTOR))
    return Stop(False, f"{ratio_text}, short of the threshold of {threshold:.{places}f}", expected, 0.0, votes_left)


def regret_draws(posterior: Posterior, votes: int) -> Tensor:
    """(SAMPLES,) posterior draws of the regret of the recommended item."""
    rows, draws = best_draws(posterior, votes)
    mean = posterior.mean()
    rest = posterior.n - len(rows)
    chosen = draws[:, int((rows == _recommended(posterior, rows, draws)).nonzero()[0, 0])]
    pool = (draws.sum(1) + (mean.sum() - mean[rows].sum() if rest else 0.0)) / posterior.n
    highest = draws.max(1).values
    return (highest - chosen) / (highest - pool).clamp_min(1e-9)


def best_draws(posterior: Posterior, votes: int) -> tuple[Tensor, Tensor]:
    """Rows (S,) that may be the best, and posterior draws (SAMPLES, S) of what the best has most of.

    How probably an item is the best and how probably it is close to it are shares of these same draws, so that the
    first is never above the second.
    """
    rows = posterior.shortlist(ROWS, 2.5)
    return rows, posterior.values(SAMPLES, stream(0, "stop", votes), rows)


def p_best(posterior: Posterior, votes: int) -> Tensor:
    """(N,) probabilities of being the best item; they sum to 1."""
    rows, draws = best_draws(posterior, votes)
    return torch.bincount(rows[draws.argmax(1)], minlength=posterior.n).double() / len(draws)


def best(posterior: Posterior, votes: int) -> int:
    """The row of the recommended item: of the highest posterior mean utility, or, where preferences run in circles, the
    likeliest to be the best."""
    return posterior.best() if posterior.transitive else _recommended(posterior, *best_draws(posterior, votes))


def _recommended(posterior: Posterior, rows: Tensor, draws: Tensor) -> int:
    return posterior.best() if posterior.transitive else int(rows[draws.argmax(1)].bincount().argmax())


RULES: dict[Rule, Callable[[Posterior, int, float, float], Stop]] = {
    "posterior": best_item,
    "likelihood_ratio": likelihood_ratio,
}


def top_items(posterior: Posterior, top: int, votes: int, regret: float) -> Stop:
    """Stop once the expected share of wrong items among the `top` recommended ones is at most `regret`."""
    rows, inside = top_draws(posterior, top, votes)
    wrong = 1 - float(torch.isin(rows[inside], ranking(posterior, best(posterior, votes))[:top]).double().mean())
    say = f"{share_in_percent(wrong, regret)} of the top {top} are expected not to belong there"
    if wrong <= regret:
        return Stop(True, f"{say}, within the {limit_in_percent(regret)} asked for", wrong, 1.0, (0, 0))
    return Stop(
        False, f"{say}, more than {limit_in_percent(regret)}", wrong, 0.0, forecast(2 * wrong, votes, 2 * regret)
    )


def top_draws(posterior: Posterior, top: int, votes: int) -> tuple[Tensor, Tensor]:
    """Rows (S,) that may be among the best `top`, and which places in them (SAMPLES, top) are so in each draw."""
    rows = torch.unique(
        torch.cat([ranking(posterior, best(posterior, votes))[:top], posterior.shortlist(ROWS + top, 2.5)])
    )
    draws = posterior.values(SAMPLES, stream(0, "stop", votes), rows)
    return rows, torch.sort(draws, dim=1, descending=True, stable=True).indices[:, :top]


def ranking(posterior: Posterior, leader: int) -> Tensor:
    """(N,) rows in the order in which they are recommended: the leader, then by posterior mean utility."""
    order = torch.sort(posterior.mean(), descending=True, stable=True).indices
    return torch.cat([order.new_tensor([leader]), order[order != leader]])


def pair_order(
    posterior: Posterior, pairs: Tensor | None, votes: int, regret: float, even: float | None = None
) -> Stop:
    """Stop once the expected share of pairs that are wrongly ordered, or labelled, is at most `regret`.

    even: the difference in logits up to which a pair's label is a tie; None: pairs are ordered, not labelled.

    pairs: (P, 2) the pairs that matter; None: all, of which PAIRS are drawn. Of more than LONG, so many are drawn,
    always the same ones, that the expected share has a standard error below 0.25 / LONG^(1/2) = 0.4 %: the chance of a
    pair to be wrong is between 0 and 1/2, so that its standard deviation over the pairs is at most 1/4.
    """
    if pairs is None:
        rng = stream(0, "pairs", posterior.n)
        a = rng.integers(0, posterior.n, PAIRS)
        pairs = torch.as_tensor(np.stack([a, (a + rng.integers(1, posterior.n, PAIRS)) % posterior.n], 1))
    elif len(pairs) > LONG:
        pairs = pairs[stream(0, "pairs", len(pairs)).choice(len(pairs), LONG, replace=False)]
    mean, variance, _ = posterior.difference(pairs)
    lead, sd = mean.abs(), variance.sqrt().clamp_min(1e-9)
    level = even or 0.0
    ordered = torch.special.ndtr((lead - level) / sd)
    tied = torch.special.ndtr((lead + level) / sd) - ordered
    wrong = float((1 - torch.maximum(ordered, tied)).mean())
    what = "pairs are expected to be in the wrong order" if even is None else "labels are expected to be wrong"
    say = f"{share_in_percent(wrong, regret)} of the {what}"
    if wrong <= regret:
        return Stop(True, f"{say}, within the {limit_in_percent(regret)} asked for", wrong, 1.0, (0, 0))
    return Stop(
        False, f"{say}, more than {limit_in_percent(regret)}", wrong, 0.0, forecast(2 * wrong, votes, 2 * regret)
    )


def forecast(expected: float, votes: int, regret: float) -> tuple[int, int] | None:
    """80 % interval of the votes until the stop rule is met for `regret`, from the expected regret now."""
    if votes == 0:
        return None
    missing = max(expected / (AT_STOP * regret), 1.0)
    middle = FORECAST_SCALE * max(votes, 10) ** FORECAST_POWER * missing**0.5
    return max(1, round(middle / FORECAST_FACTOR)), max(2, round(middle * FORECAST_FACTOR))
