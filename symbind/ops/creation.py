"""Operators that make arrays out of nothing, or out of a shape.

Their values are known when the graph is bound: kernels hold the finished array and copy it.
"""

from __future__ import annotations

from functools import partial

from .operator import Operator, register
from .shapes import same_shape

__all__: list[str] = []


class _FilledLike(Operator):
    """Base of arrays of one number in the shape of another array."""

    unread = (0,)
    zero_gradient = True
    value: float

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].fill_, self.value)


@register
class ZerosLike(_FilledLike):
    """Zeros in the shape and type of ``data``, whose values do not matter."""

    name = "zeros_like"
    aliases = ("_sparse_zeros_like",)
    value = 0


@register
class OnesLike(_FilledLike):
    """Ones in the shape and type of ``data``, whose values do not matter."""

    name = "ones_like"
    value = 1
