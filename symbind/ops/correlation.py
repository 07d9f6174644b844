"""How alike two images are, patch by patch: the layer of networks that estimate motion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import Operator, Sample, register
from .parameter import Bool, Int, Param, Params
from .shapes import merge

__all__: list[str] = []

aten = torch.ops.aten


class _Correlation(Operator):
    """The patches: their sizes, and views of what is compared."""

    kernel_size = Param(Int, 1, "Height and width of a patch, an odd number.")
    max_displacement = Param(Int, 1, "How far apart patches may be.")
    stride1 = Param(Int, 1, "Distance of patches in the first image.")
    stride2 = Param(Int, 1, "Distance of patches in the second image.")
    pad_size = Param(Int, 0, "Zeros added on all sides.")
    is_multiply = Param(Bool, True, "Multiply numbers; otherwise take the size of their differences.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.kernel_size < 1 or p.kernel_size % 2 == 0:
            raise MXNetError(f"kernel_size={p.kernel_size} of Correlation should be an odd number")
        for name, least in (("max_displacement", 0), ("stride1", 1), ("stride2", 1), ("pad_size", 0)):
            if getattr(p, name) < least:
                raise MXNetError(f"{name}={getattr(p, name)} of Correlation must be at least {least}")
        return p

    @staticmethod
    def steps(p: Params) -> range:
        """Displacements along one axis."""
        most = p.max_displacement // p.stride2 * p.stride2
        return range(-most, most + 1, p.stride2)

    @staticmethod
    def size(p: Params, given: int) -> int:
        """Number of patches along an axis."""
        if not given:
            return 0
        room = given + 2 * p.pad_size - 2 * p.max_displacement - (p.kernel_size - 1)
        if room < 1:
            raise MXNetError(
                f"Patches of {p.kernel_size} at displacements of up to {p.max_displacement} do not fit an axis of "
                f"{given} padded by {p.pad_size}"
            )
        return -(-room // p.stride1)

    def correlated_shapes(self, p, data, output):
        """Shapes of the images and the output."""
        data, output = merge(data, (0, 0, 0, 0)), merge(output, (0, 0, 0, 0))
        sizes = (self.size(p, data[2]), self.size(p, data[3]))
        output = merge(output, (data[0], len(self.steps(p)) ** 2, *sizes))
        return (output[0], *data[1:]), output

    @staticmethod
    def padded(p: Params, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """An array for ``image`` with zeros around, and the part of it that is the image's."""
        pad, (height, width) = p.pad_size, image.shape[2:]
        array = image.new_zeros(*image.shape[:2], height + 2 * pad, width + 2 * pad)
        return array, array[:, :, pad : pad + height, pad : pad + width]

    def reach(self, p: Params, output: torch.Tensor) -> tuple[int, int]:
        """Height and width of what all patches together cover."""
        height, width = ((n - 1) * p.stride1 + p.kernel_size for n in output.shape[2:])
        return height, width

    def compared(
        self, p: Params, images: Sequence[torch.Tensor], output: torch.Tensor
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """What all patches cover in the two padded images, for each displacement."""
        first, second = images
        (height, width), most = self.reach(p, output), p.max_displacement
        for down in self.steps(p):
            for across in self.steps(p):
                top, left = most + down, most + across
                yield (
                    first[:, :, most : most + height, most : most + width],
                    second[:, :, top : top + height, left : left + width],
                )

    @staticmethod
    def patches(p: Params) -> tuple[list[int], list[int], list[int]]:
        """What torch's average pooling takes to average over patches."""
        return [p.kernel_size] * 2, [p.stride1] * 2, [0, 0]


@register
class Correlation(_Correlation):
    r"""The average product of two patches, one from each image.

    Channel :math:`(u, v)` of the output compares patches at places :math:`x` of the first image with those at
    :math:`x + (u, v)` of the second:

    .. math:: y_{(u,v), x} = \frac 1 {C k^2} \sum_{c} \sum_{o ∈ k × k} a_{c, x + o}\, b_{c, x + o + (u, v)}

    or :math:`|a - b|` instead of products. Displacements :math:`u` and :math:`v` are the multiples of ``stride2`` up
    to ``max_displacement`` in both directions, :math:`u` first.

    Shapes: ``data1`` and ``data2`` :math:`(N, C, h, w)`; output :math:`(N, D^2, H, W)` for :math:`D` displacements
    along an axis and as many places, ``stride1`` apart, as keep all patches in the padded images.

    Raises MXNetError if no patch fits.

    Dosovitskiy et al., "FlowNet: Learning Optical Flow with Convolutional Networks", 2015.
    """

    name = "Correlation"
    inputs = ("data1", "data2")
    samples = (
        Sample((2, 2, 4, 3), (2, 2, 4, 3), pad_size=1),
        Sample((1, 2, 5, 6), (1, 2, 5, 6), kernel_size=3, max_displacement=2, stride1=2, stride2=2, pad_size=2),
        Sample((1, 1, 3, 3), (1, 1, 3, 3), values={0: (1, 2), 1: (3, 4)}, is_multiply=False),
    )

    def num_recorded_outputs(self, p):
        return 3

    def infer_shape(self, p, inputs, outputs):
        data, output = self.correlated_shapes(p, merge(*inputs), outputs[0])
        return [data, data], [output]

    def gradient(self, p, x, y, dy):
        return list(apply("_backward_Correlation", dy[0], *x, **vars(p)))

    def kernel(self, p, inputs, outputs, env):
        output = outputs[0]
        arrays, parts = zip(*(self.padded(p, image) for image in inputs))
        likeness = output.new_empty(*output.shape[:2], *self.reach(p, output))
        scratch = output.new_empty(len(output), inputs[0].shape[1], *self.reach(p, output))
        pairs = list(self.compared(p, arrays, output))
        average = partial(aten.avg_pool2d.out, likeness, *self.patches(p), out=output)

        def run() -> None:
            for part, image in zip(parts, inputs):
                part.copy_(image)
            for (first, second), channel in zip(pairs, likeness.unbind(1)):
                if p.is_multiply:
                    torch.mul(first, second, out=scratch)
                else:
                    torch.sub(first, second, out=scratch).abs_()
                torch.mean(scratch, 1, out=channel)
            average()

        return run


@register
class CorrelationGradient(_Correlation):
    """Gradient of Correlation: every head gradient, times the other image's patch, goes to the patch it came from."""

    name = "_backward_Correlation"
    inputs = ("head_grad", "data1", "data2")

    def num_outputs(self, p):
        return 2

    def infer_shape(self, p, inputs, outputs):
        known = merge(merge(inputs[1], inputs[2]), merge(outputs[0], outputs[1]))
        data, head = self.correlated_shapes(p, known, inputs[0])
        return [head, data, data], [data, data]

    def kernel(self, p, inputs, outputs, env):
        head, *images = inputs
        arrays, parts = zip(*(self.padded(p, image) for image in images))
        sums, inner = zip(*(self.padded(p, image) for image in images))
        shape = (*head.shape[:2], *self.reach(p, head))
        likeness = head.new_empty(shape)
        scratch = head.new_empty(len(head), images[0].shape[1], *shape[2:])
        steps = list(zip(self.compared(p, arrays, head), self.compared(p, sums, head)))
        spread = partial(
            aten.avg_pool2d_backward.grad_input,
            head,
            likeness,
            *self.patches(p),
            False,
            True,
            None,
            grad_input=likeness,
        )
        one = head.new_ones(())

        def run() -> None:
            for part, image in zip(parts, images):
                part.copy_(image)
            for total in sums:
                total.zero_()
            spread()
            likeness.div_(images[0].shape[1])
            for channel, ((first, second), (to_first, to_second)) in enumerate(steps):
                weight = likeness[:, channel : channel + 1]
                if p.is_multiply:
                    to_first.addcmul_(weight, second)
                    to_second.addcmul_(weight, first)
                else:
                    # Equal numbers count as if the first were the larger.
                    torch.sub(first, second, out=scratch)
                    torch.copysign(one, scratch, out=scratch).mul_(weight)
                    to_first.add_(scratch)
                    to_second.sub_(scratch)
            for output, part in zip(outputs, inner):
                output.copy_(part)

        return run
