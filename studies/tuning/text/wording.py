"""How a task's description can be put in other words, by its form alone: no model reads it.

Every function returns "" where the form is not one it knows; a sentence that could be wrong is not written.
"""

from __future__ import annotations

import re

from studies.tuning.text.segments import segments

_VERBS = (
    "add analyse analyze answer arrange assign calculate categorise categorize check choose classify clean combine "
    "compare complete compose compute continue convert correct count create decide describe detect determine draft "
    "edit evaluate explain express extract fill find fix formulate generate give grade group guess identify improve "
    "infer judge label list mark match name order paraphrase pick predict produce propose provide put rank rate read "
    "recommend remove rephrase replace reply report respond return rewrite say score select shorten simplify solve "
    "sort split spot state suggest summarise summarize tag tell translate turn write"
)
_DEEDS = frozenset(_VERBS.split())
_MAKING = "compose create draft formulate generate give make name produce propose provide suggest write"
_MADE = frozenset(_MAKING.split())
_WHETHER = re.compile(
    r"(?:say|decide|determine|tell|judge|state|check|predict|classify|identify) (?:whether|if) "
    r"(?P<subject>(?:(?!that |which |who |whether )\S+ ){1,8}?)"
    r"(?P<verb>is|are|was|were|has|can|will|should) (?P<rest>.+)",
    re.IGNORECASE,
)
_WHAT = re.compile(r"(?:give|name|find|state|say|provide|return) (?P<what>the .+)", re.IGNORECASE)
_THING = re.compile(r"\b(?:an?|this|each|every|the following|the given) (?P<thing>[\w' -]+)", re.IGNORECASE)
# What ends the name of a thing; behind the first kind stands what the thing is made from.
_AFTER = re.compile(
    r"\b(?:(?P<of>of|for|about|from|on)|is|are|was|were|has|have|can|will|should|does|to|in|into|by|with|as|at|that|"
    r"which|who|and|or|using|under|so|than|between|if|when|without|out|up|whether|mentions?|contains?|expresses|"
    r"describes|says?|means?|follows|sounds?|talks?|needs?)\b"
)


def deed_of(task: str) -> str:
    """What is to be done, as it stands behind "to": say whether a film review is positive or negative."""
    first, rest = _first(task)
    return "" if rest else _deed(first)


def question(task: str) -> str:
    """The task as a question: Is the film review positive or negative?"""
    first, rest = _first(task)
    if first.endswith("?") and not rest:
        return first
    bare = deed_of(task)
    if match := _WHETHER.fullmatch(bare):
        return f"{match['verb'].capitalize()} {_the(match['subject'].strip())} {match['rest']}?"
    if (match := _WHAT.fullmatch(bare)) and " and " not in bare and "," not in bare:
        noun = re.split(r" (?:of|for|in|from|to|that|which|by|with|about)\b", match["what"])[0]
        many = noun.endswith("s") and not noun.endswith(("ss", "us", "is"))
        return f"What {'are' if many else 'is'} {_the(match['what'])}?"
    return ""


def thing(task: str) -> str:
    """What the input is, as it is called in the task: film review."""
    bare = _deed(_first(task)[0])
    verb, start = bare.split(" ", 1)[0], 0
    while match := _THING.search(bare, start):
        words = match["thing"]
        end = _AFTER.search(words)
        name = words[: end.start()].strip() if end else words.strip()
        # What is made is not what is given: what it is made from may be.
        is_product = verb in _MADE and match.start() == len(verb) + 1
        if name and not is_product and not (end and end["of"]) and len(name.split()) <= 3:
            return name
        start = match.start("thing") + max(len(name), 1)
    return ""


def _deed(sentence: str) -> str:
    bare = sentence.rstrip(" .!")
    if bare.split(" ", 1)[0].casefold() not in _DEEDS or bare[-1:] in ("?", ":"):
        return ""
    return bare[0].lower() + bare[1:]


def _first(task: str) -> tuple[str, str]:
    first, *rest = segments(" ".join(task.split())) or [""]
    return first.strip(), "".join(rest)


def _the(words: str) -> str:
    """The words with "the" for each "a": it is the input that is spoken of."""
    return re.sub(r"\b[Aa]n? (?=\w)", "the ", words)
