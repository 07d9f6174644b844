"""Operators that change the order of axes, or of parts of them, and no value."""

from __future__ import annotations

from functools import partial

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import Operator, Sample, register
from .parameter import Int, Param, Shape
from .shapes import merge, normalize_axis

__all__: list[str] = []


@register
class Transpose(Operator):
    """The axes in another order: dimension ``i`` of the output is dimension ``axes[i]`` of the input."""

    name = "transpose"
    axes = Param(Shape, (), "The order; reversed if empty")
    samples = (Sample((2, 3, 4)), Sample((2, 3, 4), axes=(2, 0, 1)), Sample((2, 3, 4), axes=(0, 2, 1)))

    def sample_inputs(self, p):
        return (0,) if p.axes[:1] == (0,) else ()

    def infer_shape(self, p, inputs, outputs):
        rank = next((len(shape) for shape in (*inputs, *outputs) if shape is not None), len(p.axes))
        if not rank:
            return inputs, outputs
        order = _order(p.axes, rank)
        out = outputs[0] if inputs[0] is None else merge(tuple(inputs[0][axis] for axis in order), outputs[0])
        data = inputs[0] if out is None else merge(inputs[0], tuple(out[axis] for axis in _inverse(order)))
        return [data], [out]

    def gradient(self, p, x, y, dy):
        return [apply("transpose", dy[0], axes=_inverse(p.axes))]

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].copy_, inputs[0].permute(_order(p.axes, inputs[0].dim())))


def _order(axes, rank: int) -> tuple[int, ...]:
    order = axes or tuple(reversed(range(rank)))
    if sorted(order) != list(range(rank)):
        raise MXNetError(f"axes {axes} is not an order of the {rank} dimensions of the input")
    return tuple(order)


def _inverse(order) -> tuple[int, ...]:
    return tuple(sorted(range(len(order)), key=order.__getitem__))


@register
class SwapAxis(Operator):
    """The array with two axes exchanged."""

    name = "SwapAxis"
    aliases = ("swapaxes",)
    dim1 = Param(Int, 0, "One axis")
    dim2 = Param(Int, 0, "The other")
    samples = (Sample((2, 3, 4), dim1=0, dim2=2), Sample((2, 3, 4), dim1=-1, dim2=1))

    def infer_shape(self, p, inputs, outputs):
        def swapped(shape):
            if shape is None:
                return None
            result = list(shape)
            one, other = (normalize_axis(d, len(shape), "dim") for d in (p.dim1, p.dim2))
            result[one], result[other] = shape[other], shape[one]
            return tuple(result)

        out = merge(swapped(inputs[0]), outputs[0])
        return [swapped(out)], [out]

    def gradient(self, p, x, y, dy):
        return [apply("SwapAxis", dy[0], dim1=p.dim1, dim2=p.dim2)]

    def kernel(self, p, inputs, outputs, env):
        return partial(outputs[0].copy_, inputs[0].transpose(p.dim1, p.dim2))


class _BlockRearrangement(Operator):
    """Base of the two operators that move pixels of a block between the image plane and the channels."""

    block_size = Param(Int, doc="Width and height of a block")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.block_size < 1:
            raise MXNetError(f"block_size must be a positive integer value, not {p.block_size}")
        return p

    def deep_shape(self, p, flat):
        """(N, C·b², H, W) for (N, C, H·b, W·b); 0 and None stay what they are."""
        if flat is None:
            return None
        self._check(flat)
        n, channels, height, width = flat
        if height % p.block_size or width % p.block_size:
            raise MXNetError(f"height and width of {flat} should be multiples of block_size {p.block_size}")
        return n, channels * p.block_size**2, height // p.block_size, width // p.block_size

    def flat_shape(self, p, deep):
        if deep is None:
            return None
        self._check(deep)
        n, channels, height, width = deep
        if channels % p.block_size**2:
            raise MXNetError(f"the channels of {deep} should be a multiple of block_size² = {p.block_size**2}")
        return n, channels // p.block_size**2, height * p.block_size, width * p.block_size

    def _check(self, shape):
        if len(shape) != 4:
            raise MXNetError(f"{self.name} needs images (N, C, H, W), not {shape}")

    def views(self, p, deep, flat):
        """Both arrays, one element beside the same element of the other."""
        b = p.block_size
        n, channels, height, width = deep.shape
        deep = deep.view(n, b, b, channels // b**2, height, width).permute(0, 3, 4, 1, 5, 2)
        return deep, flat.view(n, channels // b**2, height, b, width, b)


@register
class DepthToSpace(_BlockRearrangement):
    r"""Channels spread over blocks of pixels: (N, C·b², H, W) → (N, C, H·b, W·b).

    :math:`y_{n,c,hb+i,wb+j} = x_{n,(ib+j)C+c,h,w}`.
    """

    name = "depth_to_space"
    samples = (Sample((1, 8, 1, 2), block_size=2),)

    def infer_shape(self, p, inputs, outputs):
        out = merge(self.flat_shape(p, inputs[0]), outputs[0])
        return [self.deep_shape(p, out)], [out]

    def gradient(self, p, x, y, dy):
        return [apply("space_to_depth", dy[0], block_size=p.block_size)]

    def kernel(self, p, inputs, outputs, env):
        deep, flat = self.views(p, inputs[0], outputs[0])
        return partial(flat.copy_, deep)


@register
class SpaceToDepth(_BlockRearrangement):
    r"""Blocks of pixels gathered in channels: (N, C, H·b, W·b) → (N, C·b², H, W); undoes :class:`DepthToSpace`.

    :math:`y_{n,(ib+j)C+c,h,w} = x_{n,c,hb+i,wb+j}`.
    """

    name = "space_to_depth"
    samples = (Sample((1, 2, 2, 4), block_size=2),)

    def infer_shape(self, p, inputs, outputs):
        out = merge(self.deep_shape(p, inputs[0]), outputs[0])
        return [self.flat_shape(p, out)], [out]

    def gradient(self, p, x, y, dy):
        return [apply("depth_to_space", dy[0], block_size=p.block_size)]

    def kernel(self, p, inputs, outputs, env):
        deep, flat = self.views(p, outputs[0], inputs[0])
        return partial(deep.copy_, flat)
