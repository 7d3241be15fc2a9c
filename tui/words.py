"""Amounts, the router's findings and the tuning board in words: what the screens and the plain mode share."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.cells import cell_len, set_cell_size

from elicit.safe_text import one_line, percent
from elicit.service.results import LabelShares, LeaderRow, Lean, Overview, PairLabel, RoutingView
from elicit.service.voting import Board, BoardRow, Progress
from tui.keys import sentence

NO_ROUTER = "This study has no router: nothing chooses between people and machines."


def moment(time: str) -> str:
    """An ISO time as a person writes it, in UTC; what is none, as it stands."""
    try:
        when = datetime.fromisoformat(time)
    except ValueError:
        return one_line(time, empty="")
    if when.tzinfo is not None:
        when = when.astimezone(UTC)
    return f"{when.day} {when:%b %Y, %H:%M} UTC"


def part(done: float, total: float) -> str:
    """How much of a total; a dash where there is none."""
    return percent(round(done / total, 6)) if total else "–"


def money(value: float) -> str:
    """An amount without needless digits: 90, 4.25, 0.195, 0.0004."""
    if value < 1:
        return "<0.0001" if 0 < value < 0.0001 else f"{value:.3g}"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def state_of(progress: Progress) -> str:
    """Where the study stands: how many votes there are, or that it can end."""
    if progress.ended:
        return f"Nothing more to vote on, {progress.votes} of {progress.target} votes: "
    return "✔ You can stop here: " if progress.stop else f"{progress.votes} of {progress.target} votes: "


def sure_of(row: LeaderRow, overview: Overview) -> float | None:
    """How sure an item's place is, by what the study is to find; None: there is none after it to be above."""
    return {"top": row.p_top, "rank": row.p_above}.get(overview.goal, row.p_best)


def sureness(overview: Overview) -> tuple[str, str]:
    """What that is called above a narrow column, and in words."""
    words_by_goal = {
        "top": (f"top {overview.top}?", f"in the top {overview.top} with"),
        "rank": ("> next", "above the next with"),
    }
    return words_by_goal.get(overview.goal, ("best?", "best with"))


def shares(labels: LabelShares) -> str:
    """Where the labels of the pairs are from, and what they are."""
    machines = f", {labels.by_machines} by machines" if labels.by_machines else ""
    tie = f", a tie in {labels.tie}" if labels.tie else ""
    better = f"The first is better in {labels.a}, the second in {labels.b}{tie}."
    if not labels.by_votes + labels.by_machines:  # the likelier of equally likely labels says nothing
        better = "No vote speaks for these labels yet."
    return (
        f"{labels.by_votes} of {in_number(labels.pairs, 'pair')} labelled by votes{machines}, {labels.by_model} by the "
        f"model. {better}"
    )


def label_of(pair: PairLabel) -> str:
    """A pair's label in a word."""
    return {"a": "first", "b": "second"}.get(pair.label, pair.label)


def standing(routing: RoutingView) -> tuple[str, str]:
    """What matters most now: a mark and a sentence. ✖ alarm, ▲ warning, ✔ certified, ○ not yet."""
    unseen = f"{routing.accepted} of {routing.machines} machine labels ({part(routing.accepted, routing.machines)})"
    if routing.alarm is not None:
        return "✖", "ALARM: accepted labels were wrong too often. None is accepted now."
    if routing.threshold is None:
        if routing.people + routing.machines + routing.waiting + routing.nobody == 0:
            return "○", "Nothing is routed yet. 'elicit run' lets the judges answer."
        return "○", "Not certified: no machine label is accepted unseen."
    if routing.warning is not None:
        return "▲", f"WARNING: accepted labels seem to be wrong more often now. {unseen} are accepted unseen."
    return "✔", f"Certified: {unseen} are accepted unseen."


def lean_in_words(lean: Lean) -> str:
    """A bias in words; where the interval has 0 in it, none is shown."""
    alone = "" if lean.humans or lean.name == "position" else ", no people to compare with"
    if not lean.sure:
        return f"no bias shown{alone}"
    directions = {"position": ("first shown", "second shown"), "length": ("longer", "shorter")}
    more, less = directions.get(
        lean.name, (f"one with more {one_line(lean.name)}", f"one with less {one_line(lean.name)}")
    )
    return f"favours the {more if lean.value > 0 else less}{alone}"


def why_ended(board: Board) -> str:
    """That no more votes are asked for; empty while they are."""
    if board.progress.ended:
        return "Nothing more to vote on. "
    return "✔ You can stop here. " if board.progress.stop else ""


def standing_of(board: Board) -> str:
    """Who is recommended, and how much better than the seed that the study began with."""
    best = next((row for row in board.rows if row.row == board.best), None)
    if best is None:
        if sum(row.mark != "retired" for row in board.rows) < 2:
            return "No prompt is recommended yet: there is nothing to compare."
        return "No prompt is recommended: none is acceptable with the confidence that was asked for."
    if board.guessed:
        return f"Recommended: {one_line(best.item)}; no vote speaks for it yet."
    name = f"Recommended: {one_line(best.item)}, the best with {percent(best.p_best)}"
    if best.row == board.seed:
        return f"{name}; it is the seed that the study began with."
    if board.win_rate is None:
        return f"{name}; how often it beats the seed is not known yet."
    mean, low, high = board.win_rate
    within = f"{percent(low)} to {percent(high)}"
    return f"{name}; preferred to the seed on {percent(mean)} of unseen inputs ({within})."


def coming_in_words(board: Board) -> str:
    """What is being made, when new prompts join, and what failed or was cut."""
    when = {None: "No new prompts join by themselves any more", 0: "New prompts join now"}.get(
        board.next_prompts, f"New prompts join in {in_number(board.next_prompts or 0, 'vote')}"
    )
    return " ".join(sentence(part) for part in (board.doing, when, board.idle, board.shortfalls) if part)


def in_number(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def origin(row: BoardRow, board: Board) -> str:
    """Who made a prompt, from what, and when."""
    names = {other.row: one_line(other.item) for other in board.rows}
    parents = " and ".join(names[parent] for parent in row.parents if parent in names)
    maker = f"by {one_line(row.maker)}" if row.maker else "of the first prompts"
    return f"{maker}{f', from {parents}' if parents else ''}, after {in_number(row.born, 'vote')}"


def marks(row: BoardRow, board: Board) -> str:
    """What is special about a prompt: seed, new, pinned, retired."""
    newest, oldest = (extreme(other.born for other in board.rows) for extreme in (max, min))
    new = "new" if row.born == newest > oldest and row.mark != "retired" else ""
    return ", ".join(part for part in ("seed" if row.row == board.seed else "", new, row.mark) if part)


def budgets(board: Board) -> tuple[tuple[str, float, float | None, str], ...]:
    """What votes, calls and money there are: name, done, the most there is (None: no limit), and both in words."""
    votes = board.progress
    money_in_words = money(board.cost) + (", no limit" if board.money is None else f" of {money(board.money)}")
    money_in_words += f", and {money(board.judge_cost)} for judges" if board.judge_cost else ""
    return (
        ("votes", votes.votes, votes.target, f"{votes.votes} of {votes.target}"),
        ("calls", board.calls, board.most_calls, f"{board.calls} of {board.most_calls}"),
        ("money", board.cost, board.money, money_in_words),
    )


def fit(text: str, cells: int) -> str:
    """Any text on one line in exactly so many cells."""
    line = one_line(text)
    return set_cell_size(line, cells) if cell_len(line) <= cells else set_cell_size(line, cells - 1) + "…"
