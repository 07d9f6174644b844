"""Images as they come from files, (height, width, channels): made into arrays for networks, cut, turned, framed.

Where a batch of them is allowed it is (N, height, width, channels).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import ZERO, Operator, Sample, register
from .parameter import Float, Floats, Int, Param, Params
from .shapes import merge, same_shape

__all__: list[str] = []

# The axes of an image, counted from the end.
_HEIGHT, _WIDTH, _CHANNELS = -3, -2, -1


def _check_rank(name: str, shape: Sequence[int] | None, ranks: Sequence[int] = (3, 4)) -> None:
    if shape is not None and len(shape) not in ranks:
        raise MXNetError(f"An image for {name} should have {' or '.join(map(str, ranks))} axes, but has shape {shape}")


# ---- for networks -------------------------------------------------------------------------------


@register
class ToTensor(Operator):
    r"""Numbers from 0 to 255 as float32 from 0 to 1, channels first: :math:`y_{c,i,j} = x_{i,j,c} / 255`.

    Shapes: ``data`` :math:`(h, w, C)` or :math:`(N, h, w, C)`, of any type; output :math:`(C, h, w)` or
    :math:`(N, C, h, w)`.
    """

    name = "_image_to_tensor"
    # Single precision, whatever the input: too coarse for finite differences to show the gradient.
    has_surrogate_gradient = True
    samples = (Sample((2, 3, 1), high=255, low=0),)

    def infer_shape(self, p, inputs, outputs):
        data, output = inputs[0], outputs[0]
        for shape in (data, output):
            _check_rank("to_tensor", shape)
        if data is not None:
            output = merge((*data[:-3], data[-1], *data[-3:-1]), output)
        if output is not None:
            data = (*output[:-3], *output[-2:], output[-3])
        return [data], [output]

    def infer_dtype(self, p, inputs, outputs):
        return inputs, [torch.float32]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_image_to_tensor", dy[0], x[0])]

    def kernel(self, p, inputs, outputs, env):
        return partial(torch.div, inputs[0].movedim(_CHANNELS, _HEIGHT), 255, out=outputs[0])


@register
class ToTensorGradient(Operator):
    """Gradient of to_tensor: head gradients divided by 255, channels last."""

    name = "_backward_image_to_tensor"
    inputs = ("head_grad", "data")
    unread = (1,)

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[1], outputs[0])
        return [inputs[0], data], [data]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[1] or outputs[0]
        return [torch.float32, dtype], [dtype]

    def kernel(self, p, inputs, outputs, env):
        return partial(torch.div, inputs[0].movedim(_HEIGHT, _CHANNELS), 255, out=outputs[0])


class _Normalize(Operator):
    mean = Param(Floats, (0.0, 0.0, 0.0, 0.0), "One number, or one for each channel.")
    std = Param(Floats, (1.0, 1.0, 1.0, 1.0), "One number, or one for each channel.")
    inplace = ((0, 0),)

    @staticmethod
    def per_channel(name: str, values: Sequence[float], channels: int) -> Sequence[float]:
        """``values`` as one number or one per channel; MXNetError if there is another number of different ones."""
        if len(set(values)) == 1:
            return values[:1]
        if len(values) != channels:
            raise MXNetError(f"Invalid {name}={values} for normalize: it must have 1 or {channels} numbers")
        return values

    def infer_shape(self, p, inputs, outputs):
        inputs, outputs = same_shape(inputs, outputs)
        data = outputs[0]
        _check_rank("normalize", data)
        if data is not None and data[-3]:
            if data[-3] not in (1, 3):
                raise MXNetError(f"An image for normalize should have 1 or 3 channels first, but has shape {data}")
            for name in ("mean", "std"):
                self.per_channel(name, getattr(p, name), data[-3])
        return inputs, outputs

    def column(self, name: str, p: Params, image: torch.Tensor) -> torch.Tensor:
        """A parameter in a shape that broadcasts to the image."""
        values = self.per_channel(name, getattr(p, name), image.shape[-3])
        dtype = image.dtype if image.is_floating_point() else torch.float32
        return torch.tensor(values, dtype=dtype, device=image.device).view(-1, 1, 1)


@register
class Normalize(_Normalize):
    r"""Every channel :math:`c` with another zero and unit: :math:`y_c = (x_c - mean_c) / std_c`.

    Shapes: ``data`` :math:`(C, h, w)` or :math:`(N, C, h, w)` with 1 or 3 channels; output the same.

    Raises MXNetError if there are other numbers of means and standard deviations than of channels.
    """

    name = "_image_normalize"
    samples = (Sample((3, 2, 2), mean=(0.1, 0.2, 0.3), std=(2, 3, 4)), Sample((2, 1, 2, 2), mean=(0.5,), std=(0.5,)))

    def gradient(self, p, x, y, dy):
        return [apply("_backward_image_normalize", dy[0], **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        data, output = inputs[0], outputs[0]
        mean, std = self.column("mean", p, data), self.column("std", p, data)
        if not output.is_floating_point():
            return lambda: output.copy_((data - mean).div_(std))
        return lambda: torch.sub(data, mean, out=output).div_(std)


@register
class NormalizeGradient(_Normalize):
    """Gradient of normalize: head gradients divided by the standard deviations."""

    name = "_backward_image_normalize"
    inputs = ("head_grad",)
    samples = (Sample((3, 2, 2), std=(2, 3, 4)),)

    def gradient(self, p, x, y, dy):
        return [apply("_backward_image_normalize", dy[0], **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        return partial(torch.div, inputs[0], self.column("std", p, inputs[0]), out=outputs[0])


# ---- cutting ------------------------------------------------------------------------------------


class _Crop(Operator):
    x = Param(Int, doc="Left edge of the part.")
    y = Param(Int, doc="Upper edge of the part.")
    width = Param(Int, doc="Width of the part.")
    height = Param(Int, doc="Height of the part.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if min(p.x, p.y) < 0 or min(p.width, p.height) < 1:
            raise MXNetError(f"crop to width={p.width}, height={p.height} at x={p.x}, y={p.y} is no part of an image")
        return p

    def part_shape(self, p, data):
        """The shape of the part of an image of this shape."""
        _check_rank("crop", data)
        if data is None:
            return None
        for name, start, size, given in (("width", p.x, p.width, data[-2]), ("height", p.y, p.height, data[-3])):
            if given and start + size > given:
                raise MXNetError(f"crop up to {start + size} leaves the image, which has {name} {given}")
        return (*data[:-3], p.height, p.width, data[-1])

    @staticmethod
    def part(p: Params, image: torch.Tensor) -> torch.Tensor:
        return image[..., p.y : p.y + p.height, p.x : p.x + p.width, :]


@register
class ImageCrop(_Crop):
    """The part of an image that is ``width`` by ``height`` pixels large and begins at (``x``, ``y``).

    Shapes: ``data`` (h, w, C) or (N, h, w, C); output (height, width, C) or (N, height, width, C). Raises MXNetError
    if the part leaves the image.
    """

    name = "_image_crop"
    samples = (Sample((3, 4, 2), x=1, y=0, width=2, height=2), Sample((2, 3, 3, 1), x=0, y=1, width=3, height=2))

    def infer_shape(self, p, inputs, outputs):
        return inputs, [merge(self.part_shape(p, inputs[0]), outputs[0])]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_image_crop", dy[0], x[0], **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].copy_, self.part(p, inputs[0]))


@register
class ImageCropGradient(_Crop):
    """Gradient of the crop of an image: the head gradient where the part was, zeros around."""

    name = "_backward_image_crop"
    inputs = ("head_grad", "data")
    unread = (1,)
    samples = (Sample((2, 2, 1), (3, 4, 1), x=1, y=0, width=2, height=2),)

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[1], outputs[0])
        return [merge(inputs[0], self.part_shape(p, data)), data], [data]

    def gradient(self, p, x, y, dy):
        return [apply("_image_crop", dy[0], **vars(p)), ZERO]

    def kernel(self, p, inputs, outputs, env):
        output, part = outputs[0], self.part(p, outputs[0])

        def run() -> None:
            output.zero_()
            part.copy_(inputs[0])

        return run


# ---- turning ------------------------------------------------------------------------------------


class _Flip(Operator):
    """Operators on one image, along ``axis``."""

    def __init__(self, name: str, axis: int, doc: str) -> None:
        self.name, self.axis, self.__doc__ = name, axis, doc

    def infer_shape(self, p, inputs, outputs):
        image = merge(inputs[0], outputs[0])
        _check_rank(self.name.removeprefix("_image_"), image, (3,))
        return [image, *inputs[1:]], [image, *outputs[1:]]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype], [dtype]


class Flip(_Flip):
    """An image backwards along one axis."""

    samples = (Sample((2, 3, 2)),)

    def gradient(self, p, x, y, dy):
        return [apply(self.name, dy[0])]

    def kernel(self, p, inputs, outputs, env):
        backwards = torch.arange(inputs[0].shape[self.axis], device=env.device).flip(0)
        return partial(torch.index_select, inputs[0], self.axis, backwards, out=outputs[0])


class FlipIf(_Flip):
    """An image backwards along one axis if the number ``coin`` is not zero."""

    inputs = ("data", "coin")
    samples = (Sample((2, 3, 2), (1,), values={1: [1]}, integer=(1,)),)

    def infer_shape(self, p, inputs, outputs):
        (image, coin), output = super().infer_shape(p, inputs, outputs)
        return [image, merge(coin, (1,))], output

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype, torch.int64], [dtype]

    def gradient(self, p, x, y, dy):
        return [apply(self.name, dy[0], x[1]), ZERO]

    def kernel(self, p, inputs, outputs, env):
        image, coin = inputs
        forwards = torch.arange(image.shape[self.axis], device=env.device)
        backwards, order = forwards.flip(0), torch.empty_like(forwards)

        def run() -> None:
            torch.where(coin != 0, backwards, forwards, out=order)
            torch.index_select(image, self.axis, order, out=outputs[0])

        return run


class RandomFlip(_Flip):
    """An image backwards along one axis, or, just as likely, as it is."""

    random = True
    outputs = ("output", "coin")
    samples = (Sample((2, 3, 2)),)

    def __init__(self, name: str, flip_if: FlipIf, doc: str) -> None:
        super().__init__(name, flip_if.axis, doc)
        self.flip_if = flip_if

    def num_outputs(self, p):
        return 2

    def num_visible_outputs(self, p):
        return 1

    def num_recorded_outputs(self, p):
        return 1

    def infer_shape(self, p, inputs, outputs):
        images, (output, _) = super().infer_shape(p, inputs, outputs)
        return images, [output, (1,)]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or outputs[0]
        return [dtype], [dtype, torch.int64]

    def gradient(self, p, x, y, dy):
        return [apply(self.flip_if.name, dy[0], y[1])]

    def kernel(self, p, inputs, outputs, env):
        output, coin = outputs
        flip = self.flip_if.kernel(p, [inputs[0], coin], [output], env)

        def run() -> None:
            coin.random_(0, 2, generator=env.generator)
            flip()

        return run


for _side, _axis, _mirror in (("left_right", _WIDTH, "left and right"), ("top_bottom", _HEIGHT, "top and bottom")):
    _if = FlipIf(f"_flip_{_side}_if", _axis, f"An image (h, w, C) with {_mirror} exchanged if ``coin`` says so.")
    register(_if)
    register(Flip(f"_image_flip_{_side}", _axis, f"An image (h, w, C) with {_mirror} exchanged."))
    register(
        RandomFlip(
            f"_image_random_flip_{_side}", _if, f"An image (h, w, C) with {_mirror} exchanged, once in two times."
        )
    )


# ---- framing ------------------------------------------------------------------------------------

# What is beyond the border, by OpenCV's numbers.
_CONSTANT, _REPLICATE, _REFLECT, _WRAP, _REFLECT_101 = range(5)


def _continued(kind: int, before: int, size: int, after: int) -> torch.Tensor:
    """Which of the ``size`` pixels of an axis each pixel of the framed axis shows."""
    place = torch.arange(-before, size + after)
    if kind == _REPLICATE:
        return place.clamp_(0, size - 1)
    if kind == _WRAP:
        return place % size
    if kind == _REFLECT:
        place %= 2 * size
        return torch.minimum(place, 2 * size - 1 - place)
    period = max(2 * size - 2, 1)
    place %= period
    return torch.minimum(place, period - place) if size > 1 else place


@register
class CopyMakeBorder(Operator):
    """An image with a frame around.

    The frame shows, by ``type``: 0 a constant; 1 the pixels at the border again and again; 2 the image reflected, 4
    likewise without the border itself; 3 the image repeated.

    Shapes: ``src`` (h, w, C); output (top + h + bot, left + w + right, C). Raises MXNetError for another type.
    """

    name = "_cvcopyMakeBorder"
    inputs = ("src",)
    top = Param(Int, doc="Rows added above.")
    bot = Param(Int, doc="Rows added below.")
    left = Param(Int, doc="Columns added on the left.")
    right = Param(Int, doc="Columns added on the right.")
    type = Param(Int, 0, "What the frame shows.")
    value = Param(Float, 0.0, "The constant, for all channels.")
    values = Param(Floats, (), "Constants for the first four channels, instead of value.")
    samples = (Sample((2, 3, 1), top=1, bot=2, left=0, right=1, type=2),)

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if not _CONSTANT <= p.type <= _REFLECT_101:
            raise MXNetError(f"type={p.type} of copyMakeBorder must be a number from 0 to 4")
        if min(p.top, p.bot, p.left, p.right) < 0 or len(p.values) > 4:
            raise MXNetError(
                f"copyMakeBorder cannot add (top, bot, left, right)={(p.top, p.bot, p.left, p.right)} with {p.values}"
            )
        return p

    def infer_shape(self, p, inputs, outputs):
        image = inputs[0]
        _check_rank("copyMakeBorder", image, (3,))
        if image is None:
            return inputs, outputs
        height, width = (n and n + more for n, more in zip(image, (p.top + p.bot, p.left + p.right)))
        return inputs, [merge(outputs[0], (height, width, image[2]))]

    def kernel(self, p, inputs, outputs, env):
        image, output = inputs[0], outputs[0]
        height, width, channels = image.shape
        if p.type != _CONSTANT:
            rows = _continued(p.type, p.top, height, p.bot).to(env.device).unsqueeze(1)
            columns = _continued(p.type, p.left, width, p.right).to(env.device)
            return lambda: output.copy_(image[rows, columns])
        values = [*p.values, *[0.0] * channels] if p.values else [p.value] * channels
        constant = torch.tensor(values[:channels], device=env.device).to(image.dtype)
        inner = output[p.top : p.top + height, p.left : p.left + width]

        def run() -> None:
            output.copy_(constant.expand_as(output))
            inner.copy_(image)

        return run
