"""Rows that a mask keeps: how many there are, only the mask's numbers tell."""

from __future__ import annotations

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import ZERO, Operator, register
from .parameter import Int, Param
from .shapes import merge

__all__: list[str] = []


@register
class BooleanMask(Operator):
    """The rows of ``data`` where ``index`` is not zero, in order.

    Shapes: ``data`` (N, …), ``index`` (N), output (M, …) for M rows that are kept, which may be none. As M depends on
    the numbers in ``index``, this is for arrays; a network that holds it cannot be bound.

    Raises MXNetError for another axis than the first, or a mask of another length.
    """

    name = "_contrib_boolean_mask"
    inputs = ("data", "index")
    measured = True
    axis = Param(Int, 0, "Axis of the rows, which must be 0.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.axis != 0:
            raise MXNetError(f"axis={p.axis} of boolean_mask must be 0")
        return p

    def infer_shape(self, p, inputs, outputs):
        data, index = inputs
        if data is None:
            return inputs, outputs
        if not data:
            raise MXNetError("Data of boolean_mask should have 1 axis at least")
        (count,) = merge((data[0],), index)
        return [(count, *data[1:]), (count,)], outputs

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype, inputs[1] or dtype], [dtype]

    def measure(self, p, inputs):
        data, index = inputs
        return [(int(torch.count_nonzero(index)), *data.shape[1:])]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_contrib_boolean_mask", dy[0], *x), ZERO]

    def kernel(self, p, inputs, outputs, env):
        data, index = inputs
        return lambda: torch.index_select(data, 0, index.nonzero().squeeze(1), out=outputs[0])


@register
class BooleanMaskGradient(Operator):
    """The gradient of :class:`BooleanMask`: the head gradient in the rows that were kept, zeros in the others."""

    name = "_backward_contrib_boolean_mask"
    inputs = ("head_gradient", "data", "index")
    unread = (1,)

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[1], outputs[0])
        return [inputs[0], data, inputs[2]], [data]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or inputs[1] or outputs[0]
        return [dtype, dtype, inputs[2]], [dtype]

    def kernel(self, p, inputs, outputs, env):
        head, _, index = inputs
        return lambda: outputs[0].zero_().index_copy_(0, index.nonzero().squeeze(1), head)
