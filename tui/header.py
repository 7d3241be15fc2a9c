"""The lines around the ballot: progress above, the strength scale and the keys below."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from elicit.safe_text import one_line
from elicit.service.voting import Progress, Turn
from tui.keys import sentence
from tui.pace import VotingPace

QUIET = "#8d97a5"
STRONG = "bold #e6edf3"
LEFT = "#7fb2f5"
RIGHT = "#e8b562"


def bar(done: float, total: float, width: int) -> str:
    """Progress as a bar that reads without colour: heavy is done, light is to come."""
    filled = 0 if total <= 0 else min(width, round(width * done / total))
    return "━" * filled + "─" * (width - filled)


def top_line(title: str, progress: Progress, pace: VotingPace, width: int) -> Text:
    """Votes, target, pace and what is left; the title where there is room. Nothing about the items."""
    wide = width >= 100
    cells = 24 if wide else 12
    gauge = bar(progress.votes, progress.target, cells)
    done = len(gauge.rstrip("─"))
    votes = Text.assemble(
        (f"{progress.votes}", STRONG),
        (f" of {progress.target} votes " if progress.target else " votes ", QUIET),
        (gauge[:done], LEFT),
        (gauge[done:], "#4a5563"),
    )
    speed = pace.per_minute
    per_minute = "" if speed is None else f"{speed:.0f} a minute" if speed >= 10 else f"{speed:.1f} a minute"
    to_go = pace.to_go(progress)
    end = Text(f"{per_minute}   {to_go}" if per_minute else to_go, style=QUIET)
    if not wide:
        fits = cell_len(votes.plain) + cell_len(end.plain) < width
        return _ends(votes, end if fits else Text(to_go, style=QUIET), width)
    room = width - cell_len(votes.plain) - cell_len(end.plain) - 6
    name = one_line(title, empty="")
    if cell_len(name) > room:
        name = set_cell_size(name, max(0, room - 1)).rstrip() + "…"
    middle = Text.assemble((name, STRONG), "   ", votes) if name else votes
    return _ends(middle, end, width)


def scale_line(width: int) -> Text:
    """The seven strengths, laid out like the panes they speak of."""
    wide = width >= 95
    dot = ("  ·  " if wide else " · ", "#4a5563")
    left = _keys((("1", "far"), ("2", "clearly"), ("3", "slightly")))
    right = _keys((("5", "slightly"), ("6", "clearly"), ("7", "far")))
    line = Text.assemble(("◀ left   " if wide else "◀ ", f"bold {LEFT}"), left, dot)
    line.append_text(_keys((("4", "tie"),))).append(*dot).append_text(right)
    line.append("   right ▶" if wide else " ▶", style=f"bold {RIGHT}")
    line.pad_left(max(0, (width - cell_len(line.plain)) // 2))
    return line


def status_line(sentence: str, warn: bool, waiting: str = "") -> Text:
    """What was said last, behind what waits for the next vote."""
    line = Text()
    if waiting:
        line.append("✎ With your next vote: ", style=STRONG).append(waiting, style="bold")
        line.append("   " if sentence else "")
    line.append("▲ " if warn else "", style="bold")
    return line.append(sentence, style="bold" if warn else QUIET)


def in_place_of_a_ballot(turn: Turn, tuned: bool) -> Text:
    """What is being made for the ballot to come, why there is none now, or that all is done."""
    places = f"F2 shows the result, {'F6 the prompts, ' if tuned else ''}u takes your last vote back, q quits."
    if turn.doing:
        text = Text(f"{sentence(turn.doing).rstrip('.')} …\n\n", style=STRONG, justify="center")
        text.append("The next pair shows as soon as it is there.\n\n", style="not bold")
        return text.append(places, style=f"not bold {QUIET}")
    over = turn.again is None or turn.progress.stop
    text = Text("All done\n\n" if over else "Nothing to vote on now\n\n", style=STRONG, justify="center")
    why = sentence(turn.progress.why) or "There is nothing left to compare."
    text.append(f"{why}\n\n", style="not bold")
    if not over:
        text.append("The next pair shows as soon as there is one.\n\n", style="not bold")
    return text.append(places, style=f"not bold {QUIET}")


def keys_line(pairs: tuple[tuple[str, str], ...], ends: tuple[tuple[str, str], ...], width: int) -> Text:
    """Keys with what they do; `ends` stand at the right. What does not fit is left out, from the middle on."""
    right = _keys(ends)
    left = Text()
    for pair in pairs:
        longer = left.copy().append("  " if left else "").append_text(_keys((pair,)))
        if cell_len(longer.plain) + cell_len(right.plain) + 2 > width:
            break
        left = longer
    return _ends(left, right, width)


def _keys(pairs: tuple[tuple[str, str], ...]) -> Text:
    line = Text()
    for key, word in pairs:
        line.append("  " if line else "").append(key, style=STRONG).append(f" {word}", style=QUIET)
    return line


def _ends(left: Text, right: Text, width: int) -> Text:
    gap = width - cell_len(left.plain) - cell_len(right.plain)
    line = Text(no_wrap=True, overflow="ellipsis").append_text(left).append(" " * max(1, gap)).append_text(right)
    line.truncate(width, overflow="ellipsis")
    return line
