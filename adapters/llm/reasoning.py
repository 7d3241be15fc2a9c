"""What a reasoning model thought before its answer, where it stands in the text of the reply."""

from __future__ import annotations

import re

_MARK = re.compile(
    r"(?P<line>^[ \t]*)?(?:<(?P<closing>/?)(?:think|thinking|thought|reasoning)>|\[(?P<closed>/?)THINK\])",
    re.IGNORECASE | re.MULTILINE,
)


def without_reasoning(text: str) -> str:
    """The text without what stands between marks of reasoning, `<think>` and its like.

    A mark that closes what nothing opened ends the reasoning too: chat templates of some models open it in the prompt.
    One that nothing closes is a mark only where a line begins, for an answer may speak of it; what follows was cut.
    """
    marks = list(_MARK.finditer(text))
    if not marks:
        return text
    closings = [mark.end() for mark in marks if mark["closing"] or mark["closed"]]
    last, kept, start, inside = max(closings, default=0), list[str](), 0, False
    for mark in marks:
        if mark["closing"] or mark["closed"]:
            if not inside:
                kept.clear()
            start, inside = mark.end(), False
        elif not inside and (mark.end() <= last or mark["line"] is not None):
            kept.append(text[start : mark.start()])
            inside = True
    if not inside:
        kept.append(text[start:])
    answer = "".join(kept)
    return answer if answer == text else answer.strip()


def is_empty(text: str) -> bool:
    """Whether a text has nothing that can be seen."""
    return not any(sign.isprintable() and not sign.isspace() for sign in text)
