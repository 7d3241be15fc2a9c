"""From a model's replies to probabilities: what it chose among labels, and how surely."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from adapters.llm.chat import Reply, ReplyToken, is_label
from adapters.llm.lenient_json import objects_in
from adapters.llm.reasoning import is_empty, without_reasoning
from adapters.llm.verdicts import ParseError, read_verdict, shorten

T = TypeVar("T")

_LEAST = 1e-9  # probability a label keeps, so that log-odds stay finite
_CUT = "the reply was cut at max_tokens; raise it"


def chances(replies: Sequence[Reply], labels: Sequence[str], after: str = "") -> tuple[float, ...]:
    """Probabilities of the labels, in their order; they sum to 1.

    From the log-probabilities at the answer's token of the first reply that has them, the variants of a label (" A",
    "A", "**A") added up; a label that is not among the alternatives gets the least of their probabilities, which bounds
    its own. Without log-probabilities, from the answers counted over the replies under a Dirichlet prior of total
    weight 1 (Perks 1947), so that one answer of two gives 3 : 1. Where one token alone was asked for, the chances that
    the labels have there count, whichever token was drawn. after: what stands before the answer, the last time it
    occurs (see `adapters.llm.verdicts`). Raises ParseError where no reply holds an answer.
    """
    counts = [1 / len(labels)] * len(labels)
    errors = []
    for reply in replies:
        if reply.cut and len(reply.tokens) == 1 and (only := _token_at(reply.tokens, labels, 0)) is not None:
            return _from_top(only.top, labels)
        try:
            text, start = _answer(reply)
            verdict = read_verdict(text, labels, after)
        except ParseError as error:
            errors.append(error)
            continue
        token = None if verdict.place is None else _token_at(reply.tokens, labels, start + verdict.place)
        if token is not None:
            return _from_top(token.top, labels)
        counts = [count + weight for count, weight in zip(counts, verdict.weights, strict=True)]
    if len(errors) == len(replies):
        raise errors[0]
    return tuple(count / sum(counts) for count in counts)


def log_odds(first: float, second: float, tie: float = 0.0) -> float:
    """Log-odds of the first against the second, a tie counted half to each; finite."""
    return math.log(max(first + tie / 2, _LEAST) / max(second + tie / 2, _LEAST))


def reasoning(reply: Reply, after: str) -> str:
    """What the model wrote before its answer; nothing where it was not asked to."""
    words = re.findall(r"\w+", after)
    pattern = r"\W+".join(map(re.escape, words)) if words else re.escape(after)
    marks = list(re.finditer(pattern, reply.text, re.IGNORECASE)) if after else []
    return without_reasoning(reply.text[: marks[-1].start()]).strip(" \t\r\n*_#`\"'({[<") if marks else ""


def read_object(reply: Reply, read: Callable[[dict[str, Any]], T]) -> T:
    """What `read` makes of the JSON object in a reply, however it is wrapped. read raises ParseError where the object
    is not the one that was asked for.

    Raises ParseError where there is no such object, or where several say different things.
    """
    text, _ = _answer(reply)
    results, errors = list[T](), list[ParseError]()
    for _, _, value in objects_in(text):
        try:
            results.append(read(value))
        except ParseError as error:
            errors.append(error)
    if not results:
        none = ParseError(f"the reply is not what was asked for: no JSON object in {shorten(text)}")
        raise errors[0] if errors else none
    if any(other != results[0] for other in results):
        raise ParseError(f"the reply holds several objects that differ: {shorten(text)}")
    return results[0]


def _answer(reply: Reply) -> tuple[str, int]:
    """What a reply says after what the model thought, and where in it that begins (-1: in several places).

    Raises ParseError where it is empty or cut: what was cut could have gone on to say the contrary.
    """
    text = without_reasoning(reply.text)
    start = reply.text.rfind(text)
    if reply.cut:
        raise ParseError(_CUT)
    if is_empty(text):
        raise ParseError("the reply is empty")
    return text, start


def _token_at(tokens: Sequence[ReplyToken], labels: Sequence[str], place: int) -> ReplyToken | None:
    """The token where a label stands, if labels are among what could stand there."""
    there = (token for token in tokens if token.start <= place < token.start + len(token.text))
    return next((t for t in there if any(is_label(name, label) for name in t.top for label in labels)), None)


def _from_top(top: dict[str, float], labels: Sequence[str]) -> tuple[float, ...]:
    probabilities = [math.exp(min(p, 0.0)) for p in top.values()]
    bound = min(max(min(probabilities), _LEAST), max(1 - sum(probabilities), _LEAST))
    weights = []
    for label in labels:
        own = sum(p for token, p in zip(top, probabilities, strict=True) if is_label(token, label))
        weights.append(max(own, bound))
    return tuple(p / sum(weights) for p in weights)
