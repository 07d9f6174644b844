"""Images from files, (height, width, channels), in another size."""

from __future__ import annotations

from ..base import MXNetError
from ..pixels.resample import resize
from .operator import Operator, Sample, register
from .parameter import Bool, Int, Param
from .parameter import Shape as ShapeKind
from .shapes import merge

__all__: list[str] = []

_METHODS = range(5)


class _Resize(Operator):
    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.interp not in _METHODS:
            raise MXNetError(f"interp={p.interp} of {self.name} must be a number from 0 to 4")
        return p

    def new_sizes(self, p, height: int, width: int) -> tuple[int, int]:
        """Height and width of the output, 0 where they are not known."""
        raise NotImplementedError

    def infer_shape(self, p, inputs, outputs):
        image = inputs[0]
        if image is None:
            return inputs, outputs
        if len(image) not in (3, 4):
            raise MXNetError(f"An image for {self.name} should have 3 or 4 axes, but has shape {image}")
        return inputs, [merge(outputs[0], (*image[:-3], *self.new_sizes(p, *image[-3:-1]), image[-1]))]

    def kernel(self, p, inputs, outputs, env):
        *_, height, width, _ = outputs[0].shape
        pairs = [(inputs[0], outputs[0])] if inputs[0].dim() == 3 else list(zip(inputs[0], outputs[0]))

        def run() -> None:
            for image, output in pairs:
                output.copy_(resize(image, width, height, p.interp))

        return run


@register
class ImageResize(_Resize):
    r"""Images in another size.

    ``size`` is a width and a height, or one number for both; with ``keep_ratio`` that is for the shorter side, and the
    other follows, cut to a whole number.

    Shapes: ``data`` (h, w, C) or (N, h, w, C); output (H, W, C) or (N, H, W, C). Raises MXNetError without a size.
    """

    name = "_image_resize"
    size = Param(ShapeKind, (), "Width and height, or one number.")
    keep_ratio = Param(Bool, False, "Whether one number is the length of the shorter side.")
    interp = Param(Int, 1, "Method: 0 nearest, 1 linear, 2 cubic, 3 area, 4 Lanczos.")
    samples = (Sample((2, 3, 4, 1), size=(3, 2)),)

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if len(p.size) not in (1, 2) or min(p.size) < 1:
            raise MXNetError(f"size={p.size} of resize must be one or two numbers of at least 1")
        return p

    def new_sizes(self, p, height, width):
        if len(p.size) == 2:
            return p.size[1], p.size[0]
        (side,) = p.size
        if not p.keep_ratio:
            return side, side
        if not height or not width:
            return 0, 0
        return (side, width * side // height) if height <= width else (height * side // width, side)


@register
class CVImageResize(_Resize):
    """An image ``w`` by ``h`` pixels large.

    Shapes: ``src`` (h', w', C); output (h, w, C).
    """

    name = "_cvimresize"
    inputs = ("src",)
    w = Param(Int, doc="Width.")
    h = Param(Int, doc="Height.")
    interp = Param(Int, 1, "Method: 0 nearest, 1 linear, 2 cubic, 3 area, 4 Lanczos.")
    samples = (Sample((2, 3, 1), w=4, h=3),)

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if min(p.w, p.h) < 1:
            raise MXNetError(f"w={p.w} and h={p.h} of imresize must be at least 1")
        return p

    def new_sizes(self, p, height, width):
        return p.h, p.w
