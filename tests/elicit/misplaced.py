"""Computes the same with every tensor's numbers placed so many bytes past a multiple of 64, for several such numbers:
products, and whole studies. `python -m tests.elicit.misplaced` prints which code path MKL took and how many different
results there were, as JSON."""

import hashlib
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from elicit.arithmetic import code_path_in_force
from elicit.engine import Engine

LINE = 64
OFFSETS = (0, 4, 8, 12, 16, 24, 32, 40)
MODELS: dict[str, dict[str, Any]] = {
    "gp": {"model": "gp"},
    "gp of low rank": {"model": "gp", "model_options": {"exact": 1}},
    "bradley_terry": {"model": "bradley_terry"},
    "intransitive": {"model": "intransitive"},
}


class Misplaced(TorchDispatchMode):
    """Moves whatever an operation makes to a place that is `offset` bytes past a multiple of 64."""

    def __init__(self, offset: int) -> None:
        super().__init__()
        self.offset = offset

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if any(given.alias_info for given in (*func._schema.arguments, *func._schema.returns)):
            return made  # a view, or written in place
        return tree_map(lambda one: self.placed(one) if isinstance(one, torch.Tensor) else one, made)

    def placed(self, one: torch.Tensor) -> torch.Tensor:
        size = one.element_size()
        if self.offset % size or not one.is_contiguous() or one.is_sparse:
            return one
        room = torch.empty(one.numel() + 2 * LINE // size, dtype=one.dtype)
        start = ((self.offset - room.data_ptr()) % LINE) // size
        return room[start : start + one.numel()].view(one.shape).copy_(one)


def decided(options: dict[str, Any], items: int, votes: int) -> str:
    """A digest of the queries and beliefs of a study."""
    features = np.random.default_rng(1).standard_normal((items, 12))
    engine = Engine(features, seed=3, device="cpu", **options)
    said = []
    for n in range(votes):
        query = engine.ask()
        said.append(repr((query.a, query.b, query.score)))
        engine.tell(query.a, query.b, "ab"[n % 3 == 0], judge="ada")
    mean, sd = engine.utilities()
    return hashlib.sha256("".join(said).encode() + mean.tobytes() + sd.tobytes()).hexdigest()


def products() -> str:
    """A digest of what MKL computes from random matrices."""
    digest = hashlib.sha256()
    for kind in (torch.float32, torch.float64):
        for n in (7, 33, 100):
            chance = torch.Generator().manual_seed(n)
            a, b, v = (torch.randn(*size, generator=chance, dtype=kind) + 0 for size in ((n, n), (n, 5), (n,)))
            square = a @ a.T + n * torch.eye(n, dtype=kind)
            factor = torch.linalg.cholesky(square)
            solved = torch.linalg.solve_triangular(factor, b, upper=False)
            values, _ = torch.linalg.eigh(square)
            for made in (a @ v, v @ a, a @ b, torch.einsum("ij,jk,i->k", a, b, v), factor, solved, values):
                digest.update(made.contiguous().numpy().tobytes())
    return digest.hexdigest()


def results(compute: Callable[[], str]) -> int:
    """How many different ones there are."""
    found = set()
    for offset in OFFSETS:
        with Misplaced(offset):
            found.add(compute())
    return len(found)


def main() -> None:
    """Print them."""
    torch.set_num_threads(1)
    found = {"products": results(products)}
    for name, options in MODELS.items() if "--products" not in sys.argv else ():
        found[name] = results(partial(decided, options, 37, 6))
    print(json.dumps({"path": code_path_in_force(), "results": found}))


if __name__ == "__main__":
    main()
