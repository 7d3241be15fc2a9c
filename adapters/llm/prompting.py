"""Prompts as data: a TOML file a judge's mode, or a user's own, filled with texts that cannot step out of their place.

    [system]
    text = "..."                    # Jinja templates
    [user]
    text = "... {{ first }} ..."
    [answer]
    labels = ["A", "B"]             # the words an answer may be
    after = "Answer:"               # what stands before the answer, where the model is to write something first
    max_tokens = 8

Texts to be judged may try to give orders. They stand between fences: lines with a code that depends on the texts and
occurs in none of them, so that no text can close its own fence, and the same texts always give the same prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import jinja2
import msgspec
from jinja2.sandbox import ImmutableSandboxedEnvironment

from adapters.files.toml_files import read_toml
from elicit.types import BadInputError, hash_of

FOLDER = Path(__file__).parent / "prompts"
# Marks that chat templates take for the end of a turn; servers that read them inside a message obey them.
_CONTROL = re.compile(r"<(?=\||/?s>|(?:start|end)_of_turn>)|\[(?=/?INST\])")


class PromptText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Jinja template."""

    text: str


class AnswerForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an answer looks like; see the module."""

    labels: tuple[str, ...] = ()
    after: str = ""
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] = 16


class Prompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prompt of one mode."""

    system: PromptText
    user: PromptText
    answer: AnswerForm = AnswerForm()

    def fill(
        self, texts: Mapping[str, str], words: Mapping[str, Any], examples: Iterable[Mapping[str, str]] = ()
    ) -> tuple[str, str]:
        """The system's and the user's part.

        texts: from outside, each fenced where it is not empty. words: from whoever configured the judge, as they are.
        examples: texts too, but for `answer`. `{{ fence }}` is the code. A template is filled once: what a text holds
        is never read as one. Raises jinja2.TemplateError where a template cannot be filled.
        """
        examples = list(examples)
        fence = fence_for([*texts.values(), *(text for example in examples for text in example.values())])
        values: dict[str, Any] = {name: fence_text(text, fence) for name, text in texts.items()}
        values["examples"] = [
            {name: text if name == "answer" else fence_text(text, fence) for name, text in example.items()}
            for example in examples
        ]
        values |= dict(words) | {"fence": fence}
        return _template(self.system.text).render(values).strip(), _template(self.user.text).render(values).strip()


def read_prompt(path: Path) -> Prompt:
    """The prompt in a TOML file.

    Raises BadInputError where the file is none.
    """
    if not path.exists():
        modes = ", ".join(sorted(file.stem for file in FOLDER.glob("*.toml")))
        raise BadInputError(f"there is no prompt {path}; give a TOML file like those of the modes ({modes})")
    try:
        return msgspec.convert(read_toml(path), Prompt)
    except msgspec.ValidationError as error:
        raise BadInputError(f"{path} is no prompt ({error}); mend it after one of {FOLDER}") from None


def fence_for(texts: Iterable[str]) -> str:
    """A code that occurs in none of the texts and looks random: 8 hex digits, a function of the texts.

    Few digits, because each is a token for some models: whoever writes a text cannot put the code of that text into it,
    and if chance did, another code is taken.
    """
    texts = list(texts)
    turn = 0
    while any((code := hash_of([turn, texts])[:8]) in text for text in [*texts, ""]):
        turn += 1
    return code


def fence_text(text: str, fence: str) -> str:
    """The text between its fences, without what a chat template would obey; nothing for an empty text."""
    return f"[{fence}]\n{_CONTROL.sub(_add_blank, text)}\n[/{fence}]" if text.strip() else ""


def _add_blank(mark: re.Match[str]) -> str:
    return mark.group() + " "


@lru_cache(maxsize=64)
def _template(text: str) -> jinja2.Template:
    return _templates.from_string(text)


_templates = ImmutableSandboxedEnvironment(
    undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
)
