"""Finds plug-ins: one file whose name is its name, or a user's own as `path/to/file.py:Class`.

The only place of the core that reaches the packages above it, by string.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import TYPE_CHECKING, Any

from elicit.plugins import user_files
from elicit.types import BadInputError, UnknownNameError

if TYPE_CHECKING:
    from elicit.inference.posterior import UtilityModel
    from elicit.routing.case import Router
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


def check_known(kind: str, name: str) -> None:
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
        cls = user_files.load_class(kind, name, method)
    else:
        check_known(kind, name)
        module = importlib.import_module(f"{package}.{name}")
        classes = [c for c in vars(module).values() if inspect.isclass(c) and c.__module__ == module.__name__]
        cls = next(c for c in classes if callable(getattr(c, method, None)))
    parameters, values = inspect.signature(cls).parameters, options or {}
    if unknown := [option for option in values if option not in parameters]:
        what = f"does not take these options: {', '.join(unknown)}; known are: {', '.join(parameters) or 'none'}"
        raise BadInputError(f"{kind} {name!r} {what}")
    if needed := [option for option, p in parameters.items() if p.default is p.empty and option not in values]:
        raise BadInputError(f"{kind} {name!r} needs these options too: {', '.join(needed)}")
    if ":" in name:
        return user_files.make(cls, kind, name, values)
    try:
        return cls(**values)
    except TypeError as error:
        raise BadInputError(f"{kind} {name!r} cannot be made ({error})") from None


def selector(name: str, options: dict[str, Any] | None = None) -> Selector:
    """The selector of that name; see `plugin`."""
    instance: Selector = plugin("selector", name, options)
    return instance


def model(name: str, options: dict[str, Any] | None = None) -> UtilityModel:
    """The utility model of that name; see `plugin`."""
    instance: UtilityModel = plugin("model", name, options)
    return instance


def router(name: str, options: dict[str, Any] | None = None) -> Router:
    """The router of that name; see `plugin`."""
    instance: Router = plugin("router", name, options)
    return instance
