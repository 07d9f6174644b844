"""Joining, cutting and summing images along their channels, or joining batches, in the layouts that oneDNN gives them.

An image in one of those layouts is an array of torch's as well: in blocks of 16 channels it is (N, C/16, places, 16),
channels last it is (N · places, C). Along the channel axis torch does there what it does on plain images, and samples
lie one behind another in both, so nothing needs to be converted.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from ....ops.joining import join_kernel
from ....ops.operator import Environment, Kernel
from ....ops.reduce import reduced_axes
from ....ops.shapes import product
from ...engine import Implementation, Layout, Value
from ..engine import channel_block
from ..implementation import Request, View, desc_of, implements
from ..memory import MemoryDesc

__all__ = ["layout_kind"]


def layout_kind(value: Value) -> str | None:
    """Which of the two layouts an array has: "blocked", "last", or None for another."""
    if value.layout is None or not 3 <= len(value.shape) <= 5:
        return None
    desc = desc_of(value)
    if desc == MemoryDesc.channel_blocks(value.shape, value.dtype):
        return "blocked"
    return "last" if desc == MemoryDesc.channels_last(value.shape, value.dtype) else None


# ---- joining and cutting ------------------------------------------------------------------------


class _OnImages:
    """An operator that torch does on images in one of the two layouts, all its inputs and outputs in the same."""

    name = "torch on blocks"
    workspace = 0
    flops = 0
    inplace = ()
    is_reference = False

    def __init__(self, request: Request, kind: str) -> None:
        describe = MemoryDesc.channel_blocks if kind == "blocked" else MemoryDesc.channels_last
        self.input_layouts, self.output_layouts = (
            [View(value).layout(describe(value.shape, value.dtype)) for value in values]
            for values in (request.inputs, request.outputs)
        )


class _AlongChannels(_OnImages):
    """An operator that treats everything but the channels alike: its torch kernel, on arrays with these as axis 1."""

    def __init__(self, request: Request, kind: str) -> None:
        super().__init__(request, kind)
        self._node = request.node
        self._blocked = kind == "blocked"
        self._block = channel_block()
        self._input_channels = [value.shape[1] for value in request.inputs]
        self._output_channels = [value.shape[1] for value in request.outputs]
        self._samples = request.inputs[0].shape[0]

    def _view(self, array: torch.Tensor, channels: int) -> torch.Tensor:
        if self._blocked:
            return array.view(self._samples, channels // self._block, -1)
        return array.view(-1, channels)

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Kernel:
        return self._node.op.kernel(
            self._node.params,
            list(map(self._view, inputs, self._input_channels)),
            list(map(self._view, outputs, self._output_channels)),
            env,
        )


def _along_channels(request: Request, axis: int) -> Implementation | None:
    """The node in the layout of its first input that has one; None if that is no good or ``axis`` not the channels."""
    kind = next((kind for value in request.inputs if (kind := layout_kind(value))), None)
    if axis != 1 or kind is None:
        return None
    whole_blocks = all(value.shape[1] % channel_block() == 0 for value in (*request.inputs, *request.outputs))
    return _AlongChannels(request, kind) if kind == "last" or whole_blocks else None


class _BehindOneAnother(_OnImages):
    """Images joined to more images, which lie as they do: bytes behind bytes, and some may be in place already."""

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Kernel:
        return join_kernel(inputs, outputs[0], 0)


@implements("Concat", "_backward_Concat")
def join(request: Request) -> Implementation | None:
    axis, kind = request.node.params.dim, layout_kind(request.inputs[0])
    if axis == 0 and kind is not None and request.node.op.name == "Concat":
        return _BehindOneAnother(request, kind)
    return _along_channels(request, axis)


@implements("SliceChannel", "_split_v2")
def cut(request: Request) -> Implementation | None:
    p = request.node.params
    return None if p.squeeze_axis else _along_channels(request, p.axis)


# ---- summing ------------------------------------------------------------------------------------


class _ChannelSum:
    """The sum over everything but the channels: what the gradient of a bias is."""

    name = "torch on blocks"
    inplace = ()
    is_reference = False
    output_layouts = (None,)

    def __init__(self, data: Value, kind: str) -> None:
        self._samples, self._channels, *places = data.shape
        self._places = product(places)
        self._blocked = kind == "blocked"
        self._block = channel_block()
        self._padded = -(-self._channels // self._block) * self._block
        self.input_layouts: Sequence[Layout | None] = [data.layout]
        # In blocks: the sums over places for each sample, and those over samples, in float32.
        self.workspace = (self._samples + 1) * self._padded * 4 if self._blocked else 0
        self.flops = product(data.shape)

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Kernel:
        data, total = inputs[0], outputs[0].view(self._channels)
        if not self._blocked:
            return partial(torch.sum, data.view(-1, self._channels), 0, out=total)
        assert workspace is not None
        sums = workspace.view(torch.float32).view(self._samples + 1, self._padded)
        blocks = data.view(-1, self._places, self._block)
        by_sample, padded = sums[:-1], sums[-1]
        flat = by_sample.view(-1, self._block)

        # In two steps, each over one axis, because torch is ten times slower over two that are apart.
        def run() -> None:
            torch.sum(blocks, 1, dtype=torch.float32, out=flat)
            torch.sum(by_sample, 0, out=padded)
            total.copy_(padded[: self._channels])

        return run


@implements("sum")
def total(request: Request) -> Implementation | None:
    p, data = request.node.params, request.inputs[0]
    kind = layout_kind(data)
    others = tuple(axis for axis in range(len(data.shape)) if axis != 1)
    if kind is None or reduced_axes(p.axis, len(data.shape), p.exclude) != others:
        return None
    return _ChannelSum(data, kind)
