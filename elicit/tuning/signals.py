"""Automatic signals of a response: what can be told without a judge. They are priors, never truth."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Set

Signal = Callable[[str, str, Set[str]], float]
"""Response, reference, and what the references are where they are of a few kinds -> 0 to 1 where more is better."""

KINDS = 20
"""Labels of a task that is taken to be a classification."""
_FENCE = re.compile(r"^```\w*\n(.*?)\n?```$", re.DOTALL)


def words(text: str) -> list[str]:
    """The words of a text, capitals and marks aside."""
    return re.findall(r"\w+", text.casefold())


def exact_match(response: str, reference: str, kinds: Set[str]) -> float:
    """1 where the response says the reference and nothing else, capitals and marks aside."""
    return float(words(response) == words(reference))


def contains(response: str, reference: str, kinds: Set[str]) -> float:
    """1 where the response names the reference and none of the other labels."""
    text = f" {' '.join(words(response))} "
    named = {kind for kind in {*kinds, reference} if f" {' '.join(words(kind))} " in text}
    others = {kind for kind in named - {reference} if kind not in reference and reference not in kind}
    return float(reference in named and not others)


def f1(response: str, reference: str, kinds: Set[str]) -> float:
    """Harmonic mean of precision and recall over words, as in SQuAD (Rajpurkar et al. 2016)."""
    answer_words, reference_words = Counter(words(response)), Counter(words(reference))
    shared = (answer_words & reference_words).total()
    return 2 * shared / (answer_words.total() + reference_words.total()) if shared else 0.0


def parses(response: str, reference: str, kinds: Set[str]) -> float:
    """1 where the response is JSON, a fence around it aside."""
    bare = response.strip()
    if fenced := _FENCE.match(bare):
        bare = fenced[1]
    try:
        json.loads(bare)
    except ValueError:
        return 0.0
    return 1.0


def length(response: str, reference: str, kinds: Set[str]) -> float:
    """How long the response is: the logarithm of 1 + its words. Longer is not better: votes tell whether it matters."""
    return math.log1p(len(response.split()))


SIGNALS: dict[str, Signal] = {
    "exact_match": exact_match,
    "contains": contains,
    "f1": f1,
    "json": parses,
    "length": length,
}
UNREFERENCED = frozenset({"json", "length"})
"""Signals that need no reference."""
UNDIRECTED = frozenset({"length"})
"""Signals of which more is not better."""


def kinds_of(references: Set[str]) -> Set[str]:
    """The labels, where the references are so few that they are labels."""
    return references if len(references) <= KINDS else frozenset()
