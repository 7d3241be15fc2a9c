"""What a proposal has to be before it joins a study: within the rules, and new.

Prompts are near-duplicates where a person would call the difference empty: the same words in the same order but for
layout, punctuation, articles and their like, and for words that mean the same (film, movie). How a whole prompt's
vector lies cannot tell that, because the mean of its words sees neither their order nor a "not" among sixty words; so
words are compared one by one, in their places.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from adapters import embedder
from elicit.tuning.placeholders import why_not_filled, with_places
from elicit.tuning.protocol import PLACE, Proposal, Rules
from studies.tuning.text.segments import segments

SYNONYMS = 0.6
"""Cosine from which two words' vectors count as one meaning. In the default embedder step and steps have .77, film and
movie .84, answer and reply .63; acceptable and unacceptable .52, correct and incorrect .50, one and two .38."""
# "A:" is a cue; "a" is an article.
_WORD = re.compile(r"\{\w+\}|\b\w:|\w+|[^\w\s.,;:!?\"'()*`_-]")
_EMPTY = "a an the this that these those of to is are be been please kindly following given your its it"
_VOID = frozenset(_EMPTY.split())

Embed = Callable[[Sequence[str]], NDArray[np.float32]]


def admissible(
    proposals: Sequence[Proposal],
    texts: Iterable[str],
    rules: Rules,
    fields: Sequence[str] = (),
    embed: Embed = embedder.embed,
) -> tuple[list[Proposal], dict[str, int]]:
    """The proposals that may join, in their order, and how many were dropped for which reason.

    fields: of the inputs, for which the places of prompts stand. texts: those of all prompts the study has or had;
    what is nearly one of them is dropped, a retired one too.
    Of proposals that are nearly the same the first is kept.
    """
    plain_texts: set[str] = set()
    meanings = _Meanings(embed)
    for text in texts:
        plain_texts.add(plain(text))
        meanings.add(text)
    kept, dropped = list[Proposal](), Counter[str]()
    for proposal in proposals:
        unfilled = why_not_filled(proposal.text, fields)
        proposal = msgspec.structs.replace(proposal, text=with_places(proposal.text, fields))
        exact = plain(proposal.text)
        if not any(sign.isalnum() for sign in PLACE.sub("", exact)):
            dropped["it has no words"] += 1
        elif unfilled:
            dropped["it has a place that no input fills"] += 1
        elif why := _why_broken(proposal.text, rules):
            dropped[why] += 1
        elif _repeats_itself(proposal.text):
            dropped["it repeats itself"] += 1
        elif exact in plain_texts:
            dropped["it is there already"] += 1
        elif meanings.has(proposal.text):
            dropped["one that says the same is there already"] += 1
        else:
            plain_texts.add(exact)
            meanings.add(proposal.text)
            kept.append(proposal)
    return kept, dict(dropped)


def plain(text: str) -> str:
    """The text with every run of white space as one space: what makes two prompts the same prompt."""
    return " ".join(text.split())


def same(a: str, b: str, embed: Embed = embedder.embed) -> bool:
    """Whether two prompts say the same; see the module."""
    meanings = _Meanings(embed)
    meanings.add(a)
    return meanings.has(b)


def _why_broken(text: str, rules: Rules) -> str:
    # The rule's own words name the length, which would make each too long prompt a reason of its own.
    return f"it is longer than {rules.longest} characters" if len(text) > rules.longest else rules.broken(text)


def _repeats_itself(text: str) -> bool:
    """Whether most of a text's parts are repetitions, as when a small model does not find an end."""
    parts = [plain(part) for part in segments(text)]
    return len(parts) > 3 and 2 * len(set(parts)) < len(parts)


class _Meanings:
    """The meaningful words of texts, and whether a new text has the same."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self._of_length: defaultdict[int, list[tuple[str, ...]]] = defaultdict(list)

    def add(self, text: str) -> None:
        words = _words(text)
        self._of_length[len(words)].append(words)

    def has(self, text: str) -> bool:
        words = _words(text)
        return any(
            all(a == b or self._synonyms(a, b) for a, b in zip(words, other, strict=True))
            for other in self._of_length[len(words)]
        )

    def _synonyms(self, a: str, b: str) -> bool:
        # A place and a number stand for themselves alone; so does a sign.
        if not (a.isalpha() and b.isalpha()):
            return False
        if new := [word for word in (a, b) if word not in self._vectors]:
            self._vectors.update(zip(new, self._embed(new), strict=True))
        return float(self._vectors[a] @ self._vectors[b]) >= SYNONYMS


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in _WORD.findall(text.casefold()) if word not in _VOID)
