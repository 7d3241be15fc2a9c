"""What is public is documented: its sections name what it takes, gives and raises, and its examples run."""

import ast
import doctest
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import pytest

import elicit
from elicit import BadInputError, types
from elicit.log.ledger import Ledger
from elicit.routing.judging import QuestionedJudge, TaughtJudge

PUBLIC = {name: getattr(elicit, name) for name in elicit.__all__ if not name.startswith("_")}
PUBLIC |= {protocol.__name__: protocol for protocol in (Ledger, QuestionedJudge, TaughtJudge)}
CLASSES = [name for name, public in PUBLIC.items() if inspect.isclass(public) and not issubclass(public, Exception)]
SECTION = re.compile(r"^(\w+)\n-+\n(.*?)(?=\n\n\w+\n-+\n|\Z)", re.DOTALL | re.MULTILINE)
ENTRY = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: : .*)?$", re.MULTILINE)
MANY = 4
"""Parameters of a method that no single sentence makes plain."""


def sections(documented: Any) -> dict[str, str]:
    """The sections of a docstring, by their titles."""
    return dict(SECTION.findall(inspect.getdoc(documented) or ""))


def entries(section: str) -> list[str]:
    """The names that a section of parameters or attributes explains, in order."""
    return [name.lstrip("*") for line in ENTRY.findall(section) for name in line.split(", ")]


def parameters(called: Callable[..., Any]) -> list[str]:
    if getattr(called, "_is_protocol", False):
        return []
    return [name for name in inspect.signature(called).parameters if name not in ("self", "cls")]


def fields_of(cls: type) -> list[str]:
    """The fields of a struct, a named tuple or a dataclass, in order."""
    places = ("__struct_fields__", "_fields", "__dataclass_fields__")
    return [field for place in places for field in getattr(cls, place, ())]


def constructors(cls: type) -> list[Any]:
    """What runs when an instance is made, as far as it is written in the class."""
    own = [vars(cls)[name] for name in ("__init__", "__post_init__") if name in vars(cls)]
    return [function for function in own if function.__code__.co_filename == inspect.getsourcefile(cls)]


def methods(cls: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class or those it derives from define here."""
    for name, static in inspect.getmembers_static(cls):
        home = next((base for base in cls.__mro__ if name in vars(base)), object)
        if name.startswith("_") or not home.__module__.startswith(("elicit", "adapters", "studies")):
            continue
        if isinstance(static, FunctionType | classmethod | staticmethod):
            yield name, getattr(static, "__func__", static)
        elif isinstance(static, property):
            yield name, static


def raised(function: Any) -> set[str]:
    """The kinds of BadInputError that a function's own lines raise."""
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    calls = [node.exc for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Raise)]
    names = {call.func.id for call in calls if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)}
    return {name for name in names if issubclass(getattr(types, name, object), BadInputError)}


def gives(function: Any) -> bool:
    return inspect.signature(function).return_annotation not in ("None", None, inspect.Signature.empty)


def complaints(name: str, documented: Any) -> Iterator[str]:
    """What a function's or method's sections leave out, or have beside it."""
    found = sections(documented)
    if not inspect.getdoc(documented):
        yield f"{name} has no docstring"
    if "Parameters" in found and entries(found["Parameters"]) != parameters(documented):
        yield f"{name} explains {entries(found['Parameters'])} and takes {parameters(documented)}"
    if raised(documented) and "BadInputError" not in found.get("Raises", ""):
        yield f"{name} raises {raised(documented)} and does not say when"


@pytest.mark.parametrize("name", PUBLIC)
def test_its_examples_run(name: str) -> None:
    runner, told = doctest.DocTestRunner(), list[str]()
    for test in doctest.DocTestFinder().find(PUBLIC[name], name, globs={}):
        runner.run(test, out=told.append)
    assert runner.tries, f"{name} shows no example"
    assert not runner.failures, "".join(told)


@pytest.mark.parametrize("name", [name for name, public in PUBLIC.items() if not inspect.isclass(public)])
def test_a_function_says_what_it_takes_gives_and_raises(name: str) -> None:
    function = PUBLIC[name]
    assert list(complaints(name, function)) == []
    assert "Parameters" in sections(function) or not parameters(function)
    assert "Returns" in sections(function) or not gives(function)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_says_what_it_is_made_of(name: str) -> None:
    cls, found = PUBLIC[name], sections(PUBLIC[name])
    if "Parameters" in found:
        assert entries(found["Parameters"]) == parameters(cls)
    elif fields := fields_of(cls):
        assert entries(found["Attributes"]) == fields
    else:
        assert "Attributes" in found or not parameters(cls)
    if any(raised(own) for own in constructors(cls)):
        assert "BadInputError" in found["Raises"]


@pytest.mark.parametrize("name", CLASSES)
def test_its_methods_say_what_they_take_give_and_raise(name: str) -> None:
    wrong = []
    for method, documented in methods(PUBLIC[name]):
        wrong += complaints(f"{name}.{method}", getattr(documented, "fget", documented))
        if isinstance(documented, property):
            continue
        found = sections(documented)
        refers = re.match(r"See `(\w+)\.(\w+)`", inspect.getdoc(documented) or "")
        if refers and not hasattr(PUBLIC[refers[1]], refers[2]):
            wrong.append(f"{name}.{method} refers to what is not there")
        if len(parameters(documented)) >= MANY and "Parameters" not in found and not refers:
            wrong.append(f"{name}.{method} takes {parameters(documented)} and explains none")
        if "Parameters" in found and "Returns" not in found and gives(documented):
            wrong.append(f"{name}.{method} does not say what it gives")
    assert wrong == []
