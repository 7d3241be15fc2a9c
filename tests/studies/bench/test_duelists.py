"""The duelling peers do what their names say: a bandit at its mode, draws over ids, halves that survive."""

from math import ceil, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elicit.stats import sigmoid
from studies.bench.apohf import LAMBDA
from studies.bench.duelists import LinearDueling, Pdo, SuccessiveHalving
from studies.simulation.simulate import luck_of, simple_regret, simulate

RNG = np.random.default_rng(4)
X = RNG.standard_normal((15, 6))
U = 2 * X @ np.array([1.0, -1.0, 0.5, 0.0, 0.0, 0.0])


def test_the_linear_bandit_sits_at_its_mode_and_asks_what_the_bound_names() -> None:
    peer, luck = LinearDueling(X), luck_of(0)
    for t in range(25):
        a, b = peer.ask()
        assert a != b
        peer.tell(a, b, "a" if luck(t) < sigmoid(U[a] - U[b]) else "b")
    D = X[[w for w, _ in peer._votes]] - X[[b for _, b in peer._votes]]
    assert D.T @ (1 / (1 + np.exp(D @ peer._w))) == pytest.approx(LAMBDA * peer._w, abs=1e-6)
    V = LAMBDA * np.eye(6) + D.T @ D
    one, two = peer.ask()
    gaps = X - X[one]
    bound = X @ peer._w + np.sqrt(np.einsum("nd,de,ne->n", gaps, np.linalg.inv(V), gaps))
    assert one == (X @ peer._w).argmax()
    assert two == max((i for i in range(15) if i != one), key=lambda i: bound[i])


def test_pdo_recommends_the_copeland_winner() -> None:
    peer = Pdo(4)
    for a, b, times in [(0, 1, 1), (0, 2, 1), (3, 0, 5), (3, 1, 1), (1, 2, 9)]:
        for _ in range(times):
            peer.tell(a, b, "a")
    assert peer.best() == 3  # as many beaten as item 0, and never lost
    for _ in range(6):
        peer.tell(0, 3, "a")
    assert peer.best() == 0


@pytest.mark.parametrize("made", [lambda: Pdo(8), lambda: SuccessiveHalving(8, 150)])
def test_ids_alone_are_enough(made: type[Pdo]) -> None:
    u = np.linspace(-5, 5, 8)
    assert np.mean([simple_regret(u, simulate(made(), u, 150, luck_of(s)).recommended[-1]) for s in range(5)]) < 0.2


@given(n=st.integers(2, 60), votes=st.integers(1, 120), seed=st.integers(0, 9))
def test_halving_shares_its_votes_evenly_and_keeps_the_better_half(n: int, votes: int, seed: int) -> None:
    peer = SuccessiveHalving(n, votes, seed)
    first = peer._survivors.tolist()
    start = len(first)
    rounds = ceil(log2(start))
    assert start == n or start // 2 * rounds <= votes < (start + 2) // 2 * ceil(log2(start + 1))
    cast = np.zeros(n)
    for _ in range(votes):
        before = len(peer._survivors)
        a, b = peer.ask()
        assert peer.ask() == (a, b)
        assert a != b
        cast[[a, b]] += 1
        peer.tell(a, b, "a" if a > b else "b")
        if len(peer._survivors) < before:
            assert len(peer._survivors) == (before + 1) // 2
            assert cast[peer._survivors].min() > 0
            cast[:] = 0
        else:
            assert np.ptp(cast[peer._survivors]) <= 1
    assert len(peer._survivors) == 2
    assert peer.best() in peer._survivors
    assert max(first) in peer._survivors  # who never loses stays
