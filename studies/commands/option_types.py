"""Numbers as options of commands take them: none that no computer can hold, and none that is not a number."""

from __future__ import annotations

import math
from typing import Any

import click

MOST = 1_000_000_000
"""Of anything that can be counted: more of it neither fits a memory nor ends."""
SEED = 2**63 - 1
"""The largest seed: a specification keeps it as a signed integer of 64 bits."""


class IntegerRange(click.IntRange):
    """A whole number from `min` to `max`, both among them."""

    def __init__(self, min: int | None = None, max: int = MOST) -> None:  # noqa: A002  (as click names them)
        super().__init__(min=min, max=max)


class Real(click.FloatRange):
    """A finite number from `min` to `max`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number
