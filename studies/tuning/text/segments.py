"""A prompt's parts: what can be dropped, moved or taken over with no thought, example or place cut in two."""

from __future__ import annotations

import re
from collections.abc import Sequence

from elicit.tuning.protocol import PLACE

_LINE = re.compile(r"[^\n]*\n\s*|[^\n]+\Z")
_LABEL = re.compile(r"\s*([^\W\d][\w ]{0,30}):(?=\s|\Z)")
_MARKS = re.compile(r"\s*(?:<[^<>\n]{1,40}>|[^\w\s{}]+)\s*")
_TAIL = re.compile(r"\}[ \t]*([^\w\s{}]{2,})\s*\Z")
# What ends a sentence: its mark, what closes around it, and white space before something that may begin one.
_END = re.compile(r"[.!?…]+[\"')\]’”*_]*\s+(?=[^\sa-z])|[。！？]+[」』）]?(?=\S)")
_NO_END = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|Dr|Mr|Mrs|Ms|No|Fig|[A-Z])|\A\s*\d+)\.\s+\Z")


def segments(text: str) -> list[str]:
    """The parts of a prompt, each with the white space behind it, so that joined they are the text again.

    Parts are sentences, and end where a line ends. One part are the lines around a place, which are its frame: what
    labels, marks or follows it ("Review: {input}", "Answer:"); and those of an example, which has the frame's labels.
    """
    head = text[: len(text) - len(text.lstrip())]
    lines = _LINE.findall(text[len(head) :])
    frame = _Frame(lines)
    parts, start = list[str](), 0
    while start < len(lines):
        stop = frame.end(lines, start)
        block = "".join(lines[start:stop])
        parts += [block] if stop > start + 1 or frame.whole(block) else _sentences(block)
        start = stop
    if not parts:
        return [text] if text else []
    return [head + parts[0], *parts[1:]]


def instruction_rows(text: str) -> list[int]:
    """Which of a prompt's parts say what to do: the rows of those that are no frame, no example and no cue."""
    frame, parts = _Frame(_LINE.findall(text)), segments(text)
    return [
        row
        for row, part in enumerate(parts)
        if part.strip()
        and not (PLACE.search(part) or frame.whole(part) or frame.has_cue(part))
        # A label alone at the end is a cue too, wherever the input stands.
        and not (row == len(parts) - 1 and _label(part) and part.strip().endswith(":"))
    ]


def instruction(text: str) -> str:
    """What a prompt says to do, line by line as it stands there."""
    parts = segments(text)
    prose = "".join(parts[row] for row in instruction_rows(text))
    return re.sub(r"\n\s*\n", "\n", prose).strip()


def without(parts: Sequence[str], dropped: int) -> str:
    """The prompt without one of its parts; what stood apart stands apart still."""
    rest = list(parts)
    gone = rest.pop(dropped)
    if dropped and _breaks(gone) > _breaks(rest[dropped - 1]):
        rest[dropped - 1] = rest[dropped - 1].rstrip() + gone[len(gone.rstrip()) :]
    return "".join(rest).strip()


class _Frame:
    """How a prompt presents its input: the label of the place's line, that of the cue below, or the mark behind it."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.key = self.cue = self.tail = ""
        for row, line in enumerate(lines):
            if PLACE.search(line):
                below = lines[row + 1] if row + 1 < len(lines) and _breaks(line) < 2 else ""
                self.key, self.cue = _label(line), _label(below)
                self.tail = tail[1] if (tail := _TAIL.search(line)) else ""
                break

    def whole(self, line: str) -> bool:
        """Whether a single line is an example or a frame."""
        return bool((self.key and _label(line) == self.key) or (self.tail and self.tail in line))

    def has_cue(self, part: str) -> bool:
        """Whether a part has the cue at the head of a line: an example's last line, or the cue alone."""
        return bool(self.cue) and any(_label(line) == self.cue for line in part.splitlines())

    def end(self, lines: Sequence[str], start: int) -> int:
        """The row behind the block that begins at a row."""
        bare, opened = PLACE.search(lines[start]) is not None, _MARKS.fullmatch(lines[start]) is not None
        if opened and start + 1 < len(lines) and PLACE.search(lines[start + 1]):
            bare, start = True, start + 1
        if not (bare or (self.key and _label(lines[start]) == self.key) or self._example(lines, start)):
            return start + 1
        if bare and not self.whole(lines[start]) and len(_sentences(lines[start])) > 1:
            return start + 1
        stop = start + 1
        while stop < len(lines) and _breaks(lines[stop - 1]) < 2:
            line = lines[stop]
            if self.key and _label(line) == self.key:
                break
            if bare and not (_label(line) or PLACE.search(line) or _MARKS.fullmatch(line)):
                break
            stop += 1
        return stop

    def _example(self, lines: Sequence[str], start: int) -> bool:
        """Whether a paragraph begins here that ends with the cue and an answer to it."""
        if not self.cue or self.key or (start and _breaks(lines[start - 1]) < 2):
            return False
        stop = start
        while stop + 1 < len(lines) and _breaks(lines[stop]) < 2:
            stop += 1
        return stop > start and _label(lines[stop]) == self.cue


def _sentences(line: str) -> list[str]:
    sentences, start = list[str](), 0
    for end in _END.finditer(line):
        if not _NO_END.search(line[start : end.end()]):
            sentences.append(line[start : end.end()])
            start = end.end()
    return [*sentences, line[start:]] if start < len(line) else sentences


def _label(line: str) -> str:
    return match[1].casefold() if (match := _LABEL.match(line)) else ""


def _breaks(part: str) -> int:
    return part[len(part.rstrip()) :].count("\n")
