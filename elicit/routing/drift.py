"""An alarm on the audits of accepted labels that may be read after every audit, for ever.

Each audit is a fair or losing bet as long as labels are wrong with probability alpha or less given all that came
before: the stake is multiplied by 1 + bet (wrong - alpha), whose mean is then at most 1 (Waudby-Smith and Ramdas
2024, Journal of the Royal Statistical Society B 86). Stakes placed at several times, with several bets, add up to one:

- the alarm shares a capital of 1 among all starting times, so that it may exceed 1 / delta with probability delta or
  less over the whole stream (Ville 1939);
- the warning stakes a fresh 1 at every start, as Shiryaev and Roberts do, so that the time to a false one is
  `run_length` audits or more in the mean (e-detectors: Shin, Ramdas and Rinaldo 2024). Over a long stream it will be
  false one day, and late in a stream it is two to six times as fast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from elicit.types import BadInputError

Floats = NDArray[np.floating[Any]]

ODDS = (1.7, 2.5)
"""The bets are best where the odds of a wrong label have grown to so many times those of alpha."""

EVERY = 25
"""Audits from one start to the next: fewer starts leave each more of the capital, and one that comes half a block late
loses less than that."""

LARGEST = 1e200
"""Stakes stop growing here, far above any threshold, before they would overflow."""


@dataclass(frozen=True)
class Drift:
    """Where the stakes stand after `audits` audits, `wrong` of them (a sum of losses) wrong.

    capital, detector: per bet, what the shared capital and the fresh stakes have become. warned, alarmed: after how
    many audits the warning and the alarm first went off; None while they have not. They stay on.
    """

    alpha: float
    delta: float
    run_length: float
    audits: int
    wrong: float
    capital: tuple[float, ...]
    detector: tuple[float, ...]
    warned: int | None
    alarmed: int | None

    @property
    def e_value(self) -> float:
        """The evidence that more than alpha are wrong: 1 / delta or more once, ever, has probability delta or less."""
        return sum(self.capital) + _remaining_capital(math.ceil(self.audits / EVERY))

    def after(self, wrong: ArrayLike) -> Drift:
        """The state after further audits (n,), in their order: whether each label was wrong, or a loss from 0 to 1.

        Raises BadInputError.
        """
        losses = np.atleast_1d(np.asarray(wrong, float))
        if losses.ndim != 1 or not ((losses >= 0) & (losses <= 1)).all():
            raise BadInputError("an audit is neither right nor wrong; give false or true, or a loss from 0 to 1, each")
        bets, state = _bets(self.alpha), self
        for loss in losses.tolist():
            state = state._after_loss(loss, bets)
        return state

    def _after_loss(self, loss: float, bets: Floats) -> Drift:
        capital, detector = np.array(self.capital), np.array(self.detector)
        if self.audits % EVERY == 0:
            start = self.audits // EVERY
            capital += (_remaining_capital(start) - _remaining_capital(start + 1)) / len(bets)
            detector += 1 / len(bets)
        factor, audits = 1 + bets * (loss - self.alpha), self.audits + 1
        capital, detector = np.minimum(capital * factor, LARGEST), np.minimum(detector * factor, LARGEST)
        after = replace(
            self,
            audits=audits,
            wrong=self.wrong + loss,
            capital=tuple(capital.tolist()),
            detector=tuple(detector.tolist()),
        )
        # Under the null the detector's mean is at most the number of starts, 1 + audits / EVERY, also when it stops.
        warns = self.warned is None and detector.sum() >= 1 + self.run_length / EVERY
        alarms = self.alarmed is None and after.e_value >= 1 / self.delta
        return replace(after, warned=audits if warns else self.warned, alarmed=audits if alarms else self.alarmed)


def watch(alpha: float, *, delta: float, run_length: float = 1000) -> Drift:
    """The state before the first audit of labels that should be wrong with probability alpha or less.

    delta: the probability of a false alarm, ever. run_length: audits until a false warning, in the mean at least.
    Raises BadInputError.
    """
    for name, value in (("alpha", alpha), ("delta", delta)):
        if not 0 < value < 1:
            raise BadInputError(f"{name} is {value}; give a probability above 0 and below 1")
    if not run_length >= EVERY:
        raise BadInputError(f"run_length is {run_length}; give {EVERY} audits or more until a false warning")
    nothing = (0.0,) * len(ODDS)
    return Drift(alpha, delta, run_length, 0, 0.0, nothing, nothing, None, None)


def _bets(alpha: float) -> Floats:
    """(G,) the bets under which the stake is the likelihood ratio of the shifted odds to alpha."""
    odds = np.array(ODDS) * alpha / (1 - alpha)
    return np.asarray((odds / (1 + odds) - alpha) / (alpha * (1 - alpha)))


def _remaining_capital(starts: int) -> float:
    """The capital left after so many starts: half goes to the first, and the rest lasts for ever."""
    return 1 / (1 + math.log2(1 + starts))
