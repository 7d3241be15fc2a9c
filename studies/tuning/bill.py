"""What a study that tunes prompts has taken so far, of everybody it asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from adapters.llm.calls import spent_in
from studies.routing.costs import spent_on_machines

if TYPE_CHECKING:
    from studies.study import Study


class Bill(msgspec.Struct, frozen=True):
    """Calls of the target, the writer and the judges that give signals; calls of the judges that vote; money of all
    together, in the unit of the prices, and the part of the judges that vote."""

    calls: int
    judge_calls: int
    cost: float
    judge_cost: float


def bill_of(study: Study) -> Bill:
    """The bill of an open study. The book of calls also knows those that brought nothing, and what an interrupt kept
    from being used; the log knows what was paid before the book was lost."""
    judge_calls = sum(
        reply.calls + (reply.verdict.calls - reply.verdict.cached if reply.verdict else 0)
        for several in study.state.consulted.values()
        for reply in several
    )
    judge_cost = spent_on_machines(study)
    cost = max(study.state.cost + judge_cost, spent_in(study.folder))
    return Bill(study.state.calls, judge_calls, cost, judge_cost)
