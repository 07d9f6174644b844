"""Parts of an array: slice and its relatives.

Every one of them picks a box out of its input; its gradient is an operator that puts the head gradient back into that
box, zeros around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import ZERO, Kernel, Operator, Sample, register
from .parameter import Int, Optional, Param
from .shapes import merge, normalize_axis

__all__: list[str] = []

Box = tuple[slice, ...]


class _Slicing(Operator):
    """An operator whose output is a box of its first input."""

    def box(self, p: Any, shapes: Sequence[tuple[int, ...]]) -> Box:
        """The box, one slice for each dimension of the first input; ``shapes`` are those of all inputs."""
        raise NotImplementedError

    def gradient(self, p, x, y, dy):
        return [apply(f"_backward_{self.name}", dy[0], *x, **vars(p)), *[ZERO] * (len(x) - 1)]

    def kernel(self, p, inputs, outputs, env):
        return _copy_from(inputs[0], self.box(p, [t.shape for t in inputs]), outputs[0])


class _Pasting(Operator):
    """The gradient of a slicing operator: the head gradient in the operator's box, zeros around it.

    The inputs are the head gradient and then those of the operator, whose values are never read; the parameters are
    the operator's.
    """

    def __init__(self, slicing: _Slicing, *samples: Sample) -> None:
        self.name = f"_backward_{slicing.name}"
        self.slicing = slicing
        self.samples = samples

    def parse(self, attrs, node_name=""):
        return self.slicing.parse(attrs, node_name)

    def input_names(self, p):
        return ["ograd", *self.slicing.input_names(p)]

    def unread_inputs(self, p):
        return range(1, len(self.input_names(p)))

    def infer_shape(self, p, inputs, outputs):
        shape = merge(inputs[1], outputs[0])
        return [inputs[0], shape, *inputs[2:]], [shape]

    def gradient(self, p, x, y, dy):
        return [apply(self.slicing.name, dy[0], *x[2:], **vars(p)), *[ZERO] * (len(x) - 1)]

    def kernel(self, p, inputs, outputs, env):
        return _copy_into(inputs[0], self.slicing.box(p, [t.shape for t in inputs[1:]]), outputs[0])


def _view(tensor: torch.Tensor, box: Box) -> tuple[torch.Tensor, list[int]]:
    """The view of ``tensor`` at ``box``, and the axes along which it runs backwards: torch has no negative strides."""
    forward, backwards = [], []
    for axis, (part, length) in enumerate(zip(box, tensor.shape)):
        steps = range(*part.indices(length))
        if steps.step < 0:
            backwards.append(axis)
            steps = steps[::-1]
        forward.append(slice(steps.start, steps.stop, steps.step))
    return tensor[tuple(forward)], backwards


def _copy_from(source: torch.Tensor, box: Box, part: torch.Tensor) -> Kernel:
    view, backwards = _view(source, box)
    if backwards:
        return lambda: part.copy_(view.flip(backwards))
    return partial(part.copy_, view)


def _copy_into(part: torch.Tensor, box: Box, target: torch.Tensor) -> Kernel:
    view, backwards = _view(target, box)

    def run() -> None:
        target.zero_()
        view.copy_(part.flip(backwards) if backwards else part)

    return run


# ---- along one axis ------------------------------------------------------------------------------------------------


@register
class SliceAxis(_Slicing):
    """The elements from ``begin`` to ``end`` (exclusive) along one axis.

    Both may count from the end by being negative; ``end`` None is the end itself. Raises MXNetError if they leave the
    array or nothing of it.
    """

    name = "slice_axis"
    axis = Param(Int, doc="Axis that is cut")
    begin = Param(Int, doc="First position that is kept")
    end = Param(Optional(Int), doc="Position after the last that is kept, None for all that remain")
    samples = (Sample((4, 3), axis=0, begin=1, end=3), Sample((2, 4), axis=-1, begin=-3, end=None))

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if data is None:
            return inputs, outputs
        axis = normalize_axis(p.axis, len(data))
        out = [*data]
        if data[axis]:
            begin, end = self._ends(p, data[axis])
            out[axis] = end - begin
        out = merge(tuple(out), outputs[0])
        return [(*out[:axis], data[axis], *out[axis + 1 :])], [out]

    def _ends(self, p, length: int) -> tuple[int, int]:
        begin = p.begin + length * (p.begin < 0)
        end = length if p.end is None else p.end + length * (p.end < 0)
        if not 0 <= begin < end <= length:
            raise MXNetError(f"begin={p.begin}, end={p.end} is no range of axis {p.axis} with {length} elements")
        return begin, end

    def box(self, p, shapes):
        axis = p.axis % len(shapes[0])
        whole = [slice(None)] * len(shapes[0])
        return (*whole[:axis], slice(*self._ends(p, shapes[0][axis])), *whole[axis + 1 :])


register(_Pasting(SliceAxis(), Sample((2, 3), (4, 3), axis=0, begin=1, end=3)))
