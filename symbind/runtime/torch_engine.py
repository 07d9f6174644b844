"""The reference engine: every operator's own torch kernel, on every device torch knows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch

from ..graph.node import Node
from ..ops.operator import Environment
from .engine import Implementation, Layout, Value

__all__ = ["TorchEngine", "TorchImplementation"]


class TorchImplementation:
    """The operator's own torch kernel, on plain arrays, or flat over arrays that all share one dense layout."""

    workspace = 0

    def __init__(self, node: Node, layout: Layout | None = None) -> None:
        assert node.op is not None
        self._node = node
        self.name = "torch"
        self.input_layouts = [layout] * len(node.inputs)
        self.output_layouts = [layout] * node.num_outputs
        self.inplace = node.op.inplace_pairs(node.params)
        self.flops = 0

    def kernel(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        workspace: torch.Tensor | None,
        env: Environment,
    ) -> Callable[[], Any] | None:
        op, params = self._node.op, self._node.params
        assert op is not None
        aliases = {o: i for i, o in op.alias_pairs(params)}
        if all(o in aliases and inputs[aliases[o]].data_ptr() == y.data_ptr() for o, y in enumerate(outputs)):
            return None
        return op.kernel(params, inputs, outputs, env)


class TorchEngine:
    """Runs everything, on plain arrays."""

    name = "torch"

    def key(self) -> Hashable:
        """torch's kernels follow the number of threads by themselves."""
        return None

    def implement(self, node: Node, inputs: Sequence[Value], outputs: Sequence[Value]) -> Implementation:
        return TorchImplementation(node)

    def convert(self, value: Value, target: Layout | None) -> Implementation:
        raise NotImplementedError("The torch engine knows plain arrays only")
