"""Sums of all that comes before."""

from __future__ import annotations

from functools import partial

import torch

from ..graph.symbol import apply
from .operator import Operator, Sample, register
from .parameter import DType, Int, Optional, Param
from .shapes import merge, normalize_axis, product

__all__: list[str] = []


class _Cumulative(Operator):
    axis = Param(Optional(Int), None, "Axis along which to sum; None to flatten the array first.")
    dtype = Param(Optional(DType), None, "Type of the sums; None for that of the data, int64 for truth values.")


@register
class CumSum(_Cumulative):
    r"""Sums along an axis, of every element and all before it: :math:`y_i = \sum_{j \le i} a_j`.

    Shapes: ``a`` any; output the same, or (size,) without an axis. Raises MXNetError for an axis that ``a`` has not.
    """

    name = "_np_cumsum"
    aliases = ("cumsum",)
    inputs = ("a",)
    samples = (Sample((2, 3)), Sample((2, 3), axis=0), Sample((2, 3, 2), axis=1))

    def infer_shape(self, p, inputs, outputs):
        data, out = inputs[0], outputs[0]
        if p.axis is None:
            known = data is not None and 0 not in data
            return [data], [merge((product(data) if known else 0,), out)]
        data = merge(data, out)
        if data is not None:
            normalize_axis(p.axis, len(data))
        return [data], [data]

    def infer_dtype(self, p, inputs, outputs):
        data, out = inputs[0], outputs[0]
        if p.dtype is not None:
            return [data], [p.dtype]
        if data == torch.bool:
            return [data], [torch.int64]
        return [data or out], [data or out]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_np_cumsum", dy[0], x[0], axis=p.axis)]

    def kernel(self, p, inputs, outputs, env):
        data, out = inputs[0], outputs[0]
        if p.axis is None:
            return partial(torch.cumsum, data.view(-1), 0, dtype=out.dtype, out=out)
        return partial(torch.cumsum, data, p.axis, dtype=out.dtype, out=out)


@register
class CumSumGradient(_Cumulative):
    r"""The gradient of :class:`CumSum`: sums from the other end, :math:`\sum_{j \ge i} dy_j`."""

    name = "_backward_np_cumsum"
    inputs = ("head_gradient", "data")
    unread = (1,)
    samples = (Sample((6,), (2, 3)), Sample((2, 3), (2, 3), axis=1))

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[1], outputs[0])
        return [inputs[0] if p.axis is None else merge(inputs[0], data), data], [data]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[1] or outputs[0]
        return [inputs[0], dtype], [dtype]

    def gradient(self, p, x, y, dy):
        return [apply("_np_cumsum", dy[0], axis=p.axis), apply("zeros_like", x[1])]

    def kernel(self, p, inputs, outputs, env):
        head, out = inputs[0], outputs[0]
        axis = 0 if p.axis is None else p.axis
        return lambda: out.copy_(head.flip(axis).cumsum(axis).flip(axis).view(out.shape))
