"""Prompt tuning: what a prompt is tried on, what comes back, and the protocol of those who propose new prompts."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Annotated, Protocol

import msgspec

if TYPE_CHECKING:
    import numpy as np

PLACE = re.compile(r"\{(\w+)\}")
INPUT = "input"
"""The field of an input that is plain text."""

SEED = 0
"""The row of the prompt that a study began with."""


class Input(msgspec.Struct, frozen=True, omit_defaults=True):
    """What prompts are tried on: named texts that fill a prompt's places, and the right answer where it is known.

    held_out: no vote is cast on it, so that the recommendation can be measured on it.
    """

    id: str
    fields: dict[str, str]
    reference: str = ""
    held_out: bool = False

    @property
    def text(self) -> str:
        """What a person reads."""
        if set(self.fields) == {INPUT}:
            return self.fields[INPUT]
        return "\n".join(f"{name}: {value}" for name, value in self.fields.items())


class Response(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the target model answered to a prompt on an input, or why it did not. `cost` in the money of its prices.
    cut: whether it ended at the most tokens it may have, not where its answer ends."""

    text: str = ""
    failure: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    cut: bool = False


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person demands of every prompt: phrases it has to keep, words it must not have (capitals aside, whole
    words), and its length in characters at most."""

    keep: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    longest: Annotated[int, msgspec.Meta(ge=1, le=10**9)] = 4000

    def broken(self, text: str) -> str:
        """The rule that a prompt breaks, in words; empty where it keeps them all."""
        if len(text) > self.longest:
            return f"it is {len(text)} characters long, {self.longest} are allowed"
        if missing := [phrase for phrase in self.keep if phrase not in text]:
            return f"it lacks {missing[0]!r}"
        for word in self.forbid:
            if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE):
                return f"it has {word!r}"
        return ""


class Candidate(msgspec.Struct, frozen=True):
    """A prompt as a proposer sees it.

    Attributes
    ----------
    row : int
        Its number among the study's items.
    text : str
    utility, sd : float
        Posterior mean and standard deviation in logits, the pool's mean taken off.
    p_best : float
        The probability that it is the best.
    votes : int
        How many it took part in.
    slots : dict
        The choice made at each slot, where it came from a grid.
    proposer : str
        Who proposed it.
    """

    row: int
    text: str
    utility: float
    sd: float
    p_best: float
    votes: int
    slots: dict[str, str] = {}
    proposer: str = ""


class Loss(msgspec.Struct, frozen=True):
    """A vote that a prompt lost.

    Attributes
    ----------
    row, better : int
        The prompt, and the one that was preferred.
    input, response, preferred, reference : str
        What the two were compared on, their responses, and the right answer where it is known.
    reasons, note
        What the voter said.
    """

    row: int
    better: int
    input: str
    response: str
    preferred: str
    reference: str = ""
    reasons: tuple[str, ...] = ()
    note: str = ""


class Pool(msgspec.Struct, frozen=True):
    """What a proposer is shown.

    Attributes
    ----------
    task : str
        What prompts are for, in a person's words.
    prompts : tuple of Candidate
        The live ones, the best first.
    losses : tuple of Loss
        Lost votes, the newest first.
    examples : tuple of Input
        Inputs with their references that prompts may quote as examples.
    rules : Rules
        What every prompt has to keep and must not have.

    Examples
    --------
    >>> from elicit import Pool
    >>> from elicit.tuning.protocol import Rules
    >>> pool = Pool("Summarise the review.", prompts=(), rules=Rules(keep=("{input}",), longest=200))
    >>> pool.rules.broken("Summarise the review in a sentence.")
    "it lacks '{input}'"
    """

    task: str
    prompts: tuple[Candidate, ...]
    losses: tuple[Loss, ...] = ()
    examples: tuple[Input, ...] = ()
    rules: Rules = Rules()


class Proposal(msgspec.Struct, frozen=True, omit_defaults=True):
    """A new prompt.

    Attributes
    ----------
    text : str
        With its places, as {input}.
    parents : tuple of int
        The rows that it was made from.
    slots : dict
        What it chose at each slot of a grid.
    why : str
        What was changed, in a sentence.

    Examples
    --------
    >>> from elicit import Proposal
    >>> Proposal("Sum up in one sentence: {input}", parents=(0,), why="Asks for one sentence.").parents
    (0,)
    """

    text: str
    parents: tuple[int, ...] = ()
    slots: dict[str, str] = {}
    why: str = ""


class Writer(Protocol):
    """A language model that writes: what it is told, what it is asked, and which of several drafts this is.

    Raises OSError where it cannot answer.
    """

    def __call__(self, system: str, user: str, draft: int = 0) -> Awaitable[str]: ...


class Proposer(Protocol):
    """Proposes prompts. One file in `studies/tuning/proposers/`; its name is the file's name.

    A class of one's own is named "path/to/file.py:Class". Held to `tests/studies/tuning/test_proposers.py`.

    Examples
    --------
    >>> import asyncio, numpy as np
    >>> from elicit import Pool, Proposal
    >>> from elicit.tuning.protocol import Candidate
    >>> class Polite:
    ...     "Says please."
    ...
    ...     asks = False
    ...
    ...     def begin(self, write):
    ...         pass
    ...
    ...     async def propose(self, pool, k, rng):
    ...         return [Proposal(f"Please. {best.text}", (best.row,), why="Asks kindly.") for best in pool.prompts[:k]]
    >>> pool = Pool("Sum up.", (Candidate(3, "Sum up: {input}", utility=0.4, sd=0.2, p_best=0.6, votes=9),))
    >>> asyncio.run(Polite().propose(pool, 2, np.random.default_rng(0)))[0].text
    'Please. Sum up: {input}'
    """

    @property
    def asks(self) -> bool:
        """Whether each proposal costs a call of the model that writes; where it does not, more are asked for, and the
        most promising join."""
        ...

    def begin(self, write: Writer | None) -> None:
        """Get to know the model that writes.

        Parameters
        ----------
        write : Writer or None
            None where there is none.

        Raises
        ------
        BadInputError
            Where the proposer cannot do without.
        """
        ...

    async def propose(self, pool: Pool, k: int, rng: np.random.Generator) -> Sequence[Proposal]:
        """New prompts. The caller drops what breaks a rule or is there already.

        Parameters
        ----------
        pool : Pool
            What is there.
        k : int
            How many are wanted.
        rng : numpy.random.Generator

        Returns
        -------
        sequence of Proposal
            About k; fewer, or none, where it has no idea.

        Raises
        ------
        OSError
            Where the model that writes cannot answer.
        """
        ...


def fill(prompt: str, example: Input) -> str:
    """The prompt with an input's fields in their places, or after it where it has no place for any of them."""
    places = {name for name in PLACE.findall(prompt) if name in example.fields}
    if not places:
        return f"{prompt}\n\n{example.text}"
    return PLACE.sub(lambda match: example.fields.get(match[1], match[0]), prompt)


def quotes(prompt: str, example: Input) -> bool:
    """Whether a prompt has the input in itself, as an example perhaps: then what it answers to it says little."""
    return any(len(value) > 8 and value in prompt for value in example.fields.values())
