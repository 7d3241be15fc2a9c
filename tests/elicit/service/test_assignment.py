"""Laws of lending: whatever annotators do, nobody is lent too much, the same twice, or what is not for them."""

from collections import Counter

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from elicit.log.events import (
    CHECK,
    GOLD,
    REPEAT,
    STOCK,
    AnyBody,
    Asked,
    Created,
    Enrolled,
    Event,
    ItemsAdded,
    Leased,
    PairsAdded,
    Returned,
    Undone,
    Voted,
)
from elicit.log.state import State
from elicit.service.assignment import APART, assign, check_for, shown_to
from elicit.types import ChoiceOutcome, Item, Query

JUDGES = ("maya", "ben", "ada")
POOLS = {"maya": (), "ben": ("law",), "ada": ("law", "art")}
SIZE = 8
PAIRS = [(f"p{i}", 2 * i, 2 * i + 1) for i in range(SIZE)]
ITEMS = tuple(Item(str(row), f"text {row}", meta={"pool": ("law", "art")[row // 2 % 2]}) for row in range(2 * SIZE))
judges = st.sampled_from(JUDGES)


class Annotating(RuleBasedStateMachine):
    """Annotators of different pools lease, vote, give back and undo in any order, two votes wanted of each query."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.log, self.number = State(), list[Event](), 0
        self.append(Created(3, "3", {}), ItemsAdded(ITEMS), PairsAdded(tuple(PAIRS)))
        self.append(*(Enrolled(judge, pools=POOLS[judge]) for judge in JUDGES))
        self.append(*(Asked(Query(a, b, selector="eig"), STOCK, 0, wanted=2) for _, a, b in PAIRS))

    def append(self, *bodies: AnyBody) -> None:
        for body in bodies:
            event = Event(len(self.log) + 1, "2030-01-01T00:00:00+00:00", body)
            self.log.append(event)
            self.state.fold(event)

    def held(self, judge: str) -> list[str]:
        return self.state.held.get(judge, [])

    @rule(judge=judges, n=st.integers(1, 4))
    def lease(self, judge: str, n: int) -> None:
        queries = assign(self.state, judge, n, seed=1)
        assert queries == assign(self.state, judge, n, seed=1)
        assert len(queries) <= n
        for query in queries:
            self.number += 1
            self.append(Leased(query, judge, f"l{self.number}", shown_to(self.state, judge, query, 1), 60.0))

    @precondition(lambda self: any(self.held(judge) for judge in JUDGES))
    @rule(data=st.data(), choice=st.sampled_from(["a", "b", "tie"]))
    def vote(self, data: st.DataObject, choice: str) -> None:
        judge = data.draw(st.sampled_from([judge for judge in JUDGES if self.held(judge)]))
        lease = data.draw(st.sampled_from(self.held(judge)))
        held = self.state.leases[lease]
        self.append(Voted(held.query, ChoiceOutcome(choice), judge, lease=lease, shown=held.shown, key=lease))  # type: ignore[arg-type]

    @precondition(lambda self: any(self.held(judge) for judge in JUDGES))
    @rule(data=st.data(), why=st.sampled_from(["expired", "released"]))
    def give_back(self, data: st.DataObject, why: str) -> None:
        judge = data.draw(st.sampled_from([judge for judge in JUDGES if self.held(judge)]))
        self.append(Returned(data.draw(st.sampled_from(self.held(judge))), why))  # type: ignore[arg-type]

    @precondition(lambda self: self.state.votes)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        live = data.draw(st.sampled_from(self.state.votes))
        self.append(Undone(live.seq, live.vote.judge))

    @invariant()
    def nobody_has_a_query_twice(self) -> None:
        for query in self.state.asked:
            having = [live.vote.judge for live in self.state.votes if live.query == query]
            having += [held.judge for held in self.state.leases.values() if held.query == query and not held.over]
            assert max(Counter(having).values(), default=0) <= 1
            assert sorted(having) == sorted(self.state.taken.get(query, []))

    @invariant()
    def no_query_is_lent_beyond_what_it_wants(self) -> None:
        for query in self.state.asked:
            votes = sum(live.query == query for live in self.state.votes)
            lent = sum(held.query == query and not held.over for held in self.state.leases.values())
            assert votes + lent <= 2
            assert self.state.stock.get(query, 0) == 2 - votes
            assert self.state.free_places(query) == 2 - votes - lent

    @invariant()
    def everybody_stays_in_their_pools(self) -> None:
        for held in self.state.leases.values():
            pool = self.state.pool_of(self.state.asked[held.query].query.a)
            assert not POOLS[held.judge] or pool in POOLS[held.judge]

    @invariant()
    def folding_again_gives_the_same(self) -> None:
        again = State()
        for event in self.log:
            again.fold(event)
        assert again == self.state
        assert again.given == {**dict.fromkeys(again.given, 0), **Counter(live.vote.judge for live in again.votes)}


TestAnnotating = Annotating.TestCase
TestAnnotating.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def voted(votes: int) -> State:
    """A state in which maya has answered so many queries of the stock."""
    machine = Annotating()
    for _ in range(votes):
        machine.lease("maya", 1)
        lease = machine.held("maya")[0]
        held = machine.state.leases[lease]
        machine.append(Voted(held.query, ChoiceOutcome("a"), "maya", lease=lease, shown=held.shown, key=lease))
    return machine.state


def test_checks_come_as_often_as_they_should_and_repeats_are_swapped() -> None:
    state, golds = voted(SIZE), [(0, 3, 1.0), (2, 5, -1.0)]
    drawn = [check_for(state, "maya", turn, (0.1, 0.2), golds, seed=3) for turn in range(4000)]
    kinds = Counter(query.selector if query else "" for query in drawn)
    for kind, share in ((GOLD, 0.1), (REPEAT, 0.2)):
        assert abs(kinds[kind] / 4000 - share) < 4 * np.sqrt(share * (1 - share) / 4000)
    first = {live.vote.pair: live.shown for live in state.votes}
    old = {live.vote.pair for live in state.votes[:-APART]}
    for query in (query for query in drawn if query and query.selector == REPEAT):
        assert query.pair in old
        assert query.shown != first[query.pair]
    for query in (query for query in drawn if query and query.selector == GOLD):
        assert (query.a, query.b, query.why["answer"]) in golds


def test_nobody_is_checked_by_the_same_pair_twice() -> None:
    state, golds = voted(SIZE), [(0, 3, 1.0)]
    lent = len(state.asked)
    for turn in range(200):
        check = check_for(state, "maya", turn, (0.5, 0.5), golds, seed=1)
        if check is None:
            continue
        event = Event(state.seq + 1, "", Asked(check, CHECK, 0))
        state.fold(event)
        state.fold(Event(state.seq + 1, "", Leased(event.seq, "maya", f"c{turn}", check.shown, 60.0)))
    kinds = Counter((asked.query.selector, asked.query.pair) for asked in list(state.asked.values())[lent:])
    assert set(kinds.values()) == {1}
    assert {kind for kind, _ in kinds} == {GOLD, REPEAT}


def test_each_annotator_has_an_order_and_sides_of_their_own() -> None:
    state = Annotating().state
    assert assign(state, "maya", SIZE, seed=1) != assign(state, "sam", SIZE, seed=1)
    assert assign(state, "maya", SIZE, seed=1) != assign(state, "maya", SIZE, seed=2)
    left = [shown_to(state, f"judge {i}", query, 1) == "ab" for i in range(100) for query in state.stock]
    assert abs(np.mean(left) - 0.5) < 4 * 0.5 / np.sqrt(len(left))
