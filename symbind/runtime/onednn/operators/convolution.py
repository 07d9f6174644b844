"""Convolution, its transpose, and their gradients.

The way forward decides how activations lie; both ways back take that over, so that activations are not converted on
the way. Weights lie differently in each of the three, which is a conversion of little against the convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import product

from ....ops import spatial
from ...engine import Implementation, Value
from ..convolution import Convolution, Deconvolution
from ..declarations import Arg
from ..engine import channel_block, thread_count
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
from ..library import Unsupported
from ..memory import MemoryDesc
from ..primitive import PostOp, Primitive

#: From how many operations for each that is needed on blocks are left alone. On channels last, the library runs 20 and
#: 50 channels 1.7 times as fast as in blocks that make 32 and 64 of them.
_MUCH_PADDING = 1.25

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
        if training:
            data, output = self._agreed_layouts()
            layouts = [(data, self.output.desc)] if self.output.value.layout is not None else []
            layouts += [(data, output), (self.data.any, self.output.any)]
        else:
            layouts = list(product(_inference_layouts(self.data), _inference_layouts(self.output)))
        return choose(partial(self._forward, x, y, training, post_ops(y)) for x, y in layouts)

    def _forward(self, data: MemoryDesc, output: MemoryDesc, training: bool, post_ops: Sequence[PostOp]) -> Primitive:
        found = self.geometry.forward(
            data, self.weight.any, self.bias, output, training=training, post_ops=post_ops
        )  # fmt: skip
        # Where this kernel cuts the channels of the data into parts (256, with a kernel of 4 x 4), it adds the bias and
        # does the post-ops once for each part. In gradients it has neither to do.
        if "brgconv_strided" in found.implementation and (self.bias is not None or post_ops):
            raise Unsupported(f"{found.implementation} is wrong with a bias or post-ops")
        return found

    def back(self, gradient: Callable[[Primitive, MemoryDesc, MemoryDesc], Primitive]) -> Primitive:
        """``gradient(forward, data, output)`` for activations as they lie on the way forward, if there is a kernel."""
        data, output = self._agreed_layouts()
        forward = choose(
            [
                partial(self.geometry.forward, data, self.weight.any, self.bias, output, training=True),
                partial(
                    self.geometry.forward, self.data.any, self.weight.any, self.bias, self.output.any, training=True
                ),
            ]
        )
        return choose(
            partial(gradient, forward, data, output)
            for data, output in product(
                (forward.descs[Arg.SRC], self.data.any), (forward.descs[Arg.DST], self.output.any)
            )
        )

    def _agreed_layouts(self) -> tuple[MemoryDesc, MemoryDesc]:
        """How data and output best lie for all three directions."""
        is_inner = self.data.value.layout is not None
        data = self.data.desc if is_inner else self.data.any
        return _agreed_layouts(self.geometry, data, is_inner, self.weight.any, self.output.any, thread_count())


@lru_cache(maxsize=1024)
def _agreed_layouts(
    geometry: Convolution, data: MemoryDesc, is_inner: bool, weight: MemoryDesc, output: MemoryDesc, threads: int
) -> tuple[MemoryDesc, MemoryDesc]:
    """Layouts of data and output in which every direction has a kernel of its own; *any* where there are none.

    What the way forward likes best need not do for the way back: with few channels in blocks that are mostly padding,
    or a few for each group. Channels last do for everything, but are a little slower where blocks do too. They are
    asked for first where much of the work would be done on padding, unless the data comes in blocks: from a batch
    normalization, say, which is slow on channels last if they are few. The gradient of the data is not looked at in
    the first layer, where nobody wants it.
    """
    any_data = MemoryDesc.any(data.shape, data.dtype)
    last = (MemoryDesc.channels_last(data.shape, data.dtype), MemoryDesc.channels_last(output.shape, output.dtype))
    in_blocks = is_inner and bool(data.blocks)
    padding = _padding(output) * (_padding(data) if is_inner else 1)
    candidates = [(data, output), (any_data, output)]
    candidates.insert(0 if padding > _MUCH_PADDING and not in_blocks else 2, last)
    for x, y in candidates:
        try:
            forward = geometry.forward(x, weight, None, y, training=True)
            if _is_slow(forward):
                continue
            x, y = forward.descs[Arg.SRC], forward.descs[Arg.DST]
            slow = _is_slow(geometry.backward_weights(forward, x, weight, None, y))
            if not slow and not (is_inner and _is_slow(geometry.backward_data(forward, x, weight, y))):
                return x, y
        except Unsupported:
            continue
    return any_data, output


def _padding(activation: MemoryDesc) -> float:
    """How many channels are computed with in blocks for each that there is."""
    channels, block = activation.shape[1], channel_block()
    return -(-channels // block) * block / channels


def _is_slow(primitive: Primitive) -> bool:
    """Whether it is the reference, or a general matrix product on an array of copied windows."""
    return primitive.is_reference or "gemm" in primitive.implementation


def _inference_layouts(activation: View) -> list[MemoryDesc]:
    """In which layouts to ask for an activation: as it lies if it has been laid out, else as the library likes.

    In inference the first layer of a network chooses blocks, because of its few channels, and all others would rather
    not have them: one conversion is better than to follow it.
    """
    stays = activation.value.layout is not None and activation.desc.is_plain
    return [activation.desc, activation.any] if stays else [activation.any]


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
