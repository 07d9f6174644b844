"""The reference engine: every operator's own torch kernel, on every device torch knows."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..graph.node import Node
from ..ops.operator import Environment, Kernel

__all__ = ["build_kernel", "is_no_op"]


def is_no_op(node: Node, inputs: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor]) -> bool:
    """Whether every output already is its input's memory, so that there is nothing to run."""
    pairs = {o: i for i, o in node.op.alias_pairs(node.params)}  # type: ignore[union-attr]
    return all(o in pairs and inputs[pairs[o]].data_ptr() == y.data_ptr() for o, y in enumerate(outputs))


def build_kernel(
    node: Node, inputs: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor], env: Environment
) -> Kernel | None:
    """A ready call that runs ``node`` on these arrays; None if there is nothing to do."""
    if is_no_op(node, inputs, outputs):
        return None
    return node.op.kernel(node.params, inputs, outputs, env)  # type: ignore[union-attr]
