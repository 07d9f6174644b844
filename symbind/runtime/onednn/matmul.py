"""Matrix products: the inner product of a fully connected layer, and the (batched) product of two matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .declarations import Arg, PropagationKind
from .engine import cpu_engine
from .memory import MemoryDesc
from .primitive import PostOp, Primitive, describe

__all__ = ["InnerProduct", "matmul"]


class InnerProduct:
    """``dst[n, o] = bias[o] + sum over i of src[n, i] * weights[o, i]``, where ``i`` may span several axes.

    Shapes are ``src (N, C, ...)``, ``weights (O, C, ...)``, ``bias (O,)``, ``dst (N, O)``.
    """

    def forward(
        self,
        src: MemoryDesc,
        weights: MemoryDesc,
        bias: MemoryDesc | None,
        dst: MemoryDesc,
        *,
        training: bool,
        post_ops: Sequence[PostOp] = (),
    ) -> Primitive:
        """Arguments SRC, WEIGHTS, BIAS -> DST."""
        return describe(
            "inner_product_forward",
            cpu_engine(),
            PropagationKind.FORWARD_TRAINING if training else PropagationKind.FORWARD_INFERENCE,
            src,
            weights,
            bias,
            dst,
            inputs=(Arg.SRC, Arg.WEIGHTS, Arg.BIAS),
            outputs=(Arg.DST,),
            post_ops=post_ops,
            flops=self._flops(src, weights),
        )

    def backward_data(
        self, forward: Primitive, diff_src: MemoryDesc, weights: MemoryDesc, diff_dst: MemoryDesc
    ) -> Primitive:
        """Arguments WEIGHTS, DIFF_DST -> DIFF_SRC."""
        return describe(
            "inner_product_backward_data",
            cpu_engine(),
            diff_src,
            weights,
            diff_dst,
            forward,
            inputs=(Arg.WEIGHTS, Arg.DIFF_DST),
            outputs=(Arg.DIFF_SRC,),
            flops=self._flops(diff_src, weights),
        )

    def backward_weights(
        self,
        forward: Primitive,
        src: MemoryDesc,
        diff_weights: MemoryDesc,
        diff_bias: MemoryDesc | None,
        diff_dst: MemoryDesc,
    ) -> Primitive:
        """Arguments SRC, DIFF_DST -> DIFF_WEIGHTS, DIFF_BIAS."""
        return describe(
            "inner_product_backward_weights",
            cpu_engine(),
            src,
            diff_weights,
            diff_bias,
            diff_dst,
            forward,
            inputs=(Arg.SRC, Arg.DIFF_DST),
            outputs=(Arg.DIFF_WEIGHTS, Arg.DIFF_BIAS),
            flops=self._flops(src, diff_weights),
        )

    @staticmethod
    def _flops(src: MemoryDesc, weights: MemoryDesc) -> int:
        return 2 * src.shape[0] * math.prod(weights.shape)


def matmul(
    src: MemoryDesc,
    weights: MemoryDesc,
    dst: MemoryDesc,
    *,
    bias: MemoryDesc | None = None,
    post_ops: Sequence[PostOp] = (),
) -> Primitive:
    """``dst = src @ weights + bias`` over the last two axes: SRC, WEIGHTS, BIAS -> DST.

    All have the same number of axes, two or more; leading axes and those of ``bias`` broadcast where they are 1. A
    transposed operand is one whose last two strides are swapped (``desc.permute``). ``beta`` is the post-op Sum.
    """
    return describe(
        "matmul",
        cpu_engine(),
        src,
        weights,
        bias,
        dst,
        inputs=(Arg.SRC, Arg.WEIGHTS, Arg.BIAS),
        outputs=(Arg.DST,),
        post_ops=post_ops,
        flops=2 * math.prod(dst.shape) * src.shape[-1],
    )
