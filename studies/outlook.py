"""Whether to go on with a study, why, and how many votes are left: the one definition that every place shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from elicit.service.voting import Progress
from studies.decisions import votes_to_come, why_over

if TYPE_CHECKING:
    from elicit.stopping import Stop
    from studies.study import Study

NONE_LEFT = (0, 0, 0)


class Outlook(NamedTuple):
    """Where a study stands before its end.

    met: the stop rule is met. ended: why nothing more can be asked although it is not; empty where something can.
    why: one sentence that goes with both. votes_left: votes until the stop rule is met or nothing more can be asked,
    low, middle and high end of an 80 % interval; None: not known before the first vote; zeros exactly where `stop`.
    """

    met: bool
    ended: str
    why: str
    votes_left: tuple[int, int, int] | None

    @property
    def stop(self) -> bool:
        """Whether no more votes are to be asked for."""
        return self.met or bool(self.ended)


def outlook(study: Study, judge: str | None = None) -> Outlook:
    """Where the study stands; judge: as this judge sees it, who may have nothing left to do while others have."""
    spec, state = study.spec, study.state
    ended = why_over(spec, state) if judge is None else study.exhausted(judge)
    return outlook_by(study.stop(), ended, votes_to_come(spec, state))


def outlook_by(rule: Stop, ended: str, to_come: int) -> Outlook:
    """The outlook by a stop rule. ended: why nothing more can be asked, or empty; to_come: votes at the most."""
    if rule.stop:
        return Outlook(True, "", rule.why, NONE_LEFT)
    if ended:
        return Outlook(False, ended, ended, NONE_LEFT)
    if rule.votes_left is None:
        return Outlook(False, "", rule.why, None)
    low, high = rule.votes_left
    ends = (low, round((low * high) ** 0.5), high)  # the forecast is a factor either way of its middle
    return Outlook(False, "", rule.why, tuple(max(1, min(votes, to_come)) for votes in ends))  # type: ignore[arg-type]


def progress(study: Study, judge: str | None = None) -> Progress:
    """What a voter's header shows; judge None: of the study as such, for whoever runs it."""
    forecast, state = outlook(study, judge), study.state
    mine = sum(live.vote.judge == judge for live in state.votes)
    return Progress(
        len(state.votes), mine, study.spec.votes, forecast.votes_left, forecast.stop, forecast.why, forecast.ended
    )


def without_more(progress: Progress, why: str) -> Progress:
    """The progress of a voter who can be given nothing more, although the stop rule may not be met."""
    if progress.stop:
        return progress
    return msgspec.structs.replace(progress, left=NONE_LEFT, stop=True, why=why, ended=why)
