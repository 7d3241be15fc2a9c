"""What `elicit status` prints: the values of `studies.reporting.status.status_of`, for a reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from elicit.safe_text import one_line, percent, quantity
from studies.outlook import Outlook
from studies.routing import failures

WIDTH = 100
"""Characters of a text that one line shows."""
SHOWN = 20
"""Rows of an order that are printed; `--json` has all."""


def status_lines(values: dict[str, Any]) -> list[str]:
    """The lines."""
    return [
        _size(values),
        *_conclusion(values),
        *_people(values),
        *(f"  {line}" for line in failures.lines_of(msgspec.convert(values["failures"], dict[str, failures.Failed]))),
        *_routing(values),
        verdict(Outlook(values["met"], values["ended"], values["why"], values["votes_left"])),
    ]


def _size(values: dict[str, Any]) -> str:
    undone = f", {values['undone']} taken back" if values["undone"] else ""
    what = quantity(values["pairs"], "pair") if "pairs" in values else quantity(values["items"], "item")
    retired = f" ({values['retired']} retired)" if values["retired"] else ""
    return (
        f"{values['title']}: {values['votes']} of at most {quantity(values['budget'], 'vote')}{undone}, {what}{retired}"
    )


def _conclusion(values: dict[str, Any]) -> Iterator[str]:
    """What the votes have come to, by the study's goal."""
    if values["goal"] == "label":
        machines = f", {values['labelled_by_machines']} by machines" if values["labelled_by_machines"] else ""
        rest = f", the other {values['labelled_by_model']} by the model" if values["labelled_by_model"] else ""
        yield f"pairs: {values['labelled_by_votes']} of {values['pairs']} labelled by votes{machines}{rest}"
        shares = values["labels"]
        if not values["labelled_by_votes"] + values["labelled_by_machines"]:
            yield "  no vote speaks for these labels yet"
            return
        tie = f", a tie in {shares['tie']}" if shares["tie"] else ""
        yield f"  the first response is better in {shares['a']}, the second in {shares['b']}{tie}"
    elif values["goal"] == "top":
        rows = values["top"]
        wrong = values["expected_regret"] * len(rows)
        yield f"the top {len(rows)}, of which about {wrong:.1f} are expected not to belong there:"
        for row in rows[:SHOWN]:
            yield _row(row, f"in the top {len(rows)}: {percent(row['p_top'])}")
        yield from _rest_line(rows)
    elif values["goal"] == "rank":
        rows = values["order"]
        share = percent(values["expected_regret"])
        yield f"the order, the best first; {share} of all pairs are expected to be wrong in it:"
        for row in rows[:SHOWN]:
            yield _row(row, "" if row["p_above"] is None else f"better than the next: {percent(row['p_above'])}")
        yield from _rest_line(rows)
    elif best := values.get("best"):
        low, high = best["interval"]
        yield f"recommended: {one_line(best['id'])}  {_shorten(best['text'])}"
        sure = f"P(best) {percent(best['p_best'])}" if values["taught"] else "no vote speaks for it yet"
        yield f"  {sure}, utility {best['utility']:.2f} logits, 90 % in {low:.2f} to {high:.2f}"
    else:
        yield "recommended: nothing yet, for no prompt is known to be acceptable"


def _row(row: dict[str, Any], sure: str) -> str:
    text = "" if row["text"] == row["id"] else f"  {_shorten(row['text'])}"
    return f"{row['rank']:>4}. {one_line(row['id'])}{text}" + (f"  ({sure})" if sure else "")


def _rest_line(rows: list[Any]) -> Iterator[str]:
    if len(rows) > SHOWN:
        yield f"      and {len(rows) - SHOWN} more: --json tells all"


def _shorten(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def _people(values: dict[str, Any]) -> Iterator[str]:
    for row in values.get("annotators", []):
        within = f"95 % in {percent(row['low'])} to {percent(row['high'])}"
        right = f"names the better side in {percent(row['accuracy'])}, {within}"
        again = f"; said the same in {row['repeated']} of {row['repeats']} repeats" if row["repeats"] else ""
        yield f"  {one_line(row['judge'])}: {row['votes']} votes, {right}{again}"


def _routing(values: dict[str, Any]) -> list[str]:
    if "routing" not in values:
        return []
    from studies.reporting.routing import lines_of

    return lines_of(values["routing"])


def verdict(now: Outlook) -> str:
    """Whether to go on, for how long, and why."""
    if now.met:
        return f"stop: {now.why}"
    if now.ended:
        return f"over, with the stop rule not met: {now.ended}"
    if now.votes_left is None:
        return f"go on: {now.why}; how many votes that takes is not known yet"
    low, middle, high = now.votes_left
    votes = f"{middle} more {'vote' if middle == 1 else 'votes'}"
    return f"go on for {votes if low == high else f'about {votes} ({low} to {high}, 80 % interval)'}: {now.why}"
