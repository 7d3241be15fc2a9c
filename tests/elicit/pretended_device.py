"""A device that is pretended: its tensors live in this machine's memory but say that they are on it, and every
operation is held to CUDA's rules for operands on different devices. No GPU is needed to see that code keeps to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend as register_device

NAME = "pretended"
register_device(NAME)
DEVICE = torch.device(NAME, 0)
INDEXED = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_", "aten::_unsafe_index")
"""Operations whose second argument is indices, which may be on the CPU."""
MADE_FROM_DATA = (torch.tensor, torch.as_tensor, Tensor.new_tensor)
PRODUCTS = (torch.matmul, Tensor.matmul, Tensor.__matmul__, Tensor.__rmatmul__)
"""Of vectors they change a tensor's shape in place, which a tensor that only claims its numbers cannot."""


class DeviceError(Exception):
    """CUDA would have refused this."""


class OnDevice(Tensor):
    """A tensor that says it is on the device; `held` are its numbers."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor) -> OnDevice:
        made: OnDevice = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, dict(kwargs or {}))

    def tolist(self) -> Any:
        return self.held.tolist()


def _held(value: Any) -> Any:
    return tree_map(lambda one: one.held if isinstance(one, OnDevice) else one, value)


def _is_there(device: Any) -> bool:
    return device is not None and torch.device(device).type == NAME


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation, on the tensors' numbers, once its operands are where CUDA wants them."""
    tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    there = [one for one in tensors if isinstance(one, OnDevice)]
    name, wanted = func._schema.name, kwargs.get("device")
    if wanted is not None and _is_there(wanted):
        kwargs["device"] = torch.device("cpu")
    if name == "aten::_to_copy":
        made = func(*_held(args), **kwargs)
        stays = wanted is None and bool(there)
        return OnDevice(made) if stays or _is_there(wanted) else made
    if name == "aten::copy_":
        func(*_held(args), **kwargs)
        return args[0]
    if not there and not _is_there(wanted):
        return func(*args, **kwargs)
    _check(name, args, tensors, there)
    made = func(*_held(args), **_held(kwargs))
    return tree_map(lambda one: _claimed(one, there, func._schema.is_mutable), made)


def _check(name: str, args: Any, tensors: list[Tensor], there: list[OnDevice]) -> None:
    """Raises DeviceError where CUDA would refuse: operands on two devices, but for scalars and indices on the CPU."""
    operands = tensors
    if name in INDEXED:
        indices = [one for one in args[1] if one is not None]
        if not isinstance(args[0], OnDevice) and any(isinstance(one, OnDevice) for one in indices):
            raise DeviceError(f"{name}: indices on the device into a tensor on the CPU")
        operands = [one for one in tensors if not any(one is index for index in indices)]
    away = [tuple(one.shape) for one in operands if not isinstance(one, OnDevice) and one.dim()]
    if there and away:
        raise DeviceError(f"{name}: operands on the device and on the CPU, these of shapes {away}")


def _claimed(made: Any, there: list[OnDevice], written: bool) -> Any:
    """What an operation made, as a tensor on the device; the operand itself where it was written to."""
    if not isinstance(made, Tensor):
        return made
    if written:
        for one in there:
            if one.held is made or (one.held.data_ptr() == made.data_ptr() and one.shape == made.shape):
                return one
    return OnDevice(made)


class _Operations(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, dict(kwargs or {}))


class _Making(TorchFunctionMode):
    """Makes tensors from data as CUDA does: on the CPU, then copied."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[0], OnDevice):
            return func(args[0], _as_tensors(args[1]), *args[2:])
        if func in PRODUCTS and any(isinstance(one, OnDevice) for one in args) and not any(map(_is_mapped, args)):
            _check("aten::matmul", args, list(args), [one for one in args if isinstance(one, OnDevice)])
            return OnDevice(func(*_held(args)))
        if func not in MADE_FROM_DATA:
            return func(*args, **kwargs)
        if func is Tensor.new_tensor:
            source, *args = args
            kwargs = {"dtype": source.dtype, "device": source.device, **kwargs}
            func = torch.tensor
        if isinstance(args[0], OnDevice):
            return args[0].to(device=kwargs.get("device"), dtype=kwargs.get("dtype"))
        device = kwargs.pop("device", None)
        made = func(*args, **kwargs)
        return made.to(device) if _is_there(device) else made


def _is_mapped(one: Any) -> bool:
    """Whether it stands for many tensors, inside `torch.vmap`."""
    return isinstance(one, Tensor) and torch._C._functorch.is_functorch_wrapped_tensor(one)


def _as_tensors(index: Any) -> Any:
    """An index whose lists are tensors; torch would make these by itself, in the device's own memory."""
    if isinstance(index, tuple):
        return tuple(_as_tensors(one) for one in index)
    return torch.tensor(index, dtype=torch.long) if isinstance(index, list) else index


@contextmanager
def pretended_device() -> Iterator[str]:
    """Inside there is a device of that name."""
    with _Making(), _Operations():
        yield NAME
