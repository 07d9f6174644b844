"""Joining sums: the gradient of a parameter that is used many times, from all uses at once.

An unrolled recurrent network multiplies by the same weights at every time step. Each step gives a term of their
gradient, a product of two thin matrices that is as large as the weights, and adding up the terms moves more memory
than making them:

.. math:: dW = \\sum_t g_t^{\\mathsf T} x_t = [g_1; g_2; …]^{\\mathsf T} [x_1; x_2; …]

So the inputs are joined instead of the outputs. It holds for every operator whose output is a sum over the rows of
its inputs, and pays where the inputs are smaller than the output, or are joined for another sum anyway.
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
    groups = _alike(sums, infer(outputs))
    replaced: dict[Entry, Entry] = {}
    joined: dict[tuple[Entry, ...], Entry] = {}
    totals: dict[tuple[Entry, ...], Entry] = {}

    def current(entry: Entry) -> Entry:
        return replaced.get(entry, entry)

    def join(parts: Sequence[Entry], serial: float) -> Entry:
        """The rows of ``parts``; terms of different weights often have rows in common."""
        key = tuple(map(current, parts))
        if key not in joined:
            attrs = {"num_args": str(len(key)), "dim": "0"}
            joined[key] = Entry(Node(find("Concat"), f"{key[0].name}_joined", attrs, key, serial=serial))
        return joined[key]

    def total_of(group: Sequence[Entry], at: float) -> Entry:
        """The sum of a group of terms; the two biases of a recurrent cell have all of theirs in common."""
        key = tuple(group)
        if key not in totals:
            totals[key] = current(key[0]) if len(key) == 1 else _joined(key, join, current, at)
        return totals[key]

    for node in order:
        if node.is_variable:
            continue
        if any(len(group) > 1 for group in groups.get(node, ())):
            values = [total_of(group, node.serial) for group in groups[node]]
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
    last = group[0].node
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


def _alike(sums: Mapping[Node, Sequence[Entry]], shapes: Shapes) -> dict[Node, list[list[Entry]]]:
    """The terms of every sum in groups, each of which can be one node; one that is not worth joining is alone."""
    groups: dict[Node, list[list[Entry]]] = {}
    for root, terms in sums.items():
        by_kind: dict[object, list[Entry]] = {}
        # The last first: on the way back that is the order in which their rows were made on the way there.
        for term in sorted(terms, key=lambda term: term.node.serial, reverse=True):
            by_kind.setdefault(_kind(term, shapes), []).append(term)
        groups[root] = list(by_kind.values())
    found = [group for listed in groups.values() for group in listed if len(group) > 1]
    joined = {rows for group in found if _pays(group[0].node, shapes) for rows in _joined_rows(group)}
    return {
        root: [
            part
            for group in listed
            for part in ([group] if joined.issuperset(_joined_rows(group)) else [[term] for term in group])
        ]
        for root, listed in groups.items()
    }


def _kind(term: Entry, shapes: Shapes) -> object:
    """What terms that can be joined have in common; nobody has it in common with one that cannot be."""
    node, rows = term.node, _rows(term.node)
    if not rows:
        return term
    inputs = [shapes[e.node][e.index] for e in node.inputs]
    # Of twice the rows the sum must be as large as of these.
    doubled = [(2 * shape[0], *shape[1:]) if i in rows else shape for i, shape in enumerate(inputs)]
    if node.op.infer_shape(node.params, doubled, [None])[1] != list(shapes[node]):
        return term
    rest = tuple(e for i, e in enumerate(node.inputs) if i not in rows)
    return node.op.name, node.params, rest, tuple(inputs[i][1:] for i in rows)


def _pays(node: Node, shapes: Shapes) -> bool:
    """Whether the rows are smaller than what is made of them."""
    rows = [shapes[e.node][e.index] for i, e in enumerate(node.inputs) if i in _rows(node)]
    return sum(map(product, rows)) < product(shapes[node][0])


def _joined_rows(group: Sequence[Entry]) -> list[tuple[Entry, ...]]:
    """What would be joined for a group of terms."""
    return [tuple(term.node.inputs[i] for term in group) for i in _rows(group[0].node)]
