"""Image files, in memory or on disk, to images (height, width, channels).

How large an image is only its file tells, so these operators run on arrays and in no network.
"""

from __future__ import annotations

import numpy as np
import torch

from ..base import MXNetError
from ..pixels import codec
from .operator import Operator, register
from .parameter import Bool, Int, Param, String
from .shapes import Shape

__all__: list[str] = []


class _Decoded(Operator):
    """The parameters of both, and what is done with the bytes of a file."""

    measured = True
    flag = Param(Int, 1, "0 for grey values, 1 for colours.")
    to_rgb = Param(Bool, True, "Red, green, blue; false: blue, green, red.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.flag not in (codec.GRAY, codec.COLOR):
            raise MXNetError(f"flag={p.flag} of {self.name} must be 0 (grey) or 1 (colours)")
        return p

    def infer_shape(self, p, inputs, outputs):
        return inputs, [outputs[0] or (0, 0, 1 if p.flag == codec.GRAY else 3)]

    def infer_dtype(self, p, inputs, outputs):
        return [torch.uint8] * len(inputs), [torch.uint8]

    def pixels(self, p, inputs) -> np.ndarray:
        """The decoded image."""
        pixels = codec.decode(self.content(p, inputs), p.flag)
        return pixels if p.to_rgb else np.ascontiguousarray(pixels[:, :, ::-1])

    def content(self, p, inputs) -> bytes | np.ndarray:
        """The bytes of the file."""
        raise NotImplementedError

    def measure(self, p, inputs) -> list[Shape]:
        return [self.pixels(p, inputs).shape]

    def kernel(self, p, inputs, outputs, env):
        return lambda: outputs[0].copy_(torch.from_numpy(self.pixels(p, inputs)))


@register
class CVImageDecode(_Decoded):
    """The image whose file (JPEG, PNG and others) is the bytes in ``buf``.

    Shapes: ``buf`` any, uint8; output (height, width, 3), or (height, width, 1) for grey values, uint8. It decodes
    once for the shape and once for the pixels; :func:`mx.image.imdecode` is faster. Raises MXNetError if the bytes are
    no image.
    """

    name = "_cvimdecode"
    inputs = ("buf",)

    def content(self, p, inputs):
        if inputs[0].dtype != torch.uint8:
            raise MXNetError(f"buf of {self.name} must hold bytes (uint8), not {inputs[0].dtype}")
        return inputs[0].cpu().numpy().reshape(-1)


@register
class CVImageRead(_Decoded):
    """The image in the file called ``filename``: (height, width, 3), or (height, width, 1) for grey values, uint8.

    Raises MXNetError if the file cannot be read, or is no image.
    """

    name = "_cvimread"
    inputs = ()
    filename = Param(String, doc="Path of the file.")
    # In MXNet's order.
    parameters = {"filename": filename, **_Decoded.parameters}

    def content(self, p, inputs):
        try:
            with open(p.filename, "rb") as file:
                return file.read()
        except OSError as error:
            raise MXNetError(f"Cannot read image {p.filename!r}: {error.strerror or error}") from error
