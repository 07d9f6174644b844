"""Convolution whose kernel may take any shape, at every place another.

Dai et al., "Deformable Convolutional Networks", 2017.
"""

from __future__ import annotations

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from . import spatial
from .operator import Operator, Sample, register
from .parameter import Bool, Enum, Int, Optional, Param, Params
from .parameter import Shape as ShapeKind
from .shapes import merge

__all__: list[str] = []

aten = torch.ops.aten
# How torch calls it: linear between pixels, the pixels at the border beyond it, and -1 and 1 for its outer edges.
_BORDER = (0, 1, False)


class _Deformable(Operator):
    # In a dictionary, because the class has a method called kernel too.
    parameters = {"kernel": Param(ShapeKind, doc="Height and width of the kernel.")}
    stride = Param(ShapeKind, (), "Steps from window to window; 1 if left out.")
    dilate = Param(ShapeKind, (), "Steps between the points of a window; 1 if left out.")
    pad = Param(ShapeKind, (), "Zeros added at both ends of each axis; 0 if left out.")
    num_filter = Param(Int, doc="Number of channels of the output.")
    num_group = Param(Int, 1, "Number of groups of channels that are convolved each by itself.")
    num_deformable_group = Param(Int, 1, "Number of groups of channels with offsets of their own.")
    workspace = Param(Int, 1024, "Accepted for MXNet's sake.")
    no_bias = Param(Bool, False, "Whether there is no bias.")
    layout = Param(Optional(Enum("NCDHW", "NCHW", "NCW")), None, "Order of axes; NCHW is the only one.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if len(p.kernel) != 2:
            raise MXNetError(f"kernel={p.kernel} of DeformableConvolution must be a height and a width")
        spatial.complete("DeformableConvolution", p, stride=1, dilate=1, pad=0)
        spatial.check_layout("DeformableConvolution", p)
        for name in ("num_filter", "num_group", "num_deformable_group"):
            if getattr(p, name) < 1:
                raise MXNetError(f"{name} of DeformableConvolution must be at least 1, not {getattr(p, name)}")
        if p.num_filter % p.num_group:
            raise MXNetError(f"num_filter={p.num_filter} is no multiple of num_group={p.num_group}")
        return p

    @staticmethod
    def count(size: int, kernel: int, stride: int, dilate: int, pad: int) -> int:
        """How many windows there are along an axis."""
        reach = spatial.dilated(kernel, dilate)
        if size and reach > size + 2 * pad:
            raise MXNetError(f"A kernel that reaches over {reach} exceeds the image: {size} padded by {pad}")
        return (size + 2 * pad - reach) // stride + 1 if size else 0

    def convolved_shapes(self, p, inputs, output):
        """Shapes of the data, the offsets, the weight and the output."""
        data, offset, weight = inputs
        data, offset = merge(data, (0, 0, 0, 0)), merge(offset, (0, 0, 0, 0))
        for name in ("num_group", "num_deformable_group"):
            if data[1] % getattr(p, name):
                raise MXNetError(f"The {data[1]} channels of the data are no multiple of {name}={getattr(p, name)}")
        height, width = map(self.count, data[2:], p.kernel, p.stride, p.dilate, p.pad)
        output = merge(merge(output, (data[0], p.num_filter, height, width)), (offset[0], 0, *offset[2:]))
        places = 2 * p.num_deformable_group * p.kernel[0] * p.kernel[1]
        offset = merge(offset, (output[0], places, *output[2:]))
        weight = merge(weight, (p.num_filter, data[1] // p.num_group, *p.kernel))
        return (output[0], weight[1] * p.num_group, *data[2:]), offset, weight, output


class _Windows:
    """The points of all windows in an image, and the columns that are read there.

    Columns are (N·D, C/D, K·H, W) for D groups of offsets, K points of the kernel and H by W windows; in memory that
    is (N, C·K, H·W).
    """

    def __init__(self, p: Params, data: torch.Tensor, offset: torch.Tensor) -> None:
        groups, points = p.num_deformable_group, p.kernel[0] * p.kernel[1]
        batch, channels, *sizes = data.shape
        height, width = offset.shape[2:]
        self.image = data.view(batch * groups, channels // groups, *sizes)
        # (…, K·H, W, 2): first the row, then the column of a point
        self.offset = offset.view(batch * groups, points, 2, height, width)
        down, across = (
            torch.arange(count).view(1, -1) * stride + torch.arange(kernel).view(-1, 1) * dilate - pad
            for count, kernel, stride, dilate, pad in zip((height, width), p.kernel, p.stride, p.dilate, p.pad)
        )
        regular = torch.empty(*p.kernel, 2, height, width)
        regular[:, :, 0] = down[:, None, :, None]
        regular[:, :, 1] = across[None, :, None, :]
        self.regular = regular.view(points, 2, height, width).to(data)
        self.sizes = torch.tensor(sizes, device=data.device).view(2, 1, 1)
        self.grid = torch.empty(batch * groups, points, height, width, 2, dtype=data.dtype, device=data.device)
        self.inside = torch.empty(batch * groups, 1, points, height, width, dtype=torch.bool, device=data.device)

    def place(self) -> None:
        """Find the points: as torch's grid, and which of them are inside the image."""
        position = self.regular + self.offset
        torch.all((position >= 0) & (position < self.sizes), 2, out=self.inside.squeeze(1))
        # torch wants columns before rows.
        self.grid.copy_(position.mul_(2).add_(1).div_(self.sizes).sub_(1).flip(2).movedim(2, -1))

    @property
    def flat_grid(self) -> torch.Tensor:
        return self.grid.flatten(1, 2)

    @property
    def flat_inside(self) -> torch.Tensor:
        return self.inside.flatten(2, 3)

    def read(self) -> torch.Tensor:
        """The columns; points outside the image are 0."""
        return aten.grid_sampler_2d(self.image, self.flat_grid, *_BORDER).mul_(self.flat_inside)

    def differentiate(self, head: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients of the image and the offsets, from those of the columns, which are changed."""
        head.mul_(self.flat_inside)
        image, grid = aten.grid_sampler_2d_backward(head, self.image, self.flat_grid, *_BORDER, [True, True])
        return image, grid.view_as(self.grid).movedim(-1, 2).flip(2).mul_(2).div_(self.sizes)


@register
class DeformableConvolution(_Deformable):
    r"""Convolution that reads each point of a window where an offset moves it to.

    .. math:: y_{n,f,o} = b_f + \sum_{c,k} w_{f,c,k}\; x_{n,c}\bigl(o \cdot stride + k \cdot dilate - pad +
              offset_{n,k,o}\bigr)

    with linear interpolation between pixels; what is outside the image is 0.

    Shapes: ``data`` :math:`(N, C, h, w)`; ``offset`` :math:`(N, 2 D k_1 k_2, H, W)`, down before across for each point
    of the kernel, for each of :math:`D` = ``num_deformable_group`` groups of channels; ``weight``
    :math:`(F, C / G, k_1, k_2)` for :math:`G` = ``num_group``, ``bias`` :math:`(F)`, output :math:`(N, F, H, W)`, as
    Convolution has it.

    Raises MXNetError if the kernel is larger than the padded image, or groups do not divide the channels.
    """

    name = "_contrib_DeformableConvolution"
    inputs = ("data", "offset", "weight", "bias")
    samples = (
        Sample((1, 2, 4, 5), (1, 8, 3, 4), (3, 2, 2, 2), (3,), kernel=(2, 2), num_filter=3),
        Sample((2, 4, 5, 4), (2, 24, 3, 3), (2, 2, 3, 2), kernel=(3, 2), num_filter=2, stride=(2, 1), pad=(1, 0),
               num_group=2, num_deformable_group=2, no_bias=True),
    )  # fmt: skip

    def input_names(self, p):
        return self.inputs[:3] if p.no_bias else self.inputs

    def infer_shape(self, p, inputs, outputs):
        *shapes, output = self.convolved_shapes(p, inputs[:3], outputs[0])
        return [*shapes, *(merge(bias, (p.num_filter,)) for bias in inputs[3:])], [output]

    def gradient(self, p, x, y, dy):
        gradients = list(apply("_backward_contrib_DeformableConvolution", dy[0], *x[:3], **vars(p)))
        return gradients if p.no_bias else [*gradients, apply("sum", dy[0], axis=1, exclude=True)]

    def kernel(self, p, inputs, outputs, env):
        data, offset, weight = inputs[:3]
        bias = None if p.no_bias else inputs[3].view(-1, 1)
        windows = _Windows(p, data, offset)
        matrix = weight.view(p.num_group, p.num_filter // p.num_group, -1)
        output = outputs[0].view(len(data), *matrix.shape[:2], -1)
        rows = outputs[0].flatten(2)

        def run() -> None:
            windows.place()
            columns = windows.read().view(len(data), p.num_group, matrix.shape[2], -1)
            torch.matmul(matrix, columns, out=output)
            if bias is not None:
                rows.add_(bias)

        return run


@register
class DeformableConvolutionGradient(_Deformable):
    """Gradients of DeformableConvolution for data, offsets and weight.

    On a GPU, gradients of the data that meet at one pixel are added in any order.
    """

    name = "_backward_contrib_DeformableConvolution"
    inputs = ("head_grad", "data", "offset", "weight")
    samples = (Sample((1, 3, 3, 4), (1, 2, 4, 5), (1, 8, 3, 4), (3, 2, 2, 2), kernel=(2, 2), num_filter=3),)

    def num_outputs(self, p):
        return 3

    def infer_shape(self, p, inputs, outputs):
        known = [merge(given, told) for given, told in zip(inputs[1:], outputs)]
        *shapes, head = self.convolved_shapes(p, known, inputs[0])
        return [head, *shapes], shapes

    def kernel(self, p, inputs, outputs, env):
        head, data, offset, weight = inputs
        windows = _Windows(p, data, offset)
        matrix = weight.view(p.num_group, p.num_filter // p.num_group, -1)
        head = head.view(len(data), *matrix.shape[:2], -1)

        def run() -> None:
            windows.place()
            columns = windows.read()
            by_group = columns.view(len(data), p.num_group, matrix.shape[2], -1)
            torch.sum(torch.matmul(head, by_group.mT), 0, out=outputs[2].view(matrix.shape))
            torch.matmul(matrix.mT, head, out=by_group)
            image, moved = windows.differentiate(columns)
            outputs[0].copy_(image.view_as(data))
            outputs[1].view_as(moved).copy_(moved)

        return run
