"""Pooling: a statistic of every window of an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from . import spatial
from .kernels import sequence
from .operator import ZERO, Kernel, Operator, Sample, register
from .parameter import Bool, Enum, Int, Optional, Param, Params
from .parameter import Shape as ShapeKind
from .shapes import merge


class Axis(NamedTuple):
    """Windows along one axis: ``number`` of them, ``kernel`` long, the first ``pad`` before the first number."""

    size: int
    kernel: int
    stride: int
    pad: int
    number: int

    def is_natural(self, ceil_mode: bool) -> bool:
        """Whether torch's own pooling, rounding this way, has the same windows."""
        rest = self.size + 2 * self.pad - self.kernel
        if self.pad > self.kernel // 2 or rest < 0:
            return False
        number = (-(-rest // self.stride) if ceil_mode else rest // self.stride) + 1
        if ceil_mode and (number - 1) * self.stride >= self.size + self.pad:
            number -= 1  # torch leaves out a window that would see padding only
        return number == self.number

    def padded_size(self) -> int:
        """Length of the axis with all the padding that a window sees."""
        return max(self.pad + self.size, (self.number - 1) * self.stride + self.kernel)

    def lengths(self, include_pad: bool) -> list[int]:
        """By how much the sum of each window is divided for its average: what reaches beyond the padding is out."""
        margin = self.pad if include_pad else 0
        starts = [i * self.stride - self.pad for i in range(self.number)]
        return [max(1, min(s + self.kernel, self.size + margin) - max(s, -margin)) for s in starts]


class Windows:
    """The windows of one pooling in the form that torch takes: two or three axes, channel first.

    Windows that torch does not know are those of a larger array, into which the data is copied with its padding.
    """

    def __init__(self, axes: Sequence[Axis]) -> None:
        self.axes = [Axis(1, 1, 1, 0, 1), *axes] if len(axes) == 1 else list(axes)
        self.ceil_mode = not all(axis.is_natural(False) for axis in axes)
        self.natural = all(axis.is_natural(self.ceil_mode) for axis in axes)
        pad = [axis.pad for axis in self.axes]
        if not self.natural:
            self.ceil_mode, pad = False, [0] * len(pad)
        #: The arguments kernel, stride and padding of every pooling of torch.
        self.arguments = ([axis.kernel for axis in self.axes], [axis.stride for axis in self.axes], pad)

    def function(self, name: str) -> Any:
        """torch's pooling called ``name``, of as many axes as here."""
        return getattr(torch.ops.aten, name.format(len(self.axes)))

    def view(self, array: torch.Tensor, last: bool) -> torch.Tensor:
        """``array``, channel last or first, with the axes that torch wants."""
        array = spatial.first_view(array, last)
        return array.unsqueeze(2) if array.dim() < len(self.axes) + 2 else array

    def padded(self, data: torch.Tensor, fill: float) -> tuple[torch.Tensor, torch.Tensor]:
        """An array for ``data`` and its padding, which is set to ``fill``; and the part of it that is for the data."""
        if self.natural:
            array = torch.empty(data.shape, dtype=data.dtype, device=data.device)
            return array, array
        sizes = [axis.padded_size() for axis in self.axes]
        array = torch.full((*data.shape[:2], *sizes), fill, dtype=data.dtype, device=data.device)
        inner: Any = (..., *(slice(axis.pad, axis.pad + axis.size) for axis in self.axes))
        return array, array[inner]

    def needs_copy(self, data: torch.Tensor) -> bool:
        return not (self.natural and data.is_contiguous())

    def lengths(self, include_pad: bool) -> torch.Tensor:
        """The divisor of every average."""
        result = torch.ones(())
        for axis in self.axes:
            result = result.unsqueeze(-1) * torch.tensor(axis.lengths(include_pad))
        return result


class _Pooling(Operator):
    """What pooling and its gradient have in common."""

    # In a dictionary, because the class has a method called kernel too.
    parameters = {"kernel": Param(ShapeKind, (), "Sizes of the window: 1, 2 or 3 of them.")}
    pool_type = Param(Enum("avg", "lp", "max", "sum"), "max", "The statistic.")
    global_pool = Param(Bool, False, "One window over everything; kernel, stride and pad do not matter.")
    cudnn_off = Param(Bool, False, "Accepted for MXNet's sake.")
    pooling_convention = Param(
        Enum("full", "same", "valid"), "valid", "Whether a window may reach beyond the padded data."
    )
    stride = Param(ShapeKind, (), "Steps from window to window; 1 if left out.")
    pad = Param(ShapeKind, (), "Padding at both ends of each axis; 0 if left out.")
    p_value = Param(Optional(Int), None, "The exponent of lp: 1, 2 or 3.")
    count_include_pad = Param(Optional(Bool), None, "Whether an average counts the padding; yes if left out.")
    layout = Param(
        Optional(Enum("NCDHW", "NCHW", "NCW", "NDHWC", "NHWC", "NWC")),
        None,
        "Order of the axes of data and output; channel first if left out.",
    )

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        self.check(p)
        return p

    @staticmethod
    def check(p: Params) -> None:
        """Complete the parameters; MXNetError for those that cannot be."""
        if not p.global_pool:
            spatial.complete("Pooling", p, stride=1, pad=0)
            spatial.check_layout("Pooling", p)
            if p.pooling_convention == "same" and any(p.pad):
                raise MXNetError(f"pooling_convention='same' leaves no choice of padding, but pad={p.pad}")
        if p.pool_type == "lp" and p.p_value not in (1, 2, 3):
            raise MXNetError(f"Pooling with pool_type='lp' needs a p_value of 1, 2 or 3, not {p.p_value}")

    def declared(self, p: Params) -> dict[str, Any]:
        """The parameters that a call of this operator would name."""
        return {key: getattr(p, key) for key in self.parameters}

    @classmethod
    def axes(cls, p: Params, sizes: Sequence[int]) -> list[Axis]:
        """The windows over data of these spatial sizes; an axis of unknown size (0) has an unknown number of them."""
        if p.global_pool:
            return [Axis(size, size, 1, 0, 1) for size in sizes]
        axes = []
        for size, kernel, stride, pad in zip(sizes, p.kernel, p.stride, p.pad):
            rest = size + 2 * pad - kernel
            if not size:
                count = 0
            elif p.pooling_convention == "same":
                count = -(-size // stride)
            elif rest < 0:
                raise MXNetError(f"kernel size ({kernel}) exceeds input ({size} padded to {size + 2 * pad})")
            elif p.pooling_convention == "valid":
                count = rest // stride + 1
            else:
                count = cls.full_count(rest, stride, size + 2 * pad)
            axes.append(Axis(size, kernel, stride, pad, count))
        return axes

    @staticmethod
    def full_count(rest: int, stride: int, padded: int) -> int:
        """Number of windows of the convention full, for ``rest`` numbers beside the first window."""
        return -(-rest // stride) + 1

    @staticmethod
    def exponent(p: Params) -> int:
        """The power to which sums and averages raise their numbers."""
        return p.p_value if p.pool_type == "lp" else 1

    def divisor(self, p: Params, windows: Windows) -> int | torch.Tensor | None:
        """By what the sum of a window is divided, one number or one for each; None if torch knows by itself."""
        if p.pool_type != "avg":
            return 1
        return None if windows.natural else windows.lengths(p.count_include_pad is not False)

    def average_arguments(self, p: Params, windows: Windows) -> tuple[Any, ...]:
        """What torch's average pooling takes after the array; it is to divide by a single number only."""
        divisor = self.divisor(p, windows)
        by_torch = 1 if isinstance(divisor, torch.Tensor) else divisor
        return *windows.arguments, windows.ceil_mode, p.count_include_pad is not False, by_torch


@register
class Pooling(_Pooling):
    r"""A statistic of every window of the spatial axes, for each channel of each sample.

    ====  ==========================================================================================
    max   the largest number
    sum   :math:`\sum x`
    avg   :math:`\frac 1 n \sum x`, where the :math:`n` numbers include padding unless ``count_include_pad`` is false
    lp    :math:`\sqrt[p]{\sum x^p}` with :math:`p` = ``p_value``
    ====  ==========================================================================================

    Shapes: ``data`` :math:`(N, C, d_1, …)` with one to three spatial axes, or channel last as ``layout`` says; output
    the same with

    .. math:: o_i = \left\lfloor \frac{d_i + 2\,pad_i - kernel_i}{stride_i} \right\rfloor + 1

    for the convention *valid*; *full* rounds up; *same* has :math:`\lceil d_i / stride_i \rceil` windows that start
    on the data. What a window sees beyond the padding is in no statistic. ``global_pool`` gives :math:`o_i = 1`. On the
    CPU, as in MXNet, NaN is never the largest number; if there is no other, that is the smallest finite one.

    Raises MXNetError if the kernel is larger than the padded data, or has another number of axes.
    """

    name = "Pooling"
    sample_wise = (0,)
    outputs = ("output", "workspace")
    samples: Sequence[Sample] = (
        Sample((1, 2, 4, 5), kernel=(2, 3), values={0: (0, 100)}),
        Sample((1, 1, 5, 4), kernel=(3, 2), stride=(2, 1), pad=(1, 1), pool_type="avg"),
        Sample((1, 1, 5, 4), kernel=(3, 2), stride=(2, 1), pad=(1, 1), pool_type="avg", count_include_pad=False),
        Sample((2, 1, 5), kernel=(2,), stride=(2,), pool_type="avg", pooling_convention="full"),
        Sample((1, 2, 7), kernel=(3,), stride=(3,), pad=(2,), pool_type="avg", pooling_convention="full"),
        Sample((1, 2, 5), kernel=(3,), stride=(3,), pad=(2,), pooling_convention="full", values={0: (0, 100)}),
        Sample((1, 1, 3, 4, 3), kernel=(2, 2, 2), pool_type="sum"),
        Sample((1, 1, 3, 4), kernel=(2, 2), pool_type="lp", p_value=2, low=0.5, high=1.5),
        Sample((1, 1, 3, 4), kernel=(2, 2), pool_type="lp", p_value=3, low=0.5, high=1.5),
        Sample((2, 3, 2, 2), global_pool=True, pool_type="avg"),
        Sample((1, 4, 3, 2), kernel=(3, 2), stride=(2, 1), pool_type="sum", pooling_convention="same", layout="NHWC"),
    )

    def num_outputs(self, p):
        return 2 if p.pool_type == "max" else 1

    def num_visible_outputs(self, p):
        return 1

    def num_recorded_outputs(self, p):
        # MXNet's own rule for when it keeps the places of the maxima.
        return 2 if p.pool_type == "max" and p.kernel and not spatial.channel_last(p) else 1

    def infer_shape(self, p, inputs, outputs):
        last = spatial.channel_last(p)
        data, output = (spatial.channel_first(shape, last) for shape in (inputs[0], outputs[0]))
        if data is not None:
            if len(data) not in (3, 4, 5) or (not p.global_pool and len(data) != len(p.kernel) + 2):
                wanted = "3, 4 or 5" if p.global_pool else len(p.kernel) + 2
                raise MXNetError(f"Input data of Pooling should have {wanted} axes, but has shape {inputs[0]}")
            output = merge(output, (*data[:2], *(axis.number for axis in self.axes(p, data[2:]))))
            data = (*output[:2], *data[2:])
        shapes = [spatial.channel_given(output, last), output]
        return [spatial.channel_given(data, last)], shapes[: self.num_outputs(p)]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype], [dtype, torch.int64][: self.num_outputs(p)]

    def gradient(self, p, x, y, dy):
        saved = y if p.pool_type in ("max", "lp") else []
        return [apply(f"_backward_{self.name}", dy[0], x[0], *saved[-1:], **self.declared(p))]

    def kernel(self, p, inputs, outputs, env):
        last = spatial.channel_last(p)
        windows = Windows(self.axes(p, spatial.sizes(inputs[0], last)))
        data, output = windows.view(inputs[0], last), windows.view(outputs[0], last)
        result = output if output.is_contiguous() else torch.empty_like(output).contiguous()
        steps: list[Kernel] = []

        exponent = self.exponent(p)
        source = data
        if windows.needs_copy(data) or exponent > 1:
            source, inner = windows.padded(data, torch.finfo(data.dtype).min if p.pool_type == "max" else 0)
            steps.append(partial(torch.pow, data, exponent, out=inner) if exponent > 1 else partial(inner.copy_, data))

        if p.pool_type == "max":
            pool = windows.function("max_pool{}d_with_indices").out
            indices = windows.view(outputs[1], last=False)
            steps.append(partial(pool, source, *windows.arguments, 1, windows.ceil_mode, out=result, indices=indices))
        else:
            pool = windows.function("avg_pool{}d").out
            steps.append(partial(pool, source, *self.average_arguments(p, windows), out=result))
            divisor = self.divisor(p, windows)
            if isinstance(divisor, torch.Tensor):
                steps.append(partial(result.div_, divisor.to(result)))
        if exponent == 2:
            steps.append(result.sqrt_)
        elif exponent == 3:
            magnitude = torch.empty_like(result)
            steps.append(lambda: torch.copysign(torch.abs(result, out=magnitude).pow_(1 / 3), result, out=result))
        if result is not output:
            steps.append(partial(output.copy_, result))
        return sequence(steps)


@register
class PoolingGradient(_Pooling):
    """Gradient of Pooling: each head gradient goes to the numbers of its window, as the statistic weighs them."""

    name = "_backward_Pooling"
    samples: Sequence[Sample] = (
        Sample((1, 1, 3, 2), (1, 1, 4, 3), kernel=(2, 2), pool_type="avg"),
        Sample((1, 1, 3), (1, 1, 4), kernel=(2,), pool_type="sum"),
    )

    def input_names(self, p):
        saved = {"max": ("workspace",), "lp": ("output",)}.get(p.pool_type, ())
        return ("head_grad", "data", *saved)

    def unread_inputs(self, p):
        return () if p.pool_type == "lp" else (1,)

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[1], outputs[0])
        return [inputs[0], data, *inputs[2:]], [data]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or inputs[1] or outputs[0]
        saved = {"max": [torch.int64], "lp": [dtype]}.get(p.pool_type, [])
        return [dtype, dtype, *saved], [dtype]

    def gradient(self, p, x, y, dy):
        if p.pool_type not in ("avg", "sum"):
            return super().gradient(p, x, y, dy)
        return [apply(self.name.removeprefix("_backward_"), dy[0], **self.declared(p)), ZERO]

    def kernel(self, p, inputs, outputs, env):
        last = spatial.channel_last(p)
        windows = Windows(self.axes(p, spatial.sizes(inputs[1], last)))
        head, data, output = (windows.view(array, last) for array in (*inputs[:2], outputs[0]))
        steps: list[Kernel] = []

        scaled = head
        divisor = self.divisor(p, windows)
        if isinstance(divisor, torch.Tensor):
            scaled = torch.empty_like(head)
            steps.append(partial(torch.div, head, divisor.to(head), out=scaled))
        exponent = self.exponent(p)
        if exponent > 1:
            power = windows.view(inputs[2], last)
            scaled = quotient = torch.empty_like(head)

            def divide() -> None:
                torch.pow(power, exponent - 1, out=quotient)
                torch.div(head, quotient, out=quotient).nan_to_num_(0, 0, 0)

            steps.append(divide)
        if not scaled.is_contiguous():
            strided, scaled = scaled, torch.empty(scaled.shape, dtype=scaled.dtype, device=scaled.device)
            steps.append(partial(scaled.copy_, strided))

        result = inner = output
        if windows.needs_copy(output) or exponent > 1:
            result, inner = windows.padded(output, 0)
        if p.pool_type == "max":
            pool = windows.function("max_pool{}d_with_indices_backward").grad_input
            indices = windows.view(inputs[2], last=False)
            arguments = (*windows.arguments, 1, windows.ceil_mode, indices)
        else:
            pool = windows.function("avg_pool{}d_backward").grad_input
            arguments = self.average_arguments(p, windows)
        # Of the array that was pooled torch wants the shape alone, which is the result's.
        steps.append(partial(pool, scaled, result, *arguments, grad_input=result))
        if exponent > 1:
            steps.append(partial(torch.pow, data, exponent - 1, out=output))
            steps.append(partial(output.mul_, inner))
        elif inner is not output:
            steps.append(partial(output.copy_, inner))
        return sequence(steps)


# ---- the first release's pooling ----------------------------------------------------------------


class _PoolingV1(_Pooling):
    """How pooling differed: averages divide by the size of the kernel, and no window starts beyond the data."""

    parameters = {
        "kernel": _Pooling.parameters["kernel"],
        "pool_type": Param(Enum("avg", "max", "sum"), "max", "The statistic."),
        "global_pool": _Pooling.parameters["global_pool"],
        "pooling_convention": Param(
            Enum("full", "valid"), "valid", "Whether a window may reach beyond the padded data."
        ),
        "stride": _Pooling.parameters["stride"],
        "pad": _Pooling.parameters["pad"],
    }

    def parse(self, attrs, node_name=""):
        p = Operator.parse(self, attrs, node_name)
        vars(p).update(layout=None, p_value=None, count_include_pad=None)
        self.check(p)
        return p

    @staticmethod
    def full_count(rest, stride, padded):
        return min(rest + stride - 1, padded - 1) // stride + 1

    def divisor(self, p, windows):
        return math.prod(axis.kernel for axis in windows.axes) if p.pool_type == "avg" else 1


@register
class PoolingV1(_PoolingV1, Pooling):
    """Pooling of the first releases: as Pooling, but an average always divides by the size of the kernel."""

    name = "Pooling_v1"
    samples = (
        Sample((1, 1, 5, 5), kernel=(3, 2), stride=(2, 2), pool_type="avg", pooling_convention="full"),
        Sample((1, 1, 3, 4), kernel=(2, 2), values={0: (0, 100)}),
    )

    def num_recorded_outputs(self, p):
        return 1


@register
class PoolingV1Gradient(_PoolingV1, PoolingGradient):
    """Gradient of Pooling_v1."""

    name = "_backward_Pooling_v1"
    samples = (Sample((1, 1, 3, 2), (1, 1, 4, 3), kernel=(2, 2), pool_type="avg"),)


# ---- to a given size ----------------------------------------------------------------------------


class _AdaptivePooling(Operator):
    output_size = Param(ShapeKind, (), "Height and width of the output; one number for both, 1 if left out.")

    @staticmethod
    def sizes(p: Params) -> tuple[int, int]:
        height, *others = p.output_size or (1,)
        return height, others[0] if others else height

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if len(p.output_size) > 2 or any(n < 1 for n in p.output_size):
            raise MXNetError(f"output_size={p.output_size} must be one or two numbers of at least 1")
        return p


@register
class AdaptiveAvgPooling2D(_AdaptivePooling):
    r"""Averages over as many windows as the output shall have pixels.

    The window of pixel :math:`i` of :math:`H` covers the input's height :math:`h` from :math:`\lfloor i h / H \rfloor`
    up to :math:`\lceil (i + 1) h / H \rceil`; likewise for the width.

    Shapes: ``data`` :math:`(N, C, h, w)`, output :math:`(N, C, H, W)`.
    """

    name = "_contrib_AdaptiveAvgPooling2D"
    sample_wise = (0,)
    samples = (Sample((1, 2, 3, 5), output_size=(2, 3)), Sample((1, 2, 3, 2)), Sample((1, 1, 2, 2), output_size=3))

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if data is None:
            return inputs, outputs
        if len(data) != 4:
            raise MXNetError(f"Data of AdaptiveAvgPooling2D should have 4 axes, but has shape {data}")
        output = merge(outputs[0], (*data[:2], *self.sizes(p)))
        return [(*output[:2], *data[2:])], [output]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_contrib_AdaptiveAvgPooling2D", dy[0], x[0], **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        return partial(torch.ops.aten.adaptive_avg_pool2d.out, inputs[0], self.sizes(p), out=outputs[0])


@register
class AdaptiveAvgPooling2DGradient(_AdaptivePooling):
    """Gradient of AdaptiveAvgPooling2D: each head gradient, divided among the numbers of its window."""

    name = "_backward_contrib_AdaptiveAvgPooling2D"
    inputs = ("head_grad", "data")
    unread = (1,)
    samples = (Sample((1, 1, 2, 2), (1, 1, 3, 5), output_size=2),)

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[1], outputs[0])
        return [inputs[0], data], [data]

    def gradient(self, p, x, y, dy):
        return [apply("_contrib_AdaptiveAvgPooling2D", dy[0], **vars(p)), ZERO]

    def kernel(self, p, inputs, outputs, env):
        differentiate = partial(torch.ops.aten._adaptive_avg_pool2d_backward, *inputs)
        return lambda: outputs[0].copy_(differentiate())
