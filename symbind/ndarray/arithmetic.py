"""Two operands in, one tensor out: what the arithmetic of arrays computes, and which operands it refuses.

The functions themselves are :data:`~symbind.ops.elementwise.PAIR_FUNCTIONS`, which the operators share. Calling
them directly, instead of through ``broadcast_add`` and its like, halves the cost of a small sum.
"""

from __future__ import annotations

import math
from numbers import Number as PythonNumber
from typing import Any, TypeGuard

import numpy as np
import torch

from ..base import MXNetError
from ..dtype import name_of
from ..ops.elementwise import PAIR_FUNCTIONS
from ..profiler.recorder import recorder
from .memory import overlap, same_memory

__all__ = ["Number", "cast_number", "combine", "is_number", "scalar_operator"]

Number = int | float | np.generic

# How the operators of an array and a number are called where it is not ``_<function>_scalar``.
SCALAR_NAMES = {"add": "plus", "sub": "minus"}
# What a function is called when its operands change places.
MIRRORED = {
    "sub": "rminus", "div": "rdiv", "mod": "rmod", "power": "rpower", "greater": "lesser", "lesser": "greater",
    "greater_equal": "lesser_equal", "lesser_equal": "greater_equal",
}  # fmt: skip


def scalar_operator(function: str, reverse: bool = False) -> str:
    """The operator that computes a pair function of an array and a number, or of a number and an array."""
    name = MIRRORED.get(function) if reverse else None
    return f"_{name or SCALAR_NAMES.get(function, function)}_scalar"


def is_number(value: Any) -> TypeGuard[Number]:
    """Whether ``value`` is a real Python or NumPy scalar (booleans are)."""
    return isinstance(value, (PythonNumber, np.bool_)) and not isinstance(value, (complex, np.complexfloating))


def cast_number(value: Number, dtype: torch.dtype) -> int | float:
    """``value`` as an element of ``dtype``: fractions are cut and what does not fit wraps around, as C casts do.

    MXNetError for a NaN or infinity where only whole numbers go.
    """
    if dtype.is_floating_point:
        return float(value)
    if dtype == torch.bool:
        return bool(value)
    if isinstance(value, (float, np.floating)) and not math.isfinite(value):
        raise MXNetError(f"{value} is no value of an {name_of(dtype)} array")
    whole, limits = int(value), torch.iinfo(dtype)
    return (whole - limits.min) % (limits.max - limits.min + 1) + limits.min


def combine(
    function: str, left: torch.Tensor | Number, right: torch.Tensor | Number, out: torch.Tensor | None = None
) -> torch.Tensor:
    """A pair function of two tensors that broadcast, or of a tensor and a number; into ``out`` if it is given.

    The element type of the tensors is kept, also by comparisons (0 or 1); a number takes it before anything is
    computed. Only a boolean tensor becomes int64 when it meets a number.

    Raises MXNetError if the tensors differ in type or device, do not broadcast, are both boolean, or if ``out`` has
    another shape or type than the result.
    """
    if not isinstance(left, torch.Tensor):
        right = _no_boolean(right)  # type: ignore[arg-type]
        left, shape = _number_like(left, right), right.shape
    elif not isinstance(right, torch.Tensor):
        left = _no_boolean(left)
        shape = left.shape
        # torch has quick ways for squares and roots, but takes them for Python numbers only.
        is_quick = function == "power" and left.is_floating_point()
        right = float(right) if is_quick else _number_like(right, left)
    else:
        _check_operands(function, left, right)
        shape = left.shape if left.shape == right.shape else _broadcast_shape(left, right)

    if out is None:
        out = torch.empty(shape, dtype=left.dtype, device=left.device)
    elif out.shape != shape:
        raise MXNetError(f"Shape inconsistent, Provided = {list(out.shape)}, inferred shape={list(shape)}")
    elif out.dtype != left.dtype:
        raise MXNetError(f"Type inconsistent, Provided = {name_of(out.dtype)}, inferred type={name_of(left.dtype)}")
    elif any(isinstance(t, torch.Tensor) and overlap(t, out) and not same_memory(t, out) for t in (left, right)):
        # An operand is a part of out: reading it must not see what was written.
        return out.copy_(_compute(function, left, right, torch.empty_like(out)))
    return _compute(function, left, right, out)


def _compute(function: str, left: torch.Tensor, right: torch.Tensor | float, out: torch.Tensor) -> torch.Tensor:
    begin = recorder.now() if recorder.imperative else None
    PAIR_FUNCTIONS[function].kernel(left, right, out)()
    if begin is not None:
        recorder.span("operator", _operator(function, left, right), begin, out.nbytes)
    return out


def _operator(function: str, left: torch.Tensor, right: torch.Tensor | float) -> str:
    """The operator that computes the same; numbers have become tensors without dimensions by now."""
    if left.ndim and isinstance(right, torch.Tensor) and right.ndim:
        return f"broadcast_{function}"
    return scalar_operator(function, reverse=not left.ndim)


def _number_like(value: Number, array: torch.Tensor) -> torch.Tensor:
    """A number as a tensor without dimensions, beside which torch keeps the type of ``array``."""
    return torch.scalar_tensor(cast_number(value, array.dtype), dtype=array.dtype, device=array.device)


def _no_boolean(array: torch.Tensor) -> torch.Tensor:
    return array.to(torch.int64) if array.dtype == torch.bool else array


def _check_operands(function: str, left: torch.Tensor, right: torch.Tensor) -> None:
    if left.dtype != right.dtype:
        raise MXNetError(
            f"Incompatible attr in node {function} at 1-th input: "
            f"expected {name_of(left.dtype)}, got {name_of(right.dtype)}; convert one with astype"
        )
    if left.device != right.device:
        raise MXNetError(
            f"The operands of {function} are on {left.device} and {right.device}; move one with as_in_context"
        )
    if left.dtype == torch.bool and PAIR_FUNCTIONS[function].gradient is not None:
        raise MXNetError(f"Operator broadcast_{function} does not support boolean type")


def _broadcast_shape(left: torch.Tensor, right: torch.Tensor) -> torch.Size:
    try:
        return torch.broadcast_shapes(left.shape, right.shape)
    except RuntimeError:
        raise MXNetError(
            f"operands could not be broadcast together with shapes {list(left.shape)} {list(right.shape)}"
        ) from None
