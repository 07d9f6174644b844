"""Casts of automatic mixed precision: they move values between half and single precision, and leave all others alone.

They are put into a graph by a tool, not by its author, so saved files leave them out.
"""

from __future__ import annotations

from functools import partial

import torch

from ..graph.symbol import apply
from .kernels import sequence
from .operator import MaybeDType, Operator, Sample, register
from .parameter import Bool, Count, DType, Param
from .shapes import merge, same_shape

__all__: list[str] = []

LOW = (torch.float16, torch.bfloat16)


def _is_mixed(dtype: torch.dtype) -> bool:
    return dtype in LOW or dtype == torch.float32


@register
class AmpCast(Operator):
    """Half- or single-precision data in another element type; data of any other type as it is, :math:`y = x`."""

    name = "amp_cast"
    bypass_when_saved = True
    inplace = ((0, 0),)
    dtype = Param(DType, doc="Element type of the output, for data in half or single precision")
    samples = (Sample((2, 3), dtype="float32"),)

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def infer_dtype(self, p, inputs, outputs):
        data = inputs[0]
        if data is None:
            return inputs, outputs
        return [data], [p.dtype if _is_mixed(data) else data]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_Cast", dy[0], x[0])]

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].copy_, inputs[0])


@register
class AmpMulticast(Operator):
    """Each input in the type that all half- and single-precision inputs can share; inputs of other types as they are.

    That type is float32 if one input has it, or with ``cast_narrow`` the half-precision type if one input has that.
    Output i has the shape of input i; the shapes may differ.
    """

    name = "amp_multicast"
    bypass_when_saved = True
    variadic = "num_outputs"
    parameters = {"num_outputs": Param(Count, doc="Number of inputs and of outputs")}
    cast_narrow = Param(Bool, False, "Go to the narrowest type instead of the widest")
    samples = (Sample((2, 3), (4,)),)

    def input_names(self, p):
        return [f"data_{i}" for i in range(p.num_outputs)]

    def num_outputs(self, p):
        return p.num_outputs

    def inplace_pairs(self, p):
        return [(i, i) for i in range(p.num_outputs)]

    def infer_shape(self, p, inputs, outputs):
        shapes = [merge(shape, out) for shape, out in zip(inputs, outputs)]
        return shapes, shapes

    def infer_dtype(self, p, inputs, outputs):
        if None in inputs:
            return inputs, outputs
        common = self._common([t for t in inputs if t is not None and _is_mixed(t)], p.cast_narrow)
        return inputs, [common if t is not None and _is_mixed(t) else t for t in inputs]

    @staticmethod
    def _common(types: list[torch.dtype], narrow: bool) -> MaybeDType:
        low = next((t for t in types if t in LOW), None)
        if narrow or torch.float32 not in types:
            return low or torch.float32
        return torch.float32

    def gradient(self, p, x, y, dy):
        return [apply("_backward_Cast", head, data) for head, data in zip(dy, x)]

    def kernel(self, p, inputs, outputs, env):
        return sequence([partial(out.copy_, data) for data, out in zip(inputs, outputs)])
