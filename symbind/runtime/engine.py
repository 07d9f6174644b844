"""What an engine is: who provides the kernel of a node, and in which memory layouts it wants the arrays.

A layout is whatever the engine says it is, as long as it can be compared and tells its size; None is the plain
row-major layout that every array outside a program has. The layout pass connects what engines want with conversions;
it knows engines only through this page.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, Protocol

import torch

from ..graph.node import Node
from ..ops.operator import Environment
from ..passes.fuse import Pattern

__all__ = ["Engine", "Implementation", "Layout", "Value"]

Shape = tuple[int, ...]


class Layout(Hashable, Protocol):
    """How the elements of an array lie in memory."""

    @property
    def nbytes(self) -> int:
        """Bytes of an array in this layout, padding included."""

    @property
    def of_a_sample(self) -> Hashable:
        """How each sample along the first axis lies, where they lie one behind another; None where they do not."""

    @property
    def is_dense(self) -> bool:
        """Whether the bytes are exactly the elements, in some order, so that element-wise kernels may ignore it."""


class Value(NamedTuple):
    """What is known of an array when a kernel is chosen.

    ``reused`` says that it pays to convert it: nodes of this kind read it again and again, in this run or in others.
    """

    shape: Shape
    dtype: torch.dtype
    layout: Layout | None = None
    reused: bool = False


class Implementation(Protocol):
    """One way to run a node. Arrays in a layout of their own reach the kernel as flat tensors of ``nbytes`` bytes."""

    @property
    def name(self) -> str:
        """Shown in reports: the engine and the kernel it chose."""

    @property
    def input_layouts(self) -> Sequence[Layout | None]:
        """The layout that each input must have."""

    @property
    def output_layouts(self) -> Sequence[Layout | None]:
        """The layout that each output will have."""

    @property
    def inplace(self) -> Sequence[tuple[int, int]]:
        """``(input, output)`` pairs of which the output may be written over the input."""

    @property
    def workspace(self) -> int:
        """Bytes of scratch memory during the run."""

    @property
    def flops(self) -> int:
        """Floating-point operations of one run, as far as they are counted; 0 for what only moves data."""

    @property
    def is_reference(self) -> bool:
        """Whether this is a plain loop that is far slower than the machine could do it."""

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Callable[[], Any]:
        """A call without arguments that runs the node on these arrays; ``nothing`` if all is in its place."""


class Engine(Protocol):
    """A provider of implementations."""

    name: str

    def key(self) -> Hashable:
        """What a program built now depends on; a program is rebuilt when this changes (the number of threads)."""

    def patterns(self, training: bool) -> Sequence[Pattern]:
        """What this engine has one kernel for where the graph has several nodes.

        ``training`` says that gradients follow, or that operators behave as in training.
        """

    def implement(
        self, node: Node, inputs: Sequence[Value], outputs: Sequence[Value], training: bool
    ) -> Implementation | None:
        """How this engine would run ``node``, given the layouts its inputs have now; None if it cannot.

        ``training`` says that gradients follow; without them, what is converted from parameters is converted once.
        """

    def convert(self, value: Value, target: Layout | None) -> Implementation | None:
        """The conversion of an array from ``value.layout`` to ``target``; None if the way leads through plain only."""
