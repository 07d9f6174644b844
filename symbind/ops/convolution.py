"""Convolution, its transpose, and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from . import spatial
from .operator import ZERO, Operator, Sample, register
from .parameter import Bool, Enum, Int, Optional, Param, Params
from .parameter import Shape as ShapeKind
from .shapes import Shape, merge

_LAYOUT = Enum("NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC")
_TUNE = Optional(Enum("fastest", "limited_workspace", "off"))


class _Layer(Operator):
    """What a convolution or transposed convolution and its two gradients have in common."""

    #: Name of the layer that this is, or belongs to.
    layer: ClassVar[str]
    transposed: ClassVar[bool]

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        spatial.complete(self.layer, p, stride=1, dilate=1, pad=0)
        spatial.check_layout(self.layer, p)
        for name in ("num_filter", "num_group"):
            if getattr(p, name) < 1:
                raise MXNetError(f"{name} of {self.layer} must be at least 1, not {getattr(p, name)}")
        if p.num_filter % p.num_group:
            raise MXNetError(f"num_filter={p.num_filter} of {self.layer} is no multiple of num_group={p.num_group}")
        return p

    def weight_shape(self, p: Params, channels: int) -> Shape:
        """Shape of the weight for data of so many channels (0: unknown), channel first."""
        raise NotImplementedError

    def padding(self, p: Params, data: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
        """Padding, and rows added to the output of a transposed convolution, for data of these spatial sizes."""
        return p.pad, (0,) * len(p.kernel)

    def torch_arguments(self, p: Params, data: torch.Tensor) -> tuple[Any, ...]:
        """The arguments by which torch knows this convolution, for ``data`` channel first."""
        pad, extra = self.padding(p, data.shape[2:])
        return p.stride, pad, p.dilate, self.transposed, extra, p.num_group

    def check_data(self, p: Params, data: Shape) -> None:
        """MXNetError if data of this shape, channel first, cannot be convolved."""
        rank = len(p.kernel)
        if len(data) != rank + 2:
            raise MXNetError(
                f"Input data of {self.layer} with kernel={p.kernel} should have {rank + 2} axes, but has shape {data}"
            )
        if data[1] % p.num_group:
            raise MXNetError(f"The {data[1]} channels of the data are no multiple of num_group={p.num_group}")


class _Forward(_Layer):
    inputs = ("data", "weight", "bias")
    sample_wise = (0,)

    def input_names(self, p):
        return self.inputs[:2] if p.no_bias else self.inputs

    def infer_shape(self, p, inputs, outputs):
        last = spatial.channel_last(p)
        data, weight = (spatial.channel_first(shape, last) for shape in inputs[:2])
        output, bias = spatial.channel_first(outputs[0], last), inputs[2:]
        if data is not None:
            self.check_data(p, data)
            output = merge(output, (data[0], p.num_filter, *self.output_sizes(p, data[2:])))
            data = (output[0], data[1], *self.data_sizes(p, data[2:], output[2:]))
            weight = merge(weight, self.weight_shape(p, data[1]))
            bias = [merge(b, (p.num_filter,)) for b in bias]
        data, weight, output = (spatial.channel_given(shape, last) for shape in (data, weight, output))
        return [data, weight, *bias], [output]

    def output_sizes(self, p: Params, data: Sequence[int]) -> list[int]:
        """Spatial sizes of the output."""
        raise NotImplementedError

    def data_sizes(self, p: Params, data: Sequence[int], output: Sequence[int]) -> Sequence[int]:
        """Spatial sizes of the data, filled in where the output tells them."""
        return data

    def gradient(self, p, x, y, dy):
        data, weight = x[:2]
        gradients = [
            apply(f"_backward_{self.layer}_data", dy[0], weight, data, **vars(p)),
            apply(f"_backward_{self.layer}_weight", dy[0], data, **vars(p)),
        ]
        if p.no_bias:
            return gradients
        return [*gradients, apply("sum", dy[0], axis=-1 if spatial.channel_last(p) else 1, exclude=True)]

    def kernel(self, p, inputs, outputs, env):
        last = spatial.channel_last(p)
        data, weight, output = (spatial.first_view(array, last) for array in (*inputs[:2], outputs[0]))
        bias = None if p.no_bias else inputs[2]
        convolve = partial(torch.ops.aten.convolution, data, weight, bias, *self.torch_arguments(p, data))
        # torch has no convolution that is both fast and writes where it is told.
        return lambda: output.copy_(convolve())


class _DataGradient(_Layer):
    inputs = ("head_grad", "weight", "data")
    unread = (2,)

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[2], outputs[0])
        return [*inputs[:2], data], [data]

    def gradient(self, p, x, y, dy):
        head, weight, _ = x
        return [
            apply(self.layer, dy[0], weight, **{**vars(p), "no_bias": True}),
            apply(f"_backward_{self.layer}_weight", head, dy[0], **vars(p)),
            ZERO,
        ]

    def kernel(self, p, inputs, outputs, env):
        last = spatial.channel_last(p)
        head, weight, data, output = (spatial.first_view(array, last) for array in (*inputs, outputs[0]))
        arguments = (head, data, weight, None, *self.torch_arguments(p, data), [True, False, False])
        differentiate = partial(torch.ops.aten.convolution_backward, *arguments)
        return lambda: output.copy_(differentiate()[0])


class _WeightGradient(_Layer):
    inputs = ("head_grad", "data")

    def infer_shape(self, p, inputs, outputs):
        last = spatial.channel_last(p)
        data = spatial.channel_first(inputs[1], last)
        weight = None if data is None else spatial.channel_given(self.weight_shape(p, data[1]), last)
        return inputs, [merge(outputs[0], weight)]

    def gradient(self, p, x, y, dy):
        head, data = x
        return [
            apply(self.layer, data, dy[0], **{**vars(p), "no_bias": True}),
            apply(f"_backward_{self.layer}_data", head, dy[0], data, **vars(p)),
        ]

    def kernel(self, p, inputs, outputs, env):
        last = spatial.channel_last(p)
        head, data, output = (spatial.first_view(array, last) for array in (*inputs, outputs[0]))
        # Of the weight torch wants the shape alone.
        arguments = (head, data, output, None, *self.torch_arguments(p, data), [False, True, False])
        differentiate = partial(torch.ops.aten.convolution_backward, *arguments)
        return lambda: output.copy_(differentiate()[1])


# ---- convolution --------------------------------------------------------------------------------


class _Convolution(_Layer):
    layer = "Convolution"
    transposed = False

    # In a dictionary, because the class has a method called kernel too.
    parameters = {"kernel": Param(ShapeKind, doc="Sizes of the window: 1, 2 or 3 of them.")}
    stride = Param(ShapeKind, (), "Steps from window to window; 1 if left out.")
    dilate = Param(ShapeKind, (), "Steps between the points of a window; 1 if left out.")
    pad = Param(ShapeKind, (), "Zeros added at both ends of each axis; 0 if left out.")
    num_filter = Param(Int, doc="Number of output channels F.")
    num_group = Param(Int, 1, "Groups of channels that are convolved independently.")
    workspace = Param(Int, 1024, "Accepted for MXNet's sake; memory is planned here.")
    no_bias = Param(Bool, False, "Leave the bias out.")
    cudnn_tune = Param(_TUNE, None, "Accepted for MXNet's sake.")
    cudnn_off = Param(Bool, False, "Accepted for MXNet's sake.")
    layout = Param(Optional(_LAYOUT), None, "Order of the axes of data and output; channel first if left out.")

    def weight_shape(self, p, channels):
        return (p.num_filter, channels // p.num_group, *p.kernel)

    def output_sizes(self, p, data):
        sizes = []
        for size, kernel, stride, dilate, pad in zip(data, p.kernel, p.stride, p.dilate, p.pad):
            reach = spatial.dilated(kernel, dilate)
            if size and reach > size + 2 * pad:
                raise MXNetError(f"A kernel that reaches over {reach} exceeds the input: {size} padded by {pad}")
            sizes.append(size and (size + 2 * pad - reach) // stride + 1)
        return sizes

    def data_sizes(self, p, data, output):
        # A larger stride skips a rest that the output does not tell of.
        return [
            out + spatial.dilated(kernel, dilate) - 1 - 2 * pad if not size and out and stride == 1 else size
            for size, out, kernel, stride, dilate, pad in zip(data, output, p.kernel, p.stride, p.dilate, p.pad)
        ]


@register
class Convolution(_Convolution, _Forward):
    r"""Convolution over one, two or three axes.

    .. math:: y_{n,f} = b_f + \sum_c x_{n,c} \star W_{f,c}

    where :math:`\star` is cross-correlation. Shapes: ``data`` :math:`(N, C, d_1, …)`, ``weight``
    :math:`(F, C/G, k_1, …)`, ``bias`` :math:`(F)`, output :math:`(N, F, o_1, …)` with

    .. math:: o_i = \left\lfloor \frac{d_i + 2\,pad_i - dilate_i (k_i - 1) - 1}{stride_i} \right\rfloor + 1

    and, of the :math:`G` groups, filters of one see the channels of one. With a layout that ends in C the channel is
    the last axis of data, weight and output.

    Raises MXNetError if the kernel is larger than the padded data or groups do not divide the channels.
    """

    name = "Convolution"
    samples = (
        Sample((2, 2, 4, 5), (3, 2, 3, 2), (3,), kernel=(3, 2), num_filter=3),
        Sample((1, 2, 5, 4), (2, 2, 3, 2), kernel=(3, 2), num_filter=2, no_bias=True, stride=(2, 1), pad=(1, 1)),
        Sample((1, 4, 4, 4), (2, 2, 2, 2), (2,), kernel=(2, 2), num_filter=2, num_group=2, dilate=(2, 1)),
        Sample((2, 2, 5), (3, 2, 3), (3,), kernel=(3,), num_filter=3),
        Sample((1, 1, 3, 3, 2), (2, 1, 2, 2, 2), (2,), kernel=(2, 2, 2), num_filter=2),
        Sample((1, 4, 3, 2), (3, 2, 2, 2), (3,), kernel=(2, 2), num_filter=3, layout="NHWC"),
    )


@register
class ConvolutionV1(Convolution):
    """Convolution of the first releases: the same as Convolution."""

    name = "Convolution_v1"


@register
class ConvolutionDataGradient(_Convolution, _DataGradient):
    """Gradient of Convolution with respect to its data: the head gradient convolved with the transposed weight."""

    name = "_backward_Convolution_data"
    samples = (
        Sample((1, 2, 2, 2), (2, 1, 3, 2), (1, 1, 5, 3), kernel=(3, 2), num_filter=2, stride=(2, 1), no_bias=True),
    )


@register
class ConvolutionWeightGradient(_Convolution, _WeightGradient):
    """Gradient of Convolution with respect to its weight: the data convolved with the head gradient."""

    name = "_backward_Convolution_weight"
    samples = (Sample((1, 2, 2, 2), (1, 1, 5, 3), kernel=(3, 2), num_filter=2, stride=(2, 1), no_bias=True),)


# ---- transposed convolution ---------------------------------------------------------------------


class _Deconvolution(_Layer):
    layer = "Deconvolution"
    transposed = True

    parameters = {"kernel": Param(ShapeKind, doc="Sizes of the window: 1, 2 or 3 of them.")}
    stride = Param(ShapeKind, (), "Steps of the output from window to window; 1 if left out.")
    dilate = Param(ShapeKind, (), "Steps between the points of a window; 1 if left out.")
    pad = Param(ShapeKind, (), "Numbers cut from both ends of each axis of the output; 0 if left out.")
    adj = Param(ShapeKind, (), "Numbers added at the end of each axis of the output, fewer than the stride.")
    target_shape = Param(ShapeKind, (), "Spatial sizes of the output, instead of pad and adj.")
    num_filter = Param(Int, doc="Number of output channels F.")
    num_group = Param(Int, 1, "Groups of channels that are convolved independently.")
    workspace = Param(Int, 512, "Accepted for MXNet's sake; memory is planned here.")
    no_bias = Param(Bool, True, "Leave the bias out.")
    cudnn_tune = Param(_TUNE, None, "Accepted for MXNet's sake.")
    cudnn_off = Param(Bool, False, "Accepted for MXNet's sake.")
    layout = Param(Optional(_LAYOUT), None, "Order of the axes of data and output; channel first if left out.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        spatial.complete(self.layer, p, adj=0, target_shape=0)
        if not any(p.target_shape) and any(adj >= stride for adj, stride in zip(p.adj, p.stride)):
            raise MXNetError(f"adj={p.adj} of {self.layer} must be less than stride={p.stride}")
        return p

    def weight_shape(self, p, channels):
        return (channels, p.num_filter // p.num_group, *p.kernel)

    def uncut_sizes(self, p: Params, data: Sequence[int]) -> list[int]:
        """Spatial sizes of the output before padding cuts it."""
        return [
            size and stride * (size - 1) + spatial.dilated(kernel, dilate)
            for size, kernel, stride, dilate in zip(data, p.kernel, p.stride, p.dilate)
        ]

    def padding(self, p, data):
        if not any(p.target_shape):
            return p.pad, p.adj
        # The cut is even at both ends; of an odd number one is put back.
        cut = [full - target for full, target in zip(self.uncut_sizes(p, data), p.target_shape)]
        return [(n + 1) // 2 for n in cut], [n % 2 for n in cut]

    def output_sizes(self, p, data):
        full = self.uncut_sizes(p, data)
        if any(p.target_shape):
            if any(size and size < target for size, target in zip(full, p.target_shape)):
                raise MXNetError(f"target_shape={p.target_shape} is larger than what {data} gives: {tuple(full)}")
            return p.target_shape
        sizes = [size and size - 2 * pad + adj for size, pad, adj in zip(full, p.pad, p.adj)]
        if any(size < 0 or (full_size and not size) for size, full_size in zip(sizes, full)):
            raise MXNetError(f"pad={p.pad} leaves nothing of an output of sizes {tuple(full)}")
        return sizes


@register
class Deconvolution(_Deconvolution, _Forward):
    r"""Transposed convolution over one, two or three axes: the gradient of Convolution with respect to its data.

    Shapes: ``data`` :math:`(N, C, d_1, …)`, ``weight`` :math:`(C, F/G, k_1, …)`, ``bias`` :math:`(F)`, output
    :math:`(N, F, o_1, …)` with

    .. math:: o_i = stride_i (d_i - 1) + dilate_i (k_i - 1) + 1 - 2\,pad_i + adj_i

    or the ``target_shape``. With a layout that ends in C the channel is the last axis of data, weight and output.

    Raises MXNetError if groups do not divide the channels or the target shape is too large.

    Source: Zeiler et al., *Deconvolutional networks*, CVPR 2010.
    """

    name = "Deconvolution"
    samples = (
        Sample((2, 2, 2, 3), (2, 3, 3, 2), kernel=(3, 2), num_filter=3),
        Sample((1, 2, 3, 2), (2, 2, 3, 3), (2,), kernel=(3, 3), num_filter=2, no_bias=False, stride=(2, 2),
               pad=(1, 1), adj=(1, 1)),
        Sample((1, 2, 3, 3), (2, 1, 2, 2), kernel=(2, 2), num_filter=2, num_group=2, stride=(2, 2),
               target_shape=(5, 6)),
        Sample((1, 2, 3), (2, 1, 2), kernel=(2,), num_filter=1, dilate=(2,)),
    )  # fmt: skip


@register
class DeconvolutionDataGradient(_Deconvolution, _DataGradient):
    """Gradient of Deconvolution with respect to its data: the convolution of the head gradient."""

    name = "_backward_Deconvolution_data"
    samples = (Sample((1, 2, 5, 4), (1, 2, 3, 2), (1, 1, 2, 3), kernel=(3, 2), num_filter=2, stride=(2, 1)),)


@register
class DeconvolutionWeightGradient(_Deconvolution, _WeightGradient):
    """Gradient of Deconvolution with respect to its weight."""

    name = "_backward_Deconvolution_weight"
    samples = (Sample((1, 2, 5, 4), (1, 1, 2, 3), kernel=(3, 2), num_filter=2, stride=(2, 1)),)
