"""What a study decides, as a function of its log alone: live asks, looking ahead and replays share these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from elicit.log.events import STOCK
from elicit.log.state import LiveVote, State
from elicit.safe_text import quantity
from elicit.types import ChoiceOutcome, Item, NothingLeftError, Query, Vote
from studies.items.features import embed_texts, knowledge_of
from studies.prompt_inputs import describe_items, usable_inputs, used_inputs
from studies.spec import Spec

if TYPE_CHECKING:
    from elicit.engine import Engine
    from elicit.stopping import Stop

WORKER = "router "
"""How the names begin under which the router holds queries in the log while it decides."""


class Constraints(NamedTuple):
    """What a judge's next query may not be, as the log says. pending: the pairs that are with others, anticipated one
    by one; excluded: the pairs that it is not to be asked again, the newest first; strict: whether none of these may
    be asked even where no other is left."""

    pending: tuple[tuple[int, int], ...]
    excluded: tuple[tuple[int, int], ...]
    strict: bool


def constraints_on(state: State, judge: str, voted: int | None = None) -> Constraints:
    """What the log keeps a judge from being asked; voted: a query, as if the judge had answered that one last.

    A judge is not asked a pair again while there are others, then not the ones it saw last; a listed pair is not asked
    after anybody's label, and prompts not on an input that they were compared on.
    """
    pending = tuple(state.pending_pairs(judge, voted))
    if state.inputs:
        return Constraints(pending, tuple(exhausted_pairs(state)), True)
    own = () if voted is None else (state.asked[voted].query.pair,)
    avoided = tuple(dict.fromkeys(reversed(excluded_pairs(state, judge, *own))))
    pairs = len(state.pairs) or len(state.items) * (len(state.items) - 1) // 2
    if not state.pairs and len({*avoided, *pending}) >= pairs:
        avoided = avoided[: pairs // 2]
    return Constraints(pending, avoided, False)


def choose(engine: Engine, constraints: Constraints) -> Query | None:
    """The next query under these constraints: live asks, looking ahead and replays share it. None: no pair is left."""
    try:
        query = engine.ask(pending=constraints.pending, avoid=constraints.excluded)
    except NothingLeftError:
        return None
    return None if constraints.strict and query.pair in constraints.excluded else query


def excluded_pairs(state: State, judge: str, *more: tuple[int, int]) -> list[tuple[int, int]]:
    """The pairs that are not for this judge: its own votes, `more`, listed pairs with anybody's label, and what it
    failed on; newest last.

    A machine says the same again, so what the router has had is not for it.
    """
    listed, lane = bool(state.pairs), judge.startswith(WORKER)
    own = [live.vote for live in state.votes if live.vote.judge == judge or (listed and labels(state, live))]
    pairs = [*(vote.pair for vote in own), *more]
    pairs += [state.asked[n].query.pair for n in state.routed] if lane else []
    failed = [n for n, holder in state.deferred.items() if holder == judge or (lane and holder.startswith(WORKER))]
    return pairs + [state.asked[n].query.pair for n in failed]


def labels(state: State, live: LiveVote) -> bool:
    """Whether a vote labels its pair: one that was skipped, checks an annotator or is quarantined does not."""
    return live.vote.outcome.choice != "skip" and decides(state, live)


def votes_taught(state: State) -> int:
    """How many votes speak for something. Where none does, what is recommended is a guess."""
    return sum(labels(state, live) for live in state.votes)


def decides(state: State, live: LiveVote) -> bool:
    """Whether a vote teaches anything: one that checks an annotator or is quarantined does not."""
    return not live.check and state.weight(live.vote.judge) > 0


def labelled_pairs(state: State) -> set[tuple[int, int]]:
    """The pairs that have a label by somebody."""
    return {live.vote.pair for live in state.votes if labels(state, live)}


def exhausted_pairs(state: State) -> list[tuple[int, int]]:
    """The pairs of prompts that were compared on every input that they can be compared on."""
    return [pair for pair, inputs in used_inputs(state).items() if not set(usable_inputs(state, *pair)) - inputs]


def pairs_left(state: State, judge: str) -> int:
    """How many pairs `choose` has for a judge: those that are not with others, labelled or worn, of items in play."""
    unavailable = set(state.pending_pairs(judge))
    if state.pairs:
        return len(state.listed_pairs() - unavailable - set(excluded_pairs(state, judge)))
    retired = set(state.retired_rows())
    unavailable |= set(exhausted_pairs(state)) if state.inputs else set()
    live = len(state.items) - len(retired)
    return live * (live - 1) // 2 - sum(not retired.intersection(pair) for pair in unavailable)


def choose_batch(engine: Engine, state: State, k: int, pool: str = "") -> list[Query]:
    """Up to k queries for whoever comes, as a function of the log: not on pairs under way, as long as there are others.

    pool: only listed pairs of that pool; empty: all.
    """
    under_way = {state.asked[query].query.pair for query in state.under_way()}
    pending = state.pending_pairs(STOCK)
    if state.pairs:
        within, avoid = state.listed_pairs(pool), labelled_pairs(state) | under_way
        available = len(within) - len(within & (avoid | set(pending)))
    else:
        within, avoid = None, under_way
        available = engine.n * (engine.n - 1) // 2 - len(under_way | set(pending))
        if available <= 0:  # a small pool: several are asked the same at once
            pending, avoid, available = [], set(), engine.n * (engine.n - 1) // 2
    if available <= 0:
        return []
    return engine.ask(min(k, available), pending=pending, avoid=avoid, within=within)


def engine_votes(state: State, since: int = 0, until: int | None = None) -> list[Vote]:
    """What the engine learns of the live votes, from one on up to before another: never seconds, reasons or notes, so
    that they decide nothing. Those that check an annotator or are quarantined count as skipped."""
    return [
        engine_vote(live.vote, state.weight(live.vote.judge) if decides(state, live) else 0)
        for live in state.votes[since:until]
    ]


def sync_engine(engine: Engine, state: State, revised: int, votes: int | None = None, most: int | None = None) -> int:
    """Let the engine hold what the first votes of the state teach (None: all), learning at most so many now. revised:
    what this returned last time, 0 for a fresh engine."""
    if revised == state.revised:
        engine.learn(engine_votes(state, len(engine.votes), votes)[:most])
    else:
        engine.follow(engine_votes(state, 0, votes), most)
    return state.revised


def engine_vote(vote: Vote, weight: float) -> Vote:
    """What the engine learns of a vote that counts so much."""
    outcome = vote.outcome if weight else ChoiceOutcome("skip")
    return Vote(vote.a, vote.b, outcome, vote.judge, weight=weight or 1.0, inputs=vote.inputs)


def engine_for(spec: Spec, state: State, more: Sequence[Item] = ()) -> Engine:
    """The engine of a study before any vote; more: items beside those of the study."""
    from elicit.engine import Engine

    items, signals = describe_items([*state.items, *more], state.signals)
    knowledge = knowledge_of(items, spec.embedder, (*spec.scores, *signals))
    engine = Engine(
        knowledge.features,
        n_items=len(items),
        scores=knowledge.scores,
        groups=knowledge.groups,
        model=spec.model,
        selector=spec.selector,
        seed=spec.seed,
        device="auto",
        goal=spec.goal,
        pairs=[(a, b) for _, a, b in state.pairs] or None,
        top=spec.top,
        model_options=dict(spec.model_options),
        selector_options=dict(spec.selector_options),
        inputs=embed_texts([entry.text for entry in state.inputs]) if state.inputs else None,
    )
    engine.retire(state.retired_rows())
    return engine


def stop_of(engine: Engine, spec: Spec) -> Stop:
    return engine.should_stop(spec.stop.regret, spec.stop.confidence, spec.stop.rule)


def by_people(spec: Spec, state: State) -> list[LiveVote]:
    """The live votes that are not a machine's: those of people, and of judges that stand for one."""
    machines = {judge.name for judge in spec.judges if not judge.person}
    machines |= {name for name, enrolled in state.enrolled.items() if enrolled.scope == "judge"}
    return [live for live in state.votes if live.raw is None and live.vote.judge not in machines]


def labelling_votes(spec: Spec, state: State) -> list[LiveVote]:
    """The votes that people's labels are made of: of a study that was never routed those of machines too, never golds,
    hidden repeats, skips, or votes of who is quarantined."""
    votes = by_people(spec, state) if state.routed else state.votes
    return [live for live in votes if labels(state, live)]


def resumable(spec: Spec, state: State) -> list[int]:
    """The queries that machine judges failed on and are to be asked again: nobody else has answered them or their
    pair, and no person has them.

    Those that went to people are among them as long as they wait: a judge that failed on one may be back.
    """
    live = set(state.live())
    listed, labelled = bool(state.pairs), labelled_pairs(state)
    others = {state.asked[query].query.pair for query in state.under_way()} if listed else set()
    machines = {judge.name for judge in spec.judges if not judge.person}
    numbers = []
    for number in [*state.deferred, *state.waiting]:
        pair = state.asked[number].query.pair
        if not live.issuperset(pair) or (listed and pair in labelled):
            continue
        if number in state.deferred:
            if pair not in others:
                numbers.append(number)
        elif not state.taken.get(number) and [route.to for route in state.routed[number]] == ["people"]:
            replies = state.consulted.get(number, [])
            failed = {reply.judge for reply in replies if reply.failure} - {
                reply.judge for reply in replies if reply.verdict
            }
            if failed & machines:
                numbers.append(number)
    return numbers


def why_over(spec: Spec, state: State) -> str:
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
    """How many votes may come at the most: what waits for people, and what the budget and the pairs allow; what a
    person has on the screen may be answered also when others have spent the budget."""
    waiting = sum(map(state.missing_judges, state.waiting))
    on_screens = sum(
        not holder.startswith(WORKER) and number not in state.routed for holder, number in state.open.items()
    )
    budget = max(on_screens, spec.votes - len(state.votes) - waiting)
    lent = sum(state.leases[lease].query in state.routed for leases in state.held.values() for lease in leases)
    promised = lent + sum(state.stock.values())
    if state.pairs:
        with_others = {state.asked[number].query.pair for number in state.under_way()}
        fresh = state.listed_pairs() - labelled_pairs(state) - with_others
        again = sum(state.asked[number].query.pair not in fresh for number in state.open.values())
        return waiting + min(budget, promised + again + spec.serving.overlap * len(fresh))
    return waiting + (budget if promised or state.open or pairs_left(state, "") else 0)


def budget_spent(spec: Spec, how: str = "") -> str:
    """That the votes are spent, and what to do."""
    return f"the budget of {quantity(spec.votes, 'vote')} is spent{how}; raise `votes` in study.toml to go on"


def trusted_votes(spec: Spec, state: State) -> list[LiveVote]:
    """People's votes that count for something: never golds, hidden repeats, or votes of who is quarantined."""
    return [live for live in by_people(spec, state) if decides(state, live)]
