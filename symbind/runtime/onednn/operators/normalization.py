"""Batch normalization: oneDNN normalizes, torch does what is left to do with a few numbers for each channel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import torch

from ....graph.node import Node
from ....ops.kernels import sequence
from ....ops.operator import Environment, Kernel
from ....ops.shapes import normalize_axis
from ...engine import Implementation, Layout, Value
from ..declarations import Algorithm, Arg, NormalizationFlag
from ..elementwise import binary
from ..engine import channel_block
from ..implementation import Operand, PrimitiveImplementation, Request, View, choose, implements
from ..library import Unsupported
from ..memory import MemoryDesc
from ..normalization import SCALE_AND_SHIFT, BatchNormalization
from ..primitive import Binary, Primitive

# With fewer channels, blocks would be mostly padding.
_MIN_CHANNELS_TO_BLOCK = 8


class _Layer:
    """A batch normalization as the library sees it, with statistics of the batch or given ones.

    ``rectified`` says that a rectifier follows, ``keeps`` that something is kept for the gradient.
    """

    def __init__(self, node: Node, data: Value, rectified: bool = False, keeps: bool = True) -> None:
        channels = normalize_axis(node.params.axis, len(data.shape))
        others = [axis for axis in range(len(data.shape)) if axis != channels]
        if not others:
            raise Unsupported("oneDNN's images have an axis beside the channels")
        self.view = View(data, (others[0], channels, *others[1:]))
        self.desc = self._desc()
        self.layout = self.view.layout(self.desc)
        self.epsilon = node.params.eps
        self.rectified = rectified
        self.flags = SCALE_AND_SHIFT | (NormalizationFlag.RELU if rectified else NormalizationFlag(0))
        self._keeps = keeps

    def _desc(self) -> MemoryDesc:
        """The layout to work in: the one that there is, but blocks for images on which the library is slow.

        These are plain ones, and those with channels last of which the registers do not hold a whole number.
        """
        desc = self.view.desc
        channels = desc.shape[1]
        slow = desc.is_row_major or (desc.is_plain and channels % channel_block())
        if len(desc.shape) > 2 and slow and channels >= _MIN_CHANNELS_TO_BLOCK:
            return self.view.channel_blocks
        return desc

    def forward(self, from_batch: bool) -> Primitive:
        # For given statistics without a rectifier nothing is kept.
        training = self._keeps and (from_batch or NormalizationFlag.RELU in self.flags)
        return choose([lambda: self._geometry(from_batch).forward(self.desc, self.desc, training=training)])

    def backward(self, from_batch: bool) -> Primitive:
        geometry = self._geometry(from_batch)
        forward = choose([lambda: geometry.forward(self.desc, self.desc, training=True)])
        return choose([lambda: geometry.backward(forward, self.desc, self.desc, self.desc)])

    def _geometry(self, from_batch: bool) -> BatchNormalization:
        given = NormalizationFlag(0) if from_batch else NormalizationFlag.GLOBAL_STATISTICS
        return BatchNormalization(self.epsilon, self.flags | given)


class _Implementation:
    """What both directions have in common: a primitive for either source of the statistics, and the memory."""

    inplace = ((0, 0),)
    is_reference = False

    def __init__(self, node: Node, layer: _Layer, num_data: int, from_batch: Primitive, given: Primitive) -> None:
        self._params = node.params
        self._from_batch, self._given = from_batch, given
        self.input_layouts: Sequence[Layout | None] = [layer.layout] * num_data + [None] * (len(node.inputs) - num_data)
        self.output_layouts: Sequence[Layout | None] = [layer.layout, None, None]
        self._mask = _mask_layout(from_batch, given)
        # The workspace starts with one number per channel.
        self._vector_bytes = -(-4 * layer.desc.shape[1] // 64) * 64
        self.workspace = self._vector_bytes + max(from_batch.scratchpad_bytes, given.scratchpad_bytes)
        usual = given if node.params.use_global_stats else from_batch
        self.flops = usual.flops
        self.name = f"onednn {usual.implementation}"

    def _uses_batch(self, env: Environment) -> bool:
        return env.is_train and not self._params.use_global_stats

    def _bind(self, primitive: Primitive, places: Mapping[int, torch.Tensor], workspace: torch.Tensor) -> Kernel:
        addresses = {argument: array.data_ptr() for argument, array in places.items()}
        if primitive.scratchpad:
            addresses[Arg.SCRATCHPAD] = workspace.data_ptr() + self._vector_bytes
        return primitive.bind(addresses)


class _Forward(_Implementation):
    def __init__(self, node: Node, layer: _Layer, training: bool) -> None:
        super().__init__(node, layer, 1, layer.forward(True), layer.forward(False))
        self._rectified = layer.rectified
        self._keeps_statistics = training or node.params.output_mean_var
        if self._mask is not None:
            self.output_layouts = [*self.output_layouts, self._mask]

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Kernel:
        assert workspace is not None
        p = self._params
        data, gamma, beta, moving_mean, moving_var = inputs
        output, mean, deviation, *masks = outputs
        places: dict[int, torch.Tensor] = {Arg.SRC: data, Arg.SCALE: gamma, Arg.SHIFT: beta, Arg.DST: output}
        places |= dict(zip((Arg.WORKSPACE,), masks))
        steps: list[Kernel] = [partial(gamma.fill_, 1)] if p.fix_gamma else []
        if self._uses_batch(env) and Arg.MEAN not in self._from_batch.outputs:
            steps.append(self._bind(self._from_batch, places, workspace))
        elif self._uses_batch(env):
            places |= {Arg.MEAN: mean, Arg.VARIANCE: deviation}
            steps.append(self._bind(self._from_batch, places, workspace))
            steps.append(lambda: deviation.add_(p.eps).rsqrt_())
            if self._rectified:
                steps.append(_show_nan(output, masks, (gamma, beta, deviation)))
        else:
            places |= {Arg.MEAN: moving_mean, Arg.VARIANCE: moving_var}
            steps.append(self._bind(self._given, places, workspace))
            if self._rectified:
                steps.append(_show_nan(output, masks, (gamma, beta, moving_mean, moving_var)))
            if self._keeps_statistics:
                steps.append(partial(mean.copy_, moving_mean))
                steps.append(lambda: torch.add(moving_var, p.eps, out=deviation).rsqrt_())
        return sequence(steps)


def _show_nan(output: torch.Tensor, masks: Sequence[torch.Tensor], per_channel: tuple[torch.Tensor, ...]) -> Kernel:
    """The library's rectifier makes zero of what is not a number; undone if that is the case for a whole channel.

    One such number in a batch makes its statistics such numbers. All channels are written over, for the next layer
    would mix them anyway; and the gradient passes everywhere.
    """
    together = torch.empty(len(per_channel), len(per_channel[0]))

    def check() -> None:
        if math.isnan(torch.stack(per_channel, out=together).amax().item()):
            output.fill_(math.nan)
            for mask in masks:
                mask.fill_(0xFF)

    return check


class _Backward(_Implementation):
    def __init__(self, node: Node, layer: _Layer) -> None:
        super().__init__(node, layer, 2, layer.backward(True), layer.backward(False))
        if self._mask is not None:
            self.input_layouts = [*self.input_layouts[:-1], self._mask]

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Kernel:
        assert workspace is not None
        p = self._params
        head, data, gamma, mean, deviation, moving_mean, moving_var, *masks = inputs
        places: dict[int, torch.Tensor] = {Arg.DIFF_DST: head, Arg.SRC: data, Arg.SCALE: gamma}
        places |= dict(zip((Arg.DIFF_SRC, Arg.DIFF_SCALE, Arg.DIFF_SHIFT), outputs))
        places |= dict(zip((Arg.WORKSPACE,), masks))
        if not self._uses_batch(env):
            places |= {Arg.MEAN: moving_mean, Arg.VARIANCE: moving_var}
            return self._bind(self._given, places, workspace)

        variance = workspace[: mean.numel() * 4].view(torch.float32)
        places |= {Arg.MEAN: mean, Arg.VARIANCE: variance}
        differentiate = self._bind(self._from_batch, places, workspace)

        def run() -> None:
            torch.pow(deviation, -2, out=variance).sub_(p.eps)
            differentiate()
            moving_mean.lerp_(mean, 1 - p.momentum)
            moving_var.lerp_(variance, 1 - p.momentum)

        return run


def _mask_layout(from_batch: Primitive, given: Primitive) -> MemoryDesc | None:
    """How the library notes for the gradient what a rectifier lets pass; None if it does not.

    Unsupported if it does so in two ways.
    """
    one, other = (primitive.descs.get(Arg.WORKSPACE) for primitive in (from_batch, given))
    if one != other:
        raise Unsupported("oneDNN notes what a rectifier let pass differently for given statistics")
    return one


@implements("BatchNorm", "BatchNorm_v1", "_contrib_SyncBatchNorm")
def forward(request: Request) -> Implementation:
    if request.node.op.name == "_contrib_SyncBatchNorm" and request.node.params.output_mean_var:
        raise Unsupported("the library's kernel is followed by inverse deviations, not by variances")
    return _Forward(request.node, _Layer(request.node, request.inputs[0]), request.training)


@implements("_backward_BatchNorm")
def backward(request: Request) -> Implementation:
    # In the layout of the data, which the way forward has worked in.
    return _Backward(request.node, _Layer(request.node, request.inputs[1]))


@implements("_fused_BatchNorm_relu")
def rectified_forward(request: Request) -> Implementation:
    keeps = request.node.params.keep_mask
    layer = _Layer(request.node, request.inputs[0], rectified=True, keeps=keeps)
    if keeps:
        # Nobody else could read what is noted: either the library does both directions, or torch does.
        _Backward(request.node, layer)
    return _Forward(request.node, layer, request.training)


@implements("_fused_backward_BatchNorm_relu")
def rectified_backward(request: Request) -> Implementation:
    return _Backward(request.node, _Layer(request.node, request.inputs[1], rectified=True))


class _Normalize(PrimitiveImplementation):
    """Normalization by known statistics, as a product and a sum with a number for each channel.

    The library computes both in one pass, with whatever follows; with its own normalization nothing may follow.
    """

    own_post_ops = 1

    def __init__(
        self, primitive: Primitive, inputs: Sequence[Operand | None], outputs: Sequence[Operand | None]
    ) -> None:
        super().__init__(primitive, inputs, outputs)
        self._vector_bytes = -(-primitive.descs[Arg.SRC_1].nbytes // 64) * 64
        self.workspace = 2 * self._vector_bytes

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Kernel:
        assert workspace is not None
        gamma, beta, mean, deviation = inputs[1:5]
        numbers = workspace.view(torch.float32)
        start = self._vector_bytes // 4
        scale, shift = numbers[: len(gamma)], numbers[start : start + len(gamma)]
        places = {Arg.SRC_1: scale.data_ptr(), Arg.post_op(0): shift.data_ptr(), Arg.DST: outputs[0].data_ptr()}
        arrays = zip(self.arguments, inputs)
        places |= {argument: array.data_ptr() for argument, array in arrays if argument is not None}
        run = self.primitive.bind(places)
        # Channels that only fill the last block stay zero.
        clear = [numbers.zero_] if self.primitive.descs[Arg.SRC_1].padded_shape[1] > len(gamma) else []

        def prepare() -> None:
            torch.mul(gamma, deviation, out=scale)
            torch.addcmul(beta, mean, scale, value=-1, out=shift)

        return sequence([*clear, prepare, run])


@implements("_normalize")
def normalize(request: Request) -> Implementation:
    data = request.inputs[0]
    layer = _Layer(request.node, data)
    desc = layer.desc
    shape = (1, desc.shape[1], *[1] * (len(desc.shape) - 2))
    channels = (MemoryDesc.plain if desc.is_plain else MemoryDesc.channel_blocks)(shape, torch.float32)
    post_ops = [Binary(Algorithm.ADD, channels), *request.post_ops(desc)]
    primitive = choose([lambda: binary(Algorithm.MUL, desc, channels, desc, post_ops=post_ops)])
    operands: list[Operand | None] = [(Arg.SRC, layer.view), None, None, None, None]
    return _Normalize(primitive, operands, [(Arg.DST, layer.view)])
