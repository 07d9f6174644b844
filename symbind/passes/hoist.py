"""Hoisting: what depends on parameters alone need not be computed at every run.

In inference, layouts of weights and folded normalizations are the same run after run. Such nodes are taken out of the
program; what the program reads of them is kept, and computed again when a variable it comes from has been written to.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..graph.node import Node

__all__ = ["hoistable", "independent_parts"]


def hoistable(order: Sequence[Node]) -> list[Node]:
    """The nodes in ``order`` that prepare parameters: declared to, and reading variables or each other only."""
    found: dict[Node, None] = {}
    for node in order:
        if node.op is None or not node.op.prepares_parameters:
            continue
        if all(source.is_variable or source in found for source, _ in node.inputs):
            found[node] = None
    return list(found)


def independent_parts(hoisted: Sequence[Node]) -> list[list[Node]]:
    """``hoisted`` cut into parts, each in running order, that do not read each other.

    A part is run as a whole, so that values which only its own nodes read need no memory before and after.
    """
    part_of: dict[Node, list[Node]] = {}
    for node in hoisted:
        part = part_of[node] = [node]
        for source, _ in node.inputs:
            other = part_of.get(source, part)
            if other is not part:
                part.extend(other)
                part_of.update(dict.fromkeys(other, part))
    position = {node: i for i, node in enumerate(hoisted)}
    parts = {id(part): part for part in part_of.values()}
    return [sorted(part, key=position.__getitem__) for part in parts.values()]
