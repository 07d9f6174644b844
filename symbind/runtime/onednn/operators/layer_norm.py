"""Layer normalization over the last axis.

The library's statistics are means and variances; the operator keeps standard deviations.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ....ops.operator import Environment, Kernel
from ....ops.shapes import normalize_axis, product
from ...engine import Implementation, Value
from ..declarations import Arg
from ..implementation import PrimitiveImplementation, Request, choose, implements
from ..memory import MemoryDesc
from ..normalization import LayerNormalization


class _Forward(PrimitiveImplementation):
    def __init__(self, request: Request, rows: MemoryDesc) -> None:
        self._epsilon = request.node.params.eps
        layer = LayerNormalization(self._epsilon)
        super().__init__(
            choose([lambda: layer.forward(rows, rows, training=True)]),
            [Arg.SRC, Arg.SCALE, Arg.SHIFT],
            [Arg.DST, Arg.MEAN, Arg.VARIANCE],
        )

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Kernel:
        normalize = super().kernel(inputs, outputs, workspace, env)
        deviation, epsilon = outputs[2], self._epsilon

        def run() -> None:
            normalize()
            deviation.add_(epsilon).sqrt_()

        return run


class _Backward(PrimitiveImplementation):
    def __init__(self, request: Request, rows: MemoryDesc) -> None:
        self._epsilon = request.node.params.eps
        layer = LayerNormalization(self._epsilon)
        forward = layer.forward(rows, rows, training=True)
        # The library asks for the shift as well, although it does not matter: it gets the scale once more.
        super().__init__(
            choose([lambda: layer.backward(forward, rows, rows, rows)]),
            [Arg.DIFF_DST, Arg.SRC, Arg.SCALE, Arg.MEAN, Arg.VARIANCE, Arg.SHIFT],
            [Arg.DIFF_SRC, Arg.DIFF_SCALE, Arg.DIFF_SHIFT],
        )
        # The workspace starts with the variances.
        self._variance_bytes = -(-4 * rows.shape[0] // 64) * 64
        self.workspace += self._variance_bytes

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Kernel:
        assert workspace is not None
        head, data, gamma, mean, deviation = inputs
        deviation, epsilon = deviation.view(-1), self._epsilon
        variance = workspace[: 4 * deviation.numel()].view(torch.float32)
        scratchpad = workspace[self._variance_bytes :] if self.primitive.scratchpad else None
        differentiate = super().kernel((head, data, gamma, mean, variance, gamma), outputs, scratchpad, env)

        def run() -> None:
            torch.mul(deviation, deviation, out=variance).sub_(epsilon)
            differentiate()

        return run


def _rows(request: Request, data: Value) -> MemoryDesc | None:
    """The data as rows that are normalized one by one, if the axis is the last."""
    *others, columns = data.shape
    if normalize_axis(request.node.params.axis, len(data.shape)) != len(others):
        return None
    return MemoryDesc.plain((product(others), columns), data.dtype)


@implements("LayerNorm")
def forward(request: Request) -> Implementation | None:
    rows = _rows(request, request.inputs[0])
    return None if rows is None else _Forward(request, rows)


@implements("_backward_LayerNorm")
def backward(request: Request) -> Implementation | None:
    rows = _rows(request, request.inputs[1])
    return None if rows is None else _Backward(request, rows)
