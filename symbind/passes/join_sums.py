"""Joining sums: the gradient of a parameter that is used many times, from all uses at once.

An unrolled recurrent network multiplies by the same weights at every time step. Each step gives a term of their
gradient, a product of two thin matrices that is as large as the weights, and adding up the terms moves more memory
than making them:

.. math:: dW = \\sum_t g_t^{\\mathsf T} x_t = [g_1; g_2; …]^{\\mathsf T} [x_1; x_2; …]

So the inputs are joined instead of the outputs. It holds for every operator whose output is a sum over the rows of
its inputs, and pays where the inputs are smaller than the output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..graph.node import Entry, Node, execution_order
from ..graph.registry import find
from ..ops.shapes import product

__all__ = ["join_sums"]

ADD = "_grad_add"
Shape = tuple[int, ...]
Shapes = Mapping[Node, Sequence[Shape]]


def join_sums(outputs: Sequence[Entry], infer: Callable[[Sequence[Entry]], Shapes]) -> list[Entry]:
    """``outputs`` of an equivalent graph with fewer terms in its sums of gradients.

    ``infer`` gives the shapes of a graph; it is only asked if there are sums that may be worth it.
    """
    order = execution_order(outputs)
    sums = {root: terms for root, terms in _sums(order, outputs).items() if sum(bool(_rows(t.node)) for t in terms) > 1}
    if not sums:
        return list(outputs)
    shapes = infer(outputs)
    replaced: dict[Entry, Entry] = {}
    joined: dict[tuple[Entry, ...], Entry] = {}

    def current(entry: Entry) -> Entry:
        return replaced.get(entry, entry)

    def join(parts: Sequence[Entry], serial: float) -> Entry:
        """The rows of ``parts``; terms of different weights often have rows in common."""
        key = tuple(map(current, parts))
        if key not in joined:
            attrs = {"num_args": str(len(key)), "dim": "0"}
            joined[key] = Entry(Node(find("Concat"), f"{key[0].name}_joined", attrs, key, serial=serial))
        return joined[key]

    for node in order:
        if node.is_variable:
            continue
        groups = _alike(sums[node], shapes) if node in sums else []
        if any(len(group) > 1 for group in groups):
            values = [
                current(group[0]) if len(group) == 1 else _joined(group, join, current, node.serial) for group in groups
            ]
            total = values[0]
            for value in values[1:]:
                total = Entry(Node(node.op, node.name, node.attrs, [total, value], node.params, node.serial))
            replaced[Entry(node)] = total
            continue
        inputs = tuple(map(current, node.inputs))
        if inputs != node.inputs:
            copy = Node(node.op, node.name, node.attrs, inputs, node.params, node.serial)
            replaced.update((Entry(node, i), Entry(copy, i)) for i in range(node.num_outputs))
    return [current(entry) for entry in outputs]


def _joined(
    group: Sequence[Entry],
    join: Callable[[Sequence[Entry], float], Entry],
    current: Callable[[Entry], Entry],
    at: float,
) -> Entry:
    """The sum of a group of terms, as one of them on the rows of all."""
    last = group[-1].node
    inputs = [
        join([term.node.inputs[i] for term in group], at - 0.5) if i in _rows(last) else current(entry)
        for i, entry in enumerate(last.inputs)
    ]
    return Entry(Node(last.op, last.name, last.attrs, inputs, last.params, at - 0.25))


def _sums(order: Sequence[Node], outputs: Sequence[Entry]) -> dict[Node, list[Entry]]:
    """The terms of every sum, found at its last addition; a partial sum that somebody else reads is a term."""
    uses: dict[Entry, int] = {}
    for entry in (*outputs, *(e for node in order for e in node.inputs)):
        uses[entry] = uses.get(entry, 0) + 1
    terms: dict[Node, list[Entry]] = {}
    for node in order:
        if not node.is_variable and node.op.name == ADD:
            terms[node] = [
                term
                for entry in node.inputs
                for term in (terms.pop(entry.node) if entry.node in terms and uses[entry] == 1 else [entry])
            ]
    return terms


def _rows(node: Node) -> Sequence[int]:
    """The inputs over whose rows the node sums."""
    return () if node.is_variable else node.op.summed_inputs(node.params)


def _alike(terms: Sequence[Entry], shapes: Shapes) -> list[list[Entry]]:
    """The terms in groups, each of which can be one node; one that is not worth joining is alone."""
    groups: dict[object, list[Entry]] = {}
    for term in sorted(terms, key=lambda term: term.node.serial):
        key: object = term
        node, rows = term.node, _rows(term.node)
        if rows:
            parts = [shapes[e.node][e.index] for i, e in enumerate(node.inputs) if i in rows]
            rest = tuple(e for i, e in enumerate(node.inputs) if i not in rows)
            if sum(map(product, parts)) < product(shapes[node][0]):
                key = (node.op.name, node.params, rest, tuple(part[1:] for part in parts))
        groups.setdefault(key, []).append(term)
    return list(groups.values())
