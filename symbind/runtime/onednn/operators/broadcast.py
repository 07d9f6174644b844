"""Images together with a number for each channel, (N, C, 1, 1) or (1, C, 1, 1): scaling, shifting, and their gradients.

The library does this with its reference only. torch does it in the layouts of images, see :mod:`.channels`: with the
places as one axis, the numbers of the channels broadcast along that.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ....ops.elementwise import PAIR_FUNCTIONS
from ....ops.operator import Environment, Kernel
from ...engine import Implementation, Layout, Value
from ..engine import channel_block
from ..implementation import Request, implements
from .channels import layout_kind


class _OnPlaces:
    """The torch kernel of an operator on images, as (N, C/16, places, 16) or (N, places, C), and channels alike."""

    name = "torch on blocks"
    workspace = 0
    flops = 0
    is_reference = False

    def __init__(self, request: Request, image: Value, kind: str) -> None:
        self._node = request.node
        samples, channels = image.shape[:2]
        block = channel_block()
        self._channels = (channels // block, 1, block) if kind == "blocked" else (1, channels)
        self._image = (samples, channels // block, -1, block) if kind == "blocked" else (samples, -1, channels)
        self._shape = image.shape
        self.input_layouts: Sequence[Layout | None] = [self._layout(value, image) for value in request.inputs]
        self.output_layouts: Sequence[Layout | None] = [self._layout(value, image) for value in request.outputs]
        self._shapes = [value.shape for value in (*request.inputs, *request.outputs)]
        self.inplace = request.node.op.inplace_pairs(request.node.params)

    def _layout(self, value: Value, image: Value) -> Layout | None:
        return image.layout if value.shape == image.shape else None

    def _view(self, array: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        return array.view(self._image if shape == self._shape else (shape[0], *self._channels))

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Kernel:
        views = list(map(self._view, (*inputs, *outputs), self._shapes))
        return self._node.op.kernel(self._node.params, views[: len(inputs)], views[len(inputs) :], env)


@implements(*(f"broadcast_{function}" for function in PAIR_FUNCTIONS))
def broadcast(request: Request) -> Implementation | None:
    values = (*request.inputs, *request.outputs)
    for image in request.inputs:
        kind = layout_kind(image)
        if kind is None:
            continue
        whole_blocks = kind == "last" or image.shape[1] % channel_block() == 0
        fits = all(value.shape == image.shape or _is_per_channel(value, image) for value in values)
        return _OnPlaces(request, image, kind) if fits and whole_blocks else None
    return None


@implements("_sum_to_shape_like")
def sum_to_shape_like(request: Request) -> Implementation | None:
    data, like = request.inputs
    # In blocks, the sum over samples and places, which are apart, is slower than converting the data.
    is_slow = layout_kind(data) == "blocked" and like.shape[:1] != data.shape[:1]
    return None if is_slow else broadcast(request)


def _is_per_channel(value: Value, image: Value) -> bool:
    """Whether an array has a number for each channel, of each sample or of all."""
    samples, channels, *places = image.shape
    return value.shape[1:] == (channels, *[1] * len(places)) and value.shape[:1] in ((1,), (samples,))
