"""Pooling and resampling: each output element summarizes, or is interpolated from, a window of the source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .declarations import Algorithm, Arg, PropagationKind
from .engine import cpu_engine
from .memory import MemoryDesc
from .primitive import PostOp, Primitive, describe

__all__ = ["Pooling", "Resampling"]


@dataclass(frozen=True)
class Pooling:
    """The maximum or the average of every window; every tuple has one entry per spatial axis.

    ``algorithm`` is POOLING_MAX, POOLING_AVERAGE_INCLUDE_PADDING (divides by the size of the kernel everywhere)
    or POOLING_AVERAGE_EXCLUDE_PADDING (divides by the source elements under the window).
    """

    algorithm: Algorithm
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    padding_after: tuple[int, ...]

    def forward(
        self, src: MemoryDesc, dst: MemoryDesc, *, training: bool, post_ops: Sequence[PostOp] = ()
    ) -> Primitive:
        """Arguments SRC -> DST, and WORKSPACE (where each maximum was) for a maximum in training."""
        return describe(
            "pooling_forward",
            cpu_engine(),
            PropagationKind.FORWARD_TRAINING if training else PropagationKind.FORWARD_INFERENCE,
            self.algorithm,
            src,
            dst,
            *self._window(),
            inputs=(Arg.SRC,),
            outputs=(Arg.DST, Arg.WORKSPACE),
            post_ops=post_ops,
            flops=math.prod(self.kernel) * math.prod(dst.shape),
        )

    def backward(self, forward: Primitive, diff_src: MemoryDesc, diff_dst: MemoryDesc) -> Primitive:
        """Arguments DIFF_DST, WORKSPACE -> DIFF_SRC."""
        return describe(
            "pooling_backward",
            cpu_engine(),
            self.algorithm,
            diff_src,
            diff_dst,
            *self._window(),
            forward,
            inputs=(Arg.DIFF_DST, Arg.WORKSPACE),
            outputs=(Arg.DIFF_SRC,),
            flops=math.prod(self.kernel) * math.prod(diff_dst.shape),
        )

    def _window(self) -> tuple[tuple[int, ...], ...]:
        no_dilation = (0,) * len(self.kernel)
        return self.stride, self.kernel, no_dilation, self.padding, self.padding_after


@dataclass(frozen=True)
class Resampling:
    """Enlarging or shrinking the spatial axes of ``(N, C, ...)`` to the size of ``dst``.

    With ``x = (o + 0.5) * src_size / dst_size - 0.5`` for output position ``o``, RESAMPLING_NEAREST takes the element
    at round(x), RESAMPLING_LINEAR interpolates between floor(x) and ceil(x), clipped to the array.
    """

    algorithm: Algorithm

    def forward(self, src: MemoryDesc, dst: MemoryDesc, *, training: bool) -> Primitive:
        """Arguments SRC -> DST."""
        return describe(
            "resampling_forward",
            cpu_engine(),
            PropagationKind.FORWARD_TRAINING if training else PropagationKind.FORWARD_INFERENCE,
            self.algorithm,
            None,  # the factors follow from the shapes
            src,
            dst,
            inputs=(Arg.SRC,),
            outputs=(Arg.DST,),
            flops=math.prod(dst.shape),
        )

    def backward(self, forward: Primitive, diff_src: MemoryDesc, diff_dst: MemoryDesc) -> Primitive:
        """Arguments DIFF_DST -> DIFF_SRC."""
        return describe(
            "resampling_backward",
            cpu_engine(),
            self.algorithm,
            None,
            diff_src,
            diff_dst,
            forward,
            inputs=(Arg.DIFF_DST,),
            outputs=(Arg.DIFF_SRC,),
            flops=math.prod(diff_dst.shape),
        )
