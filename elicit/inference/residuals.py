"""Preferences that no utilities explain: a vote on a and b speaks of x = u_a - u_b + e, e the pair's own residual.

    e ~ N(0, tau^2), independent from pair to pair, with tau in the grid of priors beside the utilities' amplitude

Bradley-Terry is tau = 0, and evidence decides: a generalised linear mixed model (Breslow and Clayton 1993) for what
Chen and Joachims (2016) call intransitivity. What votes on a pair have said of its x is kept as one Gaussian factor.
Given the factor the residual integrates out: on u_a - u_b it acts with its variance increased by tau^2. So a pair that
is asked again and again says ever less of the utilities, and a vote costs what it costs without residuals.

Where residuals are believed in, the best item is the Copeland winner, the one that is preferred to the most others, and
recommended is the item that is most probably it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor

from elicit.inference.gaussian import GridPosterior, Site, moments_after
from elicit.inference.posterior import Mixture
from elicit.randomness import stream
from elicit.types import ChoiceOutcome

if TYPE_CHECKING:
    from elicit.inference.posterior import Posterior

MODELS = 8
"""Models that selectors integrate over."""
WINNERS = 512
"""Draws of all pairs from which the Copeland winner is told."""
AT_ONCE = 64
"""Draws of all pairs held in memory together."""


@dataclass(frozen=True)
class Factors:
    """What votes have said of x = u_a - u_b + e of each pair a < b, as Gaussian factors under M models.

    place: (N, N) the column of each pair, -1 for pairs without a vote; values: (2, M, P) float64 on CPU, the factors'
    precision and precision x mean.
    """

    place: Tensor
    values: Tensor

    @staticmethod
    def none(models: int, n: int) -> Factors:
        """Before any vote."""
        return Factors(torch.full((n, n), -1), torch.zeros(2, models, 0, dtype=torch.float64))

    def only(self, models: Tensor) -> Factors:
        """The factors under the chosen models (m,)."""
        return Factors(self.place, self.values[:, models])

    def at(self, a: Tensor, b: Tensor, models: Tensor) -> tuple[Tensor, Tensor]:
        """Precision and precision x mean (m, ...) of u_a - u_b + e, for rows a and b of one shape (...)."""
        place = self.place[a, b]
        if not self.values.shape[2]:
            nothing = torch.zeros(len(models), *place.shape, dtype=torch.float64)
            return nothing, nothing
        precision, shift = self.values[:, models][:, :, place.clamp_min(0)] * (place >= 0)
        return precision, torch.where(a < b, shift, -shift)

    def put(self, a: int, b: int, precision: Tensor, shift: Tensor) -> Factors:
        """With the factor (M,) of u_a - u_b + e in place of the one before."""
        value = torch.stack([precision, shift if a < b else -shift])
        at = int(self.place[a, b])
        if at >= 0:
            values = self.values.clone()
            values[:, :, at] = value
            return Factors(self.place, values)
        place = self.place.clone()
        place[a, b] = place[b, a] = self.values.shape[2]
        return Factors(place, torch.cat([self.values, value[:, :, None]], 2))


@dataclass(frozen=True)
class ResidualPosterior(GridPosterior):
    """Belief under M weighted models of utilities and residuals. tau2: (M,) the residuals' variances; float64 on CPU.

    `mean`, `sd`, `sample` and `difference`'s mean and variance are of utilities; `mixture`'s variance is the part of
    theirs that votes on the pair can take away.
    """

    tau2: Tensor = field(default_factory=lambda: torch.zeros(0))
    factors: Factors = field(default_factory=lambda: Factors.none(0, 0))

    @staticmethod
    def over(utilities: GridPosterior, tau2: Tensor) -> ResidualPosterior:
        """The prior of utilities with residuals of variances tau2 (M,) added."""
        values = {f.name: getattr(utilities, f.name) for f in fields(utilities)}
        return ResidualPosterior(**values, tau2=tau2, factors=Factors.none(len(tau2), utilities.n))

    # -- learning ---------------------------------------------------------------------------------------------

    def _site(
        self, outcome: ChoiceOutcome, a: int, b: int, d: Tensor, s2: Tensor, lapse_rate: float
    ) -> tuple[Site, dict[str, Any]]:
        if outcome.choice == "both_bad":
            return super()._site(outcome, a, b, d, s2, lapse_rate)
        precision, shift = self.factors.at(torch.tensor(a), torch.tensor(b), torch.arange(len(d)))
        before = through(precision, shift, self.tau2)
        mean, variance = with_residual(d, s2, precision, shift, self.tau2)
        site = moments_after(outcome, mean, variance, self.noise, lapse_rate)
        narrowed = torch.minimum(site.variance, variance)  # a vote never widens
        precision = precision + 1 / narrowed - 1 / variance
        shift = shift + site.mean / narrowed - mean / variance
        after = through(precision, shift, self.tau2)
        s2_after = 1 / (1 / s2 + after[0] - before[0])
        d_after = s2_after * (d / s2 + after[1] - before[1])
        alone = self.tau2 == 0
        moved = Site(
            site.z, site.clean, torch.where(alone, site.mean, d_after), torch.where(alone, site.variance, s2_after)
        )
        return moved, {"factors": self.factors.put(a, b, precision, shift)}

    def _only(self, models: Tensor, **rest: Any) -> Self:
        return super()._only(models, tau2=self.tau2[models], factors=self.factors.only(models), **rest)

    # -- beliefs ----------------------------------------------------------------------------------------------

    @property
    def transitive(self) -> bool:
        return float(self.weights[self.tau2 == 0].sum()) >= 0.5

    def best(self) -> int:
        return super().best() if self.transitive else int(self._p_winner.argmax())

    def mixture(self, pairs: Tensor) -> Mixture:
        models = self.heavy(MODELS)
        if self.transitive:  # whoever looks for the highest utility takes it that there is one
            models = models[self.tau2[models] == 0]
        w, mean, variance = self._mixture(pairs, models)
        tau2 = self.tau2[models][:, None]
        own_precision = through(*self.factors.at(pairs[:, 0], pairs[:, 1], models), tau2)[0]
        rest = 1 / (1 / variance - own_precision + 1 / tau2)  # once x is known
        return Mixture(w, mean, torch.where(tau2 > 0, variance - rest, variance).clamp_min(1e-12))

    def _vote_moments(self, pairs: Tensor, models: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        factor = self.factors.at(pairs[:, 0], pairs[:, 1], models)
        return with_residual(mean, variance, *factor, self.tau2[models][:, None])

    def preferences(self, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        rows = torch.arange(self.n) if rows is None else rows
        u, model = self._sample(n, rng, rows)
        x = u[:, :, None] - u[:, None, :]
        draws = torch.nonzero(self.tau2[model] > 0)[:, 0]
        if not len(draws):
            return x
        tau2 = self.tau2[model[draws]][:, None, None]
        precision, shift = self.factors.at(rows[:, None], rows, model[draws])
        noise = torch.as_tensor(rng.standard_normal(x[draws].shape)).triu(1)
        spread = 1 + tau2 * precision
        x[draws] = (x[draws] + tau2 * shift) / spread + (tau2 / spread).sqrt() * (noise - noise.mT)
        return x

    def values(self, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        if self.transitive:
            return super().values(n, rng, rows)
        draws = copeland_draws(self, n, rng)
        return draws if rows is None else draws[:, rows]

    @cached_property
    def _p_winner(self) -> Tensor:
        return copeland_winners(self, stream(0, "p_best", self.beta2.shape[1]))


def through(precision: Tensor, shift: Tensor, tau2: Tensor) -> tuple[Tensor, Tensor]:
    """A Gaussian factor of x, as precision and precision x mean, as one of x less a residual of variance tau2."""
    return precision / (1 + precision * tau2), shift / (1 + precision * tau2)


def with_residual(d: Tensor, s2: Tensor, precision: Tensor, shift: Tensor, tau2: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of x = d + e where d ~ N(d, s2) knows of x's own factor; all of one shape."""
    own_precision, own_shift = through(precision, shift, tau2)
    rest = (1 / s2 - own_precision).clamp_min(1e-10)  # what d knows from elsewhere
    variance = 1 / rest + tau2
    mean = (d / s2 - own_shift) / rest
    narrowed = 1 / (1 / variance + precision)
    alone = tau2 == 0
    return torch.where(alone, d, narrowed * (mean / variance + shift)), torch.where(alone, s2, narrowed)


def copeland_draws(posterior: Posterior, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
    """(n, S) draws of the `copeland_scores` of `rows` (S,) among themselves, or of all items."""
    parts = [min(AT_ONCE, n - k) for k in range(0, n, AT_ONCE)]
    return torch.cat([copeland_scores(posterior.preferences(part, rng, rows)) for part in parts])


def copeland_winners(posterior: Posterior, rng: np.random.Generator) -> Tensor:
    """(N,) probabilities of being the Copeland winner of all items."""
    won = copeland_draws(posterior, WINNERS, rng).argmax(1)
    return torch.bincount(won, minlength=posterior.n).double() / len(won)


def copeland_scores(preferences: Tensor) -> Tensor:
    """(n, S) to how many others each row is preferred in n draws (n, S, S), and less than 1/1000 by which margin."""
    return (preferences > 0).sum(2) + 1e-3 * torch.sigmoid(preferences.mean(2))
