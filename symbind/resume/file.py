"""The file of a stopped training: a tree of plain values and arrays, written whole and read as data.

It is a pickle, so that numbers, texts and containers come back to the bit and of the same type; but as everywhere in
this package it is never executed (:mod:`symbind.optimizer.pickled`). An array is a call of a name that only this page
knows.
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from ..base import MXNetError, atomic_write
from ..ndarray import NDArray
from ..ndarray.save_load import from_bytes, to_bytes
from ..optimizer.pickled import Global, Instance, dumps, loads

__all__ = ["read", "write"]

_NDARRAY = Global("symbind", "NDArray")
_ARRAY = Global("numpy", "array")
_SCALAR = Global("numpy", "scalar")
# Deeper nesting than any state has; bounds the recursion over a hostile file.
_MAX_DEPTH = 32


def write(path: str | os.PathLike[str], tree: dict[str, Any]) -> None:
    """Write ``tree``, so that ``path`` is the old file until the new one is complete."""
    with atomic_write(path) as file:
        file.write(dumps(_describe(tree)))


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The tree of a file of :func:`write`; MXNetError, with the path, for anything else."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        tree = _build(loads(data))
    except (MXNetError, ValueError) as error:
        raise MXNetError(f"{os.fspath(path)!r} holds no state of a training: {error}") from error
    if not isinstance(tree, dict):
        raise MXNetError(f"{os.fspath(path)!r} holds no state of a training, but a {type(tree).__name__}")
    return tree


def _describe(value: Any) -> Any:
    match value:
        case NDArray():
            return Instance(_NDARRAY, (to_bytes(value),))
        case np.generic():
            return Instance(_SCALAR, (value.dtype.str, (), value.tobytes()))
        case np.ndarray():
            return Instance(_ARRAY, (value.dtype.str, value.shape, value.tobytes()))
        case tuple() | list():
            return type(value)(map(_describe, value))
        case dict():
            return {_describe(key): _describe(item) for key, item in value.items()}
        case _:
            return value


def _build(value: Any, depth: int = 0) -> Any:
    if depth > _MAX_DEPTH:
        raise MXNetError(f"it is nested more than {_MAX_DEPTH} levels deep")
    match value:
        case Instance(callable=source, args=(bytes() as data,)) if source == _NDARRAY:
            return from_bytes(data)
        case Instance(callable=source, args=(str() as code, tuple() as shape, bytes() as data)) if source in (
            _ARRAY,
            _SCALAR,
        ):
            array = _array(code, shape, data)
            return array[()] if source == _SCALAR else array
        case Instance() | Global():
            raise MXNetError(f"it may not contain {getattr(value, 'callable', value)}")
        case tuple() | list():
            return type(value)(_build(item, depth + 1) for item in value)
        case dict():
            return {_build(key, depth + 1): _build(item, depth + 1) for key, item in value.items()}
        case _:
            return value


def _array(code: str, shape: tuple[Any, ...], data: bytes) -> np.ndarray:
    dtype = np.dtype(code)
    if dtype.hasobject or not all(type(size) is int and size >= 0 for size in shape):
        raise MXNetError(f"it holds an array of type {code!r} and shape {shape}")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise MXNetError(f"it holds an array of type {code!r} and shape {shape} in {len(data)} bytes")
    return np.frombuffer(data, dtype).reshape(shape).copy()
