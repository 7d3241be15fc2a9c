"""How likely each outcome is, given the difference of two utilities.

Choice with ties is Davidson's extension of Bradley-Terry: with x = u_a - u_b in logits,

    P(a), P(tie), P(b)  proportional to  exp(x/2), nu, exp(-x/2)          (Davidson 1970)

so that without ties P(a) = sigmoid(x). A stated strength s in 1, 2, 3 multiplies the choice's likelihood by an
adjacent-category logit model of s (Agresti 1992) in the difference seen from the chosen side. A small share of
votes is assumed to be slips, which bounds what one vote can do.
"""

from __future__ import annotations

import torch
from torch import Tensor

from elicit.types import STRENGTHS, Outcome

SLIP = 0.02
# Boundaries between slightly | clearly | far lie at differences of 1 and 3 logits; a person's own differ, so the slope
# is kept below one.
STRENGTH_SLOPE = 0.5
STRENGTH_CUTS = (1.0, 3.0)


def likelihood(outcome: Outcome, x: Tensor, nu: float) -> Tensor | None:
    """P(outcome | x), elementwise.

    x: differences u_a - u_b in logits, any shape; nu: Davidson's tie parameter, 0 or more.
    Returns a tensor of x's shape, or None where the outcome says nothing about the difference (a skip).
    """
    choice = outcome.choice
    if choice == "skip":
        return None
    if choice == "both_bad":
        choice = "tie"  # neither is better; how bad they are is not a statement about the difference
    weight = {"a": torch.sigmoid(x), "b": torch.sigmoid(-x), "tie": None}[choice]
    # P(tie) = nu / (exp(x/2) + exp(-x/2) + nu), written without overflow.
    half = torch.exp(-0.5 * x.abs())
    tie = nu * half / (1 + half * half + nu * half)
    share = nu / (2 + nu)
    value = tie if weight is None else (1 - tie) * weight
    slip = share if weight is None else (1 - share) / 2
    if outcome.strength is not None:
        value = value * strength_likelihood(outcome.strength, x if choice == "a" else -x)
        slip /= len(STRENGTHS)
    return (1 - SLIP) * value + SLIP * slip


def strength_likelihood(strength: int, x: Tensor) -> Tensor:
    """P(strength | chosen side, x), x: the chosen one's utility minus the other's, any shape; sums to 1 over 1..3."""
    first, second = STRENGTH_CUTS
    logits = torch.stack(
        [
            torch.zeros_like(x),
            STRENGTH_SLOPE * (x - first),
            STRENGTH_SLOPE * (2 * x - first - second),
        ]
    )
    return torch.softmax(logits, 0)[strength - 1]
