"""Finds plug-ins: one file whose name is its name, or a user's own as `path/to/file.py:Class`.

The only place of the core that reaches the packages above it, by string.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from elicit.types import BadInputError, UnknownNameError

if TYPE_CHECKING:
    from elicit.posterior import UtilityModel
    from elicit.routing import Router
    from elicit.selection import Selector

# kind -> (package, the method that makes a class a plug-in of that kind)
KINDS = {
    "selector": ("bandits", "select"),
    "model": ("elicit.models", "init"),
    "judge": ("adapters.judges", "judge"),
    "router": ("elicit.routers", "route"),
    "proposer": ("studies.tuning.proposers", "propose"),
}


def above(module: str) -> ModuleType:
    """A module by name: one of the packages above the core, or one that loads only when it is wanted."""
    return importlib.import_module(module)


def names(kind: str) -> list[str]:
    """The built-in plug-ins of a kind, by name."""
    package = importlib.import_module(KINDS[kind][0])
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))


def known(kind: str, name: str) -> None:
    """Raises UnknownNameError, which lists the known ones, unless `name` is a built-in plug-in; loads nothing."""
    if name not in names(kind):
        raise UnknownNameError(kind, name, [*names(kind), "path/to/file.py:Class"])


def plugin(kind: str, name: str, options: dict[str, Any] | None = None) -> Any:
    """An instance of the plug-in `name`, made with `options`.

    Raises BadInputError for an unknown name (listing the known ones), an unknown option, or a file that is not a
    plug-in.
    """
    package, method = KINDS[kind]
    if ":" in name:
        cls = _own(kind, name)
    else:
        known(kind, name)
        module = importlib.import_module(f"{package}.{name}")
        cls = next(c for c in _classes(module) if callable(getattr(c, method, None)))
    if not callable(getattr(cls, method, None)):
        raise BadInputError(
            f"{kind} {name!r}: the class has no method {method!r}; see CONTRIBUTING.md for the protocol"
        )
    try:
        return cls(**(options or {}))
    except TypeError as error:
        taken, given = inspect.signature(cls).parameters, options or {}
        if unknown := [option for option in given if option not in taken]:
            what = f"does not take these options: {', '.join(unknown)}; known are: {', '.join(taken) or 'none'}"
        else:
            needed = [name for name, p in taken.items() if p.default is p.empty and name not in given]
            what = f"needs these options too: {', '.join(needed)}" if needed else f"cannot be made ({error})"
        raise BadInputError(f"{kind} {name!r} {what}") from None


def selector(name: str, options: dict[str, Any] | None = None) -> Selector:
    """The selector of that name; see `plugin`."""
    made: Selector = plugin("selector", name, options)
    return made


def model(name: str, options: dict[str, Any] | None = None) -> UtilityModel:
    """The utility model of that name; see `plugin`."""
    made: UtilityModel = plugin("model", name, options)
    return made


def router(name: str, options: dict[str, Any] | None = None) -> Router:
    """The router of that name; see `plugin`."""
    made: Router = plugin("router", name, options)
    return made


def _classes(module: ModuleType) -> list[type]:
    return [c for c in vars(module).values() if inspect.isclass(c) and c.__module__ == module.__name__]


def own_module(kind: str, name: str, form: str = "Class") -> ModuleType:
    """The module of a user's own file, named `path/to/file.py:Class` or whatever `form` the part behind the colon has.

    Raises BadInputError, which begins with the kind and the name, where there is no such file or it does not load.
    """
    file = name.rpartition(":")[0]
    path = Path(file)
    if not path.is_file():
        raise BadInputError(f"{kind} {name!r}: there is no file {file!r}; give it as path/to/file.py:{form}")
    spec = importlib.util.spec_from_file_location(f"elicit_own_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise BadInputError(f"{kind} {name!r}: {file} does not load ({type(error).__name__}: {error})") from error
    return module


def _own(kind: str, name: str) -> type:
    file, _, wanted = name.rpartition(":")
    found = {c.__name__: c for c in _classes(own_module(kind, name))}
    if wanted not in found:
        raise BadInputError(f"{kind} {name!r}: {file} has no class {wanted!r}; it has: {', '.join(found) or 'none'}")
    return found[wanted]
