"""Convolution, its transpose, and their gradients.

The way forward decides how activations lie; both ways back take that over, so that activations are not converted on
the way. Weights lie differently in each of the three, which is a conversion of little against the convolution.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product

from ....ops import spatial
from ...engine import Implementation, Value
from ..convolution import Convolution, Deconvolution
from ..declarations import Arg
from ..implementation import (
    Operand,
    PostOps,
    PrimitiveImplementation,
    Request,
    View,
    choose,
    implements,
    no_post_ops,
)
from ..memory import MemoryDesc
from ..primitive import Primitive

_FAMILIES: dict[str, type[Convolution]] = {"Convolution": Convolution, "Deconvolution": Deconvolution}


class _Layer:
    """A layer as the library sees it: the geometry, the arrays, and the way forward that all directions share."""

    def __init__(self, request: Request, data: Value, weight: Value, output: Value, bias: Value | None = None) -> None:
        op, p = request.node.op, request.node.params
        last = spatial.channel_last(p)
        rank = len(p.kernel)
        first = (0, rank + 1, *range(1, rank + 1)) if last else tuple(range(rank + 2))
        self.data, self.output = View(data, first), View(output, first)
        self.bias = None if bias is None else MemoryDesc.plain(bias.shape, bias.dtype)
        transposed = op.transposed  # type: ignore[union-attr]
        # Axes of the weight after its first is cut into groups: [G,] O, C, ... of which a transposed layer swaps two.
        grouped = int(p.num_group > 1)
        axes = [*range(grouped), grouped, *(grouped + axis for axis in first[1:])]
        if transposed:
            axes[grouped : grouped + 2] = axes[grouped + 1], axes[grouped]
        self.weight = View(weight, axes, p.num_group)
        pad, extra = op.padding(p, self.data.shape[2:])  # type: ignore[union-attr]
        after = tuple(before - more for before, more in zip(pad, extra))
        self.geometry = _FAMILIES[op.layer](p.stride, p.dilate, tuple(pad), after, p.num_group)  # type: ignore[union-attr]

    def forward(self, training: bool = True, post_ops: PostOps = no_post_ops) -> Primitive:
        """The primitive of the way forward."""
        return choose(
            partial(self.geometry.forward, x, self.weight.any, self.bias, y, training=training, post_ops=post_ops(y))
            for x, y in product(_layouts(self.data, training), _layouts(self.output, training))
        )

    def back(self, gradient: Callable[[Primitive, MemoryDesc, MemoryDesc], Primitive]) -> Primitive:
        """``gradient(forward, data, output)`` for activations as they lie on the way forward, if there is a kernel."""
        forward = self.forward()
        return choose(
            partial(gradient, forward, data, output)
            for data, output in product(
                (forward.descs[Arg.SRC], self.data.any), (forward.descs[Arg.DST], self.output.any)
            )
        )


def _layouts(activation: View, training: bool) -> list[MemoryDesc]:
    """In which layouts to ask for an activation: as it lies if it has been laid out, else as the library likes.

    In inference the first layer of a network chooses blocks, because of its few channels, and all others would rather
    not have them: one conversion is better than to follow it.
    """
    desc = activation.desc
    stays = activation.value.layout is not None and (training or desc.is_plain)
    return [desc, activation.any] if stays else [activation.any]


@implements("Convolution", "Deconvolution")
def forward(request: Request) -> Implementation:
    data, weight, *bias = request.inputs
    layer = _Layer(request, data, weight, request.outputs[0], *bias)
    operands: list[Operand] = [(Arg.SRC, layer.data), (Arg.WEIGHTS, layer.weight), Arg.BIAS]
    primitive = layer.forward(request.training, request.post_ops)
    return PrimitiveImplementation(primitive, operands[: len(request.inputs)], [(Arg.DST, layer.output)])


@implements("_backward_Convolution_data", "_backward_Deconvolution_data")
def data_gradient(request: Request) -> Implementation:
    head, weight, data = request.inputs
    layer = _Layer(request, data, weight, head)
    primitive = layer.back(lambda f, src, dst: layer.geometry.backward_data(f, src, layer.weight.any, dst))
    operands = [(Arg.DIFF_DST, layer.output), (Arg.WEIGHTS, layer.weight), None]
    return PrimitiveImplementation(primitive, operands, [(Arg.DIFF_SRC, layer.data)])


@implements("_backward_Convolution_weight", "_backward_Deconvolution_weight")
def weight_gradient(request: Request) -> Implementation:
    head, data = request.inputs
    layer = _Layer(request, data, request.outputs[0], head)
    primitive = layer.back(lambda f, src, dst: layer.geometry.backward_weights(f, src, layer.weight.any, None, dst))
    operands = [(Arg.DIFF_DST, layer.output), (Arg.SRC, layer.data)]
    return PrimitiveImplementation(primitive, operands, [(Arg.DIFF_WEIGHTS, layer.weight)])


@implements("_fused_backward_Convolution_weight")
def parameters_gradient(request: Request) -> Implementation:
    head, data = request.inputs
    weight, bias = request.outputs
    layer = _Layer(request, data, weight, head, bias)
    primitive = layer.back(
        lambda f, src, dst: layer.geometry.backward_weights(f, src, layer.weight.any, layer.bias, dst)
    )
    operands = [(Arg.DIFF_DST, layer.output), (Arg.SRC, layer.data)]
    return PrimitiveImplementation(primitive, operands, [(Arg.DIFF_WEIGHTS, layer.weight), Arg.DIFF_BIAS])
