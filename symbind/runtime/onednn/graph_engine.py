"""The engine: oneDNN's kernels for the operators that have them, in the layouts that they run fastest on."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from functools import cache, lru_cache
from typing import Any

import torch

from ...graph.node import Entry, Node
from ...passes.fuse import Pattern
from ..engine import Implementation, Layout, Value
from . import fused, operators  # noqa: F401  # importing them enters them into BUILDERS
from .declarations import Arg
from .engine import supports_bfloat16, thread_count
from .implementation import BUILDERS, PrimitiveImplementation, Request, View
from .library import Unsupported
from .memory import MAX_DIMENSIONS, MemoryDesc
from .movement import reorder

__all__ = ["OneDnnEngine"]

#: Element types of the arrays that are computed with.
FLOATS = (torch.float32, torch.bfloat16)


class OneDnnEngine:
    """Runs what it is good at and leaves the rest to torch. Layouts are :class:`MemoryDesc`."""

    name = "onednn"

    def key(self) -> Hashable:
        """Primitives are made for a number of threads."""
        return thread_count()

    def patterns(self, training: bool) -> Sequence[Pattern]:
        return fused.patterns(training)

    def implement(
        self, node: Node, inputs: Sequence[Value], outputs: Sequence[Value], training: bool
    ) -> Implementation | None:
        if node.op.name not in BUILDERS or not all(map(_can_be_described, (*inputs, *outputs))):
            return None
        if inputs[0].dtype not in FLOATS:
            return None
        if inputs[0].dtype == torch.bfloat16 and not _computes_in_bfloat16():
            return None
        return _implementation(node.op, node.params, tuple(inputs), tuple(outputs), training, self.key())

    def convert(self, value: Value, target: Layout | None) -> Implementation | None:
        # What is plain is so in any shape; two other layouts must be of one.
        given = value.layout
        assert isinstance(given, MemoryDesc | None) and isinstance(target, MemoryDesc | None)
        shape = next((desc.shape for desc in (given, target) if desc is not None), value.shape)
        source = given or MemoryDesc.plain(shape, value.dtype)
        goal = target or MemoryDesc.plain(shape, value.dtype)
        if source.shape != goal.shape:
            return None
        seen = View(Value(shape, value.dtype))
        return PrimitiveImplementation(reorder(source, goal), [(Arg.SRC, seen)], [(Arg.DST, seen)])


@lru_cache(maxsize=1024)  # as many as the library keeps kernels
def _implementation(
    op: Any, params: Hashable, inputs: tuple[Value, ...], outputs: tuple[Value, ...], training: bool, threads: Hashable
) -> Implementation | None:
    """How to run any node of this operator with such arrays.

    Networks repeat themselves, and describing a primitive takes longer than everything else about a node. Whatever
    implements is without state, and makes what runs when it is given its arrays.
    """
    node = Node(op, op.name, None, [Entry(_UNKNOWN)] * len(inputs), params)
    try:
        implementation = BUILDERS[op.name](Request(node, inputs, outputs, training))
    except Unsupported:
        return None
    if isinstance(implementation, PrimitiveImplementation) and not implementation.takes(inputs, outputs):
        return None
    return implementation


#: Stands for whatever an input comes from: the graph must not be kept alive by what is remembered.
_UNKNOWN = Node(None, "unknown")


@cache
def _computes_in_bfloat16() -> bool:
    """Whether it is worth it; that it is not is said once."""
    if supports_bfloat16():
        return True
    logging.getLogger(__name__).warning(
        "This CPU has no instructions for bfloat16: it runs on torch's kernels, slower than float32 would"
    )
    return False


def _can_be_described(value: Value) -> bool:
    """Whether oneDNN can take an array of this shape and type (whole numbers are its own workspaces)."""
    known = value.dtype in FLOATS or not value.dtype.is_floating_point
    return known and 1 <= len(value.shape) <= MAX_DIMENSIONS and 0 not in value.shape
