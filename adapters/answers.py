"""From a model's replies to probabilities: what it chose among labels, and how surely."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from adapters.chat import Reply, Token, is_label

T = TypeVar("T")

_THOUGHT = "</think>"
_LEAST = 1e-9  # probability a label keeps, so that log-odds stay finite
_WHOLE = r"(?!\w|[.,]\d)"
# A lone letter that goes on as a sentence is an article ("A good ..."), unless the sentence is about it ("A is ...").
_NO_ARTICLE = r"(?=\W*$|[^\w\s]|\s*\n|\s+(?:is|was|wins|because|since)\b)"


class ParseError(ValueError):
    """The reply holds no answer; the message is a short reason."""


def chances(replies: Sequence[Reply], labels: Sequence[str], after: str = "") -> tuple[float, ...]:
    """Probabilities of the labels, in their order; they sum to 1.

    From the log-probabilities at the answer's token of the first reply that has them, the variants of a label (" A",
    "A", "**A") added up; a label that is not among the alternatives gets the least of their probabilities, which
    bounds its own. Without log-probabilities, from the answers counted over the replies under a Dirichlet prior of
    total weight 1 (Perks 1947), so that one answer of two gives 3 : 1.
    after: what stands before the answer, the last time it occurs. Raises ParseError where no reply holds an answer.
    """
    counts = [1 / len(labels)] * len(labels)
    errors = []
    for reply in replies:
        try:
            start = _start(reply, after)
        except ParseError as error:
            errors.append(error)
            continue
        said, place = _stated(reply.text, start, labels)
        token = _answer_token(reply.tokens, labels, said, place, opening=start == 0)
        if token is not None:
            return _from_top(token.top, labels)
        if said is None:
            errors.append(ParseError(f"the reply names none of {', '.join(labels)}: {shortened(reply.text[start:])}"))
        else:
            counts[said] += 1
    if len(errors) == len(replies):
        raise errors[0]
    return tuple(count / sum(counts) for count in counts)


def log_odds(first: float, second: float, tie: float = 0.0) -> float:
    """Log-odds of the first against the second, a tie counted half to each; finite."""
    return math.log(max(first + tie / 2, _LEAST) / max(second + tie / 2, _LEAST))


def reasoning(reply: Reply, after: str) -> str:
    """What the model wrote before its answer; nothing where it was not asked to."""
    return reply.text[: reply.text.rfind(after)].strip() if after and after in reply.text else ""


def read_json(reply: Reply, shape: type[T]) -> T:
    """The JSON object in a reply, however it is wrapped.

    Raises ParseError where there is none of that shape.
    """
    text = reply.text[_start(reply, "") :]
    try:
        return msgspec.json.decode(text[text.index("{") : text.rindex("}") + 1], type=shape)
    except (ValueError, RecursionError) as error:
        if reply.cut:
            raise ParseError("the reply was cut at max_tokens; raise it") from None
        why = str(error) if isinstance(error, msgspec.ValidationError) else f"no JSON object in {shortened(text)}"
        raise ParseError(f"the reply is not what was asked for: {why}") from None


def shortened(text: str) -> str:
    """The beginning of a text, on one line, quoted."""
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else line[:57] + "...")


def _start(reply: Reply, after: str) -> int:
    """Where in the reply the answer may begin."""
    start = reply.text.rfind(_THOUGHT) + len(_THOUGHT) if _THOUGHT in reply.text else 0
    if not reply.text[start:].strip():
        raise ParseError("the reply was cut at max_tokens; raise it" if reply.cut else "the reply is empty")
    if not after:
        return start
    place = reply.text.rfind(after, start)
    if place < 0:
        cut = "it was cut at max_tokens; raise it" if reply.cut else shortened(reply.text[start:])
        raise ParseError(f"the reply has no {after!r}: {cut}")
    return place + len(after)


def _stated(text: str, start: int, labels: Sequence[str]) -> tuple[int | None, int]:
    """Which label the text states at that place, and where; None where it states none."""
    names = "|".join(
        re.escape(label) + (_NO_ARTICLE if len(label) == 1 and label.isalpha() else _WHOLE)
        for label in sorted(labels, key=len, reverse=True)
    )
    pattern = rf"[^\w{{]*(?:(?:the|response|answer|option|score|better|is)\b\W*)*({names})"
    found = re.compile(pattern, re.IGNORECASE).match(text, start)
    if found is None:
        return None, start
    said = (number for number, label in enumerate(labels) if is_label(found.group(1), label))
    return next(said, None), found.start(1)


def _answer_token(
    tokens: Sequence[Token], labels: Sequence[str], said: int | None, place: int, *, opening: bool
) -> Token | None:
    """The token where the stated label stands; where none is stated, the reply's first, if that is its place."""
    if said is None:
        found = tokens[:1] if opening else ()
    else:
        found = [token for token in tokens if token.start <= place < token.start + len(token.text)]
    return next((t for t in found if any(is_label(name, label) for name in t.top for label in labels)), None)


def _from_top(top: dict[str, float], labels: Sequence[str]) -> tuple[float, ...]:
    probabilities = [math.exp(min(p, 0.0)) for p in top.values()]
    bound = min(max(min(probabilities), _LEAST), max(1 - sum(probabilities), _LEAST))
    found = []
    for label in labels:
        own = sum(p for token, p in zip(top, probabilities, strict=True) if is_label(token, label))
        found.append(max(own, bound))
    return tuple(p / sum(found) for p in found)
