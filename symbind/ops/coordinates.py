"""Elements by all their coordinates: gather and scatter, coordinates against flat positions, positions as numbers.

Coordinates may be of any element type, floats included; their fraction is dropped.
"""

from __future__ import annotations

from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import ZERO, Kernel, Operator, Sample, register
from .parameter import Float, Int, Optional, Param, Shape, String
from .shapes import merge, normalize_axis, product

__all__: list[str] = []


def _places(indices: torch.Tensor, shape) -> tuple[torch.Tensor, Kernel]:
    """Positions in memory of the slices of an array of ``shape`` that ``indices`` (M, …) name by their coordinates.

    Counted in slices, since M may be less than the rank. Negative coordinates count from the end; the call that fills
    the positions raises IndexError for others outside.
    """
    rank = len(indices)
    sizes = torch.tensor(shape[:rank], device=indices.device).unsqueeze(1)
    strides = torch.tensor([product(shape[axis + 1 : rank]) for axis in range(rank)], device=indices.device)
    coordinates = torch.empty(rank, indices[0].numel(), dtype=torch.int64, device=indices.device)
    flat = indices.view(rank, -1)
    places = torch.empty_like(coordinates[0])

    def fill() -> None:
        coordinates.copy_(flat)
        outside = ((coordinates < -sizes) | (coordinates >= sizes)).nonzero()
        if len(outside):
            axis, first = outside[0].tolist()
            index = int(coordinates[axis, first])
            raise IndexError(f"index {index} is out of bounds for axis {axis} with size {shape[axis]}")
        torch.remainder(coordinates, sizes, out=coordinates)
        torch.sum(coordinates.mul_(strides.unsqueeze(1)), 0, out=places)

    return places, fill


@register
class GatherND(Operator):
    r"""The elements or slices of ``data`` at coordinates.

    :math:`y_{i…,k…} = data_{indices_{0,i…},\,…,\,indices_{M-1,i…},\,k…}`, where ``indices`` is (M, …), M at most the
    rank of ``data``. The output has the other dimensions of ``indices``, then those of ``data`` from M on. Negative
    coordinates count from the end; others outside raise IndexError.
    """

    name = "gather_nd"
    inputs = ("data", "indices")
    samples = (
        Sample((2, 3), (2, 3), values={1: [0, 1, 1, 2, 0, 0]}, integer=(1,)),
        Sample((2, 3), (1, 2), values={1: [1, 1]}, integer=(1,)),
    )

    def infer_shape(self, p, inputs, outputs):
        data, indices = inputs
        if data is None or indices is None or not indices[0]:
            return inputs, outputs
        if indices[0] > len(data):
            raise MXNetError(f"Number of indices exceeds data dimension: indices {indices}, data {data}")
        return inputs, [merge((*indices[1:], *data[indices[0] :]) or (1,), outputs[0])]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype, inputs[1]], [dtype]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_gather_nd", dy[0], x[0], x[1]), ZERO]

    def kernel(self, p, inputs, outputs, env):
        data, indices = inputs
        places, prepare = _places(indices, data.shape)
        slices = data.view(product(data.shape[: len(indices)]), -1)
        out = outputs[0].view(len(places), -1)

        def run() -> None:
            prepare()
            torch.index_select(slices, 0, places, out=out)

        return run


@register
class GatherNDGradient(Operator):
    """Gradient of :class:`GatherND`: every head gradient added to where it came from.

    ``data`` gives the shape, its values are never read.
    """

    name = "_backward_gather_nd"
    inputs = ("ograd", "data", "indices")
    unread = (1,)
    samples = (Sample((3,), (2, 3), (2, 3), values={2: [0, 1, 1, 2, 0, 0]}, integer=(2,)),)

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[1], outputs[0])
        return [inputs[0], data, inputs[2]], [data]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or inputs[1] or outputs[0]
        return [dtype, dtype, inputs[2]], [dtype]

    def gradient(self, p, x, y, dy):
        return [apply("gather_nd", dy[0], x[2]), ZERO, ZERO]

    def kernel(self, p, inputs, outputs, env):
        out, indices = outputs[0], inputs[2]
        places, prepare = _places(indices, out.shape)
        slices = out.view(product(out.shape[: len(indices)]), -1)
        ograd = inputs[0].view(len(places), -1)

        def run() -> None:
            prepare()
            out.zero_()
            slices.index_add_(0, places, ograd)

        return run


def _scattered(p, data, indices):
    """Shape of what is put into an array of ``p.shape`` at ``indices``."""
    if indices is None or not indices[0]:
        return data
    if indices[0] > len(p.shape):
        raise MXNetError(f"Number of indices exceeds output dimension: indices {indices}, shape {p.shape}")
    return merge(data, (*indices[1:], *p.shape[indices[0] :]) or (1,))


@register
class ScatterND(Operator):
    """``data`` put at coordinates of an array of zeros; undoes :class:`GatherND`.

    ``indices`` is (M, …) and ``data`` has its other dimensions, then the dimensions of ``shape`` from M on. Where
    coordinates meet, one of the values stays. Negative coordinates count from the end; others outside raise IndexError.
    """

    name = "scatter_nd"
    inputs = ("data", "indices")
    shape = Param(Shape, doc="Shape of the output")
    samples = (Sample((3,), (2, 3), values={1: [0, 1, 1, 2, 0, 1]}, integer=(1,), shape=(2, 3)),)

    def infer_shape(self, p, inputs, outputs):
        data, indices = inputs
        return [_scattered(p, data, indices), indices], [merge(p.shape, outputs[0])]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype, inputs[1]], [dtype]

    def gradient(self, p, x, y, dy):
        return [apply("gather_nd", dy[0], x[1]), ZERO]

    def kernel(self, p, inputs, outputs, env):
        (data, indices), out = inputs, outputs[0]
        places, prepare = _places(indices, p.shape)
        slices = out.view(product(p.shape[: len(indices)]), -1)
        data = data.view(len(places), -1)

        def run() -> None:
            prepare()
            out.zero_()
            slices.index_copy_(0, places, data)

        return run


@register
class ScatterSetND(Operator):
    """``lhs`` of the given ``shape`` with ``rhs`` put at coordinates, as :class:`ScatterND` puts it among zeros."""

    name = "_scatter_set_nd"
    inputs = ("lhs", "rhs", "indices")
    inplace = ((0, 0),)
    shape = Param(Shape, doc="Shape of lhs")
    samples = (Sample((2, 3), (2,), (2, 2), values={2: [0, 1, 2, 0]}, integer=(2,), shape=(2, 3)),)

    def infer_shape(self, p, inputs, outputs):
        lhs, rhs, indices = inputs
        whole = merge(merge(p.shape, lhs), outputs[0])
        return [whole, _scattered(p, rhs, indices), indices], [whole]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or inputs[1] or outputs[0]
        return [dtype, dtype, inputs[2]], [dtype]

    def kernel(self, p, inputs, outputs, env):
        (lhs, rhs, indices), out = inputs, outputs[0]
        places, prepare = _places(indices, p.shape)
        slices = out.view(product(p.shape[: len(indices)]), -1)
        rhs = rhs.view(len(places), -1)

        def run() -> None:
            prepare()
            out.copy_(lhs)
            slices.index_copy_(0, places, rhs)

        return run


# ---- coordinates and flat positions --------------------------------------------------------------------------------


@register
class RavelMultiIndex(Operator):
    r"""Positions in a flattened array of the coordinates in the rows of ``data``: (n, N) → (N,).

    :math:`y_j = \sum_i data_{ij} s_i`, where :math:`s_i` is the number of elements that one step along
    axis i of an array of ``shape`` passes. The first dimension of ``shape`` does not matter and may be -1.
    """

    name = "_ravel_multi_index"
    samples = (Sample((2, 3), integer=(0,), high=3, shape=(3, 4)),)
    aliases = ("ravel_multi_index",)
    shape = Param(Optional(Shape), None, "Shape of the array, n numbers")
    zero_gradient = True

    def infer_shape(self, p, inputs, outputs):
        data, out = inputs[0], outputs[0]
        if data is not None and len(data) != 2:
            raise MXNetError(f"Input to ravel operator must be two-dimensional, not {data}")
        rank = len(_shape_of(p, self.name))
        data = merge(data, (rank, 0 if out is None else out[0]))
        return [data], [merge((data[1],), out)]

    def kernel(self, p, inputs, outputs, env):
        shape = _shape_of(p, self.name)
        strides = torch.tensor([[product(shape[axis + 1 :])] for axis in range(len(shape))], device=env.device)
        whole = torch.empty(inputs[0].shape, dtype=torch.int64, device=env.device)
        return lambda: outputs[0].copy_(whole.copy_(inputs[0]).mul_(strides).sum(0))


@register
class UnravelIndex(Operator):
    """The coordinates of those elements of an array of ``shape`` whose positions, counted flat, are in ``data``.

    They are (n, …) for data of shape (…) and an array of n dimensions.

    The first dimension of ``shape`` does not matter and may be -1.
    """

    name = "_unravel_index"
    samples = (Sample((5,), integer=(0,), high=12, shape=(3, 4)),)
    aliases = ("unravel_index",)
    shape = Param(Optional(Shape), None, "Shape of the array, n numbers")
    zero_gradient = True

    def infer_shape(self, p, inputs, outputs):
        out = outputs[0]
        data = merge(inputs[0], None if out is None else out[1:])
        rank = len(_shape_of(p, self.name))
        return [data], [out if data is None else merge(out, (rank, *data))]

    def kernel(self, p, inputs, outputs, env):
        shape, out = _shape_of(p, self.name), outputs[0]
        rest = torch.empty(inputs[0].shape, dtype=torch.int64, device=env.device)

        def run() -> None:
            rest.copy_(inputs[0])
            for axis in range(len(shape) - 1, 0, -1):
                out[axis].copy_(torch.fmod(rest, shape[axis]))
                torch.div(rest, shape[axis], rounding_mode="trunc", out=rest)
            out[0].copy_(rest)

        return run


def _shape_of(p, name: str):
    if not p.shape:
        raise MXNetError(f"Empty shape parameter for {name}")
    return p.shape


# ---- positions as numbers ------------------------------------------------------------------------------------------


class _Positions(Operator):
    """Base of the operators whose output is known when the shape of the input is; its values are never read."""

    unread = (0,)
    zero_gradient = True

    def numbers(self, p, shape) -> torch.Tensor:
        raise NotImplementedError

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].copy_, self.numbers(p, inputs[0].shape).to(env.device))


@register
class IndexArray(_Positions):
    """The coordinates of every element, as a new last axis: :math:`y_{i_0,…,i_n,j} = i_{axes_j}`, 64-bit integers."""

    name = "_contrib_index_array"
    axes = Param(Optional(Shape), None, "Which coordinates; None for all of them")

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if data is None:
            return inputs, outputs
        return inputs, [merge((*data, len(self._axes(p, data))), outputs[0])]

    def infer_dtype(self, p, inputs, outputs):
        return inputs, [torch.int64]

    def _axes(self, p, data):
        return [normalize_axis(axis, len(data)) for axis in (range(len(data)) if p.axes is None else p.axes)]

    def numbers(self, p, shape):
        grids = torch.meshgrid(*map(torch.arange, shape), indexing="ij")
        return torch.stack([grids[axis] for axis in self._axes(p, shape)], -1)


@register
class ArangeLike(_Positions):
    r"""Numbers in steps, as many as the input has elements and in its shape, or as many as it has along one axis.

    :math:`y_i = start + step \lfloor i / repeat \rfloor`, of the input's element type.
    """

    name = "_contrib_arange_like"
    start = Param(Float, 0.0, "First number")
    step = Param(Float, 1.0, "Difference between numbers")
    repeat = Param(Int, 1, "How many times each number stands in a row")
    ctx = Param(String, "", "Device; the output is where the input is")
    axis = Param(Optional(Int), None, "Axis whose length counts; None for the whole shape")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.repeat < 1:
            raise MXNetError(f"repeat of arange_like must be a number from 1, not {p.repeat}")
        return p

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if p.axis is None:
            shape = merge(data, outputs[0])
            return [shape], [shape]
        out = outputs[0] if data is None else merge((data[normalize_axis(p.axis, len(data))],), outputs[0])
        return [data], [out]

    def numbers(self, p, shape):
        shape = tuple(shape) if p.axis is None else (shape[p.axis],)
        counts = torch.arange(product(shape), dtype=torch.float64).div_(p.repeat, rounding_mode="floor")
        return counts.mul_(p.step).add_(p.start).view(shape)
