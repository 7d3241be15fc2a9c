"""Counterfactual replay: how a study would have gone under another selector or router, as far as its votes can tell.

The other selector chooses, at every decision, among the pairs that still have a recorded vote, and is given one of
them, drawn without replacement. What it recommends is judged by the belief that all recorded votes give. Two things
bound what this can tell: pairs that nobody voted on cannot be asked (`coverage` says how often the selector, left free,
would have asked a recorded one), and the judging belief has only seen what the recording selector asked.

Another router is replayed on the pairs that people voted on, with what the machine judges said of them then: as in
`elicit bench routing`, one of a pair's votes can be asked for and the others check the label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from elicit.engine import Engine
from elicit.log.state import State
from elicit.plugins import registry
from elicit.randomness import stream
from elicit.routing.case import mirror_verdict
from elicit.types import BadInputError, Verdict, Vote
from studies.decisions import by_people, engine_for, engine_votes
from studies.items.features import gaps, knowledge_of
from studies.routing.costs import cost
from studies.simulation.jobs import Job, Row, RunPlan, measure, versions
from studies.simulation.recorded_streams import Preference, RecordedPair, RecordedStream
from studies.simulation.routing import routing
from studies.simulation.simulate import regrets
from studies.simulation.summaries import marks_of, summary
from studies.spec import Spec
from studies.study import Study

RECORDED = "recorded"
"""The name under which the study's own order of votes is replayed beside the selectors."""
MARKS = (5, 10, 20, 40, 80, 150, 300, 600)


def counterfactual(
    study: Study, selectors: Sequence[str], votes: int | None, seeds: int, plan: RunPlan
) -> dict[str, Any]:
    """Replay the study's votes under each of the selectors, `seeds` times with other luck, and in their own order.

    votes: at most so many a replay; None: as many as were recorded. Rows carry the metrics after so many votes:
    `simple_regret` and `same_best`, judged by the belief of all votes, and `coverage`, the share of decisions so far at
    which the selector, left free, would have asked a pair that had a recorded vote left.

    Raises BadInputError where the study has no items to choose from or too few votes, or for an unknown selector.
    """
    if study.spec.goal == "label":
        raise BadInputError("another selector changes nothing where all pairs get a label; replay a study of items")
    for name in selectors:
        if name not in (RECORDED, "default"):
            registry.selector(name)
    cast = [vote for vote in engine_votes(study.state) if vote.outcome.choice != "skip"]
    if len(cast) < 2:
        raise BadInputError(f"{study.folder} has {len(cast)} votes; a replay needs 2 or more")
    budget = min(votes or len(cast), len(cast))
    truth = study.engine.utilities()[0]
    shared = (
        study.spec,
        State(items=study.state.items, inputs=study.state.inputs, signals=study.state.signals),
        cast,
        truth,
        marks_of(MARKS, budget),
    )
    names = list(dict.fromkeys([*selectors, RECORDED]))
    jobs = [
        Job({"method": name, "seed": seed, "votes": len(cast)}, run, (*shared, name, seed))
        for name in names
        for seed in range(seeds if name != RECORDED else 1)
    ]
    setting = {"study": study.state.created, "votes": budget, "seeds": seeds, **versions()}
    rows = measure("replay", setting, jobs, plan)
    return {"bench": "replay", "setting": setting, "rows": rows, "summary": summarise(rows)}


def routers(study: Study, names: Sequence[str], shares: Sequence[float], seeds: int, plan: RunPlan) -> dict[str, Any]:
    """Replay the study's queries under each of the routers, with people for each of the shares of them.

    Raises BadInputError where too few pairs have votes of two people, or for an unknown router.
    """
    settings = {"study": study.state.created, "votes": len(study.state.votes)}
    return routing([recorded_in(study)] * seeds, names, shares, plan, settings)


def recorded_in(study: Study) -> RecordedStream:
    """The pairs of a study that people voted on, with the machine judges' verdicts on them."""
    state = study.state
    people = {live.seq: live for live in by_people(study.spec, study.state)}
    votes: dict[tuple[int, int], list[Preference]] = {}
    verdicts: dict[tuple[int, int], dict[str, Verdict]] = {}
    for live in people.values():
        outcome = live.vote.outcome_of_pair
        if outcome.choice in ("a", "b", "tie"):
            votes.setdefault(live.vote.pair, []).append(outcome.choice)
    for number, several in state.consulted.items():
        query = state.asked[number].query
        for reply in several:
            if reply.verdict is not None:
                verdict = reply.verdict if query.a < query.b else mirror_verdict(reply.verdict)
                verdicts.setdefault(query.pair, {})[reply.judge] = verdict
    pairs = []
    for (a, b), answers in votes.items():
        first, second = state.items[a], state.items[b]
        leans = gaps(first.shown_text, second.shown_text)
        question = first.context or f"{a},{b}"
        topic = str(first.meta.get("topic", ""))
        pairs.append(RecordedPair(a, b, question, topic, leans, verdicts.get((a, b), {}), tuple(answers)))
    paid: dict[str, list[float]] = {}
    for reply in (reply for several in state.consulted.values() for reply in several if reply.verdict):
        paid.setdefault(reply.judge, []).append(cost(study, reply) / (study.spec.routing.person_price or 1.0))
    prices = {judge: float(np.mean(costs)) for judge, costs in sorted(paid.items())}
    return RecordedStream(knowledge_of(state.items, study.spec.embedder, study.spec.scores), tuple(pairs), prices)


def run(
    spec: Spec, state: State, cast: Sequence[Vote], truth: np.ndarray, marks: Sequence[int], name: str, seed: int
) -> list[Row]:
    """One replay: its row at each of the marks."""
    engine = engine_for(msgspec.structs.replace(spec, selector="default" if name == RECORDED else name), state)
    engine.seed = spec.seed + seed
    order = np.arange(len(cast)) if name == RECORDED else stream(seed, "replay").permutation(len(cast))
    deck: dict[tuple[int, int], list[Vote]] = {}
    for index in order[::-1]:
        deck.setdefault(cast[index].pair, []).append(cast[index])
    of, best, covered, rows = regrets(truth), int(truth.argmax()), 0, []
    for t in range(1, marks[-1] + 1):
        if name == RECORDED:
            vote, free = cast[t - 1], True
        else:
            vote, free = _answer(engine, deck)
        covered += free
        engine.learn([vote])
        if t in marks:
            row = engine.best()
            rows.append(
                {
                    "method": name,
                    "seed": seed,
                    "votes": t,
                    "simple_regret": float(of[row]),
                    "same_best": int(row == best),
                    "coverage": covered / t,
                }
            )
    return rows


def _answer(engine: Engine, deck: dict[tuple[int, int], list[Vote]]) -> tuple[Vote, bool]:
    """A recorded vote on what the engine asks of the deck, and whether it would have asked that freely."""
    free = engine.ask()
    query = free if free.pair in deck else engine.ask(within=deck)
    votes = deck[query.pair]
    vote = votes.pop()
    if not votes:
        del deck[query.pair]
    return vote, query is free


def summarise(rows: Sequence[Row]) -> list[Row]:
    """One object per selector: regret, agreement and coverage at the last mark, and regret over the marks."""
    ordered = sorted(rows, key=lambda row: row["method"] == RECORDED)
    for_each = []
    for method in dict.fromkeys(row["method"] for row in ordered):
        mine = [row for row in ordered if row["method"] == method]
        for_each += summary(mine, "simple_regret", ("same_best", "coverage"), ())
    return for_each
