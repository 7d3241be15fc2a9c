"""Counter-based random streams: a stream is a function of (seed, purpose, number) and of nothing else.

No generator state is stored anywhere, so a decision can be recomputed years later, or ahead of time, without
replaying what came before it. Philox is the counter-based generator of Salmon et al. (2011).
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, purpose: str, number: int = 0) -> np.random.Generator:
    """The random generator for one purpose and one decision number."""
    digest = hashlib.blake2b(f"{seed}/{purpose}/{number}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
