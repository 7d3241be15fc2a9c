"""Whether to go on with a study, why, and how many votes are left: the one definition that every place shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from elicit.service.voting import Progress
from studies.decisions import labelled, pairs_left

if TYPE_CHECKING:
    from elicit.log.state import State
    from elicit.stopping import Stop
    from studies.spec import Spec
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
    ended = over(spec, state) if judge is None else study.exhausted(judge)
    return judged(study.stop(), ended, votes_to_come(spec, state))


def judged(rule: Stop, ended: str, to_come: int) -> Outlook:
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
    found, state = outlook(study, judge), study.state
    mine = sum(live.vote.judge == judge for live in state.votes)
    return Progress(len(state.votes), mine, study.spec.votes, found.votes_left, found.stop, found.why, found.ended)


def without_more(progress: Progress, why: str) -> Progress:
    """The progress of a voter who can be given nothing more, although the stop rule may not be met."""
    if progress.stop:
        return progress
    return msgspec.structs.replace(progress, left=NONE_LEFT, stop=True, why=why, ended=why)


def over(spec: Spec, state: State) -> str:
    """Why nobody can be asked anything more, or an empty string."""
    if votes_to_come(spec, state):
        return ""
    if len(state.votes) >= spec.votes:
        return budget_spent(spec)
    if state.pairs:
        return "every pair is answered"
    if len(state.live()) < 2:
        return "fewer than two items are left to compare"
    return "every pair of prompts was compared on every input that it can be compared on"


def votes_to_come(spec: Spec, state: State) -> int:
    """How many votes may come at the most: what waits for people, and what the budget and the pairs allow."""
    waiting = sum(map(state.lacking, state.waiting))
    budget = max(0, spec.votes - len(state.votes) - waiting)
    lent = sum(state.leases[lease].query in state.routed for leases in state.held.values() for lease in leases)
    promised = lent + sum(state.stock.values())
    if state.pairs:
        with_others = {state.asked[number].query.pair for number in state.under_way()}
        fresh = state.listed() - labelled(state) - with_others
        again = sum(state.asked[number].query.pair not in fresh for number in state.open.values())
        return waiting + min(budget, promised + again + spec.serving.overlap * len(fresh))
    return waiting + (budget if promised or state.open or pairs_left(state, "") else 0)


def budget_spent(spec: Spec, how: str = "") -> str:
    """That the votes are spent, and what to do."""
    return f"the budget of {spec.votes} votes is spent{how}; raise `votes` in study.toml to go on"
