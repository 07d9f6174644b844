"""Recomputation: a value that is cheap to make again need not be kept from the forward to the backward pass.

Training keeps activations alive for the backward pass, and they are most of its memory. Some of them, such as the
output of batch normalization, are a fast function of another value that is kept anyway. Those are dropped after their
last forward use and computed a second time right before the backward pass wants them. The result is the same to the
bit, the same kernel having seen the same numbers.

Chen et al., "Training Deep Nets with Sublinear Memory Cost" (2016), in its simplest case: nothing else is kept longer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..graph.node import Entry, Node, execution_order, post_order

__all__ = ["recompute"]

# Smaller values are not worth an instruction.
SMALLEST = 1 << 18


def recompute(heads: Sequence[Entry], gradients: Sequence[Entry], num_bytes: Callable[[Entry], int]) -> list[Entry]:
    """``gradients`` of a graph in which cheap forward values are computed again for the backward pass."""
    forward = set(post_order(heads))
    order = execution_order([*heads, *gradients])
    first, last = _backward_uses(order, forward, gradients)

    copies: dict[Node, Node] = {}
    for node in order:
        if node in forward and _is_worth_it(node, heads, first, last, num_bytes):
            begin = min(first[e] for e in _outputs(node) if e in first)
            copies[node] = Node(node.op, f"{node.name}_again", node.attrs, node.inputs, node.params, begin - 0.75)
    if not copies:
        return list(gradients)

    rewritten: dict[Node, Node] = {}

    def current(entry: Entry) -> Entry:
        if entry.node in copies and num_bytes(entry) >= SMALLEST:
            return Entry(copies[entry.node], entry.index)
        return Entry(rewritten.get(entry.node, entry.node), entry.index)

    for node in order:
        if node.is_variable or node in forward:
            continue
        unread = node.op.unread_inputs(node.params)
        inputs = tuple(entry if i in unread and entry.node in forward else current(entry)
                       for i, entry in enumerate(node.inputs))  # fmt: skip
        if inputs != node.inputs:
            rewritten[node] = Node(node.op, node.name, node.attrs, inputs, node.params, node.serial)
    return [current(entry) for entry in gradients]


def _backward_uses(
    order: Sequence[Node], forward: set[Node], gradients: Sequence[Entry]
) -> tuple[dict[Entry, float], dict[Entry, float]]:
    """The serials of the first and the last backward node that reads each forward value."""
    first: dict[Entry, float] = {}
    last: dict[Entry, float] = {}
    for node in order:
        if node.is_variable or node in forward:
            continue
        unread = node.op.unread_inputs(node.params)
        for i, entry in enumerate(node.inputs):
            if i not in unread and entry.node in forward:
                first.setdefault(entry, node.serial)
                last[entry] = node.serial
    for entry in gradients:
        if entry.node in forward:  # handed out as it is: it has to stay
            last[entry] = float("inf")
    return first, last


def _outputs(node: Node) -> list[Entry]:
    return [Entry(node, i) for i in range(node.num_outputs)]


def _is_worth_it(
    node: Node,
    heads: Sequence[Entry],
    first: dict[Entry, float],
    last: dict[Entry, float],
    num_bytes: Callable[[Entry], int],
) -> bool:
    """Whether dropping the large outputs of ``node`` frees memory and keeps nothing else alive for longer."""
    if node.is_variable or not node.op.recomputable:
        return False
    dropped = [e for e in _outputs(node) if e in last and num_bytes(e) >= SMALLEST]
    if not dropped or any(e in heads for e in dropped):
        return False
    end = max(last[e] for e in dropped)
    return all(source.node.is_variable or last.get(source, 0) >= end for source in node.inputs)
