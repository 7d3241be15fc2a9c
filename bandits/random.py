"""Pairs uniformly at random: the baseline, and the only choice whose propensities need no model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from elicit.inference.posterior import Posterior
from elicit.selection import Candidates, Pick
from elicit.types import Vote

DENSE = 500
"""Above so many items pairs are drawn and checked one by one instead of listed."""


class RandomPairs:
    """Every admissible pair is equally likely."""

    def select(
        self, posterior: Posterior, votes: Sequence[Vote], candidates: Candidates, k: int, rng: np.random.Generator
    ) -> list[Pick]:
        n = candidates.n
        if candidates.pairs is None and n > DENSE:
            total = n * (n - 1) // 2 - len(candidates.avoid)
            chosen: list[tuple[int, int]] = []
            while len(chosen) < min(k, total):
                a, b = (int(x) for x in rng.integers(0, n, 2))
                pair = (min(a, b), max(a, b))
                if a != b and pair not in candidates.avoid and pair not in chosen:
                    chosen.append(pair)
            return [Pick(a, b, 0.0, 1 / total) for a, b in chosen]
        pairs = candidates.within(torch.arange(n))
        rows = rng.permutation(len(pairs))[:k]
        return [Pick(int(pairs[r, 0]), int(pairs[r, 1]), 0.0, 1 / len(pairs)) for r in rows]
