"""The reference engine: every operator's own torch kernel, on every device torch knows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch

from ..graph.node import Node
from ..ops.kernels import nothing
from ..ops.operator import Environment
from ..passes.fuse import Pattern
from .engine import Implementation, Layout, Value

__all__ = ["TorchEngine", "TorchImplementation"]


class TorchImplementation:
    """The operator's own torch kernel, on plain arrays, or flat over arrays that all share one layout."""

    name = "torch"
    workspace = 0
    flops = 0
    is_reference = False

    def __init__(self, node: Node, layout: Layout | None = None) -> None:
        self._node = node
        self.input_layouts: Sequence[Layout | None] = [layout] * len(node.inputs)
        self.output_layouts: Sequence[Layout | None] = [layout] * node.num_outputs
        self.inplace = node.op.inplace_pairs(node.params)

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Callable[[], Any]:
        op, params = self._node.op, self._node.params
        aliases = {o: i for i, o in op.alias_pairs(params)}
        if all(o in aliases and inputs[aliases[o]].data_ptr() == y.data_ptr() for o, y in enumerate(outputs)):
            return nothing
        return op.kernel(params, inputs, outputs, env)

    @staticmethod
    def keeps_zero(node: Node, dtype: torch.dtype) -> bool:
        """Whether the kernel of an element-wise node makes zeros of zeros, found out by running it on some."""
        op, params = node.op, node.params
        if op.random or not dtype.is_floating_point:
            return False
        inputs = [torch.zeros(1, dtype=dtype) for _ in node.inputs]
        outputs = [torch.ones(1, dtype=dtype) for _ in range(node.num_outputs)]
        for is_train in (False, True):
            op.kernel(params, inputs, outputs, Environment(is_train, torch.device("cpu"), torch.default_generator))()
        return not any(map(torch.count_nonzero, outputs))


class TorchEngine:
    """Runs everything, on plain arrays."""

    name = "torch"

    def key(self) -> Hashable:
        """torch's kernels follow the number of threads by themselves."""
        return None

    def patterns(self, training: bool) -> Sequence[Pattern]:
        """An operator is a kernel here."""
        return ()

    def implement(
        self, node: Node, inputs: Sequence[Value], outputs: Sequence[Value], training: bool
    ) -> Implementation:
        return TorchImplementation(node)

    def convert(self, value: Value, target: Layout | None) -> Implementation:
        raise NotImplementedError("The torch engine knows plain arrays only")
