"""A tuning session as commands run it: judges that vote by themselves, and what is told at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec

from adapters.llm.calls import Prices
from adapters.llm.chat import Request
from adapters.llm.target import DownError, SpentError
from elicit.safe_text import full_stop, harmless, one_line, percent
from elicit.tuning.protocol import fill
from elicit.types import BadInputError
from studies import spec as specs
from studies.run import run
from studies.study import Study
from studies.tuning.result import held_out, result_of
from studies.tuning.tuner import Tuner

Bar = AbstractContextManager[Callable[[int, float], None]]
"""Shows how much is done of something, and the money."""


def check(study: Path) -> None:
    """Raises BadInputError unless there is a study that tunes prompts."""
    if specs.read(study / specs.FILE).tuning is None:
        raise BadInputError(
            f"{study} tunes no prompts; vote in it with 'elicit vote', or make one with 'elicit init --tune'"
        )


def automatic(study: Path, votes: int | None, bar: Callable[[int], Bar], say: Callable[[str], None]) -> int:
    """Let the configured judges vote; returns the exit code. bar: shows how many votes of so many there are, and the
    money. Raises as `studies.run.run` does."""
    with Study.open(study) as opened:
        budget = max(1, opened.spec.votes - len(opened.state.votes))
        with bar(budget if votes is None else min(votes, budget)) as step:
            result = run(opened, votes, lambda done, money: step(done, money + opened.state.cost))
        say(result.summary(len(opened.state.votes)))
        return result.exit_code


class Measuring(msgspec.Struct, frozen=True):
    """What measuring the result on the held-out inputs takes: of `total` responses `done` are there, and the others
    cost about `about` in money, `most` at most."""

    inputs: int
    done: int
    total: int
    about: float
    most: float

    @property
    def sentence(self) -> str:
        """It in words, as a question."""
        price = f" and about {self.about:.2g} in money, {self.most:.2g} at most" if self.most else ""
        return (
            f"Measure the best prompt and the first one on the {self.inputs} inputs held out? {self.done} of "
            f"{self.total} responses are there; the others take {self.total - self.done} model calls{price}."
        )


def conclude(study: Path, *, agree: Callable[[Measuring], bool], report: Callable[[int, int], None]) -> dict[str, Any]:
    """How the prompts stand, as plain values. agree: whether to have the best prompt and the seed respond to the inputs
    held out, as far as they have not yet, given what it takes; `unmeasured` says why that was not done. report: called
    with the responses made and how many are to be."""
    with Study.open(study, writable=False) as opened:
        plan = _plan_measuring(opened)
    wanted = plan.done < plan.total
    measure = wanted and agree(plan)
    unmeasured = f"it was not asked for; measure with: elicit tune {study} --result" if wanted and not measure else ""
    with Study.open(study, writable=measure) as opened:
        unmeasured = asyncio.run(_measure(opened, report)) if measure else unmeasured
        if len(opened.state.items) < 2:
            return {"study": str(study), "votes": 0, "prompts": len(opened.state.items), "unmeasured": unmeasured}
        result: dict[str, Any] = msgspec.to_builtins(result_of(opened))
        return result | {"unmeasured": unmeasured}


def _plan_measuring(study: Study) -> Measuring:
    state = study.state
    if len(state.items) < 2 or not state.votes:
        return Measuring(0, 0, 0, 0.0, 0.0)
    cells = held_out(study)
    missing = [cell for cell in cells if cell not in state.responses]
    assert study.spec.tuning is not None
    target = study.spec.tuning.target
    prompts = (
        Request("", fill(state.items[row].text, state.inputs[input_row]), target.max_tokens)
        for row, input_row in missing
    )
    prices = Prices.of(target.api, target.price_in, target.price_out)
    most = sum(prices.most(prompt.tokens_in, prompt.max_tokens) for prompt in prompts)
    paid = [response.cost for response in state.responses.values() if response.cost]
    about = min(most, len(missing) * sum(paid) / len(paid)) if paid else most
    return Measuring(len({input_row for _, input_row in cells}), len(cells) - len(missing), len(cells), about, most)


async def _measure(study: Study, report: Callable[[int, int], None]) -> str:
    cells = [cell for cell in held_out(study) if cell not in study.state.responses]
    tuner = Tuner(study, lambda _, done, total: report(done, total))
    try:
        await tuner.respond(cells, reserve=False)
    except (DownError, SpentError) as error:
        return str(error)
    finally:
        await tuner.end()
    return ""


def lines_of(result: dict[str, Any]) -> list[str]:
    """The result for a person."""
    if "seed" not in result:
        return [f"There are {result['prompts']} prompts and no votes yet: elicit tune {result['study']}"]
    best, seed = result["best"], result["seed"]
    lines = []
    if best is None:
        lines.append(full_stop(f"No prompt is recommended: {result['safety']}"))
    elif result["guessed"]:
        lines += [f"Recommended: {one_line(best['item'])}; no vote speaks for it yet.", full_stop(result["why"])]
    else:
        lines += [
            f"The best of {result['prompts']} prompts after {result['votes']} votes: {one_line(best['item'])}",
            "",
        ]
        lines += [f"    {line}" for line in harmless(best["text"]).splitlines()]
        lines += ["", full_stop(f"P(best) {percent(best['p_best'])}; {result['why']}")]
    if result["win_rate"]:
        mean, low, high = result["win_rate"]
        lines.append(
            f"On inputs not seen it is preferred to the first prompt, {one_line(seed['item'])}, {percent(mean)} of the "
            f"time ({percent(low)} to {percent(high)})."
        )
    for margin in result["margins"]:
        lines.append(
            f"On {margin['inputs']} held-out inputs: {margin['signal']} {percent(margin['best'])}, the first prompt "
            f"{percent(margin['seed'])}; difference {100 * margin['margin']:+.0f} % "
            f"({100 * margin['low']:+.0f} % to {100 * margin['high']:+.0f} %)."
        )
    if result["safety"] and best is not None:
        lines.append(full_stop(f"Safety: {result['safety']}"))
    if result["unmeasured"]:
        lines.append(full_stop(f"Not measured on the held-out inputs: {result['unmeasured']}"))
    if result["runners"]:
        lines += ["", "Then come"]
        lines += [
            f"  {one_line(row['item']):8} P(best) {percent(row['p_best']):>5}  utility {row['utility']:+.2f} "
            f"({row['low']:+.2f} to {row['high']:+.2f})  {one_line(row['text'])[:60]}"
            for row in result["runners"]
        ]
    if result["parts"]:
        lines += ["", "What matters in it (logits, 90 %)"]
        lines += [
            f"  {part['value']:+.2f} ({part['low']:+.2f} to {part['high']:+.2f})  {one_line(part['text'])[:70]}"
            for part in result["parts"]
        ]
    if best is not None and result["votes"] and best["row"] != seed["row"]:
        marks = {" ": "{}", "-": "[-{}-]", "+": "{{+{}+}}"}
        words = "".join(marks[kind].format(harmless(text)) for kind, text in result["diff"])
        lines += ["", "What changed", *(f"    {line}" for line in words.splitlines())]
    if result["shortfalls"]:
        lines += ["", full_stop(one_line(result["shortfalls"]))]
    judges = f", {result['judge_calls']} calls of judges" if result["judge_calls"] else ""
    money = f", {result['cost']:.4g} in money" if result["cost"] else ""
    money += f", {result['judge_cost']:.4g} of it for judges" if result["judge_cost"] else ""
    lines += ["", f"It took {result['votes']} votes, {result['calls']} model calls{judges}{money}."]
    return lines
