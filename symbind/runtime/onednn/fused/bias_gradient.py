"""The gradients of a convolution's weight and bias, for which the head gradient is read once."""

from __future__ import annotations

from functools import partial

import torch

from ....graph.node import Entry, Node
from ....ops import spatial
from ....ops.convolution import ConvolutionWeightGradient
from ....ops.kernels import sequence
from ....ops.shapes import merge
from ....passes.fuse import Fusion, Pattern, Users

__all__ = ["PATTERNS", "ParametersGradient"]


class ParametersGradient(ConvolutionWeightGradient):
    """Gradients of Convolution with respect to its weight and its bias."""

    name = "_fused_backward_Convolution_weight"
    outputs = ("weight", "bias")

    def num_outputs(self, p):
        return 2

    def infer_shape(self, p, inputs, outputs):
        inputs, weight = super().infer_shape(p, inputs, outputs[:1])
        return inputs, [*weight, merge(outputs[1], (p.num_filter,))]

    def kernel(self, p, inputs, outputs, env):
        head = spatial.first_view(inputs[0], spatial.channel_last(p))
        others = [axis for axis in range(head.dim()) if axis != 1]
        weight = super().kernel(p, inputs, outputs[:1], env)
        return sequence([weight, partial(torch.sum, head, others, out=outputs[1])])


_OPERATOR = ParametersGradient()


def _join(total: Node, users: Users) -> Fusion | None:
    head = total.inputs[0]
    for node in users(head):
        if node.is_variable or node.op.name != "_backward_Convolution_weight" or node.inputs[0] != head:
            continue
        p = node.params
        channels = -1 if spatial.channel_last(p) else 1
        if node.serial < total.serial and _sums_all_but(total, channels):
            fused = Node(_OPERATOR, node.name, None, node.inputs, p, total.serial)
            return Fusion([node, total], {Entry(node): Entry(fused, 0), Entry(total): Entry(fused, 1)})
    return None


def _sums_all_but(total: Node, axis: int) -> bool:
    p = total.params
    return p.exclude and not p.keepdims and p.axis in (axis, (axis,))


PATTERNS = [Pattern(("sum",), _join)]
