"""Element-wise primitives: functions of one array, of two with broadcasting, weighted sums, and PReLU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .declarations import Algorithm, Arg, PropagationKind
from .engine import cpu_engine
from .memory import MemoryDesc
from .primitive import Eltwise, PostOp, Primitive, describe

__all__ = ["Elementwise", "PReLU", "binary", "weighted_sum"]


@dataclass(frozen=True)
class Elementwise(Eltwise):
    """``dst = f(src)``. An Elementwise is also a post-op.

    What ``alpha`` and ``beta`` mean depends on the function: the slope of RELU and ELU, ``alpha * x + beta`` for LINEAR
    and inside HARD_SIGMOID, the limits of CLIP, ``alpha * x ** beta`` for POW, ``x * logistic(alpha * x)`` for SWISH.
    The gradient of a FROM_DST algorithm takes the result instead of the argument, so that it may run in place.
    """

    @property
    def from_result(self) -> bool:
        """Whether the gradient is computed from the result."""
        return Algorithm.RELU_FROM_DST <= self.algorithm <= Algorithm.CLIP_V2_FROM_DST

    def forward(
        self, src: MemoryDesc, dst: MemoryDesc, *, training: bool, post_ops: Sequence[PostOp] = ()
    ) -> Primitive:
        """Arguments SRC -> DST."""
        return describe(
            "eltwise_forward",
            cpu_engine(),
            PropagationKind.FORWARD_TRAINING if training else PropagationKind.FORWARD_INFERENCE,
            self.algorithm,
            src,
            dst,
            self.alpha,
            self.beta,
            inputs=(Arg.SRC,),
            outputs=(Arg.DST,),
            in_place=((Arg.DST, Arg.SRC),),
            post_ops=post_ops,
            flops=math.prod(src.shape),
        )

    def backward(self, forward: Primitive, diff_src: MemoryDesc, diff_dst: MemoryDesc, data: MemoryDesc) -> Primitive:
        """Arguments SRC (or DST, if :attr:`from_result`), DIFF_DST -> DIFF_SRC; ``data`` describes the former."""
        return describe(
            "eltwise_backward",
            cpu_engine(),
            self.algorithm,
            diff_src,
            diff_dst,
            data,
            self.alpha,
            self.beta,
            forward,
            inputs=(Arg.DST if self.from_result else Arg.SRC, Arg.DIFF_DST),
            outputs=(Arg.DIFF_SRC,),
            in_place=((Arg.DIFF_SRC, Arg.DIFF_DST),),
            flops=2 * math.prod(data.shape),
        )


def binary(
    algorithm: Algorithm,
    src0: MemoryDesc,
    src1: MemoryDesc,
    dst: MemoryDesc,
    *,
    post_ops: Sequence[PostOp] = (),
) -> Primitive:
    """``dst = src0 op src1``, arguments SRC, SRC_1 -> DST; axes of ``src1`` broadcast where they are 1.

    Comparisons give 1 and 0 in the type of ``dst``.
    """
    return describe(
        "binary",
        cpu_engine(),
        algorithm,
        src0,
        src1,
        dst,
        inputs=(Arg.SRC, Arg.SRC_1),
        outputs=(Arg.DST,),
        in_place=((Arg.DST, Arg.SRC),),
        post_ops=post_ops,
        flops=math.prod(dst.shape),
    )


def weighted_sum(sources: Sequence[MemoryDesc], scales: Sequence[float], dst: MemoryDesc) -> Primitive:
    """``dst = sum over i of scales[i] * sources[i]``, arguments ``Arg.source(i)`` -> DST, all of one shape."""
    return describe(
        "sum",
        cpu_engine(),
        dst,
        len(sources),
        list(scales),
        list(sources),
        inputs=tuple(Arg.source(i) for i in range(len(sources))),
        outputs=(Arg.DST,),
        in_place=((Arg.DST, Arg.source(0)),),
        flops=2 * len(sources) * math.prod(dst.shape),
    )


class PReLU:
    """``dst = src`` where it is positive, ``weights * src`` elsewhere; weights have 1 along axes that share them.

    Reference: He et al., "Delving Deep into Rectifiers" (2015).
    """

    def forward(self, src: MemoryDesc, weights: MemoryDesc, dst: MemoryDesc, *, training: bool) -> Primitive:
        """Arguments SRC, WEIGHTS -> DST."""
        return describe(
            "prelu_forward",
            cpu_engine(),
            PropagationKind.FORWARD_TRAINING if training else PropagationKind.FORWARD_INFERENCE,
            src,
            weights,
            dst,
            inputs=(Arg.SRC, Arg.WEIGHTS),
            outputs=(Arg.DST,),
            flops=2 * math.prod(src.shape),
        )

    def backward(
        self,
        forward: Primitive,
        src: MemoryDesc,
        weights: MemoryDesc,
        diff_src: MemoryDesc,
        diff_weights: MemoryDesc,
        diff_dst: MemoryDesc,
    ) -> Primitive:
        """Arguments SRC, WEIGHTS, DIFF_DST -> DIFF_SRC, DIFF_WEIGHTS."""
        return describe(
            "prelu_backward",
            cpu_engine(),
            src,
            weights,
            diff_src,
            diff_weights,
            diff_dst,
            forward,
            inputs=(Arg.SRC, Arg.WEIGHTS, Arg.DIFF_DST),
            outputs=(Arg.DIFF_SRC, Arg.DIFF_WEIGHTS),
            flops=4 * math.prod(src.shape),
        )
