"""Amounts and the router's findings in words: what the screens and the plain mode share."""

from __future__ import annotations

from elicit.safe_text import one_line
from elicit.service import Lean, Routing

NO_ROUTER = "This study has no router: nothing chooses between people and machines."


def percent(share: float) -> str:
    """A share that never says none or all where it is not."""
    if 0 < share < 0.01:
        return "<1 %"
    if 0.99 < share < 1:
        return ">99 %"
    return f"{100 * share:.0f} %"


def part(done: float, total: float) -> str:
    """How much of a total; a dash where there is none."""
    return percent(round(done / total, 6)) if total else "–"


def money(value: float) -> str:
    """An amount without needless digits: 90, 4.25, 0.195, 0.0004."""
    if value < 1:
        return "<0.0001" if 0 < value < 0.0001 else f"{value:.3g}"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def standing(routing: Routing) -> tuple[str, str]:
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


def leaning(lean: Lean) -> str:
    """A bias in words; where the interval has 0 in it, none is shown."""
    alone = "" if lean.humans or lean.name == "position" else ", no people to compare with"
    if not lean.sure:
        return f"no bias shown{alone}"
    known = {"position": ("first shown", "second shown"), "length": ("longer", "shorter")}
    more, less = known.get(lean.name, (f"one with more {one_line(lean.name)}", f"one with less {one_line(lean.name)}"))
    return f"favours the {more if lean.value > 0 else less}{alone}"
