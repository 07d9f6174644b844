"""How a primitive serves a node: which of its arguments is which array, and what that means for their layouts.

A layout is a :class:`MemoryDesc`. Its shape is the value's, or another one that row-major memory of the value could be
seen in (weights with an axis for the groups); None is the plain layout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import torch

from ...base import MXNetError
from ...graph.node import Node
from ...ops.operator import Environment
from ...ops.shapes import product
from ..engine import Implementation, Layout, Value
from .declarations import Arg
from .library import Unsupported
from .memory import Memory, MemoryDesc
from .primitive import PostOp, Primitive

__all__ = [
    "BUILDERS",
    "Builder",
    "Operand",
    "PostOps",
    "PrimitiveImplementation",
    "Request",
    "View",
    "choose",
    "desc_of",
    "implements",
    "no_post_ops",
]


#: What the primitive shall do to its result, which will lie as described.
PostOps = Callable[[MemoryDesc], Sequence[PostOp]]


def no_post_ops(result: MemoryDesc) -> Sequence[PostOp]:
    """Nothing."""
    return ()


class Request(NamedTuple):
    """A node to run: the arrays as they lie now, and whether gradients follow.

    An output with a layout is best left in that. Post-ops come to operators whose builder knows of them.
    """

    node: Node
    inputs: Sequence[Value]
    outputs: Sequence[Value]
    training: bool
    post_ops: PostOps = no_post_ops


Builder = Callable[[Request], Implementation | None]
AnyBuilder = TypeVar("AnyBuilder", bound=Builder)

#: By operator: what makes an implementation of a node. None and Unsupported leave the
#: node to torch. Only arrays of float32 or bfloat16 without empty axes come here.
BUILDERS: dict[str, Builder] = {}


def implements(*operators: str) -> Callable[[AnyBuilder], AnyBuilder]:
    """Enter a function into :data:`BUILDERS`."""

    def enter(builder: AnyBuilder) -> AnyBuilder:
        BUILDERS.update(dict.fromkeys(operators, builder))
        return builder

    return enter


def choose(candidates: Iterable[Callable[[], Primitive]]) -> Primitive:
    """The first of several ways to ask for a primitive that has a kernel worth its name.

    A combination of layouts that the library has no kernel for gets its reference loop, which may take minutes where
    a kernel takes milliseconds. Raises Unsupported if there is nothing else.
    """
    for candidate in candidates:
        try:
            found = candidate()
        except Unsupported:
            continue
        if not found.is_reference:
            return found
    raise Unsupported("oneDNN has nothing but a reference implementation")


def desc_of(value: Value) -> MemoryDesc:
    """How an array lies in memory now."""
    assert isinstance(value.layout, MemoryDesc | None)
    return value.layout or MemoryDesc.plain(value.shape, value.dtype)


class View:
    """An array of the graph with its axes as a primitive counts them.

    First its first axis is cut into ``groups`` parts (if that is more than one), then axis ``axes[i]`` becomes axis
    ``i``.
    """

    def __init__(self, value: Value, axes: Sequence[int] | None = None, groups: int = 1) -> None:
        self.value = value
        first, *rest = value.shape
        self._cut = (groups, first // groups, *rest) if groups > 1 else value.shape
        self._axes = axes

    @property
    def shape(self) -> tuple[int, ...]:
        return self._cut if self._axes is None else tuple(self._cut[axis] for axis in self._axes)

    @property
    def any(self) -> MemoryDesc:
        """The array in whatever layout the primitive likes."""
        return MemoryDesc.any(self.shape, self.value.dtype)

    @property
    def desc(self) -> MemoryDesc:
        """The array as it lies now."""
        return self._ordered(desc_of(self.value))

    @property
    def plain(self) -> MemoryDesc:
        """The array in the plain layout."""
        return self._ordered(MemoryDesc.plain(self.value.shape, self.value.dtype))

    @property
    def channel_blocks(self) -> MemoryDesc:
        """The array in blocks of channels, if it is an image."""
        return MemoryDesc.channel_blocks(self.shape, self.value.dtype)

    def layout(self, desc: MemoryDesc) -> MemoryDesc | None:
        """What the layout that the primitive calls ``desc`` is for the array."""
        if self._axes is not None:
            desc = desc.permute([self._axes.index(axis) for axis in range(len(self._axes))])
        # What the library notes for itself may have another type, and more elements.
        if desc.is_row_major and desc.dtype == self.value.dtype and product(desc.shape) == product(self.value.shape):
            return None
        if desc.shape != self.value.shape:
            try:
                return desc.reshape(self.value.shape)
            except MXNetError:
                return desc  # blocks across the cut: conversions know how to deal with it
        return desc

    def _ordered(self, desc: MemoryDesc) -> MemoryDesc:
        if desc.shape != self._cut:
            desc = desc.reshape(self._cut)
        return desc if self._axes is None else desc.permute(self._axes)


#: An argument of a primitive, and the array seen as it; without a view the array is plain whatever its shape.
Operand = int | tuple[int, View]


class PrimitiveImplementation:
    """A node that is one primitive. None among the operands is an array that the primitive does not touch."""

    #: How many post-ops the operator itself needs, before those that are asked for.
    own_post_ops = 0

    def __init__(
        self, primitive: Primitive, inputs: Sequence[Operand | None], outputs: Sequence[Operand | None]
    ) -> None:
        self.primitive = primitive
        self.operands, self.results = inputs, outputs
        self.arguments = [_argument(operand) for operand in inputs]
        self._outputs = [_argument(operand) for operand in outputs]
        self.input_layouts: Sequence[Layout | None] = [self._layout(operand) for operand in inputs]
        self.output_layouts: Sequence[Layout | None] = [self._layout(operand) for operand in outputs]
        self.inplace = [
            (self.arguments.index(operand), self._outputs.index(result))
            for result, operand in primitive.in_place
            if operand in self.arguments and result in self._outputs
        ]
        self.workspace = primitive.scratchpad_bytes
        self.flops = primitive.flops
        self.name = f"onednn {primitive.implementation}"
        self.is_reference = primitive.is_reference

    def _layout(self, operand: Operand | None) -> MemoryDesc | None:
        if not isinstance(operand, tuple):
            return None
        argument, view = operand
        return view.layout(self.primitive.descs[argument])

    def takes(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> bool:
        """Whether the arrays have the types that the primitive wants: some parameters it knows in float32 only."""
        descs = self.primitive.descs
        sides = (*zip(self.arguments, inputs), *zip(self._outputs, outputs))
        return all(a is None or descs[a].dtype == v.dtype for a, v in sides if v.dtype.is_floating_point)

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Callable[[], None]:
        arguments, arrays = (*self.arguments, *self._outputs), (*inputs, *outputs)
        places: dict[int, int | Memory] = {a: array.data_ptr() for a, array in zip(arguments, arrays) if a is not None}
        if workspace is not None:
            places[Arg.SCRATCHPAD] = workspace.data_ptr()
        return self.primitive.bind(places)


def _argument(operand: Operand | None) -> int | None:
    return operand[0] if isinstance(operand, tuple) else operand
