"""The engine process: hosts one study for one judge behind a pipe, as the log's only writer.

`python -m studies.local.voting_host STUDY JUDGE` answers what comes through its pipe (`adapters.rpc`). Screens talk to
it through `studies.local.client`, so that they start at once and never wait for torch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Set
from typing import Any, TypeVar

from adapters.files import images
from elicit.service.views import FIRST_PAGE, View
from elicit.service.voting import Answer, Ballot, PastVote, Progress, StudyCard, Turn, outcome_of, unacceptable_of
from elicit.types import BadInputError, Query
from studies.items.presentation import presented_pair
from studies.outlook import NONE_LEFT, progress
from studies.reporting import status
from studies.reporting.trace import trace_of
from studies.reporting.views import SCREEN_VIEWS, Curve, Viewer
from studies.study import Study

logger = logging.getLogger(__name__)
T = TypeVar("T")


class VotingHost:
    """`StudyService` over an open study, for one judge, who is a `studies.reporting.views.Viewer` of it."""

    def __init__(self, study: Study, judge: str) -> None:
        self.study, self.judge = study, judge

    async def card(self) -> StudyCard:
        spec = self.study.spec
        items, tuning = len(self.study.state.items), spec.tuning
        guarded = tuning is not None and tuning.safety is not None
        texts = (spec.title, spec.goal, spec.question, spec.guidelines, spec.reasons)
        return StudyCard(*texts, items, tuning is not None, guarded)

    async def turn(self) -> Turn:
        query = self.study.ask(self.judge)
        now = progress(self.study, self.judge)
        self.study.look_ahead(self.judge)
        return Turn(self._ballot(query, now.mine + 1) if query else None, now)

    async def vote(self, answer: Answer) -> Turn:
        question = self.study.state.asked.get(answer.query)
        if question is None:
            raise BadInputError(f"query {answer.query} was never asked in this study")
        outcome = outcome_of(answer, question.query.shown)
        self.study.tell(
            answer.query,
            outcome,
            self.judge,
            seconds=answer.seconds,
            reasons=answer.reasons,
            note=answer.note,
            unacceptable=unacceptable_of(answer, question.query.shown),
        )
        try:
            return await self.turn()
        except Exception as error:  # the vote is saved, and the voter must hear that and nothing else
            logger.exception("no next pair")
            why = f"your vote is saved, but there is no next pair ({error}); mend that and start again"
            votes = len(self.study.state.votes)
            return Turn(None, Progress(votes, votes, self.study.spec.votes, NONE_LEFT, True, why, why))

    async def undo(self) -> Turn | None:
        return await self.turn() if self.study.undo(self.judge) else None

    async def upcoming(self) -> tuple[Ballot, ...]:
        queries = await asyncio.to_thread(self.study.upcoming, self.judge)
        return tuple(self._ballot(query, 0) for query in queries)

    async def note(self, query: int, text: str) -> None:
        self.study.note(query, self.judge, text)

    async def history(self, limit: int = 200) -> tuple[PastVote, ...]:
        return tuple(status.past_votes(self.study, self.judge, undone=True)[::-1][:limit])

    async def show(self, view: View[Viewer, T]) -> T:
        return await view.compute(self, FIRST_PAGE)

    async def show_named(self, name: str) -> Any:
        """The same for the other end of the pipe."""
        return await self.show(SCREEN_VIEWS[name])

    async def curves(self) -> tuple[Curve, Curve]:
        """See `studies.reporting.views.Viewer`; as a replay of the votes has them."""
        study = self.study
        trace = await asyncio.to_thread(trace_of, study.spec, study.state, points=30, closely=False)
        p_best = [float(p[row]) for p, row in zip(trace.p_best, trace.best, strict=True)]
        return trace.per_vote(trace.expected), trace.per_vote(p_best)

    def hidden(self) -> Set[str]:
        """See `studies.reporting.views.Viewer`."""
        state = self.study.state
        if self.judge not in state.open:
            return frozenset()
        pair = state.asked[state.open[self.judge]].query.pair
        listed = {pair_id for pair_id, a, b in state.pairs if (min(a, b), max(a, b)) == pair}
        return listed | {state.items[row].id for row in pair}

    async def close(self) -> None:
        self.study.close()

    def _ballot(self, query: Query, number: int) -> Ballot:
        shown = presented_pair(self.study.state, query)
        rows = (query.a, query.b) if query.shown == "ab" else (query.b, query.a)
        left, right = (shown.a, shown.b) if query.shown == "ab" else (shown.b, shown.a)
        pictures = (str(images.stored_picture(self.study.folder, self.study.state.items[row]) or "") for row in rows)
        return Ballot(query.id, number, left, right, shown.context, *pictures)
