"""Selection by index arrays: Embedding, take, pick, one_hot, where.

Indices may be of any element type, floats included; their fraction is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import ZERO, Kernel, Operator, Sample, register
from .parameter import Bool, DType, Enum, Float, Int, Optional, Param
from .shapes import is_known, merge, normalize_axis, product

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
        rows, prepare = _whole_numbers(inputs[2].view(-1), out.shape[axis], p.mode)
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
        rows, prepare = _whole_numbers(index, len(old), "raise")

        def run() -> None:
            prepare()
            out.copy_(old).index_copy_(0, rows, new)

        return run


# ---- one element of every row --------------------------------------------------------------------------------------


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
        positions, prepare = _whole_numbers(_line(index, data.shape, axis), data.shape[axis], p.mode)
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
        positions, prepare = _whole_numbers(_line(inputs[2], out.shape, axis), out.shape[axis], p.mode)
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
        positions, prepare = _whole_numbers(indices.view(-1, 1), a.shape[-1], "clip")
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


# ---- one_hot and where ---------------------------------------------------------------------------------------------


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


def _choice(condition: torch.Tensor, data: torch.Tensor) -> tuple[torch.Tensor, Kernel]:
    """A mask that broadcasts over ``data`` for a condition on elements or on rows, and the call that fills it."""
    chosen = torch.empty(condition.shape, dtype=torch.bool, device=condition.device)
    mask = chosen if condition.shape == data.shape else chosen.view(-1, *[1] * (data.dim() - 1))
    return mask, partial(torch.ne, condition, 0, out=chosen)


@register
class Where(Operator):
    """Elements of ``x`` where the condition is not zero, of ``y`` where it is.

    ``condition`` has the shape of both, or one number for each of their rows. It has no gradient.
    """

    name = "where"
    aliases = ("_sparse_where",)
    inputs = ("condition", "x", "y")
    samples = (
        Sample((2, 2), (2, 2), (2, 2), values={0: [0, 1, 1, -1]}, integer=(0,)),
        Sample((2,), (2, 3), (2, 3), values={0: [0, 1]}, integer=(0,)),
    )

    def infer_shape(self, p, inputs, outputs):
        condition, x, y = inputs
        shape = merge(merge(x, y), outputs[0])
        if is_known(condition) and is_known(shape) and condition != shape and product(condition) != shape[0]:
            raise MXNetError(f"condition {condition} is neither for the elements nor for the rows of {shape}")
        return [condition, shape, shape], [shape]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[1] or inputs[2] or outputs[0]
        return [inputs[0], dtype, dtype], [dtype]

    def gradient(self, p, x, y, dy):
        return [ZERO, *apply("_backward_where", dy[0], x[0])]

    def kernel(self, p, inputs, outputs, env):
        condition, x, y = inputs
        mask, prepare = _choice(condition, x)

        def run() -> None:
            prepare()
            torch.where(mask, x, y, out=outputs[0])

        return run


@register
class WhereGradient(Operator):
    """Gradient of :class:`Where`: the head gradient where each of the two was chosen, zeros elsewhere."""

    name = "_backward_where"
    inputs = ("ograd", "condition")
    inplace = ((0, 0),)
    samples = (Sample((2, 2), (2,), values={1: [0, 1]}, integer=(1,)),)

    def num_outputs(self, p):
        return 2

    def infer_shape(self, p, inputs, outputs):
        shape = merge(merge(inputs[0], outputs[0]), outputs[1])
        return [shape, inputs[1]], [shape, shape]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype, inputs[1]], [dtype, dtype]

    def gradient(self, p, x, y, dy):
        return [apply("where", x[1], dy[0], dy[1]), ZERO]

    def kernel(self, p, inputs, outputs, env):
        ograd, condition = inputs
        mask, prepare = _choice(condition, ograd)
        zero = torch.zeros((), dtype=ograd.dtype, device=env.device)

        def run() -> None:
            prepare()
            # The second first: the other may be written over the head gradient.
            torch.where(mask, zero, ograd, out=outputs[1])
            torch.where(mask, ograd, zero, out=outputs[0])

        return run
