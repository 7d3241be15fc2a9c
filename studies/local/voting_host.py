"""The engine process: hosts one study for one judge behind a pipe, as the log's only writer.

`python -m studies.local.voting_host STUDY JUDGE` answers what comes through its pipe (`adapters.rpc`). Screens talk to
it through `studies.local.client`, so that they start at once and never wait for torch.
"""

from __future__ import annotations

import asyncio
import logging

from adapters.files import images
from elicit.service.voting import (
    Answer,
    Ballot,
    Overview,
    PastVote,
    Progress,
    RoutingView,
    StudyCard,
    Turn,
    outcome_of,
    unacceptable_of,
)
from elicit.types import BadInputError, Query
from studies.items.presentation import presented_pair
from studies.outlook import NONE_LEFT, progress
from studies.reporting import status
from studies.reporting.routing_view import routing_view
from studies.reporting.trace import trace_of
from studies.study import Study

logger = logging.getLogger(__name__)


class VotingHost:
    """`StudyService` over an open study, for one judge."""

    def __init__(self, study: Study, judge: str) -> None:
        self._study, self._judge = study, judge

    async def card(self) -> StudyCard:
        spec = self._study.spec
        items, tuning = len(self._study.state.items), spec.tuning
        guarded = tuning is not None and tuning.safety is not None
        texts = (spec.title, spec.goal, spec.question, spec.guidelines, spec.reasons)
        return StudyCard(*texts, items, tuning is not None, guarded)

    async def turn(self) -> Turn:
        query = self._study.ask(self._judge)
        now = progress(self._study, self._judge)
        self._study.look_ahead(self._judge)
        return Turn(self._ballot(query, now.mine + 1) if query else None, now)

    async def vote(self, answer: Answer) -> Turn:
        question = self._study.state.asked.get(answer.query)
        if question is None:
            raise BadInputError(f"query {answer.query} was never asked in this study")
        outcome = outcome_of(answer, question.query.shown)
        self._study.tell(
            answer.query,
            outcome,
            self._judge,
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
            votes = len(self._study.state.votes)
            return Turn(None, Progress(votes, votes, self._study.spec.votes, NONE_LEFT, True, why, why))

    async def undo(self) -> Turn | None:
        return await self.turn() if self._study.undo(self._judge) else None

    async def upcoming(self) -> tuple[Ballot, ...]:
        queries = await asyncio.to_thread(self._study.upcoming, self._judge)
        return tuple(self._ballot(query, 0) for query in queries)

    async def note(self, query: int, text: str) -> None:
        self._study.note(query, self._judge, text)

    async def history(self, limit: int = 200) -> tuple[PastVote, ...]:
        return tuple(status.past_votes(self._study, self._judge, undone=True)[::-1][:limit])

    async def overview(self) -> Overview:
        study = self._study
        trace = await asyncio.to_thread(trace_of, study.spec, study.state, points=30, closely=False)
        regret = trace.per_vote(trace.expected)
        p_best = trace.per_vote([float(p[row]) for p, row in zip(trace.p_best, trace.best, strict=True)])
        now = progress(study, self._judge)
        return status.summarize(study).overview(now, regret, p_best, self._on_screen())

    def _on_screen(self) -> set[str]:
        """Ids of the items and the listed pair that this judge is shown: they are judged blind."""
        state = self._study.state
        if self._judge not in state.open:
            return set()
        pair = state.asked[state.open[self._judge]].query.pair
        listed = {pair_id for pair_id, a, b in state.pairs if (min(a, b), max(a, b)) == pair}
        return listed | {state.items[row].id for row in pair}

    async def routing(self) -> RoutingView | None:
        return routing_view(self._study)

    async def close(self) -> None:
        self._study.close()

    def _ballot(self, query: Query, number: int) -> Ballot:
        shown = presented_pair(self._study.state, query)
        rows = (query.a, query.b) if query.shown == "ab" else (query.b, query.a)
        left, right = (shown.a, shown.b) if query.shown == "ab" else (shown.b, shown.a)
        pictures = (str(images.stored_picture(self._study.folder, self._study.state.items[row]) or "") for row in rows)
        return Ballot(query.id, number, left, right, shown.context, *pictures)
