"""Pages of what is in a served study's log, as the server gives them out."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from itertools import islice
from operator import attrgetter

from elicit.log.state import LiveVote, State
from elicit.service.http_schema import ItemRow, ItemsPage, ServedVote, VotesPage
from elicit.service.views import Page
from elicit.service.voting import side_of


def votes_page(state: State, judge: str | None, after: int | None, limit: int) -> VotesPage:
    """Votes, newest first, of one judge or (None) of all; after: only those before that one."""
    end = len(state.votes) if after is None else bisect_left(state.votes, after, key=attrgetter("seq"))
    live = ((state.votes[i], False) for i in range(end - 1, -1, -1))  # no more is looked at than the page takes
    undone = sorted(state.undone, key=attrgetter("seq"), reverse=True)
    voided = ((vote, True) for vote in undone if after is None or vote.seq < after)
    both = heapq.merge(live, voided, key=lambda pair: pair[0].seq, reverse=True)
    fit = list(islice((pair for pair in both if judge in (None, pair[0].vote.judge)), limit + 1))
    votes = tuple(_served_vote(state, vote, voided, judge is None) for vote, voided in fit[:limit])
    return VotesPage(votes, str(votes[-1].vote) if len(fit) > limit else None)


def _served_vote(state: State, live: LiveVote, voided: bool, openly: bool) -> ServedVote:
    vote = live.vote
    a, b = state.items[vote.a], state.items[vote.b]
    left, right = (a, b) if live.shown == "ab" else (b, a)
    query = state.asked[live.query].query
    belief = f"{query.selector}, P(a)={query.why['p_a']:.2f}" if "p_a" in query.why else query.selector
    return ServedVote(
        vote=live.seq,
        judge=vote.judge,
        left=left.shown_text,
        right=right.shown_text,
        context=left.context,
        choice=side_of(vote.outcome.choice, live.shown),  # type: ignore[arg-type]
        time=live.time,
        strength=vote.outcome.strength,
        seconds=vote.seconds,
        reasons=vote.reasons,
        note=state.note_of(live),
        voided=voided,
        a=a.id if openly else "",
        b=b.id if openly else "",
        shown=live.shown if openly else "",
        check=live.check if openly else "",
        why=belief if openly else "",
    )


def items_page(state: State, page: Page) -> ItemsPage:
    """Items in their order."""
    rows = tuple(
        ItemRow(item.id, item.text, item.context, bool(item.image), item.meta)
        for item in state.items[page.after : page.after + page.limit]
    )
    return ItemsPage(rows, page.following(len(state.items)))
