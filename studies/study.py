"""A study: a folder with a specification and a log, and the engine that both determine.

Record comes before update: a vote is in the log before the engine learns it, so a crash in between loses nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec

from adapters.files.formats import PairRow
from elicit.arithmetic import code_path_in_force
from elicit.log.events import (
    STOCK,
    AnyBody,
    Asked,
    Consulted,
    Deferred,
    Event,
    Handed,
    InputsAdded,
    ItemsAdded,
    Marked,
    Measured,
    Noted,
    Proposed,
    Responded,
    Resumed,
    Routed,
    Undone,
    Voted,
    Weighed,
)
from elicit.log.ledger import Ledger
from elicit.log.state import LiveVote, State
from elicit.tuning.protocol import Input
from elicit.types import CHOICES, BadInputError, ChoiceOutcome, Item, JudgeFailure, Outcome, Query, Side, Verdict, Vote
from studies.decisions import (
    WORKER,
    budget_spent,
    choose,
    constraints_on,
    engine_for,
    engine_vote,
    engine_votes,
    pairs_left,
    resumable,
    stop_of,
    sync_engine,
    why_over,
)
from studies.items.presentation import PresentedItems
from studies.lookahead import Branch, Lookahead
from studies.prompt_inputs import choose_inputs_for
from studies.spec import Spec
from studies.storage import folders, forgetting, kept_belief

if TYPE_CHECKING:
    from elicit.engine import Engine
    from elicit.routing.case import Decision
    from elicit.stopping import Stop

logger = logging.getLogger(__name__)
CLOSING, GOING_ON = 200, 5000
"""Votes learnt after which the belief is kept, when a study is closed and while it is open."""


class Study:
    """An open study. Methods may be called from several threads; one process writes at a time."""

    def __init__(self, folder: Path, ledger: Ledger, state: State, spec: Spec, writable: bool) -> None:
        self._writable = writable
        self._votes_stored = 0
        self.folder, self.spec, self.state = folder, spec, state
        self.shown = PresentedItems(state)
        self._ledger = ledger
        self._turn = threading.RLock()
        self._ahead = Lookahead()
        self._engine: Engine | None = None
        self._revised = self._grown = 0
        self._stop: tuple[tuple[int, int, int], Stop] | None = None

    # -- beginning and end ------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        items: Iterable[Item | str | Mapping[str, Any]] | None = None,
        pairs: Sequence[PairRow] | None = None,
        inputs: Sequence[Input] = (),
        **spec: Any,
    ) -> Self:
        """Make a study in a new folder and open it for writing.

        items: candidates, as `Item`, text or mapping with an item's fields; or pairs: pairs of responses to label.
        inputs: what prompts are tried on, where `tuning` is in the spec; items are the first prompts then, if any.
        spec: any field of `studies.spec.Spec` (goal, seed, votes, title, selector, ...).

        Raises BadInputError where the folder exists or the input cannot be used; nothing is left behind then.
        """
        folders.make(Path(path), items, pairs, inputs, spec)
        return cls.open(path)

    @classmethod
    def open(cls, path: str | Path, *, writable: bool = True, beside: bool = False) -> Self:
        """Open a study. An edited `study.toml` takes effect now; for reading, as far as it decides nothing. beside: to
        write beside the study's writer, by the specification that this one has.

        Raises BadInputError where there is no study, another process writes, or the edit is not possible.
        """
        return cls(Path(path), *folders.load(Path(path), writable, beside), writable)

    def close(self) -> None:
        """Stop looking ahead and let go of the log."""
        self._ahead.close()
        with self._turn:
            self._store_belief(CLOSING)
        self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def engine(self) -> Engine:
        """The engine, with every live vote learnt; made when it is first needed."""
        with self._turn:
            return self.catch_up()

    def catch_up(self, most: int | None = None) -> Engine:
        """The engine, after learning what it has not learnt yet, of up to `most` votes (None: all)."""
        with self._turn:
            if len(self.state.items) < 2 and self.spec.tuning is not None:
                raise BadInputError(
                    f"{self.folder} has {len(self.state.items)} of the two prompts that a comparison needs; "
                    f"they are made when you begin: elicit tune {self.folder}"
                )
            if self._engine is None or self._grown != self.state.grown:
                self._engine, self._revised, self._grown = engine_for(self.spec, self.state), 0, self.state.grown
                path = code_path_in_force() or "without MKL"
                logger.info("an engine for %d items on %s, code path %s", self._engine.n, self._engine.device, path)
                kept_belief.resume(self.folder, self._engine, self.spec, engine_votes(self.state))
                self._votes_stored = len(self._engine.votes)
            done, votes = len(self._engine.votes), len(self.state.votes)
            if self._revised != self.state.revised or done < votes:
                self._revised = sync_engine(self._engine, self.state, self._revised, most=most)
                self._store_belief(GOING_ON)
            return self._engine

    # -- the loop ---------------------------------------------------------------------------------------------

    def ask(self, judge: str = "", *, waiting: bool = True) -> Query | None:
        """The query this judge has to answer: the open one, one that waits for a person, or a new one; None where
        nothing is left to ask.

        Asking again without answering gives the same query, also after a restart. waiting: whether this judge is a
        person, to whom the router's queries may be given. Where prompts are tuned it raises as `asking.tried_on`
        does: `studies.tuning.tuner.Tuner` asks until there is a query.
        """
        with self._turn:
            if judge in self.state.open:
                return self.query(self.state.open[judge])
            if waiting and (number := self._next_waiting_query(judge)) is not None:
                self._append(Handed(number, judge))
                return self.query(number)
            if self.exhausted(judge, waiting=waiting):
                return None
            branch = self._ahead.current_branch(self._key(judge))
            query = branch.query if branch else choose(self.engine, constraints_on(self.state, judge))
            if query is None:
                return None
            if self.state.inputs:
                query = self.try_on(query)
            (event,) = self._append(Asked(query, judge, self.state.folded, seen=self.state.seq))
            return self.query(event.seq)

    def tell(
        self,
        query: Query | int,
        outcome: str | Outcome,
        judge: str = "",
        *,
        strength: int | None = None,
        seconds: float | None = None,
        reasons: Sequence[str] = (),
        note: str = "",
        raw: dict[str, Any] | None = None,
        verdict: Verdict | None = None,
        unacceptable: Sequence[Side] = (),
    ) -> None:
        """Record a judge's answer, on disk before this returns, and learn it. verdict: what a machine judge said;
        unacceptable: the sides that must not be.

        Raises BadInputError for an unknown query or outcome, or a query this judge has answered already.
        """
        with self._turn:
            if not isinstance(query, Query | int):
                raise BadInputError(f"a query is what 'ask' gave, or its id, not {query!r}")
            number = query if isinstance(query, int) else query.id
            if number not in self.state.asked:
                raise BadInputError(f"query {number} was never asked in this study; ask for one first")
            if any(live.query == number and live.vote.judge == judge for live in self.state.votes):
                raise BadInputError(
                    f"query {number} has been answered by {judge or 'this judge'}; undo that vote first"
                )
            answer = _outcome(outcome, strength)
            if seconds is not None and not (isinstance(seconds, int | float) and 0 <= seconds < float("inf")):
                raise BadInputError(f"seconds must be 0 or more, not {seconds!r}")
            if isinstance(reasons, str):
                raise BadInputError(f"reasons must be a list of texts, not the text {reasons!r}")
            key = self._key(judge)
            replies = [] if verdict is None else [Consulted(number, judge, verdict)]
            vote = Voted(number, answer, judge, seconds, tuple(reasons), note, raw, unacceptable=tuple(unacceptable))
            counts = (len(self.state.votes) + 1, self.state.revised)
            self._append(*replies, vote)
            alone = counts == (len(self.state.votes), self.state.revised)  # no other process wrote a vote in between
            if self._engine is None:
                return  # whoever asks for the engine next gets it with this vote
            branch = self._ahead.take(key, number, answer)
            if branch and alone and self._grown == self.state.grown:
                self._engine = branch.engine
                self._stop = ((self.state.folded, self.state.revised, self.state.grown), branch.stop)
                self._ahead.set_current(self._key(judge), branch)
            else:
                self.catch_up()

    def refresh(self) -> None:
        """Take in what another process of this study has written."""
        with self._turn:
            for event in self._ledger.read(self.state.seq):
                self.state.fold(event)

    def record(self, *bodies: InputsAdded | ItemsAdded | Marked | Measured | Proposed | Responded) -> None:
        """Record what happened to the pool: prompts and inputs that joined, responses, signals, marks."""
        with self._turn:
            self._append(*bodies)

    def try_on(self, query: Query) -> Query:
        """The query with the inputs to compare its prompts on; raises as `asking.tried_on` does."""
        with self._turn:
            assert self.spec.tuning is not None
            return choose_inputs_for(self.catch_up(), self.state, query, self.spec.tuning)

    def stock(self, queries: Sequence[Query], pool: str = "") -> None:
        """Keep queries ready, for whoever comes, that the engine as it is now has chosen."""
        with self._turn:
            learnt = len(self.catch_up(0).votes)
            behind = learnt < len(self.state.votes)
            folded = (self.state.votes[learnt - 1].seq if learnt else 0) if behind else self.state.folded
            wanted, event = self.spec.serving.overlap, self.state.seq
            self._append(*(Asked(query, STOCK, folded, wanted, event, len(queries), pool) for query in queries))

    def weigh(self, weighings: Sequence[Weighed]) -> None:
        """Record what annotators' votes count from here on, the earlier ones too."""
        with self._turn:
            if weighings:
                self._append(*weighings)

    def consulted(
        self,
        query: Query,
        judge: str,
        reply: Verdict | JudgeFailure | None,
        reason: str = "",
        numbers: Mapping[str, float] | None = None,
    ) -> None:
        """Record what a machine judge said of a query, why it could not, or (None) that it passed. Not a vote."""
        asked_for = (reason, dict(numbers or {}))
        if isinstance(reply, JudgeFailure):
            logger.warning("judge %s failed on query %d: %s", judge, query.id, reply.why)
            body = Consulted(query.id, judge, None, reply.why, *asked_for, reply.cost, reply.calls)
        else:
            body = Consulted(query.id, judge, reply, "", *asked_for)
        with self._turn:
            self._append(body)

    def defer(self, query: Query) -> None:
        """Record that no machine judge could answer a query: whoever holds it holds it no more, and it is resumed
        later."""
        with self._turn:
            holder = next(judge for judge, number in self.state.open.items() if number == query.id)
            self._append(Deferred(query.id, holder))

    def resume(self, number: int, judge: str) -> Query | None:
        """A query that machine judges failed on, with a machine judge again; None where it is answered meanwhile, or
        with a person, or the votes are spent."""
        with self._turn:
            spent = number in self.state.deferred and self.votes_spent(judge)  # what waits for people has its vote
            if spent or number not in resumable(self.spec, self.state):
                return None
            self._append(Resumed(number, judge))
            return self.query(number)

    def route(self, query: Query, to: Literal["people", "nobody"], decision: Decision, *more: Voted | Routed) -> None:
        """Record where the router sent a query; with people, it waits for as many of them as are to answer it. more:
        what follows at once, so that no crash comes in between: a vote, the lot for an audit."""
        with self._turn:
            wanted = self.spec.serving.overlap if to == "people" else 1
            sent = Routed(query.id, to, decision.propensity, dict(decision.numbers), decision.reason, wanted)
            self._append(sent, *more)
            if self._engine is not None:
                self.catch_up()

    def undo(self, judge: str = "") -> LiveVote | None:
        """Take back this judge's newest live vote, which is returned; its query is open again. None: there is none."""
        with self._turn:
            index = next(
                (i for i in reversed(range(len(self.state.votes))) if self.state.votes[i].vote.judge == judge), None
            )
            if index is None:
                return None
            live, _ = self.state.votes[index], self.engine
            self._append(Undone(live.seq, judge))
            self.catch_up()
            return live

    def note(self, query: int, judge: str, text: str) -> None:
        """Attach a note to a query that was asked."""
        with self._turn:
            if query not in self.state.asked:
                raise BadInputError(f"query {query} was never asked in this study")
            self._append(Noted(query, judge, text))

    def look_ahead(self, judge: str = "") -> None:
        """Start computing, beside everything else, what follows each answer this judge could give now."""
        with self._turn:
            if judge in self.state.open:
                number = self.state.open[judge]
                query, weight = self.state.asked[number].query, self.state.weight(judge)
                engine, following = self.engine.fork(), constraints_on(self.state, judge, number)

                def branch(outcome: Outcome) -> Branch:  # in another thread, while the state goes on
                    after = engine.fork()
                    after.learn([engine_vote(Vote(query.a, query.b, outcome, judge, inputs=query.inputs), weight)])
                    return Branch(after, choose(after, following), stop_of(after, self.spec))

                self._ahead.start(self._key(judge), number, branch)

    def upcoming(self, judge: str, timeout: float = 5.0) -> list[Query]:
        """The distinct queries that may follow the open one, as far as they are known within `timeout` seconds."""
        branches = self._ahead.finished_branches(self._key(judge), timeout)
        return list({(*b.query.pair, b.query.shown): b.query for b in branches if b.query}.values())

    # -- reading ----------------------------------------------------------------------------------------------

    def best(self) -> Item | None:
        """The recommended item; None where prompts are tuned under a limit that none is known to keep to."""
        from studies.recommendation import recommend

        row = recommend(self.engine, self.spec, self.state)
        return None if row is None else self.state.items[row]

    def stop(self) -> Stop:
        """Whether the stop rule is met now."""
        with self._turn:
            state = self.state
            at = (state.folded, state.revised, state.grown)
            if self._stop is None or self._stop[0] != at:
                self._stop = (at, stop_of(self.engine, self.spec))
            stop = self._stop[1]
            if self.spec.tuning is None or self.spec.tuning.safety is None:
                return stop
            from studies.recommendation import guard_stop

            return guard_stop(self.engine, self.spec, self.state, stop)

    def exhausted(self, judge: str, *, waiting: bool = True) -> str:
        """Why this judge is asked nothing more, or an empty string; waiting: as in `ask`."""
        spec, state = self.spec, self.state
        if judge in state.open or (waiting and self._next_waiting_query(judge) is not None):
            return ""
        if why := self.votes_spent(judge):
            return why
        if pairs_left(state, judge):
            return ""
        if why := why_over(spec, state):
            return why
        if state.pairs:
            return "every pair is answered, skipped by you or with another judge"
        return "every pair that is left is with another judge"

    def votes_spent(self, judge: str) -> str:
        """That there are as many votes as there are to be, in a sentence, or an empty string; for the router's lanes,
        those under way among them."""
        votes, under_way = len(self.state.votes), 0
        if judge.startswith(WORKER):
            others = sum(q not in self.state.routed for holder, q in self.state.open.items() if holder != judge)
            under_way = self.state.to_come(audits=False) + others
        if votes + under_way < self.spec.votes:
            return ""
        return budget_spent(self.spec, "" if votes >= self.spec.votes else ", those under way among them")

    def backup(self, path: str | Path) -> None:
        """Copy the study, also while it is in use, into a new folder.

        Raises BadInputError where that folder exists or cannot be written; nothing is left behind then.
        """
        folders.copy(self.folder, self._ledger, Path(path))

    def forget(self, judge: str) -> str:
        """Remove a judge's identity and notes; the votes stay under the pseudonym that is returned."""
        with self._turn:
            pseudonym = forgetting.forget(self.folder, self._ledger, judge)
            self.state = State()
            for event in self._ledger.read():
                self.state.fold(event)
            self.shown = PresentedItems(self.state)
            self._engine, self._stop = None, None  # they know the judge by its name
            return pseudonym

    def check(self) -> None:
        """Read all of the log that is stored. Raises BadInputError where it is damaged."""
        self._ledger.check()

    def events(self, since: int = 0) -> Iterable[Event]:
        """The log after event `since`, in order."""
        return self._ledger.read(since)

    # -- inside -----------------------------------------------------------------------------------------------

    def _store_belief(self, votes: int) -> None:
        """Keep the belief where it has learnt so many votes since it was kept last."""
        if self._writable and self._engine is not None and len(self._engine.votes) >= self._votes_stored + votes:
            kept_belief.keep(self.folder, self._engine, self.spec)
            self._votes_stored = len(self._engine.votes)

    def _append(self, *bodies: AnyBody) -> list[Event]:
        appended = events = self._ledger.append(bodies)
        if events[0].seq != self.state.seq + 1:  # another process of this study wrote in between
            events = list(self._ledger.read(self.state.seq))
        for event in events:
            self.state.fold(event)
        return appended

    def query(self, number: int) -> Query:
        """The query of that id. Raises KeyError where there is none."""
        return msgspec.structs.replace(self.state.asked[number].query, id=number)

    def _next_waiting_query(self, judge: str) -> int | None:
        """The first query that waits for a person and that this one has not had."""
        return next((number for number in self.state.waiting if judge not in self.state.taken.get(number, ())), None)

    def _key(self, judge: str) -> tuple[object, ...]:
        """What a computation made ahead depends on besides the answer: it holds only while this is unchanged."""
        state = self.state
        elsewhere = (tuple(state.pending_pairs(judge)), tuple(state.deferred.items()), tuple(state.routed))
        return (judge, state.folded, state.revised, state.grown, *elsewhere)


def _outcome(outcome: str | Outcome, strength: int | None) -> Outcome:
    if not isinstance(outcome, str):
        return outcome
    try:
        return msgspec.convert({"type": "choice", "choice": outcome, "strength": strength}, ChoiceOutcome)
    except msgspec.ValidationError:
        raise BadInputError(
            f"({outcome!r}, strength {strength!r}) is not an outcome; say one of {', '.join(CHOICES)}, "
            "and strength 1, 2 or 3 only with a or b"
        ) from None
