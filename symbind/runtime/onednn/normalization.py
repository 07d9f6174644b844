"""Batch, layer and local response normalization.

With ``mean`` and ``variance`` (the biased one, the mean of squared deviations) over the normalized axes::

    dst = (src - mean) / sqrt(variance + epsilon) * scale + shift
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .declarations import Algorithm, Arg, NormalizationFlag, PropagationKind
from .engine import cpu_engine
from .memory import MemoryDesc
from .primitive import PostOp, Primitive, describe

__all__ = ["SCALE_AND_SHIFT", "BatchNormalization", "LayerNormalization", "LocalResponseNormalization"]

SCALE_AND_SHIFT = NormalizationFlag.SCALE | NormalizationFlag.SHIFT
_STATISTICS = (Arg.MEAN, Arg.VARIANCE)


def _parameters(flags: NormalizationFlag, scale: Arg, shift: Arg) -> tuple[Arg, ...]:
    """Those of the two arguments that the flags announce (the library describes them in any case)."""
    announced = ((NormalizationFlag.SCALE, scale), (NormalizationFlag.SHIFT, shift))
    return tuple(argument for flag, argument in announced if flag in flags)


def _backward_kind(flags: NormalizationFlag) -> PropagationKind:
    """The library computes gradients of scale and shift exactly where it is told that there are some."""
    return PropagationKind.BACKWARD if flags & SCALE_AND_SHIFT else PropagationKind.BACKWARD_DATA


@dataclass(frozen=True)
class BatchNormalization:
    """Normalization over all axes but the second, the channels; scale, shift and statistics have shape ``(C,)``.

    ``flags``: SCALE and SHIFT where there are such parameters (without, 1 and 0 are used), GLOBAL_STATISTICS where
    mean and variance are given and constant, RELU to apply max(0, x) to the result.
    Reference: Ioffe and Szegedy, "Batch Normalization" (2015).
    """

    epsilon: float
    flags: NormalizationFlag = SCALE_AND_SHIFT

    def forward(
        self, src: MemoryDesc, dst: MemoryDesc, *, training: bool, post_ops: Sequence[PostOp] = ()
    ) -> Primitive:
        """Arguments SRC, SCALE, SHIFT -> DST, MEAN, VARIANCE, and WORKSPACE with RELU in training.

        Mean and variance are inputs with GLOBAL_STATISTICS, and are not given out when not training. The workspace
        has one bit per element: whether it was positive.
        """
        given = NormalizationFlag.GLOBAL_STATISTICS in self.flags
        return describe(
            "batch_normalization_forward",
            cpu_engine(),
            PropagationKind.FORWARD_TRAINING if training else PropagationKind.FORWARD_INFERENCE,
            src,
            dst,
            self.epsilon,
            self.flags,
            inputs=(
                Arg.SRC,
                *_parameters(self.flags, Arg.SCALE, Arg.SHIFT),
                *(_STATISTICS if given else ()),
            ),
            outputs=(Arg.DST, *(_STATISTICS if training and not given else ()), Arg.WORKSPACE),
            in_place=((Arg.DST, Arg.SRC),),
            post_ops=post_ops,
            flops=(8 if training else 3) * math.prod(src.shape),
        )

    def backward(self, forward: Primitive, diff_src: MemoryDesc, diff_dst: MemoryDesc, src: MemoryDesc) -> Primitive:
        """Arguments SRC, MEAN, VARIANCE, DIFF_DST, SCALE, WORKSPACE -> DIFF_SRC, DIFF_SCALE, DIFF_SHIFT."""
        return describe(
            "batch_normalization_backward",
            cpu_engine(),
            _backward_kind(self.flags),
            diff_src,
            diff_dst,
            src,
            self.epsilon,
            self.flags,
            forward,
            inputs=(
                Arg.SRC,
                *_STATISTICS,
                Arg.DIFF_DST,
                *((Arg.SCALE,) if NormalizationFlag.SCALE in self.flags else ()),
                Arg.WORKSPACE,
            ),
            outputs=(Arg.DIFF_SRC, *_parameters(self.flags, Arg.DIFF_SCALE, Arg.DIFF_SHIFT)),
            in_place=((Arg.DIFF_SRC, Arg.DIFF_DST),),
            flops=10 * math.prod(src.shape),
        )


@dataclass(frozen=True)
class LayerNormalization:
    """Normalization over the last axis, of length C; scale and shift have shape ``(C,)``, statistics the rest.

    Reference: Ba, Kiros and Hinton, "Layer Normalization" (2016).
    """

    epsilon: float
    flags: NormalizationFlag = SCALE_AND_SHIFT

    def forward(self, src: MemoryDesc, dst: MemoryDesc, *, training: bool) -> Primitive:
        """Arguments SRC, SCALE, SHIFT -> DST, and in training MEAN, VARIANCE."""
        return describe(
            "layer_normalization_forward",
            cpu_engine(),
            PropagationKind.FORWARD_TRAINING if training else PropagationKind.FORWARD_INFERENCE,
            src,
            dst,
            self._statistics(src),
            self.epsilon,
            self.flags,
            inputs=(Arg.SRC, *_parameters(self.flags, Arg.SCALE, Arg.SHIFT)),
            outputs=(Arg.DST, *(_STATISTICS if training else ())),
            in_place=((Arg.DST, Arg.SRC),),
            flops=8 * math.prod(src.shape),
        )

    def backward(self, forward: Primitive, diff_src: MemoryDesc, diff_dst: MemoryDesc, src: MemoryDesc) -> Primitive:
        """Arguments SRC, MEAN, VARIANCE, DIFF_DST, SCALE, SHIFT -> DIFF_SRC, DIFF_SCALE, DIFF_SHIFT.

        The library asks for the shift although it does not matter.
        """
        return describe(
            "layer_normalization_backward",
            cpu_engine(),
            _backward_kind(self.flags),
            diff_src,
            diff_dst,
            src,
            self._statistics(src),
            self.epsilon,
            self.flags,
            forward,
            inputs=(Arg.SRC, *_STATISTICS, Arg.DIFF_DST, *_parameters(self.flags, Arg.SCALE, Arg.SHIFT)),
            outputs=(Arg.DIFF_SRC, *_parameters(self.flags, Arg.DIFF_SCALE, Arg.DIFF_SHIFT)),
            in_place=((Arg.DIFF_SRC, Arg.DIFF_DST),),
            flops=12 * math.prod(src.shape),
        )

    @staticmethod
    def _statistics(src: MemoryDesc) -> MemoryDesc:
        # Kept in float32 whatever the data, like every statistic here.
        return MemoryDesc.plain(src.shape[:-1], torch.float32)


@dataclass(frozen=True)
class LocalResponseNormalization:
    """``dst = src / (k + alpha / size * sum of squares over size neighbours) ** beta``.

    Neighbours are adjacent channels, or the ``size`` by ``size`` window around a position within one channel.
    Reference: Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep CNNs" (2012), section 3.3.
    """

    size: int
    alpha: float
    beta: float
    k: float
    algorithm: Algorithm = Algorithm.LRN_ACROSS_CHANNELS

    def forward(self, src: MemoryDesc, dst: MemoryDesc, *, training: bool) -> Primitive:
        """Arguments SRC -> DST, and in training WORKSPACE."""
        return describe(
            "lrn_forward",
            cpu_engine(),
            PropagationKind.FORWARD_TRAINING if training else PropagationKind.FORWARD_INFERENCE,
            self.algorithm,
            src,
            dst,
            self.size,
            self.alpha,
            self.beta,
            self.k,
            inputs=(Arg.SRC,),
            outputs=(Arg.DST, Arg.WORKSPACE),
            flops=(2 * self.size + 4) * math.prod(src.shape),
        )

    def backward(self, forward: Primitive, diff_src: MemoryDesc, diff_dst: MemoryDesc, src: MemoryDesc) -> Primitive:
        """Arguments SRC, DIFF_DST, WORKSPACE -> DIFF_SRC."""
        return describe(
            "lrn_backward",
            cpu_engine(),
            self.algorithm,
            diff_src,
            diff_dst,
            src,
            self.size,
            self.alpha,
            self.beta,
            self.k,
            forward,
            inputs=(Arg.SRC, Arg.DIFF_DST, Arg.WORKSPACE),
            outputs=(Arg.DIFF_SRC,),
            flops=(4 * self.size + 8) * math.prod(src.shape),
        )
