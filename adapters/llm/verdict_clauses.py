"""Clauses of a model's words: markup taken off, labels marked, and where sentences and their parts end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from adapters.llm.verdict_words import NOUN, polarity

ClauseWeights = tuple[float, ...]
"""A weight for each label, with the sum 1: all on one, but for a score that lies between two."""


class Word(NamedTuple):
    """A word in small letters; with weights it is a label, and stands as `@` in what patterns are matched with."""

    string: str
    place: int
    weights: ClauseWeights = ()

    @property
    def text(self) -> str:
        return "@" if self.weights else self.string


@dataclass(frozen=True)
class Clause:
    """Words without a mark that separates them. opens: whether a sentence begins with it; asked: whether its sentence
    is a question."""

    words: tuple[Word, ...]
    opens: bool
    asked: bool = False

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def polarity(self) -> int | None:
        return polarity(" ".join(word.string for word in self.words))

    @property
    def subject(self) -> ClauseWeights | None:
        """The label that it begins with."""
        if _BEGINNING.match(self.text) is None:
            return None
        return next(word.weights for word in self.words if word.weights)


class Labels:
    """The labels of a prompt. scores: their values where they are grades; signs: where they are yes and no, whether
    praise (1) or blame (-1) bears them out."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        folded = [name.casefold() for name in names]
        self.scores = [int(name) for name in names] if all(map(str.isdecimal, names)) and len(names) > 2 else []
        self.signs = (
            {self.weights_of(folded.index("yes")): 1, self.weights_of(folded.index("no")): -1}
            if set(folded) == {"yes", "no"}
            else {}
        )
        self._named = {name if len(name) == 1 else name.casefold(): self.weights_of(k) for k, name in enumerate(names)}
        self._loose = {name.casefold(): self.weights_of(k) for k, name in enumerate(names)}
        long_first = sorted(filter(None, names), key=len, reverse=True)
        any_of = "|".join(re.escape(n) + (r"(?![^\W_]|[.,]\d)" if n[-1].isalnum() else "") for n in long_first)
        label = r"(?!)" if self.scores else rf"(?<![^\W_])(?:{any_of})"
        self._lexer = re.compile(_LEXER.replace("LABEL", label), re.IGNORECASE)

    @property
    def sides(self) -> bool:
        """Whether they are two responses, with or without a label for a tie."""
        return not self.scores and not self.signs

    def weights_of(self, label: int) -> ClauseWeights:
        """All the weight on one label."""
        return tuple(float(k == label) for k in range(len(self.names)))

    def sign(self, weights: ClauseWeights) -> int:
        """Whether a label is borne out by praise (1) or by blame (-1)."""
        return self.signs.get(weights, 1)

    def words(self, text: str, *, loose: bool) -> Iterator[Word | str]:
        """Words, and as plain strings the marks that part clauses (`,`), end sentences (`.`) and ask (`?`)."""
        for token in self._lexer.finditer(text):
            kind, lexeme, place = token.lastgroup, token.group(), token.start()
            if kind == "label":
                weights = (self._loose if loose or len(lexeme) > 1 else self._named).get(
                    lexeme.casefold() if loose or len(lexeme) > 1 else lexeme
                )
                yield Word(lexeme.casefold(), place, weights or ())
            elif kind == "number":
                weights = (
                    self._score_weights(float(lexeme)) if self.scores and len(lexeme) < 9 and "," not in lexeme else ()
                )
                yield Word(lexeme, place, weights)
            elif kind == "opening":
                yield from (Word(lexeme.strip("<>").casefold().replace("_", " "), place), Word(":", place))
            elif kind == "starter":
                yield from (",", Word(lexeme.casefold(), place))
            elif kind == "boxed":
                yield Word("boxed", place)
            elif kind == "arrow":
                yield Word(":", place)
            elif kind in ("word", "sign", "other", "unticked"):
                yield Word(_SAME_SIGNS.get(lexeme) or lexeme.casefold().replace("’", "'"), place)
            elif kind == "stop":
                yield "?" if "?" in lexeme else "."
            elif kind in ("line", "pause", "closing"):
                yield "\n" if kind == "line" else ","

    def _score_weights(self, score: float) -> ClauseWeights:
        """The weights of a score: all on its label, or shared by the two that it lies between."""
        shares = [max(0.0, 1 - abs(score - label_score)) for label_score in self.scores]
        return tuple(shares) if abs(sum(shares) - 1) < 1e-9 else ()  # 0 outside the labels

    def clauses_of(self, text: str, *, loose: bool) -> list[Clause]:
        clauses: list[Clause] = []
        words: list[Word] = []
        first, opens = 0, True

        def part(mark: str) -> None:
            nonlocal words, first, opens
            if words:
                clauses.append(Clause(tuple(words), opens))
                words, opens = [], False
            if mark != ",":
                if mark == "?":
                    clauses[first:] = [Clause(clause.words, clause.opens, True) for clause in clauses[first:]]
                first, opens = len(clauses), True

        for word in self.words(text, loose=loose):
            if isinstance(word, Word):
                words.append(word)
            elif not (word == "\n" and words and words[-1].text == ":"):  # what a colon announces may stand below it
                part(word)
        part(".")
        return clauses


_REASON = "(?:(?:the )?(?:reason|reasoning|explanation|justification|rationale|why))"
_BEGINNING = re.compile(rf"(?:{_REASON} : )?(?:(?:the|and|but|while|whereas|although|because|since|{NOUN}) )*@")
_SAME_SIGNS = {"≫": ">", "≻": ">", "≪": "<", "≺": "<"}
_FORMAT = "b|i|u|em|strong|code|span|p|br|big|tt|h[1-6]"
_LEXER = rf"""(?x)
    (?P<closing>    </[\w]+>                               )
  | (?P<format>     <(?:{_FORMAT})\s*/?> | <\|\w{{1,40}}\|> | [✅✔☑✓🏆👉]\ufe0f? )
  | (?P<unticked>   \[[ \t]*\] | \([ \t]*\)              )
  | (?P<opening>    <[a-z][\w]*>                           )
  | (?P<arrow>      [-=]+> | → | ⇒ | :                     )
  | (?P<boxed>      \\(?:boxed|fbox)                       )
  | (?P<latex>      \\(?:text(?:bf|it|rm|tt)?|math(?:bf|rm)|[,;!]) )
  | (?P<range>      \((?:(?:out\ of|from|on)\s)?(?:a\ scale\ of\s)?\d+\s*(?:-|–|to|/)\s*\d+\) )
  | (?P<label>      LABEL                                  )
  | (?P<number>     (?<![^\W_])(?<!\.)\d+(?:[.,]\d+)?(?![^\W_]|%) )
  | (?P<starter>    (?<!\w)(?:so|therefore|thus|hence|because|since)(?!\w) )
  | (?P<word>       [^\W_]+(?:['’][^\W_]+)*                )
  | (?P<line>       \n(?:[ \t]*(?:[-*+•]|>+)(?=\s))? | \A[ \t]*>+(?=\s) )
  | (?P<stop>       [.!?;…。！？]+                          )
  | (?P<pause>      (?<=\s)-(?=\s) | [–—,，] | (?<=\d)\s+\((?=[a-z])(?!out\ of|of|from) )
  | (?P<sign>       -(?=\d) | [/&+%<>=≫≻≪≺]                )
  | (?P<filler>     [\s*_`#"'“”„‘’«»‹›()\[\]{{}}$|\\​\ufeff-]+?     )
  | (?P<other>      .                                      )
"""
