"""Content in another order than row by row.

Some kernels read an array much faster when its elements lie in another order; the weights of a convolution, in blocks
of channels. To bring an array into that order at every step, and its gradient back, is work that can be spared: the
array may keep its content as the kernels want it. An optimizer, to which every element is like any other, updates it
there; whoever asks for the array's ``tensor`` finds it row by row again.
"""

from __future__ import annotations

import weakref
from typing import Protocol

import torch

__all__ = ["LaidOut", "Order", "is_shared"]


class Order(Protocol):
    """An order of the elements of an array; two that say the same compare equal."""

    def lay_out(self, plain: torch.Tensor, elements: torch.Tensor) -> None:
        """Write the values of ``plain`` into the flat ``elements``, in this order."""

    def make_plain(self, elements: torch.Tensor, plain: torch.Tensor) -> None:
        """The inverse of :meth:`lay_out`."""


class LaidOut:
    """The content of an array of a certain shape: ``elements``, flat, in ``order``."""

    __slots__ = ("__weakref__", "elements", "order", "shape")

    def __init__(self, elements: torch.Tensor, order: Order, shape: tuple[int, ...]) -> None:
        self.elements, self.order, self.shape = elements, order, shape

    def plain(self) -> torch.Tensor:
        """The values as a new tensor, row by row."""
        with torch.inference_mode(False):
            result = torch.empty(self.shape, dtype=self.elements.dtype, device=self.elements.device)
        self.order.make_plain(self.elements, result)
        return result

    @classmethod
    def of(cls, tensor: torch.Tensor, order: Order) -> LaidOut:
        """A copy of ``tensor``'s values in ``order``."""
        elements = torch.empty(tensor.numel(), dtype=tensor.dtype, device=tensor.device)
        order.lay_out(tensor, elements)
        return cls(elements, order, tuple(tensor.shape))


def is_shared(holder: list[torch.Tensor]) -> bool:
    """Whether anybody else has the tensor in ``holder``, or another that is in the same memory.

    ``holder`` must be the caller's only reference to the tensor, which is taken out for the while.
    """
    tensor = holder.pop()
    reference = weakref.ref(tensor)
    # One count is the tensor's own, one that of the object asked here.
    aliased = torch._C._storage_Use_Count(tensor.untyped_storage()._cdata) > 2
    if aliased:
        holder.append(tensor)
        return True
    del tensor
    survivor = reference()
    if survivor is not None:
        holder.append(survivor)
    return survivor is not None
