"""Operators that change the shape and no value, or tell it."""

from __future__ import annotations

from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import ZERO, Operator, Sample, register
from .parameter import Bool, Int, Optional, Param, Shape
from .shapes import is_known, merge, normalize_axis, product, same_shape

__all__: list[str] = []


class _View(Operator):
    """Base of the operators whose output is the input's memory under another shape."""

    alias = ((0, 0),)

    def gradient(self, p, x, y, dy):
        return [apply("reshape_like", dy[0], x[0])]

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].copy_, inputs[0].view(outputs[0].shape))


def _one_unknown(shape, size: int):
    """``shape`` of rank known, with its only unknown dimension computed from the number of elements.

    Returned unchanged if more than one is unknown.
    """
    if shape is None or shape.count(0) != 1:
        return shape
    rest = product(n for n in shape if n)
    if size % rest:
        raise MXNetError(f"an array of {size} elements cannot have the shape {shape}")
    return tuple(n or size // rest for n in shape)


# ---- Reshape and its relatives -------------------------------------------------------------------------------------


@register
class Reshape(_View):
    """The same values, in the same order, under another shape.

    Each number of ``shape`` makes dimensions of the output, walking along the input's dimensions:

    ====== ===========================================================================================
    n > 0  the dimension is n; one input dimension is passed over
    0      copy the input's dimension
    -1     whatever makes the number of elements right; at most one
    -2     copy all input dimensions that remain
    -3     the product of the next two input dimensions
    -4     split the next input dimension into the two numbers that follow, one of which may be -1
    ====== ===========================================================================================

    With ``reverse`` both shapes are walked from their ends. ``target_shape`` and ``keep_highest`` are the spelling of
    files from before 2016, where 0 is what -1 is now.

    Raises MXNetError if the codes do not fit the input or the number of elements would change.
    """

    name = "Reshape"
    aliases = ("reshape",)
    shape = Param(Shape, (), "New shape, with the codes above")
    reverse = Param(Bool, False, "Match dimensions from the right")
    target_shape = Param(Shape, (), "Old form of shape: 0 is a dimension to compute")
    keep_highest = Param(Bool, False, "Old form: the first dimension stays what it is")
    samples = (Sample((2, 3, 4), shape=(-4, 1, 2, -3)), Sample((2, 6), target_shape=(3, 0)))

    def infer_shape(self, p, inputs, outputs):
        data, out = inputs[0], outputs[0]
        if not p.shape and not p.target_shape:
            raise MXNetError("Reshape needs a shape: neither shape nor target_shape was given")
        if data is None:
            return inputs, outputs
        new = _apply_codes(data, p.shape, p.reverse) if p.shape else _apply_target(data, p)
        if is_known(data):
            new = _one_unknown(new, product(data))
        out = merge(new, out)
        if is_known(out):
            data = _one_unknown(data, product(out))
        if is_known(data) and is_known(out) and product(data) != product(out):
            raise MXNetError(f"Target shape size is different to source. Target: {out}\nSource: {data}")
        return [data], [out]


def _apply_codes(data, codes, reverse: bool):
    """The output shape that ``codes`` make of ``data``, 0 where it needs a dimension that is not known yet."""
    if reverse:
        return _apply_codes(data[::-1], codes[::-1], False)[::-1]
    new: list[int] = []
    inferred = 0
    source = 0  # the next dimension of data

    def take(count: int):
        nonlocal source
        if source + count > len(data):
            raise MXNetError(f"shape {codes} asks for more dimensions than the {len(data)} of the input {data}")
        source += count
        return data[source - count : source]

    pending = list(codes)
    while pending:
        code = pending.pop(0)
        if code > 0:
            new.append(code)
            source += 1
        elif code == 0:
            new.extend(take(1))
        elif code == -1:
            new.append(0)
            inferred += 1
            source += 1
        elif code == -2:
            new.extend(data[source:])
            source = len(data)
        elif code == -3:
            first, second = take(2)
            new.append(first * second)
        elif code == -4:
            if len(pending) < 2:
                raise MXNetError(f"-4 in shape {codes} must be followed by the two dimensions to split into")
            new.extend(_split(take(1)[0], pending.pop(0), pending.pop(0)))
        else:
            raise MXNetError(f"shape {codes} has the number {code}, which is no dimension and no code of Reshape")
    if inferred > 1:
        raise MXNetError(f"One and only one dim can be inferred, but shape {codes} has {inferred} times -1")
    return tuple(new)


def _split(whole: int, first: int, second: int) -> tuple[int, int]:
    if first == second == -1:
        raise MXNetError("Split dims cannot both be -1")
    if whole and first == -1:
        first = whole // second
    elif whole and second == -1:
        second = whole // first
    if whole and first * second != whole:
        raise MXNetError(f"Split dims {first}, {second} do not divide original dim {whole}")
    return max(first, 0), max(second, 0)


def _apply_target(data, p):
    new = (data[0], *p.target_shape[1:]) if p.keep_highest else p.target_shape
    if new.count(0) > 1 + (p.keep_highest and not data[0]):
        raise MXNetError(f"One and only one dim can be inferred, but target_shape {p.target_shape} leaves more open")
    return new


@register
class ReshapeLike(_View):
    """``lhs`` under the shape of ``rhs``, or with only a range of its dimensions replaced by a range of those.

    Dimensions ``lhs_begin..lhs_end`` (exclusive, negative from the end, None for the very end) give way to the
    dimensions ``rhs_begin..rhs_end`` of ``rhs``, whose values are never read.
    """

    name = "reshape_like"
    inputs = ("lhs", "rhs")
    unread = (1,)
    lhs_begin = Param(Optional(Int), None, "First dimension of lhs that is replaced")
    lhs_end = Param(Optional(Int), None, "Dimension of lhs before which the replaced ones end")
    rhs_begin = Param(Optional(Int), None, "First dimension of rhs that is used")
    rhs_end = Param(Optional(Int), None, "Dimension of rhs before which the used ones end")
    samples = (
        Sample((2, 6), (3, 4)),
        Sample((6, 2), (5, 2, 3), lhs_begin=0, lhs_end=1, rhs_begin=1),
    )

    def infer_shape(self, p, inputs, outputs):
        lhs, rhs = inputs
        whole = p.lhs_begin is p.lhs_end is p.rhs_begin is p.rhs_end is None
        if whole:
            out = merge(rhs, outputs[0])
        elif lhs is None or rhs is None:
            return inputs, outputs
        else:
            begin, end = _range(p.lhs_begin, p.lhs_end, len(lhs), "lhs")
            new = (*lhs[:begin], *rhs[slice(*_range(p.rhs_begin, p.rhs_end, len(rhs), "rhs"))], *lhs[end:])
            out = merge(new, outputs[0])
        if is_known(out):
            lhs = _one_unknown(lhs, product(out))
        if is_known(lhs) and is_known(out) and product(lhs) != product(out):
            raise MXNetError(f"Cannot reshape lhs with shape {lhs} to {out}, the shape taken from rhs {rhs}")
        return [lhs, rhs], [out]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype, inputs[1]], [dtype]

    def gradient(self, p, x, y, dy):
        return [apply("reshape_like", dy[0], x[0]), ZERO]


def _range(begin: int | None, end: int | None, rank: int, what: str) -> tuple[int, int]:
    first = 0 if begin is None else begin + rank * (begin < 0)
    last = rank if end is None else end + rank * (end < 0)
    if not 0 <= first < last <= rank:
        raise MXNetError(f"{what}_begin={begin}, {what}_end={end} is no range of the {rank} dimensions of {what}")
    return first, last


@register
class IdentityLike(Operator):
    """``lhs`` as it is; ``rhs``, whose values are never read, only tells the shape and type of both."""

    name = "_identity_with_attr_like_rhs"
    inputs = ("lhs", "rhs")
    alias = ((0, 0),)
    unread = (1,)
    samples = (Sample((2, 3), (2, 3)),)

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def gradient(self, p, x, y, dy):
        return [dy[0], ZERO]

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].copy_, inputs[0])


@register
class Flatten(_View):
    """All dimensions but the first made one: :math:`(d_0, d_1, …, d_n) → (d_0, d_1 ⋯ d_n)`."""

    name = "Flatten"
    sample_wise = (0,)
    aliases = ("flatten",)
    samples = (Sample((2, 3, 2)),)

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if data is None:
            return inputs, outputs
        out = merge((data[0], product(data[1:])), outputs[0])
        data = merge(data, (out[0], *[0] * (len(data) - 1)))
        if is_known(out):
            data = _one_unknown(data, product(out))
        return [data], [out]


@register
class ExpandDims(_View):
    """The array with a new axis of length 1 at position ``axis`` of the output."""

    name = "expand_dims"
    axis = Param(Int, doc="Position of the new axis; negative from the end of the output")
    samples = (Sample((2, 3), axis=1), Sample((2, 3), axis=-1))

    def infer_shape(self, p, inputs, outputs):
        data, out = inputs[0], outputs[0]
        rank = len(data) + 1 if data is not None else len(out) if out is not None else None
        if rank is None:
            return inputs, outputs
        axis = normalize_axis(p.axis, rank)
        if data is not None:
            out = merge((*data[:axis], 1, *data[axis:]), out)
        return [(*out[:axis], *out[axis + 1 :])], [merge(out, (*out[:axis], 1, *out[axis + 1 :]))]


@register
class Squeeze(_View):
    """The array without axes of length 1: those named, or all of them. One axis stays if none would be left.

    Raises MXNetError if a named axis is longer, or named twice.
    """

    name = "squeeze"
    axis = Param(Optional(Shape), None, "The axes to drop; None for every axis of length 1")
    samples = (Sample((1, 3, 1, 2)), Sample((1, 3, 1, 2), axis=(0, -2)), Sample((1, 1)))

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if data is None or (p.axis is None and not is_known(data)):
            return inputs, outputs
        if p.axis is None:
            dropped = {axis for axis, n in enumerate(data) if n == 1}
        else:
            dropped = {normalize_axis(axis, len(data)) for axis in p.axis}
            if len(dropped) < len(p.axis):
                raise MXNetError(f"axis {p.axis} names an axis of {data} twice")
            if any(data[axis] > 1 for axis in dropped):
                raise MXNetError(f"cannot squeeze axes {p.axis} of the shape {data}: their size is not equal to one")
        kept = [axis for axis in range(len(data)) if axis not in dropped]
        out = merge(tuple(data[axis] for axis in kept) or (1,), outputs[0])
        sizes = dict(zip(kept, out))
        return [tuple(sizes.get(axis, 1) for axis in range(len(data)))], [out]


# ---- the shape as numbers ------------------------------------------------------------------------------------------


class _ShapeNumbers(Operator):
    """Base of the operators whose output is known when the shapes are."""

    unread = (0,)
    zero_gradient = True

    def infer_dtype(self, p, inputs, outputs):
        return inputs, [torch.int64]

    def numbers(self, shape) -> list[int]:
        raise NotImplementedError

    def kernel(self, p, inputs, outputs, env):
        numbers = torch.tensor(self.numbers(inputs[0].shape), device=env.device)
        return partial(outputs[0].copy_, numbers)


@register
class ShapeArray(_ShapeNumbers):
    """The shape of the input as an array of 64-bit integers."""

    name = "shape_array"

    def infer_shape(self, p, inputs, outputs):
        return inputs, [outputs[0] if inputs[0] is None else (len(inputs[0]),)]

    def numbers(self, shape):
        return list(shape)


@register
class SizeArray(_ShapeNumbers):
    """The number of elements of the input, as an array of one 64-bit integer."""

    name = "size_array"

    def infer_shape(self, p, inputs, outputs):
        return inputs, [(1,)]

    def numbers(self, shape):
        return [product(shape)]
