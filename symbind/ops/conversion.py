"""The change of memory layout as an operator, so that conversions are nodes like any other."""

from __future__ import annotations

from collections.abc import Sequence

from .operator import MaybeShape, Operator, register
from .parameter import Params
from .shapes import same_shape

__all__ = ["ConvertLayout"]


@register
class ConvertLayout(Operator):
    """The same values in another memory layout, :math:`y = x`.

    Put in by the layout pass between kernels that want an array differently; the engine that owns the layouts
    provides the kernel. Never part of a saved graph, and put in after the gradient is built.
    """

    name = "_convert_layout"
    prepares_parameters = True

    def infer_shape(
        self, p: Params, inputs: list[MaybeShape], outputs: list[MaybeShape]
    ) -> tuple[Sequence[MaybeShape], Sequence[MaybeShape]]:
        return same_shape(inputs, outputs)
