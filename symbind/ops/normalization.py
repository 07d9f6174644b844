"""Normalization within a sample: by layer, instance, group, length and neighbouring channels."""

from __future__ import annotations

from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .kernels import sequence
from .operator import Kernel, MaybeShape, Operator, Sample, register
from .parameter import Bool, Enum, Float, Int, Param, Params
from .shapes import merge, normalize_axis, product, same_shape

aten = torch.ops.aten


# ---- layer normalization ------------------------------------------------------------------------


def _rows(array: torch.Tensor, axis: int) -> tuple[torch.Tensor, list[Kernel]]:
    """``array`` with ``axis`` last as torch wants it: a copy if that is not its order, and the call that makes it."""
    moved = array.movedim(axis, -1)
    if moved.is_contiguous():
        return moved, []
    copy = torch.empty(moved.shape, dtype=array.dtype, device=array.device)
    return copy, [partial(copy.copy_, moved)]


class _LayerNorm(Operator):
    axis = Param(Int, -1, "The axis that is normalized.")
    eps = Param(Float, 1e-5, "Added to the variance.")
    output_mean_var = Param(Bool, False, "Show the mean and the standard deviation as outputs.")

    def statistics_shapes(self, p: Params, data: MaybeShape) -> tuple[MaybeShape, MaybeShape]:
        """Shapes of gamma and beta, and of the statistics, for ``data`` of this shape."""
        if data is None:
            return None, None
        axis = normalize_axis(p.axis, len(data))
        return data[axis : axis + 1], (*data[:axis], 1, *data[axis + 1 :])


@register
class LayerNorm(_LayerNorm):
    r"""Layer normalization: every row along an axis is given mean 0 and variance 1, then scaled and moved.

    .. math:: y = \gamma\,\frac{x - \mu}{\sigma} + \beta, \qquad \sigma = \sqrt{\operatorname{Var} x + \epsilon}

    Shapes: ``data`` any, ``gamma`` and ``beta`` :math:`(K)` for :math:`K` numbers along ``axis``. Outputs: ``output``
    as ``data``; with ``output_mean_var`` also ``mean`` :math:`\mu` and ``std`` :math:`\sigma`, of the shape of
    ``data`` with 1 along ``axis``, through which no gradient flows.

    Raises MXNetError if the data has no such axis.

    Source: Ba, Kiros and Hinton, *Layer normalization*, 2016.
    """

    name = "LayerNorm"
    inputs = ("data", "gamma", "beta")
    outputs = ("output", "mean", "std")
    samples = (Sample((2, 3), (3,), (3,)), Sample((2, 3, 2), (3,), (3,), axis=1, eps=0.1))

    def num_outputs(self, p):
        return 3

    def num_visible_outputs(self, p):
        return 3 if p.output_mean_var else 1

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[0], outputs[0])
        row, statistic = self.statistics_shapes(p, data)
        return [data, row, row], [data, statistic, statistic]

    def gradient(self, p, x, y, dy):
        return list(apply("_backward_LayerNorm", dy[0], *x[:2], *y[1:], **vars(p)))

    def kernel(self, p, inputs, outputs, env):
        data, steps = _rows(inputs[0], p.axis)
        gamma, beta = inputs[1:]
        output, mean, deviation = (array.movedim(p.axis, -1) for array in outputs)

        def run() -> None:
            results = aten.native_layer_norm(data, [data.shape[-1]], gamma, beta, p.eps)
            output.copy_(results[0])
            mean.copy_(results[1])
            deviation.copy_(results[2]).reciprocal_()

        return sequence([*steps, run])


@register
class LayerNormGradient(_LayerNorm):
    """Gradient of LayerNorm with respect to data, gamma and beta."""

    name = "_backward_LayerNorm"
    inputs = ("head_grad", "data", "gamma", "mean", "std")

    def num_outputs(self, p):
        return 3

    def infer_shape(self, p, inputs, outputs):
        data = merge(merge(inputs[0], inputs[1]), outputs[0])
        row, statistic = self.statistics_shapes(p, data)
        return [data, data, row, statistic, statistic], [data, row, row]

    def kernel(self, p, inputs, outputs, env):
        (head, head_steps), (data, data_steps) = (_rows(array, p.axis) for array in inputs[:2])
        gamma = inputs[2]
        (mean, mean_steps), (deviation, deviation_steps) = (_rows(array, p.axis) for array in inputs[3:])
        inverse = torch.empty_like(deviation)
        d_data = outputs[0].movedim(p.axis, -1)
        d_gamma, d_beta = outputs[1:]

        def run() -> None:
            torch.reciprocal(deviation, out=inverse)
            # torch wants beta for its shape and type only, which are gamma's.
            results = aten.native_layer_norm_backward(
                head, data, [data.shape[-1]], mean, inverse, gamma, gamma, [True, True, True]
            )
            for output, result in zip((d_data, d_gamma, d_beta), results):
                output.copy_(result)

        return sequence([*head_steps, *data_steps, *mean_steps, *deviation_steps, run])


# ---- instance and group normalization -----------------------------------------------------------


class _SampleNorm(Operator):
    """Each sample is cut into parts along its channels, each part normalized, scaled and moved by its own numbers."""

    def parts(self, p: Params, channels: int) -> int:
        """How many parts ``channels`` (0: unknown) make."""
        raise NotImplementedError

    def view(self, p: Params, array: torch.Tensor) -> torch.Tensor:
        """``array`` as (samples, parts, numbers)."""
        return array.view(array.shape[0], self.parts(p, array.shape[1]), -1)


class _SampleNormForward(_SampleNorm):
    inputs = ("data", "gamma", "beta")

    def num_outputs(self, p):
        return 3

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[0], outputs[0])
        if data is None:
            return [None, *inputs[1:]], outputs
        if len(data) < 2:
            raise MXNetError(f"Data of {self.name} must have a channel axis, but has shape {data}")
        parts = self.parts(p, data[1])
        return [data, (parts,), (parts,)], [data, (data[0], parts), (data[0], parts)]

    def gradient(self, p, x, y, dy):
        return list(apply(f"_backward_{self.name}", dy[0], *x[:2], *y[1:], **vars(p)))

    def kernel(self, p, inputs, outputs, env):
        gamma, beta = inputs[1:]
        mean, deviation = outputs[1:]
        data, output = (self.view(p, array) for array in (inputs[0], outputs[0]))
        samples, parts, numbers = data.shape

        def run() -> None:
            results = aten.native_group_norm(data, gamma, beta, samples, parts, numbers, parts, p.eps)
            output.copy_(results[0])
            mean.copy_(results[1])
            deviation.copy_(results[2]).reciprocal_()

        return run


class _SampleNormGradient(_SampleNorm):
    inputs = ("head_grad", "data", "gamma", "mean", "std")

    def num_outputs(self, p):
        return 3

    def infer_shape(self, p, inputs, outputs):
        data = merge(merge(inputs[0], inputs[1]), outputs[0])
        if data is None:
            return inputs, outputs
        parts = self.parts(p, data[1])
        statistics = (data[0], parts)
        return [data, data, (parts,), statistics, statistics], [data, (parts,), (parts,)]

    def kernel(self, p, inputs, outputs, env):
        gamma, mean, deviation = inputs[2:]
        head, data, d_data = (self.view(p, array) for array in (*inputs[:2], outputs[0]))
        d_gamma, d_beta = outputs[1:]
        samples, parts, numbers = data.shape
        inverse = torch.empty_like(deviation)

        def run() -> None:
            torch.reciprocal(deviation, out=inverse)
            results = aten.native_group_norm_backward(
                head, data, mean, inverse, gamma, samples, parts, numbers, parts, [True, True, True]
            )
            for output, result in zip((d_data, d_gamma, d_beta), results):
                output.copy_(result)

        return run


class _InstanceNorm(_SampleNorm):
    eps = Param(Float, 1e-3, "Added to the variance.")

    def parts(self, p, channels):
        return channels


@register
class InstanceNorm(_InstanceNorm, _SampleNormForward):
    r"""Instance normalization: each channel of each sample is given mean :math:`\beta`, deviation :math:`\gamma`.

    .. math:: y = \gamma\,\frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    with mean and variance over all axes but the first two. Shapes: ``data`` :math:`(N, C, …)`, ``gamma`` and
    ``beta`` :math:`(C)`, output as ``data``.

    Source: Ulyanov, Vedaldi and Lempitsky, *Instance normalization*, 2016.
    """

    name = "InstanceNorm"
    sample_wise = (0,)
    outputs = ("output", "mean", "std")
    samples = (Sample((2, 2, 3), (2,), (2,)),)

    def num_visible_outputs(self, p):
        return 1


@register
class InstanceNormGradient(_InstanceNorm, _SampleNormGradient):
    """Gradient of InstanceNorm with respect to data, gamma and beta."""

    name = "_backward_InstanceNorm"


class _GroupNorm(_SampleNorm):
    num_groups = Param(Int, 1, "Number of groups G.")
    eps = Param(Float, 1e-5, "Added to the variance.")
    output_mean_var = Param(Bool, False, "Show the mean and the standard deviation as outputs.")

    def parts(self, p, channels):
        return p.num_groups

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.num_groups < 1:
            raise MXNetError(f"num_groups of GroupNorm must be at least 1, not {p.num_groups}")
        return p


@register
class GroupNorm(_GroupNorm, _SampleNormForward):
    r"""Group normalization: each group of a sample's channels is given mean :math:`\beta`, deviation :math:`\gamma`.

    .. math:: y = \gamma\,\frac{x - \mu}{\sigma} + \beta, \qquad \sigma = \sqrt{\operatorname{Var} x + \epsilon}

    with mean and variance over a group's channels and all axes from the third. Shapes: ``data`` :math:`(N, C, …)`,
    ``gamma`` and ``beta`` :math:`(G)`: one number for a group. Outputs: ``output`` as ``data``; with
    ``output_mean_var`` also ``mean`` :math:`\mu` and ``std`` :math:`\sigma`, :math:`(N, G)`, through which no gradient
    flows.

    Raises MXNetError if the groups do not divide the channels.

    Source: Wu and He, *Group normalization*, ECCV 2018.
    """

    name = "GroupNorm"
    sample_wise = (0,)
    outputs = ("output", "mean", "std")
    samples = (Sample((2, 4, 2), (2,), (2,), num_groups=2),)

    def num_visible_outputs(self, p):
        return 3 if p.output_mean_var else 1

    def infer_shape(self, p, inputs, outputs):
        shapes = super().infer_shape(p, inputs, outputs)
        data = shapes[0][0]
        if data is not None and data[1] % p.num_groups:
            raise MXNetError(f"The {data[1]} channels of the data are no multiple of num_groups={p.num_groups}")
        return shapes


@register
class GroupNormGradient(_GroupNorm, _SampleNormGradient):
    """Gradient of GroupNorm with respect to data, gamma and beta."""

    name = "_backward_GroupNorm"


# ---- normalization by length --------------------------------------------------------------------


class _L2Normalization(Operator):
    eps = Param(Float, 1e-10, "Added to the squared length.")
    mode = Param(
        Enum("channel", "instance", "spatial"),
        "instance",
        "What has length 1: the channels at each place, each sample, or the places of each channel.",
    )

    @staticmethod
    def summed_axes(p: Params, rank: int) -> list[int]:
        """The axes of the vectors that get length 1."""
        return {"instance": list(range(1, rank)), "channel": [1], "spatial": list(range(2, rank))}[p.mode]

    def norm_shape(self, p: Params, data: MaybeShape) -> MaybeShape:
        """Shape of the lengths."""
        if data is None:
            return None
        if len(data) < 3 and p.mode != "instance":
            raise MXNetError(f"mode='{p.mode}' of L2Normalization needs 3 axes or more, but the data has shape {data}")
        summed = self.summed_axes(p, len(data))
        return tuple(n for axis, n in enumerate(data) if axis not in summed)

    def view(self, p: Params, norm: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
        """``norm`` with the rank of ``data``."""
        summed = self.summed_axes(p, data.dim())
        return norm.view([1 if axis in summed else n for axis, n in enumerate(data.shape)])


@register
class L2Normalization(_L2Normalization):
    r"""Vectors scaled to length 1.

    .. math:: y = \frac{x}{\sqrt{\sum x^2 + \epsilon}}

    with the sum over all axes but the first (``instance``), axis 1 (``channel``) or all axes from the third
    (``spatial``). The output has the shape of ``data``.

    Raises MXNetError for data of fewer than three axes, except in mode ``instance``.
    """

    name = "L2Normalization"
    sample_wise = (0,)
    outputs = ("output", "norm")
    inplace = ((0, 0),)
    samples = tuple(Sample((2, 2, 3), mode=mode, eps=0.1) for mode in ("instance", "channel", "spatial"))

    def num_outputs(self, p):
        return 2

    def num_visible_outputs(self, p):
        return 1

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[0], outputs[0])
        return [data], [data, self.norm_shape(p, data)]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_L2Normalization", dy[0], *y, **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        data, output = inputs[0], outputs[0]
        norm = self.view(p, outputs[1], data)
        axes = self.summed_axes(p, data.dim())

        def run() -> None:
            torch.linalg.vector_norm(data, 2, axes, keepdim=True, out=norm)
            torch.div(data, norm.square_().add_(p.eps).sqrt_(), out=output)

        return run


@register
class L2NormalizationGradient(_L2Normalization):
    r"""Gradient of L2Normalization from its output: :math:`dx = (dy - y \sum dy\,y) / norm`."""

    name = "_backward_L2Normalization"
    inputs = ("head_grad", "output", "norm")

    def infer_shape(self, p, inputs, outputs):
        data = merge(merge(inputs[0], inputs[1]), outputs[0])
        return [data, data, self.norm_shape(p, data)], [data]

    def kernel(self, p, inputs, outputs, env):
        head, output = inputs[:2]
        result = outputs[0]
        norm = self.view(p, inputs[2], head)
        along = torch.empty_like(norm)
        axes = self.summed_axes(p, head.dim())

        def run() -> None:
            torch.mul(head, output, out=result)
            torch.sum(result, axes, keepdim=True, out=along)
            torch.addcmul(head, output, along, value=-1, out=result).div_(norm)

        return run


# ---- local response -----------------------------------------------------------------------------


class _LRN(Operator):
    alpha = Param(Float, 1e-4, "Factor of the mean square.")
    beta = Param(Float, 0.75, "Exponent.")
    knorm = Param(Float, 2.0, "Added to the mean square.")
    nsize = Param(Int, doc="Number of neighbouring channels.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.nsize < 1:
            raise MXNetError(f"nsize of LRN must be at least 1, not {p.nsize}")
        return p

    def infer_shape(self, p, inputs, outputs):
        shapes = same_shape(inputs, outputs)
        data = shapes[1][0]
        if data is not None and len(data) < 2:
            raise MXNetError(f"LRN works over the channels, axis 1, but the data has shape {data}")
        return shapes

    @staticmethod
    def view(array: torch.Tensor) -> torch.Tensor:
        """``array`` as an image of one channel, with the channels as its rows."""
        return array.view(array.shape[0], 1, array.shape[1], product(array.shape[2:]))

    @staticmethod
    def neighbours(p: Params, array: torch.Tensor, output: torch.Tensor) -> Kernel:
        """Sums ``array`` over as many channels at either side as make no more than nsize."""
        half = (p.nsize - 1) // 2
        window = ([2 * half + 1, 1], [1, 1], [half, 0])
        return partial(aten.avg_pool2d.out, array, *window, False, True, 1, out=output)


@register
class LRN(_LRN):
    r"""Local response normalization: each number is damped by the squares at its place in neighbouring channels.

    .. math:: y_c = x_c\, s_c^{-\beta}, \qquad s_c = k + \frac{\alpha}{n} \sum_{|d - c| \le (n-1)/2} x_d^2

    with :math:`k` = ``knorm`` and :math:`n` = ``nsize``. Shapes: ``data`` :math:`(N, C, …)`, output the same.

    Source: Krizhevsky, Sutskever and Hinton, *ImageNet classification with deep convolutional networks*, 2012.
    """

    name = "LRN"
    sample_wise = (0,)
    outputs = ("output", "tmp_norm")
    samples = (Sample((2, 4, 2), nsize=3, alpha=0.5, beta=0.6, knorm=1.0), Sample((1, 3, 2, 1), nsize=2, alpha=1.0))

    def num_outputs(self, p):
        return 2

    def num_visible_outputs(self, p):
        return 1

    def gradient(self, p, x, y, dy):
        return [apply("_backward_LRN", dy[0], x[0], *y, **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        data, output, scale = (self.view(array) for array in (inputs[0], *outputs))
        sum_squares = self.neighbours(p, output, scale)

        def run() -> None:
            torch.mul(data, data, out=output)
            sum_squares()
            scale.mul_(p.alpha / p.nsize).add_(p.knorm)
            torch.pow(scale, -p.beta, out=output).mul_(data)

        return run


@register
class LRNGradient(_LRN):
    r"""Gradient of LRN.

    .. math:: dx_c = dy_c\, s_c^{-\beta}
              - \frac{2 \alpha \beta}{n} x_c \sum_{|d - c| \le (n-1)/2} \frac{dy_d\, y_d}{s_d}
    """

    name = "_backward_LRN"
    inputs = ("head_grad", "data", "output", "tmp_norm")
    samples = (Sample((2, 3, 2), (2, 3, 2), (2, 3, 2), (2, 3, 2), nsize=3, values={3: (1, 2)}),)

    def kernel(self, p, inputs, outputs, env):
        head, data, output, scale, result = (self.view(array) for array in (*inputs, outputs[0]))
        shares = torch.empty_like(result)
        sums = torch.empty_like(result)
        sum_shares = self.neighbours(p, shares, sums)

        def run() -> None:
            torch.mul(head, output, out=shares).div_(scale)
            sum_shares()
            torch.pow(scale, -p.beta, out=result).mul_(head)
            result.addcmul_(data, sums, value=-2 * p.alpha * p.beta / p.nsize)

        return run
