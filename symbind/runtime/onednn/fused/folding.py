"""Batch normalization by fixed statistics, folded into the weight and bias of the layer before it.

.. math:: \\gamma \\frac{(W x + b) - \\mu}{\\sqrt{\\sigma^2 + \\epsilon}} + \\beta = (s W) x + s (b - \\mu) + \\beta
    \\quad\\text{with}\\quad s = \\frac{\\gamma}{\\sqrt{\\sigma^2 + \\epsilon}}
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ....graph.node import Entry, Node
from ....ops import spatial
from ....ops.operator import Operator
from ....ops.parameter import Bool, Float, Int, Param, Params
from ....ops.shapes import merge
from ....passes.fuse import Fusion, Pattern, Users

__all__ = ["PATTERNS", "FoldBatchNorm"]


class FoldBatchNorm(Operator):
    """Weight and bias of a layer that does the work of another and of the batch normalization after it.

    ``weight`` has the channels of the layer's output along ``axis``; ``bias`` is left out with ``no_bias``.
    """

    name = "_fold_BatchNorm"
    prepares_parameters = True
    outputs = ("weight", "bias")
    eps = Param(Float, doc="Added to the variance.")
    fix_gamma = Param(Bool, doc="Set gamma to 1.")
    axis = Param(Int, doc="Where the weight has the channels.")
    no_bias = Param(Bool, doc="The layer has no bias.")

    def input_names(self, p):
        return ["weight", *([] if p.no_bias else ["bias"]), "gamma", "beta", "moving_mean", "moving_var"]

    def num_outputs(self, p):
        return 2

    def mutated_inputs(self, p):
        return (len(self.input_names(p)) - 4,) if p.fix_gamma else ()

    def infer_shape(self, p, inputs, outputs):
        weight = merge(inputs[0], outputs[0])
        if weight is None:
            return inputs, outputs
        channels = (weight[p.axis],)
        return [weight, *[channels] * (len(inputs) - 1)], [weight, channels]

    def infer_dtype(self, p, inputs, outputs):
        own = len(inputs) - 4
        known = next((t for t in (*inputs[:own], *outputs) if t is not None), None)
        return [*[known] * own, *inputs[own:]], [known, known]

    def kernel(self, p, inputs, outputs, env):
        weight, *bias, gamma, beta, mean, variance = inputs
        folded_weight, folded_bias = outputs
        along = [1] * weight.dim()
        along[p.axis] = -1

        def run() -> None:
            # Written to only if need be: a parameter that has changed is folded anew.
            if p.fix_gamma and not torch.all(gamma == 1):
                gamma.fill_(1)
            scale = gamma.double() * (variance.double() + p.eps).rsqrt()
            folded_weight.copy_(weight * scale.view(along))
            offset = bias[0] - mean.double() if bias else -mean.double()
            folded_bias.copy_(offset * scale + beta)

        return run


_FOLD = FoldBatchNorm()


def _fold(norm: Node, users: Users) -> Fusion | None:
    layer, index = norm.inputs[0]
    if layer.is_variable or index != 0 or layer.op.name not in _CHANNEL_AXES:
        return None
    in_output, in_weight = _CHANNEL_AXES[layer.op.name](layer.params)
    if norm.params.axis not in in_output:
        return None
    parameters = [*layer.inputs[1:], *norm.inputs[1:]]
    # What is computed from data would have to be folded at every run.
    if not all(source.is_variable for source, _ in parameters):
        return None
    p = Params({
        "eps": norm.params.eps, "fix_gamma": norm.params.fix_gamma, "axis": in_weight, "no_bias": layer.params.no_bias,
    })  # fmt: skip
    folded = Node(_FOLD, f"{norm.name}_folded", None, parameters, p, layer.serial)
    inputs = [layer.inputs[0], Entry(folded, 0), Entry(folded, 1)]
    q = Params({**vars(layer.params), "no_bias": False})
    fused = Node(layer.op, f"{layer.name}+{norm.name}", None, inputs, q, norm.serial)
    return Fusion([layer, norm], {Entry(norm): Entry(fused)})


def _of_convolution(p: Params) -> tuple[Sequence[int], int]:
    rank = len(p.kernel)
    return ((rank + 1, -1) if spatial.channel_last(p) else (1, -1 - rank)), 0


def _of_deconvolution(p: Params) -> tuple[Sequence[int], int]:
    in_output, _ = _of_convolution(p)
    in_weight = len(p.kernel) + 1 if spatial.channel_last(p) else 1
    # With groups, the weight has the output's channels along two axes.
    return in_output if p.num_group == 1 else (), in_weight


def _of_dense(p: Params) -> tuple[Sequence[int], int]:
    # Without flattening, how many axes there are is not known here.
    return ((1, -1) if p.flatten else (-1,)), 0


#: By operator: the numbers that the channels' axis of the output goes by, and their axis in the weight.
_CHANNEL_AXES = {
    "Convolution": _of_convolution,
    "Deconvolution": _of_deconvolution,
    "FullyConnected": _of_dense,
}

PATTERNS = [Pattern(("BatchNorm", "BatchNorm_v1", "_contrib_SyncBatchNorm"), _fold)]
