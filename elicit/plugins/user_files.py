"""A user's own plug-ins, named `path/to/file.py:Class`: loading them, and telling whose fault it is when one fails.

Whatever such a file does wrong ends in one BadInputError that names the file and the line; its traceback goes to the
log. What it prints goes to stderr, because stdout may be an answer that a program reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import inspect
import logging
import operator
import sys
import traceback
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType, coroutine
from typing import Any

from elicit.safe_text import describe_error
from elicit.types import BadInputError, JudgeFailure, Vote

logger = logging.getLogger(__name__)

Check = Callable[[tuple[Any, ...], Any], str]
"""The arguments of a call and what it returned -> what is wrong with that, or an empty string."""


watchers: list[Callable[[str, bool], None]] = []
"""Told of each call of a plug-in, in whatever thread, that it begins (True) and that it is over: what ends the process
in between can be told by another process alone."""


def load_module(kind: str, name: str, form: str = "Class") -> ModuleType:
    """The module of a user's own file, named `path/to/file.py:Class` or whatever `form` the part behind the colon has.

    Raises BadInputError, which begins with the kind and the name, where there is no such file or it does not load.
    """
    file = name.rpartition(":")[0]
    path = Path(file).resolve()
    if not path.is_file():
        raise BadInputError(f"{kind} {name!r}: there is no file {file!r}; give it as path/to/file.py:{form}")
    if path.suffix != ".py":
        raise BadInputError(f"{kind} {name!r}: {file} is no Python file; its name must end in .py")
    spec = importlib.util.spec_from_file_location(f"elicit_user_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickling look a class's module up by its name
    with translate_faults(kind, name, path, "does not load"):
        spec.loader.exec_module(module)
    return module


def load_class(kind: str, name: str, method: str) -> type:
    """The class that `name` means, each of its protocol's methods guarded; `method` is the one that it must have.

    Raises BadInputError as `load_module` does, and where the class or its method is missing.
    """
    file, _, wanted = name.rpartition(":")
    module = load_module(kind, name)
    classes = {c.__name__: c for c in vars(module).values() if inspect.isclass(c) and c.__module__ == module.__name__}
    if wanted not in classes:
        listed = ", ".join(classes) or "none"
        raise BadInputError(f"{kind} {name!r}: {file} has no class {wanted!r}; it has: {listed}")
    plugin = classes[wanted]
    if not callable(getattr(plugin, method, None)):
        raise BadInputError(
            f"{kind} {name!r}: the class has no method {method!r}; see CONTRIBUTING.md for the protocol"
        )
    for protocol_method, check in CHECKS[kind].items():
        function = getattr(plugin, protocol_method, None)
        if inspect.isfunction(function):
            setattr(plugin, protocol_method, guard(function, kind, name, check))
    return plugin


def make(plugin: type, kind: str, name: str, options: Mapping[str, Any]) -> Any:
    """An instance of a class that `load_class` gave. Raises BadInputError where its constructor fails."""
    path = Path(name.rpartition(":")[0]).resolve()
    with translate_faults(kind, name, path, "cannot be made"):
        return plugin(**options)


def guard(function: Callable[..., Any], kind: str, name: str, check: Check) -> Callable[..., Any]:
    """The function, or coroutine function, with its faults told as BadInputError and its prints sent to stderr."""
    path = Path(name.rpartition(":")[0]).resolve()
    what = f"{function.__name__}() failed"

    def check_result(arguments: tuple[Any, ...], result: Any) -> Any:
        try:
            complaint = check(arguments, result)
        except Exception as error:  # what it holds is of another kind than it may be
            logger.exception("%s %r gave what cannot be checked", kind, name)
            complaint = f"returned what cannot be used ({describe_error(error)})"
        if complaint:
            code = inspect.unwrap(function).__code__
            inherited = Path(code.co_filename).resolve() != path
            line = "" if inherited else f", line {code.co_firstlineno}"
            raise BadInputError(
                f"{kind} {name!r}: {function.__name__}() {complaint} ({path.name}{line}); "
                "see CONTRIBUTING.md for the protocol"
            )
        return result

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*arguments: Any, **named: Any) -> Any:
            with translate_faults(kind, name, path, what, inspect.unwrap(function).__code__):
                coro = function(*arguments, **named)
            result = await _step(coro, lambda: translate_faults(kind, name, path, what))
            return check_result(arguments, result)

        return call_async

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        with translate_faults(kind, name, path, what, inspect.unwrap(function).__code__):
            result = function(*arguments, **named)
        return check_result(arguments, result)

    return call


@coroutine
def _step(
    awaitable: Awaitable[Any], around: Callable[[], contextlib.AbstractContextManager[None]]
) -> Generator[Any, Any, Any]:
    """Awaits, being inside `around` only while the awaited code itself runs: others run while it waits."""
    steps = awaitable.__await__()
    value: Any = None
    error: BaseException | None = None
    while True:
        with around():
            try:
                waits_for = steps.send(value) if error is None else steps.throw(error)
            except StopIteration as end:
                return end.value
        try:
            value, error = (yield waits_for), None
        except BaseException as thrown:
            value, error = None, thrown


@contextlib.contextmanager
def translate_faults(kind: str, name: str, path: Path, what: str, code: CodeType | None = None) -> Iterator[None]:
    """What is raised inside, `sys.exit` too, becomes a BadInputError that names the file's line; prints go to stderr.

    code: of the function called, whose first line is named where the file has no part in the traceback.
    """
    for watch in watchers:
        watch(f"{kind} {name!r}", True)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (BadInputError, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit):
        raise  # none of them is the file's own fault
    except BaseException as error:  # panics of compiled packages are no Exception
        logger.exception("%s %r %s", kind, name, what)
        place = _place(error, path, code)
        raise BadInputError(f"{kind} {name!r} {what} ({describe_error(error)}{place}); mend {path.name}") from error
    finally:
        for watch in watchers:
            watch(f"{kind} {name!r}", False)


def _place(error: BaseException, path: Path, code: CodeType | None) -> str:
    """Where in the file the error arose, for the end of a sentence."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"; line {error.lineno}"
    lines = [
        (frame.lineno, frame.name)
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve() == path and frame.lineno is not None
    ]
    if lines:
        line, function = lines[-1]
        return f"; line {line}" + ("" if function == "<module>" else f", in {function}")
    return (
        f"; the function begins in line {code.co_firstlineno}"
        if code and Path(code.co_filename).resolve() == path
        else ""
    )


# -- what the methods of each protocol must return ---------------------------------------------------------------


def _check_nothing(_: tuple[Any, ...], __: Any) -> str:
    return ""


def _describe_result(result: Any) -> str:
    return "returned None" if result is None else f"returned {type(result).__name__}"


def _check_picks(arguments: tuple[Any, ...], picks: Any) -> str:
    """Picks of admissible pairs, none repeated, at most as many as asked for."""
    from elicit.selection import Pick

    if not isinstance(picks, list) or not all(isinstance(pick, Pick) for pick in picks):
        inside = next((_describe_result(pick) for pick in picks if not isinstance(pick, Pick)), "") if picks else ""
        return f"{_describe_result(picks)}{' of what it ' + inside if inside else ''} and not a list of Pick"
    candidates, k = arguments[3:5] if len(arguments) >= 5 else (None, len(picks))
    if len(picks) > k:
        return f"gave {len(picks)} picks where {k} were asked for"
    pairs = [(operator.index(pick.a), operator.index(pick.b)) for pick in picks]
    if len({(min(pair), max(pair)) for pair in pairs}) < len(pairs):
        return "picked a pair twice"
    for pick, (a, b) in zip(picks, pairs, strict=True):
        if candidates is not None and not candidates.admits(a, b):
            return f"picked rows {a} and {b}, which are not among the candidates"
        if not 0 < pick.propensity <= 1:
            return f"picked with a propensity of {pick.propensity}, which is no probability above 0"
        float(pick.score)  # raises for what is no number
    return ""


def _check_posterior(_: tuple[Any, ...], posterior: Any) -> str:
    needed = ("n", "mean", "sd", "sample", "difference", "best")
    missing = [method for method in needed if not hasattr(posterior, method)]
    return f"{_describe_result(posterior)}, which is no Posterior: it lacks {', '.join(missing)}" if missing else ""


def _check_answer(arguments: tuple[Any, ...], answer: Any) -> str:
    """A vote on the very pair that was asked, or a failure."""
    if isinstance(answer, JudgeFailure):
        return ""
    if not isinstance(answer, Vote):
        return f"{_describe_result(answer)} and neither a Vote nor a JudgeFailure"
    query = arguments[1] if len(arguments) > 1 else None
    if query is not None and (answer.a, answer.b) != (query.a, query.b):
        return f"voted on rows {answer.a} and {answer.b} where {query.a} and {query.b} were asked"
    return ""


def _check_decision(_: tuple[Any, ...], decision: Any) -> str:
    from elicit.routing.case import Decision

    return "" if isinstance(decision, Decision) else f"{_describe_result(decision)} and not a Decision"


def _check_label(_: tuple[Any, ...], label: Any) -> str:
    return "" if hasattr(label, "probabilities") else f"{_describe_result(label)} and not a label with probabilities"


def _check_proposals(_: tuple[Any, ...], proposals: Any) -> str:
    from elicit.tuning.protocol import Proposal

    if not isinstance(proposals, Sequence) or not all(isinstance(proposal, Proposal) for proposal in proposals):
        return f"{_describe_result(proposals)} and not a list of Proposal"
    return ""


CHECKS: dict[str, dict[str, Check]] = {
    "selector": {"select": _check_picks},
    "model": {"init": _check_posterior, "update": _check_posterior},
    "judge": {"begin": _check_nothing, "judge": _check_answer, "learn_from": _check_nothing, "put": _check_nothing},
    "router": {"route": _check_decision, "tell": _check_nothing, "label": _check_label},
    "proposer": {"begin": _check_nothing, "propose": _check_proposals},
}
"""By kind of plug-in, the methods of its protocol and what is held of their results."""
