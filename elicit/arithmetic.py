"""How torch adds up: by one code path, and with how many threads. Both decide the last bits of a number, and with them
which of two queries that are equally good is asked.

Left alone, MKL, by which torch computes on x86, picks a path by where in memory the numbers happen to lie, on
processors without Intel's AVX2 at least. Fixed, it reproduces its results wherever they lie. Source: Intel oneMKL
Developer Guide, "Obtaining Numerically Reproducible Results".
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "MKL_CBWR"
CODE_PATH = "AVX2,STRICT"
"""Where a processor lacks it, MKL takes the fixed path that it has in its place (AUTO,STRICT)."""
MANY_ITEMS = 20_000
"""Below, matrices lose more to threads that wait for each other than they gain."""
_STRICT = 1 << 16
_BRANCHES = {
    1: "OFF",
    2: "AUTO",
    3: "COMPATIBLE",
    4: "SSE2",
    6: "SSSE3",
    7: "SSE4_1",
    8: "SSE4_2",
    9: "AVX",
    10: "AVX2",
    11: "AVX512_MIC",
    12: "AVX512",
    13: "AVX512_MIC_E1",
    14: "AVX512_E1",
}


def fix_code_path() -> None:
    """Ask MKL for the fixed path, unless the environment names another; it must come before torch's first product."""
    os.environ.setdefault(VARIABLE, CODE_PATH)


def requested_code_path() -> str:
    """The path that was asked for, by us or by whoever set the variable."""
    return os.environ.get(VARIABLE, "")


def code_path_in_force() -> str:
    """The path that MKL takes, as the variable would name it; "" where torch computes without MKL."""
    import torch

    for library in (Path(torch.__file__).parent / "lib").glob("*torch_cpu.*"):
        try:
            value = int(ctypes.CDLL(str(library)).mkl_serv_cbwr_get(-1))
        except (OSError, AttributeError):
            continue
        branch = _BRANCHES.get(value & ~_STRICT, str(value & ~_STRICT))
        return f"{branch},STRICT" if value & _STRICT else branch
    return ""


@contextmanager
def limited_threads(n_items: int) -> Iterator[None]:
    """Compute with one thread where there are few items, so that sums are in the same order whatever the machine's
    number of cores; the calling thread's setting is as it was afterwards."""
    import torch

    before = torch.get_num_threads()
    if before == 1 or n_items >= MANY_ITEMS:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
