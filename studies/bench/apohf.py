"""APOHF, a peer: Lin et al. (2024), "Prompt optimization with human feedback", as its authors' code does it.

A network d-32-32-1 with standard normal weights is trained from its initial weights after every vote: 1,000 steps of
Adam (rate 1e-3) on all votes, weight decay LAMBDA / (T + 50). The first arm maximises the network h; the second one
h + sqrt(sum_p NU (g_p - g1_p)^2 / U_p), where g is the gradient of h at an item, g1 at the first arm, and U_p = LAMBDA
+ the sum over past pairs of the squared difference of their gradients. Recommended is the best h among the shown.

Two things differ from the published code: the initial weights come from the run's seed and not from a constant, and
only the diagonal of U is ever formed. Everything is single precision, as there; the gradients are written out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elicit.randomness import stream
from studies.bench.peers import PeerPair

HIDDEN = 32
STEPS = 1000
RATE = 1e-3
LAMBDA = 0.1
NU = 1.0
RANDOM_PAIRS = 5
BLOCK = 256

Array = NDArray[np.float32]


class Network:
    """d-32-32-1 with ReLU; its P parameters are one flat vector, of which the weights and biases are views."""

    def __init__(self, dim: int, rng: np.random.Generator) -> None:
        shapes = [(dim, HIDDEN), (HIDDEN,), (HIDDEN, HIDDEN), (HIDDEN,), (HIDDEN,), ()]
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        self.parameters = rng.standard_normal(ends[-1]).astype(np.float32)
        self._cuts, self._shapes = ends[:-1], shapes

    def views(self, flat: Array) -> list[Array]:
        """The parts of a flat vector (P,): W1, b1, W2, b2, w3, b3."""
        return [part.reshape(shape) for part, shape in zip(np.split(flat, self._cuts), self._shapes, strict=True)]

    def forward(self, X: Array) -> tuple[Array, Array, Array]:
        """h (N,) and the activations of both layers, (N, 32) each."""
        W1, b1, W2, b2, w3, b3 = self.views(self.parameters)
        first = np.maximum(X @ W1 + b1, 0)
        second = np.maximum(first @ W2 + b2, 0)
        h: Array = second @ w3 + b3
        return h, first, second

    def gradients(self, X: Array) -> Array:
        """Gradient of h by the parameters at each item: (N, P)."""
        _, _, W2, _, w3, _ = self.views(self.parameters)
        _, first, second = self.forward(X)
        d2 = (second > 0) * w3
        d1 = (first > 0) * (d2 @ W2.T)
        n = len(X)
        parts = [
            (X[:, :, None] * d1[:, None]).reshape(n, -1),
            d1,
            (first[:, :, None] * d2[:, None]).reshape(n, -1),
            d2,
            second,
            np.ones((n, 1), np.float32),
        ]
        joined: Array = np.concatenate(parts, 1, dtype=np.float32)
        return joined

    def train(self, X: Array, winners: NDArray[np.intp], losers: NDArray[np.intp], decay: float) -> None:
        """Adam on the mean logistic loss of h(winner) - h(loser), rows of X (S, d), with weight decay."""
        theta = self.parameters
        W1, b1, W2, b2, w3, b3 = self.views(theta)
        gradient, m, v = np.zeros_like(theta), np.zeros_like(theta), np.zeros_like(theta)
        G1, g1, G2, g2, g3, _ = self.views(gradient)
        scratch = np.empty_like(theta)
        for step in range(1, STEPS + 1):
            first = np.maximum(X @ W1 + b1, 0)
            second = np.maximum(first @ W2 + b2, 0)
            h = second @ w3 + b3
            pull = 0.5 * (1 - np.tanh(0.5 * (h[winners] - h[losers]))) / len(winners)
            dh = np.bincount(losers, pull, len(X)) - np.bincount(winners, pull, len(X))
            dh = dh.astype(np.float32)  # sums to 0 over items, so the last bias has no gradient
            d2 = (second > 0) * (dh[:, None] * w3)
            d1 = (first > 0) * (d2 @ W2.T)
            np.matmul(X.T, d1, out=G1)
            np.matmul(first.T, d2, out=G2)
            g1[...], g2[...], g3[...] = d1.sum(0), d2.sum(0), dh @ second
            gradient[-1] = 0.0
            np.multiply(theta, np.float32(decay), out=scratch)
            gradient += scratch
            m += np.float32(0.1) * (gradient - m)
            v *= np.float32(0.999)
            np.multiply(gradient, gradient, out=scratch)
            scratch *= np.float32(0.001)
            v += scratch
            np.sqrt(v, out=scratch)
            scratch *= np.float32((1 - 0.999**step) ** -0.5)
            scratch += np.float32(1e-8)
            np.divide(m, scratch, out=scratch)
            scratch *= np.float32(RATE / (1 - 0.9**step))
            theta -= scratch


class Apohf:
    """Features (N, d) as they are. The first five pairs are random."""

    def __init__(self, features: NDArray[np.float64], seed: int = 0) -> None:
        self._X = features.astype(np.float32)
        self._seed = seed
        self._network = Network(self._X.shape[1], stream(seed, "peer/weights"))
        self._initial = self._network.parameters.copy()
        self._votes: list[tuple[int, int]] = []  # rows, winner first
        self._h = self._network.forward(self._X)[0]

    def ask(self) -> PeerPair:
        """The pair that the upper confidence bound names."""
        if len(self._votes) < RANDOM_PAIRS:
            a, b = stream(self._seed, "peer/pair", len(self._votes)).choice(len(self._X), 2, replace=False)
            return PeerPair(int(a), int(b))
        first = int(self._h.argmax())
        shown, places = np.unique(np.array(self._votes), return_inverse=True)
        g = self._network.gradients(self._X[shown])
        places = places.reshape(-1, 2)
        U = np.full(g.shape[1], LAMBDA, np.float32)
        for winner, loser in places:
            U += (g[winner] - g[loser]) ** 2
        g_first = self._network.gradients(self._X[first : first + 1])[0]
        bound = self._h.copy()
        for start in range(0, len(self._X), BLOCK):
            part = slice(start, start + BLOCK)
            bound[part] += np.sqrt(NU * (((self._network.gradients(self._X[part]) - g_first) ** 2) @ (1 / U)))
        bound[first] = -np.inf
        return PeerPair(first, int(bound.argmax()))

    def tell(self, a: int, b: int, outcome: str) -> None:
        """Learn one vote: train from the initial weights on all votes."""
        self._votes.append((a, b) if outcome == "a" else (b, a))
        if len(self._votes) < RANDOM_PAIRS:
            return
        shown, places = np.unique(np.array(self._votes), return_inverse=True)
        places = places.reshape(-1, 2)
        self._network.parameters[...] = self._initial
        self._network.train(self._X[shown], places[:, 0], places[:, 1], LAMBDA / (len(self._votes) + 50))
        self._h = self._network.forward(self._X)[0]

    def best(self) -> int:
        """The row of the highest h among those shown."""
        shown = np.unique(np.array(self._votes)) if self._votes else np.arange(len(self._X))
        return int(shown[self._h[shown].argmax()])
