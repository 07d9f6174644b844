"""The file of optimizer states: what a pickle of MXNet means, and how to write one that MXNet reads.

The file is a pickle of ``{index: state}``, or of ``(that, optimizer)``; a state is None, an array or a tuple of
states. An array is pickled as ``mxnet.ndarray.ndarray.NDArray`` with its bytes in ``.params`` format, an optimizer
or learning rate scheduler as an object of its class in MXNet with its attributes. All of them are recognised by
name and built here; see :mod:`.pickled` for why nothing else can come out of such a file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from numbers import Integral, Real
from typing import Any

import numpy as np

from .. import lr_scheduler
from ..base import MXNetError
from ..ndarray import NDArray, array
from ..ndarray.save_load import from_bytes, to_bytes
from .optimizer import Optimizer
from .pickled import Global, Instance, dumps, loads

__all__ = ["dump_states", "load_states"]

_NDARRAY = Global("mxnet.ndarray.ndarray", "NDArray")
_BYTEARRAY = Global("builtins", "bytearray")
_NDARRAY_MODULES = ("mxnet.ndarray", "mxnet.ndarray.ndarray")
_OPTIMIZER_MODULES = ("mxnet.optimizer", "mxnet.optimizer.optimizer", "mxnet.optimizer.contrib")
_SCHEDULER_MODULE = "mxnet.lr_scheduler"
# What MXNet's updater asks of an optimizer, and this package has no use for.
_ONLY_IN_MXNET = {"aggregate_num": 4, "allow_np_array": False}
# Deeper nesting than any state has; bounds the recursion over a hostile file.
_MAX_DEPTH = 16


def dump_states(states: dict[Hashable, Any], optimizer: Optimizer | None = None) -> bytes:
    """The bytes of a file of ``states``, with the optimizer if there is one.

    Raises MXNetError for values that are neither arrays, numbers, strings, nor containers of these, and for
    optimizers and schedulers of classes that are not registered, as they could not be read again.
    """
    described = _describe(states)
    return dumps(described if optimizer is None else (described, _describe(optimizer)))


def load_states(data: bytes) -> tuple[dict[Hashable, Any], Optimizer | None]:
    """The inverse of :func:`dump_states`, also for files of MXNet; arrays come to host memory.

    Raises MXNetError for damaged files, and for those that name anything but arrays, optimizers and schedulers.
    """
    value = _Builder(len(data)).build(loads(data))
    states, optimizer = value if isinstance(value, tuple) and len(value) == 2 else (value, None)
    if not isinstance(states, dict) or not isinstance(optimizer, Optimizer | None):
        raise MXNetError(f"Optimizer states must be a dict, or a dict and an optimizer; got {type(value).__name__}")
    return states, optimizer


def _describe(value: Any) -> Any:
    """``value`` in terms of :mod:`.pickled`."""
    match value:
        case None | bool() | str() | bytes():
            return value
        case NDArray():
            return Instance(_NDARRAY, (None,), {"handle": Instance(_BYTEARRAY, (to_bytes(value),))})
        case Integral():
            return int(value)
        case Real():
            return float(value)
        case tuple() | list():
            return type(value)(map(_describe, value))
        case dict():
            return {_describe(key): _describe(item) for key, item in value.items()}
        case Optimizer() if Optimizer.opt_registry.get(type(value).__name__.lower()) is type(value):
            module = _OPTIMIZER_MODULES[1]
            state = {**_ONLY_IN_MXNET, **value.__getstate__()}
        case lr_scheduler.LRScheduler() if type(value).__name__ in lr_scheduler.__all__:
            module = _SCHEDULER_MODULE
            state = vars(value)
        case _:
            raise MXNetError(f"{type(value).__name__} cannot be written to a file of optimizer states: {value!r}")
    return Instance(Global(module, type(value).__name__), (), _describe(state), new=True)


class _Builder:
    """Builds values from their descriptions, within the memory that the size of the file allows."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        # A value that occurs several times is built once; else a small file could make an exponential tree.
        self._built: dict[int, Any] = {}

    def build(self, value: Any, depth: int = 0) -> Any:
        """The value described; MXNetError names what is not allowed."""
        if depth > _MAX_DEPTH:
            raise MXNetError(f"Optimizer states are nested more than {_MAX_DEPTH} levels deep")
        if value is None or isinstance(value, (bool, int, float, str, bytes)):
            return value
        if id(value) not in self._built:
            self._built[id(value)] = self._build(value, depth + 1)
        return self._built[id(value)]

    def _build(self, value: Any, depth: int) -> Any:
        if isinstance(value, (tuple, list)):
            return type(value)(self.build(item, depth) for item in value)
        if isinstance(value, dict):
            return {self._key(key, depth): self.build(item, depth) for key, item in value.items()}
        if isinstance(value, Instance):
            source = value.callable
            if source.module in _NDARRAY_MODULES and source.name == "NDArray":
                return self._ndarray(value)
            if source.module.startswith(("numpy.", "numpy")) and source.name in _NUMPY_MAKERS:
                return self._numpy(value)
            if (klass := _class_of(source)) is not None:
                return _restored(klass, self.build(value.state, depth))
            value = source
        raise MXNetError(f"Optimizer states may not contain {value}")

    def _key(self, key: Any, depth: int) -> Hashable:
        if not isinstance(key, (str, int, float, tuple)):
            raise MXNetError(f"Optimizer states have the key {key!r}; only numbers and strings are allowed")
        return self.build(key, depth)

    def _raw(self, data: Any, what: str) -> bytes:
        """The bytes of an array; those of all arrays must fit into the file they came from."""
        match data:
            # Old protocols write bytes as a call that makes them of text, and MXNet makes bytearrays.
            case Instance(Global(name="bytearray"), args=(inner, *_)):
                return self._raw(inner, what)
            case Instance(Global("_codecs", "encode"), args=(str() as text, *_)) | (str() as text):
                data = text.encode("latin-1") if max(text, default="") < "\u0100" else None
        if not isinstance(data, bytes):
            raise MXNetError(f"Optimizer states have {what} without its bytes")
        self._budget -= len(data)
        if self._budget < 0:
            raise MXNetError("Optimizer states hold arrays that are larger than the file")
        return data

    def _ndarray(self, value: Instance) -> NDArray:
        state = value.state if isinstance(value.state, dict) else {}
        data = self._raw(state.get("handle"), "an NDArray")
        loaded = from_bytes(data)
        if loaded.stype != "default":
            raise MXNetError("Optimizer states hold a sparse array, which is not supported")
        return loaded

    def _numpy(self, value: Instance) -> Any:
        """An ndarray as an NDArray, a scalar as a number."""
        match value:
            case Instance(Global(name="_reconstruct"), state=(_, tuple() as shape, dtype, bool() as columns, data)):
                order: Any = "F" if columns else "C"
            case Instance(Global(name="_frombuffer"), args=(data, dtype, tuple() as shape, "C" | "F" as order)):
                pass
            case Instance(Global(name="scalar"), args=(dtype, data)):
                shape, order = (), "C"
            case _:
                raise MXNetError("Optimizer states hold a NumPy array in an unknown form")
        numpy_dtype = _dtype(dtype)
        data = self._raw(data, "a NumPy array")
        if not all(type(size) is int and size >= 0 for size in shape) or (
            math.prod(shape) * numpy_dtype.itemsize != len(data)
        ):
            raise MXNetError(f"Optimizer states hold a NumPy array of shape {shape} in {len(data)} bytes")
        values = np.frombuffer(data, numpy_dtype).reshape(shape, order=order)
        if value.callable.name == "scalar":
            return values.item()
        return array(values, dtype=numpy_dtype.newbyteorder("="))


_NUMPY_MAKERS = ("_reconstruct", "_frombuffer", "scalar")


def _dtype(described: Any) -> np.dtype:
    """A NumPy dtype of plain numbers; MXNetError for any other."""
    match described:
        case Instance(Global(name="dtype"), args=(str() as code, *_), state=state) if re.fullmatch(
            "[biuf][1248]", code
        ):
            big = isinstance(state, tuple) and len(state) > 1 and state[1] == ">"
            return np.dtype((">" if big else "<") + code)
        case Instance(args=args):
            raise MXNetError(f"Optimizer states may not contain NumPy arrays of dtype {args}")
        case _:
            raise MXNetError(f"Optimizer states may not contain NumPy arrays of {described}")


def _class_of(source: Global) -> type | None:
    """The class of this package that a global of MXNet, or a registered optimizer's own, stands for."""
    registered = Optimizer.opt_registry.get(source.name.lower())
    if (
        registered is not None
        and registered.__name__ == source.name
        and (source.module in (*_OPTIMIZER_MODULES, registered.__module__))
    ):
        return registered
    if source.module == _SCHEDULER_MODULE and source.name in lr_scheduler.__all__:
        return getattr(lr_scheduler, source.name)
    return None


def _restored(klass: type, attributes: Any) -> Any:
    """An optimizer or a scheduler from its attributes; MXNetError if it could not work with them."""
    base: Any = Optimizer() if issubclass(klass, Optimizer) else lr_scheduler.LRScheduler()
    expected = base.__getstate__() if isinstance(base, Optimizer) else vars(base)
    missing = expected.keys() - (attributes.keys() if isinstance(attributes, dict) else ())
    if missing:
        raise MXNetError(f"{klass.__name__} in optimizer states lacks {', '.join(sorted(missing))}")
    made: Any = object.__new__(klass)
    if isinstance(made, Optimizer):
        made.__setstate__(attributes)
    else:
        vars(made).update(attributes)
    return made
