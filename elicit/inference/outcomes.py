"""How likely each outcome is, given the difference of two utilities.

Choice with ties is Davidson's extension of Bradley-Terry: with x = u_a - u_b in logits,

    P(a), P(tie), P(b)  proportional to  exp(x/2), nu, exp(-x/2)          (Davidson 1970)

so that without ties P(a) = sigmoid(x). A stated strength s in 1, 2, 3 multiplies the choice's likelihood by an
adjacent-category logit model of s (Agresti 1992) in the difference seen from the chosen side. A small share of
votes is assumed to be slips, which bounds what one vote can do. "Both bad" says that the mean utility of the two lies
below a bar.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from elicit.inference.noise import Noise
from elicit.types import STRENGTHS, Outcome

# Boundaries between slightly | clearly | far lie at differences of 1 and 3 logits; a person's own differ, so the slope
# is kept below one.
STRENGTH_SLOPE = 0.5
STRENGTH_CUTS = (1.0, 3.0)


def likelihood(outcome: Outcome, x: Tensor, noise: Noise) -> Tensor:
    """P(outcome | x) of a vote that is no slip, elementwise.

    x: of any shape, in logits: the difference u_a - u_b; for "both_bad" the mean of u_a and u_b over the pool's mean.
    Returns a tensor of x's shape; a skip says nothing, so its likelihood is 1.
    """
    choice = outcome.choice
    if choice == "skip":
        return torch.ones_like(x)
    if choice == "both_bad":
        return torch.sigmoid(noise.bar - x) ** 2
    # P(tie) = nu / (exp(x/2) + exp(-x/2) + nu), written without overflow.
    half = torch.exp(-0.5 * x.abs())
    tie = noise.nu * half / (1 + half * half + noise.nu * half)
    if choice == "tie":
        return tie
    sign = 1 if choice == "a" else -1
    value = (1 - tie) * torch.sigmoid(sign * x)
    return value if outcome.strength is None else value * strength_likelihood(outcome.strength, sign * x)


def chance(outcome: Outcome, noise: Noise) -> float:
    """P(outcome) of a vote that is a slip: what two equal, average items would get."""
    choice = outcome.choice
    if choice == "skip":
        return 1.0
    if choice == "both_bad":
        return 1 / (1 + math.exp(-noise.bar)) ** 2
    share = noise.nu / (2 + noise.nu)
    if choice == "tie":
        return share
    return (1 - share) / 2 / (1 if outcome.strength is None else len(STRENGTHS))


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
