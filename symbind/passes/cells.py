"""Cells: the nodes that an unrolled LSTM or GRU is described by become one operator per step.

Unlike what engines fuse, this happens before differentiation: the gradient is then that of the step, and as short.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from ..graph.node import Entry, Node
from ..graph.registry import find
from .fuse import Fusion, Pattern, Users

__all__ = ["cells"]


def _inputs_of(entry: Entry, name: str, **params: object) -> tuple[Entry, ...]:
    """The inputs of the node behind ``entry`` if it is of the operator called ``name``; nothing otherwise."""
    node = entry.node
    if node.is_variable or node.op.name != name or any(getattr(node.params, k) != v for k, v in params.items()):
        return ()
    return node.inputs


def _both_ways(pair: tuple[Entry, ...]) -> tuple[tuple[Entry, ...], ...]:
    """The operands of something commutative in either order; none of nothing."""
    return (pair, pair[::-1]) if pair else ()


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
    for gate, other in _both_ways(factors):
        gates = _gate(gate, index)
        if gates is not None:
            return _Gated(gates, gate, other)
    return None


def _lstm(training: bool, node: Node, users: Users) -> Fusion | None:
    """``o * tanh(c')`` with ``c' = f * c + i * g``, from the last product on."""
    out = _product(Entry(node), 3)
    new = None if out is None else _activated(out.other, "tanh")
    if out is None or new is None:
        return None
    terms = _inputs_of(new, "elemwise_add")
    for kept, added in _both_ways(terms):
        forget, update = _product(kept, 1), _product(added, 0)
        if forget is None or update is None:
            continue
        if not out.gates == forget.gates == update.gates == _gate(update.other, 2):
            continue
        gates = [out.gate, forget.gate, update.gate, update.other]
        cuts = [gate.node.inputs[0].node for gate in gates]
        values = [*gates, out.other, new, kept, added]
        attrs = {"exposure": str(training)}
        cell = Node(find("_lstm_cell"), node.name, attrs, [out.gates, forget.other], serial=node.serial)
        return Fusion({node, *cuts, *(e.node for e in values)}, {Entry(node): Entry(cell), new: Entry(cell, 1)})
    return None


def _are_thirds(entries: Sequence[Entry], index: int) -> bool:
    """Whether each of ``entries`` is part ``index`` of an array cut into the gates of a GRU."""
    return all(
        entry.index == index
        and _inputs_of(Entry(entry.node), "SliceChannel", num_outputs=3, axis=1, squeeze_axis=False)
        for entry in entries
    )


def _gru(node: Node, users: Users) -> Fusion | None:
    """``(1 - z) * n + z * h`` with ``n = tanh(x + r * s)``, from the sum on."""
    for fresh, kept in _both_ways(node.inputs):
        for rest, new in _both_ways(_inputs_of(fresh, "elemwise_mul")):
            for update, hidden in _both_ways(_inputs_of(kept, "elemwise_mul")):
                sums = _activated(update, "sigmoid"), _activated(new, "tanh")
                if _inputs_of(rest, "_rminus_scalar", scalar=1.0) != (update,) or None in sums:
                    continue
                found = _gru_gates(*sums)  # type: ignore[arg-type]
                if found is not None:
                    inputs, nodes = found
                    cell = Node(find("_gru_cell"), node.name, None, [*inputs, hidden], serial=node.serial)
                    nodes.update([node, *(e.node for e in (fresh, kept, rest, new, update))])
                    return Fusion(nodes, {Entry(node): Entry(cell)})
    return None


def _gru_gates(update: Entry, candidate: Entry) -> tuple[tuple[Entry, Entry], set[Node]] | None:
    """The products with input and state that two gates of a GRU are made of, and the nodes from there to the gates."""
    for from_input, gated in _both_ways(_inputs_of(candidate, "elemwise_add")):
        for reset, from_state in _both_ways(_inputs_of(gated, "elemwise_mul")):
            argument = _activated(reset, "sigmoid")
            if argument is None or not _are_thirds((from_input, from_state), 2):
                continue
            cuts = {from_input.node, from_state.node}
            others = [_inputs_of(gate, "elemwise_add") for gate in (argument, update)]
            if all({part.node for part in parts} == cuts and _are_thirds(parts, i) for i, parts in enumerate(others)):
                wholes = from_input.node.inputs[0], from_state.node.inputs[0]
                return wholes, {*cuts, *(e.node for e in (update, candidate, gated, reset, argument))}
    return None


def cells(training: bool) -> list[Pattern]:
    """What is told to :func:`fuse`, in any engine's program; ``training`` says whether gradients follow."""
    return [Pattern(("elemwise_mul",), partial(_lstm, training)), Pattern(("elemwise_add",), _gru)]
