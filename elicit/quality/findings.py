"""What one check says of one annotator, whichever check it is."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """What one check says of one annotator.

    value: the share that the check is about, with its 95 % interval low to high, among so many votes. flag: whether the
    check's rule was broken. weight: what the annotator's votes should count for by it, 1, 0.5, or 0 for quarantine;
    no vote is ever deleted. why: one sentence for whoever runs the study.
    """

    judge: str
    check: str
    value: float
    low: float
    high: float
    votes: int
    flag: bool
    weight: float
    why: str
