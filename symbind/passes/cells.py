"""Cells: the nodes that an unrolled LSTM is described by become one operator per step.

Unlike what engines fuse, this happens before differentiation: the gradient is then that of the step, and as short.
"""

from __future__ import annotations

from typing import NamedTuple

from ..graph.node import Entry, Node
from ..graph.registry import find
from .fuse import Fusion, Pattern, Users

__all__ = ["CELLS"]


def _inputs_of(entry: Entry, name: str, **params: object) -> tuple[Entry, ...]:
    """The inputs of the node behind ``entry`` if it is of the operator called ``name``; nothing otherwise."""
    node = entry.node
    if node.is_variable or node.op.name != name or any(getattr(node.params, k) != v for k, v in params.items()):
        return ()
    return node.inputs


def _activated(entry: Entry, function: str) -> Entry | None:
    """The argument if ``entry`` is an activation by ``function``, in either of the forms it is written in."""
    argument = _inputs_of(entry, "Activation", act_type=function) or _inputs_of(entry, function)
    return argument[0] if argument else None


def _gate(entry: Entry, index: int) -> Entry | None:
    """The array whose quarter ``index`` is activated as an LSTM's gate and gives ``entry``."""
    part = _activated(entry, "tanh" if index == 2 else "sigmoid")
    if part is None or part.index != index:
        return None
    whole = _inputs_of(Entry(part.node), "SliceChannel", num_outputs=4, axis=1, squeeze_axis=False)
    return whole[0] if whole else None


class _Gated(NamedTuple):
    """A gate times something, and the array that the gate was cut from."""

    gates: Entry
    gate: Entry
    other: Entry


def _product(entry: Entry, index: int) -> _Gated | None:
    """``entry`` as gate ``index`` times something, if it is that."""
    factors = _inputs_of(entry, "elemwise_mul")
    for gate, other in (factors, factors[::-1]) if factors else ():
        gates = _gate(gate, index)
        if gates is not None:
            return _Gated(gates, gate, other)
    return None


def _lstm(node: Node, users: Users) -> Fusion | None:
    """``o * tanh(c')`` with ``c' = f * c + i * g``, from the last product on."""
    out = _product(Entry(node), 3)
    new = None if out is None else _activated(out.other, "tanh")
    if out is None or new is None:
        return None
    terms = _inputs_of(new, "elemwise_add")
    for kept, added in (terms, terms[::-1]) if terms else ():
        forget, update = _product(kept, 1), _product(added, 0)
        if forget is None or update is None:
            continue
        if not out.gates == forget.gates == update.gates == _gate(update.other, 2):
            continue
        gates = [out.gate, forget.gate, update.gate, update.other]
        cuts = [gate.node.inputs[0].node for gate in gates]
        values = [*gates, out.other, new, kept, added]
        cell = Node(find("_lstm_cell"), node.name, None, [out.gates, forget.other], serial=node.serial)
        return Fusion({node, *cuts, *(e.node for e in values)}, {Entry(node): Entry(cell), new: Entry(cell, 1)})
    return None


#: Told to :func:`fuse`, in any engine's program.
CELLS = [Pattern(("elemwise_mul",), _lstm)]
