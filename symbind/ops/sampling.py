"""Images read at any places: grids of places, sampling at them, and both at once.

Jaderberg et al., "Spatial Transformer Networks", 2015. A grid :math:`(N, 2, H, W)` gives for every pixel of the output
the place :math:`(x, y)` in the input where it is read; -1 is the middle of the first pixel, 1 that of the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .kernels import sequence
from .operator import ZERO, Kernel, Operator, Sample, register
from .parameter import Bool, Enum, Optional, Param, Params
from .parameter import Shape as ShapeKind
from .shapes import merge, product

__all__: list[str] = []

aten = torch.ops.aten
# How torch calls it: linear between pixels, zeros outside, 1 for the middle of the last pixel.
_BILINEAR = (0, 0, True)


def _check_target(operator: Operator, p: Params) -> None:
    if len(p.target_shape) != 2 or min(p.target_shape) < 1:
        raise MXNetError(f"target_shape={p.target_shape} of {operator.name} must be a height and a width of at least 1")


def _regular_grid(sizes: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    """Rows x, y and 1 of all pixels of an image of these sizes, (3, height·width)."""
    axes = (torch.linspace(-1, 1, count, dtype=torch.float64) for count in sizes)
    y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack((x, y, torch.ones_like(x))).view(3, -1).to(like)


def _transform(matrix: torch.Tensor, grid: torch.Tensor) -> Kernel:
    """Computes the affine ``grid`` (N, 2, H, W) of each ``matrix`` (N, 6)."""
    regular = _regular_grid(grid.shape[2:], grid)
    return partial(torch.matmul, matrix.view(-1, 3), regular, out=grid.view(len(matrix) * 2, -1))


def _sample(data: torch.Tensor, grid: torch.Tensor, output: torch.Tensor) -> Kernel:
    """Reads ``data`` at the places of ``grid``."""
    read = partial(aten.grid_sampler_2d, data, grid.movedim(1, -1), *_BILINEAR)
    return lambda: output.copy_(read())


# ---- grids --------------------------------------------------------------------------------------


class _GridGenerator(Operator):
    transform_type = Param(Enum("affine", "warp"), doc="Whether data is a matrix, or how far each pixel moves.")
    target_shape = Param(ShapeKind, (0, 0), "Height and width of the grid, for affine.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.transform_type == "affine":
            _check_target(self, p)
        return p

    def shapes(self, p, data, grid):
        """Shapes of the data and the grid."""
        if p.transform_type == "affine":
            data = merge(data, (0, 6))
            grid = merge(grid, (data[0], 2, *p.target_shape))
            return (grid[0], 6), grid
        grid = merge(merge(data, grid), (0, 2, 0, 0))
        return grid, grid

    @staticmethod
    def pixel(grid: torch.Tensor) -> torch.Tensor:
        """Half the distance from the first to the last pixel: how much of x and y is one."""
        height, width = grid.shape[2:]
        return torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=grid.dtype, device=grid.device).view(2, 1, 1)


@register
class GridGenerator(_GridGenerator):
    r"""Grids of places for :class:`BilinearSampler`.

    *affine*: the place of pixel :math:`(x, y)`, both from -1 to 1, is

    .. math:: \begin{pmatrix} θ_0 & θ_1 & θ_2 \\ θ_3 & θ_4 & θ_5 \end{pmatrix}
              \begin{pmatrix} x \\ y \\ 1 \end{pmatrix}.

    *warp*: every pixel is read as many pixels to the right and below as ``data`` says.

    Shapes: ``data`` :math:`(N, 6)` for affine, :math:`(N, 2, H, W)` for warp; output :math:`(N, 2, H, W)`.

    Raises MXNetError if ``target_shape`` is missing for affine.
    """

    name = "GridGenerator"
    samples = (
        Sample((2, 6), transform_type="affine", target_shape=(2, 3)),
        Sample((2, 2, 3, 4), transform_type="warp"),
    )

    def num_recorded_outputs(self, p):
        return 2

    def infer_shape(self, p, inputs, outputs):
        data, grid = self.shapes(p, inputs[0], outputs[0])
        return [data], [grid]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_GridGenerator", dy[0], **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        data, grid = inputs[0], outputs[0]
        if p.transform_type == "affine":
            return _transform(data, grid)
        pixel = self.pixel(grid)
        y, x = torch.meshgrid(*(torch.arange(n, device=env.device) for n in grid.shape[2:]), indexing="ij")
        own = torch.stack((x, y)).to(grid)
        return lambda: torch.add(data, own, out=grid).div_(pixel).sub_(1)


@register
class GridGeneratorGradient(_GridGenerator):
    """Gradient of GridGenerator, which is linear: head gradients times the matrix transposed."""

    name = "_backward_GridGenerator"
    inputs = ("head_grad",)
    samples = (
        Sample((2, 2, 2, 3), transform_type="affine", target_shape=(2, 3)),
        Sample((2, 2, 3, 4), transform_type="warp"),
    )

    def infer_shape(self, p, inputs, outputs):
        data, grid = self.shapes(p, outputs[0], inputs[0])
        return [grid], [data]

    def gradient(self, p, x, y, dy):
        if p.transform_type == "affine":
            return [apply("GridGenerator", dy[0], **vars(p))]
        return [apply("_backward_GridGenerator", dy[0], **vars(p))]

    def kernel(self, p, inputs, outputs, env):
        head, output = inputs[0], outputs[0]
        if p.transform_type == "warp":
            return partial(torch.div, head, self.pixel(head), out=output)
        regular = _regular_grid(p.target_shape, head)
        rows = len(head) * 2
        return partial(torch.matmul, head.view(rows, product(p.target_shape)), regular.T, out=output.view(rows, 3))


# ---- sampling -----------------------------------------------------------------------------------


def _sampled_shapes(data, grid, output):
    """Shapes of the data, the grid and the output, from what is known of each."""
    data, grid, output = merge(data, (0, 0, 0, 0)), merge(grid, (0, 2, 0, 0)), merge(output, (0, 0, 0, 0))
    output = merge(output, (data[0], data[1], 0, 0))
    output = merge(output, (grid[0], 0, *grid[2:]))
    return merge(data, (output[0], output[1], 0, 0)), (output[0], 2, *output[2:]), output


@register
class BilinearSampler(Operator):
    r"""An image read at the places of a grid, by linear interpolation between the four pixels around.

    Pixel :math:`(i, j)` of the output is read at :math:`\left( (grid_{1,i,j} + 1) \frac{h - 1}2,\; (grid_{0,i,j} + 1)
    \frac{w - 1}2 \right)`, where pixels outside the image are 0.

    Shapes: ``data`` :math:`(N, C, h, w)`, ``grid`` :math:`(N, 2, H, W)`, output :math:`(N, C, H, W)`.
    """

    name = "BilinearSampler"
    inputs = ("data", "grid")
    cudnn_off = Param(Optional(Bool), None, "Accepted for MXNet's sake.")
    samples = (Sample((2, 2, 3, 4), (2, 2, 2, 3), values={1: (-1.3, 1.3)}),)

    def num_recorded_outputs(self, p):
        return 2

    def infer_shape(self, p, inputs, outputs):
        data, grid, output = _sampled_shapes(inputs[0], inputs[1], outputs[0])
        return [data, grid], [output]

    def gradient(self, p, x, y, dy):
        data, grid = x
        return [
            apply("_backward_BilinearSampler_data", dy[0], grid, data),
            apply("_backward_BilinearSampler_grid", dy[0], data, grid),
        ]

    def kernel(self, p, inputs, outputs, env):
        return _sample(inputs[0], inputs[1], outputs[0])


@register
class BilinearSamplerDataGradient(Operator):
    """Gradient of BilinearSampler for the image: head gradients go to the pixels around, by their weights.

    On a GPU, gradients that meet at one pixel are added in any order.
    """

    name = "_backward_BilinearSampler_data"
    inputs = ("head_grad", "grid", "data")
    unread = (2,)
    samples = (Sample((1, 2, 2, 2), (1, 2, 2, 2), (1, 2, 3, 4), values={1: (-1.3, 1.3)}),)

    def infer_shape(self, p, inputs, outputs):
        data, grid, head = _sampled_shapes(merge(inputs[2], outputs[0]), inputs[1], inputs[0])
        return [head, grid, data], [data]

    def gradient(self, p, x, y, dy):
        head, grid, _ = x
        # With its output as the image, this is sampling, read backwards.
        return [
            apply("BilinearSampler", dy[0], grid),
            apply("_backward_BilinearSampler_grid", head, dy[0], grid),
            ZERO,
        ]

    def kernel(self, p, inputs, outputs, env):
        head, grid, data = inputs
        differentiate = partial(
            aten.grid_sampler_2d_backward, head, data, grid.movedim(1, -1), *_BILINEAR, [True, False]
        )
        return lambda: outputs[0].copy_(differentiate()[0])


@register
class BilinearSamplerGridGradient(Operator):
    """Gradient of BilinearSampler for the grid: how much head gradients make of the image's slope at each place."""

    name = "_backward_BilinearSampler_grid"
    inputs = ("head_grad", "data", "grid")

    def infer_shape(self, p, inputs, outputs):
        data, grid, head = _sampled_shapes(inputs[1], merge(inputs[2], outputs[0]), inputs[0])
        return [head, data, grid], [grid]

    def kernel(self, p, inputs, outputs, env):
        head, data, grid = inputs
        differentiate = partial(
            aten.grid_sampler_2d_backward, head, data, grid.movedim(1, -1), *_BILINEAR, [False, True]
        )
        output = outputs[0].movedim(1, -1)
        return lambda: output.copy_(differentiate()[1])


# ---- both at once -------------------------------------------------------------------------------


@register
class SpatialTransformer(Operator):
    r"""An image moved, turned and stretched: :class:`BilinearSampler` on the affine grid of :class:`GridGenerator`.

    Shapes: ``data`` :math:`(N, C, h, w)`, ``loc`` :math:`(N, 6)`, output :math:`(N, C, H, W)` with :math:`(H, W)` =
    ``target_shape``.

    Raises MXNetError if ``target_shape`` is missing.
    """

    name = "SpatialTransformer"
    inputs = ("data", "loc")
    outputs = ("output", "grid")
    target_shape = Param(ShapeKind, (0, 0), "Height and width of the output.")
    transform_type = Param(Enum("affine"), doc="Kind of grid.")
    sampler_type = Param(Enum("bilinear"), doc="Kind of interpolation.")
    cudnn_off = Param(Optional(Bool), None, "Accepted for MXNet's sake.")
    samples = (Sample((2, 2, 3, 4), (2, 6), target_shape=(2, 3), transform_type="affine", sampler_type="bilinear"),)

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        _check_target(self, p)
        return p

    def num_outputs(self, p):
        return 2

    def num_visible_outputs(self, p):
        return 1

    def num_recorded_outputs(self, p):
        return 3

    def infer_shape(self, p, inputs, outputs):
        grid = merge(outputs[1], (0 if inputs[1] is None else inputs[1][0], 2, *p.target_shape))
        data, grid, output = _sampled_shapes(inputs[0], grid, outputs[0])
        return [data, (output[0], 6)], [output, grid]

    def gradient(self, p, x, y, dy):
        data, grid = x[0], y[1]
        moved = apply("_backward_BilinearSampler_grid", dy[0], data, grid)
        return [
            apply("_backward_BilinearSampler_data", dy[0], grid, data),
            apply("_backward_GridGenerator", moved, transform_type="affine", target_shape=p.target_shape),
        ]

    def kernel(self, p, inputs, outputs, env):
        data, matrix = inputs
        output, grid = outputs
        return sequence([_transform(matrix, grid), _sample(data, grid, output)])
