"""Whether arrays share memory."""

from __future__ import annotations

import torch

__all__ = ["overlap", "same_memory"]


def overlap(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Whether two contiguous tensors have a byte in common."""
    if one.device != two.device:
        return False
    return one.data_ptr() < two.data_ptr() + two.nbytes and two.data_ptr() < one.data_ptr() + one.nbytes


def same_memory(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Whether two contiguous tensors are the same bytes, so that element by element one may be read into the other."""
    return one.device == two.device and one.data_ptr() == two.data_ptr() and one.nbytes == two.nbytes
