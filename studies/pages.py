"""Pages of what is in a served study's log, as the server gives them out."""

from __future__ import annotations

from elicit.service import side_of
from elicit.serving import ItemRow, ItemsPage, ServedVote, VotesPage
from elicit.state import LiveVote, State


def votes_page(state: State, judge: str | None, after: int | None, limit: int) -> VotesPage:
    """Votes, newest first, of one judge or (None) of all; after: only those before that one."""
    live = {vote.seq for vote in state.votes}
    fit = [
        vote
        for vote in (*state.votes, *state.undone)
        if (judge is None or vote.vote.judge == judge) and (after is None or vote.seq < after)
    ]
    fit.sort(key=lambda vote: -vote.seq)
    votes = tuple(_served(state, vote, vote.seq not in live, judge is None) for vote in fit[:limit])
    return VotesPage(votes, str(votes[-1].vote) if len(fit) > limit else None)


def _served(state: State, live: LiveVote, voided: bool, openly: bool) -> ServedVote:
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


def items_page(state: State, after: int, limit: int) -> ItemsPage:
    """Items in their order, from row `after` on."""
    rows = tuple(
        ItemRow(item.id, item.text, item.context, bool(item.image), item.meta)
        for item in state.items[after : after + limit]
    )
    return ItemsPage(rows, str(after + limit) if after + limit < len(state.items) else None)
