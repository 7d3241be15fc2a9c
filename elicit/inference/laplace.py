"""The Laplace posterior of a Gaussian utility of low rank given very many votes at once (MacKay 1992).

Utilities are u_i = phi_i' w + e_i, as in `elicit.inference.low_rank`. The mode of (w, e) is found by Newton's method,
each step by conjugate gradients and no longer than the posterior climbs. All sums over votes go through the items, so
that a vote costs r products where the curvature is formed, and a few numbers elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from elicit.inference.evicted import EvictedEffects
from elicit.inference.networks import History
from elicit.inference.noise import Noise

ROWS = 1 << 14
STRIDE = 1 << 12
"""Votes summed at once: what they need fits a processor's cache."""
TURNS, FEWER = 6, 3
"""Newton steps: from nothing, and from a mode that is close."""
HALVINGS, CONJUGATE, CLOSE = 8, 20, 1e-3
"""Of a Newton step, and conjugate gradients on the way to it: how many at most, and the share of their error left."""
STEP = 1e-3
"""Of numerical derivatives, in logits."""
MANY = 1 << 17
"""Votes from which single precision holds what is large."""

Both = tuple[Tensor, Tensor]
"""Something of the shared weights (M, r) and of the own effects (M, S)."""


def laplace(
    basis: Tensor,
    amplitude2: Tensor,
    own: Tensor,
    history: History,
    noise: Noise,
    turned: Callable[[], None],
    near: tuple[Tensor, EvictedEffects] | None = None,
) -> tuple[Tensor, Tensor, EvictedEffects]:
    """Mode (M, r), covariance (M, r, r) and own effects, under M models with variances amplitude2 and own (M,).

    basis: (N, r) coordinates of all items. turned: called TURNS times on the way, FEWER times where there is a mode
    `near`: (M, r), and own effects of items all of which are voted on.
    """
    voted = torch.zeros(len(basis), dtype=torch.bool)
    for pairs in torch.split(history.rows, ROWS):
        voted[pairs.flatten().long()] = True
    rows, place = torch.nonzero(voted)[:, 0].to(basis.device), voted.cumsum(0) - 1
    phi = basis if len(rows) == len(basis) else basis[rows]
    target = _Target(phi if len(history.rows) >= MANY else phi.double(), amplitude2, own, history, place, noise)
    mode, effects = amplitude2.new_zeros(len(own), phi.shape[1]), amplitude2.new_zeros(len(own), len(rows))
    if near is not None:
        mode = near[0].clone()
        effects[:, torch.searchsorted(rows, near[1].rows)] = near[1].mean
    reached = target.value(mode, effects)
    for _ in range(TURNS if near is None else FEWER):
        slope, curvature = target.derivatives(mode, effects)
        step, along = _solve(curvature, slope)
        size = torch.ones_like(own)[:, None]
        for _ in range(HALVINGS):  # a whole step may lead too far
            after = target.value(mode + size * step, effects + size * along)
            if (after >= reached).all():
                break
            size = torch.where((after >= reached)[:, None], size, size / 2)
        mode, effects, reached = mode + size * step, effects + size * along, after
        turned()
    return mode, curvature.covariance, EvictedEffects(rows, effects, 1 / curvature.stiff)


@dataclass(frozen=True)
class _Target:
    """The log posterior of shared weights and own effects. phi: (S, r) of the items voted on; place: (N,) of a row
    among these."""

    phi: Tensor
    amplitude2: Tensor
    own: Tensor
    history: History
    place: Tensor
    noise: Noise

    @property
    def starts(self) -> range:
        """Where the votes that are summed at once begin."""
        return range(0, len(self.history.rows), STRIDE)

    def vote_block(self, u: Tensor, start: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Of votes from `start` on: kinds (K,), items (K, 2), by what the second one's utility and by what both are
        multiplied (K,), and what is spoken of (M, K) float64, under utilities u (M, S)."""
        part = slice(start, start + STRIDE)
        kinds, at = self.history.kinds[part], self.place[self.history.rows[part].long()].to(u.device)
        of = self.history.sign(kinds).to(self.own)
        scale = torch.where(of > 0, 0.5, 1.0)
        return kinds, at, of, scale, ((u[:, at[:, 0]] + of * u[:, at[:, 1]]) * scale).double()

    def utilities(self, mode: Tensor, effects: Tensor) -> Tensor:
        """(M, S)"""
        return mode.to(self.phi) @ self.phi.T + effects.to(self.phi)

    def value(self, mode: Tensor, effects: Tensor) -> Tensor:
        """(M,) log posterior, but for a constant."""
        u, total = self.utilities(mode, effects), torch.zeros_like(self.own)
        for start in self.starts:
            kinds, *_, x = self.vote_block(u, start)
            total += self.history.log_likelihood(x, kinds, self.noise).sum(1)
        return total - 0.5 * (mode.square().sum(1) / self.amplitude2 + effects.square().sum(1) / self.own)

    def derivatives(self, mode: Tensor, effects: Tensor) -> tuple[Both, _Curvature]:
        """The slope of the log posterior, and minus its curvature."""
        phi, u = self.phi, self.utilities(mode, effects)
        push, stiff = torch.zeros_like(effects), torch.zeros_like(effects)
        bends = effects.new_empty(len(mode), len(self.history.rows))
        cross = phi.new_zeros(len(mode), *phi.shape)
        for start in self.starts:
            kinds, at, of, scale, x = self.vote_block(u, start)
            slope, bend = slopes(x, self.history, kinds, self.noise)
            bends[:, start : start + STRIDE] = bend = bend.clamp_min(0)
            z = (phi[at[:, 0]] + of.to(phi)[:, None] * phi[at[:, 1]]) * scale.to(phi)[:, None]
            weighed = bend.to(phi)[:, :, None] * z
            for side, sign in ((0, scale), (1, of * scale)):
                push.index_add_(1, at[:, side], slope * sign)
                stiff.index_add_(1, at[:, side], bend * sign**2)
                cross.index_add_(1, at[:, side], weighed * sign.to(phi)[:, None])
        stiff += 1 / self.own[:, None]
        # What the votes say of the shared part once the own effects are integrated out; never less than nothing.
        precision = torch.diag_embed((1 / self.amplitude2)[:, None].expand(mode.shape)).clone()
        for start in range(0, len(phi), ROWS):
            part = slice(start, start + ROWS)
            shared = cross[:, part]
            precision += ((phi[part] - shared / stiff.to(phi)[:, part, None]).mT @ shared).double()
        values, axes = torch.linalg.eigh((precision + precision.mT) / 2)
        covariance = (axes / torch.maximum(values, 1 / self.amplitude2[:, None])[:, None]) @ axes.mT
        pull = push.to(phi) @ phi - mode / self.amplitude2[:, None]
        return (pull, push - effects / self.own[:, None]), _Curvature(self, bends, stiff, cross, covariance)


@dataclass(frozen=True)
class _Curvature:
    """bends (M, T): the votes' own. stiff (M, S): of each effect by itself; cross (M, S, r): of effects
    with the shared weights; covariance (M, r, r) of these, own effects taken for independent given the votes."""

    target: _Target
    bends: Tensor
    stiff: Tensor
    cross: Tensor
    covariance: Tensor

    def times(self, w: Tensor, e: Tensor) -> Both:
        """The curvature times w and e."""
        target, cross = self.target, self.cross
        back = (cross @ w.to(cross)[:, :, None])[:, :, 0]
        out = e / target.own[:, None] + back
        for start in target.starts:
            bend = self.bends[:, start : start + STRIDE]
            _, at, of, scale, x = target.vote_block(e, start)
            out.index_add_(1, at[:, 0], bend * x * scale).index_add_(1, at[:, 1], bend * x * of * scale)
        across = (e.to(cross)[:, None] @ cross)[:, 0]
        return w / target.amplitude2[:, None] + back @ target.phi + across, out

    def under(self, w: Tensor, e: Tensor) -> Both:
        """What w and e would be the curvature times of, were own effects independent given the votes."""
        cross = self.cross
        w = (self.covariance @ (w - ((e / self.stiff).to(cross)[:, None] @ cross)[:, 0])[:, :, None])[:, :, 0]
        return w, (e - (cross @ w.to(cross)[:, :, None])[:, :, 0]) / self.stiff


def _solve(curvature: _Curvature, goal: Both) -> Both:
    """What the curvature makes the goal of, by preconditioned conjugate gradients (Hestenes and Stiefel 1952)."""

    def dot(x: Both, y: Both) -> Tensor:
        return ((x[0] * y[0]).sum(1) + (x[1] * y[1]).sum(1))[:, None]

    residual, solution = goal, (torch.zeros_like(goal[0]), torch.zeros_like(goal[1]))
    guessed = direction = curvature.under(*residual)
    error = first = dot(residual, guessed)
    for _ in range(CONJUGATE):
        bent = curvature.times(*direction)
        size = error / dot(direction, bent).clamp_min(1e-300)
        solution = solution[0] + size * direction[0], solution[1] + size * direction[1]
        residual = residual[0] - size * bent[0], residual[1] - size * bent[1]
        guessed = curvature.under(*residual)
        before, error = error, dot(residual, guessed)
        if (error <= CLOSE * first).all():
            break
        more = error / before.clamp_min(1e-300)
        direction = guessed[0] + more * direction[0], guessed[1] + more * direction[1]
    return solution


def slopes(x: Tensor, history: History, kinds: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
    """First and negative second derivative of the votes' log likelihood at x (M, T) float64, each (M, T): by central
    differences, because torch loads for seconds before it differentiates twice."""
    up, middle, down = (history.log_likelihood(x + step, kinds, noise) for step in (STEP, 0.0, -STEP))
    return (up - down) / (2 * STEP), (2 * middle - up - down) / STEP**2
