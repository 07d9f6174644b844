"""Batch normalization and the rectifier after it, forward and backward.

For the way back one bit per number is kept: whether it was positive. The rectifier costs no pass over memory of its own
in either direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

import torch

from ....graph.node import Entry, Node
from ....graph.registry import find
from ....ops.batch_norm import BatchNorm, BatchNormGradient
from ....ops.kernels import sequence
from ....ops.operator import Operator
from ....ops.parameter import Bool, Param, Params
from ....passes.fuse import Fusion, Pattern, Users
from .followers import FOLLOWED, FollowedParams, Follower

__all__ = ["PATTERNS", "RectifiedBatchNorm", "RectifiedBatchNormGradient"]


class RectifiedBatchNorm(BatchNorm):
    """BatchNorm and a rectifier. With ``keep_mask`` a last output says where the result is positive."""

    name = "_fused_BatchNorm_relu"
    outputs: Sequence[str] = ("output", "mean", "var", "mask")
    keep_mask = Param(Bool, doc="Whether the gradient is computed too.")

    def num_outputs(self, p):
        return 3 + p.keep_mask

    def infer_shape(self, p, inputs, outputs):
        inputs, known = super().infer_shape(p, inputs, outputs[:3])
        return inputs, [*known, *known[:1]] if p.keep_mask else known

    def infer_dtype(self, p, inputs, outputs):
        inputs, known = super().infer_dtype(p, inputs, outputs[:3])
        return inputs, [*known, torch.uint8] if p.keep_mask else known

    def again(self, node, inputs):
        operator, inputs, first = super().again(node, inputs)
        rectifier = Follower(cast(Operator, find("relu")), Params({}))
        return FOLLOWED[operator.name], inputs, FollowedParams(first, (rectifier,))

    def kernel(self, p, inputs, outputs, env):
        output = outputs[0]
        steps = [super().kernel(p, inputs, outputs[:3], env), partial(output.clamp_, min=0)]
        if p.keep_mask:
            steps.append(partial(torch.gt, output, 0, out=outputs[3]))
        return sequence(steps)


class RectifiedBatchNormGradient(BatchNormGradient):
    """Gradient of BatchNorm from that of the rectifier after it."""

    name = "_fused_backward_BatchNorm_relu"
    inputs: Sequence[str] = (*BatchNormGradient.inputs, "mask")

    def infer_shape(self, p, inputs, outputs):
        inputs, outputs = super().infer_shape(p, inputs[:7], outputs)
        return [*inputs, inputs[1]], outputs

    def infer_dtype(self, p, inputs, outputs):
        inputs, outputs = super().infer_dtype(p, inputs[:7], outputs)
        return [*inputs, torch.uint8], outputs

    def kernel(self, p, inputs, outputs, env):
        head, *others, mask = inputs
        passed = torch.empty_like(head)
        rectify = partial(torch.mul, head, mask, out=passed)
        return sequence([rectify, super().kernel(p, [passed, *others], outputs, env)])


_FORWARD, _BACKWARD = RectifiedBatchNorm(), RectifiedBatchNormGradient()


def _is_rectifier(node: Node, name: str) -> bool:
    """Whether ``node`` is that rectifier, or its gradient, under either of its names."""
    if node.is_variable:
        return False
    return node.op.name == f"{name}relu" or (node.op.name == f"{name}Activation" and node.params.act_type == "relu")


def _rectify(rectifier: Node, users: Users) -> Fusion | None:
    norm, index = rectifier.inputs[0]
    if not _is_rectifier(rectifier, "") or norm.is_variable or norm.op.name != "BatchNorm" or index != 0:
        return None
    if norm.params.output_mean_var:
        return None
    keep_mask = any(not user.is_variable and user.op.name == "_backward_BatchNorm" for user in users(Entry(norm, 1)))
    p = Params({**vars(norm.params), "keep_mask": keep_mask})
    fused = Node(_FORWARD, f"{norm.name}+{rectifier.name}", None, norm.inputs, p, rectifier.serial)
    values = {Entry(rectifier): Entry(fused), Entry(norm, 1): Entry(fused, 1), Entry(norm, 2): Entry(fused, 2)}
    return Fusion([norm, rectifier], values)


def _differentiate(gradient: Node, users: Users) -> Fusion | None:
    head, _, _, (norm, _), *_ = gradient.inputs
    if norm.is_variable or norm.op is not _FORWARD or not _is_rectifier(head.node, "_backward_"):
        return None
    arrived, output = head.node.inputs
    if output != Entry(norm):
        return None
    inputs = [arrived, *gradient.inputs[1:], Entry(norm, 3)]
    fused = Node(_BACKWARD, gradient.name, None, inputs, gradient.params, gradient.serial)
    return Fusion([head.node, gradient], {Entry(gradient, i): Entry(fused, i) for i in range(3)})


PATTERNS = [Pattern(("Activation", "relu"), _rectify), Pattern(("_backward_BatchNorm",), _differentiate)]
