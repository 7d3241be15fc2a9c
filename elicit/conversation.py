"""Chat messages, as models are given them, as a text that a person can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def render_messages(value: Any) -> str | None:
    """A list of messages ({"role": ..., "content": ...}) as Markdown; None where the value is no such list.

    One message alone is its content; of several, each begins with who speaks. content: text, or a list of parts of
    which those of text are taken, as OpenAI's and Anthropic's interfaces have it.

    >>> render_messages([{"role": "user", "content": "Boil?"}, {"role": "assistant", "content": "Seven minutes."}])
    '**user:** Boil?\\n\\n**assistant:** Seven minutes.'
    """
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not value:
        return None
    turns = []
    for message in value:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            return None
        content = _text_of(message.get("content"))
        if content is None:
            return None
        turns.append((message["role"], content))
    if len(turns) == 1:
        return turns[0][1]
    return "\n\n".join(f"**{role}:** {content}" for role, content in turns)


def _text_of(content: Any) -> str | None:
    if content is None:  # a message that only calls a tool
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = [part.get("text") if isinstance(part, dict) else part for part in content]
        if all(part is None or isinstance(part, str) for part in parts):
            return "\n\n".join(part for part in parts if part)
    return None
