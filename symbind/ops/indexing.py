"""Slices of an array by their numbers: Embedding, take, index_copy.

Indices may be of any element type, floats included; their fraction is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import ZERO, Kernel, Operator, Sample, register
from .parameter import Bool, DType, Enum, Int, Param
from .shapes import merge, normalize_axis

__all__ = ["Embedding", "whole_numbers"]


def whole_numbers(indices: torch.Tensor, size: int, mode: str) -> tuple[torch.Tensor, Kernel]:
    """A 64-bit copy of ``indices``, made valid for an axis of length ``size``, and the call that fills it.

    ``mode`` says what numbers outside mean: "clip" the nearest end, "wrap" counting around, "raise" an MXNetError.
    """
    whole = torch.empty(indices.shape, dtype=torch.int64, device=indices.device)

    def clip() -> None:
        torch.clamp(whole.copy_(indices), 0, size - 1, out=whole)

    def wrap() -> None:
        torch.remainder(whole.copy_(indices), size, out=whole)

    def check() -> None:
        low, high = torch.aminmax(whole.copy_(indices))
        if low < 0 or high >= size:
            raise MXNetError(f"indices {int(low)}..{int(high)} leave an axis of length {size}")

    return whole, {"clip": clip, "wrap": wrap, "raise": check}[mode]


def _gather_rows(table: torch.Tensor, indices: torch.Tensor, axis: int, mode: str, out: torch.Tensor) -> Kernel:
    """Fill ``out`` with the slices of ``table`` along ``axis`` that ``indices`` name."""
    rows, prepare = whole_numbers(indices.view(-1), table.shape[axis], mode)
    out = out.view(*table.shape[:axis], -1, *table.shape[axis + 1 :])

    def run() -> None:
        prepare()
        torch.index_select(table, axis, rows, out=out)

    return run


@register
class Embedding(Operator):
    r"""Rows of a table: :math:`y_{i…,:} = weight_{data_{i…},:}`.

    ``data`` of any shape holds row numbers, those outside the table meaning its nearest end; ``weight`` is
    (input_dim, output_dim), the output (\*data.shape, output_dim). The gradient with respect to ``data`` is zero.
    """

    name = "Embedding"
    aliases: Sequence[str] = ("_sparse_Embedding",)
    inputs = ("data", "weight")
    input_dim = Param(Int, doc="Number of rows of the table")
    output_dim = Param(Int, doc="Length of a row")
    dtype = Param(DType, torch.float32, "Element type of weight where nothing else tells it")
    sparse_grad = Param(Bool, False, "Gradient of weight as row_sparse; every gradient is dense here")
    samples = (Sample((2, 3), (4, 2), integer=(0,), high=4, values={1: (-1, 1)}, input_dim=4, output_dim=2),)

    def infer_shape(self, p, inputs, outputs):
        weight = merge(inputs[1], (p.input_dim, p.output_dim))
        data, out = inputs[0], outputs[0]
        if out is not None:
            data = merge(data, out[:-1])
        if data is not None:
            out = merge(out, (*data, p.output_dim))
        return [data, weight], [out]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[1] or outputs[0] or p.dtype
        return [inputs[0], dtype], [dtype]

    def selection(self, p):
        return 1, 0

    def gradient(self, p, x, y, dy):
        return [ZERO, apply("_backward_take", dy[0], x[1], x[0], axis=0)]

    def kernel(self, p, inputs, outputs, env):
        return _gather_rows(inputs[1], inputs[0], 0, "clip", outputs[0])


class _Taking(Operator):
    """The parameters of :class:`Take` and of its gradient."""

    axis = Param(Int, 0, "Axis along which the indices count")
    mode = Param(Enum("raise", "wrap", "clip"), "clip", "What an index outside the axis means: an error, one counted "
                 "around, or the nearest end")  # fmt: skip


@register
class Take(_Taking):
    r"""Slices of ``a`` along an axis: :math:`y_{i…j…k…} = a_{i…,\,indices_{j…},\,k…}`.

    The output has the shape of ``a`` with that axis replaced by all the dimensions of ``indices``. The gradient with
    respect to ``indices`` is zero. Raises MXNetError for an index outside in mode "raise".
    """

    name = "take"
    inputs = ("a", "indices")
    samples = (
        Sample((4, 2), (2, 3), integer=(1,), high=4, values={0: (-1, 1)}),
        Sample((2, 4, 3), (3,), values={1: [-5, 3, 9]}, integer=(1,), axis=1, mode="wrap"),
    )

    def infer_shape(self, p, inputs, outputs):
        a, indices = inputs
        if a is None or indices is None:
            return inputs, outputs
        axis = normalize_axis(p.axis, len(a))
        out = merge((*a[:axis], *indices, *a[axis + 1 :]), outputs[0])
        after = axis + len(indices)
        return [(*out[:axis], a[axis], *out[after:]), out[axis:after]], [out]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype, inputs[1]], [dtype]

    def selection(self, p):
        return (0, 1) if p.axis == 0 and p.mode == "clip" else None

    def gradient(self, p, x, y, dy):
        return [apply("_backward_take", dy[0], x[0], x[1], axis=p.axis, mode=p.mode), ZERO]

    def kernel(self, p, inputs, outputs, env):
        return _gather_rows(inputs[0], inputs[1], p.axis % inputs[0].dim(), p.mode, outputs[0])


@register
class TakeGradient(_Taking):
    r"""Gradient of :class:`Take` and :class:`Embedding`: every slice of the head gradient added to where it came from.

    ``a`` gives the shape, its values are never read.
    """

    name = "_backward_take"
    inputs = ("ograd", "a", "indices")
    unread = (1,)
    samples = (Sample((2, 3, 2), (4, 2), (2, 3), integer=(2,), high=4, values={0: (-1, 1)}),)

    def summed_inputs(self, p):
        return (0, 2) if p.axis == 0 else ()

    def infer_shape(self, p, inputs, outputs):
        a = merge(inputs[1], outputs[0])
        return [inputs[0], a, inputs[2]], [a]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or inputs[1] or outputs[0]
        return [dtype, dtype, inputs[2]], [dtype]

    def gradient(self, p, x, y, dy):
        return [apply("take", dy[0], x[2], axis=p.axis, mode=p.mode), ZERO, ZERO]

    def kernel(self, p, inputs, outputs, env):
        out = outputs[0]
        axis = p.axis % out.dim()
        rows, prepare = whole_numbers(inputs[2].view(-1), out.shape[axis], p.mode)
        ograd = inputs[0].view(*out.shape[:axis], -1, *out.shape[axis + 1 :])

        def run() -> None:
            prepare()
            out.zero_()
            out.index_add_(axis, rows, ograd)

        return run


@register
class IndexCopy(Operator):
    """``old_tensor`` with the slices along its first axis that ``index_vector`` names replaced by ``new_tensor``.

    ``index_vector`` is (K,), ``new_tensor`` (K, …) like the rest of ``old_tensor``. An index outside raises MXNetError.
    """

    name = "_contrib_index_copy"
    inputs = ("old_tensor", "index_vector", "new_tensor")
    inplace = ((0, 0),)
    samples = (Sample((3, 2), (2,), (2, 2), values={1: [2, 0]}, integer=(1,)),)

    def infer_shape(self, p, inputs, outputs):
        old, index, new = inputs
        old = merge(old, outputs[0])
        if old is not None and index is not None:
            if len(index) != 1:
                raise MXNetError(f"index_vector must be a vector, not {index}")
            new = merge(new, (*index, *old[1:]))
        return [old, index, new], [old]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype, inputs[1], inputs[2]], [dtype]

    def gradient(self, p, x, y, dy):
        nothing = apply("zeros_like", x[2])
        return [apply("_contrib_index_copy", dy[0], x[1], nothing), ZERO, apply("take", dy[0], x[1])]

    def kernel(self, p, inputs, outputs, env):
        (old, index, new), out = inputs, outputs[0]
        rows, prepare = whole_numbers(index, len(old), "raise")

        def run() -> None:
            prepare()
            out.copy_(old).index_copy_(0, rows, new)

        return run
