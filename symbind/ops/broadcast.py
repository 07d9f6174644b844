"""Operators that repeat an array along dimensions of size 1: explicitly, or to meet the other operand of a pair."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import Symbol, apply
from .elementwise import PAIR_FUNCTIONS, PairFunction
from .kernels import nothing
from .operator import ZERO, Operator, Sample, register
from .parameter import Optional, Param, Shape
from .shapes import broadcast, merge, normalize_axis

__all__: list[str] = []


# ---- pairs --------------------------------------------------------------------------------------


class BroadcastPair(Operator):
    """An operator of two arrays, each repeated where it has 1 and the other more; made from a :class:`PairFunction`."""

    inputs = ("lhs", "rhs")
    inplace = ((0, 0), (1, 0))

    def __init__(self, name: str, aliases: Sequence[str], function: PairFunction) -> None:
        self.name = name
        self.aliases = aliases
        self.function = function
        self.zero_gradient = function.gradient is None
        self.samples = (function.sample((2, 1, 3), (1, 4, 3)), function.sample((2, 3), (3,)))
        self.__doc__ = f""":math:`{function.formula}` number by number, of :math:`l` = ``lhs`` and :math:`r` = ``rhs``.

        Where one operand has a dimension of size 1, it is repeated to the size of the other; missing dimensions at
        the front count as 1. The inputs and the output have one type. Statements in brackets are 1 where they hold
        and 0 elsewhere, in the type of the inputs. Whole numbers divide towards zero, and to zero by zero; the modulo
        takes the sign of ``rhs``, and is zero for a zero ``rhs``.

        Raises MXNetError if neither of two different sizes is 1, or the types differ.
        """

    def infer_shape(self, p, inputs, outputs):
        return inputs, [broadcast(*inputs)]

    def gradient(self, p, x, y, dy):
        if self.function.gradient is None:
            return super().gradient(p, x, y, dy)
        left, right = x
        gradients = self.function.gradient(_combine, left, right, y[0], dy[0])
        return [apply("_sum_to_shape_like", g, operand) for g, operand in zip(gradients, x)]

    def kernel(self, p, inputs, outputs, env):
        out = outputs[0]
        # An operand that lacks dimensions of 1 may be in the output's place, and then must have its strides as well.
        operands = [array.view(out.shape) if array.numel() == out.numel() else array for array in inputs]
        return self.function.kernel(*operands, out)


def _combine(function: str, left: Symbol, right: Symbol) -> Symbol:
    return apply(f"broadcast_{function}", left, right)


_ALIASES = {
    "add": ("broadcast_plus", "_sparse_broadcast_add", "_sparse_broadcast_plus"),
    "sub": ("broadcast_minus", "_sparse_broadcast_sub", "_sparse_broadcast_minus"),
    "mul": ("_sparse_broadcast_mul",),
    "div": ("_sparse_broadcast_div",),
}

for _name, _function in PAIR_FUNCTIONS.items():
    register(BroadcastPair(f"broadcast_{_name}", _ALIASES.get(_name, ()), _function))


@register
class SumToShapeLike(Operator):
    """``data`` summed over the dimensions along which ``like`` was repeated: the gradient of a broadcast operand.

    The output has the shape of ``like``, whose values do not matter. Where the shapes are equal it is ``data`` itself.
    """

    name = "_sum_to_shape_like"
    inputs = ("data", "like")
    unread = (1,)
    inplace = ((0, 0),)  # only ever taken if no dimension is summed: the sizes must be equal
    samples = (Sample((2, 3, 4), (3, 1)), Sample((2, 3), (2, 1)), Sample((2, 3), (2, 3)))

    def infer_shape(self, p, inputs, outputs):
        data, like = inputs
        like = merge(like, outputs[0])
        broadcast(data, like)  # raises if like cannot have been repeated to data
        return [data, like], [like]

    def gradient(self, p, x, y, dy):
        return [apply("broadcast_mul", dy[0], apply("ones_like", x[0])), ZERO]

    def kernel(self, p, inputs, outputs, env):
        data, out = inputs[0], outputs[0]
        if data.numel() == out.numel():
            return nothing if data.data_ptr() == out.data_ptr() else partial(out.copy_, data.view(out.shape))
        padded = out.view((1,) * (data.dim() - out.dim()) + tuple(out.shape))
        axes = [i for i, (n, m) in enumerate(zip(data.shape, padded.shape)) if n != m]
        return partial(torch.sum, data, axes, keepdim=True, dtype=data.dtype, out=padded)


# ---- one array ----------------------------------------------------------------------------------


class _Repeat(Operator):
    """Base of the operators that repeat their first input along dimensions of size 1."""

    def gradient(self, p, x, y, dy):
        return [apply("_sum_to_shape_like", dy[0], x[0]), *[ZERO] * (len(x) - 1)]

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].copy_, inputs[0].expand(outputs[0].shape))


def _repeated(size: int, wanted: int, axis: int) -> int:
    """The size of a dimension of ``size`` repeated to ``wanted`` (0: unknown)."""
    if size not in (0, 1, wanted) and wanted:
        raise MXNetError(f"dimension {axis} of size {size} cannot be broadcast to {wanted}: it must be 1")
    return wanted


@register
class BroadcastTo(_Repeat):
    """``data`` repeated to ``shape`` along its dimensions of size 1. A 0 in ``shape`` keeps the dimension of ``data``.

    Raises MXNetError if the ranks differ, or a dimension that must change is not 1.
    """

    name = "broadcast_to"
    shape = Param(Shape, (), "Shape of the output; 0 for a dimension that stays")
    samples = (Sample((2, 1, 3), shape=(2, 4, 0)),)

    def infer_shape(self, p, inputs, outputs):
        data, out = inputs[0], outputs[0]
        if data is None:
            return [data], [p.shape or None]
        if len(data) != len(p.shape):
            raise MXNetError(f"Operand of shape {data} cannot be broadcasted to {p.shape}: the ranks differ")
        out = merge(tuple(_repeated(n, m, i) if m else n for i, (n, m) in enumerate(zip(data, p.shape))), out)
        return [tuple(n if m else o for n, m, o in zip(data, p.shape, out))], [out]


@register
class BroadcastAxis(_Repeat):
    """``data`` repeated to ``size`` along each ``axis``, whose dimension must be 1.

    Raises MXNetError for an axis that ``data`` does not have, or that is not 1, or if ``axis`` and ``size`` differ in
    length.
    """

    name = "broadcast_axis"
    aliases = ("broadcast_axes",)
    axis = Param(Shape, (), "Axes to repeat along")
    size = Param(Shape, (), "Size of each of these axes in the output")
    samples = (Sample((2, 1, 1), axis=(1, 2), size=(3, 4)),)

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if len(p.axis) != len(p.size):
            raise MXNetError(
                f"axis {p.axis} and size {p.size} differ in length, in operator broadcast_axis {node_name}"
            )
        return p

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if data is None:
            return inputs, outputs
        wanted = list(data)
        for axis, size in zip(p.axis, p.size):
            axis = normalize_axis(axis, len(data))
            if wanted[axis] > 1:
                raise MXNetError(f"Broadcasting axis must have size 1: axis {axis} has size {wanted[axis]}")
            wanted[axis] = size
        repeated = {normalize_axis(axis, len(data)) for axis in p.axis}
        out = merge(tuple(wanted), outputs[0])
        return [tuple(n if i in repeated else out[i] for i, n in enumerate(data))], [out]


@register
class BroadcastLike(_Repeat):
    """``lhs`` repeated along its dimensions of size 1 to the shape of ``rhs``, whose values do not matter.

    With ``lhs_axes`` and ``rhs_axes`` only those dimensions of ``lhs`` are repeated, each to the size of its partner
    in ``rhs``; the ranks may then differ. Without, they must be equal.

    Raises MXNetError if a dimension that must change is not 1, or the axes do not pair up.
    """

    name = "broadcast_like"
    inputs = ("lhs", "rhs")
    unread = (1,)
    lhs_axes = Param(Optional(Shape), None, "Axes of lhs to repeat along; all if None")
    rhs_axes = Param(Optional(Shape), None, "Axes of rhs whose sizes they take")
    samples = (
        Sample((2, 1, 3), (2, 4, 3)),
        Sample((1, 3, 1), (4, 5), lhs_axes=(0, -1), rhs_axes=(1, 0)),
    )

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.lhs_axes is not None and p.rhs_axes is not None and not len(p.lhs_axes) == len(p.rhs_axes) > 0:
            raise MXNetError(
                f"lhs_axes {p.lhs_axes} and rhs_axes {p.rhs_axes} must be equally many, and not none, "
                f"in operator broadcast_like {node_name}"
            )
        return p

    def infer_shape(self, p, inputs, outputs):
        left, right = inputs
        if left is None or right is None:
            return inputs, outputs
        pairs = self._axis_pairs(p, left, right)
        wanted = list(left)
        for i, j in pairs.items():
            wanted[i] = _repeated(left[i], right[j], i)
        out = merge(tuple(wanted), outputs[0])
        return [tuple(n if i in pairs else out[i] for i, n in enumerate(left)), right], [out]

    def infer_dtype(self, p, inputs, outputs):
        left = outputs[0] if inputs[0] is None else inputs[0]
        return [left, inputs[1]], [left]

    @staticmethod
    def _axis_pairs(p, left, right) -> dict[int, int]:
        """Which dimension of ``rhs`` gives its size to which of ``lhs``."""
        if p.lhs_axes is None or p.rhs_axes is None:
            if len(left) != len(right):
                raise MXNetError(f"Operand of shape {left} cannot be broadcasted to {right}: the ranks differ")
            return {i: i for i in range(len(left))}
        return {
            normalize_axis(i, len(left), "lhs_axes"): normalize_axis(j, len(right), "rhs_axes")
            for i, j in zip(p.lhs_axes, p.rhs_axes)
        }
