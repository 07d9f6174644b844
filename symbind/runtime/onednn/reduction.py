"""Softmax along an axis, and reductions of whole axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .declarations import Algorithm, Arg, PropagationKind
from .engine import cpu_engine
from .memory import MemoryDesc
from .primitive import PostOp, Primitive, describe

__all__ = ["Softmax", "reduction"]


@dataclass(frozen=True)
class Softmax:
    """``dst = exp(src) / sum of exp(src)`` along ``axis``, or the logarithm of it with LOG_SOFTMAX."""

    axis: int
    algorithm: Algorithm = Algorithm.SOFTMAX

    def forward(self, src: MemoryDesc, dst: MemoryDesc, *, training: bool) -> Primitive:
        """Arguments SRC -> DST."""
        return describe(
            "softmax_forward",
            cpu_engine(),
            PropagationKind.FORWARD_TRAINING if training else PropagationKind.FORWARD_INFERENCE,
            self.algorithm,
            src,
            dst,
            self.axis,
            inputs=(Arg.SRC,),
            outputs=(Arg.DST,),
            in_place=((Arg.DST, Arg.SRC),),
            flops=5 * math.prod(src.shape),
        )

    def backward(self, forward: Primitive, diff_src: MemoryDesc, diff_dst: MemoryDesc, dst: MemoryDesc) -> Primitive:
        """Arguments DST, DIFF_DST -> DIFF_SRC."""
        return describe(
            "softmax_backward",
            cpu_engine(),
            self.algorithm,
            diff_src,
            diff_dst,
            dst,
            self.axis,
            forward,
            inputs=(Arg.DST, Arg.DIFF_DST),
            outputs=(Arg.DIFF_SRC,),
            in_place=((Arg.DIFF_SRC, Arg.DIFF_DST),),
            flops=4 * math.prod(dst.shape),
        )


def reduction(algorithm: Algorithm, src: MemoryDesc, dst: MemoryDesc, *, post_ops: Sequence[PostOp] = ()) -> Primitive:
    """The sum, mean, product, minimum or maximum over the axes that are 1 in ``dst``: SRC -> DST."""
    return describe(
        "reduction",
        cpu_engine(),
        algorithm,
        src,
        dst,
        0.0,
        0.0,
        inputs=(Arg.SRC,),
        outputs=(Arg.DST,),
        post_ops=post_ops,
        flops=math.prod(src.shape),
    )
