"""The peers do what their names say: a linear model at its mode, BoTorch's process, and the published network."""

import numpy as np
import pytest
import torch

from elicit.stats import sigmoid
from studies.bench import apohf, methods
from studies.bench.peers import LinearEubo, eubo_pair
from studies.simulation.simulate import Method, luck_of, simple_regret, simulate

RNG = np.random.default_rng(3)
X = RNG.standard_normal((20, 4))
U = 3 * X @ np.array([1.0, -1.0, 0.5, 0.0])


def make(name: str, seed: int = 0) -> Method:
    return methods.make(name, X, len(X), seed, 22)


@pytest.mark.parametrize("name", methods.PEERS)
def test_peers_are_reproducible_never_ask_an_item_against_itself_and_learn(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apohf, "STEPS", 200)
    runs = [simulate(make(name), U, 22, luck_of(1)) for _ in range(2)]
    assert runs[0].pairs == runs[1].pairs
    assert runs[0].recommended == runs[1].recommended
    assert all(a != b for a, b in runs[0].pairs)
    assert name not in methods.NEED_FEATURES or simple_regret(U, runs[0].recommended[-1]) < 0.5
    assert simulate(make(name, seed=5), U, 1, luck_of(1)).pairs != runs[0].pairs[:1]


@pytest.mark.parametrize("name", methods.PEERS)
def test_a_vote_means_the_same_either_way_round(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apohf, "STEPS", 50)
    one, other = make(name), make(name)
    for a, b in [(0, 1), (2, 3), (1, 4), (0, 4), (5, 2), (6, 7)]:
        one.tell(a, b, "a")
        other.tell(b, a, "b")
        assert one.best() == other.best()
    assert one.ask() == other.ask()


def test_eubo_prefers_what_may_be_best() -> None:
    mean = torch.tensor([0.0, 1.0, 0.9, -3.0], dtype=torch.float64)
    assert eubo_pair(mean, torch.eye(4, dtype=torch.float64)) == (1, 2)
    sure = torch.diag(torch.tensor([9.0, 0.1, 0.01, 0.1], dtype=torch.float64))
    assert eubo_pair(mean, sure) == (0, 1)
    draws = np.random.default_rng(0).multivariate_normal(mean.numpy(), sure.numpy(), 100_000)
    means = {(i, j): draws[:, [i, j]].max(1).mean() for i in range(4) for j in range(i)}
    assert sorted(max(means, key=lambda p: means[p])) == [0, 1]


def test_the_linear_peer_sits_at_the_mode_of_its_posterior() -> None:
    peer = LinearEubo(X)
    luck = luck_of(0)
    for t in range(30):
        a, b = (int(x) for x in np.random.default_rng(t).choice(20, 2, replace=False))
        peer.tell(a, b, "a" if luck(t) < sigmoid(U[a] - U[b]) else "b")
    w = peer._w.clone().requires_grad_()
    value = torch.nn.functional.logsigmoid(peer._D @ w).sum() - 0.5 * (w @ w) / peer._s**2
    (gradient,) = torch.autograd.grad(value, w, create_graph=True)
    assert gradient.abs().max() < 1e-4
    hessian = torch.stack([torch.autograd.grad(g, w, retain_graph=True)[0] for g in gradient])
    assert torch.allclose(peer._root @ peer._root.T, -hessian, atol=1e-3)
    # A rotation and a shift of the features change nothing.
    turned = LinearEubo(X @ np.linalg.qr(RNG.standard_normal((4, 4)))[0] + 5.0)
    straight = LinearEubo(X)
    for a, b in [(0, 1), (2, 3), (4, 5)]:
        turned.tell(a, b, "a")
        straight.tell(a, b, "a")
    assert torch.allclose(turned._Z @ turned._w, straight._Z @ straight._w)
    assert turned.ask() == straight.ask()


def test_the_linear_peer_takes_ids_only() -> None:
    u = np.linspace(-4, 4, 8)
    ran = simulate(methods.make("linear_eubo", None, 8, 0, 40), u, 40, luck_of(2))
    assert simple_regret(u, ran.recommended[-1]) < 0.5


def test_apohf_trains_as_torch_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apohf, "STEPS", 100)
    items = X.astype(np.float32)
    winners, losers = np.array([0, 1, 2, 5, 5]), np.array([1, 4, 7, 8, 8])
    network = apohf.Network(4, np.random.default_rng(1))
    parts = [torch.tensor(part.copy(), requires_grad=True) for part in network.views(network.parameters)]

    def h(x: torch.Tensor) -> torch.Tensor:
        first = torch.relu(x @ parts[0] + parts[1])
        return torch.relu(first @ parts[2] + parts[3]) @ parts[4] + parts[5]

    rows = torch.tensor(items)
    one_by_one = [torch.cat([g.flatten() for g in torch.autograd.grad(h(rows)[i], parts)]) for i in range(20)]
    assert np.allclose(torch.stack(one_by_one).numpy(), network.gradients(items), atol=1e-4)
    adam = torch.optim.Adam(parts, lr=apohf.RATE, weight_decay=0.01)
    for _ in range(100):
        adam.zero_grad()
        z = h(rows)
        torch.nn.functional.softplus(-(z[winners] - z[losers])).mean().backward()  # type: ignore[no-untyped-call]
        adam.step()
    network.train(items, winners, losers, 0.01)
    trained = torch.cat([part.detach().flatten() for part in parts]).numpy()
    assert np.abs(trained - network.parameters).max() < 1e-3
