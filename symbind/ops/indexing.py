"""Selection by index arrays: Embedding, take, pick, gather and scatter, one_hot, where.

Indices may be of any element type, floats included; their fraction is dropped.
"""

from __future__ import annotations

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import ZERO, Kernel, Operator, Sample, register
from .parameter import Bool, DType, Enum, Int, Param
from .shapes import merge, normalize_axis

__all__: list[str] = []


def _whole_numbers(indices: torch.Tensor, size: int, mode: str) -> tuple[torch.Tensor, Kernel]:
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
    rows, prepare = _whole_numbers(indices.view(-1), table.shape[axis], mode)
    out = out.view(*table.shape[:axis], -1, *table.shape[axis + 1 :])

    def run() -> None:
        prepare()
        torch.index_select(table, axis, rows, out=out)

    return run


# ---- slices of an array by their numbers ---------------------------------------------------------------------------


@register
class Embedding(Operator):
    r"""Rows of a table: :math:`y_{i…,:} = weight_{data_{i…},:}`.

    ``data`` of any shape holds row numbers, those outside the table meaning its nearest end; ``weight`` is
    (input_dim, output_dim), the output (\*data.shape, output_dim). The gradient with respect to ``data`` is zero.
    """

    name = "Embedding"
    aliases = ("_sparse_Embedding",)
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
        rows, prepare = _whole_numbers(inputs[2].view(-1), out.shape[axis], p.mode)
        ograd = inputs[0].view(*out.shape[:axis], -1, *out.shape[axis + 1 :])

        def run() -> None:
            prepare()
            out.zero_()
            out.index_add_(axis, rows, ograd)

        return run
