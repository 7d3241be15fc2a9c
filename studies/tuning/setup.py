"""From a task file, or from questions in a terminal, to a study that tunes prompts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec

from adapters.files.inputs import hold_out, read_inputs
from adapters.files.toml_files import read_toml
from elicit.tuning.placeholders import checked_prompt, with_places
from elicit.tuning.protocol import Input
from elicit.types import BadInputError, Item
from studies.spec import QUESTION
from studies.tuning_spec import TuningSpec

EXAMPLE = Path(__file__).parent / "tasks" / "example.toml"

Ask = Callable[[str, str], str]
"""Asks a person a question, with the answer that Enter gives."""


class TaskFile(msgspec.Struct, forbid_unknown_fields=True):
    """What stands in a task file beside the fields of `TuningSpec`."""

    prompts: tuple[str, ...] = ()
    inputs: str = ""
    held_out: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.4
    title: str = ""
    votes: Annotated[int, msgspec.Meta(ge=1, le=10**9)] = 60
    question: str = QUESTION
    guidelines: str = ""
    seed: Annotated[int, msgspec.Meta(ge=-(10**18), le=10**18)] = 0
    judges: tuple[dict[str, Any], ...] = ()
    routing: dict[str, Any] = {}


class Setup(msgspec.Struct):
    """What `Study.create` takes: first prompts, inputs, and fields of the specification."""

    items: list[Item]
    inputs: list[Input]
    spec: dict[str, Any]


def read_task(path: Path) -> Setup:
    """The study that a task file describes. Raises BadInputError with the file and the field at fault."""
    values = read_toml(path, "give a task file, such as --task example")
    return setup_of(values, path.parent, str(path))


def setup_of(values: dict[str, Any], folder: Path, where: str) -> Setup:
    """The study that the values of a task file describe; files are looked for in `folder`."""
    values = _make_absolute(values, folder)
    own = {name: value for name, value in values.items() if name in TaskFile.__struct_fields__}
    if values.get("optimises") == "response":
        values = {"proposers": ["sample"], "start": 8} | values
    elif "function" in values.get("target", {}) and not values.get("writer"):  # it answers, and does not write
        values = {"proposers": ["slots", "crossover"]} | values
    try:
        file = msgspec.convert(own, TaskFile)
        tuning = msgspec.convert({name: v for name, v in values.items() if name not in own}, TuningSpec)
    except msgspec.ValidationError as error:
        what = str(error)
        raise BadInputError(f"{where}: {what[0].lower()}{what[1:].replace('`$.', '`')}; mend it") from None
    spec = {
        "title": file.title or tuning.task[:60],
        "votes": file.votes,
        "question": file.question,
        "guidelines": file.guidelines or f"The task: {tuning.task}",
        "seed": file.seed,
        "judges": file.judges,
        "tuning": tuning,
    } | ({"routing": file.routing} if file.routing else {})
    if tuning.optimises == "response":
        return Setup([Item(f"p{n}", text) for n, text in enumerate(file.prompts, 1)], [], spec)
    if not file.inputs:
        raise BadInputError(f'{where}: there are no inputs; name a file of them, as in inputs = "inputs.jsonl"')
    inputs = hold_out(read_inputs(folder / file.inputs), file.held_out)
    names = list(inputs[0].fields)
    rules = msgspec.structs.replace(
        tuning.rules, keep=tuple(with_places(phrase, names) for phrase in tuning.rules.keep)
    )
    spec["tuning"] = tuning = msgspec.structs.replace(tuning, rules=rules)
    prompts = file.prompts or (tuning.task,)
    texts = [checked_prompt(text, names, f"{where}: prompt {number}") for number, text in enumerate(prompts, start=1)]
    for number, text in enumerate(texts, start=1):
        if why := tuning.rules.broken(text):
            raise BadInputError(f"{where}: prompt {number} breaks a rule, {why}; change one of them")
    if len(texts) < 2 and not (tuning.proposers and tuning.start > 1):
        raise BadInputError(f"{where}: there is one prompt and nobody to propose more; add prompts or proposers")
    return Setup([Item(f"p{n}", text) for n, text in enumerate(texts, 1)], inputs, spec)


def _make_absolute(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same with the functions it names, which stand beside the file, named from anywhere."""

    def place(name: Any) -> Any:
        if isinstance(name, str) and ".py:" in name:
            file, _, function = name.rpartition(":")
            return f"{(folder / file).resolve()}:{function}"
        return name

    absolute = dict(values)
    for key in ("target", "writer"):
        if isinstance(absolute.get(key), dict) and "function" in absolute[key]:
            absolute[key] = {**absolute[key], "function": place(absolute[key]["function"])}
    if isinstance(absolute.get("signals"), list):
        absolute["signals"] = [place(name) for name in absolute["signals"]]
    return absolute


def ask_study(ask: Ask) -> Setup:
    """The study that a person describes, question by question; Enter takes what the example has."""
    values = read_toml(EXAMPLE)
    target = values["target"]
    values["task"] = ask("What are the prompts for? (a sentence)", values["task"])
    first = ask("Your prompt today ({input} is where an input goes; - for none)", values["prompts"][0])
    values["prompts"] = [] if first.strip() == "-" else [first]
    inputs = ask("File of inputs (.jsonl, .csv, .parquet; `input`, optionally `reference`)", "the example's")
    folder = EXAMPLE.parent if inputs == "the example's" else Path()
    values["inputs"] = values["inputs"] if inputs == "the example's" else inputs
    place = ask("The model: address of an endpoint, or path/to/file.py:function", target["endpoint"])
    if place.startswith(("http://", "https://")):
        target["endpoint"] = place
        target["model"] = ask("Its name there", target["model"])
        target["key"] = ask("Environment variable that holds its key (- for none)", "-").strip()
        target["key"] = "" if target["key"] == "-" else target["key"]
    else:
        values["target"] = {"function": place}
    values["votes"] = number(ask("Votes you are willing to give", str(values["votes"])), "votes")
    values["calls"] = number(ask("Model calls it may take", str(values["calls"])), "calls")
    if not any(input_.reference for input_ in read_inputs(folder / values["inputs"])):
        values["signals"] = []
    return setup_of(values, folder, "your answers")


def number(text: str, what: str) -> int:
    """A whole number as a person types it. Raises BadInputError."""
    try:
        return int(text.replace("_", "").replace(",", ""))
    except ValueError:
        raise BadInputError(f"{what}: {text!r} is not a whole number; write one, such as 60") from None
