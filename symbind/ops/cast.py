"""Values in another element type."""

from __future__ import annotations

from functools import partial

from ..graph.symbol import apply
from .operator import ZERO, Operator, Sample, register
from .parameter import DType, Param
from .shapes import merge

__all__: list[str] = []


@register
class Cast(Operator):
    """The values in another element type. Floats lose their fraction on the way to integers, which wrap around."""

    name = "Cast"
    aliases = ("cast",)
    sample_wise = (0,)
    dtype = Param(DType, doc="Element type of the output")
    samples = (Sample((2, 3), dtype="float64"),)

    def infer_shape(self, p, inputs, outputs):
        shape = merge(inputs[0], outputs[0])
        return [shape], [shape]

    def infer_dtype(self, p, inputs, outputs):
        return inputs, [p.dtype]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_Cast", dy[0], x[0])]

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].copy_, inputs[0])


@register
class CastLike(Operator):
    """``data`` in the element type of ``like``: the gradient of :class:`Cast`, whose input type no parameter tells."""

    name = "_backward_Cast"
    inputs = ("data", "like")
    unread = (1,)
    samples = (Sample((2, 3), (2, 3)),)

    def infer_shape(self, p, inputs, outputs):
        shape = merge(merge(inputs[0], inputs[1]), outputs[0])
        return [shape, shape], [shape]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[1] or outputs[0]
        return [inputs[0], dtype], [dtype]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_Cast", dy[0], x[0]), ZERO]

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].copy_, inputs[0])
