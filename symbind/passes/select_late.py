"""Selecting late: a dense layer of looked-up rows is looked up in the dense layer of the table.

A layer that treats rows alike gives equal results for equal rows. If its input is an embedding, many rows are the same:
a text of 2048 characters has no more different ones than the alphabet has letters. With the selection as a matrix
:math:`S` of zeros and ones,

.. math:: (S E) W^{\\mathsf T} = S (E W^{\\mathsf T})

so the layer runs once on the table, which pays when the table has fewer rows than are looked up. Made before
differentiation, the gradient has the same form: rows are added up first and multiplied by the weights after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..graph.node import Entry, Node, execution_order
from ..graph.registry import find
from ..ops.shapes import normalize_axis, product

__all__ = ["select_late"]

Shape = tuple[int, ...]
Shapes = Mapping[Node, Sequence[Any]]  # all known


class _Selection(NamedTuple):
    """A value that is the rows of ``table`` with the numbers ``rows``."""

    table: Entry
    rows: Entry
    rows_shape: Shape


def select_late(outputs: Sequence[Entry], infer: Callable[[Sequence[Entry]], Shapes]) -> list[Entry]:
    """``outputs`` of an equivalent graph in which layers come before the selection of their rows.

    ``infer`` gives the shapes of a graph; it is only asked if rows are selected anywhere.
    """
    order = execution_order(outputs)
    if not any(node.op.selection(node.params) for node in order if not node.is_variable):
        return list(outputs)
    replaced = _replacements(order, infer(outputs))
    for node in order:
        inputs = tuple(replaced.get(entry, entry) for entry in node.inputs)
        if inputs != node.inputs and Entry(node) not in replaced:
            copy = Node(node.op, node.name, node.attrs, inputs, node.params, node.serial)
            replaced.update((Entry(node, i), Entry(copy, i)) for i in range(node.num_outputs))
    return [replaced.get(entry, entry) for entry in outputs]


def _replacements(order: Sequence[Node], shapes: Shapes) -> dict[Entry, Entry]:
    """Outputs of the layers that are better done on the table, each with the selection that it becomes."""
    selections = _selections(order, shapes)
    layers: dict[tuple[str, Any, tuple[Entry, ...]], list[tuple[Node, _Selection]]] = {}
    for node in order:
        data = None if node.is_variable else node.op.row_wise
        selection = None if data is None else selections.get(node.inputs[data])
        if data is None or selection is None or shapes[node][0][:-1] != selection.rows_shape:
            continue
        on_table = (*node.inputs[:data], selection.table, *node.inputs[data + 1 :])
        layers.setdefault((node.op.name, node.params, on_table), []).append((node, selection))

    replaced: dict[Entry, Entry] = {}
    for (_, _, inputs), uses in layers.items():
        first, selection = uses[0]
        if shapes[selection.table.node][selection.table.index][0] >= sum(product(s.rows_shape) for _, s in uses):
            continue
        table = Entry(Node(first.op, f"{first.name}_table", first.attrs, inputs, first.params, first.serial - 0.5))
        for node, selection in uses:
            taken = Node(find("take"), node.name, {"axis": "0"}, [table, selection.rows], serial=node.serial)
            replaced[Entry(node)] = Entry(taken)
    return replaced


def _selections(order: Sequence[Node], shapes: Shapes) -> dict[Entry, _Selection]:
    """Every value that is rows of something, also after it has been cut along an axis of the row numbers."""
    found: dict[Entry, _Selection] = {}
    for node in order:
        if node.is_variable:
            continue
        positions = node.op.selection(node.params)
        cut = node.op.cut_axis(node.params)
        if positions is not None:
            table, index = (node.inputs[i] for i in positions)
            found[Entry(node)] = _Selection(table, index, shapes[index.node][index.index])
        elif cut is not None and node.inputs[0] in found:
            table, index, shape = found[node.inputs[0]]
            if normalize_axis(cut, len(shape) + 1) < len(shape):
                attrs = {**node.attrs, "axis": str(normalize_axis(cut, len(shape) + 1))}
                parts = Node(node.op, f"{node.name}_index", attrs, [index], serial=node.serial)
                for i, part in enumerate(shapes[node]):
                    found[Entry(node, i)] = _Selection(table, Entry(parts, i), part[:-1])
    return found
