"""Primitives that move data without computing: reorder, concat, shuffle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .declarations import Arg, PropagationKind
from .engine import cpu_engine
from .memory import MemoryDesc
from .primitive import PostOp, Primitive, describe

__all__ = ["Shuffle", "concat", "reorder"]


def reorder(src: MemoryDesc, dst: MemoryDesc, *, post_ops: Sequence[PostOp] = ()) -> Primitive:
    """Copy from one layout, and element type, to another: SRC -> DST. With the post-op Sum it adds to ``dst``."""
    return describe(
        "reorder",
        src,
        cpu_engine(),
        dst,
        cpu_engine(),
        inputs=(Arg.SRC,),
        outputs=(Arg.DST,),
        post_ops=post_ops,
    )


def concat(sources: Sequence[MemoryDesc], axis: int, dst: MemoryDesc) -> Primitive:
    """The sources one after the other along ``axis``: ``Arg.source(i)`` -> DST."""
    return describe(
        "concat",
        cpu_engine(),
        dst,
        len(sources),
        axis,
        list(sources),
        inputs=tuple(Arg.source(i) for i in range(len(sources))),
        outputs=(Arg.DST,),
    )


@dataclass(frozen=True)
class Shuffle:
    """Transposition of an axis seen as ``(size / group_size, group_size)`` (channel shuffle).

    Reference: Zhang et al., "ShuffleNet" (2017).
    """

    axis: int
    group_size: int

    def forward(self, src: MemoryDesc, dst: MemoryDesc, *, training: bool) -> Primitive:
        """Arguments SRC -> DST."""
        return describe(
            "shuffle_forward",
            cpu_engine(),
            PropagationKind.FORWARD_TRAINING if training else PropagationKind.FORWARD_INFERENCE,
            src,
            dst,
            self.axis,
            self.group_size,
            inputs=(Arg.SRC,),
            outputs=(Arg.DST,),
        )

    def backward(self, forward: Primitive, diff_src: MemoryDesc, diff_dst: MemoryDesc) -> Primitive:
        """Arguments DIFF_DST -> DIFF_SRC."""
        return describe(
            "shuffle_backward",
            cpu_engine(),
            diff_src,
            diff_dst,
            self.axis,
            self.group_size,
            forward,
            inputs=(Arg.DIFF_DST,),
            outputs=(Arg.DIFF_SRC,),
        )
