"""The windows of an image as columns of a matrix, and back: convolution by hand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product as every
from typing import Any

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from . import spatial
from .kernels import sequence
from .operator import ZERO, Kernel, Operator, Sample, register
from .parameter import Param, Params
from .parameter import Shape as ShapeKind
from .shapes import is_known, merge, product


class _Columns(Operator):
    # In a dictionary, because the class has a method called kernel too.
    parameters = {"kernel": Param(ShapeKind, doc="Sizes of the window: 1, 2 or 3 of them.")}
    stride = Param(ShapeKind, (), "Steps from window to window; 1 if left out.")
    dilate = Param(ShapeKind, (), "Steps between the points of a window; 1 if left out.")
    pad = Param(ShapeKind, (), "Zeros added at both ends of each axis; 0 if left out.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        spatial.complete(self.name, p, stride=1, dilate=1, pad=0)
        return p

    @staticmethod
    def counts(p: Params, sizes: Sequence[int]) -> list[int]:
        """How many windows there are along each axis of an image of known sizes."""
        counts = []
        for size, kernel, stride, dilate, pad in zip(sizes, p.kernel, p.stride, p.dilate, p.pad):
            reach = spatial.dilated(kernel, dilate)
            if reach > size + 2 * pad:
                raise MXNetError(f"A kernel that reaches over {reach} exceeds the image: {size} padded by {pad}")
            counts.append((size + 2 * pad - reach) // stride + 1)
        return counts

    def gather(self, p: Params, image: torch.Tensor, columns: torch.Tensor) -> Kernel:
        """Copies the windows of ``image`` into ``columns``."""
        _, inner, pairs = self.windows(p, image, columns)
        return sequence([partial(inner.copy_, image), *(partial(column.copy_, place) for place, column in pairs)])

    def scatter(self, p: Params, columns: torch.Tensor, image: torch.Tensor) -> Kernel:
        """Adds up the ``columns`` at the places in ``image`` where their numbers belong."""
        padded, inner, pairs = self.windows(p, image, columns)
        add = (partial(place.add_, column) for place, column in pairs)
        return sequence([padded.zero_, *add, partial(image.copy_, inner)])

    def windows(
        self, p: Params, image: torch.Tensor, columns: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, list[tuple[torch.Tensor, torch.Tensor]]]:
        """A padded array for ``image``, the part of it that is the image's, and pairs of views that match.

        A pair is the numbers at one point of all windows, in the padded array and in ``columns``.
        """
        sizes = image.shape[2:]
        shape = [size + 2 * pad for size, pad in zip(sizes, p.pad)]
        padded = torch.zeros(*image.shape[:2], *shape, dtype=image.dtype, device=image.device)
        inner: Any = (..., *(slice(pad, pad + size) for size, pad in zip(sizes, p.pad)))
        counts = self.counts(p, sizes)
        points = columns.view(*image.shape[:2], *p.kernel, *counts)
        pairs = []
        for point in every(*map(range, p.kernel)):
            places = [
                slice(i * dilate, i * dilate + (count - 1) * stride + 1, stride)
                for i, dilate, count, stride in zip(point, p.dilate, counts, p.stride)
            ]
            in_image: Any = (..., *places)
            in_columns: Any = (slice(None), slice(None), *point)
            pairs.append((padded[in_image], points[in_columns]))
        return padded, padded[inner], pairs


@register
class Im2Col(_Columns):
    r"""The windows of an image as columns: :math:`y_{n, (c, k), o} = x_{n, c, o \cdot stride + k \cdot dilate - pad}`.

    Shapes: ``data`` :math:`(N, C, d_1, …)` with one to three spatial axes, output
    :math:`(N, C k_1 k_2 ⋯, o_1 o_2 ⋯)` for :math:`o_i` windows along an axis, as many as those of a Convolution.

    Raises MXNetError if the kernel is larger than the padded image.
    """

    name = "im2col"
    samples = (
        Sample((1, 2, 3, 4), kernel=(2, 3)),
        Sample((1, 1, 5, 4), kernel=(2, 2), stride=(2, 1), pad=(1, 0), dilate=(1, 2)),
        Sample((2, 1, 4), kernel=(2,)),
    )

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if data is None:
            return inputs, outputs
        if len(data) != len(p.kernel) + 2:
            raise MXNetError(f"Data of im2col should have {len(p.kernel) + 2} axes, but has shape {data}")
        places = product(self.counts(p, data[2:])) if is_known(data[2:]) else 0
        return inputs, [merge(outputs[0], (data[0], data[1] * product(p.kernel), places))]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_im2col", dy[0], x[0], **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        return self.gather(p, inputs[0], outputs[0])


@register
class Im2ColGradient(_Columns):
    """Gradient of im2col: each head gradient is added to the number that it came from."""

    name = "_backward_im2col"
    inputs = ("head_grad", "data")
    unread = (1,)
    samples = (Sample((1, 4, 3), (1, 2, 4), kernel=(2,)),)

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[1], outputs[0])
        return [inputs[0], data], [data]

    def gradient(self, p, x, y, dy):
        return [apply("im2col", dy[0], **vars(p)), ZERO]

    def kernel(self, p, inputs, outputs, env):
        return self.scatter(p, inputs[0], outputs[0])


@register
class Col2Im(_Columns):
    r"""An image from its windows as columns: numbers that belong to one place are added. The transpose of im2col.

    Shapes: ``data`` :math:`(N, C k_1 k_2 ⋯, o_1 o_2 ⋯)` for :math:`o_i` windows along an axis, output
    :math:`(N, C, d_1, …)` with the spatial sizes ``output_size``.

    Raises MXNetError if the number of rows or columns does not fit.
    """

    name = "col2im"
    parameters = {"output_size": Param(ShapeKind, doc="Spatial sizes of the image."), **_Columns.parameters}
    samples = (
        Sample((1, 8, 6), output_size=(3, 4), kernel=(2, 2)),
        Sample((1, 4, 9), output_size=(5, 4), kernel=(2, 2), stride=(2, 1), pad=(1, 0), dilate=(2, 1)),
    )

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if len(p.output_size) != len(p.kernel):
            raise MXNetError(f"output_size={p.output_size} of col2im does not fit kernel={p.kernel}")
        return p

    def infer_shape(self, p, inputs, outputs):
        data = inputs[0]
        if data is None:
            return inputs, outputs
        data = merge(data, (0, 0, product(self.counts(p, p.output_size))))
        points = product(p.kernel)
        if data[1] % points:
            raise MXNetError(f"The {data[1]} rows of the columns are no multiple of the {points} points of the kernel")
        return [data], [merge(outputs[0], (data[0], data[1] // points, *p.output_size))]

    def gradient(self, p, x, y, dy):
        window = {key: getattr(p, key) for key in _Columns.parameters}
        return [apply("im2col", dy[0], **window)]

    def kernel(self, p, inputs, outputs, env):
        return self.scatter(p, inputs[0], outputs[0])
