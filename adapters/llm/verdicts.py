"""Which of the labels a model's words state as its verdict: a grammar of whole clauses.

A clause counts only where all of it is one of these, with nothing but markup around it; any other words are reasons.

    so?  NOUN? X                            the label alone, at the start or the end of the reply
    MARK : X                                "Verdict: X", "the better response is X", \\boxed{X}, {"winner": "X"}
    X is better (than Y), X wins, I prefer X (to Y), X > Y
    X is worse (than Y), X loses (to Y)     a verdict for Y, where there are two sides
    X is wrong                              no verdict, but none for X either

What is asked, denied or supposed states nothing, and neither does a label alone that its own reasons do not bear out:
"Response X" may be a heading, and "X. It is wrong" no vote for X. Where clauses contradict one another there is no
verdict. The rule throughout: what blames X is never a verdict for X, and what is not sure is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from adapters.llm.lenient_json import objects_in
from adapters.llm.verdict_clauses import Clause, ClauseWeights, Labels, Word
from adapters.llm.verdict_words import (
    ATTRIBUTED,
    CONTRAST,
    DENIAL,
    FALSE,
    LEAD,
    LIMITED,
    NOUN,
    PARTLY,
    RETRACTED,
    SUPPOSED,
    polarity,
)

_LONGEST_TEXT = 200_000  # characters that are read
_LONGEST = 40  # words of a clause, and clauses of a sentence, that may state a verdict


class ParseError(ValueError):
    """The reply holds no answer; the message is a short reason."""


class Stated(NamedTuple):
    """A verdict: the weight of each label, one of them 1 unless a score lies between two; and where in the text the
    label stands that was meant, None where it was meant by naming another."""

    weights: ClauseWeights
    place: int | None


def label_of(text: str, labels: Sequence[str]) -> int | None:
    """The label that a text is, in small letters too and with a noun beside it: "response_a" is A."""
    verdict = _grammar(tuple(labels), "").read(text, loose=True)
    return verdict.weights.index(1) if verdict is not None and 1 in verdict.weights else None


def read_verdict(text: str, labels: Sequence[str], after: str = "") -> Stated:
    """The verdict that a text states.

    after: what the prompt wants to stand before the answer; its last answer counts, also where others contradict it.
    Raises ParseError where the text states none, or more than one.
    """
    if len(text) > _LONGEST_TEXT:
        raise ParseError(f"the reply is longer than any verdict: {len(text)} characters, {shorten(text)}")
    verdict = _grammar(tuple(labels), after).read(text)
    if verdict is None:
        line = shorten(text)
        raise ParseError(f"the reply names none of {', '.join(labels)}: {line}")
    return verdict


def shorten(text: str) -> str:
    """The beginning of a text, on one line, quoted."""
    line = repr(" ".join(text[:1000].split()))
    return line if len(line) <= 62 else f"{line[:58]}...{line[0]}"


Kind = Literal["bare", "marked", "claim", "blame"]


class _Statement(NamedTuple):
    """What clause number `at` states: for a label, or with `blame` against one."""

    kind: Kind
    weights: ClauseWeights
    place: int | None
    at: int
    concludes: bool = False


@lru_cache(maxsize=64)
def _grammar(labels: tuple[str, ...], after: str) -> _Grammar:
    return _Grammar(labels, after)


class _Grammar:
    """The clauses over some labels."""

    def __init__(self, labels: tuple[str, ...], after: str) -> None:
        self._labels = Labels(labels)
        self._after = after.strip()
        self._after_words = " ".join(re.findall(r"[^\W_]+", after.casefold()))
        self._clause_patterns = self._patterns()

    def _patterns(self) -> list[tuple[Kind, re.Pattern[str]]]:
        x, y = (rf"(?:(?:the|a|an|{NOUN}) )*(?P<{name}>@)(?: {NOUN})?" for name in "xy")
        if self._labels.scores:
            x += r"(?: (?:/|out of|of) (?P<top>@))?(?: (?:points?|stars?))?"
        mark = rf"(?:(?:my|the|your|a|final|overall|correct|clear|total) )*(?:{_MARKS}|{NOUN}|final)(?: {NOUN})?"
        strong = "(?:the )?(?:final (?:answer|verdict|decision|score)|verdict|winner|boxed|score|rating|grade)"
        better = rf"(?:the )?(?:{_GOOD})(?: {NOUN})?(?: (?:of|between) the (?:two|pair))?(?: overall)?"
        worse = rf"(?:the )?(?:{_WORSE})(?: {NOUN})?(?: of the two)?"
        link = r"(?: (?::|=|is|was|goes to|boxed))+"
        if self._after_words:
            mark, strong = (rf"(?:{kind}|(?:the )?{re.escape(self._after_words)})" for kind in (mark, strong))
        lead = rf"(?:(?!(?:no|nope) (?!:))(?:{LEAD})(?: :)? )*"  # "no: X" answers a question, "no X" does not
        be = rf"(?:is|was|seems|appears|looks)(?: to be)?(?: (?:{_ADVERBS}))*"
        than = rf"(?: (?:than|to|over|of|compared to|compared with) (?:{y}|the other(?: {NOUN})?|the two|both))?"
        over = rf"(?: (?:(?:over|to|than|against|rather than|instead of) )?{y})?"
        tail = r"(?: overall| here)?"
        rated = r"(?: (?:it|this|this response|the response))?(?: (?:with|at))?"
        patterns: list[tuple[Kind, str]] = [
            ("bare", rf"(?P<lead>{lead}){x}(?: :)?"),
            ("marked", rf"{lead}(?:(?:(?:{mark}|{better}){link} ){{1,2}}|{strong} ){x}"),
        ]
        if self._labels.scores:
            patterns += [("marked", rf"{lead}(?:i|i'd|i'll|we)(?: would)? (?:give|rate|score|grade){rated} {x}")]
        elif not self._labels.signs:
            lead = rf"(?:(?:{mark}) : |but )?{lead}"
            patterns += [
                (
                    "claim",
                    rf"{lead}{x} {be} (?:the |my )?(?:(?:clear|obvious|overall) )?(?:{_GOOD})(?: {NOUN})?{than}{tail}",
                ),
                ("claim", rf"{lead}{x} (?:(?:{_ADVERBS}) )*(?:wins|won|beats|outperforms|surpasses){over}{tail}"),
                (
                    "claim",
                    rf"{lead}(?:i|i'd|i'll|i'm|we|we'd)(?: would| do| will| strongly| much)* (?:{_PREFER}) {x}{over}",
                ),
                ("claim", rf"{lead}{x}(?: >)+ {y}"),
                ("blame", rf"{lead}{x}(?: <)+ {y}"),
                ("blame", rf"{lead}{x} {be} (?:the )?(?:{_WORSE})(?: {NOUN})?{than}{tail}"),
                ("blame", rf"{lead}{x} (?:loses|lost){over}{tail}"),
                ("blame", rf"{lead}{worse}{link} {x}"),
            ]
        return [(kind, re.compile(pattern)) for kind, pattern in patterns]

    # Reading

    def read(self, text: str, *, loose: bool = False) -> Stated | None:
        prose, from_objects = self._without_objects(text)
        if self._after and not self._after_words and self._after in prose:
            start = prose.rfind(self._after) + len(self._after)
            prose = " " * start + prose[start:]
        clauses = self._labels.clauses_of(prose, loose=loose)
        in_prose = [statement for at in range(len(clauses)) if (statement := self._statement(clauses, at)) is not None]
        answer_places = self._answers_wanted(clauses)
        if answer_places and not from_objects:
            last = [
                statement for statement in in_prose if statement.at == answer_places[-1] and statement.kind == "marked"
            ]
            return self._unless_retracted(clauses, last[0]) if last else None
        marked = [*from_objects, *(statement for statement in in_prose if statement.kind == "marked")]
        end = max((statement.at for statement in marked), default=-1)
        bare = [
            statement for statement in in_prose if statement.kind == "bare" and statement.at >= end
        ]  # before a verdict they are headings
        stated = [*marked, *(statement for statement in in_prose if statement.kind == "claim"), *bare]
        ends = [statement for statement in {*bare[:1], *bare[-1:]} if self._stands(clauses, statement)]
        counting = [*(statement for statement in stated if statement.kind != "bare"), *ends]
        if not counting or len({statement.weights for statement in stated}) > 1:
            return None
        # The log-probabilities at a label are those of the answer only where the label is the answer.
        best = min(counting, key=lambda statement: (statement.place is None, statement.at))
        blamed = {statement.weights for statement in in_prose if statement.kind == "blame" and statement.at >= end}
        if blamed == {best.weights} or any(
            self._is_retracted(clauses, statement) for statement in stated if statement.kind != "bare"
        ):
            return None
        if not marked and best.kind == "bare":
            return Stated(best.weights, best.place)
        return self._unless_retracted(clauses, best._replace(at=max(statement.at for statement in stated)))

    def _answers_wanted(self, clauses: Sequence[Clause]) -> list[int]:
        """The clauses that begin as the prompt wants the answer to begin."""
        if not self._after_words:
            return []
        link = " (?::|=)" if self._after.endswith(":") else "(?: (?::|=|is))?"
        begin = re.compile(rf"(?:(?:{LEAD}|the|my|final|overall) )*{re.escape(self._after_words)}{link}(?: |$)")
        return [at for at, clause in enumerate(clauses) if begin.match(clause.text)]

    def _statement(self, clauses: Sequence[Clause], at: int) -> _Statement | None:
        clause = clauses[at]
        if clause.asked or len(clause.words) > _LONGEST or not any(word.weights for word in clause.words):
            return None
        text, starts, offset = clause.text, {}, 0
        for word in clause.words:
            starts[offset] = word
            offset += len(word.text) + 1
        for kind, pattern in self._clause_patterns:
            if (match := pattern.fullmatch(text)) is None:
                continue
            groups = match.groupdict()
            x = starts[match.start("x")]
            if groups.get("top") and starts[match.start("top")].weights != self._labels.weights_of(
                len(self._labels.names) - 1
            ):
                return None
            other = starts[match.start("y")] if groups.get("y") else None
            if other is not None and other.weights == x.weights:
                return None
            if kind != "bare" and self._is_qualified(clauses, at):
                return None
            place = x.place if max(x.weights) == 1 and kind in ("bare", "marked") else None
            if kind == "blame":
                return self._for_the_other(x, at)
            return _Statement(kind, x.weights, place, at, _CONCLUDES.match(text) is not None)
        return self._plain_blame(clause, at)

    def _for_the_other(self, x: Word, at: int) -> _Statement | None:
        """A comparison that one side loses is one that the other wins."""
        side = x.weights.index(1)
        return _Statement("claim", self._labels.weights_of(1 - side), None, at) if side < 2 else None

    def _plain_blame(self, clause: Clause, at: int) -> _Statement | None:
        """A clause that says only of one label that it is bad."""
        if not self._labels.sides:
            return None
        subject = clause.subject
        labels = [word for word in clause.words if word.weights]
        if subject is None or len(labels) > 1 or clause.polarity != -1:
            return None
        return _Statement("blame", subject, None, at)

    def _is_qualified(self, clauses: Sequence[Clause], at: int) -> bool:
        """Whether what stands before a clause in its sentence denies it, only supposes it, or lets it hold in part."""
        for _ in range(_LONGEST):
            if clauses[at].opens:
                return False
            at -= 1
            text = clauses[at].text
            if not self._labels.scores and PARTLY.search(text):
                return True
            if clauses[at].subject is not None:
                continue
            limited = not self._labels.scores and LIMITED.match(text) and not re.fullmatch(rf"(?:{LEAD})(?: :)?", text)
            if limited or re.search(rf"\b(?:{SUPPOSED}|{DENIAL})", text):
                return True
        return True

    def _stands(self, clauses: Sequence[Clause], bare: _Statement) -> bool:
        """Whether a label alone is the verdict: nothing else is said, or it ends the reply or opens it, and what stands
        beside it agrees."""
        before = clauses[: bare.at]
        rest = clauses[bare.at + 1 :]
        lead_only = all(re.fullmatch(rf"(?:{LEAD})(?: :)?", clause.text) for clause in before)
        if not rest:
            if self._labels.sides and before and re.search(r"(?:^| )(?:[2-9]|[1-9]\d+)$", before[-1].text):
                return False  # "1. Y 2. X" is a ranking
            if before and len(before[-1].words) > 1 and all(word.weights for word in before[-1].words):
                return False  # and so is "1. 2 2. 1"
            at = bare.at
            opens = bare.concludes
            while not opens and at >= 0:
                opens = clauses[at].opens
                at -= 1
                if not opens and re.fullmatch(rf"(?:{LEAD})(?: :)?", clauses[at].text) is None:
                    return False
            return lead_only or self._agrees(before[-1], bare.weights)
        return lead_only and not self._labels.scores and self._is_supported(rest, bare.weights)

    def _agrees(self, clause: Clause, label: ClauseWeights) -> bool:
        """Whether the clause before a label at the end of a reply leaves it a verdict."""
        if clause.text.endswith(":"):
            return False
        polarity = clause.polarity
        if self._labels.scores:
            return not clause.asked
        if clause.asked:
            return polarity in (0, 1) and re.search(rf"\b(?:{DENIAL})", clause.text) is None
        if self._labels.signs:
            return polarity in (0, self._labels.sign(label))
        subject = clause.subject
        return (subject is not None and subject != label) or polarity in (0, 1)

    def _is_supported(self, clauses: Sequence[Clause], label: ClauseWeights) -> bool:
        """Whether what follows a label speaks for it, and nothing against it."""
        agreeing = 0
        for clause in clauses:
            if clause.asked or re.match(rf"(?:{CONTRAST})\b", clause.text):
                return False
            if self._words_are(clause, label):
                continue
            polarity, wanted = clause.polarity, self._labels.sign(label)
            subject = clause.subject
            if not self._labels.signs and subject is not None and subject != label:
                agreeing += polarity == -1
                continue
            if polarity not in (0, wanted):
                return False
            agreeing += polarity == wanted
        return agreeing > 0

    def _words_are(self, clause: Clause, label: ClauseWeights) -> bool:
        """Whether a clause is that label alone."""
        return all(word.weights == label for word in clause.words)

    def _unless_retracted(self, clauses: Sequence[Clause], statement: _Statement) -> Stated | None:
        """The verdict, unless what follows it takes it back."""
        for clause in clauses[statement.at + 1 :]:
            if re.match(rf"(?:{CONTRAST})\b", clause.text):
                return None
            if self._labels.signs and clause.polarity not in (0, self._labels.sign(statement.weights)):
                return None
            if self._takes_back(clause):
                return None
        return Stated(statement.weights, statement.place)

    def _takes_back(self, clause: Clause) -> bool:
        """Whether a clause blames what was just chosen, by a pronoun or in the same sentence, or what was just said."""
        if RETRACTED.match(clause.text):
            return True
        if not self._labels.sides:
            return False
        if FALSE.match(clause.text) or (not clause.opens and self._is_attributed(clause)):
            return True
        if clause.subject is not None:
            return False
        meant = not clause.opens or re.match(r"(?:it|this|that|which)\b", clause.text) is not None
        return meant and clause.polarity not in (0, 1)

    def _is_retracted(self, clauses: Sequence[Clause], statement: _Statement) -> bool:
        """Whether the rest of its own sentence takes a statement back, whatever else is said later."""
        for clause in clauses[statement.at + 1 :]:
            if clause.opens:
                return False
            if self._takes_back(clause) or re.match(rf"(?:{CONTRAST})\b", clause.text):
                return True
        return False

    def _is_attributed(self, clause: Clause) -> bool:
        """Whether a clause behind another in its sentence makes that one somebody else's, or lets it hold in part."""
        return ATTRIBUTED.search(clause.text) is not None and not re.fullmatch(rf"(?:{LEAD})", clause.text)

    # JSON

    def _without_objects(self, text: str) -> tuple[str, list[_Statement]]:
        """The text with blanks for the JSON objects in it, and what these state."""
        statements: list[_Statement] = []
        for start, end, value in objects_in(text):
            at = len(self._labels.clauses_of(text[:start], loose=False)) - 1
            statements += self._statements_in(value, text, start, end, at)
            text = text[:start] + "\n" * (end - start) + text[end:]
        return text, statements

    def _statements_in(self, value: dict[str, Any], text: str, start: int, end: int, at: int) -> list[_Statement]:
        """What an object states; nothing where one of its verdicts cannot be read, or its reasons say the contrary."""
        statements: list[_Statement] = []
        reasons = []
        for key, field in value.items():
            name = re.sub(r"[^a-z]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key).casefold()).strip()
            if isinstance(field, bool) and polarity(name) == (-1 if field else 1):
                return []  # "is_wrong": true, "correct": false
            if isinstance(field, dict) and _KEY.fullmatch(name) is not None and len(value) == 1:
                return self._statements_in(field, text, start, end, at)
            if isinstance(field, bool) or not isinstance(field, str | int | float):
                continue
            words = str(field)[:_LONGEST_VALUE]
            loses = re.fullmatch(rf"(?:the )?(?:{_WORSE})(?: {NOUN})?", name) is not None and not self._labels.signs
            wins = name == self._after_words or _KEY.fullmatch(name) is not None
            if not loses and not wins:
                reasons.append(words)
                continue
            verdict = self.read(words, loose=True)
            if verdict is None or (loses and (self._labels.scores or verdict.weights.index(1) > 1)):
                return []
            if loses:
                statements.append(_Statement("marked", self._labels.weights_of(1 - verdict.weights.index(1)), None, at))
                continue
            offset = text.find(f'"{key}"', start, end) + len(key) + 2
            there = self._labels.words(" " * offset + text[offset:end], loose=True)
            same = (word.place for word in there if isinstance(word, Word) and word.weights == verdict.weights)
            statements.append(_Statement("marked", verdict.weights, next(same, None), at))
        stated = {statement.weights for statement in statements}
        return [] if any(self._contradicts(words, stated) for words in reasons) else statements

    def _contradicts(self, words: str, stated: set[ClauseWeights]) -> bool:
        """Whether reasons speak for another label, or against the one that is stated and no other."""
        clauses = self._labels.clauses_of(words, loose=False)
        if self._labels.signs:
            polarities = {clause.polarity for clause in clauses}
            return any(polarities & {1, -1} == {-self._labels.sign(weights)} for weights in stated)
        if not self._labels.sides:
            return False
        statements = [
            statement for at in range(len(clauses)) if (statement := self._statement(clauses, at)) is not None
        ]
        blamed = {statement.weights for statement in statements if statement.kind == "blame"}
        return blamed == stated or any(
            statement.kind == "claim" and statement.weights not in stated for statement in statements
        )


_LONGEST_VALUE = 2000  # characters of a value that are read
_CONCLUDES = re.compile(r"(?:so|therefore|thus|hence)\b")
_MARKS = (
    "verdict|answer|winner|winning|choice|decision|judge?ment|conclusion|preference|selection|result|pick|vote|boxed|"
    "score|rating|grade|label"
)
_GOOD = "better|best|superior|stronger|strongest|preferable|preferred|favou?red|winner|winning|chosen|choice|selected"
_WORSE = "worse|worst|inferior|weaker|weakest|poorer|poorest|loser|losing|rejected"
_ADVERBS = (
    "clearly|slightly|much|far|definitely|overall|significantly|marginally|somewhat|a bit|a little|a lot|by far|"
    "generally|simply|obviously|certainly|objectively|indeed|strictly|considerably|noticeably|substantially|way"
)
_PREFER = "choose|chose|prefer|pick|picked|select|selected|vote for|go with|favou?r|recommend"
_KEY = re.compile(rf"(?:(?:my|the|final|overall) )*(?:{_MARKS}|{_GOOD}|label|prediction)(?: (?:{NOUN}|id))?")
