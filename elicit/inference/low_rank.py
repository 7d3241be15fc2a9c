"""Gaussian utilities of low rank, for pools of thousands to millions of items.

Every item's utility is f_i = phi_i' w + e_i: coordinates phi_i (r,) shared by all models of the grid, and an effect of
its own. Under model k, w ~ N(m_k, diag(d_k)) and e_i ~ N(0, own_k), where own_k also holds what the coordinates cannot
see, so that prior variances stay right (Snelson and Ghahramani 2006, for the diagonal). A vote is again about one
Gaussian number, so the posterior is the one of `elicit.inference.gaussian`, over coordinates instead of items: its
columns are c = cov(z, x) for z = (w, e of the items that have been voted on). Its cost per vote does not depend on the
number of items; what is wanted of all items is one product of the coordinates with the mixture's mean.

Own effects have SEATS seats. Once they are taken, the items voted on longest ago give up theirs: of such an item the
effect's mean and variance are kept and its correlations dropped (mean field); its next vote seats it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from elicit.inference.basis import CHUNK_ROWS, BasisTable
from elicit.inference.columns import Columns
from elicit.inference.evicted import EvictedEffects, places
from elicit.inference.gaussian import SAMPLED_MODELS, GridPosterior, root
from elicit.inference.kernels import DenseCovariance, OwnCovariance
from elicit.inference.posterior import Mixture

SEATS = 128
FOLD = 64
"""Columns after which they are folded into dense covariances of the coordinates."""
KEPT = 0.99
"""Share of the weight whose models outlive a fold."""
EXACT_ROWS = 2048
"""Rows whose exact variances a shortlist is chosen by; they are preselected by mean and typical variance."""
SELECTED_MODELS = 4
SCANNED = 1 << 17
"""Items up to which the least known are found by exact variances of all."""
NEARLY = 1 << 13
"""Of more items, rows whose exact variances are compared."""


@dataclass(frozen=True, kw_only=True)
class LowRankPosterior(GridPosterior):
    """Belief under M weighted models over R = r + SEATS + 1 coordinates z; mu, v: (M, R).

    seats: row -> coordinate of its own effect, the longest unvoted first. The last coordinate is never touched: it
    stands for the own effect of any item not voted on.
    """

    table: BasisTable
    seats: dict[int, int] = field(default_factory=dict)
    retired: EvictedEffects

    @staticmethod
    def of(
        basis: Tensor, means: Tensor, variances: Tensor, own: Tensor, log_weights: Sequence[float]
    ) -> LowRankPosterior:
        """The belief before any vote.

        basis: (N, r) coordinates, float32 or float64; means, variances: (M, r) of their weights, such as a positive
        mean for a coordinate that is a judge's score; own: (M,) variance of each item's own effect.
        """
        evidence = torch.tensor(log_weights, dtype=torch.float64)
        seated = own.double()[:, None].expand(-1, SEATS + 1)
        v = torch.cat([variances.double(), seated], 1)
        mu = torch.cat([means.double(), torch.zeros_like(seated)], 1)
        table = BasisTable.of(basis, torch.softmax(evidence, 0).to(v) @ variances.double())
        nobody = EvictedEffects(torch.zeros(0, dtype=torch.long, device=v.device), v[:, :0], v[:, :0])
        return LowRankPosterior(OwnCovariance(v), Columns(), v[:, :0], mu, v, evidence, table=table, retired=nobody)

    @property
    def n(self) -> int:
        return len(self.table.phi)

    @property
    def rank(self) -> int:
        """Number r of shared coordinates."""
        return self.table.phi.shape[1]

    # -- learning ---------------------------------------------------------------------------------------------

    def fantasize(self, a: int, b: int) -> Self:
        narrowed = super().fantasize(a, b)
        if narrowed.mu is self.mu:
            narrowed.__dict__["_means"] = self._means  # not moved, and costly to compute again
        return narrowed

    def _column(self, a: int, b: int, sign: int) -> tuple[Self, Tensor]:
        low, high = min(a, b), max(a, b)
        parent = self._give_seats(low, high)
        t = parent.beta2.shape[1]
        name = parent.lineage + f"|{low},{high},{sign}".encode()
        c = parent.columns.find(t, name)
        if c is None:
            x = parent._question(low, high, sign)
            c = parent._spread(x[None], torch.arange(len(parent.mu)))[:, 0]
            if t:
                c = c - parent.columns.combine(parent.beta2 * parent.columns.dot(x[:, None], t)[:, :, 0])
            parent = replace(parent, columns=parent.columns.put(t, name, c))
        return parent, c if a == low or sign == 1 else -c

    def _moments(self, c: Tensor, a: int, b: int, sign: int) -> tuple[Tensor, Tensor]:
        x = self._question(a, b, sign)
        return (self.mu @ x).cpu(), (c @ x).cpu().clamp_min(1e-10)

    def _question(self, a: int, b: int, sign: int) -> Tensor:
        """(R,) float64: what a vote on seated rows speaks of is question' z."""
        x = self._design(a) + sign * self._design(b)
        return x if sign == -1 else x / 2

    def _design(self, row: int) -> Tensor:
        """(R,) float64: f_row = design' z, for a seated row."""
        x = self.mu.new_zeros(self.mu.shape[1])
        x[: self.rank] = self.table.phi[row].double()
        x[self.seats[row]] = 1.0
        return x

    def _spread(self, x: Tensor, models: Tensor) -> Tensor:
        """(m, S, R) x (S, R) times the folded covariance of the chosen `models` (m,)."""
        if isinstance(self.base, DenseCovariance):
            return torch.stack([x @ self.base.matrix[k] for k in models.tolist()])
        return x * self.base.diagonal()[models][:, None]

    def _give_seats(self, *rows: int) -> Self:
        """The same belief with a seat for each of the rows, which become the latest voted on."""
        new = [row for row in rows if row not in self.seats]
        others = {row: seat for row, seat in self.seats.items() if row not in rows}
        seats = others | {row: self.seats[row] for row in rows if row not in new}
        if len(seats) + len(new) > SEATS:
            return replace(self, seats=seats)._fold_columns(retire=list(others)[: SEATS // 2])._give_seats(*rows)
        first, used_seats = self.rank, set(seats.values())
        free = (seat for seat in range(first, first + SEATS) if seat not in used_seats)
        posterior = replace(self, seats=seats | dict(zip(new, free, strict=False)))
        for row in new:
            if row in self.retired:
                posterior = posterior._restore_effect(row)
        return posterior

    def _restore_effect(self, row: int) -> Self:
        """What was known of this row's own effect before it lost its seat goes to its new one."""
        where, seat, t = self.retired.place(row), self.seats[row], self.beta2.shape[1]
        c = torch.zeros_like(self.mu)
        c[:, seat] = 1.0
        name = f"={row}".encode()
        columns = self.columns.put(t, self.lineage + name, c)
        shrink = (self.v[:, seat] - self.retired.variance[:, where]).clamp_min(0)
        mu = self.mu.clone()
        mu[:, seat] = self.retired.mean[:, where]
        return replace(replace(self, columns=columns)._reduce_variance(c, shrink, name), mu=mu)

    def _compact(self) -> Self:
        return self._fold_columns() if self.beta2.shape[1] >= FOLD else self

    def _fold_columns(self, retire: Sequence[int] = ()) -> Self:
        """Columns folded into dense covariances, light models dropped, and the rows in `retire` without a seat."""
        models = self.heavy(self.base.models, KEPT).sort().values
        matrix = self._coordinates(models)
        models = models.to(matrix.device)
        mu, retired = self.mu[models].clone(), self.retired.under(models)
        gone = [self.seats[row] for row in retire]
        if gone:
            retired = retired.with_rows(retire, mu[:, gone], matrix[:, gone, gone])
            mu[:, gone] = 0.0
            matrix[:, gone] = 0.0
            matrix[:, :, gone] = 0.0
            matrix[:, gone, gone] = matrix[:, -1, -1:].clone()
        return replace(
            self,
            base=DenseCovariance(matrix),
            columns=Columns(),
            beta2=self.beta2.new_zeros(len(models), 0),
            mu=mu,
            v=matrix.diagonal(dim1=1, dim2=2).clamp_min(0).clone(),
            evidence=self.evidence[models.cpu()],
            seats={row: seat for row, seat in self.seats.items() if row not in retire},
            retired=retired,
        )

    def _coordinates(self, models: Tensor) -> Tensor:
        """(m, R, R) covariance of the coordinates under the chosen `models` (m,)."""
        models = models.to(self.mu.device)
        base = self.base
        matrix = base.matrix[models] if isinstance(base, DenseCovariance) else base.block(self._all, models)
        if self.beta2.shape[1]:
            u = self._loadings(models)
            matrix = torch.baddbmm(matrix, u.mT, u, alpha=-1)
        return (matrix + matrix.mT) / 2

    def _loadings(self, models: Tensor) -> Tensor:
        """(m, T, R) columns since the last fold, each times the root of its weight."""
        columns = self.columns.at(self._all, self.beta2.shape[1], models)
        return columns * self.beta2[models].sqrt()[:, :, None]

    @property
    def _all(self) -> Tensor:
        return torch.arange(self.mu.shape[1], device=self.mu.device)

    # -- beliefs ----------------------------------------------------------------------------------------------

    @cached_property
    def _means(self) -> Tensor:
        """(N,) mixture means."""
        w = self.weights.to(self.mu)
        mu = w @ self.mu
        means = self.table.phi @ mu[: self.rank].to(self.table.phi)
        rows, seats = self._rows_and_seats
        means[rows] += mu[seats].to(means)
        if len(self.retired.rows):
            own = w @ self.retired.mean
            own[places(self.retired.rows, rows)[0]] = 0.0
            means[self.retired.rows] += own.to(means)
        return means

    @property
    def _rows_and_seats(self) -> tuple[Tensor, Tensor]:
        """Rows that have a seat, and their coordinates."""
        both = torch.tensor([*self.seats.items()], dtype=torch.long, device=self.mu.device).reshape(-1, 2)
        return both[:, 0].contiguous(), both[:, 1]

    def mean(self) -> Tensor:
        return self._means.double().cpu()

    def sd(self, *, centred: bool = False) -> Tensor:
        rows = torch.arange(self.n, device=self.mu.device)
        pooled = self._pooled_covariance(self.heavy(self.base.models, 1 - 1e-9))
        variance = torch.cat([self._variance(part, pooled) for part in torch.split(rows, CHUNK_ROWS)]).double()
        if centred:
            z = self.mu.new_zeros(self.mu.shape[1])
            z[: self.rank] = self.table.mean
            seat_rows, seats = self._rows_and_seats
            z[seats] = 1 / self.n
            shared = pooled @ z
            alone = float(pooled[-1, -1]) / self.n  # what the pool's mean shares with an item not voted on
            cross = (self.table.phi @ shared[: self.rank].to(self.table.phi)).double() + alone
            cross[seat_rows] += shared[seats] - alone
            variance = variance - 2 * cross + z @ shared + alone * (self.n - len(seat_rows)) / self.n
        return variance.clamp_min(0).sqrt().cpu()

    def _pooled_covariance(self, heavy: Tensor) -> Tensor:
        """(R, R) covariance of the coordinates under the mixture of `heavy` models, the spread of their means in it."""
        models = heavy.to(self.mu.device)
        w = self.weights[heavy].to(self.mu)
        w = w / w.sum()
        base = self.base
        if isinstance(base, DenseCovariance):
            pooled = torch.einsum("m,mrs->rs", w, base.matrix[models])
        else:
            pooled = torch.diag(w @ base.diagonal()[models])
        if self.beta2.shape[1]:
            u = (self._loadings(models) * w.sqrt()[:, None, None]).flatten(0, 1)
            pooled = pooled - u.T @ u
        off = (self.mu[models] - w @ self.mu[models]) * w.sqrt()[:, None]
        return pooled + off.T @ off

    def _variance(self, rows: Tensor, pooled: Tensor) -> Tensor:
        """(S,) mixture variances of the ascending `rows` (S,)."""
        r = self.rank
        phi = self.table.phi[rows]
        variance = ((phi @ pooled[:r, :r].to(phi)) * phi).sum(1) + pooled[-1, -1].to(phi)
        seat_rows, seats = self._rows_and_seats
        at, hit = places(rows, seat_rows)
        seats = seats[hit]
        variance[at] += 2 * (phi[at] * pooled[seats, :r].to(phi)).sum(1)
        variance[at] += (pooled[seats, seats] - pooled[-1, -1]).to(phi)
        if len(self.retired.rows):
            without = torch.ones(len(rows), dtype=torch.bool, device=rows.device).index_fill(0, at, False)
            where, hit = places(self.retired.rows, rows)
            at, where = torch.nonzero(hit & without)[:, 0], where[without[hit]]
            w = self.weights.to(self.mu)
            mean = self.retired.mean[:, where]
            off = mean - w @ mean
            shared = (self.mu[:, :r] - w @ self.mu[:, :r]) @ phi[at].T.double()
            own = w @ (self.retired.variance[:, where] + off * off + 2 * off * shared) - pooled[-1, -1]
            variance[at] += own.to(phi)
        return variance.clamp_min(0)

    def shortlist(self, size: int, breadth: float) -> Tensor:
        if size >= self.n:
            return torch.arange(self.n)
        means, table = self._means, self.table
        pooled = self._pooled_covariance(self.heavy(SELECTED_MODELS))
        best = means.argmax()
        rows = torch.arange(self.n, device=means.device)
        if self.n > max(EXACT_ROWS, size):
            share = table.remaining_share(pooled.diagonal()[: self.rank]).to(means)
            crude = (table.prior * share + pooled[-1, -1].to(means)).sqrt()
            rows = _top((means + breadth * crude).index_fill(0, best, torch.inf), max(EXACT_ROWS, size))
        bound = means[rows] + breadth * self._variance(rows, pooled).sqrt()
        bound[rows == best] = torch.inf  # the recommended item is always among them
        return rows[_top(bound, size)].cpu()

    def least_known(self, size: int) -> Tensor:
        if self.n <= max(SCANNED, size):
            return super().least_known(size)
        pooled = self._pooled_covariance(self.heavy(self.base.models, 1 - 1e-9))
        nearly = self.table.variance_under(pooled[: self.rank, : self.rank]).add_(pooled[-1, -1])
        voted = torch.unique(torch.cat([self._rows_and_seats[0], self.retired.rows]))
        nearly[voted] = self._variance(voted, pooled)
        rows = _top(nearly, max(NEARLY, size))
        return rows[_top(self._variance(rows, pooled), size)].cpu()

    def mixture(self, pairs: Tensor) -> Mixture:
        return self._mixture(pairs, self.heavy(SELECTED_MODELS))

    def _mixture(self, pairs: Tensor, heavy: Tensor) -> Mixture:
        models = heavy.to(self.mu.device)
        pairs = pairs.to(self.mu.device)
        weights = self.weights[heavy]
        rows, place = torch.unique(pairs, return_inverse=True)
        if len(rows) ** 2 <= 8 * len(pairs):
            parts = [self._within(rows, place, models)]
        else:
            parts = [self._between(part, models) for part in torch.split(pairs, EXACT_ROWS)]
        mean, variance = (torch.cat(part, 1) for part in zip(*parts, strict=True))
        return Mixture(weights / weights.sum(), mean.double().cpu(), variance.double().cpu().clamp_min(1e-12))

    def _within(self, rows: Tensor, place: Tensor, models: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (m, P) of differences among few `rows` (S,); place: (P, 2) into them."""
        z, mean, own = self._designs(rows, models)
        block = self._spread(z, models) @ z.T
        if t := self.beta2.shape[1]:
            u = self.columns.dot(z.T, t, models) * self.beta2[models].sqrt()[:, :, None]
            block = torch.baddbmm(block, u.mT, u, alpha=-1)
        alone = block.diagonal(dim1=1, dim2=2) + own
        a, b = place[:, 0], place[:, 1]
        apart = a != b
        return mean[:, a] - mean[:, b], (alone[:, a] + alone[:, b] - 2 * block[:, a, b]) * apart

    def _between(self, pairs: Tensor, models: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (m, P) of the differences of a few pairs (P, 2) among any rows."""
        z, mean, own = self._designs(pairs.flatten(), models)
        x = z[0::2] - z[1::2]
        # A model at a time: the products of all at once fit no cache.
        shared = torch.stack([(self._spread(x, model[None])[0] * x).sum(1) for model in models])
        variance = shared + own[:, 0::2] + own[:, 1::2]
        if t := self.beta2.shape[1]:
            u = self.columns.dot(x.T, t, models)
            variance = variance - (u * u * self.beta2[models][:, :, None]).sum(1)
        apart = pairs[:, 0] != pairs[:, 1]
        return mean[:, 0::2] - mean[:, 1::2], variance * apart

    def _designs(self, rows: Tensor, models: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(S, R) with f = design' z + rest, the means (m, S) of f, and the variances (m, S) of the rest."""
        z = self.mu.new_zeros(len(rows), self.mu.shape[1])
        z[:, : self.rank] = self.table.phi[rows].to(z)
        mean, own = self.mu[models], self.v[models, -1][:, None].repeat(1, len(rows))
        seat_rows, seats = self._rows_and_seats
        i, seat = torch.nonzero(rows[:, None] == seat_rows).T
        z[i, seats[seat]] = 1.0
        mean = mean @ z.T
        if len(self.retired.rows):
            where, hit = places(self.retired.rows, rows)
            at_rows = torch.nonzero(hit)[:, 0]
            without = torch.ones_like(hit).index_fill(0, i, False)[at_rows]
            at_rows, where = at_rows[without], where[without]
            mean[:, at_rows] += self.retired.mean[models[:, None], where]
            own[:, at_rows] = self.retired.variance[models[:, None], where]
        own[:, i] = 0.0
        return z, mean, own

    def sample(self, n: int, rng: np.random.Generator, rows: Tensor | None = None) -> Tensor:
        rows = torch.arange(self.n) if rows is None else rows
        heavy = self.heavy(SAMPLED_MODELS, 0.99)
        w = self.weights[heavy]
        counts = rng.multinomial(n, (w / w.sum()).numpy())
        noise = torch.as_tensor(rng.standard_normal((n, self.mu.shape[1])))
        alone = torch.as_tensor(rng.standard_normal((n, len(rows))))
        draws, parts = [], counts.tolist()
        for model, z, e in zip(heavy, torch.split(noise, parts), torch.split(alone, parts), strict=True):
            if len(z):
                models = model[None].to(self.mu.device)
                shared = z.to(self.mu) @ root(self._coordinates(models)[0]).T
                pieces = []
                for some, alike in zip(torch.split(rows, CHUNK_ROWS), torch.split(e, CHUNK_ROWS, 1), strict=True):
                    design, mean, own = self._designs(some.to(self.mu.device), models)
                    pieces.append((mean + shared @ design.T + alike.to(design) * own.sqrt()).double().cpu())
                draws.append(torch.cat(pieces, 1))
        return torch.cat(draws)[torch.as_tensor(rng.permutation(n))]


def _top(values: Tensor, size: int) -> Tensor:
    """(size,) ascending positions of the largest values; of equal ones the first, on every machine."""
    last = torch.topk(values, size).values[-1]
    above = torch.nonzero(values > last)[:, 0]
    equal = torch.nonzero(values == last)[:, 0][: size - len(above)]
    return torch.cat([above, equal]).sort().values
