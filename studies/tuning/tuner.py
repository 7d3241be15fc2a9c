"""The loop around a study that tunes prompts: responses are made when a query needs them, and the pool grows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from adapters.llm.target import DownError, EndpointTarget, FunctionTarget, SpentError, Target
from elicit.log.events import Marked, Measured, Proposed, Responded
from elicit.plugins import registry
from elicit.randomness import stream
from elicit.routing.case import verdict_of
from elicit.routing.judging import Judge, ModelJudge
from elicit.stats import sigmoid
from elicit.tuning.placeholders import checked_prompt
from elicit.tuning.protocol import SEED, Proposal, Proposer, Response, fill
from elicit.types import BadInputError, JudgeFailure, Query
from studies.prompt_inputs import JUDGE, AlikeError, MissingError, signals_of
from studies.tuning import pool
from studies.tuning.admission import admissible
from studies.tuning.allocation import allot
from studies.tuning.pool import idle_proposers
from studies.tuning_spec import ModelSpec

if TYPE_CHECKING:
    from studies.study import Study

AMPLE = 4
"""Proposals asked for, for each that is to join, where they cost nothing."""
PREFETCHED = 2
"""Queries that may come next whose responses are made ahead; those of one that does not come are seldom for nothing."""
PROOF = 8
"""Responses that have all failed, after which something is wrong that no vote mends."""

ReportMaking = Callable[[str, int, int], None]
"""Called with what is being done, how much of it, and of how much."""


class Tuner:
    """Tunes the prompts of an open study. Begin it before use, and end it. target: in place of the study's."""

    def __init__(self, study: Study, report: ReportMaking = lambda *_: None, target: Target | None = None) -> None:
        assert study.spec.tuning is not None
        self.study, self.tuning, self._report = study, study.spec.tuning, report
        self.target = target or target_for(self.tuning.target, study.folder, "target", self.tuning.money)
        writer, own = self.tuning.writer, self.tuning.target.function
        self.writer: Target | None = None if writer == "none" or (writer is None and own) else self.target
        if isinstance(writer, ModelSpec):
            # One budget for both.
            self.writer = target_for(writer, study.folder, "target", self.tuning.money, role="the model that writes")
        self._draft_costs: list[float] = []  # what drafts have cost, since they were last booked
        self._proposers: dict[str, Proposer] = {}
        for name in self.tuning.proposers:
            self._proposers[name] = registry.plugin("proposer", name, self.tuning.proposer_options.get(name, {}))
            self._proposers[name].begin(self._write if self.writer else None)
        self._signals = signals_of(self.tuning.signals)
        self._judges = judges_of(study, [name for name in self.tuning.signals if name not in self._signals])
        self._growing = asyncio.Lock()
        self._making: dict[tuple[int, int], asyncio.Task[None]] = {}

    async def begin(self) -> None:
        """Make sure that the models answer, and that there is something to compare.

        Raises BadInputError, which says how to test a model that does not answer, or what the pool lacks.
        """
        state = self.study.state
        for row in state.live():
            if why := self.tuning.rules.broken(state.items[row].text):  # they were tightened since
                self.study.record(Marked((row,), "retired", why=f"it breaks a rule: {why}"))
        for model in self._models():
            await model.check()
        again = await self._retry_failed()
        before = -1
        while self._proposers and not state.votes and before < len(state.live()) < self.tuning.start:
            before = len(state.live())  # a round may bring fewer than were asked for; one that brings none ends it
            await self.grow(self.tuning.start - before)
        live = state.live()
        if len(live) < 2:
            why = f" ({why})" if (why := idle_proposers(state)) else ""
            raise BadInputError(
                f"there is {len(live)} prompt to compare, and a comparison needs two{why}; "
                "add prompts, or name a proposer in tuning.proposers"
            )
        if again or any(row not in state.signals.get(name, {}) for name in self.tuning.signals for row in live):
            await self.screen(live)

    async def end(self) -> None:
        """Keep what is under way, and close everything."""
        await asyncio.gather(*self._making.values(), return_exceptions=True)
        for model in self._models():
            await model.end()

    def _models(self) -> list[Target | ModelJudge]:
        """Every model that is asked, the target first."""
        writers = [] if self.writer is None or self.writer is self.target else [self.writer]
        return [self.target, *writers, *(judge for judge in self._judges.values() if isinstance(judge, ModelJudge))]

    # -- asking -----------------------------------------------------------------------------------------------

    async def ask(self, judge: str, *, waiting: bool = True, grow: bool = True) -> Query | None:
        """The judge's next query, with the responses it needs; None where nothing is left. grow: let new prompts join
        first, where it is time.

        Raises DownError where the target does not answer now, SpentError where calls or money are spent, BadInputError
        where every response fails.
        """
        if grow and self.due():
            await self.grow(self.tuning.grow)
        elif grow and self.stale():
            await self.remeasure()
        while True:
            try:
                return self.study.ask(judge, waiting=waiting)
            except MissingError as missing:
                await self.respond(missing.wanted)
            except AlikeError as alike:
                self._merge(alike)

    async def prefetch(self, judge: str) -> None:
        """Have the responses made that the next query will need after the likeliest answers to the open one."""
        for query in (await asyncio.to_thread(self.study.upcoming, judge))[:PREFETCHED]:
            try:
                self.study.try_on(query)
            except MissingError as missing:
                try:
                    await self.respond(missing.wanted)
                except (DownError, SpentError, BadInputError):
                    return  # whoever asks next meets it, and says so
            except AlikeError:
                pass

    async def respond(self, wanted: Iterable[tuple[int, int]], *, reserve: bool = True) -> None:
        """Have these responses made and recorded, (row of the prompt, row of the input), several at a time.

        reserve: leave calls for what the result is measured on. Raises as `ask` does; what came before is kept.
        """
        state = self.study.state
        cells = [cell for cell in dict.fromkeys(wanted) if cell not in state.responses]
        remaining = self.calls_left(reserve=reserve) - len(self._making.keys() - set(cells))
        if len(cells) > remaining:
            raise SpentError(
                f"the budget of {self.tuning.calls} model calls is spent"
                f"{' but for what the result is measured on' if reserve else ''}; raise tuning.calls to go on"
            )
        done = 0

        async def respond_to(cell: tuple[int, int]) -> None:
            nonlocal done
            if cell not in self._making:  # several ask for responses at the same time, for a voter and ahead of one
                self._making[cell] = asyncio.create_task(self._make_response(*cell))
            await asyncio.shield(self._making[cell])
            done += 1
            self._report("responses", done, len(cells))

        results = await asyncio.gather(*(respond_to(cell) for cell in cells), return_exceptions=True)
        for error in results:
            if isinstance(error, BaseException):
                raise error
        responses = list(state.responses.values())
        if len(responses) >= PROOF and all(response.failure for response in responses):
            raise _all_failed(responses, "so far")

    async def _make_response(self, row: int, input_row: int) -> None:
        """Have one response made, and record it unless it is the failure that is known."""
        state = self.study.state
        try:
            response = await self.target.respond(fill(state.items[row].text, state.inputs[input_row]))
            earlier = state.responses.get((row, input_row))
            if earlier is None or response.failure != earlier.failure:
                self.study.record(Responded(row, input_row, response))
        finally:
            del self._making[row, input_row]

    async def _retry_failed(self) -> bool:
        """Before the first vote the target may still be mended: have what failed made again; whether any came."""
        state = self.study.state
        failed_cells = [] if state.votes else [cell for cell, response in state.responses.items() if response.failure]
        failed_cells = failed_cells[: max(0, self.calls_left(reserve=False))]
        self._making |= {cell: asyncio.create_task(self._make_response(*cell)) for cell in failed_cells}
        for error in await asyncio.gather(*self._making.values(), return_exceptions=True):
            if isinstance(error, BaseException):
                raise error
        return any(not state.responses[cell].failure for cell in failed_cells)

    def calls_left(self, *, reserve: bool = True) -> int:
        """Model calls that the budget still allows; reserve: less those that the result is to be measured with."""
        n_held_out = sum(input_.held_out for input_ in self.study.state.inputs)
        return (
            self.tuning.calls - self.study.state.calls - (min(2 * n_held_out, self.tuning.calls // 4) if reserve else 0)
        )

    def _merge(self, alike: AlikeError) -> None:
        """Retire the younger of two prompts that no vote can tell apart, or the one that is not pinned."""
        marks, items = self.study.state.marks, self.study.state.items
        older, younger = alike.pair
        out = older if marks.get(younger) == "pinned" and marks.get(older) != "pinned" else younger
        survivor = older + younger - out
        responses = [self.study.state.responses[row, input_row] for row in alike.pair for input_row in alike.inputs]
        all_failed = all(response.failure for response in responses)
        if len(self.study.state.live()) <= 2 and all_failed:
            raise _all_failed(responses, f"to the two prompts left, {items[older].id} and {items[younger].id},")
        if len(self.study.state.live()) <= 2:
            raise BadInputError(
                f"the two prompts left, {items[older].id} and {items[younger].id}, respond alike on all "
                f"{len(alike.inputs)} inputs that can be compared; add inputs or prompts that make a difference"
            )
        why = f"responds as {items[survivor].id} does on {len(alike.inputs)} inputs"
        if all_failed:
            why = f"all its responses on {len(alike.inputs)} inputs failed, the last: {responses[-1].failure}"
        self.study.record(Marked((out,), "retired", why=why))

    # -- growing ----------------------------------------------------------------------------------------------

    def due(self) -> bool:
        """Whether it is time for new prompts."""
        state, tuning = self.study.state, self.tuning
        if not self._proposers or not tuning.grow or self.calls_left() <= 0:
            return False
        return state.since(state.grew) >= tuning.every and len(state.votes) + tuning.every <= self.study.spec.votes

    def stale(self) -> bool:
        """Whether votes have changed which prompts it is worth measuring the signals of."""
        state = self.study.state
        late = state.since(state.measured) >= self.tuning.every
        return bool(self.tuning.signals) and late and self.calls_left() > 0

    async def remeasure(self) -> None:
        """Measure the signals of all live prompts anew."""
        await self.screen(self.study.state.live())

    async def grow(self, k: int) -> None:
        """Let about k new prompts join, try them, and retire what is hopeless."""
        async with self._growing:
            study, state = self.study, self.study.state
            view = pool.pool_view(study)
            rng = stream(study.spec.seed, "grow", state.seq)
            shares = allot(k, pool.proposer_records(study, list(self._proposers)), rng)
            proposals_by_name: dict[str, list[Proposal]] = {}
            events: dict[str, Proposed] = {}
            texts = [item.text for item in state.items]
            fields = list(state.inputs[0].fields) if state.inputs else []
            for name, share in shares.items():
                if not share:
                    continue
                self._report(f"prompts by {name}", 0, share)
                self._draft_costs.clear()
                failure, proposals = "", []
                try:
                    proposer = self._proposers[name]
                    many = share if proposer.asks else AMPLE * share
                    proposals = list(await proposer.propose(view, many, rng))
                except OSError as error:
                    failure = str(error)
                fit, dropped = admissible(proposals, texts, self.tuning.rules, fields)
                proposals_by_name[name] = await asyncio.to_thread(pool.choose_promising, study.spec, state, fit, share)
                texts += [proposal.text for proposal in proposals_by_name[name]]
                events[name] = Proposed(name, (), 1, dropped, failure, len(self._draft_costs), sum(self._draft_costs))
                self._report(f"prompts by {name}", len(proposals_by_name[name]), share)
            first = len(state.items)
            study.record(*pool.joining_events(state, events, proposals_by_name, self.tuning.input))
            await self.screen(range(first, len(state.items)))
            if len(self.study.state.live()) > 1 and (out := pool.retirements(study)):
                study.record(*out)

    async def screen(self, rows: Iterable[int]) -> None:
        """Try prompts on the first few inputs, the same for all, and measure the signals: of those that stand among the
        best tenth on four times as many, of the best quarter on twice as many."""
        if not self.tuning.signals:
            return
        state = self.study.state
        usable = [n for n, input_ in enumerate(state.inputs) if not input_.held_out]
        order = stream(self.study.spec.seed, "screen").permutation(len(usable))
        first = [usable[n] for n in order]
        depth = self._depth()
        cells = [(row, input_row) for row in rows for input_row in first[: depth[row]]]
        fresh = [cell for cell in cells if cell not in state.responses]
        await self.respond(fresh[: max(0, self.calls_left()) // 2])  # votes need responses too
        cells_of = pool.response_signals(state, self._signals)
        calls, cost = 0, 0.0
        for name, judge in self._judges.items():
            cells_of[name], judge_calls, judge_cost = await self._judge_cells(judge, first[: self.tuning.screen])
            calls, cost = calls + judge_calls, cost + judge_cost
        if (signals := pool.measure_signals(cells_of)) and (signals != state.signals or calls):
            self.study.record(Measured(signals, calls, cost))

    def _depth(self) -> dict[int, int]:
        """On how many inputs each live prompt is measured."""
        live, screen = self.study.state.live(), self.tuning.screen
        if not self.study.state.votes or len(live) < 2:
            return dict.fromkeys(live, screen)
        engine = self.study.engine
        with engine.limited_threads():
            mean = engine.posterior.mean()
        ranked = sorted(live, key=lambda row: -float(mean[row]))
        return {
            row: screen * (4 if 10 * n < len(live) else 2 if 4 * n < len(live) else 1) for n, row in enumerate(ranked)
        }

    async def _judge_cells(self, judge: Judge, inputs: Sequence[int]) -> tuple[pool.Cells, int, float]:
        """How likely a judge has it that each prompt's response is better than the first prompt's, on each of the
        inputs; and what that took, calls and money. What it said before is not paid again."""
        state, calls, cost = self.study.state, 0, 0.0
        pairs = [
            Query(row, SEED, inputs=(input_row,))
            for row, input_row in state.responses
            if input_row in inputs and row != SEED and (SEED, input_row) in state.responses
        ]
        answers = await asyncio.gather(*(judge.judge(self.study.shown.put(query)) for query in pairs))
        failures = [answer.why for answer in answers if isinstance(answer, JudgeFailure)]
        if failures and len(failures) == len(answers):
            raise DownError(f"the judge whose word is a signal gave none in {len(failures)} tries: {failures[-1]}")
        cells: pool.Cells = {(SEED, input_row): 0.5 for input_row in inputs}
        for query, answer in zip(pairs, answers, strict=True):
            if isinstance(answer, JudgeFailure):
                calls, cost = calls + answer.calls, cost + answer.cost
                continue
            verdict = answer.verdict or verdict_of(answer.outcome, "ab")
            cells[query.a, query.inputs[0]] = float(sigmoid(verdict.logit))
            calls, cost = calls + verdict.calls - verdict.cached, cost + verdict.cost
        return cells, calls, cost

    def add(self, text: str, by: str, parent: int | None = None) -> int:
        """A prompt that a person wrote joins; returns its row.

        Raises BadInputError where it breaks a rule or is there already.
        """
        state = self.study.state
        if state.inputs:
            text = checked_prompt(text, list(state.inputs[0].fields), "the prompt cannot join")
        if why := self.tuning.rules.broken(text):
            raise BadInputError(f"the prompt cannot join: {why}; change that")
        if not text.strip() or any(text.strip() == item.text.strip() for item in state.items):
            raise BadInputError("the prompt is empty, or there already; change it")
        parents = () if parent is None else (parent,)
        proposal = Proposal(text, parents, why="written by hand" if parent is None else "edited by hand")
        self.study.record(*pool.joining_events(state, {by: Proposed(by)}, {by: [proposal]}, self.tuning.input))
        return len(state.items) - 1

    async def _write(self, system: str, user: str, draft: int = 0) -> str:
        assert self.writer is not None, "nobody writes without a model"
        if self.calls_left() - len(self._draft_costs) <= 0:
            raise OSError(
                f"the budget of {self.tuning.calls} model calls is spent but for what the result is measured on; "
                "raise tuning.calls to go on"
            )
        try:
            response = await self.writer.respond(user, system, draft)
        except (DownError, SpentError) as error:
            raise OSError(str(error)) from None
        self._draft_costs.append(response.cost)
        if response.failure or response.cut:
            raise OSError(f"the model that writes: {response.failure or 'it was cut at max_tokens; raise it'}")
        return response.text


def _all_failed(responses: Sequence[Response], which: str) -> BadInputError:
    return BadInputError(
        f"all {len(responses)} responses {which} have failed, the last: {responses[-1].failure}; mend the model or "
        "tuning.target in study.toml, and begin again"
    )


def judges_of(study: Study, signals: Sequence[str]) -> dict[str, Judge]:
    """The configured judges that signals name, by the signal. Raises BadInputError where one is not configured."""
    judges: dict[str, Judge] = {}
    for signal in signals:
        name = signal.removeprefix(JUDGE)
        spec = next((judge for judge in study.spec.judges if judge.name == name), None)
        if spec is None:
            raise BadInputError(
                f"signal {signal!r} names no judge of study.toml; add a [[judges]] table called {name!r}"
            )
        judges[signal] = registry.plugin("judge", spec.kind, dict(spec.options))
        judges[signal].begin(name, study.shown, [], study.folder)
    return judges


def target_for(
    spec: ModelSpec, folder: Path, name: str, money: float | None, *, role: str = "the target model"
) -> Target:
    """The model that a table of the specification describes; role: what messages call it.

    Raises BadInputError where it cannot be made.
    """
    if spec.function:
        return FunctionTarget(spec.function, spec.concurrency, spec.timeout)
    how: dict[str, Any] = msgspec.structs.asdict(spec)
    del how["function"]
    return EndpointTarget(folder, name, money=money, role=role, **how)
