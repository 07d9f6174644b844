"""Memory of arrays: taking it, and whether two share it."""

from __future__ import annotations

import torch

from ..base import MXNetError
from ..dtype import name_of

__all__ = ["allocate", "overlap", "same_memory"]


def allocate(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """A tensor with whatever was in memory; MXNetError if there is not enough of it."""
    try:
        return torch.empty(shape, dtype=dtype, device=device)
    except (RuntimeError, OverflowError) as error:
        # Of several kinds, and some without the numbers.
        raise MXNetError(f"Cannot allocate an array of shape {shape} and type {name_of(dtype)} on {device}") from error


def overlap(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Whether two contiguous tensors have a byte in common."""
    if one.device != two.device:
        return False
    return one.data_ptr() < two.data_ptr() + two.nbytes and two.data_ptr() < one.data_ptr() + one.nbytes


def same_memory(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Whether two contiguous tensors are the same bytes, so that element by element one may be read into the other."""
    return one.device == two.device and one.data_ptr() == two.data_ptr() and one.nbytes == two.nbytes
