"""Numbers as rows that are zero but for one place."""

from __future__ import annotations

import torch

from ..base import MXNetError
from .operator import Kernel, Operator, Sample, register
from .parameter import DType, Float, Int, Param
from .shapes import merge

__all__: list[str] = []


@register
class OneHot(Operator):
    """A row of ``depth`` numbers for each index: ``on_value`` at the index, ``off_value`` elsewhere.

    The output has one axis more than ``indices``. An index outside makes a row of ``off_value`` only.
    """

    name = "one_hot"
    inputs = ("indices",)
    depth = Param(Int, doc="Length of a row")
    on_value = Param(Float, 1.0, "Number at the index")
    off_value = Param(Float, 0.0, "Number elsewhere")
    dtype = Param(DType, torch.float32, "Element type of the output")
    zero_gradient = True
    samples = (Sample((2, 2), integer=(0,), high=3, depth=3),)

    def infer_shape(self, p, inputs, outputs):
        indices, out = inputs[0], outputs[0]
        if p.depth < 1:
            raise MXNetError(f"depth of one_hot must be a number from 1, not {p.depth}")
        if out is not None:
            indices = merge(indices, out[:-1])
        return [indices], [out if indices is None else merge((*indices, p.depth), out)]

    def infer_dtype(self, p, inputs, outputs):
        return inputs, [p.dtype]

    def kernel(self, p, inputs, outputs, env):
        return _hot_rows(inputs[0], outputs[0], p.on_value, p.off_value)


def _hot_rows(indices: torch.Tensor, out: torch.Tensor, on_value: float, off_value: float) -> Kernel:
    """Fill each row of ``out``, the last axis, with ``on_value`` at its index and ``off_value`` elsewhere."""
    indices = indices.unsqueeze(-1)
    whole = torch.empty(indices.shape, dtype=torch.int64, device=out.device)
    inside = torch.empty_like(whole)
    on, off = (torch.tensor(value, dtype=out.dtype, device=out.device) for value in (on_value, off_value))

    def run() -> None:
        torch.clamp(whole.copy_(indices), 0, out.shape[-1] - 1, out=inside)
        out.fill_(off_value).scatter_(-1, inside, torch.where(whole == inside, on, off))

    return run


@register
class OneHotEncode(Operator):
    """The old form of :class:`OneHot`: indices (N,) as rows of the shape of ``rhs`` (N, depth), which is never read."""

    name = "_onehot_encode"
    inputs = ("lhs", "rhs")
    needs_all_inputs = True
    unread = (1,)
    zero_gradient = True

    def infer_shape(self, p, inputs, outputs):
        rows = merge(inputs[1], outputs[0])
        if rows is None:
            return inputs, outputs
        if len(rows) != 2:
            raise MXNetError(f"_onehot_encode needs a matrix to fill, not {rows}")
        indices = merge(inputs[0], rows[:1])
        return [indices, rows], [(*indices, rows[1])]

    def kernel(self, p, inputs, outputs, env):
        return _hot_rows(inputs[0], outputs[0], 1.0, 0.0)
