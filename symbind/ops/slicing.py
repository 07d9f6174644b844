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
from .parameter import Bool, Count, Float, Int, Optional, Param, Shape
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
        self.parameters = slicing.parameters
        self.slicing = slicing
        self.samples = samples

    def input_names(self, p):
        return ["ograd", *self.slicing.input_names(p)]

    def unread_inputs(self, p):
        return range(1, len(self.input_names(p)))

    def infer_shape(self, p, inputs, outputs):
        shape = merge(inputs[1], outputs[0])
        return [inputs[0], shape, *inputs[2:]], [shape]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or inputs[1] or outputs[0]
        return [dtype, dtype, *inputs[2:]], [dtype]

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


# ---- which box -----------------------------------------------------------------------------------------------------


def _box_of(p, data) -> Box:
    """The box that ``begin``, ``end`` and ``step`` describe in an array of shape ``data``.

    They count like a Python slice, and mean whole axes where they end; a dimension not known yet is left alone.
    """
    steps = p.step or (None,) * len(p.begin)
    if not len(p.begin) == len(p.end) == len(steps):
        raise MXNetError(f"begin={p.begin}, end={p.end} and step={p.step} must have the same length")
    if len(p.begin) > len(data):
        raise MXNetError(f"Slicing axis exceeds data dimensions: begin={p.begin} for the shape {data}")
    if 0 in steps:
        raise MXNetError(f"step={p.step} of slice cannot be 0")
    box = [slice(*numbers) for numbers in zip(p.begin, p.end, steps)]
    for part, length in zip(box, data):
        if length and not range(*part.indices(length)):
            raise MXNetError(f"begin={p.begin}, end={p.end}, step={p.step} leave nothing of the shape {data}")
    return (*box, *[slice(None)] * (len(data) - len(box)))


def _box_shape(box: Box, data):
    return tuple(len(range(*part.indices(length))) for part, length in zip(box, data))


class _BoxParameters(Operator):
    begin = Param(Shape, doc="First position along each axis, None for the end the step starts from")
    end = Param(Shape, doc="Position after the last along each axis, None for all that remain")
    step = Param(Shape, (), "Distance of positions along each axis; negative to go backwards, None for 1")


@register
class Slice(_BoxParameters, _Slicing):
    """The elements at positions ``begin, begin + step, …`` before ``end`` along each axis, as Python slices count.

    Axes for which nothing is given are kept whole. Raises MXNetError if nothing would be left.
    """

    name = "slice"
    aliases = ("crop", "_sparse_slice")
    samples = (
        Sample((4, 3), begin=(1,), end=(3,)),
        Sample((4, 5), begin=(None, 4), end=(None, 0), step=(2, -2)),
    )

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if data is None:
            return inputs, outputs
        box = _box_of(p, data)
        out = merge(_box_shape(box, data), outputs[0])
        return [tuple(o if part == slice(None) else n for n, o, part in zip(data, out, box))], [out]

    def box(self, p, shapes):
        return _box_of(p, shapes[0])


register(_Pasting(Slice(), Sample((2, 2), (4, 5), begin=(None, 4), end=(None, 0), step=(2, -2))))


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


@register
class SliceLike(_Slicing):
    """The beginning of ``data``, as long as ``shape_like`` along the axes named, or along all of them.

    The values of ``shape_like`` are never read. Raises MXNetError if ``data`` is shorter, or if the ranks differ where
    no axes are named.
    """

    name = "slice_like"
    inputs = ("data", "shape_like")
    unread = (1,)
    axes = Param(Shape, (), "The axes that are cut; all if empty")
    samples = (Sample((3, 4), (2, 3)), Sample((3, 4), (5, 2, 3), axes=(-1,)))

    def infer_shape(self, p, inputs, outputs):
        data, like = inputs
        if data is None or like is None:
            return inputs, outputs
        if not p.axes and len(data) != len(like):
            raise MXNetError(f"slice_like without axes needs equal ranks, not {data} and {like}")
        out = list(data)
        for axis in self._axes(p, data, like):
            if data[axis] and like[axis] > data[axis]:
                raise MXNetError(
                    f"Slice axis {axis} with size {like[axis]} exceeds limit of input with size {data[axis]}"
                )
            out[axis] = like[axis]
        return inputs, [merge(tuple(out), outputs[0])]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype, inputs[1]], [dtype]

    def _axes(self, p, data, like):
        """The axes that are cut, counted from the front of ``data``."""
        axes = [normalize_axis(axis, len(data)) for axis in p.axes or range(len(data))]
        if max(axes) >= len(like):
            raise MXNetError(f"Slice axis {max(axes)} exceeds the rank of shape_like, whose shape is {like}")
        return axes

    def box(self, p, shapes):
        data, like = shapes
        box = [slice(None)] * len(data)
        for axis in self._axes(p, data, like):
            box[axis] = slice(0, like[axis])
        return tuple(box)


register(_Pasting(SliceLike(), Sample((2, 4), (3, 4), (2, 2), axes=(0,))))


@register
class Crop(_Slicing):
    """A rectangle out of images (N, C, H, W), of size ``h_w`` or the size of a second input.

    Its corner is at ``offset`` (y, x), or it lies in the middle with ``center_crop``. The values of the second input
    are never read. Raises MXNetError if the rectangle leaves the image.
    """

    name = "Crop"
    variadic = "num_args"
    num_args = Param(Count, doc="Number of inputs: 1, or 2 if the second gives the size")
    offset = Param(Shape, (0, 0), "Corner of the rectangle, (y, x)")
    h_w = Param(Shape, (0, 0), "Height and width of the rectangle if there is one input")
    center_crop = Param(Bool, False, "Take the middle of the image")
    samples = (
        Sample((1, 2, 4, 5), num_args=1, h_w=(2, 3), offset=(1, 2)),
        Sample((1, 2, 4, 5), (1, 1, 2, 2), num_args=2, center_crop=True),
    )

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.num_args not in (1, 2):
            raise MXNetError(f"Crop takes 1 or 2 inputs, not {p.num_args}")
        if len(p.offset) != 2 or len(p.h_w) != 2:
            raise MXNetError(f"offset={p.offset} and h_w={p.h_w} of Crop must be two numbers each, (y, x)")
        return p

    def unread_inputs(self, p):
        return range(1, p.num_args)

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if data is None or inputs[-1] is None:
            return inputs, outputs
        for shape in inputs:
            if len(shape) != 4:
                raise MXNetError(f"Input data should be 4D in batch-num_filter-y-x, not {shape}")
        size, corner = self._rectangle(p, inputs)
        for length, part, start in zip(data[2:], size, corner):
            if length and part and not 0 <= start <= length - part:
                raise MXNetError(f"the rectangle of {size} at {corner} leaves the image, which has {data[2:]}")
        return inputs, [merge((*data[:2], *size), outputs[0])]

    def _rectangle(self, p, shapes):
        """Its size and its corner."""
        size = tuple(shapes[1][2:]) if p.num_args == 2 else p.h_w
        if p.num_args == 1 and min(size) < 1:
            raise MXNetError(f"Crop of one input needs h_w, two numbers from 1; seen {p.h_w}")
        if p.center_crop:
            return size, tuple((n - s) // 2 for n, s in zip(shapes[0][2:], size))
        return size, p.offset

    def box(self, p, shapes):
        size, corner = self._rectangle(p, shapes)
        return slice(None), slice(None), *(slice(c, c + s) for c, s in zip(corner, size))


register(_Pasting(Crop(), Sample((1, 2, 2, 3), (1, 2, 4, 5), num_args=1, h_w=(2, 3), offset=(1, 2))))


# ---- replacing a box -----------------------------------------------------------------------------------------------


@register
class SliceAssign(_BoxParameters):
    """``lhs`` with the box that :class:`Slice` would take replaced by ``rhs``."""

    name = "_slice_assign"
    aliases = ("_crop_assign",)
    inputs = ("lhs", "rhs")
    inplace = ((0, 0),)
    samples = (Sample((4, 5), (2, 2), begin=(1, 4), end=(3, 0), step=(1, -2)),)

    def infer_shape(self, p, inputs, outputs):
        whole = merge(inputs[0], outputs[0])
        if whole is None:
            return inputs, outputs
        return [whole, merge(_box_shape(_box_of(p, whole), whole), inputs[1])], [whole]

    def gradient(self, p, x, y, dy):
        return [apply("_slice_assign_scalar", dy[0], scalar=0.0, **vars(p)), apply("slice", dy[0], **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        (lhs, part), out = inputs, outputs[0]
        view, backwards = _view(out, _box_of(p, out.shape))

        def run() -> None:
            out.copy_(lhs)
            view.copy_(part.flip(backwards) if backwards else part)

        return run


@register
class SliceAssignScalar(_BoxParameters):
    """``data`` with every element of the box that :class:`Slice` would take replaced by one number."""

    name = "_slice_assign_scalar"
    aliases = ("_crop_assign_scalar",)
    inplace = ((0, 0),)
    parameters = {"scalar": Param(Float, 0.0, "The number"), **_BoxParameters.parameters}
    samples = (Sample((4, 5), scalar=2.0, begin=(1, None), end=(3, 2)),)

    def infer_shape(self, p, inputs, outputs):
        whole = merge(inputs[0], outputs[0])
        if whole is not None:
            _box_of(p, whole)
        return [whole], [whole]

    def gradient(self, p, x, y, dy):
        return [apply("_slice_assign_scalar", dy[0], **{**vars(p), "scalar": 0.0})]

    def kernel(self, p, inputs, outputs, env):
        data, out = inputs[0], outputs[0]
        view, _ = _view(out, _box_of(p, out.shape))

        def run() -> None:
            out.copy_(data)
            view.fill_(p.scalar)

        return run


# ---- backwards -----------------------------------------------------------------------------------------------------


@register
class Reverse(Operator):
    """The elements in the opposite order along the axes given."""

    name = "reverse"
    aliases = ("flip",)
    axis = Param(Shape, doc="The axes along which the order is reversed")
    samples = (Sample((2, 3), axis=1), Sample((2, 3, 2), axis=(0, -1)))

    def infer_shape(self, p, inputs, outputs):
        shape = merge(inputs[0], outputs[0])
        if shape is not None:
            axes = [normalize_axis(axis, len(shape)) for axis in p.axis]
            if len(set(axes)) < len(axes):
                raise MXNetError(f"axis {p.axis} of reverse names an axis of {shape} twice")
        return [shape], [shape]

    def gradient(self, p, x, y, dy):
        return [apply("reverse", dy[0], axis=p.axis)]

    def kernel(self, p, inputs, outputs, env):
        return lambda: outputs[0].copy_(inputs[0].flip(p.axis))
