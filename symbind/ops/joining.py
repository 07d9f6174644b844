"""Arrays made of several, or cut into several: Concat, SliceChannel and their relatives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .kernels import nothing, sequence
from .operator import ZERO, Kernel, Operator, Sample, register
from .parameter import Bool, Count, Int, Param, Shape
from .shapes import merge, normalize_axis

__all__ = ["join_kernel"]


def _with(shape, axis: int, length: int):
    """``shape`` with another length along ``axis``."""
    return (*shape[:axis], length, *shape[axis + 1 :])


def _without(shape, axis: int):
    """``shape`` without ``axis``."""
    return (*shape[:axis], *shape[axis + 1 :])


def _inserted(shape, axis: int, length: int = 1):
    """``shape`` with ``length`` put in at ``axis``; None stays None."""
    return None if shape is None else (*shape[:axis], length, *shape[axis:])


# ---- joining along an axis -----------------------------------------------------------------------------------------


def _infer_joined(parts, whole, dim: int):
    """Shapes of arrays that lie one behind the other along ``dim``, and of the whole; partly known both."""
    rank = next((len(shape) for shape in (*parts, whole) if shape is not None), None)
    if rank is None:
        return parts, whole
    axis = normalize_axis(dim, rank, "dim")
    common = (0,) * rank
    for shape in (*parts, whole):
        if shape is not None:
            common = merge(common, _with(shape, axis, 0) if len(shape) == rank else shape)
    lengths = [0 if shape is None else shape[axis] for shape in parts]
    total = 0 if whole is None else whole[axis]
    unknown = lengths.count(0)
    if unknown == 0:
        (total,) = merge((total,), (sum(lengths),))
    elif total and sum(lengths) + unknown > total:
        raise MXNetError(f"parts of length {lengths} (0 is unknown) do not fit into {total} along dim {dim}")
    elif total and unknown == 1:
        lengths[lengths.index(0)] = total - sum(lengths)
    return [_with(common, axis, length) for length in lengths], _with(common, axis, total)


class _Joining(Operator):
    """The parameters of :class:`Concat` and of its gradient."""

    num_args = Param(Count, doc="Number of arrays that are joined")
    dim = Param(Int, 1, "Axis along which they are joined")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.num_args < 1:
            raise MXNetError(f"value {p.num_args} for Parameter num_args should be greater equal to 1")
        return p


@register
class Concat(_Joining):
    """The inputs one behind the other along axis ``dim``; their shapes agree in every other dimension."""

    name = "Concat"
    aliases: Sequence[str] = ("concat", "_sparse_concat")
    variadic = "num_args"
    samples = (Sample((2, 3), (2, 1), num_args=2), Sample((2, 2), (1, 2), (3, 2), num_args=3, dim=0))

    def infer_shape(self, p, inputs, outputs):
        parts, whole = _infer_joined(inputs, outputs[0], p.dim)
        return parts, [whole]

    def gradient(self, p, x, y, dy):
        return list(apply("_backward_Concat", dy[0], *x, num_args=p.num_args, dim=p.dim))

    def joined_axis(self, p):
        return p.dim

    def sample_inputs(self, p):
        return range(p.num_args) if p.dim > 0 else ()

    def kernel(self, p, inputs, outputs, env):
        return join_kernel(inputs, outputs[0], p.dim)


@register
class RnnParamConcat(Concat):
    """The weights and biases of a recurrent network in one array; :class:`Concat` under the name that files use."""

    name = "_rnn_param_concat"
    aliases = ()


@register
class ConcatGradient(_Joining):
    """The head gradient of :class:`Concat` cut into parts shaped like its inputs, whose values are never read."""

    name = "_backward_Concat"
    samples = (Sample((2, 4), (2, 3), (2, 1), num_args=2),)

    def input_names(self, p):
        return ["ograd", *(f"arg{i}" for i in range(p.num_args))]

    def unread_inputs(self, p):
        return range(1, p.num_args + 1)

    def num_outputs(self, p):
        return p.num_args

    def infer_shape(self, p, inputs, outputs):
        parts = [merge(part, out) for part, out in zip(inputs[1:], outputs)]
        parts, whole = _infer_joined(parts, inputs[0], p.dim)
        return [whole, *parts], parts

    def gradient(self, p, x, y, dy):
        return [apply("Concat", *dy, dim=p.dim), *[ZERO] * p.num_args]

    def kernel(self, p, inputs, outputs, env):
        return _split_kernel(inputs[0], outputs, p.dim, squeezed=False)


@register
class Stack(Operator):
    """The inputs, all of one shape, one behind the other along a new axis of the output."""

    name = "stack"
    variadic = "num_args"
    axis = Param(Int, 0, "The new axis, as counted in the output")
    num_args = Param(Count, doc="Number of arrays that are stacked")
    samples = (Sample((2, 3), (2, 3), num_args=2), Sample((2, 3), (2, 3), (2, 3), num_args=3, axis=-1))

    def infer_shape(self, p, inputs, outputs):
        part = None
        for shape in inputs:
            part = merge(part, shape)
        whole = outputs[0]
        if part is None and whole is None:
            return inputs, outputs
        rank = len(whole) if part is None else len(part) + 1
        axis = normalize_axis(p.axis, rank)
        part = (0,) * (rank - 1) if part is None else part
        whole = merge(whole, _inserted(part, axis, p.num_args))
        return [_without(whole, axis)] * p.num_args, [whole]

    def gradient(self, p, x, y, dy):
        return list(apply("SliceChannel", dy[0], num_outputs=p.num_args, axis=p.axis, squeeze_axis=True))

    def joined_axis(self, p):
        return p.axis

    def kernel(self, p, inputs, outputs, env):
        return join_kernel([part.unsqueeze(p.axis) for part in inputs], outputs[0], p.axis)


def join_kernel(parts: Sequence[torch.Tensor], whole: torch.Tensor, axis: int) -> Kernel:
    """Copy ``parts`` behind one another along ``axis``, but for those that were computed there."""
    places = whole.split_with_sizes([part.shape[axis] for part in parts], axis)
    away = [
        (part, place)
        for part, place in zip(parts, places)
        if part.data_ptr() != place.data_ptr() or not (part.is_contiguous() and place.is_contiguous())
    ]
    if len(away) == len(parts):
        return partial(torch.cat, list(parts), axis, out=whole)
    return sequence([partial(place.copy_, part) for part, place in away]) if away else nothing


# ---- cutting along an axis -----------------------------------------------------------------------------------------


@register
class SliceChannel(Operator):
    """The input cut into ``num_outputs`` equal parts along ``axis``.

    With ``squeeze_axis`` the parts, of length 1, lose that axis. Raises MXNetError if the length is no multiple of
    ``num_outputs``, or is not ``num_outputs`` where the axis is to go.
    """

    name = "SliceChannel"
    aliases = ("split",)
    # In the table by hand: as a class attribute it would hide the method of the same name.
    parameters = {"num_outputs": Param(Count, doc="Number of parts")}
    axis = Param(Int, 1, "Axis that is cut")
    squeeze_axis = Param(Bool, False, "Drop the axis, which is then of length 1 in every part")
    samples = (Sample((2, 4), num_outputs=2), Sample((2, 3), num_outputs=3, axis=-1, squeeze_axis=True))

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.num_outputs < 1:
            raise MXNetError(f"value {p.num_outputs} for Parameter num_outputs should be greater equal to 1")
        return p

    def num_outputs(self, p):
        return p.num_outputs

    def cut_axis(self, p):
        return p.axis

    def sample_inputs(self, p):
        return (0,) if p.axis > 0 else ()

    def output_names(self, p):
        # Numbered even when there is one.
        return [f"output{i}" for i in range(p.num_outputs)]

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        part = None
        for out in outputs:
            part = merge(part, out)
        if data is None:
            if part is None:
                return inputs, outputs
            data = (0,) * (len(part) + p.squeeze_axis)
        axis = normalize_axis(p.axis, len(data))
        if part is not None:
            part = _inserted(part, axis) if p.squeeze_axis else part
            data = merge(data, _with(part, axis, part[axis] * p.num_outputs))
        length = data[axis]
        if p.squeeze_axis and length not in (0, p.num_outputs):
            raise MXNetError(
                f"If squeeze axis is True, the size of the sliced axis must be the same as num_outputs. "
                f"Input shape={data}, axis={p.axis}, num_outputs={p.num_outputs}"
            )
        if length % p.num_outputs:
            raise MXNetError(
                f"You are trying to split axis {p.axis} of the input with shape {data} into "
                f"num_outputs={p.num_outputs} parts of equal size, but this is not possible"
            )
        part = _without(data, axis) if p.squeeze_axis else _with(data, axis, length // p.num_outputs)
        return [data], [part] * p.num_outputs

    def gradient(self, p, x, y, dy):
        if p.squeeze_axis:
            return [apply("stack", *dy, axis=p.axis)]
        return [apply("Concat", *dy, dim=p.axis)]

    def kernel(self, p, inputs, outputs, env):
        return _split_kernel(inputs[0], outputs, p.axis, p.squeeze_axis)


@register
class SplitV2(Operator):
    """The input cut along ``axis``, into ``sections`` parts as equal as can be or before each of ``indices``.

    Of ``sections`` parts the first ones are longer by one where the length is no multiple. ``indices`` are the
    beginnings of the parts and must ascend from 0. With ``squeeze_axis`` the parts, of length 1, lose the axis.
    Raises MXNetError if a part would be empty.
    """

    name = "_split_v2"
    indices = Param(Shape, doc="Beginnings of the parts, the first being 0")
    axis = Param(Int, 1, "Axis that is cut")
    squeeze_axis = Param(Bool, False, "Drop the axis, which is then of length 1 in every part")
    sections = Param(Count, 0, "Number of parts; 0 to cut at indices")
    samples = (
        Sample((5, 2), indices=(0, 1, 3), axis=0),
        Sample((2, 5), indices=(), sections=2),
        Sample((2, 3), indices=(), sections=3, squeeze_axis=True),
    )

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.sections < 0 or (not p.sections and not p.indices):
            raise MXNetError(f"_split_v2 needs sections or indices, not sections={p.sections}, indices={p.indices}")
        return p

    def num_outputs(self, p):
        return p.sections or len(p.indices)

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        known = [out for out in outputs if out is not None]
        if data is None and not known:
            return inputs, outputs
        rank = len(data) if data is not None else len(known[0]) + p.squeeze_axis
        axis = normalize_axis(p.axis, rank)
        parts = [_inserted(out, axis) if p.squeeze_axis else out for out in outputs]
        parts = [merge(part, (0,) * rank) for part in parts]
        if data is not None and data[axis]:
            parts = [merge(part, _with((0,) * rank, axis, n)) for part, n in zip(parts, self._lengths(p, data[axis]))]
        parts, data = _infer_joined(parts, data, axis)
        if p.squeeze_axis:
            if any(part[axis] > 1 for part in parts):
                raise MXNetError(f"squeeze_axis needs parts of length 1 along axis {p.axis} of {data}")
            parts = [_without(part, axis) for part in parts]
        return [data], parts

    def _lengths(self, p, length: int) -> list[int]:
        if p.sections:
            shorter, longer_ones = divmod(length, p.sections)
            lengths = [shorter + (i < longer_ones) for i in range(p.sections)]
        else:
            lengths = [end - begin for begin, end in zip(p.indices, (*p.indices[1:], length))]
        if min(lengths) < 1 or sum(lengths) != length:
            raise MXNetError(
                f"an axis of length {length} cannot be cut into sections={p.sections}, indices={p.indices}: "
                "every part must have an element, and the first begin at 0"
            )
        return lengths

    def gradient(self, p, x, y, dy):
        if p.squeeze_axis:
            return [apply("stack", *dy, axis=p.axis)]
        return [apply("Concat", *dy, dim=p.axis)]

    def kernel(self, p, inputs, outputs, env):
        return _split_kernel(inputs[0], outputs, p.axis, p.squeeze_axis)


def _split_kernel(whole, parts, axis: int, squeezed: bool):
    """Copy consecutive pieces of ``whole`` along ``axis`` into ``parts``, which may lack that axis."""
    parts = [part.unsqueeze(axis) if squeezed else part for part in parts]
    sizes = [part.shape[axis] for part in parts]
    return partial(torch.split_with_sizes_copy, whole, sizes, axis, out=parts)
