"""One element of every row, or of every line along another axis: read, or written.

Indices may be of any element type, floats included; their fraction is dropped.
"""

from __future__ import annotations

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .indexing import whole_numbers
from .operator import ZERO, Operator, Sample, register
from .parameter import Bool, Enum, Int, Optional, Param
from .shapes import is_known, merge, normalize_axis, product

__all__: list[str] = []


class _Picking(Operator):
    """The parameters of :class:`Pick` and of its gradient."""

    axis = Param(Optional(Int), -1, "Axis along which the index counts")
    keepdims = Param(Bool, False, "Keep that axis, with length 1")
    mode = Param(Enum("wrap", "clip"), "clip", "What an index outside means: one counted around, or the nearest end")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.axis is None:
            raise MXNetError("axis=None is not supported by pick yet. Must specify an axis.")
        return p


@register
class Pick(_Picking):
    r"""One element of each line of ``data`` along an axis: :math:`y_{i…k…} = data_{i…,\,index_{i…k…},\,k…}`.

    ``index`` has the shape of ``data`` without the axis, or with length 1 there; the output without it, or with length
    1 if ``keepdims``. The gradient with respect to ``index`` is zero.
    """

    name = "pick"
    aliases = ("choose_element_0index",)
    inputs = ("data", "index")
    samples = (
        Sample((2, 3), (2,), values={1: [-1, 7]}, integer=(1,)),
        Sample((2, 3), (1, 3), values={1: [-1, 5, 0]}, integer=(1,), axis=0, keepdims=True, mode="wrap"),
    )

    def infer_shape(self, p, inputs, outputs):
        data, index = inputs
        if data is None:
            return inputs, outputs
        axis = normalize_axis(p.axis, len(data))
        long, short = (*data[:axis], 1, *data[axis + 1 :]), (*data[:axis], *data[axis + 1 :]) or (1,)
        index = merge(index, long if index is not None and len(index) == len(data) > 1 else short)
        return [data, index], [merge(long if p.keepdims else short, outputs[0])]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype, inputs[1]], [dtype]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_pick", dy[0], x[0], x[1], **vars(p)), ZERO]

    def kernel(self, p, inputs, outputs, env):
        data, index = inputs
        axis = p.axis % data.dim()
        positions, prepare = whole_numbers(_line(index, data.shape, axis), data.shape[axis], p.mode)
        out = _line(outputs[0], data.shape, axis)

        def run() -> None:
            prepare()
            torch.gather(data, axis, positions, out=out)

        return run


@register
class PickGradient(_Picking):
    """Gradient of :class:`Pick`: the head gradient where the elements came from, zeros elsewhere.

    ``data`` gives the shape, its values are never read.
    """

    name = "_backward_pick"
    inputs = ("ograd", "data", "index")
    unread = (1,)
    samples = (Sample((3,), (2, 3), (3,), integer=(2,), high=2, values={0: (-1, 1)}, axis=0),)

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[1], outputs[0])
        return [inputs[0], data, inputs[2]], [data]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or inputs[1] or outputs[0]
        return [dtype, dtype, inputs[2]], [dtype]

    def gradient(self, p, x, y, dy):
        return [apply("pick", dy[0], x[2], **vars(p)), ZERO, ZERO]

    def kernel(self, p, inputs, outputs, env):
        out = outputs[0]
        axis = p.axis % out.dim()
        positions, prepare = whole_numbers(_line(inputs[2], out.shape, axis), out.shape[axis], p.mode)
        ograd = _line(inputs[0], out.shape, axis)

        def run() -> None:
            prepare()
            out.zero_().scatter_(axis, positions, ograd)

        return run


def _line(tensor: torch.Tensor, shape, axis: int) -> torch.Tensor:
    """``tensor``, one number for each line of an array of ``shape``, with length 1 along ``axis``."""
    return tensor.view(*shape[:axis], 1, *shape[axis + 1 :])


@register
class BatchTake(Operator):
    """One element of each row: :math:`y_i = a_{i,\\,indices_i}`, all axes of ``a`` but the last counting as one.

    The output has the shape of ``indices``, 32-bit integers; those outside a row mean its nearest end.
    """

    name = "batch_take"
    inputs = ("a", "indices")
    samples = (Sample((3, 4), (3,), values={1: [0, 3, 1]}, integer=(1,)),)

    def infer_shape(self, p, inputs, outputs):
        a = inputs[0]
        indices = merge(inputs[1], outputs[0])
        if a is not None and len(a) < 2:
            raise MXNetError(f"batch_take needs an array of at least 2 dimensions, not {a}")
        if is_known(a) and is_known(indices) and product(a[:-1]) != product(indices):
            raise MXNetError(f"batch_take of {a} needs {product(a[:-1])} indices, but their shape is {indices}")
        return [a, indices], [indices]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype, inputs[1] or torch.int32], [dtype]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_pick", dy[0], x[0], x[1], axis=-1), ZERO]

    def kernel(self, p, inputs, outputs, env):
        a, indices = inputs
        positions, prepare = whole_numbers(indices.view(-1, 1), a.shape[-1], "clip")
        rows, out = a.view(-1, a.shape[-1]), outputs[0].view(-1, 1)

        def run() -> None:
            prepare()
            torch.gather(rows, 1, positions, out=out)

        return run


@register
class FillElement(Operator):
    """``lhs`` with one element of each row replaced: :math:`y_{i,rhs_i} = mhs_i`, indices outside replacing nothing."""

    name = "fill_element_0index"
    inputs = ("lhs", "mhs", "rhs")
    needs_all_inputs = True
    inplace = ((0, 0),)

    def infer_shape(self, p, inputs, outputs):
        lhs = merge(inputs[0], outputs[0])
        if lhs is None:
            return inputs, outputs
        if len(lhs) != 2:
            raise MXNetError(f"fill_element_0index needs a matrix, not {lhs}")
        rows = merge(merge(inputs[1], inputs[2]), lhs[:1])
        return [(*rows, lhs[1]), rows, rows], [(*rows, lhs[1])]

    def kernel(self, p, inputs, outputs, env):
        (lhs, values, index), out = inputs, outputs[0]
        columns = torch.arange(lhs.shape[1], device=env.device)

        def run() -> None:
            torch.where(index.long().unsqueeze(1) == columns, values.unsqueeze(1), lhs, out=out)

        return run
