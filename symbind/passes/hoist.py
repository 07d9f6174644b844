"""Hoisting: what depends on parameters alone need not be computed at every run.

In inference, layouts of weights and folded normalizations are the same run after run. Such nodes are taken out of the
program; their values are kept, and computed again when a variable they come from has been written to.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..graph.node import Node

__all__ = ["hoistable"]


def hoistable(order: Sequence[Node]) -> list[Node]:
    """The nodes in ``order`` that prepare parameters: declared to, and reading variables or each other only."""
    found: dict[Node, None] = {}
    for node in order:
        if node.op is None or not node.op.prepares_parameters:
            continue
        if all(source.is_variable or source in found for source, _ in node.inputs):
            found[node] = None
    return list(found)
