"""Fewer nodes for the same values: identities disappear, and what is computed twice is computed once."""

from __future__ import annotations

from collections.abc import Sequence

from ..graph.node import Entry, Node, execution_order

__all__ = ["simplify"]


def simplify(outputs: Sequence[Entry]) -> list[Entry]:
    """``outputs`` of an equivalent graph.

    Two nodes of one operator with equal parameters and inputs are one value, unless the operator draws random numbers
    or updates an input. Values that nobody uses go away by themselves: nothing leads to them.
    """
    replacement: dict[Entry, Entry] = {}
    seen: dict[object, Node] = {}

    def current(entry: Entry) -> Entry:
        return replacement.get(entry, entry)

    for node in execution_order(outputs):
        if node.is_variable:
            continue
        op, params = node.op, node.params
        inputs = tuple(current(entry) for entry in node.inputs)
        if op.identity:
            replacement[Entry(node)] = inputs[0]
            continue
        result = node if inputs == node.inputs else Node(op, node.name, node.attrs, inputs, params, node.serial)
        if not (op.random or op.mutated_inputs(params)):
            result = seen.setdefault((op.name, params, inputs), result)
        if result is not node:
            for i in range(node.num_outputs):
                replacement[Entry(node, i)] = Entry(result, i)
    return [current(entry) for entry in outputs]
