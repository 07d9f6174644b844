"""Memory of arrays: taking it, and whether two share it."""

from __future__ import annotations

import numpy as np
import torch

from ..base import MXNetError
from ..dtype import name_of
from ..ops.shapes import product

__all__ = ["allocate", "overlap", "same_memory", "write_count", "zeros"]

# What kernels like their arrays to start at a multiple of, in bytes.
_ALIGNMENT = 64


def allocate(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """A tensor with whatever was in memory; MXNetError if there is not enough of it."""
    try:
        return torch.empty(shape, dtype=dtype, device=device)
    except (RuntimeError, OverflowError) as error:
        # Of several kinds, and some without the numbers.
        raise MXNetError(f"Cannot allocate an array of shape {shape} and type {name_of(dtype)} on {device}") from error


def zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Zeros; MXNetError if there is not enough memory.

    On the CPU their pages are the operating system's until they are written to: a gradient that is kept in the layout
    of a kernel never takes any.
    """
    size = product(shape) * dtype.itemsize
    if device.type != "cpu" or not size:
        return allocate(shape, dtype, device).zero_()
    try:
        raw = np.zeros(size + _ALIGNMENT, np.uint8)
    except MemoryError as error:
        raise MXNetError(f"Cannot allocate an array of shape {shape} and type {name_of(dtype)} on {device}") from error
    start = -raw.ctypes.data % _ALIGNMENT
    # In place, because a view would be a second tensor in the same memory.
    return torch.frombuffer(raw, dtype=dtype, count=product(shape), offset=start).resize_(shape)


def write_count(tensor: torch.Tensor) -> object:
    """What is equal for as long as nobody writes to the tensor or a view of it.

    torch counts the writes, except to tensors that were made in its inference mode: then nothing is equal.
    """
    return object() if tensor.is_inference() else tensor._version


def overlap(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Whether two contiguous tensors have a byte in common."""
    if one.device != two.device:
        return False
    return one.data_ptr() < two.data_ptr() + two.nbytes and two.data_ptr() < one.data_ptr() + one.nbytes


def same_memory(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Whether two contiguous tensors are the same bytes, so that element by element one may be read into the other."""
    return one.device == two.device and one.data_ptr() == two.data_ptr() and one.nbytes == two.nbytes
