"""Images made larger or smaller."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from ..base import MXNetError
from ..graph.compose import attribute_text
from ..graph.symbol import apply
from .convolution import Deconvolution
from .kernels import sequence
from .operator import ZERO, Operator, Sample, register
from .parameter import Bool, Count, Enum, Float, Int, Optional, Param, Params
from .shapes import merge

aten = torch.ops.aten

# ---- by a whole factor --------------------------------------------------------------------------


class _UpSampling(Operator):
    scale = Param(Int, doc="Factor of height and width.")
    num_filter = Param(Int, 0, "Number of channels, for bilinear.")
    sample_type = Param(Enum("bilinear", "nearest"), doc="Interpolate by a deconvolution, or repeat pixels.")
    multi_input_mode = Param(
        Enum("concat", "sum"), "concat", "Whether several inputs are stacked along the channels, or added."
    )
    num_args = Param(Count, doc="Number of inputs; filled in by the call.")
    workspace = Param(Int, 512, "Accepted for MXNet's sake.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.scale < 1 or p.num_args < 1:
            raise MXNetError(f"scale={p.scale} and num_args={p.num_args} of UpSampling must be at least 1")
        if p.sample_type == "bilinear" and p.num_filter < 1:
            raise MXNetError("UpSampling with sample_type='bilinear' needs num_filter, the number of channels")
        return p

    @staticmethod
    def repeated(image: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """A view of ``output`` (N, C, H, W) as (N, C, h, H/h, w, W/w): the places of every pixel of ``image``."""
        height, width = image.shape[2:]
        return output.unflatten(3, (width, -1)).unflatten(2, (height, -1))

    @staticmethod
    def shares(p: Params, images: list[torch.Tensor], output: torch.Tensor) -> list[torch.Tensor]:
        """The channels of ``output`` that belong to each image."""
        if p.multi_input_mode == "sum":
            return [output] * len(images)
        return list(output.split([image.shape[1] for image in images], 1))


def _interpolation(p: Params) -> dict[str, Any]:
    """The deconvolution, of every channel by itself, that interpolates: its kernel reaches from pixel to pixel."""
    size = 2 * p.scale - p.scale % 2
    return {
        "kernel": (size, size),
        "stride": (p.scale, p.scale),
        "pad": (p.scale // 2, p.scale // 2),
        "num_filter": p.num_filter,
        "num_group": p.num_filter,
        "no_bias": True,
    }


@register
class UpSampling(_UpSampling):
    r"""Images enlarged by a whole factor :math:`s`.

    *nearest* repeats every pixel :math:`s` times in both directions. Further inputs are enlarged to the size of the
    first output, and stacked along the channels or added. *bilinear* is a Deconvolution of every channel by itself,
    with a kernel of size :math:`2 s - s \bmod 2` that is an input and is learned; it starts as linear interpolation.

    Shapes: ``arg0`` (``data`` for bilinear) :math:`(N, C, h, w)`, ``weight`` :math:`(C, 1, k, k)`, output
    :math:`(N, C, s h, s w)`.

    Raises MXNetError if an input does not divide the output, or the channels do not fit.
    """

    name = "UpSampling"
    variadic = "num_args"
    samples = (
        Sample((1, 2, 2, 3), scale=2, sample_type="nearest", num_args=1),
        Sample((1, 2, 1, 2), (1, 1, 2, 4), scale=4, sample_type="nearest", num_args=2),
        Sample((1, 1, 1, 2), (1, 1, 2, 4), scale=4, sample_type="nearest", num_args=2, multi_input_mode="sum"),
        Sample((1, 2, 2, 2), (2, 1, 4, 4), scale=2, sample_type="bilinear", num_filter=2, num_args=1),
    )

    def input_names(self, p):
        return ("data", "weight") if p.sample_type == "bilinear" else super().input_names(p)

    def sample_inputs(self, p):
        return (0,) if p.sample_type == "bilinear" else range(p.num_args)

    def variable_attrs(self, p, input_name):
        # MXNet marks the second input, even where that is another image.
        return {"__init__": '["bilinear", {}]'} if input_name in ("weight", "arg1") else {}

    def infer_shape(self, p, inputs, outputs):
        if p.sample_type == "bilinear":
            deconvolution, parameters = self.deconvolution(p)
            return deconvolution.infer_shape(parameters, inputs, outputs)
        first = inputs[0]
        if first is None:
            return inputs, outputs
        for shape in inputs:
            if shape is not None and len(shape) != 4:
                raise MXNetError(f"Inputs of UpSampling should have 4 axes, but one has shape {shape}")
        height, width = first[2] * p.scale, first[3] * p.scale
        for shape in inputs[1:]:
            if shape is not None and any(n and big % n for n, big in zip(shape[2:], (height, width))):
                raise MXNetError(f"An input of shape {shape} does not divide an output of {height} by {width}")
        if p.multi_input_mode == "sum":
            channels = first[1]
            inputs = [shape if shape is None else merge(shape, (first[0], channels, 0, 0)) for shape in inputs]
        else:
            known = all(shape is not None and shape[1] for shape in inputs)
            channels = sum(shape[1] for shape in inputs) if known else 0
            inputs = [shape if shape is None else merge(shape, (first[0], 0, 0, 0)) for shape in inputs]
        return inputs, [merge(outputs[0], (first[0], channels, height, width))]

    def gradient(self, p, x, y, dy):
        if p.sample_type == "nearest":
            return list(apply("_backward_UpSampling", dy[0], *x, **vars(p)))
        data, weight = x
        return [
            apply("_backward_Deconvolution_data", dy[0], weight, data, **_interpolation(p)),
            apply("_backward_Deconvolution_weight", dy[0], data, **_interpolation(p)),
        ]

    @staticmethod
    def deconvolution(p: Params) -> tuple[Deconvolution, Params]:
        """The operator that interpolates."""
        operator = Deconvolution()
        return operator, operator.parse({key: attribute_text(value) for key, value in _interpolation(p).items()})

    def kernel(self, p, inputs, outputs, env):
        if p.sample_type == "bilinear":
            deconvolution, parameters = self.deconvolution(p)
            return deconvolution.kernel(parameters, inputs, outputs, env)
        steps = []
        for i, (image, share) in enumerate(zip(inputs, self.shares(p, inputs, outputs[0]))):
            places = self.repeated(image, share)
            fill = places.add_ if i and p.multi_input_mode == "sum" else places.copy_
            steps.append(partial(fill, image[:, :, :, None, :, None]))
        return sequence(steps)


@register
class UpSamplingGradient(_UpSampling):
    """Gradient of UpSampling with nearest pixels: the head gradients of all repetitions of a pixel, added."""

    name = "_backward_UpSampling"
    samples = (Sample((1, 1, 4, 4), (1, 1, 2, 2), scale=2, sample_type="nearest", num_args=1),)

    def input_names(self, p):
        return ["head_grad", *(f"arg{i}" for i in range(p.num_args))]

    def num_outputs(self, p):
        return p.num_args

    def unread_inputs(self, p):
        return range(1, p.num_args + 1)

    def infer_shape(self, p, inputs, outputs):
        images = [merge(known, told) for known, told in zip(inputs[1:], outputs)]
        return [inputs[0], *images], images

    def gradient(self, p, x, y, dy):
        return [apply("UpSampling", *dy, **vars(p)), *[ZERO] * p.num_args]

    def kernel(self, p, inputs, outputs, env):
        head, images = inputs[0], list(inputs[1:])
        return sequence(
            partial(torch.sum, self.repeated(image, share), (3, 5), out=output)
            for image, share, output in zip(images, self.shares(p, images, head), outputs)
        )


# ---- to any size --------------------------------------------------------------------------------

_RESIZE_MODES = ("like", "odd_scale", "size", "to_even_down", "to_even_up", "to_odd_down", "to_odd_up")


class _Resize(Operator):
    height = Param(Int, 1, "Height of the output, for mode size.")
    width = Param(Int, 1, "Width of the output, for mode size.")
    scale_height = Param(Optional(Float), None, "Factor of the height, for modes size and odd_scale.")
    scale_width = Param(Optional(Float), None, "Factor of the width, for modes size and odd_scale.")
    mode = Param(Enum(*_RESIZE_MODES), "size", "How the size of the output is told.")
    align_corners = Param(Bool, True, "Keep the corners where they are; otherwise the edges of the image.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        scales = (p.scale_height, p.scale_width)
        if (scales[0] is None) != (scales[1] is None) or (p.mode == "odd_scale" and None in scales):
            raise MXNetError(f"BilinearResize2D needs both scales, but (scale_height, scale_width) is {scales}")
        return p

    @staticmethod
    def resized(p: Params, size: int, wanted: int, scale: float | None) -> int:
        """Length of an axis of the output."""
        if not size:
            return 0
        if p.mode == "size":
            result = wanted if scale is None else int(size * scale)
        elif p.mode == "odd_scale":
            result = int((size - size % 2) * scale) + size % 2  # type: ignore[operator]
        else:
            parity, step = p.mode == "to_odd_down" or p.mode == "to_odd_up", 1 if p.mode.endswith("up") else -1
            result = size if size % 2 == parity else size + step
        if result < 1:
            raise MXNetError(f"BilinearResize2D would make an axis of {size} into one of {result}")
        return result


@register
class BilinearResize2D(_Resize):
    r"""Images of any size by linear interpolation in both directions.

    Pixel :math:`i` of the output lies at :math:`i\,\frac{h - 1}{H - 1}` of the input's height :math:`h`, or with
    ``align_corners=False`` at :math:`(i + \frac12) \frac hH - \frac12`; likewise for the width.

    ============  ==========================================================================================
    size          ``height`` and ``width``, or the input's sizes times the scales, cut to whole numbers
    odd_scale     the input's sizes times the scales; for odd ones, all but one pixel is scaled
    like          the sizes of a second input ``like``, which gets no gradient
    to_even_down  the input's sizes, or one less where they are odd; the other three likewise
    ============  ==========================================================================================

    Shapes: ``data`` :math:`(N, C, h, w)`, ``like`` :math:`(·, ·, H, W)`, output :math:`(N, C, H, W)`.

    Raises MXNetError if nothing would be left of an axis.
    """

    name = "_contrib_BilinearResize2D"
    inputs = ("data", "like")
    samples = (
        Sample((1, 2, 2, 3), height=3, width=4),
        Sample((1, 1, 3, 2), height=2, width=5, align_corners=False),
        Sample((1, 1, 3, 2), (1, 1, 2, 2), mode="like"),
    )

    def input_names(self, p):
        return self.inputs if p.mode == "like" else self.inputs[:1]

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if data is None:
            return inputs, outputs
        for shape in inputs:
            if shape is not None and len(shape) != 4:
                raise MXNetError(f"Inputs of BilinearResize2D should have 4 axes, but one has shape {shape}")
        if p.mode == "like":
            sizes = (0, 0) if inputs[1] is None else inputs[1][2:]
        else:
            sizes = (
                self.resized(p, data[2], p.height, p.scale_height),
                self.resized(p, data[3], p.width, p.scale_width),
            )
        return inputs, [merge(outputs[0], (*data[:2], *sizes))]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_contrib_BilinearResize2D", dy[0], x[0], **vars(p)), *[ZERO] * (len(x) - 1)]

    def kernel(self, p, inputs, outputs, env):
        output = outputs[0]
        return partial(aten.upsample_bilinear2d.out, inputs[0], output.shape[2:], p.align_corners, out=output)

    def unread_inputs(self, p):
        return (1,) if p.mode == "like" else ()


@register
class BilinearResize2DGradient(_Resize):
    """Gradient of BilinearResize2D: each head gradient goes to the four pixels around, by their weights."""

    name = "_backward_contrib_BilinearResize2D"
    inputs = ("head_grad", "data")
    unread = (1,)

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[1], outputs[0])
        return [inputs[0], data], [data]

    def kernel(self, p, inputs, outputs, env):
        head, output = inputs[0], outputs[0]
        sizes = (head.shape[2:], output.shape)
        return partial(aten.upsample_bilinear2d_backward.grad_input, head, *sizes, p.align_corners, grad_input=output)
