"""A voter's time: active seconds, pace and what is left, from a clock that stops when nobody is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import fmean

from elicit.service.voting import Progress

LONGEST_GAP = 60.0
"""Seconds: a longer pause between two keys counts as this much."""
GUARD = 0.25
"""Seconds after a pair is painted in which a vote is taken for a slip of the finger."""

FEWEST, FEW = 3, 10
"""Votes from which on a pace is told, and from which on that of this session alone."""


class VotingPace:
    """Counts active seconds for the ballot on the screen, and keeps those of the votes.

    `now` is the clock, in seconds. `earlier_seconds` are those of this person's earlier votes.
    """

    def __init__(self, now: Callable[[], float], earlier_seconds: Iterable[float] = ()) -> None:
        self._now = now
        self._last = now()
        self._painted = self._last
        self._ballot = 0.0
        self._votes: list[float] = []
        self._earlier_seconds = list(earlier_seconds)

    def touch(self) -> None:
        """A sign of life: the time since the last one counts, up to the longest gap."""
        now = self._now()
        gap = min(max(now - self._last, 0.0), LONGEST_GAP)
        self._last = now
        self._ballot += gap

    def painted(self, again: bool = False) -> None:
        """A pair has come on the screen; `again`: the same one, from behind something else."""
        self._painted = self._now()
        if not again:
            # The wait for the pair was not the voter's.
            self._last = self._painted
            self._ballot = 0.0

    @property
    def too_soon(self) -> bool:
        """Whether the pair has only just come on the screen."""
        return self._now() - self._painted < GUARD

    @property
    def seconds(self) -> float:
        """Active seconds spent on this ballot up to the last sign of life."""
        return self._ballot

    @property
    def count(self) -> int:
        """Votes in this session, those taken back aside."""
        return len(self._votes)

    def voted(self, seconds: float) -> None:
        """A vote was given."""
        self._votes.append(seconds)

    def took_back(self) -> None:
        """The last vote was taken back."""
        if self._votes:
            self._votes.pop()

    def remember(self, seconds: Iterable[float]) -> None:
        """Seconds of earlier sessions' votes, for the estimate alone."""
        self._earlier_seconds = list(seconds)

    @property
    def each(self) -> float | None:
        """This person's mean active seconds for a vote, of this session once it has a few; None before the third vote.

        The mean and not the median: what is left takes so many times as long.
        """
        times = self._votes if len(self._votes) >= FEW else self._earlier_seconds + self._votes
        return fmean(times) if len(times) >= FEWEST else None

    @property
    def per_minute(self) -> float | None:
        """Votes a minute, by `each`."""
        return 60 / self.each if self.each else None

    def to_go(self, progress: Progress) -> str:
        """How much more there is, in words: "about 16 more votes (9–25), 3–8 min"."""
        if progress.ended:
            return "nothing more to vote on"
        if progress.stop:
            return "enough votes"
        if progress.left is None:
            return "learning how long this takes"
        low, middle, high = progress.left
        votes = f"{middle} more {'vote' if middle == 1 else 'votes'}"
        votes = votes if low == high else f"about {votes} ({low}–{high})"
        return votes if self.each is None else f"{votes}, {_duration(low * self.each, high * self.each)}"


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}–{high}" if low else f"up to {high}"


def _duration(low: float, high: float) -> str:
    """A range of seconds in words, in the unit that fits its upper end."""
    if high < 45:
        return "under 1 min"
    if high < 90 * 60:
        return f"{_range(round(low / 60), max(1, round(high / 60)))} min"
    return f"{_range(round(low / 3600), max(1, round(high / 3600)))} h"
