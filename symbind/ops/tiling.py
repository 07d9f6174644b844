"""Arrays made of copies of one array: tile and repeat."""

from __future__ import annotations

from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import ZERO, Operator, Sample, register
from .parameter import Int, Optional, Param, Shape
from .shapes import is_known, merge, normalize_axis, product

__all__: list[str] = []


class _Copies(Operator):
    """An operator whose output holds every element of its input several times, at regular distances.

    Seen with more dimensions, the input has 1 where the output counts the copies: the kernel is a broadcast, and the
    gradient the sum over those dimensions.
    """

    def dimensions(self, p, data):
        """The dimensions of the input and of the output so seen; as many of both."""
        raise NotImplementedError

    def gradient(self, p, x, y, dy):
        return [apply(f"_backward_{self.name}", dy[0], x[0], **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        one, all_copies = self.dimensions(p, inputs[0].shape)
        return partial(outputs[0].view(all_copies).copy_, inputs[0].view(one))


class _SumOfCopies(Operator):
    """Gradient of a :class:`_Copies` operator; ``data``, whose values are never read, gives the shape."""

    inputs = ("ograd", "data")
    unread = (1,)

    def __init__(self, copies: _Copies, *samples: Sample) -> None:
        self.name = f"_backward_{copies.name}"
        self.parameters = copies.parameters
        self.copies = copies
        self.samples = samples

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[1], outputs[0])
        return [inputs[0], data], [data]

    def gradient(self, p, x, y, dy):
        return [apply(self.copies.name, dy[0], **vars(p)), ZERO]

    def kernel(self, p, inputs, outputs, env):
        one, all_copies = self.copies.dimensions(p, outputs[0].shape)
        counted = [axis for axis, (n, copies) in enumerate(zip(one, all_copies)) if n != copies]
        ograd, out = inputs[0].view(all_copies), outputs[0].view(one)
        if not counted:
            return partial(out.copy_, ograd)
        return partial(torch.sum, ograd, counted, True, out=out)


@register
class Tile(_Copies):
    """The array laid beside itself ``reps[i]`` times along axis i.

    The shorter of shape and ``reps`` is filled up with 1 from the left.
    """

    name = "tile"
    reps = Param(Shape, doc="Number of copies along each axis, counted from the last")
    samples = (Sample((2, 3), reps=(2, 1, 3)), Sample((2, 1, 3), reps=(2,)))

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if any(not rep or rep < 1 for rep in p.reps):
            raise MXNetError(f"reps of tile must be numbers from 1, not {p.reps}")
        return p

    def infer_shape(self, p, inputs, outputs):
        if inputs[0] is None:
            return inputs, outputs
        data, reps = self._aligned(p, inputs[0])
        out = merge(tuple(n * rep for n, rep in zip(data, reps)), outputs[0])
        if any(n % rep for n, rep in zip(out, reps)):
            raise MXNetError(f"{out} is not made of {reps} copies of anything")
        data = tuple(n // rep for n, rep in zip(out, reps))
        return [data[len(data) - len(inputs[0]) :]], [out]

    def _aligned(self, p, data):
        rank = max(len(data), len(p.reps))
        return (1,) * (rank - len(data)) + tuple(data), (1,) * (rank - len(p.reps)) + p.reps

    def dimensions(self, p, data):
        pairs = list(zip(*self._aligned(p, data)))
        return [m for n, _ in pairs for m in (1, n)], [m for n, rep in pairs for m in (rep, n)]


register(_SumOfCopies(Tile(), Sample((2, 2, 9), (2, 3), reps=(2, 1, 3)), Sample((2, 3), (2, 3), reps=(1,))))


@register
class Repeat(_Copies):
    """Every element ``repeats`` times in a row along ``axis``, or every element of the flattened array."""

    name = "repeat"
    repeats = Param(Int, doc="Number of copies of each element")
    axis = Param(Optional(Int), None, "Axis along which the copies lie; None for the flattened array")
    samples = (Sample((2, 3), repeats=2), Sample((2, 3), repeats=3, axis=-2))

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.repeats < 1:
            raise MXNetError(f"repeats of repeat must be a number from 1, not {p.repeats}")
        return p

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if data is None:
            return inputs, outputs
        if p.axis is None:
            return inputs, [merge((product(data) * p.repeats if is_known(data) else 0,), outputs[0])]
        axis = normalize_axis(p.axis, len(data))
        out = merge((*data[:axis], data[axis] * p.repeats, *data[axis + 1 :]), outputs[0])
        if out[axis] % p.repeats:
            raise MXNetError(f"{out} does not hold everything {p.repeats} times along axis {p.axis}")
        return [(*out[:axis], out[axis] // p.repeats, *out[axis + 1 :])], [out]

    def dimensions(self, p, data):
        if p.axis is None:
            return [product(data), 1], [product(data), p.repeats]
        after = p.axis % len(data) + 1
        return [*data[:after], 1, *data[after:]], [*data[:after], p.repeats, *data[after:]]


register(_SumOfCopies(Repeat(), Sample((12,), (2, 3), repeats=2), Sample((2, 6), (2, 3), repeats=2, axis=1)))
