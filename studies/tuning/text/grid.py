"""A slot grid: the parts that prompts are composed from, as data; `proposers/slots.toml` is one and says how."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import jinja2
import jinja2.meta
import msgspec
import numpy as np
from jinja2.sandbox import ImmutableSandboxedEnvironment

from adapters.files.toml_files import read_toml
from elicit.safe_text import full_stop
from elicit.tuning.placeholders import strange_places
from elicit.tuning.protocol import PLACE, Input, Pool
from elicit.types import BadInputError
from studies.tuning.text import wording
from studies.tuning.text.repair import block, fields
from studies.tuning.text.segments import instruction

SlotChoice = dict[str, str]
"""The option at each slot."""

_SEEDS = 4
_LONGEST_EXAMPLE = 600  # characters: longer ones make every prompt about themselves
_MOST_LABELS = 8


class _Option(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    weight: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    needs: tuple[str, ...] = ()


class Wording(_Option, frozen=True):
    """A sentence or more of the instruction."""

    text: str


class Shots(_Option, frozen=True):
    """How many examples are shown."""

    shots: Annotated[int, msgspec.Meta(ge=0)]


class Frame(_Option, frozen=True):
    """How the input is presented, and what stands before the answer."""

    text: str
    cue: str = ""


class SlotOrder(_Option, frozen=True):
    """Whether the instruction comes first or last."""

    instruction: Literal["first", "last"]


class Layout(_Option, frozen=True):
    """Which wordings stand in a list; the others run on."""

    points: tuple[str, ...]


Option = Wording | Shots | Frame | SlotOrder | Layout

_KINDS: dict[str, type[Option]] = {"examples": Shots, "frame": Frame, "order": SlotOrder, "layout": Layout}
_DEFAULTS: dict[str, Option] = {
    "examples": Shots(shots=0),
    "frame": Frame(text="{{ labelled }}"),
    "order": SlotOrder(instruction="first"),
    "layout": Layout(points=()),
}
_WORDS = ("task", "deed", "question", "thing", "labels", "word")
_FRAMES = ("labelled", "bare")


class Grid(NamedTuple):
    """The options of each slot, and the choices that do not go together."""

    slots: dict[str, dict[str, Option]]
    clashes: tuple[dict[str, tuple[str, ...]], ...]


def read_grid(path: Path) -> Grid:
    """The grid in a TOML file.

    Raises BadInputError, one sentence with the file and the field, where it is none.
    """
    tables = read_toml(path, "give a TOML file with [slot.option] tables")
    clashes = tables.pop("clash", [])
    slots: dict[str, dict[str, Option]] = {}
    for slot, options in tables.items():
        if not isinstance(options, dict) or not options or not all(isinstance(o, dict) for o in options.values()):
            raise BadInputError(f"{path}: {slot} is no slot; give it options as tables, [{slot}.name]")
        slots[slot] = {name: _option(path, slot, name, table) for name, table in options.items()}
    if not any(slot not in _KINDS for slot in slots):
        raise BadInputError(f"{path}: no slot has texts; give one, as [ask.plain] with text = '{{{{ task }}}}'")
    for name, option in slots.get("layout", {}).items():
        if isinstance(option, Layout) and (odd := set(option.points) - set(slots)):
            raise BadInputError(f"{path}: points of [layout.{name}] has {min(odd)!r}, which is no slot of the grid")
    try:
        clash_tables = msgspec.convert(clashes, tuple[dict[str, tuple[str, ...]], ...])
    except msgspec.ValidationError as error:
        raise BadInputError(f"{path}: [[clash]] is no list of slot = [options] ({error})") from None
    for clash in clash_tables:
        for slot, names in clash.items():
            if odd := set(names) - set(slots.get(slot, ())):
                raise BadInputError(f"{path}: a [[clash]] names {slot}.{min(odd)}, which is no option of the grid")
    return Grid(slots, tuple(clash for clash in clash_tables if clash))


def _option(path: Path, slot: str, name: str, table: dict[str, Any]) -> Option:
    kind = _KINDS.get(slot, Wording)
    allowed = (*_WORDS, *_FRAMES) if kind is Frame else _WORDS
    try:
        option: Option = msgspec.convert(table, kind)
        unknown = (_variables_of(option) | set(option.needs)) - set(allowed)
    except (msgspec.ValidationError, jinja2.TemplateError) as error:
        raise BadInputError(f"{path}: [{slot}.{name}] is no option of this slot ({error})") from None
    if unknown:
        raise BadInputError(f"{path}: [{slot}.{name}] uses {min(unknown)!r}; known are: {', '.join(allowed)}")
    if isinstance(option, Frame) and not _variables_of(option) & set(_FRAMES):
        raise BadInputError(f"{path}: text of [{slot}.{name}] does not present the input; use {{{{ labelled }}}} in it")
    return option


class Composer:
    """A grid for a pool: the options that its task and examples allow, and the prompts that choices of them spell."""

    def __init__(self, grid: Grid, pool: Pool) -> None:
        self._fields = fields(pool)
        self._shown = [example for example in pool.examples if self._showable(example)]
        self._words = self._words_of(pool)
        seeds = dict.fromkeys(
            (words, row) for row, words in ((p.row, _wording(p.text)) for p in pool.prompts if not p.proposer) if words
        )
        self._options: dict[str, dict[str, Option]] = {}
        for slot, options in grid.slots.items():
            there = {name: option for name, option in options.items() if self._possible(option)}
            if slot == "ask":
                # Braces in a person's words are words.
                there |= {f"seed-{row}": Wording(text=_verbatim(words)) for words, row in list(seeds)[:_SEEDS]}
            if there:
                self._options[slot] = there
        self._clashes = grid.clashes

    @property
    def options(self) -> dict[str, list[str]]:
        """The names of the options at each slot."""
        return {slot: list(options) for slot, options in self._options.items()}

    def weight(self, slot: str, name: str) -> float:
        """How often an option is drawn beside the others of its slot."""
        return self._options[slot][name].weight

    def fits(self, choice: Mapping[str, str]) -> bool:
        """Whether the choice is one of this grid's, and nothing in it clashes."""
        return (
            choice.keys() == self._options.keys()
            and all(name in self._options[slot] for slot, name in choice.items())
            and not self._clash(choice)
            and self._listable(choice)
        )

    def draw(self, rng: np.random.Generator) -> Iterator[SlotChoice]:
        """Choices by the options' weights, without end; where the options left at a slot all clash, one that does."""
        slots = list(self._options)
        while True:
            choice: SlotChoice = {}
            # In a random order, so that an option which clashes with many is as likely as its weight says.
            for slot in (slots[i] for i in rng.permutation(len(slots))):
                names = list(self._options[slot])
                names = [name for name in names if not self._clash(choice | {slot: name}, slot)] or names
                weights = np.array([self._options[slot][name].weight for name in names])
                choice[slot] = names[int(rng.choice(len(names), p=weights / weights.sum()))]
            yield {slot: choice[slot] for slot in slots}

    def compose(self, choice: SlotChoice, rng: np.random.Generator) -> str:
        """The prompt that a choice spells; the generator draws the examples.

        Raises BadInputError where a text cannot be filled.
        """
        options = _DEFAULTS | {slot: self._options[slot][name] for slot, name in choice.items()}
        frame, order, layout, shots = options["frame"], options["order"], options["layout"], options["examples"]
        assert isinstance(frame, Frame)
        assert isinstance(order, SlotOrder)
        assert isinstance(layout, Layout)
        assert isinstance(shots, Shots)
        texts = {slot: self._render(o.text) for slot, o in options.items() if isinstance(o, Wording)}
        prose = ""
        for text in (text for slot, text in texts.items() if text and slot not in layout.points):
            # What a person wrote in lines goes on in lines.
            prose += ("\n" if "\n" in prose + text else " ") * bool(prose) + text
        points = "\n".join(f"- {text}" for slot, text in texts.items() if text and slot in layout.points)
        head = "\n".join(text for text in (prose, points) if text)
        places = {name: f"{{{name}}}" for name in self._fields}
        shown = [
            self._present(frame, example.fields, example.reference) for example in self._examples(shots.shots, rng)
        ]
        if shown and not any("\n" in example for example in shown):
            shown = ["\n".join([*shown, self._present(frame, places)])]
            return "\n\n".join(part for part in (head, *shown) if part)
        if order.instruction == "first":
            return "\n\n".join(part for part in (head, *shown, self._present(frame, places)) if part)
        request = self._present(msgspec.structs.replace(frame, cue=""), places)
        head = "\n".join(part for part in (head, frame.cue) if part)
        return "\n\n".join(part for part in (*shown, request, head) if part)

    def _clash(self, choice: Mapping[str, str], new: str = "") -> bool:
        """Whether a choice has a clash in it: any, or one that the slot `new` is part of."""
        for clash in self._clashes:
            if new and choice[new] not in clash.get(new, ()):
                continue
            if all(choice.get(slot) in names for slot, names in clash.items()):
                return True
        return False

    def _present(self, frame: Frame, contents: Mapping[str, str], answer: str = "") -> str:
        field_texts = {name: contents[name] for name in self._fields}
        labelled = (
            block(self._fields)
            if len(field_texts) > 1
            else f"{self._words['thing'].capitalize()}: {{{self._fields[0]}}}"
        )
        values = {
            "labelled": PLACE.sub(lambda place: field_texts[place[1]], labelled),
            "bare": next(iter(field_texts.values())) if len(field_texts) == 1 else "",
        }
        text = self._render(frame.text, values)
        with_cue = f"{text}\n{frame.cue}" if frame.cue else text
        return f"{with_cue} {answer}" if answer else with_cue

    def _render(self, text: str, more: Mapping[str, str] | None = None) -> str:
        try:
            return _templates.from_string(text).render(self._words | dict(more or {})).strip()
        except jinja2.TemplateError as error:
            raise BadInputError(f"the grid's text {text[:60]!r} cannot be filled ({error}); mend it") from None

    def _possible(self, option: Option) -> bool:
        if isinstance(option, Shots) and option.shots > len(self._shown):
            return False
        available = {name for name, value in self._words.items() if value} | {"labelled"}
        if len(self._fields) == 1:
            available.add("bare")
        return (_variables_of(option) | set(option.needs)) <= available

    def _listable(self, choice: Mapping[str, str]) -> bool:
        """A list has two points at least."""
        options = {slot: self._options[slot][name] for slot, name in choice.items()}
        layout = options.get("layout")
        if not isinstance(layout, Layout) or not layout.points:
            return True
        points = (options.get(slot) for slot in layout.points)
        return sum(isinstance(point, Wording) and bool(point.text.strip()) for point in points) > 1

    def _words_of(self, pool: Pool) -> dict[str, str]:
        task = " ".join(pool.task.split())
        answers = sorted({example.reference.strip() for example in pool.examples if example.reference.strip()})
        if all(answer in task for answer in answers):
            answers.sort(key=task.index)
        few = 2 <= len(answers) <= _MOST_LABELS and 2 * len(answers) <= len(pool.examples)
        return {
            "task": task if task.endswith(":") else full_stop(task),
            "deed": wording.deed_of(task),
            "question": wording.question(task),
            "thing": (wording.thing(task) if len(self._fields) == 1 else "") or "input",
            "labels": f"{', '.join(answers[:-1])} or {answers[-1]}" if few else "",
            "word": "yes" if answers and not any(len(answer.split()) > 1 for answer in answers) else "",
        }

    def _showable(self, example: Input) -> bool:
        """Whether an input may be an example: its answer is known, it is short, nothing in it looks like a place."""
        texts = [example.fields.get(name, "") for name in self._fields]
        return (
            bool(example.reference.strip())
            and not example.held_out
            and all(text.strip() for text in texts)
            and sum(map(len, texts)) + len(example.reference) <= _LONGEST_EXAMPLE
            and not any(strange_places(text, ()) for text in (*texts, example.reference))
        )

    def _examples(self, k: int, rng: np.random.Generator) -> Sequence[Input]:
        """k examples in random order, as many of each answer as can be."""
        order = [self._shown[i] for i in rng.permutation(len(self._shown))] if k else []
        counts: dict[str, int] = {}
        ranked = []
        for place, example in enumerate(order):
            counts[example.reference] = counts.get(example.reference, 0) + 1
            ranked.append((counts[example.reference], place))
        chosen = [order[place] for _, place in sorted(ranked)[:k]]
        return [chosen[i] for i in rng.permutation(len(chosen))]


def _wording(text: str) -> str:
    """A seed's own words for the task: without a role, which is another slot's."""
    return re.sub(r"\AYou are [^.!?]+[.!?]\s+", "", instruction(text))


def _verbatim(text: str) -> str:
    return "{{ " + repr(text) + " }}"


def _variables_of(option: Option) -> set[str]:
    """What an option's text speaks of."""
    text = option.text if isinstance(option, Wording | Frame) else ""
    return jinja2.meta.find_undeclared_variables(_templates.parse(text))


_templates = ImmutableSandboxedEnvironment(
    undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=False
)
