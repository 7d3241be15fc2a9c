"""What two texts do not share, word by word.

`difference` finds the spans; `mark` shows them on rendered lines: shared words recede, the others are bold and
underlined, so that the difference is seen without colour too. `changes` is for two versions of one text: it gives a
single text with what was removed and what was added.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from itertools import accumulate
from typing import Literal, NamedTuple

from rich.segment import Segment
from rich.style import Style

Span = tuple[int, int]
"""Start and end of a piece of text, end not included."""
Line = list[Segment]

SHARED = Style(color="#9aa4b1")
DIFFERENT = Style(color="#ffffff", bold=True, underline=True)

# A word; a character of a script without blanks between words; or a run of one sign.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+(?:['’][^\W\d]+)?|([^\w\s])\1*")
_SENTENCE = re.compile(r"[^\n.!?]*(?:[.!?]+\s*|\n+|$)")

# SequenceMatcher's work grows with the number of equal pairs of words; above this, texts are compared in
# sentences first, and blocks still above it count as different throughout.
_MOST_WORK = 250_000
_LEAST_SHARED = 0.35


class TextDifference(NamedTuple):
    """The spans of each text that the other has not, and the share of words they have in common (0 to 1)."""

    left: tuple[Span, ...]
    right: tuple[Span, ...]
    shared: float

    @property
    def helpful(self) -> bool:
        """Whether showing it helps: texts with little in common would be marked nearly throughout."""
        return self.shared >= _LEAST_SHARED


def difference(left: str, right: str) -> TextDifference:
    """Compare two texts by words; white space never counts."""
    left_words, right_words = _words(left), _words(right)
    left_same = bytearray(len(left_words))
    right_same = bytearray(len(right_words))
    blocks = _without_islands(_blocks(left, right, left_words, right_words), left_words, right_words)
    for i, j, size in blocks:
        left_same[i : i + size] = b"\1" * size
        right_same[j : j + size] = b"\1" * size
    total = len(left_words) + len(right_words)
    shared = (sum(left_same) + sum(right_same)) / total if total else 1.0
    return TextDifference(_spans(left, left_words, left_same), _spans(right, right_words, right_same), shared)


def mark(lines: Sequence[Line], spans: Iterable[Span]) -> list[Line]:
    """Restyle rendered lines: the spans (offsets into the lines joined by line ends) stand out.

    The characters stay exactly as they are.
    """
    waiting = iter(spans)
    span = next(waiting, None)
    offset = 0
    marked: list[Line] = []
    for line in lines:
        new_line: Line = []
        for text, style, control in line:
            if control:
                new_line.append(Segment(text, style, control))
                continue
            end = offset + len(text)
            while offset < end:
                while span is not None and span[1] <= offset:
                    span = next(waiting, None)
                inside = span is not None and span[0] <= offset
                stop = end if span is None else min(end, span[1] if inside else span[0])
                piece = text[len(text) - (end - offset) : len(text) - (end - stop)]
                look = DIFFERENT if inside else SHARED
                new_line.append(Segment(piece, look if style is None else style + look))
                offset = stop
        marked.append(new_line)
        offset += 1
    return marked


class Piece(NamedTuple):
    """A piece of the two versions of a text."""

    text: str
    kind: Literal["shared", "removed", "added"]


def changes(before: str, after: str) -> list[Piece]:
    """Both versions as one text: the pieces that were not removed are `after`, white space and all."""
    ours, theirs = _words(before), _words(after)
    blocks = _without_islands(_blocks(before, after, ours, theirs), ours, theirs)
    pieces: list[Piece] = []
    i = j = at = 0
    for a, b, size in [*blocks, (len(ours), len(theirs), 0)]:
        start = _start(after, theirs, j)
        pieces.append(Piece(after[at:start], "shared"))
        if a > i:
            # Blanks that `after` does not have set it off from its neighbours.
            end = _end(ours[a - 1])
            first, last = after[start - 1 : start].isspace() or not start, start == len(after)
            blank = (before[end : _start(before, ours, a)] if b == j else "") or " "
            pieces.append(Piece("" if first else " ", "removed"))
            pieces.append(Piece(before[ours[i][1] : end], "removed"))
            pieces.append(Piece("" if last else blank, "removed"))
        at = _end(theirs[b - 1]) if b > j else start
        pieces.append(Piece(after[start:at], "added"))
        if size:
            start, at = at, _end(theirs[b + size - 1])
            pieces.append(Piece(after[start:at], "shared"))
        i, j = a + size, b + size
    pieces.append(Piece(after[at:], "shared"))
    return [piece for piece in pieces if piece.text]


def plain_text(lines: Iterable[Line]) -> str:
    """The characters of rendered lines, joined by line ends."""
    return "\n".join("".join(text for text, _, control in line if not control) for line in lines)


def _start(text: str, words: list[tuple[str, int]], place: int) -> int:
    """Where a word starts; past the last one, the end of the text."""
    return words[place][1] if place < len(words) else len(text)


def _end(word: tuple[str, int]) -> int:
    return word[1] + len(word[0])


def _words(text: str) -> list[tuple[str, int]]:
    return [(match.group(), match.start()) for match in _WORD.finditer(text)]


def _blocks(
    left: str, right: str, left_words: list[tuple[str, int]], right_words: list[tuple[str, int]]
) -> list[tuple[int, int, int]]:
    """Equal runs of words as (place on the left, place on the right, length)."""
    ours, theirs = [w for w, _ in left_words], [w for w, _ in right_words]
    if _work(ours, theirs) <= _MOST_WORK:
        return _match(ours, theirs)
    # Too long to compare word by word at once: sentences first, then the words between equal sentences.
    left_chunks, right_chunks = _chunks(left, left_words), _chunks(right, right_words)
    ours_s, theirs_s = [c for c, _, _ in left_chunks], [c for c, _, _ in right_chunks]
    if _work(ours_s, theirs_s) > _MOST_WORK:
        return []
    runs: list[tuple[int, int, int]] = []
    budget = _MOST_WORK
    i = j = 0
    for a, b, size in [*_match(ours_s, theirs_s), (len(ours_s), len(theirs_s), 0)]:
        words_left = ours[_at(left_chunks, i) : _at(left_chunks, a)]
        words_right = theirs[_at(right_chunks, j) : _at(right_chunks, b)]
        work = _work(words_left, words_right)
        if work <= budget:
            budget -= work
            x, y = _at(left_chunks, i), _at(right_chunks, j)
            runs += [(x + p, y + q, n) for p, q, n in _match(words_left, words_right)]
        x, y = _at(left_chunks, a), _at(right_chunks, b)
        i, j = a + size, b + size
        runs.append((x, y, _at(left_chunks, i) - x))
    return runs


def _without_islands(
    blocks: list[tuple[int, int, int]], left_words: list[tuple[str, int]], right_words: list[tuple[str, int]]
) -> list[tuple[int, int, int]]:
    """Drop equal runs that are no longer than the differences on both their sides.

    Two sentences that say different things still share an "of the" here and there: leaving those unmarked
    would only make the marks hard to read.
    """
    ours = [0, *accumulate(len(word) for word, _ in left_words)]
    theirs = [0, *accumulate(len(word) for word, _ in right_words)]

    def gap(a: tuple[int, int, int], b: tuple[int, int, int]) -> int:
        return max(ours[b[0]] - ours[a[0] + a[2]], theirs[b[1]] - theirs[a[1] + a[2]])

    end = (len(left_words), len(right_words), 0)
    kept: list[tuple[int, int, int]] = [(0, 0, 0)]
    for place, block in enumerate(blocks):
        following = blocks[place + 1] if place + 1 < len(blocks) else end
        size = ours[block[0] + block[2]] - ours[block[0]]
        if not 0 < size <= min(gap(kept[-1], block), gap(block, following)):
            kept.append(block)
    return kept


def _match(ours: Sequence[object], theirs: Sequence[object]) -> list[tuple[int, int, int]]:
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    return [(m.a, m.b, m.size) for m in matcher.get_matching_blocks() if m.size]


def _work(ours: Sequence[object], theirs: Sequence[object]) -> int:
    counts = Counter(theirs)
    return sum(n * counts[word] for word, n in Counter(ours).items())


def _chunks(text: str, words: list[tuple[str, int]]) -> list[tuple[tuple[str, ...], int, int]]:
    """Sentences as (their words, first word's place, place after the last)."""
    chunks = []
    at = 0
    for match in _SENTENCE.finditer(text):
        first = at
        while at < len(words) and words[at][1] < match.end():
            at += 1
        if at > first:
            chunks.append((tuple(w for w, _ in words[first:at]), first, at))
    return chunks


def _at(chunks: list[tuple[tuple[str, ...], int, int]], place: int) -> int:
    """The place of the first word of a chunk; past the end, the number of words."""
    if place < len(chunks):
        return chunks[place][1]
    return chunks[-1][2] if chunks else 0


def _spans(text: str, words: list[tuple[str, int]], same: bytearray) -> tuple[Span, ...]:
    """The differing words as spans; neighbours on one line become one span with the blank between them."""
    spans: list[Span] = []
    for (word, start), is_same in zip(words, same, strict=True):
        if is_same:
            continue
        end = start + len(word)
        if spans:
            gap = text[spans[-1][1] : start]
            if len(gap) <= 1 and not gap.strip(" "):
                spans[-1] = (spans[-1][0], end)
                continue
        spans.append((start, end))
    return tuple(spans)
