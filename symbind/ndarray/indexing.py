"""Reading and writing parts of a tensor with NumPy's keys: ``x[1]``, ``x[:, ::-2]``, ``x[..., None]``, ``x[[0, 2]]``.

The rules are NumPy's, with three exceptions: a single element has shape ``(1,)``; boolean arrays are refused; and an
index array may hold floating point numbers, of which the whole part counts.

A key is resolved in two steps. The basic part (numbers, slices, None, ...) makes a view of the tensor; what is left
are index arrays for some axes of that view, and axes to run backwards, which torch's views cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .arithmetic import Number, cast_number
from .conversion import as_tensor
from .memory import overlap

__all__ = ["fill", "read", "write"]


def read(tensor: torch.Tensor, key: Any) -> torch.Tensor:
    """``tensor[key]``, contiguous: a view if the elements lie side by side in memory, otherwise a copy.

    IndexError for an index out of range or too many of them; ValueError for what is no key at all.
    """
    selection = _Selection(tensor, key)
    result = selection.view
    if selection.backwards:
        result = result.flip(selection.backwards)
    if selection.arrays:
        result = result[selection.index]
    return result.contiguous()


def write(tensor: torch.Tensor, key: Any, value: torch.Tensor) -> None:
    """``tensor[key] = value``, broadcast as NumPy does; leading dimensions of 1 too many are dropped.

    The value takes the element type of the tensor. Errors as in :func:`read`; ValueError if shapes do not fit.
    """
    selection = _Selection(tensor, key)
    value = value.to(dtype=tensor.dtype, device=tensor.device)
    if overlap(tensor, value):
        value = value.clone()
    value = _broadcast(value, selection.shape)
    if not selection.arrays:
        selection.view.copy_(value.flip(selection.backwards) if selection.backwards else value)
    elif not selection.backwards:
        selection.view[selection.index] = value
    else:
        positions = torch.arange(tensor.numel(), device=tensor.device).view(tensor.shape)
        tensor.view(-1)[read(positions, key)] = value


def fill(tensor: torch.Tensor, key: Any, value: Number) -> None:
    """``tensor[key] = value`` for one number."""
    number = cast_number(value, tensor.dtype)
    selection = _Selection(tensor, key)
    if not selection.arrays:
        selection.view.fill_(number)
    else:
        write(tensor, key, torch.tensor(number, dtype=tensor.dtype))


class _Selection:
    """What ``key`` selects from ``tensor``: a view, and what remains to be done with it.

    ``backwards`` lists the axes of the view that the key runs through in the opposite direction, ``arrays`` holds
    the index arrays by axis of the view.
    """

    def __init__(self, tensor: torch.Tensor, key: Any) -> None:
        self.backwards: list[int] = []
        self.arrays: dict[int, torch.Tensor] = {}
        items = _items(key, tensor.shape)
        has_arrays = any(isinstance(item, torch.Tensor) for item in items)
        basic: list[Any] = []
        dimension = axis = 0
        for item in items:
            if item is None:
                basic.append(None)
                axis += 1
                continue
            size = tensor.shape[dimension]
            if isinstance(item, slice):
                forward, reversed_ = _forward(item, size)
                basic.append(forward)
                if reversed_:
                    self.backwards.append(axis)
                axis += 1
            elif not has_arrays:
                _check_bounds(item, item, dimension, size)
                basic.append(item)
            else:
                # Beside an index array, a number is an index array of one element.
                if not isinstance(item, torch.Tensor):
                    item = torch.tensor([item])
                if item.numel():
                    low, high = item.aminmax()
                    _check_bounds(int(low), int(high), dimension, size)
                self.arrays[axis] = item.to(tensor.device)
                basic.append(slice(None))
                axis += 1
            dimension += 1
        self.view = tensor[tuple(basic)]
        if tensor.dim() and not self.view.dim():
            self.view = self.view.view(1)
        self.joint = _joint_shape(list(self.arrays.values()))

    @property
    def index(self) -> tuple[Any, ...]:
        """The key for the view that applies the index arrays."""
        return tuple(self.arrays.get(axis, slice(None)) for axis in range(self.view.dim()))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what is selected."""
        view = tuple(self.view.shape)
        if not self.arrays:
            return view
        axes = list(self.arrays)
        # Index arrays side by side replace their axes; apart, their dimensions come first.
        first = axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0
        rest = [size for axis, size in enumerate(view) if axis not in self.arrays]
        return (*rest[:first], *self.joint, *rest[first:])


def _items(key: Any, shape: Sequence[int]) -> list[Any]:
    """The key as one item (int, slice, index tensor or None) per dimension, Ellipsis and missing ones filled in."""
    items = [_item(item) for item in (key if isinstance(key, tuple) else (key,))]
    dots = [i for i, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexError("Cannot use more than one ellipsis (`...`) for indexing")
    missing = len(shape) - sum(item is not None and item is not Ellipsis for item in items)
    if missing < 0:
        raise IndexError(f"too many indices ({len(shape) - missing}) for array with {len(shape)} dimensions")
    at = dots[0] if dots else len(items)
    return [*items[:at], *[slice(None)] * missing, *items[at + 1 :]]


def _item(item: Any) -> Any:
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, (int, np.integer)):
        return int(item)
    if isinstance(item, (list, tuple, range, np.ndarray)):
        item = as_tensor(item)
    item = getattr(item, "tensor", item)  # an NDArray
    if not isinstance(item, torch.Tensor):
        raise ValueError(f"NDArray does not support indexing with key {item!r} of type {type(item).__name__}")
    if item.dtype == torch.bool:
        raise ValueError("NDArray does not support boolean index arrays; see contrib.boolean_mask and where")
    item = item.to(torch.int64)
    return item if item.dim() else int(item)


def _forward(item: slice, size: int) -> tuple[slice, bool]:
    """A slice with positive step over the same elements, and whether they come in the opposite order."""
    if item.step == 0:
        raise ValueError("slice step cannot be zero")
    start, stop, step = item.indices(size)
    if step > 0:
        return slice(start, max(start, stop), step), False
    count = max(0, -((start - stop) // step))
    last = start + (count - 1) * step
    return (slice(last, start + 1, -step) if count else slice(0, 0)), True


def _joint_shape(arrays: Sequence[torch.Tensor]) -> tuple[int, ...]:
    """The shape that index arrays have together."""
    if len(arrays) < 2:
        return tuple(arrays[0].shape) if arrays else ()
    try:
        return tuple(torch.broadcast_shapes(*(index.shape for index in arrays)))
    except RuntimeError:
        shapes = ", ".join(str(tuple(index.shape)) for index in arrays)
        raise IndexError(f"index arrays could not be broadcast together: their shapes are {shapes}") from None


def _check_bounds(low: int, high: int, axis: int, size: int) -> None:
    for index in (low, high):
        if not -size <= index < size:
            raise IndexError(f"index {index} is out of bounds for axis {axis} with size {size}")


def _broadcast(value: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    given = tuple(value.shape)
    while value.dim() > len(shape) and value.shape[0] == 1:
        value = value[0]
    try:
        return value.expand(shape)
    except RuntimeError:
        raise ValueError(f"operands could not be broadcast together: {given} and requested shape {shape}") from None
