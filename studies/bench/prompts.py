"""`elicit bench prompts`: finding the best of a pool of prompts for a real model, in votes and model calls.

Every prompt's response to every input is made once and kept; the methods then pay for what they look at. The truth is
each prompt's accuracy on the inputs held out. Beside `elicit`, which compares and is told what a person prefers, are
methods that are told which responses are right: `random_search` tries as many prompts as the calls allow on ten inputs
each, `successive_halving` (Jamieson and Talwalkar 2016) tries all on a few and the better half on twice as many until
one is left, and `exhaustive` tries all on all.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from adapters.judges.reference import Reference
from adapters.llm.target import DownError, Target
from elicit.plugins import registry
from elicit.randomness import stream
from elicit.tuning.protocol import Input, Pool, Response, Rules, fill
from elicit.tuning.signals import SIGNALS, kinds_of
from elicit.types import BadInputError, JudgeFailure, UnknownNameError, hash_of
from studies.routing.failures import TARGET, tally
from studies.simulation.jobs import Job, Row, RunPlan, measure, versions
from studies.simulation.summaries import marks_of, summary
from studies.study import Study
from studies.tuning.admission import admissible
from studies.tuning.board import shortfalls_of
from studies.tuning.setup import Setup
from studies.tuning.tuner import Tuner, target_for

MARKS = (10, 20, 30, 40, 60, 80)
METHODS = ("elicit", "unsignalled", "random", "random_search", "successive_halving", "exhaustive")
TRIED = 10
"""Inputs on which random search tries a prompt."""
STRENGTH = 3.0
"""Logits by which the simulated person prefers a right response to a wrong one."""
NEAR = 0.05
_BUDGETS: dict[tuple[str, int, int], list[tuple[int, int, int]]] = {}
"""What elicit took in this process, so that each method that is given as many calls need not find out again."""


@dataclass(frozen=True)
class MeasuredPool:
    """A pool of prompts with all responses and what they are worth, (prompts, inputs): 0 to 1."""

    name: str
    signal: str
    prompts: tuple[str, ...]
    inputs: tuple[Input, ...]
    responses: tuple[tuple[Response, ...], ...]
    worth: NDArray[np.float64]

    @property
    def content(self) -> str:
        """Hash of all that decides a run on it."""
        texts = [[(response.text, response.failure) for response in row] for row in self.responses]
        return hash_of([self.signal, self.prompts, [msgspec.to_builtins(input_) for input_ in self.inputs], texts])

    @property
    def shortfalls(self) -> str:
        """Who failed, how often and why, and how many responses were cut; empty where all are whole."""
        responses = [response for row in self.responses for response in row]
        failures = tally((TARGET, response.failure, response.cost) for response in responses)
        return shortfalls_of(failures, responses)

    @property
    def voting_inputs(self) -> list[int]:
        """The inputs that may be voted on."""
        return [n for n, input_ in enumerate(self.inputs) if not input_.held_out]

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """(prompts,) on the inputs held out."""
        return np.asarray(self.worth[:, [n for n, input_ in enumerate(self.inputs) if input_.held_out]].mean(1))


class RecordedResponses:
    """The target whose responses are all there: it answers at once and costs nothing but a call."""

    def __init__(self, pool: MeasuredPool) -> None:
        self._responses = {
            fill(prompt, input_): response
            for prompt, row in zip(pool.prompts, pool.responses, strict=True)
            for input_, response in zip(pool.inputs, row, strict=True)
        }

    async def check(self) -> None:
        """It is there."""

    async def respond(self, prompt: str, system: str = "", sample: int = 0) -> Response:
        """What the model said."""
        return self._responses[prompt]

    async def end(self) -> None:
        """Nothing is held open."""


def measure_pool(setup: Setup, size: int, folder: Path, name: str, report: Callable[[int, int], None]) -> MeasuredPool:
    """A pool of `size` prompts from the slot grid, the task's own first ones among them, with all their responses.

    folder: keeps every response, so that an interrupted measurement goes on, and the next one pays for what is new
    alone. Raises BadInputError where the task has no inputs with references, or the model does not answer.
    """
    tuning, inputs = setup.spec["tuning"], setup.inputs
    signal = (*tuning.signals, "contains")[0]
    if not all(input_.reference for input_ in inputs) or not any(input_.held_out for input_ in inputs):
        raise BadInputError("the bench needs inputs that all have a reference, some of them held out")
    if signal not in SIGNALS:
        raise UnknownNameError("signal", signal, list(SIGNALS))
    folder.mkdir(parents=True, exist_ok=True)
    prompts = asyncio.run(_draw_prompts(setup, size))
    responses = asyncio.run(_responses(target_for(tuning.target, folder, "target", None), prompts, inputs, report))
    kinds = kinds_of({input_.reference for input_ in inputs})
    worth = np.array(
        [
            [
                0.0 if r.failure else SIGNALS[signal](r.text, input_.reference, kinds)
                for r, input_ in zip(row, inputs, strict=True)
            ]
            for row in responses
        ]
    )
    pool = MeasuredPool(name, signal, tuple(prompts), tuple(inputs), tuple(responses), worth)
    if all(response.failure for row in responses for response in row):
        raise BadInputError(f"{name}: there is no response to measure, {pool.shortfalls}; mend the model")
    return pool


async def _draw_prompts(setup: Setup, size: int) -> list[str]:
    examples = tuple(example for example in setup.inputs if not example.held_out)
    task = setup.spec["tuning"].task
    slots = registry.plugin("proposer", "slots")
    slots.begin(None)
    texts = [item.text for item in setup.items]
    proposals = await slots.propose(Pool(task, (), (), examples), 2 * size, stream(0, "pool"))
    kept, _ = admissible(proposals, texts, Rules())
    return [*texts, *(proposal.text for proposal in kept)][:size]


async def _responses(
    target: Target, prompts: Sequence[str], inputs: Sequence[Input], report: Callable[[int, int], None]
) -> list[tuple[Response, ...]]:
    done, total = 0, len(prompts) * len(inputs)

    async def respond_to(prompt: str, input_: Input) -> Response:
        nonlocal done
        response = await target.respond(fill(prompt, input_))
        done += 1
        report(done, total)
        return response

    try:
        await target.check()
        return [tuple(await asyncio.gather(*(respond_to(prompt, input_) for input_ in inputs))) for prompt in prompts]
    except DownError as error:
        raise BadInputError(f"{error}; what it answered is kept, and the same command goes on") from None
    finally:
        await target.end()


def prompts(
    pools: Sequence[MeasuredPool], methods: Sequence[str], votes: int, seeds: int, plan: RunPlan
) -> dict[str, Any]:
    """Run every method on every pool and seed. Rows: `votes`, `calls`, `accuracy` on the inputs held out, `gap` to the
    pool's best and `within_5`. Methods without votes have the calls that elicit had taken on the same pool and seed
    by that vote.

    Raises BadInputError for unknown methods, or where `plan.out` does not fit.
    """
    for method in methods:
        if method not in METHODS:
            raise UnknownNameError("method", method, list(METHODS))
    if len({pool.name for pool in pools}) < len(pools):
        raise BadInputError("two task files have the same name, which their results would share; rename one")
    jobs = [
        Job(
            {"method": method, "task": pool.name, "seed": seed, "content": pool.content},
            run,
            (pool, method, seed, votes),
        )
        for pool in pools
        for method in dict.fromkeys(methods)
        for seed in range(seeds)
    ]
    fixed = {"votes": votes, "strength": STRENGTH, **versions()}
    rows = measure("prompts", fixed, jobs, plan)
    rows.sort(key=lambda row: methods.index(row["method"]))
    best = {pool.name: {"best": float(pool.accuracy.max()), "median": float(np.median(pool.accuracy)),
                        "first": float(pool.accuracy[0]), "prompts": len(pool.prompts)} for pool in pools}  # fmt: skip
    setting = {**fixed, "methods": list(dict.fromkeys(methods)), "seeds": seeds, "pools": best}
    summaries = summary(rows, "gap", ("calls", "within_5", "accuracy"), (), "task")
    return {"bench": "prompts", "setting": setting, "rows": rows, "summary": summaries}


def run(pool: MeasuredPool, method: str, seed: int, votes: int) -> list[Row]:
    """One method on one pool with one simulated person: a row per mark."""
    if method in ("elicit", "unsignalled", "random"):
        marks = asyncio.run(_run_study(pool, method, seed, votes))
        if method == "elicit":
            _BUDGETS[pool.content, seed, votes] = marks
    else:
        key = (pool.content, seed, votes)
        if key not in _BUDGETS:
            _BUDGETS[key] = asyncio.run(_run_study(pool, "elicit", seed, votes))
        budgets = _BUDGETS[key]
        marks = [(cast, *_run_without_votes(pool, method, seed, calls)) for cast, calls, _ in budgets]
    best = float(pool.accuracy.max())
    common = {"method": method, "task": pool.name, "seed": seed}
    return [
        {
            **common,
            "votes": cast,
            "calls": calls,
            "accuracy": float(pool.accuracy[row]),
            "gap": best - float(pool.accuracy[row]),
            "within_5": int(best - pool.accuracy[row] <= NEAR + 1e-9),
        }
        for cast, calls, row in marks
    ]


async def _run_study(pool: MeasuredPool, method: str, seed: int, votes: int) -> list[tuple[int, int, int]]:
    """(votes, calls, recommended row) at each mark of a study whose person goes by the references."""
    with tempfile.TemporaryDirectory(prefix="elicit-bench-") as place:
        table = {
            "task": pool.name,
            "target": {"endpoint": "http://127.0.0.1:9/v1", "model": "recorded"},
            "proposers": [],
            "calls": pool.worth.size,
            "signals": [] if method == "unsignalled" else [pool.signal],
        }
        selector = "random" if method == "random" else "default"
        judge = Reference(pool.signal, STRENGTH, seed)
        how: dict[str, Any] = {"tuning": table, "seed": seed, "votes": votes, "selector": selector}
        study = Study.create(Path(place) / "s", items=list(pool.prompts), inputs=list(pool.inputs), **how)
        with study:
            judge.begin("person", study.shown, [], Path(place))
            tuner, marks = Tuner(study, target=RecordedResponses(pool)), []
            await tuner.begin()
            for cast in range(1, votes + 1):
                query = await tuner.ask("person")
                if query is None:
                    break
                vote = await judge.judge(study.shown.put(query))
                if isinstance(vote, JudgeFailure):
                    raise BadInputError(vote.why)
                study.tell(query, vote.outcome, "person")
                if cast in marks_of(MARKS, votes):
                    marks.append((cast, study.state.calls, study.engine.best()))
            late = [mark for mark in marks_of(MARKS, votes) if mark > len(study.state.votes)]
            return [*marks, *((mark, study.state.calls, study.engine.best()) for mark in late)]


def _run_without_votes(pool: MeasuredPool, method: str, seed: int, calls: int) -> tuple[int, int]:
    """(calls, recommended row) of a method that is told which responses are right."""
    rng = stream(seed, method)
    n, usable = len(pool.prompts), np.array(pool.voting_inputs)
    if method == "exhaustive":
        return n * len(usable), int(pool.worth[:, usable].mean(1).argmax())
    if method == "random_search":
        rows = rng.permutation(n)[: max(1, calls // TRIED)]
        scores = [float(pool.worth[row, rng.permutation(usable)[:TRIED]].mean()) for row in rows]
        return len(rows) * min(TRIED, len(usable)), int(rows[int(np.argmax(scores))])
    rounds = max(1, int(np.ceil(np.log2(n))))
    rows, order, n_inputs, calls_made = rng.permutation(n), rng.permutation(usable), 0, 0
    for _ in range(rounds):
        more = max(1, calls // (rounds * len(rows)))
        calls_made += len(rows) * (min(n_inputs + more, len(order)) - n_inputs)
        n_inputs = min(n_inputs + more, len(order))
        worth = pool.worth[rows][:, order[:n_inputs]].mean(1)
        rows = rows[np.argsort(-worth, kind="stable")[: max(1, (len(rows) + 1) // 2)]]
    return calls_made, int(rows[0])
