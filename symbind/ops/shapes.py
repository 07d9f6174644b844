"""Helpers for shape inference: merging what is known, broadcasting, axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeGuard, overload

from ..base import MXNetError

__all__ = ["broadcast", "is_known", "merge", "normalize_axis", "product", "same_shape", "square"]

Shape = tuple[int, ...]


def is_known(shape: Shape | None) -> TypeGuard[Shape]:
    """Whether every dimension is known."""
    return shape is not None and 0 not in shape


def product(shape: Iterable[int]) -> int:
    """Number of elements; 1 for no dimensions."""
    result = 1
    for n in shape:
        result *= n
    return result


@overload
def merge(first: Shape, second: Shape | None) -> Shape: ...
@overload
def merge(first: Shape | None, second: Shape) -> Shape: ...
@overload
def merge(first: Shape | None, second: Shape | None) -> Shape | None: ...
def merge(first: Shape | None, second: Shape | None) -> Shape | None:
    """What two partial views of one shape say together (0 = unknown dimension); MXNetError if they disagree."""
    if first is None or second is None or first == second:
        return second if first is None else first
    if len(first) != len(second) or any(a != b and a and b for a, b in zip(first, second)):
        raise MXNetError(f"Shape inconsistent, Provided = [{_listed(first)}], inferred shape=({_listed(second)})")
    return tuple(a or b for a, b in zip(first, second))


def _listed(shape: Shape) -> str:
    return ",".join(map(str, shape))


def same_shape(
    inputs: Sequence[Shape | None], outputs: Sequence[Shape | None]
) -> tuple[list[Shape | None], list[Shape | None]]:
    """Inference of element-wise operators: every input and output has the one shape."""
    known: Shape | None = None
    for shape in (*inputs, *outputs):
        known = merge(known, shape)
    return [known] * len(inputs), [known] * len(outputs)


def broadcast(left: Shape | None, right: Shape | None) -> Shape | None:
    """The shape of an element-wise result whose operands may have 1 where the other has more."""
    if left is None or right is None:
        return None
    rank = max(len(left), len(right))
    left, right = (1,) * (rank - len(left)) + left, (1,) * (rank - len(right)) + right
    result = []
    for a, b in zip(left, right):
        if a == b or b == 1:
            result.append(a)
        elif a == 1:
            result.append(b)
        elif 0 in (a, b):
            # The unknown one is 1 or equal to the other; the result is the other either way.
            result.append(a or b)
        else:
            raise MXNetError(f"operands could not be broadcast together with shapes {left} {right}")
    return tuple(result)


def normalize_axis(axis: int, rank: int, what: str = "axis") -> int:
    """``axis`` counted from the front; MXNetError if the array has no such axis."""
    if not -rank <= axis < rank:
        raise MXNetError(f"{what} {axis} is out of range for an array of {rank} dimensions")
    return axis + rank if axis < 0 else axis


def square(shape: Shape | None, what: str) -> Shape | None:
    """``shape`` of square matrices, the last two dimensions known if one is; MXNetError names ``what`` needs them."""
    if shape is None:
        return None
    if len(shape) < 2 or (shape[-1] and shape[-2] and shape[-1] != shape[-2]):
        raise MXNetError(f"{what} needs square matrices, not {shape}")
    side = shape[-1] or shape[-2]
    return (*shape[:-2], side, side)
