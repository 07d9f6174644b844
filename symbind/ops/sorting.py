"""Sorting: topk, sort, argsort.

Equal elements keep their order, whether the values ascend or descend.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import ZERO, Operator, Sample, register
from .parameter import Bool, DType, Enum, Int, Optional, Param
from .shapes import is_known, merge, normalize_axis, product

__all__: list[str] = []

_AXIS = Param(Optional(Int), -1, "Axis along which to sort; None for the flattened array")


def _flat(p, data):
    """The shape that is sorted: ``data``, or its elements in one row if no axis is given."""
    if data is None or p.axis is not None:
        return data
    return (product(data) if is_known(data) else 0,)


def _axis_of(p, data) -> int:
    return 0 if p.axis is None else normalize_axis(p.axis, len(data))


@register
class TopK(Operator):
    """The ``k`` largest elements along an axis, or the smallest: their values, positions, or where they are.

    Outputs have length k along the axis, in order; with ``ret_typ="mask"`` the one output has the shape of the input,
    1 at the chosen elements and 0 elsewhere. Values have a gradient, positions and masks none. Raises MXNetError if
    the axis has fewer than k elements.
    """

    name = "topk"
    axis = _AXIS
    k = Param(Int, 1, "Number of elements; all of them if less than 1")
    ret_typ = Param(Enum("both", "indices", "mask", "value"), "indices", "What the outputs are")
    is_ascend = Param(Bool, False, "Take the smallest elements")
    dtype = Param(DType, torch.float32, "Element type of positions")
    samples = tuple(
        Sample((2, 3), values={0: [3, 1, 2, 6, 4, 5]}, **params)
        for params in ({"ret_typ": "value", "k": 2}, {"ret_typ": "both", "axis": 0}, {"ret_typ": "value", "axis": None},
                       {"ret_typ": "indices"}, {"ret_typ": "mask"})
    )  # fmt: skip

    def num_outputs(self, p):
        # Values come with their positions, which the gradient needs.
        return 2 if p.ret_typ in ("value", "both") else 1

    def num_visible_outputs(self, p):
        return 2 if p.ret_typ == "both" else 1

    def output_names(self, p):
        return ("output0", "output1") if self.num_outputs(p) == 2 else None

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if p.ret_typ == "mask":
            data = merge(data, outputs[0])
            return [data], [data]
        shape = _flat(p, data)
        if shape is None:
            return inputs, outputs
        axis = _axis_of(p, shape)
        if shape[axis] and p.k > shape[axis]:
            raise MXNetError(f"k must be smaller than {shape[axis]}, get k = {p.k}")
        chosen = (*shape[:axis], p.k if p.k > 0 else shape[axis], *shape[axis + 1 :])
        return inputs, [merge(chosen, out) for out in outputs]

    def infer_dtype(self, p, inputs, outputs):
        if p.ret_typ == "indices":
            return inputs, [p.dtype]
        dtype = inputs[0] or outputs[0]
        return [dtype], [dtype, p.dtype if p.ret_typ == "both" else torch.int64][: len(outputs)]

    def gradient(self, p, x, y, dy):
        if p.ret_typ in ("indices", "mask"):
            return [ZERO]
        return [apply("_backward_topk", dy[0], y[1], x[0], axis=p.axis)]

    def kernel(self, p, inputs, outputs, env):
        data = inputs[0].view(-1) if p.axis is None else inputs[0]
        axis = _axis_of(p, data.shape)
        first = _first_positions(data, axis, p.k if p.k > 0 else data.shape[axis], p.is_ascend)
        mask = outputs[0].view(data.shape) if p.ret_typ == "mask" else None

        def run() -> None:
            positions = first()
            if mask is not None:
                mask.zero_().scatter_(axis, positions, 1)
            elif p.ret_typ == "indices":
                outputs[0].copy_(positions)
            else:
                torch.gather(data, axis, positions, out=outputs[0])
                outputs[1].copy_(positions)

        return run


def _first_positions(data: torch.Tensor, axis: int, count: int, ascending: bool) -> Callable[[], torch.Tensor]:
    """A call that gives the positions of the first ``count`` elements in order, equal ones in the order they lie in.

    A stable sort does that; selecting is many times faster, but says nothing of equal elements. So values of up to 32
    bits are made into 64-bit numbers that differ, the value above and the position below, of which to select.
    """
    length = data.shape[axis]
    if count == length or data.dtype in (torch.float64, torch.int64):
        return lambda: torch.sort(data, dim=axis, descending=not ascending, stable=True)[1].narrow(axis, 0, count)
    places = torch.arange(length, device=data.device)
    places = (places if ascending else length - 1 - places).view(-1, *[1] * (data.dim() - axis - 1))

    def run() -> torch.Tensor:
        values = data
        if data.is_floating_point():
            # The bits of positive floats are ordered like integers, those of negative ones the other way round.
            # Adding zero makes -0 and 0 equal.
            bits = (data.float() + 0.0).view(torch.int32)
            values = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
        keys = values.long().bitwise_left_shift_(32).bitwise_or_(places)
        chosen = torch.topk(keys, count, axis, largest=not ascending).values.bitwise_and_(0xFFFFFFFF)
        return chosen if ascending else chosen.neg_().add_(length - 1)

    return run


@register
class TopKGradient(Operator):
    """Gradient of :class:`TopK` and :class:`Sort`: every head gradient back at the position its value came from.

    ``data`` gives the shape, its values are never read.
    """

    name = "_backward_topk"
    inputs = ("ograd", "positions", "data")
    unread = (2,)
    axis = _AXIS
    samples = (
        Sample((2, 2), (2, 2), (2, 3), values={1: [0, 2, 1, 0]}, integer=(1,)),
        Sample((3,), (3,), (2, 3), values={1: [0, 4, 2]}, integer=(1,), axis=None),
    )

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[2], outputs[0])
        return [inputs[0], inputs[1], data], [data]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or inputs[2] or outputs[0]
        return [dtype, inputs[1], dtype], [dtype]

    def gradient(self, p, x, y, dy):
        return [apply("_gather_positions", dy[0], x[1], axis=p.axis), ZERO, ZERO]

    def kernel(self, p, inputs, outputs, env):
        ograd, positions = inputs[:2]
        out = outputs[0].view(-1) if p.axis is None else outputs[0]
        axis = _axis_of(p, out.shape)
        whole = torch.empty(positions.shape, dtype=torch.int64, device=env.device)

        def run() -> None:
            out.zero_().scatter_(axis, whole.copy_(positions), ograd)

        return run


@register
class GatherPositions(Operator):
    """The elements of ``data`` at ``positions`` along an axis, which is what :class:`TopK` does once it knows them."""

    name = "_gather_positions"
    inputs = ("data", "positions")
    axis = _AXIS
    samples = (Sample((2, 3), (2, 2), values={1: [0, 2, 1, 0]}, integer=(1,)),)

    def infer_shape(self, p, inputs, outputs):
        positions = merge(inputs[1], outputs[0])
        return [inputs[0], positions], [positions]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype, inputs[1]], [dtype]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_topk", dy[0], x[1], x[0], axis=p.axis), ZERO]

    def kernel(self, p, inputs, outputs, env):
        data = inputs[0].view(-1) if p.axis is None else inputs[0]
        axis = _axis_of(p, data.shape)
        whole = torch.empty(inputs[1].shape, dtype=torch.int64, device=env.device)

        def run() -> None:
            torch.gather(data, axis, whole.copy_(inputs[1]), out=outputs[0])

        return run


@register
class Sort(Operator):
    """The elements along an axis in order; the flattened array in order if there is no axis."""

    name = "sort"
    axis = _AXIS
    is_ascend = Param(Bool, True, "Smallest first")
    outputs = ("output0", "output1")
    samples = (
        Sample((2, 3), values={0: [3, 1, 2, 6, 4, 5]}, is_ascend=False),
        Sample((2, 3), values={0: [3, 1, 2, 6, 4, 5]}, axis=None),
    )

    def num_outputs(self, p):
        # The second, hidden one holds the positions for the gradient.
        return 2

    def num_visible_outputs(self, p):
        return 1

    def infer_shape(self, p, inputs, outputs):
        out = merge(_flat(p, inputs[0]), outputs[0])
        if out is not None:
            _axis_of(p, out)
        return [inputs[0] if p.axis is None else out], [out, out]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype], [dtype, torch.int64]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_topk", dy[0], y[1], x[0], axis=p.axis)]

    def kernel(self, p, inputs, outputs, env):
        data = inputs[0].view(outputs[0].shape)
        axis = _axis_of(p, data.shape)
        result = tuple(outputs)

        def run() -> None:
            torch.sort(data, dim=axis, descending=not p.is_ascend, stable=True, out=result)

        return run


@register
class ArgSort(Operator):
    """The positions of the elements along an axis in the order of their values."""

    name = "argsort"
    axis = _AXIS
    is_ascend = Param(Bool, True, "Position of the smallest first")
    dtype = Param(DType, torch.float32, "Element type of the positions")
    zero_gradient = True

    def infer_shape(self, p, inputs, outputs):
        out = merge(_flat(p, inputs[0]), outputs[0])
        if out is not None:
            _axis_of(p, out)
        return [inputs[0] if p.axis is None else out], [out]

    def infer_dtype(self, p, inputs, outputs):
        return inputs, [p.dtype]

    def kernel(self, p, inputs, outputs, env):
        data = inputs[0].view(outputs[0].shape)
        axis = _axis_of(p, data.shape)
        return lambda: outputs[0].copy_(torch.argsort(data, dim=axis, descending=not p.is_ascend, stable=True))
