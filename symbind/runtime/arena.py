"""The one block of memory that all inner values of a program live in."""

from __future__ import annotations

import torch

from ..ndarray.memory import allocate
from ..ops.shapes import product

__all__ = ["ArenaMemory"]


class ArenaMemory:
    """``size`` bytes on a device, or a part of another arena that is large enough.

    The pages are touched by the first run and stay; nothing is given back until the program dies.
    """

    def __init__(self, size: int, device: torch.device, share: ArenaMemory | None = None) -> None:
        if share is not None and share.bytes.device == device and share.bytes.numel() >= size:
            self.bytes: torch.Tensor = share.bytes
        else:
            self.bytes = allocate((size,), torch.uint8, device)

    def view(self, offset: int, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """A contiguous array over the bytes from ``offset``."""
        size = product(shape) * dtype.itemsize
        return self.bytes[offset : offset + size].view(dtype).view(shape)
