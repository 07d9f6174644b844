"""Convolution and its transpose, in one to three spatial dimensions, with groups, forward and backward.

Convolution (cross-correlation, as everywhere in deep learning), for output position ``o`` and kernel offset ``k``::

    dst[n, c, o] = bias[c] + sum over i, k of src[n, i, o * stride + k * dilation - padding] * weights[c, i, k]

Deconvolution is the gradient of a convolution with respect to its source, used as a forward operator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .declarations import Algorithm, Arg, PropagationKind
from .engine import cpu_engine
from .memory import MemoryDesc
from .primitive import PostOp, Primitive, describe

__all__ = ["Convolution", "Deconvolution"]


@dataclass(frozen=True)
class Convolution:
    """The geometry of a convolution; every tuple has one entry per spatial axis.

    ``dilation`` is 1 where kernel elements are adjacent. ``padding`` and ``padding_after`` are the zeros before and
    after the source. Shapes are ``src (N, C, ...)``, ``dst (N, O, ...)``, ``bias (O,)`` and ``weights
    (O, C, ...)``, or ``(G, O/G, C/G, ...)`` with more than one group: see :meth:`weights`.
    """

    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[int, ...]
    padding_after: tuple[int, ...]
    groups: int = 1

    _family = "convolution"
    _algorithm = Algorithm.CONVOLUTION_DIRECT

    def weights(self, desc: MemoryDesc) -> MemoryDesc:
        """The library's view of an array of weights in MXNet's shape ``(O, C/G, ...)``; the memory is the same."""
        if self.groups == 1:
            return desc
        outputs, *rest = desc.shape
        return desc.reshape((self.groups, outputs // self.groups, *rest))

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
            f"{self._family}_forward",
            cpu_engine(),
            PropagationKind.FORWARD_TRAINING if training else PropagationKind.FORWARD_INFERENCE,
            self._algorithm,
            src,
            weights,
            bias,
            dst,
            *self._window(),
            inputs=(Arg.SRC, Arg.WEIGHTS, Arg.BIAS),
            outputs=(Arg.DST,),
            post_ops=post_ops,
            flops=self._flops(src, weights, dst),
        )

    def backward_data(
        self, forward: Primitive, diff_src: MemoryDesc, weights: MemoryDesc, diff_dst: MemoryDesc
    ) -> Primitive:
        """Arguments WEIGHTS, DIFF_DST -> DIFF_SRC."""
        return describe(
            f"{self._family}_backward_data",
            cpu_engine(),
            self._algorithm,
            diff_src,
            weights,
            diff_dst,
            *self._window(),
            forward,
            inputs=(Arg.WEIGHTS, Arg.DIFF_DST),
            outputs=(Arg.DIFF_SRC,),
            flops=self._flops(diff_src, weights, diff_dst),
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
            f"{self._family}_backward_weights",
            cpu_engine(),
            self._algorithm,
            src,
            diff_weights,
            diff_bias,
            diff_dst,
            *self._window(),
            forward,
            inputs=(Arg.SRC, Arg.DIFF_DST),
            outputs=(Arg.DIFF_WEIGHTS, Arg.DIFF_BIAS),
            flops=self._flops(src, diff_weights, diff_dst),
        )

    def _window(self) -> tuple[tuple[int, ...], ...]:
        # The library counts the elements that dilation skips, hence one less.
        return self.stride, tuple(d - 1 for d in self.dilation), self.padding, self.padding_after

    def _flops(self, src: MemoryDesc, weights: MemoryDesc, dst: MemoryDesc) -> int:
        per_output = math.prod(weights.shape) // dst.shape[1]
        return 2 * math.prod(dst.shape) * per_output


@dataclass(frozen=True)
class Deconvolution(Convolution):
    """The geometry of the convolution whose source gradient this is: ``dst`` is the larger array.

    The output size is ``(in - 1) * stride + (kernel - 1) * dilation + 1 - padding - padding_after`` along each axis.
    """

    _family = "deconvolution"
    _algorithm = Algorithm.DECONVOLUTION_DIRECT

    def weights(self, desc: MemoryDesc) -> MemoryDesc:
        """The library's view ``([G,] O/G, C/G, ...)`` of weights in MXNet's shape ``(C, O/G, ...)``."""
        if self.groups > 1:
            inputs, *rest = desc.shape
            desc = desc.reshape((self.groups, inputs // self.groups, *rest))
        first = 1 if self.groups > 1 else 0
        axes = list(range(len(desc.shape)))
        axes[first], axes[first + 1] = first + 1, first
        return desc.permute(axes)

    def _flops(self, src: MemoryDesc, weights: MemoryDesc, dst: MemoryDesc) -> int:
        per_input = math.prod(weights.shape) // src.shape[1]
        return 2 * math.prod(src.shape) * per_input
