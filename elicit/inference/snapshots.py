"""A belief as plain values and tensors, from which it is taken up again to the bit.

What an engine believes is a function of what is known of the items and of its votes. So the state worth keeping is one
belief and the votes behind it; the prior, the model and the selector are made anew. Whatever a belief shares with its
prior, such as the items' features, is named and not copied.

A belief is walked by its structure: tensors, arrays, plain values, containers, and objects of the core's classes by
their fields. A field that joins a class is kept with no line here. What cannot be walked makes no snapshot.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor

from elicit.inference.posterior import Posterior

CORE = "elicit."
"""How the names of modules begin whose classes are taken apart and put together again."""
DEEPEST = 40


class NoSnapshotError(Exception):
    """A belief cannot be kept, or what was kept does not fit."""


class Snapshot(NamedTuple):
    """A belief: its structure as JSON, and the tensors that this names by number."""

    structure: bytes
    tensors: dict[str, Tensor]


def take(belief: Posterior, prior: Posterior) -> Snapshot:
    """The belief that an engine with this prior has come to.

    Raises NoSnapshotError where it holds what is not the core's, such as objects of a user's own model.
    """
    paths = {id(value): path for path, value in _walk(prior, "") if not _is_plain(value)}
    tensors: dict[str, Tensor] = {}
    numbers: dict[int, str] = {}

    def pack(value: Any, depth: int) -> Any:
        if depth > DEEPEST:
            raise NoSnapshotError("the belief is nested too deeply")
        if value is None or isinstance(value, bool | int | str):
            return value
        if (path := paths.get(id(value))) is not None:
            return ["prior", path]
        if isinstance(value, float):
            return ["float", value.hex()]
        if isinstance(value, bytes):
            return ["bytes", value.hex()]
        if isinstance(value, Tensor):
            order = sorted(range(value.ndim), key=value.stride, reverse=True)
            number = numbers.setdefault(id(value), str(len(numbers)))
            tensors[number] = value.detach().permute(order).contiguous().cpu().clone()
            return ["tensor", number, order, str(value.device)]
        if isinstance(value, np.ndarray):
            number = numbers.setdefault(id(value), str(len(numbers)))
            tensors[number] = torch.from_numpy(np.array(value, order="C"))
            return ["array", number]
        if type(value) in (tuple, list):
            return [type(value).__name__, [pack(element, depth + 1) for element in value]]
        if type(value) is dict:
            return ["dict", [[pack(key, depth + 1), pack(element, depth + 1)] for key, element in value.items()]]
        kind = type(value)
        if not kind.__module__.startswith(CORE):
            raise NoSnapshotError(f"a {kind.__module__}.{kind.__qualname__} is not the core's")
        fields = {name: pack(element, depth + 1) for name, element in _fields(value).items()}
        return ["object", kind.__module__, kind.__qualname__, fields]

    return Snapshot(msgspec.json.encode(pack(belief, 0)), tensors)


def restore(snapshot: Snapshot, prior: Posterior) -> Posterior:
    """The belief of a snapshot, for an engine with this prior; the same prior as when it was taken.

    Raises NoSnapshotError where it does not fit this release's classes or this prior.
    """
    prior_values = dict(_walk(prior, ""))

    def unpack(node: Any) -> Any:
        if not isinstance(node, list):
            return node
        match node:
            case ["prior", path]:
                return prior_values[path]
            case ["float", text]:
                return float.fromhex(text)
            case ["bytes", text]:
                return bytes.fromhex(text)
            case ["tensor", number, order, device]:
                back = [order.index(axis) for axis in range(len(order))]
                return snapshot.tensors[number].permute(back).to(device)
            case ["array", number]:
                return snapshot.tensors[number].numpy()
            case ["tuple", values]:
                return tuple(unpack(element) for element in values)
            case ["list", values]:
                return [unpack(element) for element in values]
            case ["dict", pairs]:
                return {unpack(key): unpack(element) for key, element in pairs}
            case ["object", module, name, fields]:
                return _make_object(module, name, {field: unpack(element) for field, element in fields.items()})
        raise NoSnapshotError(f"there is nothing called {node[0]!r}")

    try:
        belief: Posterior = unpack(msgspec.json.decode(snapshot.structure))
    except (LookupError, ValueError, TypeError, AttributeError, RuntimeError, ImportError) as error:
        raise NoSnapshotError(str(error)) from error
    return belief


def _make_object(module: str, name: str, fields: Mapping[str, Any]) -> Any:
    if not module.startswith(CORE):
        raise NoSnapshotError(f"{module} is not the core's")
    kind = getattr(importlib.import_module(module), name)
    if issubclass(kind, tuple | msgspec.Struct):
        return kind(**fields)
    if dataclasses.is_dataclass(kind) and {f.name for f in dataclasses.fields(kind)} != set(fields):
        raise NoSnapshotError(f"{name} has other fields now")
    instance = object.__new__(kind)
    instance.__dict__.update(fields)
    return instance


def _fields(value: Any) -> dict[str, Any]:
    """What an object of the core's consists of; what it has computed from that and remembers is left out."""
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if isinstance(value, tuple):
        return {name: getattr(value, name) for name in value._fields}  # type: ignore[attr-defined]
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return dict(vars(value))


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Everything that a value holds, each with the path to it."""
    yield path, value
    if _is_plain(value) or isinstance(value, Tensor | np.ndarray) or path.count("/") > DEEPEST:
        return
    if isinstance(value, dict):
        inner = enumerate(value.values())
    elif type(value) in (tuple, list):
        inner = enumerate(value)
    elif type(value).__module__.startswith(CORE):
        yield from (entry for name, element in _fields(value).items() for entry in _walk(element, f"{path}/{name}"))
        return
    else:
        return
    yield from (entry for name, element in inner for entry in _walk(element, f"{path}/{name}"))


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str | bytes)
