"""A tuning session as commands run it: judges that vote by themselves, and what is told at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from adapters.target import DownError, SpentError
from elicit.safe_text import harmless, one_line
from elicit.types import BadInputError
from studies import spec as specs
from studies.run import run
from studies.study import Study
from studies.tuning.result import held_out, result_of
from studies.tuning.tuner import Tuner


def check(study: Path) -> None:
    """Raises BadInputError unless there is a study that tunes prompts."""
    if specs.read(study / specs.FILE).tuning is None:
        raise BadInputError(
            f"{study} tunes no prompts; vote in it with 'elicit vote', or make one with 'elicit init --tune'"
        )


def automatic(study: Path, votes: int | None, report: Callable[[int, float], None], say: Callable[[str], None]) -> int:
    """Let the configured judges vote; returns the exit code. Raises as `studies.run.run` does."""
    with Study.open(study) as opened:
        why = run(opened, votes, lambda done, money: report(done, money + opened.state.cost))
        say(f"{len(opened.state.votes)} votes; {why}")
        return 0 if votes is not None or opened.stop().stop or len(opened.state.votes) >= opened.spec.votes else 3


def conclude(study: Path, *, measure: bool, report: Callable[[int], None]) -> dict[str, Any]:
    """How the prompts stand, as plain values. measure: have the best prompt and the seed respond to the inputs held
    out, as far as they have not yet; `unmeasured` says why that could not be."""
    with Study.open(study, writable=measure) as opened:
        unmeasured = asyncio.run(_measure(opened, report)) if measure else ""
        if len(opened.state.items) < 2:
            return {"study": str(study), "votes": 0, "prompts": len(opened.state.items), "unmeasured": unmeasured}
        found: dict[str, Any] = msgspec.to_builtins(result_of(opened))
        return found | {"unmeasured": unmeasured}


async def _measure(study: Study, report: Callable[[int], None]) -> str:
    if len(study.state.items) < 2 or not study.state.votes:
        return ""
    cells = [cell for cell in held_out(study) if cell not in study.state.responses]
    if not cells:
        return ""
    tuner = Tuner(study, lambda _, done, total: report(done))
    try:
        await tuner.respond(cells, reserve=False)
    except (DownError, SpentError) as error:
        return str(error)
    finally:
        await tuner.end()
    return ""


def lines_of(found: dict[str, Any]) -> list[str]:
    """The result for a person."""
    if "seed" not in found:
        return [f"There are {found['prompts']} prompts and no votes yet: elicit tune {found['study']}"]
    best, seed = found["best"], found["seed"]
    lines = []
    if best is None:
        lines.append(f"No prompt is recommended: {found['safety']}.")
    elif not found["votes"]:
        lines.append(f"No vote has been cast on the {found['prompts']} prompts yet; {found['why']}.")
    else:
        lines += [f"The best of {found['prompts']} prompts after {found['votes']} votes: {one_line(best['item'])}", ""]
        lines += [f"    {line}" for line in harmless(best["text"]).splitlines()]
        lines += ["", f"P(best) {best['p_best']:.0%}; {found['why']}."]
    if found["win_rate"]:
        mean, low, high = found["win_rate"]
        lines.append(
            f"On inputs not seen it is preferred to the first prompt, {one_line(seed['item'])}, {mean:.0%} of the time "
            f"({low:.0%} to {high:.0%})."
        )
    for margin in found["margins"]:
        lines.append(
            f"On {margin['inputs']} held-out inputs: {margin['signal']} {margin['best']:.0%}, the first prompt "
            f"{margin['seed']:.0%}; difference {margin['margin']:+.0%} ({margin['low']:+.0%} to {margin['high']:+.0%})."
        )
    if found["safety"] and best is not None:
        lines.append(f"Safety: {found['safety']}.")
    if found["unmeasured"]:
        lines.append(f"Not measured on the held-out inputs: {found['unmeasured']}.")
    if found["runners"]:
        lines += ["", "Then come"]
        lines += [
            f"  {one_line(row['item']):8} P(best) {row['p_best']:4.0%}  utility {row['utility']:+.2f} "
            f"({row['low']:+.2f} to {row['high']:+.2f})  {one_line(row['text'])[:60]}"
            for row in found["runners"]
        ]
    if found["parts"]:
        lines += ["", "What matters in it (logits, 90 %)"]
        lines += [
            f"  {part['value']:+.2f} ({part['low']:+.2f} to {part['high']:+.2f})  {one_line(part['text'])[:70]}"
            for part in found["parts"]
        ]
    if best is not None and found["votes"] and best["row"] != seed["row"]:
        marks = {" ": "{}", "-": "[-{}-]", "+": "{{+{}+}}"}
        words = "".join(marks[kind].format(harmless(text)) for kind, text in found["diff"])
        lines += ["", "What changed", *(f"    {line}" for line in words.splitlines())]
    failed = f", {found['failures']} failed" if found["failures"] else ""
    money = f", {found['cost']:.4g} in money" if found["cost"] else ""
    lines += ["", f"It took {found['votes']} votes, {found['calls']} model calls{failed}{money}."]
    return lines
