"""Softmax and its kin."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .kernels import sequence
from .operator import ZERO, Kernel, Operator, Sample, register
from .parameter import Bool, DType, Enum, Float, Int, Optional, Param, Params
from .shapes import merge, normalize_axis, same_shape

aten = torch.ops.aten


class _Softmax(Operator):
    """What the functions and their gradients have in common."""

    #: Name of the function that this is, or belongs to.
    function: ClassVar[str]

    axis = Param(Int, -1, "The axis along which numbers compete.")
    temperature = Param(Optional(Float), None, "Divides the data; 1 if left out.")
    dtype = Param(Optional(DType), None, "Type of the output; that of the data if left out.")
    use_length = Param(Bool, False, "Whether an input says how many numbers compete; softmax alone has one.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.temperature == 0:
            raise MXNetError(f"temperature of {self.function} must not be 0")
        if p.use_length and self.function != "softmax":
            raise MXNetError(f"use_length: {self.function} takes no lengths, only softmax does")
        return p

    def factor(self, p: Params) -> float:
        """What the data is multiplied by."""
        return (-1.0 if self.function == "softmin" else 1.0) / (p.temperature or 1.0)


class _Forward(_Softmax):
    inputs: Sequence[str] = ("data",)

    def inplace_pairs(self, p):
        return ((0, 0),) if p.dtype is None else ()

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[0], outputs[0])
        if data is None or not p.use_length:
            return [data, *inputs[1:]], [data]
        axis = normalize_axis(p.axis, len(data))
        return [data, (*data[:axis], *data[axis + 1 :])], [data]

    def infer_dtype(self, p, inputs, outputs):
        data = inputs[0] or (outputs[0] if p.dtype is None else None)
        return [data, *inputs[1:]], [p.dtype or data]

    def gradient(self, p, x, y, dy):
        return [apply(f"_backward_{self.name}", dy[0], y[0], x[0], **vars(p)), *[ZERO] * (len(x) - 1)]

    def kernel(self, p, inputs, outputs, env):
        data, output = inputs[0], outputs[0]
        axis = normalize_axis(p.axis, data.dim())
        factor = self.factor(p)
        steps: list[Kernel] = []
        source = output
        if data.dtype != output.dtype or p.use_length:
            steps.append(partial(output.copy_, data))
            if factor != 1:
                steps.append(partial(output.mul_, factor))
        elif factor != 1:
            steps.append(partial(torch.mul, data, factor, out=output))
        else:
            source = data
        compute = partial(torch.log_softmax if self.name == "log_softmax" else torch.softmax, source, axis, out=output)
        if not p.use_length:
            return sequence([*steps, compute])

        length = inputs[1].unsqueeze(axis)
        place = torch.arange(data.shape[axis], device=data.device).view(-1, *[1] * (data.dim() - 1 - axis))
        beyond = torch.empty_like(data, dtype=torch.bool)
        return sequence([
            *steps,
            partial(torch.ge, place, length, out=beyond),
            partial(output.masked_fill_, beyond, -torch.inf),
            compute,
            # Nothing at all to choose from gives NaN, which this wipes out as well.
            partial(output.masked_fill_, beyond, 0),
        ])  # fmt: skip


@register
class Softmax(_Forward):
    r"""Positive numbers of sum 1 along an axis, each larger the larger the data.

    .. math:: y_i = \frac{e^{x_i / T}}{\sum_j e^{x_j / T}}

    Shapes: output as ``data``. With ``use_length`` there is an input ``length`` of whole numbers, of the shape of
    ``data`` without ``axis``: only so many numbers, from the first, compete, and the others are 0.

    Raises MXNetError for an axis that the data does not have, or temperature 0.
    """

    name = function = "softmax"
    inputs = ("data", "length")
    samples = (
        Sample((2, 3)),
        Sample((2, 3, 2), axis=1, temperature=2.5),
        Sample((2, 3), (2,), use_length=True, values={1: [2, 3]}, integer=(1,)),
    )

    def input_names(self, p):
        return self.inputs if p.use_length else self.inputs[:1]


@register
class LogSoftmax(_Forward):
    r"""Logarithm of the softmax, computed without taking the logarithm of a number near 0.

    .. math:: y_i = x_i / T - \log \sum_j e^{x_j / T}

    The output has the shape of ``data``. Raises MXNetError for an axis that the data does not have, or temperature 0.
    """

    name = function = "log_softmax"
    samples = (Sample((2, 3)), Sample((2, 3, 2), axis=1, temperature=2.5))


@register
class Softmin(_Forward):
    r"""Softmax of the negative: each number is larger the smaller the data.

    .. math:: y_i = \frac{e^{-x_i / T}}{\sum_j e^{-x_j / T}}

    The output has the shape of ``data``. Raises MXNetError for an axis that the data does not have, or temperature 0.
    """

    name = function = "softmin"
    samples = (Sample((2, 3)), Sample((2, 3, 2), axis=1, temperature=2.5))


class _Gradient(_Softmax):
    inputs = ("head_grad", "output", "data")
    unread = (2,)

    def infer_shape(self, p, inputs, outputs):
        return same_shape(inputs, outputs)

    def infer_dtype(self, p, inputs, outputs):
        data = inputs[2] or outputs[0]
        output = p.dtype or data
        return [output, output, data], [data]

    def kernel(self, p, inputs, outputs, env):
        head, output, _ = inputs
        result = outputs[0] if outputs[0].dtype == head.dtype else torch.empty_like(head)
        axis, dtype, factor = normalize_axis(p.axis, head.dim()), head.dtype, self.factor(p)
        if self.function == "log_softmax":
            steps = [partial(aten._log_softmax_backward_data.out, head, output, axis, dtype, out=result)]
        else:
            steps = [partial(aten._softmax_backward_data.out, head, output, axis, dtype, grad_input=result)]
        if factor != 1:
            steps.append(partial(result.mul_, factor))
        if result is not outputs[0]:
            steps.append(partial(outputs[0].copy_, result))
        return sequence(steps)


@register
class SoftmaxGradient(_Gradient):
    r"""Gradient of softmax from its output: :math:`dx = y (dy - \sum dy\,y) / T`."""

    name = "_backward_softmax"
    function = "softmax"


@register
class LogSoftmaxGradient(_Gradient):
    r"""Gradient of log_softmax from its output: :math:`dx = (dy - e^y \sum dy) / T`."""

    name = "_backward_log_softmax"
    function = "log_softmax"


@register
class SoftminGradient(_Gradient):
    r"""Gradient of softmin from its output: :math:`dx = -y (dy - \sum dy\,y) / T`."""

    name = "_backward_softmin"
    function = "softmin"


# ---- softmax activation -------------------------------------------------------------------------


class _SoftmaxActivation(Operator):
    mode = Param(Enum("channel", "instance"), "instance", "Over axis 1, or over the last axis.")

    def infer_shape(self, p, inputs, outputs):
        shapes = same_shape(inputs, outputs)
        data = shapes[1][0]
        if data is not None and p.mode == "channel" and len(data) < 2:
            raise MXNetError(f"mode='channel' works on axis 1, but the data has shape {data}")
        return shapes

    @staticmethod
    def axis(p: Params) -> int:
        """The axis whose numbers compete."""
        return 1 if p.mode == "channel" else -1


@register
class SoftmaxActivation(_SoftmaxActivation):
    r"""Softmax over the channels of every place, or over the last axis.

    .. math:: y_i = \frac{e^{x_i}}{\sum_j e^{x_j}}

    The output has the shape of ``data``.
    """

    name = "SoftmaxActivation"
    inplace = ((0, 0),)
    samples = (Sample((2, 3, 2)), Sample((2, 3, 2), mode="channel"))

    def gradient(self, p, x, y, dy):
        return [apply("_backward_SoftmaxActivation", dy[0], y[0], mode=p.mode)]

    def kernel(self, p, inputs, outputs, env):
        return partial(torch.softmax, inputs[0], self.axis(p), out=outputs[0])


@register
class SoftmaxActivationGradient(_SoftmaxActivation):
    r"""Gradient of SoftmaxActivation from its output: :math:`dx = y (dy - \sum dy\,y)`."""

    name = "_backward_SoftmaxActivation"
    inputs = ("head_grad", "output")

    def kernel(self, p, inputs, outputs, env):
        head, output = inputs
        return partial(aten._softmax_backward_data.out, head, output, self.axis(p), head.dtype, grad_input=outputs[0])
