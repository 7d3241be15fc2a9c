"""What proposers that ask a model have in common: which prompt to work on, what it is asked, and what it wrote."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from adapters.llm.prompting import Prompt, read_prompt
from adapters.llm.reasoning import without_reasoning
from elicit.tuning.protocol import Candidate, Loss, Pool, Proposal, Writer
from elicit.types import BadInputError
from studies.tuning.text.segments import segments

FOLDER = Path(__file__).parent / "prompts"
WAYS = (
    "shorter and plainer",
    "with an exact description of what the answer looks like",
    "with the terms of the task explained",
    "as steps in a numbered list",
    "with a rule for cases that are hard to decide",
    "with other words and in another order",
    "as a question",
    "with the most important demand at the end",
)
_SHOWN = 1500  # characters of a text that the writer is shown
_REPLY = 60_000  # characters of a reply that are read
_FENCED = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
_CODE_LINE = re.compile(r"(?m)^\[/?[0-9a-f]{8}\][ \t]*\n?")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


class Asking:
    """A prompt for the model that writes, and the model.

    name: whose prompt, a file in `prompts/`; prompt: a file of the user's own instead, "" for none.

    Raises BadInputError where the file is no prompt.
    """

    def __init__(self, name: str, prompt: str = "") -> None:
        self._path = Path(prompt) if prompt else FOLDER / f"{name}.toml"
        self._prompt: Prompt = read_prompt(self._path)

    async def __call__(
        self,
        write: Writer,
        texts: Mapping[str, str],
        words: Mapping[str, Any],
        examples: Iterable[Mapping[str, str]],
        draft: int,
    ) -> str:
        """The reply, without what the model thought first and without fences; long texts are shown cut.

        Raises OSError where the model cannot answer, BadInputError where the prompt cannot be filled.
        """
        shown = {name: _cut(text) for name, text in texts.items()}
        cases = [{name: _cut(text) for name, text in example.items()} for example in examples]
        try:
            system, user = self._prompt.fill(shown, words, cases)
        except jinja2.TemplateError as error:
            raise BadInputError(f"{self._path} cannot be filled ({error}); mend it after one of {FOLDER}") from None
        reply = await write(system, user, draft)
        answer = without_reasoning(reply)
        return _CODE_LINE.sub("", _CONTROLS.sub("", answer.replace("\r\n", "\n")[:_REPLY]))


def demands(pool: Pool, places: Sequence[str]) -> dict[str, Any]:
    """What every prompt for the writer is told of a study."""
    rules = pool.rules
    return {
        "task": pool.task,
        "places": places,
        "keep": rules.keep,
        "forbid": rules.forbid,
        "longest": rules.longest,
    }


def cases(losses: Iterable[Loss]) -> list[dict[str, str]]:
    """Lost votes as examples of a prompt."""
    return [
        {
            "input": loss.input,
            "response": loss.response,
            "preferred": loss.preferred,
            "reference": loss.reference,
            "reasons": ", ".join(loss.reasons),
            "note": loss.note,
        }
        for loss in losses
    ]


def likely_best(prompts: Sequence[Candidate], rng: np.random.Generator) -> Candidate | None:
    """The best under one draw of the utilities (Thompson sampling); None where there is none."""
    utilities = [prompt.utility + prompt.sd * rng.standard_normal() for prompt in prompts]
    return prompts[int(np.argmax(utilities))] if utilities else None


def sample_losses(losses: Sequence[Loss], n: int, rng: np.random.Generator) -> list[Loss]:
    """n of the newest lost votes, drawn among twice as many, so that drafts do not all see the same."""
    newest = losses[: 2 * n]
    return [newest[i] for i in sorted(rng.permutation(len(newest))[:n])]


def marked_text(reply: str, tag: str) -> str:
    """What the writer put between <tag> and </tag>, the last pair and the innermost; else in its last code block.

    A mark that is not closed counts where the text ends as a text does. "" where nothing is marked.
    """
    opening, closing = f"<{tag}>", f"</{tag}>"
    lower = reply.lower() if len(reply.lower()) == len(reply) else reply
    end = lower.rfind(closing)
    start = lower.rfind(opening, 0, max(end, 0))
    if start >= 0:
        text = reply[start + len(opening) : lower.find(closing, start)]
    elif (start := lower.rfind(opening)) >= 0 and re.search(r"[.!?:}>\"')\]。！？]\s*\Z", reply):
        text = reply[start + len(opening) :]
    else:
        blocks = _FENCED.findall(reply)
        text = blocks[-1] if blocks else ""
    if inner := _FENCED.fullmatch(text.strip()):
        text = inner[1]
    text = re.sub(rf"</?{tag}>", "", text, flags=re.IGNORECASE).strip()
    # The dots of the request, said again.
    return text if any(sign.isalnum() for sign in text) else ""


def critique(reply: str, tag: str) -> str:
    """What the writer said before its text, the first sentence of it."""
    remarks = re.split(rf"<{tag}>|```", reply, maxsplit=1, flags=re.IGNORECASE)[0] if marked_text(reply, tag) else ""
    parts = segments(" ".join(remarks.replace("*", "").replace("#", "").split())[:2000])
    return parts[0].strip()[:300] if parts else ""


async def gather_drafts(drafts: Sequence[Awaitable[Proposal | None]]) -> list[Proposal]:
    """What came of several drafts, asked at the same time, in their order.

    A draft that failed is left out. Raises OSError where all that were asked failed.
    """
    results = await asyncio.gather(*drafts, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    if other := [failure for failure in failures if not isinstance(failure, OSError)]:
        raise other[0]
    if failures and len(failures) == len(results):
        raise failures[0]
    return [result for result in results if isinstance(result, Proposal)]


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} [...]"
