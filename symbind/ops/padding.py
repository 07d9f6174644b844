"""Borders around images and volumes."""

from __future__ import annotations

from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import ZERO, Operator, Sample, register
from .parameter import Enum, Float, Param, Shape
from .shapes import merge

__all__: list[str] = []

_aten = torch.ops.aten


class _Padding(Operator):
    """The parameters of :class:`Pad` and of its gradient, and the shapes they imply."""

    mode = Param(Enum("constant", "edge", "reflect"), doc="What the border is made of: one number, the outermost "
                 "elements, or the elements mirrored at the outermost ones")  # fmt: skip
    pad_width = Param(Shape, doc="Two numbers for each axis, the widths before and behind; 0 for the first two axes")
    constant_value = Param(Float, 0.0, "The number for mode constant")

    def padded(self, p, data):
        """The shape with the border; 0 and None stay what they are."""
        if data is None:
            return None
        if len(data) not in (4, 5):
            raise MXNetError(f"Pad needs images or volumes, arrays of 4 or 5 dimensions, not {data}")
        if len(p.pad_width) != 2 * len(data):
            raise MXNetError(
                f"Input shape vs padding spec mismatch: {data} needs {2 * len(data)} widths, not {p.pad_width}"
            )
        if any(p.pad_width[:4]) or min(p.pad_width) < 0:
            raise MXNetError(f"pad_width {p.pad_width} must begin with four zeros and hold no negative number")
        for n, width in zip(data, zip(p.pad_width[::2], p.pad_width[1::2])):
            if p.mode == "reflect" and n and max(width) >= n:
                raise MXNetError(f"reflection needs borders smaller than the input; seen {p.pad_width} for {data}")
        return tuple(n and n + sum(p.pad_width[2 * i : 2 * i + 2]) for i, n in enumerate(data))

    def unpadded(self, p, out):
        if out is None:
            return None
        data = tuple(n and n - sum(p.pad_width[2 * i : 2 * i + 2]) for i, n in enumerate(out))
        if any(n < 0 or (n == 0 and o) for n, o in zip(data, out)):
            raise MXNetError(f"{out} is smaller than the borders {p.pad_width}")
        return data

    def interior(self, p, tensor: torch.Tensor) -> torch.Tensor:
        """The view of a padded array without its border."""
        for axis, n in enumerate(tensor.shape):
            before, behind = p.pad_width[2 * axis : 2 * axis + 2]
            tensor = tensor.narrow(axis, before, n - before - behind)
        return tensor

    def function(self, p, rank: int):
        """What torch has for edge and reflection, and its way to give the widths: last axis first."""
        kind = "replication" if p.mode == "edge" else "reflection"
        pairs = [p.pad_width[i : i + 2] for i in range(2 * rank - 2, 2, -2)]
        return f"{kind}_pad{rank - 2}d", [width for pair in pairs for width in pair]


@register
class Pad(_Padding):
    """Images (N, C, H, W) or volumes (N, C, D, H, W) with a border around each.

    Raises MXNetError for other ranks, for widths that do not fit, and for reflections wider than the input.
    """

    name = "Pad"
    aliases = ("pad",)
    samples = (
        Sample((1, 2, 3, 3), mode="constant", pad_width=(0, 0, 0, 0, 1, 2, 2, 1), constant_value=3.0),
        Sample((1, 1, 2, 3), mode="edge", pad_width=(0, 0, 0, 0, 1, 2, 0, 3)),
        Sample((1, 1, 2, 3, 2), mode="reflect", pad_width=(0, 0, 0, 0, 1, 1, 2, 0, 0, 1)),
    )

    def sample_inputs(self, p):
        return () if any(p.pad_width[:2]) else (0,)

    def infer_shape(self, p, inputs, outputs):
        out = merge(self.padded(p, inputs[0]), outputs[0])
        data = merge(inputs[0], self.unpadded(p, out))
        return [data], [self.padded(p, data)]

    def gradient(self, p, x, y, dy):

        return [apply("_backward_Pad", dy[0], x[0], **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        data, out = inputs[0], outputs[0]
        if p.mode == "constant":
            interior = self.interior(p, out)

            def run() -> None:
                out.fill_(p.constant_value)
                interior.copy_(data)

            return run
        name, widths = self.function(p, data.dim())
        return partial(getattr(_aten, name).out, data, widths, out=out)


@register
class PadGradient(_Padding):
    """Gradient of :class:`Pad`: every element collects the head gradients of its copies in the border.

    ``data`` gives the shape, its values are never read.
    """

    name = "_backward_Pad"
    inputs = ("ograd", "data")
    unread = (1,)
    samples = (
        Sample((1, 1, 3, 3), (1, 1, 2, 2), mode="constant", pad_width=(0, 0, 0, 0, 1, 0, 0, 1)),
        Sample((1, 1, 5, 3), (1, 1, 3, 2), mode="reflect", pad_width=(0, 0, 0, 0, 2, 0, 0, 1)),
    )

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[1], outputs[0])
        return [merge(inputs[0], self.padded(p, data)), data], [data]

    def gradient(self, p, x, y, dy):
        return [apply("Pad", dy[0], mode=p.mode, pad_width=p.pad_width), ZERO]

    def kernel(self, p, inputs, outputs, env):
        (ograd, data), out = inputs, outputs[0]
        if p.mode == "constant":
            return partial(out.copy_, self.interior(p, ograd))
        name, widths = self.function(p, out.dim())
        return partial(getattr(_aten, f"{name}_backward").grad_input, ograd, data, widths, grad_input=out)
