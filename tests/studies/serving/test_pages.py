"""Pages of votes: together they are all votes, newest first, wherever they are cut."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from elicit.log.events import AnyBody, Asked, Created, Event, ItemsAdded, Undone, Voted
from elicit.log.state import State
from elicit.types import ChoiceOutcome, Item, Query
from studies.serving.pages import votes_page


@given(
    st.lists(st.tuples(st.sampled_from(["maya", "noor", "uma"]), st.booleans()), max_size=25),
    st.integers(1, 7),
    st.sampled_from([None, "maya", "nobody"]),
    st.randoms(use_true_random=False),
)
def test_pages_put_together_are_every_vote_once(
    told: list[tuple[str, bool]], limit: int, judge: str | None, luck: Random
) -> None:
    state = State()

    def say(body: AnyBody) -> int:
        state.fold(Event(state.seq + 1, "2030-01-01T00:00:00+00:00", body))
        return state.seq

    say(Created(3, "3", {}))
    say(ItemsAdded((Item("x", "one"), Item("y", "two"))))
    cast = []
    for name, back in told:
        query = say(Asked(Query(0, 1, 0, 0.0, 1.0, "ab", "random"), name, state.folded))
        cast.append((say(Voted(query, ChoiceOutcome("a"), name)), name))
        if back:
            live = luck.choice(state.votes)
            say(Undone(live.seq, live.vote.judge))
    live_ones = {live.seq for live in state.votes}
    found, cursor = [], None
    while True:
        page = votes_page(state, judge, cursor, limit)
        found += page.votes
        if page.next is None:
            break
        assert len(page.votes) == limit
        cursor = int(page.next)
    assert [vote.vote for vote in found] == [seq for seq, name in reversed(cast) if judge in (None, name)]
    assert all(vote.voided == (vote.vote not in live_ones) for vote in found)
